"""KPI 2, time to architecture sign-off: business days from the first submission of a design to its final decision."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from metrics import survival
from metrics.census import counted
from metrics.engines import Engine
from metrics.filters import Scope
from metrics.kpi import Evidence, Kpi, Measurement
from metrics.registers import DIMENSIONS, SYSTEM_OF_SUBJECT

MINIMUM = 5
FINAL = "('approved', 'conditions_minor', 'rejected')"

# One row per case: round 1 starts a case, and later rounds of the subject belong to the case before them. What was decided
# after the window was open at its end. `broken` are cases whose dates contradict each other or are missing.
CASES = f"""
with rounds as (
    select r.subject_id as subject_id, r.submitted_at as submitted_at, r.decided_at as decided_at, r.outcome as outcome,
           r.pattern_class as pattern_class, r.on_hold_days as on_hold_days, coalesce(r.round, 1) as round,
           sum(case when coalesce(r.round, 1) = 1 then 1 else 0 end)
               over (partition by r.subject_id order by r.submitted_at, r.round, r.review_id) as case_number
    from reviews r where r.type = 'architecture' and r.submitted_at < $end
), cases as (
    select r.subject_id as subject_id, r.case_number as case_number, min(r.submitted_at) as submitted_at, max(r.round) as rounds,
           min(r.round) as first_round, max(r.pattern_class) as pattern_class, coalesce(sum(r.on_hold_days), 0) as on_hold_days,
           min(case when r.outcome in {FINAL} and r.decided_at < $end then r.decided_at end) as decided_at,
           min(case when r.outcome = 'withdrawn' and r.decided_at < $end then r.decided_at end) as withdrawn_at,
           max(case when r.outcome = 'withdrawn' and r.decided_at is null then 1 else 0 end) as is_withdrawn_undated,
           max(case when r.decided_at < r.submitted_at then 1 else 0 end) as is_reversed,
           max(case when r.outcome in {FINAL} and r.decided_at is null then 1 else 0 end) as is_undated
    from rounds r group by 1, 2
)
select r.subject_id as subject_id, coalesce(i.system_id, s.system_id) as system, s.team as team, r.pattern_class as pattern_class,
       r.submitted_at as submitted_at, r.decided_at as decided_at, r.withdrawn_at as withdrawn_at, r.rounds as rounds,
       r.on_hold_days as on_hold_days, r.is_withdrawn_undated as is_withdrawn_undated,
       case when r.is_reversed = 1 then 'decided before submitted' when r.is_undated = 1 then 'decided without a date'
            when r.first_round > 1 then 'first round missing' end as broken
from cases r {SYSTEM_OF_SUBJECT}
"""
IN_SCOPE = "select * from ({cases}) c where {where} order by c.submitted_at desc, c.subject_id"
HOLIDAYS = 'select h."date" as day from holidays h order by 1'


def business_days(start: date, end: date, holidays: Sequence[date] = ()) -> int:
    """Business days after the first day up to and including the last; none on the same day."""
    one = timedelta(days=1)
    return int(np.busday_count(start + one, end + one, holidays=list(holidays)))


def time_to_signoff(engine: Engine, scope: Scope) -> Measurement:
    """Median business days of the designs that were first submitted in the window; open and withdrawn ones are censored."""
    where, params = scope.where("submitted_at", only=DIMENSIONS, prefix="c.")
    sql = IN_SCOPE.format(cases=CASES, where=where)
    found = engine.query(sql, params).to_dicts()
    evidence = Evidence(sql, params)
    cases = [case for case in found if case["broken"] is None]
    reasons = [case["broken"] for case in found if case["broken"] is not None]
    broken = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    holidays = engine.query(HOLIDAYS)["day"].to_list()
    for case in cases:
        ended = case["decided_at"] or case["withdrawn_at"]
        case["days"] = business_days(case["submitted_at"].date(), ended.date() if ended else scope.period.last_day, holidays)
    decided = [case for case in cases if case["decided_at"]]
    waiting = [case for case in cases if not case["decided_at"]]
    still_open = [case for case in waiting if not case["withdrawn_at"] and not case["is_withdrawn_undated"]]
    events, censored = ([float(case["days"]) for case in group] for group in (decided, waiting))
    if not events:
        note = f"No decided reviews ({_open(still_open) or '0 open'})"
        return Measurement(None, n=len(cases), state="NOT_APPLICABLE", note=note, exclusions=broken, evidence=evidence)
    median = _median(events, censored)
    notes = [
        _open(still_open),
        counted(len(waiting) - len(still_open), "withdrawn"),
        f"median not reached, more than {max(events + censored):.0f} days" if median.value is None else "",
        _values(events, censored) if len(cases) < MINIMUM else _by_class(cases),
        _on_hold(cases),
    ]
    interval = median.interval if len(cases) >= MINIMUM else None
    return Measurement(
        median.value,
        n=len(cases),
        interval=interval and (interval.low, interval.high),
        interval_method=interval.method if interval else None,
        exclusions=broken,
        state="LOW_CONFIDENCE" if len(cases) < MINIMUM else None,
        note=" · ".join(note for note in notes if note),
        samples={"days": events},
        evidence=evidence,
    )


def is_changed(before: Measurement, after: Measurement) -> bool:
    """Whether Mann-Whitney tells the decided durations of both windows apart."""
    shift = survival.mann_whitney(before.samples["days"], after.samples["days"])
    return shift is not None and shift.p < 0.05


def _median(events: Sequence[float], censored: Sequence[float]) -> survival.Quantile:
    is_curve = censored and len(events) + len(censored) >= MINIMUM
    return survival.kaplan_meier(events, censored) if is_curve else survival.median(events)


def _open(cases: Sequence[dict[str, Any]]) -> str:
    return f"{len(cases)} open, oldest {max(case['days'] for case in cases)} days" if cases else ""


def _values(events: Sequence[float], censored: Sequence[float]) -> str:
    waited = [f"{days:.0f}" for days in sorted(events)] + [f">{days:.0f}" for days in sorted(censored)]
    return f"only {len(waited)}: {', '.join(waited)} days"


def _by_class(cases: Sequence[dict[str, Any]]) -> str:
    """The median of every class of patterns, where there are several."""
    classes = sorted({case["pattern_class"] or "no class" for case in cases})
    said = []
    for name in classes:
        own = [case for case in cases if (case["pattern_class"] or "no class") == name]
        events, censored = ([float(case["days"]) for case in own if bool(case["decided_at"]) is ended] for ended in (True, False))
        median = _median(events, censored).value if events else None
        said.append(f"{name} {f'{median:g}' if median is not None else f'>{max(events + censored):.0f}'} (n {len(own)})")
    return ", ".join(said) if len(said) > 1 else ""


def _on_hold(cases: Sequence[dict[str, Any]]) -> str:
    held = [case["on_hold_days"] for case in cases if case["on_hold_days"]]
    days = f"{sum(held):g} {'day' if sum(held) == 1 else 'days'}"
    return f"{days} on hold in {counted(len(held), 'case', 'cases')}, not subtracted" if held else ""


KPIS = (
    Kpi(
        id="time_to_signoff",
        number=2,
        title="Time to architecture sign-off",
        block="Delivery and reuse",
        unit="days",
        better="lower",
        needs=("reviews",),
        no_data="No reviews loaded",
        fills="reviews.csv",
        definition="Median business days (weekends and listed holidays left out) from the first submission of an architecture review to "
        "its first final decision: approved, minor conditions or rejected. Counts designs first submitted in the window; open and "
        "withdrawn ones are censored (Kaplan-Meier).",
        dimensions=DIMENSIONS,
        measure=time_to_signoff,
        is_changed=is_changed,
    ),
)
