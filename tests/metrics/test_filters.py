"""Periods and scopes: texts that parse back, comparable windows, and conditions that say exactly what was chosen."""

import re
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import filters
from metrics.filters import DIMENSIONS, UNATTRIBUTED, Period, PeriodError, Scope
from tests.metrics.ledger import Ledger, ledger, scope

__all__ = ["ledger"]
DAYS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(hour=0, minute=0, second=0, microsecond=0))
YEARS = st.integers(2000, 2100)
TEXTS = st.one_of(
    st.builds("{}-{:02}".format, YEARS, st.integers(1, 12)),
    st.builds("{}-Q{}".format, YEARS, st.integers(1, 4)),
    st.builds("{}-W{:02}".format, YEARS, st.integers(1, 52)),
)


@given(DAYS, st.integers(1, 800))
def test_the_label_of_any_days_parses_back_to_them(start: datetime, days: int) -> None:
    period = Period(start, start + timedelta(days=days))
    assert Period.parse(period.label) == period


@given(TEXTS)
def test_a_month_a_quarter_and_a_week_keep_their_own_text(text: str) -> None:
    found = Period.parse(text).label
    assert found == text or ("W" in text and Period.parse(found) == Period.parse(text))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-09", datetime(2026, 9, 1), datetime(2026, 10, 1)),
        (" 2026-12 ", datetime(2026, 12, 1), datetime(2027, 1, 1)),
        ("2026-Q4", datetime(2026, 10, 1), datetime(2027, 1, 1)),
        ("2026-W01", datetime(2025, 12, 29), datetime(2026, 1, 5)),
        ("2026-W53", datetime(2026, 12, 28), datetime(2027, 1, 4)),
        ("2026-09-01..2026-09-21", datetime(2026, 9, 1), datetime(2026, 9, 22)),
        ("2026-09-01..2026-09-01", datetime(2026, 9, 1), datetime(2026, 9, 2)),
    ],
)
def test_a_period_begins_with_its_first_day_and_ends_before_the_day_after_its_last(text: str, start: datetime, end: datetime) -> None:
    assert Period.parse(text) == Period(start, end)


@pytest.mark.parametrize(
    "text",
    ["", "2026", "2026-13", "2026-00", "2026-Q5", "2026-W54", "2025-W53", "2026-9", "2026-09-21..2026-09-01", "2026-02-30..2026-03-01",
     "9999-12", "last month", "2026-09\n2026-10", "٢٠٢٦-13"],
)  # fmt: skip
def test_what_is_no_period_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(PeriodError, match=re.escape("use 2026-09, 2026-Q3, 2026-W41 or 2026-09-01..2026-09-21")):
        Period.parse(text)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("2026-09", "2026-08"),
        ("2026-01", "2025-12"),
        ("2026-03", "2026-02"),
        ("2026-Q1", "2025-Q4"),
        ("2026-W01", "2025-W52"),
        ("2026-09-01..2026-09-21", "2026-08-11..2026-08-31"),
        ("2026-07-01..2026-08-31", "2026-05-01..2026-06-30"),
        ("2026-01-01..2026-12-31", "2025-01-01..2025-12-31"),
    ],
)
def test_the_window_before_is_the_one_that_compares(text: str, before: str) -> None:
    assert Period.parse(text).previous() == Period.parse(before)


@given(DAYS, st.integers(1, 400))
def test_the_window_before_ends_where_this_one_begins(start: datetime, days: int) -> None:
    period = Period(start, start + timedelta(days=days))
    previous = period.previous()
    assert previous.end == period.start
    assert abs(previous.days - period.days) <= 3, "months differ by their lengths, everything else is as long"


def charge_on(ledger: Ledger, at: datetime) -> None:
    ledger.put("charges", {"charge_period_start": at, "charge_category": "Usage", "model": "m"})


def usage_on(ledger: Ledger, at: datetime) -> None:
    ledger.put("usage_hour", {"hour": at, "calls": 1, "requests": 1})


def test_an_empty_ledger_has_no_default_period_and_no_months(ledger: Ledger) -> None:
    assert filters.default_period(ledger) is None
    assert filters.months(ledger) == []


@pytest.mark.parametrize("put", [charge_on, usage_on])
@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (datetime(2026, 7, 1), datetime(2026, 9, 30, 23), "2026-09"),
        (datetime(2026, 7, 1), datetime(2026, 9, 29, 23), "2026-08"),
        (datetime(2026, 7, 1), datetime(2026, 10, 1), "2026-09"),
        (datetime(2026, 9, 3), datetime(2026, 9, 21), "2026-09"),
        (datetime(2025, 12, 1), datetime(2026, 1, 15), "2025-12"),
        (datetime(2028, 2, 1), datetime(2028, 2, 29), "2028-02"),
    ],
)
def test_the_default_period_is_the_last_complete_month_or_the_one_under_way(
    ledger: Ledger, put: object, first: datetime, last: datetime, expected: str
) -> None:
    for at in (first, last):
        put(ledger, at)  # type: ignore[operator]
    assert filters.default_period(ledger) == Period.parse(expected)


def test_months_are_those_that_calls_or_charges_touch_newest_first(ledger: Ledger) -> None:
    charge_on(ledger, datetime(2026, 7, 31))
    usage_on(ledger, datetime(2026, 9, 1))
    usage_on(ledger, datetime(2026, 9, 30, 23))
    assert [month.label for month in filters.months(ledger)] == ["2026-09", "2026-07"]


def test_a_condition_has_one_term_and_one_parameter_per_choice() -> None:
    found = scope(system="claims", team=UNATTRIBUTED, provider="openai")
    where, params = found.where("hour", prefix="u.")
    assert where == "u.hour >= $start and u.hour < $end and u.system = $system and u.team is null and u.provider = $provider"
    assert params == {"start": datetime(2026, 9, 1), "end": datetime(2026, 10, 1), "system": "claims", "provider": "openai"}
    assert found.where("day", only=()) == ("day >= $start and day < $end", {"start": datetime(2026, 9, 1), "end": datetime(2026, 10, 1)})


def test_a_value_is_a_parameter_and_never_part_of_the_query(ledger: Ledger) -> None:
    where, params = scope(system="x' or '1' = '1").where("hour", prefix="u.")
    usage_on(ledger, datetime(2026, 9, 3))
    assert ledger.query(f"select count(*) as n from usage_hour u where {where}", params).item() == 0


def test_the_first_moment_of_a_window_belongs_to_it_and_the_last_to_the_next(ledger: Ledger) -> None:
    for at in (datetime(2026, 8, 31, 23), datetime(2026, 9, 1), datetime(2026, 9, 30, 23), datetime(2026, 10, 1)):
        usage_on(ledger, at)
    where, params = scope().where("hour", prefix="u.")
    found = ledger.query(f"select u.hour as hour from usage_hour u where {where} order by 1", params)["hour"].to_list()
    assert found == [datetime(2026, 9, 1), datetime(2026, 9, 30, 23)]


def test_dimensions_that_a_table_does_not_have_are_named() -> None:
    assert scope(environment="staging", model="m", system="s").unsupported(("system", "team")) == ["environment", "model"]
    assert scope().unsupported(()) == []


def test_a_scope_with_another_period_or_other_dimensions_keeps_the_rest() -> None:
    august = Period.parse("2026-08")
    assert scope(system="s").with_period(august) == Scope(august, {"system": "s"})
    assert scope(system="s").with_dimensions({"team": "t"}) == scope(team="t")


def test_every_dimension_offers_its_values_in_order_and_what_has_none_last(ledger: Ledger) -> None:
    ledger.put_usage(1, system="b", team="Red")
    ledger.put_usage(1, system="a", provider="openai")
    ledger.put_usage(2, system=None, model="m")
    found = filters.values(ledger)
    assert found.keys() == set(DIMENSIONS)
    assert found["system"] == ["a", "b", UNATTRIBUTED]
    assert found["environment"] == ["production"]


def test_a_system_has_the_name_that_the_register_says_last(ledger: Ledger) -> None:
    ledger.put(
        "systems",
        {"system_id": "a", "name": "New", "valid_from": datetime(2026, 9, 1)},
        {"system_id": "a", "name": "Old", "valid_from": datetime(1970, 1, 1), "valid_to": datetime(2026, 9, 1)},
    )
    assert filters.system_names(ledger) == {"a": "New"}


def test_weeks_are_whole_ones_inside_the_months_newest_first() -> None:
    months = [Period.parse("2026-09"), Period.parse("2026-08")]
    found = [week.label for week in filters.weeks(months, 20)]
    assert (found[0], found[-1], len(found)) == ("2026-W39", "2026-W32", 8)
    assert [week.label for week in filters.weeks(months, 2)] == ["2026-W39", "2026-W38"]
    assert filters.weeks([], 3) == []
