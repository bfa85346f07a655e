"""Inventory completeness: what is registered, what is seen, and how the two are told to be the same."""

from datetime import date, datetime
from typing import Any

import pytest

from metrics import inventory
from metrics.completeness import inventory_completeness
from metrics.definitions import KEY, Definitions
from metrics.filters import Period
from metrics.kpi import kpis
from metrics.scorecard import evaluate
from tests.metrics.ledger import Ledger, ledger, scope

__all__ = ["ledger"]
ALWAYS = {"valid_from": datetime(1970, 1, 1)}


def item(name: str, **columns: Any) -> dict[str, Any]:
    given = {
        "item_id": name,
        "kind": "model",
        "system_id": "s",
        "provider": "openai",
        "name": name,
        "version": "1",
        "environment": "production",
    }
    return {**given, "last_reviewed_on": date(2026, 8, 1), **ALWAYS, **columns}


def call(ledger: Ledger, model: str, **columns: Any) -> None:
    given = {"trace_id": "t", "sent_trace_id": "t", "span_id": model, "started_at": datetime(2026, 9, 5), "role": "call"}
    ledger.put("spans", {**given, "provider": "openai", "model": model, "environment": "production", **columns})


def charge(ledger: Ledger, model: str, **columns: Any) -> None:
    given = {"provider": "openai", "model": model, "charge_period_start": datetime(2026, 9, 5), "usd_effective_cost": 1}
    ledger.put("charges", {**given, **columns})


def findings(ledger: Ledger, period: str = "2026-09", **dimensions: str) -> dict[str, str]:
    found, _ = inventory.items(ledger, scope(Period.parse(period), **dimensions))
    return dict(found.select("name", "finding").rows())


@pytest.fixture
def register(ledger: Ledger) -> Ledger:
    ledger.put(
        "systems", {"system_id": "s", "risk_tier": 1, "team": "A", **ALWAYS}, {"system_id": "s2", "risk_tier": 2, "team": "B", **ALWAYS}
    )
    return ledger


@pytest.mark.parametrize(
    ("columns", "finding"),
    [
        ({}, "complete"),
        ({"version": None}, "fields missing"),
        ({"system_id": None}, "fields missing"),
        ({"last_reviewed_on": None}, "never reviewed"),
        ({"last_reviewed_on": date(2026, 4, 3)}, "complete"),
        ({"last_reviewed_on": date(2026, 4, 2)}, "review expired"),
        ({"system_id": "s2", "last_reviewed_on": date(2026, 4, 2)}, "complete"),
        ({"system_id": "s2", "last_reviewed_on": date(2025, 9, 30)}, "complete"),
        ({"system_id": "s2", "last_reviewed_on": date(2025, 9, 29)}, "review expired"),
        ({"system_id": "unknown", "last_reviewed_on": date(2026, 4, 2)}, "tier unknown"),
        ({"last_reviewed_on": date(2026, 10, 2)}, "reviewed only later"),
    ],
)
def test_an_item_needs_its_fields_and_a_review_that_is_valid_for_its_tier(register: Ledger, columns: dict[str, Any], finding: str) -> None:
    register.put("inventory_items", item("gpt-5", **columns))
    assert findings(register) == {"gpt-5": finding}


def test_items_of_traces_and_bills_join_the_denominator_and_make_the_shadow_list(register: Ledger) -> None:
    register.put("inventory_items", item("gpt-5"), item("gpt-4o"), item("unused"))
    call(register, "gpt-5")
    call(register, "in traces")
    charge(register, "gpt-5")
    charge(register, "on bills", usd_effective_cost=7, project="p")
    found, _ = inventory.items(register, scope())
    assert inventory.shadow(found)["name"].to_list() == ["on bills", "in traces"]
    assert inventory.unseen(found)["name"].to_list() == ["gpt-4o", "unused"]
    assert inventory.seen_in_traces(found).height == inventory.seen_in_bills(found).height == 2
    measured = inventory_completeness(register, scope())
    assert (measured.value, measured.numerator, measured.denominator, measured.interval) == (0.6, 3, 5, None)
    assert "2 not registered" in measured.note


def test_a_retired_item_that_is_still_used_is_incomplete_and_one_that_is_not_is_gone(register: Ledger) -> None:
    register.put("inventory_items", *(item(name, lifecycle="retired", retired_on=date(2026, 9, 5)) for name in ("a", "b", "c")))
    call(register, "a", started_at=datetime(2026, 9, 6))
    call(register, "b", started_at=datetime(2026, 9, 5, 23))
    assert findings(register) == {"a": "retired, still in use", "b": "retired"}
    assert inventory.zombie(inventory.items(register, scope())[0])["name"].to_list() == ["a"]


@pytest.mark.parametrize("name", ["GPT-5", "gpt-5-2025-08-07", "openai.gpt-5", "deployment-x"])
def test_an_item_is_the_same_under_its_dated_name_its_vendors_and_its_deployments(register: Ledger, name: str) -> None:
    register.put("inventory_items", item(name))
    call(register, "gpt-5", request_model="deployment-x", response_model="gpt-5-2025-08-07")
    assert findings(register) == {"gpt-5": "complete"}


def test_a_model_of_several_systems_is_one_item_and_its_worst_row_decides(register: Ledger) -> None:
    register.put("inventory_items", item("gpt-5"), item("gpt-5", item_id="two", system_id="s2", version=None))
    assert findings(register) == {"gpt-5": "fields missing"}
    assert findings(register, system="s") == {"gpt-5": "complete"}


def test_prompts_are_seen_by_their_name_and_failed_or_staging_calls_not_at_all(register: Ledger) -> None:
    register.put("inventory_items", item("summary", kind="prompt", provider="own"), item("other", kind="prompt", provider="own"))
    call(register, "gpt-5", prompt_name="summary")
    call(register, "broken", error_type="not_found")
    call(register, "trial", environment="staging")
    assert findings(register) == {"gpt-5": "not registered", "summary": "complete", "other": "complete"}
    assert inventory.unseen(inventory.items(register, scope())[0])["name"].to_list() == ["other"]


def test_chapman_estimates_how_many_models_there_are(register: Ledger) -> None:
    register.put("inventory_items", item("x"))
    for number in range(40):
        call(register, f"m{number}")
    for number in range(10, 45):
        charge(register, f"m{number}")
    assert inventory.expected(inventory.items(register, scope())[0]) == pytest.approx(46.6129, abs=1e-4)


def test_the_register_is_read_as_it_was_at_the_end_of_the_window(register: Ledger) -> None:
    register.put(
        "inventory_items", item("gpt-5", version=None, valid_to=datetime(2026, 9, 1)), item("gpt-5", valid_from=datetime(2026, 9, 1))
    )
    assert findings(register, "2026-08") == {"gpt-5": "fields missing"}
    assert findings(register) == {"gpt-5": "complete"}


def test_with_neither_traces_nor_bills_the_register_stands_alone_and_is_partial(register: Ledger) -> None:
    register.put("inventory_items", item("gpt-5"))
    measured = inventory_completeness(register, scope())
    assert (measured.value, measured.state) == (1, "PARTIAL")
    assert "no traces or bills to compare with" in measured.note


def test_a_window_without_anything_seen_is_no_ground_for_a_change(register: Ledger) -> None:
    register.put("inventory_items", item("gpt-5"))
    call(register, "shadow")
    result = evaluate(register, kpis()["inventory_completeness"], scope())
    assert (result.value, result.previous_value, result.is_changed) == (0.5, 1.0, False)


def test_without_a_register_the_reason_says_what_was_seen(ledger: Ledger) -> None:
    call(ledger, "gpt-5")
    charge(ledger, "gpt-4o")
    result = evaluate(ledger, kpis()["inventory_completeness"], scope())
    assert (result.state, result.note) == ("NO_DATA", "No inventory loaded; 2 items seen in traces and bills")


def test_an_orphan_has_no_owner_and_no_system_with_one(register: Ledger) -> None:
    register.put("systems", {"system_id": "owned", "owner": "Ann", **ALWAYS})
    register.put(
        "inventory_items", item("own", owner="Bob"), item("of system", system_id="owned"), item("nobodys"), item("gone", system_id="x")
    )
    found, _ = inventory.items(register, scope())
    assert sorted(inventory.orphan(found)["name"]) == ["gone", "nobodys"]


@pytest.mark.parametrize(("system", "finding"), [("s", "review expired"), ("s2", "complete"), ("nobody", "tier unknown")])
def test_a_company_may_ask_for_other_days_between_reviews(register: Ledger, system: str, finding: str) -> None:
    register.put("ledger_meta", {"key": KEY, "value": Definitions(review_days=60, tier_1_review_days=59).json()})
    register.put("inventory_items", item("m", system_id=system))  # reviewed 60 days before the last day of the window
    assert findings(register)["m"] == finding
