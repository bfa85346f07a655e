"""Period, scope and dimensions: from what a person chose to WHERE and parameters."""

import calendar
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from metrics.engines import Engine

# The dimensions a view can be filtered by; each is a column of `calls` and of the rollups.
DIMENSIONS = ("system", "team", "provider", "model", "environment")
BILLED_DIMENSIONS = ("system", "team", "provider", "model")  # those that bills know, too
UNATTRIBUTED = "unattributed"


class PeriodError(ValueError):
    """A period text that names no month, quarter, week or range of days."""


@dataclass(frozen=True)
class Period:
    """Half-open in UTC: start inclusive, end exclusive; both at midnight."""

    start: datetime
    end: datetime

    @staticmethod
    def parse(text: str) -> "Period":
        """'2026-09', '2026-Q3', '2026-W41', '2026-09-01..2026-09-21' (last day included). Raises PeriodError."""
        try:
            return _parse(text.strip())
        except (ValueError, OverflowError) as error:
            raise PeriodError(f"'{text}' is no period; use 2026-09, 2026-Q3, 2026-W41 or 2026-09-01..2026-09-21") from error

    @property
    def label(self) -> str:
        """The text that parses to this period, as short as it can be."""
        first, last = self.start.date(), (self.end - timedelta(days=1)).date()
        if (first.day, last) == (1, _month_end(first)):
            return f"{first:%Y-%m}"
        if (
            (first.day, last.day) == (1, calendar.monthrange(last.year, last.month)[1])
            and first.month % 3 == 1
            and (last.year, last.month) == (first.year, first.month + 2)
        ):
            return f"{first.year}-Q{(first.month + 2) // 3}"
        if first.weekday() == 0 and (self.end - self.start).days == 7:
            return "{}-W{:02d}".format(*first.isocalendar()[:2])
        return f"{first}..{last}"

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    @property
    def is_whole_months(self) -> bool:
        return self.start.day == 1 and self.end.day == 1

    def previous(self) -> "Period":
        """The comparable period just before: the month before a month, the quarter before a quarter, else as many days."""
        first, last = self.start.date(), (self.end - timedelta(days=1)).date()
        if first.day == 1 and last == _month_end(last):
            months = (last.year - first.year) * 12 + last.month - first.month + 1
            return Period(_add_months(self.start, -months), self.start)
        return Period(self.start - (self.end - self.start), self.start)

    @property
    def last_day(self) -> date:
        return (self.end - timedelta(days=1)).date()

    def two_quarters(self) -> "Period":
        """The calendar quarter before the one of the last day, and that one up to and including the last day."""
        last = self.last_day
        return Period(_add_months(datetime(last.year, (last.month - 1) // 3 * 3 + 1, 1), -3), self.end)


def _parse(text: str) -> Period:
    if match := re.fullmatch(r"(\d{4})-(\d{2})", text):
        start = datetime(int(match[1]), int(match[2]), 1)
        return Period(start, _add_months(start, 1))
    if match := re.fullmatch(r"(\d{4})-Q([1-4])", text):
        start = datetime(int(match[1]), int(match[2]) * 3 - 2, 1)
        return Period(start, _add_months(start, 3))
    if match := re.fullmatch(r"(\d{4})-W(\d{2})", text):
        start = datetime.fromisocalendar(int(match[1]), int(match[2]), 1)
        return Period(start, start + timedelta(days=7))
    if match := re.fullmatch(r"(\d{4}-\d{2}-\d{2})\.\.(\d{4}-\d{2}-\d{2})", text):
        start, last = datetime.fromisoformat(match[1]), datetime.fromisoformat(match[2])
        if last >= start:
            return Period(start, last + timedelta(days=1))
    raise ValueError(text)


def _add_months(moment: datetime, months: int) -> datetime:
    index = moment.year * 12 + moment.month - 1 + months
    return moment.replace(year=index // 12, month=index % 12 + 1)


def _month_end(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


@dataclass(frozen=True)
class Scope:
    """What a number is about: a period and, per dimension, one value (`unattributed` stands for NULL)."""

    period: Period
    dimensions: Mapping[str, str] = field(default_factory=dict)

    def with_period(self, period: Period) -> "Scope":
        return replace(self, period=period)

    def with_dimensions(self, dimensions: Mapping[str, str]) -> "Scope":
        return replace(self, dimensions=dimensions)

    def where(self, time: str, only: tuple[str, ...] = DIMENSIONS, prefix: str = "") -> tuple[str, dict[str, Any]]:
        """A condition over a time column and the dimensions that the table has, with its parameters."""
        terms = [f"{prefix}{time} >= $start", f"{prefix}{time} < $end"]
        params: dict[str, Any] = {"start": self.period.start, "end": self.period.end}
        for name in only:
            value = self.dimensions.get(name)
            if value == UNATTRIBUTED:
                terms.append(f"{prefix}{name} is null")
            elif value is not None:
                terms.append(f"{prefix}{name} = ${name}")
                params[name] = value
        return " and ".join(terms), params

    def unsupported(self, only: tuple[str, ...]) -> list[str]:
        """The chosen dimensions that a table with the columns `only` cannot be filtered by."""
        return sorted(set(self.dimensions) - set(only))


def default_period(engine: Engine) -> Period | None:
    """The last complete month that the ledger's calls or charges cover; the month under way when none is complete."""
    span = engine.query("""
        select min(t.first_day) as first_day, max(t.last_day) as last_day from (
            select min(u.hour) as first_day, max(u.hour) as last_day from usage_hour u
            union all
            select min(c.charge_period_start) as first_day, max(c.charge_period_start) as last_day from charges c) as t
        """).row(0)
    if span[0] is None:
        return None
    first, last = span[0], span[1].date()
    month = datetime(last.year, last.month, 1)
    if last != _month_end(last) and month > first:
        month = _add_months(month, -1)
    return Period(month, _add_months(month, 1))


def months(engine: Engine) -> list[Period]:
    """Every month that the ledger's calls or charges touch, newest first."""
    starts = engine.query("""
        select distinct t.month as month from (
            select date_trunc('month', u.hour) as month from usage_hour u
            union all
            select date_trunc('month', c.charge_period_start) as month from charges c) as t
        where t.month is not null order by 1 desc""")["month"].to_list()
    found = (datetime(start.year, start.month, 1) for start in starts)
    return [Period(start, _add_months(start, 1)) for start in found]


def weeks(found: Sequence[Period], most: int) -> list[Period]:
    """The last whole weeks, newest first, within months that come newest first."""
    if not found:
        return []
    monday = found[0].end - timedelta(days=found[0].end.weekday())
    starts = (monday - timedelta(weeks=back) for back in range(1, most + 1))
    return [Period(start, start + timedelta(weeks=1)) for start in starts if start >= found[-1].start]


def values(engine: Engine) -> dict[str, list[str]]:
    """What each dimension can be filtered by, `unattributed` last where rows without a value exist."""
    found = {}
    for name in DIMENSIONS:
        billed = f" union select distinct c.{name} as name from ai_charges c" if name in BILLED_DIMENSIONS else ""
        column = engine.query(f"select distinct u.{name} as name from usage_hour u{billed} order by 1")["name"]
        found[name] = column.drop_nulls().to_list() + ([UNATTRIBUTED] if column.null_count() else [])
    return found


def system_names(engine: Engine) -> dict[str, str]:
    """The name of each registered system, as the register has it last."""
    rows = engine.query("select s.system_id as id, s.name as name from systems s order by s.valid_from").rows()
    return dict(rows)
