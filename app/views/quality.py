"""Quality & drift: what moved against its reference, since when and in which segment, and how good answers are judged to be."""

from datetime import timedelta
from typing import Any

import polars as pl
import streamlit as st

from app import cards, drift_charts, quantities, rows
from app.filterbar import toolbar
from app.panel import chart, mode, table
from app.session import CachedEngine
from app.views import start
from metrics import drift, filters, objectives, scorecard
from metrics.drift import Windows
from metrics.drift_events import change_events
from metrics.drift_verdicts import Verdict, verdicts
from metrics.filters import Scope
from metrics.kpi import kpis

JUDGED = ("retrieval_precision", "unsupported_claim_rate", "safety_violation_rate", "drift_coverage")
SIZES = {"major": ("■ Major", "red"), "moderate": ("▲ Moderate", "orange")}


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
    if not found:
        st.info("No comparison ran in this window: the detector needs 28 days of reference and a week of traces of one system.")
        return
    drifted = [verdict for verdict in found if verdict.state == "DRIFT"]
    left, right = st.columns([1.9, 1], gap="small")
    with left:
        cells = _cells(found, names)
        chart(_finding(drifted, names), drift_charts.heat_map(cells, mode()), cells, "drift_map")
    with right:
        place = _drifts_shown(drifted)
        _distribution(engine, drifted[place] if drifted else found[0], names)
    _drifts(engine, scope, drifted, names)
    _budgets(engine, scope, names)


def _judged(engine: CachedEngine, scope: Scope) -> None:
    query = dict(st.query_params)
    results = [scorecard.evaluate(engine, kpis()[name], scope) for name in JUDGED]
    st.html(
        cards.block(
            cards.scorecard({"Quality and safety": [rows.scorecard_row(result, [], False, query) for result in results]}, "before", "")
        )
    )


def _size(verdict: Verdict) -> str:
    if verdict.state == "INSUFFICIENT_DATA":
        return "few"
    psi = verdict.result["psi"] or 0.0
    return "none" if verdict.state != "DRIFT" else "major" if psi >= drift.MAJOR_PSI else "moderate"


def _cells(found: list[Verdict], names: dict[str, str]) -> pl.DataFrame:
    cells = [
        {
            "system": names.get(verdict.system, verdict.system),
            "signal": verdict.signal,
            "psi": verdict.result["psi"] or 0.0,
            "size": _size(verdict),
            "words": f"{names.get(verdict.system, verdict.system)}, {drift_charts.title(verdict.signal)}: "
            f"PSI {verdict.result['psi'] or 0:.2f}, n {verdict.result['n_current'] or 0:,} against {verdict.result['n_reference'] or 0:,}",
        }
        for verdict in found
    ]
    schema = {"system": pl.String, "signal": pl.String, "psi": pl.Float64, "size": pl.String, "words": pl.String}
    return pl.DataFrame(cells, schema=schema).sort("system", "signal")


def _finding(drifted: list[Verdict], names: dict[str, str]) -> str:
    if not drifted:
        return "Nothing drifted"
    systems = {names.get(verdict.system, verdict.system) for verdict in drifted}
    major = sum(_size(verdict) == "major" for verdict in drifted)
    where = next(iter(systems)) if len(systems) == 1 else f"{len(systems)} systems"
    return f"{len(drifted)} {'drift' if len(drifted) == 1 else 'drifts'} on {where}" + (f"; {major} major" if major else "")


def _drifts_shown(drifted: list[Verdict]) -> int:
    """Which drift the distribution shows: the one chosen in the table below, else the largest."""
    chosen: Any = st.session_state.get("drifts")
    picked = chosen.selection.rows if chosen else []
    return picked[0] if picked and picked[0] < len(drifted) else 0


def _distribution(engine: CachedEngine, verdict: Verdict, names: dict[str, str]) -> None:
    result = verdict.result
    windows = Windows(result["reference_start"], result["reference_end"], result["current_start"], result["day"])
    counts = drift.by_day(engine, windows, verdict.signal, {"system": verdict.system})
    reference, current = [
        dict(counts.filter(side).group_by("bin").agg(pl.col("n").sum()).rows())
        for side in (pl.col("day") <= windows.reference_end, pl.col("day") >= windows.current_start)
    ]
    kind = (
        "text" if verdict.signal in drift.TEXTS else "score" if verdict.signal.startswith(("evaluation:", "retrieval_score")) else "number"
    )
    words = quantities.days(windows.current_start, windows.current_end + timedelta(days=1))
    facts = [
        ("PSI", f"{result['psi']:.2f}" if result["psi"] is not None else quantities.UNKNOWN),
        ("Noise floor", f"{result['noise_floor']:.3f}" if result["noise_floor"] is not None else quantities.UNKNOWN),
        ("q", f"{result['q_value']:.4f}, day-block permutation" if result["q_value"] is not None else "not tested: below effect or noise"),
        (
            "Windows",
            f"{quantities.day(windows.current_start)} to {quantities.day(windows.current_end)}, reference "
            f"{quantities.day(windows.reference_start)} to {quantities.day(windows.reference_end)}",
        ),
        ("n", f"{result['n_current'] or 0:,} now, {result['n_reference'] or 0:,} reference"),
    ]
    if verdict.state == "DRIFT":
        facts.append(("Since", quantities.day_of_year(verdict.first_day)))
    facts += [("Moved", moved) for moved in verdict.moved[:2]]
    name = names.get(verdict.system, verdict.system)
    chart(
        f"{name}: {drift_charts.title(verdict.signal)}",
        drift_charts.distribution(verdict.signal, kind, reference, current, mode(), words=words),
        counts.drop("model", "prompt_version"),
        "distribution",
        has_switch=False,
    )
    with st.container(border=True):
        st.html(cards.block(cards.facts(facts)))


def _drifts(engine: CachedEngine, scope: Scope, drifted: list[Verdict], names: dict[str, str]) -> None:
    events = change_events(engine, scope)
    if drifted:
        shown = pl.DataFrame(
            [
                {
                    "size": [SIZES[_size(verdict)][0]],
                    "system": names.get(verdict.system, verdict.system),
                    "signal": drift_charts.title(verdict.signal),
                    "psi": verdict.result["psi"],
                    "q": verdict.result["q_value"],
                    "since": verdict.first_day,
                    "days": verdict.days,
                    "known": "; ".join(
                        [
                            *verdict.moved[:1],
                            *(
                                event.words
                                for event in events
                                if event.system == verdict.system and 0 <= (verdict.first_day - event.day).days <= 7
                            ),
                        ]
                    ),
                }
                for verdict in drifted
            ]
        )
        table(
            "Drifts, largest first; choose one for its distribution",
            shown,
            "drifts",
            {
                "size": st.column_config.MultiselectColumn(
                    "Size", options=[words for words, _ in SIZES.values()], color=[c for _, c in SIZES.values()], width=100
                ),
                "system": st.column_config.TextColumn("System", width=170),
                "signal": st.column_config.TextColumn("Signal", width=130),
                "psi": st.column_config.ProgressColumn("PSI", format="%.2f", min_value=0, max_value=1, color="gray", width=110),
                "q": st.column_config.NumberColumn("q", format="%.4f", width=66),
                "since": st.column_config.DateColumn("Since", format="D MMM", width=64),
                "days": st.column_config.NumberColumn("Days", width=50),
                "known": st.column_config.TextColumn("What is known", width=340),
            },
            most=7,
            is_selectable=True,
        )
    if events:
        table(
            "Changes that need no statistics",
            pl.DataFrame([{"day": event.day, "system": names.get(event.system, event.system), "words": event.words} for event in events]),
            "changes",
            {
                "day": st.column_config.DateColumn("Day", format="D MMM YYYY", width=100),
                "system": st.column_config.TextColumn("System", width=180),
                "words": st.column_config.TextColumn("What changed", width=560),
            },
            most=6,
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
                "used": min((budget.used or 0.0) * 100, 999.0),
                "alerts": len(budget.alerts),
            }
            for budget in found
        ]
    )
    over = sum(row["used"] > 100 for row in shown.iter_rows(named=True))
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
            "alerts": st.column_config.NumberColumn("Burn alerts", width=84),
        },
        most=6,
    )
