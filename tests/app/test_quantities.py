"""Quantities read as people write them, and what is not known is never a number."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import quantities
from app.quantities import MINUS, NB, UNKNOWN

UNITS = ("share", "hours", "days", "usd", "per_million", "score")


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (41485.65, "$41,486"),
        (Decimal("41485.65"), "$41,486"),
        (9.41, "$9.41"),
        (99.999, "$100"),
        (0.0042, "$0.0042"),
        (0, "$0"),
        (-3696, "−$3,696"),
        (1e-9, "<$0.000001"),
        (None, "—"),
    ],
)
def test_money_in_a_headline_has_no_cents_that_nobody_reads(usd: float | Decimal | None, text: str) -> None:
    assert quantities.money(usd) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [(41485.65, "$41,485.65"), (Decimal("8257.59"), "$8,257.59"), (0.0042, "$0.0042"), (0, "$0.00"), (-5167, "−$5,167.00"), (None, "—")],
)
def test_money_in_a_table_is_exact_to_the_cent(usd: float | Decimal | None, text: str) -> None:
    assert quantities.money_cents(usd) == text


def test_a_signed_amount_has_a_plus_or_a_true_minus() -> None:
    assert quantities.money(1404, signed=True) == "+$1,404"
    assert quantities.money_cents(-0.5, signed=True) == f"{MINUS}$0.50"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (4_410_000, "4.41 M"),
        (12_300_000, "12.3 M"),
        (1_200_000_000, "1.2 B"),
        (9_999, "9,999"),
        (0, "0"),
        (10_000, "10 k"),
        (999_999, "1 M"),
        (123_456, "123 k"),
        (None, "—"),
    ],
)
def test_a_count_is_exact_below_ten_thousand_and_short_above(number: int | None, text: str) -> None:
    assert quantities.count(number) == text.replace(" ", NB)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.031, "3.1 %"), (0.0004, "0.04 %"), (0, "0 %"), (1, "100 %"), (0.99996, ">99.9 %"), (0.000001, "<0.01 %"), (None, "—")],
)
def test_a_share_never_reads_as_none_or_all_unless_it_is(share: float | None, text: str) -> None:
    assert quantities.percent(share) == text.replace(" ", NB)


def test_a_difference_of_shares_is_in_points() -> None:
    assert quantities.points(0.009) == f"0.9{NB}pp"
    assert quantities.points(-0.009, signed=True) == f"{MINUS}0.9{NB}pp"


@pytest.mark.parametrize(
    ("hours", "text"),
    [(38 / 60, "38 min"), (2.8, "2 h 48 min"), (42 / 3600, "42 s"), (31, "31 h"), (76, "3 d 4 h"), (0, "0 min"), (None, "—")],
)
def test_a_duration_is_in_the_units_that_people_say(hours: float | None, text: str) -> None:
    assert quantities.duration(hours) == text.replace(" ", NB)


def test_an_interval_names_its_unit_once() -> None:
    assert quantities.interval(0.025, 0.038, "share") == f"2.5 to 3.8{NB}%"
    assert quantities.interval(9.1, 12.4, "usd") == "$9.10 to $12.40"
    assert quantities.interval(0.5, 2.8, "hours") == f"30{NB}min to 2{NB}h{NB}48{NB}min"
    assert quantities.interval(None, 0.04, "share") == UNKNOWN


@pytest.mark.parametrize("unit", UNITS)
def test_an_unknown_value_is_a_dash_in_every_unit(unit: str) -> None:
    assert quantities.quantity(None, unit) == UNKNOWN
    assert quantities.format_value(None, unit) == (UNKNOWN, "")


@given(st.floats(min_value=1e-9, max_value=1e9), st.sampled_from(UNITS[2:]))
def test_more_than_nothing_never_reads_as_nothing(value: float, unit: str) -> None:
    text = quantities.quantity(value, unit)
    assert any(digit in text for digit in "123456789") or unit == "days"


@pytest.mark.parametrize(
    ("target", "direction", "unit", "text"),
    [
        (0.7, "at_least", "share", "≥ 70 %"),
        (10, "at_most", "days", "≤ 10 days"),
        (0.025, "at_most", "share", "≤ 2.5 %"),
        ("improve", "at_most", "usd", "downward"),
        ("improve", "at_least", "share", "upward"),
        (None, None, "share", "no target"),
    ],
)
def test_a_target_says_on_which_side_it_is_met(target: float | str | None, direction: str | None, unit: str, text: str) -> None:
    assert quantities.target_words(target, direction, unit).replace(NB, " ") == text


@pytest.mark.parametrize(
    ("before", "after", "unit", "is_supported", "text"),
    [
        (100, 88, "usd", True, "fell 12 %"),
        (0.021, 0.030, "share", True, "rose 0.9 pp"),
        (100, 88, "usd", False, "no clear change"),
        (5, 5, "usd", True, "no change"),
        (None, 5, "usd", True, ""),
        (5, None, "usd", True, ""),
        (0, 5, "usd", True, "rose from 0"),
    ],
)
def test_a_change_rises_or_falls_only_where_the_evidence_supports_it(
    before: float | None, after: float | None, unit: str, is_supported: bool, text: str
) -> None:
    assert quantities.change_words(before, after, unit, is_supported=is_supported).replace(NB, " ") == text


def test_dates_and_times_read_as_written() -> None:
    assert quantities.day(date(2026, 9, 9)) == "9 Sep"
    assert quantities.days(date(2026, 9, 1), date(2026, 9, 22)) == "1–21 Sep 2026"
    assert quantities.days(date(2026, 9, 1), date(2026, 9, 2)) == "1 Sep 2026"
    assert quantities.days(date(2026, 8, 9), date(2026, 9, 22)) == "9 Aug – 21 Sep 2026"
    assert quantities.days(date(2025, 12, 30), date(2026, 1, 3)) == "30 Dec 2025 – 2 Jan 2026"
    assert quantities.moment(datetime(2026, 9, 24, 6, 10, tzinfo=UTC)) == "24 Sep 2026, 06:10 UTC"
