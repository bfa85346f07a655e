"""What a unit of work costs, on billed money where a bill tells it."""

from datetime import date, datetime
from decimal import Decimal

from metrics.unit_cost import unit_cost
from metrics.unit_economics import tenants, unit_costs
from tests.metrics.ledger import Ledger, ledger, scope
from tests.metrics.test_cost import charge

__all__ = ["ledger"]


def billed(ledger: Ledger) -> None:
    for day in (1, 30):
        ledger.put_usage(day, requests=100, system="a", tenant="x", cost_usd=Decimal(3))
    ledger.put("charges", charge(1, "6"), charge(30, "6"))
    ledger.put(
        "allocations",
        {"period": date(2026, 9, 1), "system": "a", "tenant": "x", "usd_cost": Decimal(8), "basis": "rule"},
        {"period": date(2026, 9, 1), "system": None, "usd_cost": Decimal(4), "basis": "unattributed"},
    )


def test_a_system_bears_what_was_allocated_to_it(ledger: Ledger) -> None:
    billed(ledger)
    found = unit_cost(ledger, scope(system="a"))
    assert (found.value, found.numerator, found.denominator) == (40, 8, 200)
    assert found.note.startswith("allocated from the bill")


def test_a_week_of_a_system_is_estimated_and_says_so(ledger: Ledger) -> None:
    billed(ledger)
    week = type(scope().period).parse("2026-08-31..2026-09-06")
    assert "estimated" in unit_cost(ledger, scope(week, system="a")).note


def test_failed_and_abandoned_actions_cost_and_are_no_outcome(ledger: Ledger) -> None:
    billed(ledger)
    outcomes = ["success"] * 3 + ["failure"] + ["abandoned"] * 5
    ledger.put(
        "actions",
        *({"action_id": str(n), "at": datetime(2026, 9, 5), "outcome": outcome, "system": "a"} for n, outcome in enumerate(outcomes)),
    )
    found = {row.unit: row for row in unit_costs(ledger, scope())}
    assert (found["completed action"].usd, found["successful outcome"].usd) == (3, 4)
    assert found["completed action"].is_low_confidence


def test_without_units_there_is_no_ratio(ledger: Ledger) -> None:
    billed(ledger)
    found = {row.unit: row for row in unit_costs(ledger, scope())}
    assert found["conversation"].usd is None
    assert found["1,000 requests"].usd == 60


def test_tenants_bear_their_share_of_the_bill(ledger: Ledger) -> None:
    billed(ledger)
    assert tenants(ledger, scope()) == [{"tenant": "x", "cost_usd": Decimal(8), "requests": 200, "usd_per_1k": 40.0, "basis": "billed"}]


def test_tenants_without_an_allocated_bill_are_estimated_and_say_so(ledger: Ledger) -> None:
    billed(ledger)
    ledger.put_usage(2, requests=10, tenant="y")
    week = type(scope().period).parse("2026-08-31..2026-09-06")
    assert tenants(ledger, scope(week)) == [
        {"tenant": "x", "cost_usd": Decimal(3), "requests": 100, "usd_per_1k": 30.0, "basis": "estimated"},
        {"tenant": "y", "cost_usd": None, "requests": 10, "usd_per_1k": None, "basis": "estimated"},
    ]


def test_actions_of_days_without_a_bill_yet_made_outcomes_look_cheap(ledger: Ledger) -> None:
    ledger.put_usage(1, requests=100)
    ledger.put_usage(20, requests=100)
    ledger.put("charges", charge(1, "6"))
    actions = ({"action_id": str(day), "at": datetime(2026, 9, day, 8), "outcome": "success"} for day in (1, 20))
    ledger.put("actions", *actions)
    found = {row.unit: row for row in unit_costs(ledger, scope())}
    assert (found["1,000 requests"].usd, found["successful outcome"].usd, found["successful outcome"].units) == (60, 6, 1)


def test_a_traced_provider_without_a_bill_is_named_and_makes_the_cost_partial(ledger: Ledger) -> None:
    ledger.put_usage(30, requests=50, provider="openai", cost_usd=Decimal(6))
    ledger.put_usage(30, requests=50, provider="anthropic", cost_usd=Decimal(2))
    ledger.put("charges", charge(30, "6"))
    found = unit_cost(ledger, scope())
    assert (found.value, found.coverage) == (60, 0.75)
    assert "billed · no bill of anthropic: $2.00 at the price book is left out" in found.note
