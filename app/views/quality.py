"""Quality & drift: what moved against its reference, since when and in which segment, and how good answers are judged to be."""

import polars as pl
import streamlit as st

from app import cards, quantities, rows
from app.filterbar import toolbar
from app.panel import table
from app.session import CachedEngine
from app.views import drift, start
from metrics import filters, objectives, safety, scorecard
from metrics.drift_verdicts import verdicts
from metrics.filters import Scope
from metrics.kpi import kpis

JUDGED = ("retrieval_precision", "unsupported_claim_rate", "safety_violation_rate", "drift_coverage")


def page() -> None:
    engine = CachedEngine()
    scope = toolbar("Quality & drift", engine)
    if scope is None:
        start.page()
        return
    found = verdicts(engine, scope)
    names = filters.system_names(engine)
    tests = sum(verdict.runs for verdict in found if verdict.state != "INSUFFICIENT_DATA")
    st.caption(
        f"{quantities.days(scope.period.start, scope.period.end)} · seven days each against the pinned reference · drift: PSI ≥ 0.10, "
        f"above the noise floor, and q ≤ 0.05 over days · {quantities.count(tests)} comparisons"
    )
    _judged(engine, scope)
    if found:
        drift.section(engine, scope, found, names)
    else:
        st.info("No comparison ran in this window: the detector needs 28 days of reference and a week of traces of one system.")
    _policies(engine, scope, names)
    _budgets(engine, scope, names)


def _judged(engine: CachedEngine, scope: Scope) -> None:
    query = dict(st.query_params)
    shown = [rows.scorecard_row(scorecard.evaluate(engine, kpis()[name], scope), [], False, query) for name in JUDGED]
    st.html(cards.block(cards.scorecard({"Quality and safety": shown}, "Change", "")))


def _policies(engine: CachedEngine, scope: Scope, names: dict[str, str]) -> None:
    """Which policy was broken where: what reached a reader apart from what was blocked before."""
    found = safety.by_policy(engine, scope)
    if found.is_empty():
        return
    delivered, blocked = int(found["violations"].sum()), int(found["blocked"].sum())
    table(
        f"{delivered:,} policy {'violation' if delivered == 1 else 'violations'} delivered, {blocked:,} blocked before delivery",
        found.with_columns(pl.col("system").replace_strict(names, default=pl.col("system")).fill_null("Unattributed")),
        "policies",
        {
            "policy": st.column_config.TextColumn("Policy", width=190),
            "system": st.column_config.TextColumn("System", width=190),
            "tier": st.column_config.NumberColumn("Tier", width=60),
            "screened": st.column_config.NumberColumn("Answers screened", format="localized", width=130),
            "violations": st.column_config.NumberColumn("Violations delivered", format="localized", width=140),
            "open": st.column_config.NumberColumn("Not yet reviewed", format="localized", width=120),
            "blocked": st.column_config.NumberColumn("Blocked", format="localized", width=90),
            "cleared": st.column_config.NumberColumn("Reviewed false", format="localized", width=110),
        },
        most=8,
    )


def _budgets(engine: CachedEngine, scope: Scope, names: dict[str, str]) -> None:
    found = objectives.budgets(engine, scope)
    if not found:
        return
    shown = pl.DataFrame(
        [
            {
                "system": names.get(budget.objective.system, budget.objective.system),
                "kind": budget.objective.kind,
                "objective": budget.objective.objective * 100,
                "bad": budget.bad,
                "valid": budget.valid,
                "used": None if budget.used is None else min(budget.used * 100, 999.0),
                "alerts": len(budget.alerts),
            }
            for budget in found
        ]
    )
    over = shown.filter(pl.col("used") > 100).height
    table(
        f"{over} of {len(found)} error budgets are used up" if over else "No error budget is used up",
        shown,
        "budgets",
        {
            "system": st.column_config.TextColumn("System", width=180),
            "kind": st.column_config.TextColumn("Objective", width=90),
            "objective": st.column_config.NumberColumn("Good, at least", format="%.2f %%", width=100),
            "bad": st.column_config.NumberColumn("Bad", format="localized", width=70),
            "valid": st.column_config.NumberColumn("Of", format="localized", width=80),
            "used": st.column_config.ProgressColumn("Budget used", format="%.0f %%", min_value=0, max_value=100, color="gray", width=160),
            "alerts": st.column_config.NumberColumn("Burn alerts", width=84, help="Listed on Incidents"),
        },
        most=6,
    )
