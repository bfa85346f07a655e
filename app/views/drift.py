"""The drift part of Quality & drift: which signals moved, how one of them moved, and taking a new behaviour as normal."""

from datetime import date, timedelta
from typing import Any

import polars as pl
import streamlit as st

from app import actions, cards, drift_charts, quantities
from app.panel import card, chart, escape, mode, table
from app.session import CachedEngine
from metrics import drift
from metrics.drift import REFERENCE_DAYS, Windows
from metrics.drift_events import change_events
from metrics.drift_verdicts import Verdict, baselines
from metrics.filters import Scope

SIZES = {"major": ("■ Major", "red"), "moderate": ("▲ Moderate", "orange")}


def section(engine: CachedEngine, scope: Scope, found: list[Verdict], names: dict[str, str]) -> None:
    """The map of all comparisons, the distribution of the chosen drift with its facts, and the lists of drifts and changes."""
    drifted = [verdict for verdict in found if verdict.state == "DRIFT"]
    shown = drifted[_place(len(drifted))] if drifted else found[0]
    left, right = st.columns([1.9, 1], gap="small")
    with left:
        cells = _cells(found, names)
        chosen = (names.get(shown.system, shown.system), shown.signal)
        with card(_finding(drifted, names), cells, "drift_map", height="stretch"):
            st.html(cards.block(drift_charts.heat_map(cells, chosen)))
    with right:
        _distribution(engine, shown, names)
    _drifts(engine, scope, drifted, names)


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


def _place(count: int) -> int:
    """Which drift is shown: the one chosen in the table below, else the largest."""
    chosen: Any = st.session_state.get("drifts")
    picked = chosen.selection.rows if chosen else []
    return int(picked[0]) if picked and picked[0] < count else 0


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
    if result["baseline"].startswith("trailing"):
        facts.append(("Baseline", "none pinned with enough data: the reference trails"))
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
    accepted = baselines(engine).get(verdict.system)
    if accepted:
        words = f"{quantities.day_of_year(accepted.day)}, accepted by {accepted.by} on {quantities.day_of_year(accepted.at)}"
        facts.append(("Baseline", f"{words}; holds for days after that"))
    with st.container(border=True):
        st.html(cards.block(cards.facts(facts)))
        if verdict.state == "DRIFT":
            _acceptance(verdict, name)


def _acceptance(verdict: Verdict, name: str) -> None:
    """A way to say that the new behaviour is meant."""
    new_since = next((segment["first_day"] for segment in verdict.detail.get("segments", ()) if segment["first_day"]), None)
    with st.popover("Accept as new baseline", icon=":material/check:"):
        st.markdown(
            f"If {escape(name)} is meant to behave like this, its reference can begin anew: all its signals are then compared with the "
            f"{REFERENCE_DAYS} days from the day below on. Comparisons go on when those and one more week are over; what was judged "
            "until today stays. The acceptance is kept in the audit trail; accepting another day later replaces it."
        )
        day = st.date_input(
            "First day of the new reference",
            value=max(date.fromisoformat(new_since) if new_since else verdict.first_day, verdict.result["reference_start"]),
            min_value=verdict.result["reference_start"],
            key=f"baseline_day_{verdict.system}_{verdict.signal}",
        )
        by = st.text_input("Your name", key="baseline_by")
        if st.button("Accept", key="baseline_accept", disabled=not by.strip(), type="primary"):
            assert isinstance(day, date)
            actions.accept_baseline(verdict.system, day, by.strip())
            st.toast(f"{name} is compared with the days from {quantities.day_of_year(day)} on", icon=":material/check:")
            st.rerun()


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
