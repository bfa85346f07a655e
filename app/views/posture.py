"""Posture: are we in control of AI cost, quality and risk, what changed, and what is missing."""

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from app import cards, quantities, rows
from app.filterbar import toolbar
from app.session import CachedEngine
from app.views import start
from metrics import filters, scorecard, spend
from metrics.filters import Period, Scope
from metrics.kpi import BLOCKS, KpiResult, kpis

TREND_MONTHS = 12
MOST_LISTED = 3

LOADED = """
select count(distinct l.source) as sources, count(distinct l.path) as files, min(l.finished_at) as oldest, max(l.finished_at) as newest
from loads l where l.status <> 'failed'
"""
RISKS = """
select r.title as title, r.owner as owner, r.due_on as due_on from risks r
where coalesce(r.status, 'open') <> 'closed'
      and r.valid_from < $as_of and (r.valid_to is null or $as_of <= r.valid_to)
order by r.severity, r.due_on
"""


def page() -> None:
    engine = CachedEngine()
    scope = toolbar("Posture", engine)
    if scope is None:
        start.page()
        return
    results = scorecard.scorecard(engine, scope)
    st.html(cards.block(cards.headline(rows.headline(results))))
    st.caption(provenance(engine, scope))
    left, right = st.columns([3.15, 1], gap="small")
    with left:
        st.html(cards.block(cards.status_counts(rows.counts(results)) + _scorecard(engine, scope, results)))
    with right, st.container(border=True):
        st.html(cards.block(_findings(engine, scope, results)))


def provenance(engine: CachedEngine, scope: Scope) -> str:
    """Window, scope, sources and the bill, in one line."""
    loaded = engine.query(LOADED).row(0, named=True)
    spent = spend.spend(engine, scope)
    parts = [
        quantities.days(scope.period.start, scope.period.end),
        scope_words(engine, scope),
        f"{loaded['sources']} sources in {loaded['files']} files, loaded {quantities.moment(loaded['newest'])}",
    ]
    if spent.total_usd is not None:
        parts.append(f"{'billed' if spent.basis == 'billed' else 'traced, at list price,'} {quantities.money_cents(spent.total_usd)}")
    return " · ".join(parts).replace("$", r"\$")


def scope_words(engine: CachedEngine, scope: Scope) -> str:
    """What the numbers are about: all systems, or what the filters leave."""
    names = filters.system_names(engine)
    chosen = [names.get(value, value) if name == "system" else value for name, value in scope.dimensions.items()]
    return ", ".join(chosen) or "all systems"


def _scorecard(engine: CachedEngine, scope: Scope, results: Sequence[KpiResult]) -> str:
    months = list(reversed(filters.months(engine)))
    until = [month for month in months if month.end <= scope.period.end][-TREND_MONTHS:] or [scope.period]
    newest = engine.query("select max(u.hour) as newest from usage_hour u")["newest"][0]
    query = dict(st.query_params)
    blocks: dict[str, list[cards.ScorecardRow]] = {block: [] for block in BLOCKS}
    for result in results:
        kpi = kpis()[result.metric_id]
        course = [found.value for found in scorecard.trend(engine, kpi, [scope.with_period(month) for month in until])]
        blocks[kpi.block].append(rows.scorecard_row(result, course, _is_open(until[-1], newest), query))
    shown = {name: found for name, found in blocks.items() if found}
    return cards.scorecard(shown, f"vs {_short(scope.period.previous())}", f"{len(until)} months" if len(until) > 1 else "1 month")


def _is_open(period: Period, newest: datetime | None) -> bool:
    """Whether days of the period are still missing."""
    return newest is not None and (period.end - newest).days >= 1


def _short(period: Period) -> str:
    is_month = len(period.label) == 7 and "-W" not in period.label and "-Q" not in period.label
    return f"{period.start:%b}" if is_month else quantities.days(period.start, period.end)


def _findings(engine: CachedEngine, scope: Scope, results: Sequence[KpiResult]) -> str:
    changed = [(found.words, found.detail) for found in rows.changed(results)[:MOST_LISTED]]
    gaps = [(found.words, found.detail) for found in rows.gaps(results)[:MOST_LISTED]]
    risks = [
        (risk["title"], " · ".join(filter(None, [risk["owner"], f"due {quantities.day(risk['due_on'])}" if risk["due_on"] else ""])))
        for risk in engine.query(RISKS, {"as_of": scope.period.end}).head(MOST_LISTED).to_dicts()
    ]
    return (
        cards.findings("What changed", changed or [("No KPI clearly changed", "against the window before")])
        + cards.findings("Needs attention", gaps or [("Nothing is off target or at risk", "")])
        + cards.findings("Top risks", risks or [("No risk register loaded", "add risks.csv")])
    )
