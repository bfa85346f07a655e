"""Error budgets of service level objectives, and how fast they burn: latency, errors and sampled quality."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import polars as pl

from metrics import quality, stats
from metrics.engines import Engine
from metrics.filters import Period, Scope
from metrics.registers import valid

Severity = Literal["page", "ticket"]
DEFAULT_WINDOW_DAYS = 30
FEW_BAD = 10

OBJECTIVES = f"""
select o.objective_id as objective_id, o.system_id as system, o.kind as kind, o.objective as objective,
       o.threshold_ms as threshold_ms, o.window_days as window_days
from objectives o where {valid("o")} and {{where}} order by 1
"""
# Good and bad events by minute. Latency counts answers only: a call that failed has no time to an answer.
MINUTES = {
    "errors": "count(*) as valid, sum(case when c.error_type is not null then 1 else 0 end) as bad",
    "latency": "sum(case when c.error_type is null and c.duration_ms is not null then 1 else 0 end) as valid, "
    "sum(case when c.error_type is null and c.duration_ms > $threshold_ms then 1 else 0 end) as bad",
}
EVENTS = """
select date_trunc('minute', c.started_at) as minute, {counts} from calls c
where c.system = $system and c.started_at >= $start and c.started_at < $end
  and c.environment in ('production', 'prod', 'default') group by 1 order by 1
"""


@dataclass(frozen=True)
class BurnRule:
    """Alert when both windows burn faster than `burn` times what uses the budget up exactly at its end."""

    severity: Severity
    burn: float
    long: timedelta
    short: timedelta


# SRE workbook, chapter 5: 2, 5 and 10 % of a 30-day budget.
RULES = (
    BurnRule("page", 14.4, timedelta(hours=1), timedelta(minutes=5)),
    BurnRule("page", 6, timedelta(hours=6), timedelta(minutes=30)),
    BurnRule("ticket", 1, timedelta(days=3), timedelta(hours=6)),
)
# A sample says nothing about minutes.
QUALITY_RULES = (BurnRule("ticket", 1, timedelta(days=28), timedelta(days=3)),)


@dataclass(frozen=True)
class Objective:
    """What a system promises: the share of events that are good."""

    objective_id: str
    system: str
    kind: Literal["latency", "errors", "quality"]
    objective: float
    threshold_ms: float | None
    window_days: int

    @property
    def allowed(self) -> float:
        """The share of events that may be bad."""
        return 1 - self.objective


@dataclass(frozen=True)
class Alert:
    """A time during which the budget burned too fast."""

    severity: Severity
    burn: float
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Budget:
    """An objective at the end of a period: its events in its own window, what is left, and the alerts of the period."""

    objective: Objective
    valid: int
    bad: int
    alerts: tuple[Alert, ...]
    burning: tuple[Alert, ...]  # those that had not ended with the period

    @property
    def used(self) -> float | None:
        """The share of the budget that is used; more than 1 is overdrawn. None without events."""
        return self.bad / (self.valid * self.objective.allowed) if self.valid else None

    @property
    def good_share(self) -> float | None:
        return 1 - self.bad / self.valid if self.valid else None


def budgets(engine: Engine, scope: Scope) -> list[Budget]:
    """Every objective of the scope's system, or of all, as the register had it at the end of the period."""
    where = "1 = 1"
    params: dict[str, Any] = {"end": scope.period.end}
    if system := scope.dimensions.get("system"):
        where, params = "o.system_id = $system", params | {"system": system}
    rows = engine.query(OBJECTIVES.format(where=where), params).to_dicts()
    return [budget(engine, Objective(**{**row, "window_days": row["window_days"] or DEFAULT_WINDOW_DAYS}), scope.period) for row in rows]


def budget(engine: Engine, objective: Objective, period: Period) -> Budget:
    """One objective; its window ends with the period."""
    rules = QUALITY_RULES if objective.kind == "quality" else RULES
    opens = period.end - timedelta(days=objective.window_days)
    events = _events(engine, objective, min(opens, period.start - max(rule.long for rule in rules)), period.end)
    inside = events.filter(pl.col("minute") >= opens)
    found = [alert for rule in rules for alert in alerts(events, objective, rule) if alert.end > period.start]
    burning = tuple(alert for alert in found if alert.end >= period.end)
    return Budget(objective, int(inside["valid"].sum()), int(inside["bad"].sum()), tuple(found), burning)


def is_burning(valid: int, bad: int, allowed: float, burn: float, is_sample: bool = False) -> bool:
    """Whether a window burns faster than `burn`. With little traffic, where ten bad events would not be reached at that rate, one
    or two failures are no alarm: it takes ten bad events and the lower end of the interval. Of a sample always the latter."""
    limit = burn * allowed
    if not valid or bad / valid <= limit:
        return False
    if valid * limit >= FEW_BAD and not is_sample:
        return True
    interval = stats.wilson(bad, valid)
    return (is_sample or bad >= FEW_BAD) and interval is not None and interval.low > limit


def alerts(events: pl.DataFrame, objective: Objective, rule: BurnRule) -> list[Alert]:
    """When a rule held, looked at every time that something bad happened; it ends when the short window has passed it."""
    if events.is_empty() or not events["bad"].sum():
        return []
    windows = [_rolling(events, size) for size in (rule.long, rule.short)]
    is_sample = objective.kind == "quality"
    found: list[Alert] = []
    for place in range(events.height):
        if not events["bad"][place]:
            continue
        at = events["minute"][place] + timedelta(minutes=1)
        (valid, bad), (recent_valid, recent_bad) = (window[place] for window in windows)
        holds = is_burning(valid, bad, objective.allowed, rule.burn, is_sample)
        # The short window only says that it still goes on, so it needs no number of events of its own.
        goes_on = bool(recent_valid) and recent_bad / recent_valid > rule.burn * objective.allowed
        if is_sample:
            goes_on = is_burning(recent_valid, recent_bad, objective.allowed, rule.burn, is_sample)
        if holds and goes_on:
            last = found.pop() if found and at <= found[-1].end else Alert(rule.severity, rule.burn, at, at)
            found.append(Alert(rule.severity, rule.burn, last.start, at + rule.short))
    return found


def _rolling(events: pl.DataFrame, size: timedelta) -> Sequence[tuple[int, int]]:
    """Good and bad events in the window that ends with each minute."""
    sums = [pl.col(name).rolling_sum_by("minute", window_size=size).alias(name) for name in ("valid", "bad")]
    return events.select(sums).rows()


def _events(engine: Engine, objective: Objective, start: datetime, end: datetime) -> pl.DataFrame:
    """Valid and bad events by minute."""
    if objective.kind == "quality":
        return _judged(engine, objective, Period(start, end))
    params: dict[str, Any] = {"system": objective.system, "start": start, "end": end}
    if objective.kind == "latency":
        if objective.threshold_ms is None:
            raise ValueError(f"objective {objective.objective_id} of latency has no threshold_ms")
        params["threshold_ms"] = objective.threshold_ms
    found = engine.query(EVENTS.format(counts=MINUTES[objective.kind]), params)
    return found.with_columns(pl.col("valid", "bad").cast(pl.Int64))


def _judged(engine: Engine, objective: Objective, period: Period) -> pl.DataFrame:
    """Judged answers: what the KPI of unsupported claims counts, one event an answer."""
    verdicts = quality.verdicts(engine, Scope(period, {"system": objective.system}), quality.UNSUPPORTED)
    rows, _ = quality.sound(quality.newest_series(quality.delivered(verdicts)))
    judged = rows.filter(pl.col("kind") != "human")
    answers = judged.group_by("item").agg(pl.col("at").min(), pl.col("is_bad").max())
    minutes = answers.group_by(pl.col("at").dt.truncate("1m").alias("minute"))
    return minutes.agg(pl.len().cast(pl.Int64).alias("valid"), pl.col("is_bad").sum().cast(pl.Int64).alias("bad")).sort("minute")
