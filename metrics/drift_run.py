"""The detector: every signal of every system on one complete day against its pinned reference, judged together."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import polars as pl

from metrics import day_blocks, stats
from metrics.drift import MINIMUM_N, PRODUCTION, REFERENCE_DAYS, Comparison, Windows, by_day, compare, parts_of
from metrics.drift_segments import segments
from metrics.engines import Engine

LEAST_CURRENT_DAYS = 5
LARGEST_Q = 0.05

ITEMS = f"""
select s.system as system, s.signal as signal, min(s.day) as first_day
from signal_day s where {PRODUCTION} and s.system is not null and s.day <= $day group by 1, 2 order by 1, 2
"""
DRIFTED = """
select distinct r.current_end as day from drift_results r
where r.system = $system and r.signal = $signal and r.state = 'DRIFT' and r.current_end < $day
"""
TRAILING = "trailing"


def run(engine: Engine, day: date, accepted: Mapping[str, date] | None = None) -> list[dict[str, Any]]:
    """The rows of drift_results for one complete day. A signal's reference begins on its first day with data, or on the day
    that a person accepted as the baseline of its system; where that holds too little, the reference trails."""
    baselines: dict[date, list[tuple[str, str]]] = {}
    for system, signal, first_day in engine.query(ITEMS, {"day": day}).rows():
        baseline = max(first_day, (accepted or {}).get(system, first_day))
        baselines.setdefault(baseline, []).append((system, signal))
    rows = []
    for baseline, items in sorted(baselines.items()):
        windows = Windows.pinned(baseline, day)
        systems = sorted({system for system, _ in items})
        found = {(one.system, one.signal): one for one in compare(engine, windows, only=systems)}
        rows += [_row(engine, windows, found.get(item), item, accepted or {}) for item in items]
    return _judged_together(rows, day)


def _row(engine: Engine, windows: Windows, found: Comparison | None, item: tuple[str, str], accepted: Mapping[str, date]) -> dict[str, Any]:
    system, signal = item
    is_thin = windows.is_complete and (found is None or found.n_reference < MINIMUM_N)
    trailing = _trailing(engine, windows, item) if is_thin else None
    if trailing:
        windows, found = trailing
    row: dict[str, Any] = {
        "system": system,
        "signal": signal,
        "reference_start": windows.reference_start,
        "reference_end": windows.reference_end,
        "current_start": windows.current_start,
        "current_end": windows.current_end,
        "n_reference": found.n_reference if found else 0,
        "n_current": found.n_current if found else 0,
        **dict.fromkeys(("psi", "js", "ks", "w1", "noise_floor", "p_value", "q_value")),
        "state": "INSUFFICIENT_DATA",
        "baseline": f"{_baseline(system, windows, accepted, bool(trailing))} {windows.reference_start}",
    }
    if not windows.is_complete:
        complete = windows.reference_end + timedelta(days=1)
        return row | {"detail": {"why": f"the reference is complete on {complete}, and the first week after it a week later"}}
    if found is None or not found.is_enough:
        return row | {"detail": {"why": f"needs n {MINIMUM_N} in both windows", "needs_n": MINIMUM_N}}
    # Sums of floats depend on their order in the last digits; what is kept does not.
    row |= {name: None if (value := getattr(found, name)) is None else round(value, 9) for name in ("psi", "js", "ks", "w1", "noise_floor")}
    row["detail"] = {"effect": found.effect, "parts": found.parts, "ks_bound": found.ks_bound}
    return row | (_tested(engine, windows, found) if found.stands_out else {"state": "NO_DRIFT", "p_value": 1.0})


def _baseline(system: str, windows: Windows, accepted: Mapping[str, date], is_trailing: bool) -> str:
    return TRAILING if is_trailing else "accepted" if accepted.get(system) == windows.reference_start else "first"


def _trailing(engine: Engine, pinned: Windows, item: tuple[str, str]) -> tuple[Windows, Comparison] | None:
    """Against the last 28 days in a row that were no drift, for an item whose pinned reference holds too little; None where
    those hold too little as well."""
    system, signal = item
    day = pinned.current_end
    drifted = engine.query(DRIFTED, {"system": system, "signal": signal, "day": day})["day"].to_list()
    last = pinned.current_start - timedelta(days=1)
    first = last - timedelta(days=REFERENCE_DAYS - 1)
    while inside := [one for one in drifted if first <= one <= last]:
        last = min(inside) - timedelta(days=1)
        first = last - timedelta(days=REFERENCE_DAYS - 1)
    if first < pinned.reference_start:
        return None
    windows = Windows(first, last, pinned.current_start, day)
    found = next((one for one in compare(engine, windows, {"system": system}) if one.signal == signal), None)
    return (windows, found) if found and found.is_enough else None


def _tested(engine: Engine, windows: Windows, found: Comparison) -> dict[str, Any]:
    """The p-value of a signal that stands out, or why it has none, and what moved."""
    assert found.system is not None
    counts = by_day(engine, windows, found.signal, {"system": found.system})
    reference, current = _days(counts, found.signal, windows.current_start)
    detail: dict[str, Any] = {"effect": found.effect, "parts": found.parts, "ks_bound": found.ks_bound, "current_days": len(current)}
    moved = segments(engine, found.system, found.signal, counts, windows.current_start)
    detail["segments"] = [{**segment.__dict__, "words": segment.words} for segment in moved]
    if len(current) < LEAST_CURRENT_DAYS:
        detail["why"] = f"{len(current)} of the current days have data; the test over days needs {LEAST_CURRENT_DAYS}"
        return {"state": "LOW_CONFIDENCE", "p_value": None, "detail": detail}
    return {"state": "NO_DRIFT", "p_value": day_blocks.p_value(reference, current), "detail": detail}


def _days(counts: pl.DataFrame, signal: str, current_start: date) -> tuple[Any, Any]:
    """Days × parts of both windows. The parts are those of both windows together, so that days can be exchanged."""
    sums = counts.group_by("bin").agg(pl.col("n").sum()).sort("bin")
    part_of = dict(zip(sums["bin"], parts_of(signal, sums["bin"].to_list(), sums["n"].to_list()), strict=True))
    days = counts["day"].unique().sort()
    table = np.zeros((len(days), max(part_of.values()) + 1))
    places = {day: place for place, day in enumerate(days)}
    for day, bin_name, n in counts.select("day", "bin", "n").iter_rows():
        table[places[day], part_of[bin_name]] += n
    is_current = (days >= current_start).to_numpy()
    return table[~is_current], table[is_current]


def _judged_together(rows: Sequence[dict[str, Any]], day: date) -> list[dict[str, Any]]:
    """Drift is what stays when all tests of the run are allowed for; a signal that did not stand out counts with p = 1."""
    tested = [row for row in rows if row["p_value"] is not None]
    for row, q in zip(tested, stats.benjamini_hochberg([row["p_value"] for row in tested]), strict=True):
        row["q_value"] = q
        row["state"] = "DRIFT" if q <= LARGEST_Q else row["state"]
    as_of = datetime.combine(day, time()) + timedelta(days=1)
    return [{"run_id": f"day {day}", "as_of": as_of, **row, "detail": json.dumps(row["detail"], default=str)} for row in rows]
