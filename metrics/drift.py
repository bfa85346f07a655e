"""How far a signal moved between two windows: PSI, JS, KS and W1 from daily histograms, and what counts as an effect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import chi2

from metrics.engines import Engine

Counts = npt.NDArray[np.float64]
Effect = Literal["none", "moderate", "major"]

REFERENCE_DAYS, CURRENT_DAYS = 28, 7
MINIMUM_N = 200
MODERATE_PSI, MAJOR_PSI = 0.10, 0.25
NOISE_QUANTILE = 0.999
SMOOTHING = 0.5
PARTS = 10
DIMENSIONS = ("system", "team", "environment", "provider", "model", "prompt_version")

# Without a word about its environment a call counts as production: most emitters say nothing.
PRODUCTION = "s.environment in ('production', 'prod', 'default')"
TEXTS = ("finish_reason", "error", "tool")
KIND = """case when {0} in ('finish_reason', 'error', 'tool') then 'text'
                 when {0} = 'retrieval_score' or {0} like 'evaluation:%' then 'score' else 'number' end"""

# Every signal of every system at once. Numbers fall into tenths of the reference; texts, and numbers of fewer than four
# bins, into as many parts as they have values. Past 200 texts the rest is one. KS and W1 need an order, which texts lack.
COMPARED = f"""
with found as (
    select s.system as system, s.signal as signal, s.bin as bin, {KIND.format("s.signal")} as kind,
           cast(sum(case when s.day between $r0 and $r1 then s.n else 0 end) as double) as r,
           cast(sum(case when s.day between $c0 and $c1 then s.n else 0 end) as double) as c
    from signal_day s where {{where}} and (s.day between $r0 and $r1 or s.day between $c0 and $c1) group by 1, 2, 3, 4
), ranked as (
    select f.*, row_number() over (partition by f.system, f.signal order by f.r + f.c desc, f.bin) as place from found f
), u as (
    select k.system as system, k.signal as signal, k.kind as kind,
           case when k.kind = 'text' and k.place > 200 then '__other__' else k.bin end as name, sum(k.r) as r, sum(k.c) as c
    from ranked k group by 1, 2, 3, 4
), n as (
    select u.*, case when u.kind = 'text' then 0 else cast(u.name as bigint) end as bin from u where u.r + u.c > 0
), t as (
    select n.system as system, n.signal as signal, n.kind as kind, n.bin as bin, n.r as r, n.c as c,
           sum(n.r) over (partition by n.system, n.signal) * 1e0 as nr, sum(n.c) over (partition by n.system, n.signal) * 1e0 as nc,
           sum(n.r) over (partition by n.system, n.signal order by n.bin, n.name) as cr,
           sum(n.c) over (partition by n.system, n.signal order by n.bin, n.name) as cc,
           lead(n.bin) over (partition by n.system, n.signal order by n.bin, n.name) as nb,
           row_number() over (partition by n.system, n.signal order by n.bin, n.name) as place,
           count(*) over (partition by n.system, n.signal) as distinct_bins
    from n
), d as (
    select t.*, t.cr / nullif(t.nr, 0) - t.cc / nullif(t.nc, 0) as gap,
           case when t.kind = 'score' then greatest(t.bin * 5e-3 - 2.5e-3, 0e0) when t.bin <= -100000 then 0e0
                else exp(t.bin * 1.980262729617973e-02) * 2 / 2.02e0 end as x,
           case when t.kind = 'score' then greatest(t.nb * 5e-3 - 2.5e-3, 0e0)
                else exp(t.nb * 1.980262729617973e-02) * 2 / 2.02e0 end as x2,
           case when t.kind = 'text' or t.distinct_bins < 4 then t.place * 1e0
                else least(9e0, floor(10 * (t.cr - t.r / 2e0) / nullif(t.nr, 0))) end as part
    from t
), k as (
    select d.system as system, d.signal as signal, d.kind as kind, max(d.nr) as nr, max(d.nc) as nc,
           max(case when d.kind <> 'text' then abs(d.gap) end) as ks,
           sum(case when d.kind <> 'text' then abs(d.gap) * (d.x2 - d.x) end) as w1,
           max(case when d.kind <> 'text' then greatest(d.r / nullif(d.nr, 0), d.c / nullif(d.nc, 0)) end) as ks_bound
    from d group by 1, 2, 3
), b as (
    select d.system as system, d.signal as signal, d.part as part, sum(d.r) as r, sum(d.c) as c,
           count(*) over (partition by d.system, d.signal) as parts
    from d group by 1, 2, 3
), q as (
    select b.system as system, b.signal as signal, (b.r + 5e-1) / (k.nr + 5e-1 * b.parts) as p,
           (b.c + 5e-1) / (k.nc + 5e-1 * b.parts) as q, b.parts as parts
    from b join k on k.signal = b.signal and coalesce(k.system, '') = coalesce(b.system, '')
), s as (
    select q.system as system, q.signal as signal, sum((q.p - q.q) * ln(q.p / q.q)) as psi,
           sqrt(sum(q.p * ln(2 * q.p / (q.p + q.q)) + q.q * ln(2 * q.q / (q.p + q.q))) / 2) as js, max(q.parts) as parts
    from q group by 1, 2
)
select k.system as system, k.signal as signal, cast(k.nr as bigint) as n_reference, cast(k.nc as bigint) as n_current, s.psi as psi,
       s.js as js, k.ks as ks, k.w1 as w1, k.ks_bound as ks_bound, cast(s.parts as bigint) as parts
from k join s on s.signal = k.signal and coalesce(s.system, '') = coalesce(k.system, '') order by 1, 2
"""

BY_DAY = """
select s.day as day, s.model as model, s.prompt_version as prompt_version, s.bin as bin, cast(sum(s.n) as bigint) as n
from signal_day s where {where} and s.signal = $signal and (s.day between $r0 and $r1 or s.day between $c0 and $c1)
group by 1, 2, 3, 4 order by 1, 2, 3, 4
"""


@dataclass(frozen=True)
class Windows:
    """Two windows of whole days; the last day of each belongs to it."""

    reference_start: date
    reference_end: date
    current_start: date
    current_end: date

    @staticmethod
    def pinned(baseline: date, day: date) -> "Windows":
        """The first 28 days from the baseline day on, against the seven days that end with `day`."""
        return Windows(baseline, baseline + timedelta(REFERENCE_DAYS - 1), day - timedelta(CURRENT_DAYS - 1), day)

    @property
    def is_complete(self) -> bool:
        """Whether the reference was over before the current window began."""
        return self.reference_end < self.current_start

    def params(self) -> dict[str, Any]:
        return {"r0": self.reference_start, "r1": self.reference_end, "c0": self.current_start, "c1": self.current_end}


@dataclass(frozen=True)
class Comparison:
    """One signal of one system in two windows; KS and W1 are None for texts, W1 is in the signal's own unit."""

    system: str | None
    signal: str
    n_reference: int
    n_current: int
    psi: float
    js: float
    ks: float | None
    w1: float | None
    ks_bound: float | None  # the binning moves KS by no more than this
    parts: int

    @property
    def is_enough(self) -> bool:
        return min(self.n_reference, self.n_current) >= MINIMUM_N

    @property
    def effect(self) -> Effect:
        return "major" if self.psi >= MAJOR_PSI else "moderate" if self.psi >= MODERATE_PSI else "none"

    @property
    def noise_floor(self) -> float | None:
        """The PSI that one in a thousand comparisons reaches without any drift."""
        if not (self.n_reference and self.n_current) or self.parts < 2:
            return None
        return _chi2(self.parts - 1) * (1 / self.n_reference + 1 / self.n_current)

    @property
    def stands_out(self) -> bool:
        """Whether effect and noise call for the test over days."""
        floor = self.noise_floor
        return self.is_enough and self.effect != "none" and floor is not None and self.psi > floor


def compare(engine: Engine, windows: Windows, dimensions: Mapping[str, str] | None = None, only: Sequence[str] = ()) -> list[Comparison]:
    """Every signal of every system in production, narrowed to values of dimensions, or to the systems `only`."""
    where, params = _where(dimensions or {})
    named = {f"system_{place}": system for place, system in enumerate(only)}
    if named:
        where += f" and s.system in ({', '.join(f'${name}' for name in named)})"
    rows = engine.query(COMPARED.format(where=where), {**params, **named, **windows.params()})
    return [Comparison(**row) for row in rows.to_dicts()]


def by_day(engine: Engine, windows: Windows, signal: str, dimensions: Mapping[str, str]) -> pl.DataFrame:
    """The counts of both windows by day, model, prompt version and bin."""
    where, params = _where(dimensions)
    return engine.query(BY_DAY.format(where=where), {**params, "signal": signal, **windows.params()})


def psi(reference: Counts, current: Counts) -> Counts:
    """The population stability index over the last axis, smoothed as the SQL does."""
    parts = reference.shape[-1]
    p, q = ((counts + SMOOTHING) / (counts.sum(axis=-1, keepdims=True) + SMOOTHING * parts) for counts in (reference, current))
    index: Counts = ((p - q) * np.log(p / q)).sum(axis=-1)
    return index


def parts_of(signal: str, bins: Sequence[str], weights: Sequence[float]) -> list[int]:
    """The part that each distinct bin falls into: tenths of the weights, or one of its own, as the SQL does."""
    if signal in TEXTS or len(bins) < 4:
        return list(range(len(bins)))
    order = np.argsort(np.asarray([int(name) for name in bins]), kind="stable")
    ordered = np.asarray(weights, float)[order]
    tenth = np.minimum(PARTS - 1, np.floor(PARTS * (np.cumsum(ordered) - ordered / 2) / ordered.sum()))
    found = np.empty(len(bins), dtype=int)
    found[order] = np.unique(tenth, return_inverse=True)[1]
    return [int(part) for part in found]


def _where(dimensions: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    if unknown := set(dimensions) - set(DIMENSIONS):
        raise ValueError(f"signals are not kept by {', '.join(sorted(unknown))}")
    return " and ".join([PRODUCTION, *(f"s.{name} = ${name}" for name in dimensions)]), dict(dimensions)


@lru_cache
def _chi2(degrees: int) -> float:
    return float(chi2.ppf(NOISE_QUANTILE, degrees))
