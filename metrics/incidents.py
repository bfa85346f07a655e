"""KPI 4 and 5, AI incidents: how many per million production requests, and how long until they are mitigated."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl

from metrics import stats, survival
from metrics.definitions import definitions
from metrics.engines import Engine
from metrics.filters import Scope
from metrics.kpi import Evidence, Kpi, Measurement
from metrics.registers import about, valid

DIMENSIONS = ("system", "team")
NO_FEED = "No incident feed loaded"
PER_MILLION = 1_000_000
DAYS_IN_MONTH = 365.25 / 12
MINIMUM_FOR_INTERVAL = 5
TIMELINE: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(("incident_id", "title"), pl.String),
    "severity": pl.Int64,
    "system": pl.String,
    **dict.fromkeys(("started_at", "mitigated_at", "resolved_at", "detected_at", "acknowledged_at"), pl.Datetime("us")),
    **dict.fromkeys(("mitigated_source", "ai_cause"), pl.String),
    **dict.fromkeys(("ai", "children"), pl.Int64),
    "url": pl.String,
    "hours": pl.Float64,
    **dict.fromkeys(("is_open", "is_proxy"), pl.Boolean),
}

# Without a word about its environment a call counts as production: most emitters say nothing.
PRODUCTION = "u.environment in ('production', 'prod', 'default')"

# One row per incident, children merged into their parent where that is known. Tools name a service, which leads to a system
# by the register. An incident without a verdict on AI is AI's where its system is a registered one, not where its service is
# one of those that the company lists as not AI's, else unknown.
# Registers are read as they were at the end of the window.
INCIDENTS = """
with valid as (
    select s.system_id as system_id, s.team as team, s.service_names as service_names from systems s
    where s.valid_from < $end and (s.valid_to is null or $end <= s.valid_to)
), services as (
    select v.service as service, min(v.system_id) as system_id
    from (select unnest(s.service_names) as service, s.system_id as system_id from valid s) v group by 1
), known as (
    select i.incident_id as id, coalesce(p.incident_id, i.incident_id) as root, i.title as title, i.severity as severity,
           coalesce(i.started_at, i.detected_at) as started_at, i.mitigated_at as mitigated_at, i.resolved_at as resolved_at,
           i.detected_at as detected_at, i.acknowledged_at as acknowledged_at, i.mitigated_source as mitigated_source,
           coalesce(s.system_id, i.system_id) as system, s.team as team, i.ai_cause as ai_cause, i.url as url,
           coalesce(i.ai_attributed, case when s.system_id is not null then 'yes' when {not_ai} then 'no'
                                          else 'unknown' end) as ai_attributed
    from incidents i
    left join (select distinct o.incident_id as incident_id from incidents o) p on p.incident_id = i.parent_incident
    left join services v on v.service = i.system_id
    left join valid s on s.system_id = coalesce(v.system_id, i.system_id)
), merged as (
    select k.root as incident_id,
           min(case when k.id = k.root then k.title end) as title, min(k.severity) as severity, min(k.started_at) as started_at,
           max(case when k.id = k.root then k.mitigated_at end) as mitigated_at,
           max(case when k.id = k.root then k.resolved_at end) as resolved_at,
           max(case when k.id = k.root then k.detected_at end) as detected_at,
           max(case when k.id = k.root then k.acknowledged_at end) as acknowledged_at,
           max(case when k.id = k.root then k.mitigated_source end) as mitigated_source,
           max(case when k.id = k.root then k.system end) as system, max(case when k.id = k.root then k.team end) as team,
           max(case when k.id = k.root then k.ai_cause end) as ai_cause, max(case when k.id = k.root then k.url end) as url,
           max(case when k.ai_attributed = 'yes' then 2 when k.ai_attributed = 'unknown' then 1 else 0 end) as ai, count(*) - 1 as children
    from known k group by 1
)
select m.incident_id as incident_id, m.title as title, m.severity as severity, m.system as system, m.started_at as started_at,
       m.mitigated_at as mitigated_at, m.resolved_at as resolved_at, m.detected_at as detected_at,
       m.acknowledged_at as acknowledged_at, m.mitigated_source as mitigated_source, m.ai_cause as ai_cause,
       m.ai as ai, m.children as children, m.url as url
from merged m where {where} and m.ai > 0 order by m.started_at desc
"""

SYSTEMS = f"""
select count(*) as n from (select s.system_id as system, s.team as team, s.lifecycle as lifecycle from systems s where {valid("s")}) s
where s.lifecycle = 'production' and {{where}}
"""
REQUESTS = f"select cast(sum(u.requests) as bigint) as requests from usage_hour u where {{where}} and {PRODUCTION}"


def incident_rate(engine: Engine, scope: Scope) -> Measurement:
    """AI incidents started in the window per million production requests, with Garwood's interval; unknown attribution
    is a range beside it."""
    rows, evidence = _incidents(engine, scope)
    count, unknown = sum(row["ai"] == 2 for row in rows), sum(row["ai"] == 1 for row in rows)
    where, params = scope.where("hour", only=DIMENSIONS, prefix="u.")
    requests = engine.query(REQUESTS.format(where=where), params)["requests"][0]
    if not requests:
        return Measurement(None, count, 0, count, state="NOT_APPLICABLE", note="No production requests", evidence=evidence)
    exposure = requests / PER_MILLION
    interval = stats.garwood(count, exposure)
    note = f"{unknown} with unknown attribution: up to {(count + unknown) / exposure:,.0f}" if unknown else ""
    return Measurement(
        count / exposure,
        count,
        requests,
        count,
        (interval.low, interval.high),
        interval.method,
        exclusions={"attribution unknown": unknown} if unknown else {},
        note=note,
        evidence=evidence,
    )


def without_requests(engine: Engine, scope: Scope) -> str:
    """What is known of incidents before there are traces: how many, and per system in production and month."""
    if engine.query("select count(*) as n from incidents i")["n"][0] == 0:
        return NO_FEED
    rows, _ = _incidents(engine, scope.with_dimensions({name: scope.dimensions[name] for name in DIMENSIONS if name in scope.dimensions}))
    count = sum(row["ai"] == 2 for row in rows)
    where, params = about(scope, "s.")
    systems = engine.query(SYSTEMS.format(where=where), {**params, "end": scope.period.end})["n"][0]
    rate = f", {count / systems / (scope.period.days / DAYS_IN_MONTH):.2f} per system and month" if systems else ""
    return f"{count} AI {'incident' if count == 1 else 'incidents'}{rate}; no traces to relate them to"


def is_rate_changed(before: Measurement, after: Measurement) -> bool:
    """Whether the conditional binomial test tells the two Poisson rates apart."""
    return (
        stats.poisson_ratio(int(before.numerator or 0), before.denominator or 0, int(after.numerator or 0), after.denominator or 0).p < 0.05
    )


def time_to_mitigate(engine: Engine, scope: Scope) -> Measurement:
    """Median hours from start to mitigation of AI incidents that started in the window; open ones are censored."""
    rows, evidence = _incidents(engine, scope)
    rows = [row for row in rows if row["ai"] == 2]
    if not rows:
        return Measurement(None, n=0, state="NOT_APPLICABLE", note="No AI incidents: nothing to measure", evidence=evidence)
    ended = [
        (_hours(row["started_at"], row["mitigated_at"] or row["resolved_at"]) if _is_over(row, scope.period.end) else None) for row in rows
    ]
    events = [hours for hours in ended if hours is not None]
    censored = [_hours(row["started_at"], scope.period.end) for row, hours in zip(rows, ended, strict=True) if hours is None]
    proxies = sum(_is_proxy(row) and hours is not None for row, hours in zip(rows, ended, strict=True))
    median = survival.kaplan_meier(events, censored, 0.5) if censored else survival.median(events)
    slowest = survival.kaplan_meier(events, censored, 0.9)
    notes = [f"only {len(rows)}: {_values(events, censored)}"] * (len(rows) < MINIMUM_FOR_INTERVAL)
    notes += [f"{len(censored)} open"] * bool(censored) + [f"{proxies} of {len(events)} by resolution time"] * bool(proxies)
    if median.value is None:
        notes.append(f"more than half still open after {max(censored):.1f} h")
    notes.append(f"P90 {slowest.value:.1f} h" if slowest.value is not None else f"P90 more than {max(events + censored):.1f} h")
    interval = median.interval if len(rows) >= MINIMUM_FOR_INTERVAL else None
    return Measurement(
        median.value,
        n=len(rows),
        interval=interval and (interval.low, interval.high),
        interval_method=interval.method if interval else None,
        state="LOW_CONFIDENCE" if len(rows) < MINIMUM_FOR_INTERVAL else None,
        note=" · ".join(notes),
        samples={"hours": events},
        evidence=evidence,
    )


def is_time_changed(before: Measurement, after: Measurement) -> bool:
    """Whether Mann-Whitney tells the finished durations of both windows apart."""
    shift = survival.mann_whitney(before.samples["hours"], after.samples["hours"])
    return shift is not None and shift.p < 0.05


def timeline(engine: Engine, scope: Scope) -> pl.DataFrame:
    """Incidents known to be AI's, newest first: with hours until mitigated (so far where is_open), and is_proxy where the
    resolution stands in."""
    rows, _ = _incidents(engine, scope)
    end = scope.period.end
    found = [
        {
            **row,
            "hours": _hours(row["started_at"], row["mitigated_at"] or row["resolved_at"])
            if _is_over(row, end)
            else _hours(row["started_at"], end),
            "is_open": not _is_over(row, end),
            "is_proxy": _is_proxy(row) and _is_over(row, end),
        }
        for row in rows
        if row["ai"] == 2
    ]
    return pl.DataFrame(found, schema=TIMELINE, strict=False)


def _incidents(engine: Engine, scope: Scope) -> tuple[Sequence[dict[str, Any]], Evidence]:
    where, params = scope.where("started_at", only=DIMENSIONS, prefix="m.")
    services = {f"not_ai_{place}": name.lower() for place, name in enumerate(definitions(engine).not_ai_services)}
    not_ai = f"lower(i.system_id) in ({', '.join(f'${name}' for name in services)})" if services else "1 = 0"
    sql, params = INCIDENTS.format(where=where, not_ai=not_ai), {**params, **services}
    return engine.query(sql, params).to_dicts(), Evidence(sql, params)


def _values(events: Sequence[float], censored: Sequence[float]) -> str:
    return ", ".join([f"{hours:.1f}" for hours in sorted(events)] + [f">{hours:.1f}" for hours in sorted(censored)]) + " h"


def _is_over(row: dict[str, Any], as_of: datetime) -> bool:
    ended = row["mitigated_at"] or row["resolved_at"]
    return ended is not None and ended <= as_of


def _is_proxy(row: dict[str, Any]) -> bool:
    """Whether the resolution stands in for a mitigation that nobody noted."""
    return row["mitigated_at"] is None or row["mitigated_source"] == "resolved_proxy"


def _hours(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds() / 3600


KPIS = (
    Kpi(
        id="incident_rate",
        number=4,
        title="AI incidents per 1 M requests",
        block="Reliability and cost",
        unit="per_million",
        better="lower",
        needs=("incidents", "usage_hour"),
        no_data=NO_FEED,
        without=without_requests,
        fills="incidents.csv, and traces for the requests",
        definition="Distinct incidents attributed to AI that started in the window, children merged into their parent, per million "
        "production requests; 95 % Garwood interval. Incidents of unknown attribution are a range beside it.",
        dimensions=DIMENSIONS,
        measure=incident_rate,
        is_changed=is_rate_changed,
    ),
    Kpi(
        id="time_to_mitigate",
        number=5,
        title="Time to mitigate, median",
        block="Reliability and cost",
        unit="hours",
        better="lower",
        needs=("incidents",),
        no_data=NO_FEED,
        fills="incidents.csv",
        definition="Median time from start to mitigation of AI incidents that started in the window. Open ones are censored at its end "
        "(Kaplan-Meier); without a mitigation time the resolution stands in, and is counted.",
        dimensions=DIMENSIONS,
        measure=time_to_mitigate,
        is_changed=is_time_changed,
    ),
)
