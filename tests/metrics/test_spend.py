"""Spend adds up: whatever the rows, every breakdown, every filter and every cut of time sums to the headline exactly."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics import spend
from metrics.filters import UNATTRIBUTED, Period
from metrics.usage import usage
from tests.metrics.ledger import SEPTEMBER, Ledger, scope

BILLED, TRACED = ("system", "team", "provider", "model"), ("system", "team", "provider", "model", "environment")
USD = st.integers(-(10**13), 10**15).map(lambda units: Decimal(units).scaleb(-12))
NAMES = st.sampled_from([None, "a", "b", "c"])
CHARGES = st.lists(
    st.fixed_dictionaries(
        {
            "charge_period_start": st.integers(0, 29).map(lambda day: datetime(2026, 9, 1) + timedelta(days=day)),
            "charge_category": st.sampled_from(["Usage", "Usage", "Tax", "Credit"]),
            "service_category": st.just("AI and Machine Learning"),
            "provider": st.sampled_from(["openai", "anthropic"]),
            "model": NAMES,
            "system": NAMES,
            "team": NAMES,
            "usd_billed_cost": USD,
        }
    ),
    min_size=1,
    max_size=12,
)
CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "hour": st.integers(0, 30 * 24 - 1).map(lambda hour: datetime(2026, 9, 1) + timedelta(hours=hour)),
            "provider": st.sampled_from(["openai", None]),
            "model": NAMES,
            "system": NAMES,
            "team": NAMES,
            "environment": st.sampled_from(["production", "staging", None]),
            "calls": st.integers(1, 1000),
            "requests": st.integers(0, 1000),
            "failed_calls": st.integers(0, 10),
            "input_tokens": st.one_of(st.none(), st.integers(0, 10**12)),
            "cost_usd": st.one_of(st.none(), USD),
        }
    ),
    min_size=1,
    max_size=12,
)
few = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(scope="module")
def shared() -> Iterator[Ledger]:
    ledger = Ledger()
    yield ledger
    ledger.close()


def fill(ledger: Ledger, table: str, rows: list[dict[str, Any]]) -> None:
    with ledger.transaction() as cursor:
        cursor.execute("delete from charges")
        cursor.execute("delete from usage_hour")
    ledger.put(table, *rows)


def known(values: list[Decimal | None]) -> Decimal | None:
    found = [value for value in values if value is not None]
    return sum(found, Decimal(0)) if found else None


@few
@given(CHARGES)
def test_any_bill_adds_up_by_any_dimension(shared: Ledger, rows: list[dict[str, Any]]) -> None:
    fill(shared, "charges", rows)
    found = spend.spend(shared, scope())
    assert found.basis == "billed"
    assert found.total_usd == sum(row["usd_billed_cost"] for row in rows)
    for name in ("day", "kind", *BILLED):
        assert found.by(name)["cost_usd"].sum() == found.total_usd
    assert found.by_day()["cost_usd"].sum() + found.other_usd == found.total_usd


@few
@given(CHARGES, st.sampled_from(BILLED))
def test_the_parts_that_filters_leave_of_a_bill_make_up_the_whole(shared: Ledger, rows: list[dict[str, Any]], name: str) -> None:
    fill(shared, "charges", rows)
    parts = [
        spend.spend(shared, scope(**{name: value}), "billed").total_usd for value in ("a", "b", "c", "openai", "anthropic", UNATTRIBUTED)
    ]
    assert known(parts) == spend.spend(shared, scope()).total_usd


@few
@given(CHARGES, st.integers(1, 29))
def test_two_windows_side_by_side_make_up_the_one_of_both(shared: Ledger, rows: list[dict[str, Any]], days: int) -> None:
    fill(shared, "charges", rows)
    cut = SEPTEMBER.start + timedelta(days=days)
    windows = (Period(SEPTEMBER.start, cut), Period(cut, SEPTEMBER.end))
    assert known([spend.spend(shared, scope(window), "billed").total_usd for window in windows]) == spend.spend(shared, scope()).total_usd


@few
@given(CHARGES)
def test_movers_make_up_the_headline_and_its_change(shared: Ledger, rows: list[dict[str, Any]]) -> None:
    earlier = [{**row, "charge_period_start": row["charge_period_start"] - timedelta(days=31)} for row in rows[::2]]
    fill(shared, "charges", rows + earlier)
    now = spend.spend(shared, scope())
    before = spend.spend(shared, scope(SEPTEMBER.previous()), now.basis)
    found = spend.movers(shared, scope(), now)
    assert len({row["system"] for row in found}) == len(found)
    assert known([row["cost_usd"] for row in found]) == now.total_usd
    if before.total_usd is not None:
        assert known([row["change_usd"] for row in found]) == (now.total_usd or 0) - before.total_usd
    if now.total_usd and now.total_usd > 0:
        assert sum(row["share"] or 0 for row in found) == pytest.approx(1)


@few
@given(CALLS)
def test_any_traces_add_up_by_any_dimension_and_unknown_cost_is_not_nothing(shared: Ledger, rows: list[dict[str, Any]]) -> None:
    fill(shared, "usage_hour", rows)
    found = spend.spend(shared, scope())
    assert found.basis == "traced"
    assert found.total_usd == known([row["cost_usd"] for row in rows])
    for name in ("day", *BILLED):
        assert known(found.by(name)["cost_usd"].to_list()) == found.total_usd


@few
@given(CALLS, st.sampled_from(TRACED))
def test_the_parts_that_filters_leave_of_the_traces_make_up_the_whole(shared: Ledger, rows: list[dict[str, Any]], name: str) -> None:
    fill(shared, "usage_hour", rows)
    parts = [usage(shared, scope(**{name: value})) for value in ("a", "b", "c", "openai", "production", "staging", UNATTRIBUTED)]
    whole = usage(shared, scope())
    for measure in ("calls", "requests", "failed_calls"):
        assert sum(getattr(part, measure) for part in parts) == getattr(whole, measure)
    assert known([part.cost_usd for part in parts]) == whole.cost_usd
    tokens = [part.input_tokens for part in parts if part.input_tokens is not None]
    assert (sum(tokens) if tokens else None) == whole.input_tokens


def test_effective_cost_by_day_says_how_much_nobody_owns_and_leaves_out_what_is_provisional(shared: Ledger) -> None:
    day = datetime(2026, 9, 3)
    row = {"charge_period_start": day, "charge_category": "Usage", "provider": "openai", "model": "m", "usd_billed_cost": Decimal(9)}
    fill(
        shared,
        "charges",
        [
            {**row, "usd_effective_cost": Decimal(5), "system": "a"},
            {**row, "usd_effective_cost": Decimal(2)},
            {**row, "usd_effective_cost": Decimal(100), "provisional": True},
        ],
    )
    assert spend.effective_by_day(shared, scope()).rows() == [(date(2026, 9, 3), Decimal(7), Decimal(2))]
    assert spend.effective_by_day(shared, scope(system="a"))["cost_usd"].to_list() == [5]


def test_an_environment_that_bills_do_not_know_does_not_split_effective_cost(shared: Ledger) -> None:
    fill(shared, "charges", [{"charge_period_start": datetime(2026, 9, 3), "model": "m", "usd_effective_cost": Decimal(5)}])
    assert spend.effective_by_day(shared, scope(environment="staging"))["cost_usd"].to_list() == [5]


def test_without_charges_no_day_is_closed_and_a_late_provider_holds_the_window_open(shared: Ledger) -> None:
    row = {"charge_category": "Usage", "model": "m"}
    fill(shared, "charges", [])
    assert spend.closed_until(shared, scope()) is None
    fill(
        shared,
        "charges",
        [
            {**row, "provider": "openai", "charge_period_start": datetime(2026, 9, 20)},
            {**row, "provider": "anthropic", "charge_period_start": datetime(2026, 9, 18)},
        ],
    )
    assert spend.closed_until(shared, scope()) == datetime(2026, 9, 19)


def test_the_last_days_of_a_mover_are_as_many_as_the_window_has_up_to_28(shared: Ledger) -> None:
    row = {"charge_category": "Usage", "model": "m", "system": "a", "usd_billed_cost": Decimal(2)}
    fill(shared, "charges", [{**row, "charge_period_start": datetime(2026, 9, day)} for day in (1, 3, 30)])
    for period, days in (("2026-09", 28), ("2026-09-01..2026-09-07", 7)):
        window = scope(Period.parse(period))
        [found] = spend.movers(shared, window, spend.spend(shared, window))
        assert len(found["days"]) == days
        assert sum(found["days"]) == 4
