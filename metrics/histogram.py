"""Percentiles from the daily log-bucket histograms, which merge over any dimension; relative error at most 1 %."""

import math

from metrics.engines import Engine
from metrics.filters import Scope

BASE = 1.02
ZERO_BIN = -100_000  # everything up to 1e-9

QUANTILE = """
with bins as (
    select cast(s.bin as bigint) as bin, sum(s.n) as n from signal_day s where s.signal = $signal and {where} group by 1
), ranked as (
    select b.bin as bin, sum(b.n) over (order by b.bin) as up_to, sum(b.n) over () as total from bins b
)
select min(r.bin) as bin from ranked r where r.up_to >= r.total * $share
"""


def percentile(engine: Engine, scope: Scope, signal: str, share: float) -> float | None:
    """The value below which `share` of a numeric signal lies, such as latency_ms; None without observations."""
    where, params = scope.where("day", prefix="s.")
    bin_number = engine.query(QUANTILE.format(where=where), {**params, "signal": signal, "share": share})["bin"][0]
    if bin_number is None:
        return None
    return 0.0 if bin_number <= ZERO_BIN else math.exp(bin_number * math.log(BASE)) * 2 / (1 + BASE)
