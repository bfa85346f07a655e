"""Time to sign-off: business days, rounds, what is censored, and what few cases may say."""

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf

from metrics.signoff import business_days, is_changed, time_to_signoff
from tests.metrics.ledger import Ledger, ledger, scope

__all__ = ["ledger"]
TUESDAY = datetime(2026, 9, 1, 9)


def review(number: int, days: int | None, **columns: Any) -> dict[str, Any]:
    """An architecture review of the first of September, decided so many business days later."""
    decided = None if days is None else datetime.fromisoformat(str(np.busday_offset(TUESDAY.date(), days))) + timedelta(hours=12)
    given = {"review_id": f"V{number}", "subject_id": f"S{number}", "type": "architecture", "submitted_at": TUESDAY, "round": 1}
    return {**given, "decided_at": decided, "outcome": None if days is None else "approved", **columns}


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (date(2026, 9, 1), date(2026, 9, 1), 0),
        (date(2026, 9, 1), date(2026, 9, 2), 1),
        (date(2026, 9, 4), date(2026, 9, 7), 1),
        (date(2026, 9, 5), date(2026, 9, 6), 0),
        (date(2026, 9, 1), date(2026, 9, 15), 9),
    ],
)
def test_weekends_and_holidays_are_no_business_days(start: date, end: date, days: int) -> None:
    assert business_days(start, end, [date(2026, 9, 11), date(2026, 9, 12)]) == days


@given(st.dates(date(2026, 1, 1), date(2026, 12, 31)), st.integers(0, 200), st.sets(st.integers(0, 200)))
def test_business_days_are_counted_one_by_one(start: date, length: int, off: set[int]) -> None:
    holidays = {start + timedelta(days=n) for n in off}
    days = [start + timedelta(days=n) for n in range(1, length + 1)]
    assert business_days(start, start + timedelta(days=length), sorted(holidays)) == sum(
        day.weekday() < 5 and day not in holidays for day in days
    )


def test_open_and_withdrawn_cases_are_censored_in_the_median_of_the_worked_example(ledger: Ledger) -> None:
    events, censored = [3, 5, 6, 8, 8, 12, 14], [7, 10, 15]
    ledger.put("reviews", *(review(number, days) for number, days in enumerate(events)))
    ledger.put("reviews", *(review(10 + number, days, outcome="withdrawn") for number, days in enumerate(censored)))
    found = time_to_signoff(ledger, scope())
    curve = ecdf(CensoredData(uncensored=events, right=censored)).sf
    expected = next(at for at, left in zip(curve.quantiles, curve.probabilities, strict=True) if left <= 0.5)
    assert (found.value, found.interval, found.n) == (expected, (3, 14), 10)
    assert found.value == 8
    assert "3 withdrawn" in found.note


def test_without_censoring_the_median_has_the_order_statistics_around_it(ledger: Ledger) -> None:
    ledger.put("reviews", *(review(days, days) for days in range(1, 11)))
    found = time_to_signoff(ledger, scope())
    assert (found.value, found.interval) == (5.5, (2, 9))


def test_the_clock_runs_from_round_one_to_the_first_final_decision(ledger: Ledger) -> None:
    ledger.put(
        "reviews",
        review(1, 4, outcome="rework_major"),
        review(2, 9, subject_id="S1", round=2, submitted_at=datetime(2026, 9, 9), outcome="rejected"),
        *(review(number, 9) for number in range(3, 8)),
    )
    found = time_to_signoff(ledger, scope())
    assert (found.value, found.n) == (9, 6)


def test_what_is_decided_after_the_window_was_open_at_its_end(ledger: Ledger) -> None:
    ledger.put("reviews", *(review(number, 3) for number in range(3)), review(9, 40))
    found = time_to_signoff(ledger, scope())
    assert "1 open, oldest 21 days" in found.note
    assert found.n == 4


def test_few_cases_are_listed_instead_of_trusted(ledger: Ledger) -> None:
    ledger.put("reviews", review(1, 2), review(2, 8, on_hold_days=3.0), review(3, None))
    found = time_to_signoff(ledger, scope())
    assert (found.value, found.state, found.interval) == (5, "LOW_CONFIDENCE", None)
    assert found.note == "1 open, oldest 21 days · only 3: 2, 8, >21 days · 3 days on hold in 1 case, not subtracted"


def test_a_median_that_is_not_reached_is_named_as_longer_than_the_longest(ledger: Ledger) -> None:
    ledger.put("reviews", review(1, 2), *(review(number, None) for number in range(2, 7)))
    found = time_to_signoff(ledger, scope())
    assert found.value is None
    assert "median not reached, more than 21 days" in found.note


def test_dates_that_contradict_each_other_are_counted_and_left_out(ledger: Ledger) -> None:
    ledger.put(
        "reviews",
        review(1, 5),
        review(2, None, decided_at=datetime(2026, 8, 1), outcome="approved"),
        review(3, None, outcome="approved"),
        review(4, 5, round=2),
    )
    found = time_to_signoff(ledger, scope())
    assert found.exclusions == {"decided before submitted": 1, "decided without a date": 1, "first round missing": 1}
    assert found.n == 1


def test_nothing_decided_says_how_much_is_open(ledger: Ledger) -> None:
    ledger.put("reviews", review(1, None), review(2, None, type="security"))
    found = time_to_signoff(ledger, scope())
    assert (found.state, found.note) == ("NOT_APPLICABLE", "No decided reviews (1 open, oldest 21 days)")


def test_classes_are_told_apart_and_a_subjects_system_filters(ledger: Ledger) -> None:
    ledger.put("initiatives", {"initiative_id": "S1", "system_id": "claims", "valid_from": datetime(1970, 1, 1)})
    ledger.put("reviews", *(review(number, 2, pattern_class="standard") for number in range(4)))
    ledger.put("reviews", *(review(number, 9, pattern_class="novel") for number in range(4, 6)))
    assert "novel 9 (n 2), standard 2 (n 4)" in time_to_signoff(ledger, scope()).note
    assert time_to_signoff(ledger, scope(system="claims")).n == 1


def test_a_change_needs_mann_whitney(ledger: Ledger) -> None:
    ledger.put("reviews", *(review(number, number % 3) for number in range(12)))
    fast = time_to_signoff(ledger, scope())
    ledger.put("reviews", *(review(number, 12 + number % 3) for number in range(20, 60)))
    assert is_changed(fast, time_to_signoff(ledger, scope()))
    assert not is_changed(fast, fast)
