"""Incidents: how often AI systems fail people, how long until it stops, and what was released just before."""

from datetime import datetime, timedelta
from functools import partial
from itertools import groupby

import polars as pl
import streamlit as st

from app import incident_chart, quantities, rows
from app.figure import Release
from app.filterbar import toolbar
from app.panel import chart, metric, mode, table
from app.session import CachedEngine
from app.views import start
from metrics import filters, incidents, objectives, scorecard
from metrics.filters import Scope
from metrics.incident_times import times
from metrics.kpi import KpiResult, kpis
from metrics.survival import kaplan_meier

RELEASES = """
select r.release_id as name, r.released_at as at, r.system_id as system from releases r
where r.released_at >= $start and r.released_at < $end and coalesce(r.environment, 'production') = 'production' order by r.released_at
"""
PROMPTS = """
select u.system as system, u.prompt_version as name, min(u.hour) as at from usage_hour u
where u.prompt_version is not null group by 1, 2 having min(u.hour) >= $start and min(u.hour) < $end order by 3
"""
WEEK = timedelta(days=7)
ALERTS = {"page": ("■ Page", "red"), "ticket": ("▲ Ticket", "orange")}


def page() -> None:
    engine = CachedEngine()
    scope = toolbar("Incidents", engine)
    if scope is None:
        start.page()
        return
    names = filters.system_names(engine)
    if engine.query("select count(*) as n from incidents")["n"][0] == 0:
        st.info("No incident feed is loaded. `spanledger load incidents.csv`, or an export of your incident tool, fills this page.")
    else:
        _incidents(engine, scope, names)
    _alerts(engine, scope, names)


def _incidents(engine: CachedEngine, scope: Scope, names: dict[str, str]) -> None:
    found = incidents.timeline(engine, scope)
    mitigate = scorecard.evaluate(engine, kpis()["time_to_mitigate"], scope)
    rate = scorecard.evaluate(engine, kpis()["incident_rate"], scope)
    st.caption(_provenance(scope, found))
    _metrics(scope, found, mitigate, rate)
    if found.is_empty():
        st.info("No AI incident started in this window.")
        return
    releases = _changes(engine, scope)
    dots = found.with_columns(name=pl.col("system").replace_strict(names, default=pl.col("system")).fill_null("No system"))
    figure = incident_chart.incident_dots(
        dots,
        mode(),
        first=scope.period.start.date(),
        last=scope.period.end.date(),
        median=mitigate.value,
        interval=None
        if mitigate.interval_low is None or mitigate.interval_high is None
        else (mitigate.interval_low, mitigate.interval_high),
        target=mitigate.target if isinstance(mitigate.target, float) else None,
        releases=[Release(at, name) for at, name, _ in releases],
    )
    chart(_finding(dots, mitigate, releases), figure, _listed(dots, releases).drop("severity"), "incidents", incident_chart.key(dots))
    _list(dots, releases)


def _provenance(scope: Scope, found: pl.DataFrame) -> str:
    children, proxies = int(found["children"].sum()), found.filter(pl.col("is_proxy")).height
    parts = [quantities.days(scope.period.start, scope.period.end), f"{found.height} AI incidents"]
    if children:
        parts.append(f"{children} child incidents merged")
    if proxies:
        parts.append(f"{proxies} mitigation times taken from the resolution")
    return " · ".join([*parts, f"as of {quantities.day_of_year(scope.period.end)}"])


def _metrics(scope: Scope, found: pl.DataFrame, mitigate: KpiResult, rate: KpiResult) -> None:
    grid = st.grid("auto", min_column_width=300, gap="small")
    card = partial(metric, grid)
    colours = {"on target": "blue", "at risk": "orange", "off target": "red"}
    target = quantities.target_words(mitigate.target, mitigate.direction, "hours")
    card(
        "Time to mitigate, median",
        quantities.duration(mitigate.value),
        rows.interval(mitigate) or None,
        f"target {target}" if mitigate.target is not None else mitigate.note,
        colours.get(mitigate.status, "off"),
    )
    ended, is_open = found.filter(~pl.col("is_open"))["hours"].to_list(), found.filter(pl.col("is_open"))["hours"].to_list()
    slowest = kaplan_meier(ended, is_open, 0.9).value if found.height else None
    mean = sum(ended) / len(ended) if ended else None
    card(
        "Time to mitigate, P90",
        quantities.duration(slowest) if slowest is not None else f"> {quantities.duration(max(ended + is_open, default=None))}",
        f"mean {quantities.duration(mean)}" if mean is not None else None,
        f"n {found.height}, {len(is_open)} open",
    )
    for step, words in (("acknowledge", "from detection"), ("resolve", "from start")):
        took = times(found, step, scope.period.end)
        left_out = [f"{took.running} open"] * bool(took.running) + [f"{took.unknown} unknown"] * bool(took.unknown)
        card(f"Time to {step}, median", quantities.duration(took.median), None, ", ".join([f"n {took.n}", *left_out, words]))
    card(
        "Per 1 M requests",
        quantities.quantity(rate.value, "per_million"),
        rows.interval(rate) or None,
        rate.note or f"{quantities.count(int(rate.denominator or 0))} requests",
        colours.get(rate.status, "off"),
    )


def _changes(engine: CachedEngine, scope: Scope) -> list[tuple[datetime, str, str | None]]:
    """Releases and first uses of prompt versions, of the chosen system or of all: when, what it is called, and the system."""
    params = {"start": scope.period.start, "end": scope.period.end}
    chosen = scope.dimensions.get("system")
    found = [(row["at"], row["name"], row["system"]) for sql in (RELEASES, PROMPTS) for row in engine.query(sql, params).to_dicts()]
    return sorted(change for change in found if chosen in (None, change[2]))


def _before(started_at: datetime, system: str | None, releases: list[tuple[datetime, str, str | None]]) -> str | None:
    """The last change of the same system in the week before."""
    near = [name for at, name, owner in releases if owner == system and started_at - WEEK <= at <= started_at]
    return near[-1] if near else None


def _finding(dots: pl.DataFrame, mitigate: KpiResult, releases: list[tuple[datetime, str, str | None]]) -> str:
    after = sum(_before(row["started_at"], row["system"], releases) is not None for row in dots.iter_rows(named=True))
    half = (
        f"Half of the incidents are mitigated within {quantities.duration(mitigate.value)}"
        if mitigate.value is not None
        else "Every incident"
    )
    return f"{half}; {after} of {dots.height} follow a release or prompt change within a week"


def _listed(dots: pl.DataFrame, releases: list[tuple[datetime, str, str | None]]) -> pl.DataFrame:
    changes = [_before(row["started_at"], row["system"], releases) for row in dots.iter_rows(named=True)]
    return dots.select(
        "incident_id",
        "title",
        pl.col("severity").map_elements(
            lambda level: [f"{incident_chart.LOOKS.get(level, incident_chart.LOOKS[3])[1]} Sev {level}"], pl.List(pl.String)
        ),
        "name",
        "started_at",
        pl.when(pl.col("is_open")).then(None).otherwise(pl.col("hours") * 60).round(0).alias("minutes"),
        "ai_cause",
        change=pl.Series(changes, dtype=pl.String),
    )


def _list(dots: pl.DataFrame, releases: list[tuple[datetime, str, str | None]]) -> None:
    levels = [f"{glyph} Sev {level}" for level, (_, glyph, _) in incident_chart.LOOKS.items()]
    table(
        "Newest incidents",
        _listed(dots, releases),
        "incident_list",
        {
            "severity": st.column_config.MultiselectColumn(
                "Severity", options=levels, color=["red", "orange", "gray", "gray", "gray"], width=80
            ),
            "incident_id": st.column_config.TextColumn("Incident", width=90),
            "title": st.column_config.TextColumn("What happened", width=290),
            "name": st.column_config.TextColumn("System", width=170),
            "started_at": st.column_config.DatetimeColumn("Started, UTC", format="D MMM HH:mm", width=110),
            "minutes": st.column_config.NumberColumn("Mitigated, min", format="localized", width=100),
            "ai_cause": st.column_config.TextColumn("Cause", width=90),
            "change": st.column_config.TextColumn("Change before", width=110),
        },
        most=7,
    )


def _alerts(engine: CachedEngine, scope: Scope, names: dict[str, str]) -> None:
    """Which service level objectives burned their error budget too fast: a row for each rule that fired."""
    rows = [
        {
            "severity": [ALERTS[severity][0]],
            "system": names.get(budget.objective.system, budget.objective.system),
            "kind": budget.objective.kind,
            "good": budget.objective.objective * 100,
            "burn": burn,
            "times": len(fired),
            "first": fired[0].start,
            "last": fired[-1].end,
            "is_burning": any(alert in budget.burning for alert in fired),
        }
        for budget in objectives.budgets(engine, scope)
        for (severity, burn), alerts in groupby(budget.alerts, key=lambda alert: (alert.severity, alert.burn))
        if (fired := list(alerts))
    ]
    if not rows:
        return
    count = len({(row["system"], row["kind"]) for row in rows})
    table(
        f"{count} {'objective' if count == 1 else 'objectives'} burned the error budget too fast",
        pl.DataFrame(rows).sort("is_burning", "burn", descending=True),
        "alerts",
        {
            "severity": st.column_config.MultiselectColumn(
                "Alert", options=[words for words, _ in ALERTS.values()], color=[colour for _, colour in ALERTS.values()], width=90
            ),
            "system": st.column_config.TextColumn("System", width=190),
            "kind": st.column_config.TextColumn("Objective", width=90),
            "good": st.column_config.NumberColumn("Good, at least", format="%.2f %%", width=110),
            "burn": st.column_config.NumberColumn("Faster than", format="%.1f ×", width=90),
            "times": st.column_config.NumberColumn("Times", width=60),
            "first": st.column_config.DatetimeColumn("First, UTC", format="D MMM HH:mm", width=110),
            "last": st.column_config.DatetimeColumn("Until, UTC", format="D MMM HH:mm", width=110),
            "is_burning": st.column_config.CheckboxColumn("Still burning", width=100),
        },
        most=6,
        note="Burn 1 × uses the budget up exactly at the end of its window; rules of the SRE workbook, both windows of a rule together.",
    )
