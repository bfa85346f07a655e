"""One KPI: its value and interval against the target, its course, its systems, and the rows that it rests on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl
import streamlit as st

from app import cards, quantities, rows, session
from app.figure import Release
from app.filterbar import Choice, toolbar
from app.kpi_systems_chart import kpi_by_system
from app.kpi_trend_chart import kpi_trend
from app.panel import chart, mode, table
from app.session import CachedEngine
from app.views import start
from metrics import filters, scorecard
from metrics.filters import Period, Scope
from metrics.kpi import Kpi, KpiResult, Status, kpis

STEPS = {"Weeks": 13, "Months": 12, "Quarters": 8}  # how many are drawn at most
USUAL = {"week": "Weeks", "month": "Months"}
MOST_ROWS = 200
UNNAMED = "Unattributed"
SPAN: dict[str, Any] = {"start": pl.Datetime("us"), "end": pl.Datetime("us"), "value": pl.Float64}
WORST_FIRST: tuple[Status, ...] = ("off target", "at risk", "on target")

RELEASES = """
select r.release_id as name, r.released_at as at, r.system_id as system from releases r
where r.released_at >= $start and r.released_at < $end and coalesce(r.environment, 'production') = 'production' order by r.released_at
"""


def page() -> None:
    engine = CachedEngine()
    titles = {kpi.title: kpi for kpi in kpis().values()}
    scope = toolbar("KPIs", engine, [Choice("kpi", list(titles), width=250)])
    if scope is None:
        start.page()
        return
    kpi = titles[st.session_state["kpi"]]
    result = scorecard.evaluate(engine, kpi, scope)
    st.caption(
        f"KPI {kpi.number}, {kpi.block} · version {kpi.version} · {quantities.days(scope.period.start, scope.period.end)} · "
        f"as of {quantities.day_of_year(scope.period.end)} · {kpi.definition}".replace("$", r"\$")
    )
    systems = _by_system(engine, kpi, scope)
    left, right = st.columns([1, 2.3], gap="small")
    with left, st.container(border=True, height="stretch"):
        row = rows.scorecard_row(result, [], False, {})
        st.html(cards.block(cards.value_card(row, "Value and interval", _qualifier(systems)) + cards.facts(rows.facts(result))))
    with right:
        _trend(engine, kpi, scope, result, systems)
    if result.value is None:
        return
    left, right = st.columns([1, 1.52], gap="small")
    with left:
        _systems(engine, kpi, result, systems)
    with right:
        _evidence(engine, result)


def _trend(engine: CachedEngine, kpi: Kpi, scope: Scope, result: KpiResult, systems: dict[str, KpiResult]) -> None:
    usual = USUAL[kpi.trend_by]
    chosen = st.segmented_control(
        "Steps", list(STEPS), default=usual, required=True, key=f"steps_{kpi.number}", bind="query-params", label_visibility="collapsed"
    )
    step = str(chosen or usual)
    windows = _windows(engine, step, scope.period)
    found = scorecard.trend(engine, kpi, [scope.with_period(window) for window in windows])
    newest = engine.query("select max(u.hour) as newest from usage_hour u")["newest"][0]
    course = pl.DataFrame(
        [
            {
                "start": r.window_start,
                "end": r.window_end,
                "value": r.value,
                "low": r.interval_low,
                "high": r.interval_high,
                "is_open": newest is not None and (r.window_end - newest).days >= 1,
            }
            for r in found
        ],
        schema={**SPAN, "low": pl.Float64, "high": pl.Float64, "is_open": pl.Boolean},
    )
    measured = [system for system, one in systems.items() if one.value is not None]
    lines = _lines(session.version(), kpi.id, dict(scope.dimensions), [(window.start, window.end) for window in windows], measured)
    figure = kpi_trend(
        course,
        mode(),
        unit=kpi.unit,
        better=kpi.better,
        name=str(filters.system_names(engine).get(scope.dimensions.get("system", ""), "All systems")),
        target=result.target if isinstance(result.target, float) else None,
        target_words=quantities.target_words(result.target, result.direction, kpi.unit),
        by_system=lines,
        releases=_releases(engine, windows, scope),
        height=330,
    )
    chart(
        _finding(kpi, rows.change(result), scope.period.previous()),
        figure,
        pl.concat([course, lines], how="diagonal"),
        f"trend_{kpi.id}",
        "The band is the 95 % interval, or the range of what is unknown, where there is one."
        + (" Grey: the systems, those that end worst by name." if lines.height else ""),
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _lines(
    version: str, metric_id: str, dimensions: dict[str, str], windows: list[tuple[datetime, datetime]], systems: list[str]
) -> pl.DataFrame:
    """The course of each system; kept as a whole, since it takes a measurement for every system and window."""
    engine, kpi = session.store(), kpis()[metric_id]
    names = filters.system_names(engine)
    found = [
        {
            "name": _called(system, names),
            "start": start,
            "end": end,
            "value": scorecard.value(engine, kpi, Scope(Period(start, end), {**dimensions, "system": system})),
        }
        for system in systems
        for start, end in windows
    ]
    return pl.DataFrame(found, schema={"name": pl.String, **SPAN})


def _called(system: str, names: Mapping[str, str]) -> str:
    return UNNAMED if system == filters.UNATTRIBUTED else names.get(system, system)


def _finding(kpi: Kpi, words: str, before: Period) -> str:
    joined = f"{kpi.title}: {words}" if words.startswith("no ") else f"{kpi.title} {words}"
    return f"{joined} against {quantities.days(before.start, before.end)}" if words else kpi.title


def _windows(engine: CachedEngine, step: str, period: Period) -> list[Period]:
    """The weeks, months or quarters up to the end of the period for which the ledger has anything."""
    months = [month for month in filters.months(engine) if month.start < period.end]
    if not months:
        return [period]
    if step == "Weeks":
        until = [Period(months[-1].start, period.end)]
        return list(reversed(filters.weeks(until, STEPS[step]))) or [period]
    if step == "Months":
        return list(reversed(months[: STEPS[step]]))
    quarters = {Period.parse(f"{month.start.year}-Q{(month.start.month + 2) // 3}") for month in months}
    return sorted(quarters, key=lambda quarter: quarter.start)[-STEPS[step] :]


def _releases(engine: CachedEngine, windows: Sequence[Period], scope: Scope) -> list[Release]:
    found = engine.query(RELEASES, {"start": windows[0].start, "end": windows[-1].end}).to_dicts()
    chosen = scope.dimensions.get("system")
    return [Release(release["at"], release["name"], chosen is not None) for release in found if chosen in (None, release["system"])]


def _by_system(engine: CachedEngine, kpi: Kpi, scope: Scope) -> dict[str, KpiResult]:
    """The KPI of every system that has calls, unless one is chosen already."""
    if "system" not in kpi.dimensions or "system" in scope.dimensions:
        return {}
    return dict(scorecard.breakdown(engine, kpi, scope, "system", filters.values(engine)["system"]))


def _qualifier(systems: dict[str, KpiResult]) -> str:
    missing = sum(result.status == "off target" for result in systems.values())
    return f"{missing} {'system' if missing == 1 else 'systems'} off target" if missing else ""


def _systems(engine: CachedEngine, kpi: Kpi, result: KpiResult, systems: dict[str, KpiResult]) -> None:
    if not systems:
        with st.container(border=True, height="stretch"):
            st.markdown("**By system**")
            st.caption("Choose all systems to compare them." if "system" in kpi.dimensions else "This KPI is not kept by system.")
        return
    names = filters.system_names(engine)
    course = pl.DataFrame(
        [
            {
                "name": _called(system, names),
                "value": r.value,
                "low": r.interval_low,
                "high": r.interval_high,
                "n": r.n,
                "status": r.status,
                "note": r.note,
            }
            for system, r in systems.items()
        ],
        schema={
            "name": pl.String,
            "value": pl.Float64,
            "low": pl.Float64,
            "high": pl.Float64,
            "n": pl.Int64,
            "status": pl.String,
            "note": pl.String,
        },
    )
    ordered = course.sort("value", descending=kpi.better == "lower", nulls_last=True)
    found = Counter(r.status for r in systems.values() if r.status not in ("not measured", "none"))
    worst = next((status for status in WORST_FIRST if found[status]), None)
    finding = f"{found[worst]} of {found.total()} systems {worst}" if worst else "By system"
    target = result.target if isinstance(result.target, float) else None
    figure = kpi_by_system(
        ordered,
        mode(),
        unit=kpi.unit,
        target=target,
        target_words=quantities.target_words(result.target, result.direction, kpi.unit),
        height=max(180, 40 * ordered.height + 50),
    )
    chart(finding, figure, ordered, f"systems_{kpi.id}", has_switch=False)


def _evidence(engine: CachedEngine, result: KpiResult) -> None:
    evidence = result.evidence
    if evidence is None:
        return
    found = engine.query(f"select * from ({evidence.sql}) as e limit {MOST_ROWS}", evidence.params)
    total = engine.query(f"select count(*) as n from ({evidence.sql}) as e", evidence.params)["n"][0]
    shown = f"{total:,} rows" if total <= MOST_ROWS else f"{MOST_ROWS} of {total:,} rows"
    table(
        f"Evidence: {shown}",
        found,
        f"evidence_{result.metric_id}",
        {name: _column(name, kind) for name, kind in found.schema.items()},
        most=9,
        every=lambda: engine.query(evidence.sql, evidence.params),
    )


def _column(name: str, kind: pl.DataType) -> Any:
    title = name.removesuffix("_usd").removesuffix("_at").replace("_", " ").capitalize()
    if kind == pl.Date:
        return st.column_config.DateColumn(title, format="D MMM YYYY", width=100)
    if kind == pl.Datetime:
        return st.column_config.DatetimeColumn(f"{title}, UTC", format="D MMM YYYY HH:mm", width=130)
    if name.endswith("_usd"):
        return st.column_config.NumberColumn(f"{title}, $", format="%.6f", width=100)
    if kind.is_numeric():
        return st.column_config.NumberColumn(title, format="localized", width=80)
    return st.column_config.TextColumn(title)
