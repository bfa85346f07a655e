"""Which part of a system's traffic moved: the model or prompt version without which the drift would be gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from metrics.drift import PRODUCTION, Counts, parts_of, psi
from metrics.engines import Engine

DIMENSIONS = ("prompt_version", "model")
EXPLAINS = 0.5  # a segment is named when the drift without it falls to this share or less

FIRST_DAY = "select min(s.day) as day from signal_day s where {where} and s.system = $system and s.{name} = $value"


@dataclass(frozen=True)
class Segment:
    """A value of a dimension, its share of both windows, and the PSI of everything else."""

    dimension: str
    value: str
    reference_share: float
    current_share: float
    psi_without: float
    first_day: date | None = None

    @property
    def words(self) -> str:
        what = f"{self.dimension.replace('_', ' ')} {self.value}"
        since = f", new since {self.first_day}" if self.first_day is not None and not self.reference_share else ""
        return f"{what} ({self.reference_share:.0%} to {self.current_share:.0%} of the values{since})"


def segments(engine: Engine, system: str, signal: str, counts: pl.DataFrame, current_start: date) -> list[Segment]:
    """What moved, the segment that explains most first; `counts` as metrics.drift.by_day gives them."""
    found = [segment for name in DIMENSIONS for segment in _of(name, signal, counts, current_start)]
    return [
        Segment(**{**segment.__dict__, "first_day": _first_day(engine, system, segment)})
        for segment in sorted(found, key=lambda segment: segment.psi_without)
    ]


def _of(name: str, signal: str, counts: pl.DataFrame, current_start: date) -> Sequence[Segment]:
    bins = counts.filter(pl.col("day") < current_start).group_by("bin").agg(pl.col("n").sum())
    known: Mapping[str, float] = dict(bins.rows())
    names = sorted(counts["bin"].unique().to_list())
    part_of = dict(zip(names, parts_of(signal, names, [known.get(bin_name, 0.0) for bin_name in names]), strict=True))
    values = counts[name].unique().drop_nulls().to_list()
    tables = {value: _windows(counts.filter(pl.col(name).eq_missing(value)), part_of, current_start) for value in [*values, None]}
    reference, current = (np.sum([pair[place] for pair in tables.values()], axis=0) for place in (0, 1))
    whole = float(psi(reference, current))
    found = []
    for value in values:
        own_reference, own_current = tables[value]
        rest_reference, rest_current = reference - own_reference, current - own_current
        is_whole = not (rest_reference.sum() and rest_current.sum())
        if is_whole and own_reference.sum() and own_current.sum():
            continue  # both windows hold little else, so the segment tells nothing apart
        without = 0.0 if is_whole else float(psi(rest_reference, rest_current))
        if own_current.sum() and without <= EXPLAINS * whole:
            shares = own_reference.sum() / reference.sum(), own_current.sum() / current.sum()
            found.append(Segment(name, value, float(shares[0]), float(shares[1]), without))
    return found


def _windows(counts: pl.DataFrame, part_of: Mapping[str, int], current_start: date) -> tuple[Counts, Counts]:
    tables = np.zeros((2, max(part_of.values()) + 1))
    parts = np.asarray([part_of[bin_name] for bin_name in counts["bin"]], dtype=int)
    np.add.at(tables, ((counts["day"] >= current_start).cast(pl.Int64).to_numpy(), parts), counts["n"].to_numpy())
    return tables[0], tables[1]


def _first_day(engine: Engine, system: str, segment: Segment) -> date | None:
    sql = FIRST_DAY.format(where=PRODUCTION, name=segment.dimension)
    first: date | None = engine.query(sql, {"system": system, "value": segment.value})["day"][0]
    return first
