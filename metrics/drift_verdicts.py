"""What the detector said of a period: the worst daily verdict of each signal, since when, and what moved."""

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import polars as pl

from metrics.engines import Engine
from metrics.filters import Scope

State = Literal["DRIFT", "LOW_CONFIDENCE", "NO_DRIFT", "INSUFFICIENT_DATA"]
WORST_FIRST: tuple[State, ...] = ("DRIFT", "LOW_CONFIDENCE", "NO_DRIFT", "INSUFFICIENT_DATA")

RESULTS = """
select r.system as system, r.signal as signal, r.current_end as day, r.state as state, r.n_reference as n_reference,
       r.n_current as n_current, r.psi as psi, r.js as js, r.ks as ks, r.w1 as w1, r.noise_floor as noise_floor,
       r.p_value as p_value, r.q_value as q_value, r.reference_start as reference_start, r.reference_end as reference_end,
       r.current_start as current_start, r.baseline as baseline, cast(r.detail as varchar) as detail
from drift_results r where r.as_of > $start and r.as_of <= $end and {where} order by 1, 2, 3
"""
ACCEPTED = """
select e."at" as at, cast(e.detail as varchar) as detail from events e where e.kind = 'drift_baseline' order by 1
"""


@dataclass(frozen=True)
class Baseline:
    """The day from which on a person took a system's behaviour as normal: who, and when it was accepted."""

    day: date
    by: str
    at: datetime


@dataclass(frozen=True)
class Verdict:
    """A signal of a system over a period: its worst daily verdict with the first and last day of it, and that day's result."""

    system: str
    signal: str
    state: State
    first_day: date
    last_day: date
    days: int  # how many daily verdicts were this bad
    runs: int  # how many there were
    result: dict[str, Any]  # the row of drift_results of the first such day
    detail: dict[str, Any]

    @property
    def moved(self) -> list[str]:
        """The segments that explain it, in words, the best first."""
        return [segment["words"] for segment in self.detail.get("segments", ())]


def results(engine: Engine, scope: Scope) -> pl.DataFrame:
    """Every comparison of the days of a period."""
    where = "1 = 1"
    params: dict[str, Any] = {"start": scope.period.start, "end": scope.period.end}
    if system := scope.dimensions.get("system"):
        where, params = "r.system = $system", params | {"system": system}
    return engine.query(RESULTS.format(where=where), params)


def verdicts(engine: Engine, scope: Scope) -> list[Verdict]:
    """One verdict per system and signal, the worst first and then the largest effect."""
    found = [_verdict(days.to_dicts()) for _, days in results(engine, scope).group_by("system", "signal", maintain_order=True)]
    return sorted(
        found, key=lambda verdict: (WORST_FIRST.index(verdict.state), -(verdict.result["psi"] or 0.0), verdict.system, verdict.signal)
    )


def baselines(engine: Engine) -> dict[str, Baseline]:
    """The last baseline that a person accepted of each system."""
    found = {}
    for at, text in engine.query(ACCEPTED).rows():
        detail = json.loads(text)
        found[detail["system"]] = Baseline(date.fromisoformat(detail["day"]), detail["by"], at)
    return found


def _verdict(days: list[dict[str, Any]]) -> Verdict:
    worst = min((day["state"] for day in days), key=WORST_FIRST.index)
    as_bad = [day for day in days if day["state"] == worst]
    first = as_bad[0]
    detail = json.loads(first["detail"] or "{}")
    return Verdict(first["system"], first["signal"], worst, first["day"], as_bad[-1]["day"], len(as_bad), len(days), first, detail)
