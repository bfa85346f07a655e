"""Daily histograms that tests of drift fill: bins as the rollup makes them, from values or from counts."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from tests.metrics.ledger import Ledger

BASELINE = date(2026, 7, 1)
DAY = date(2026, 9, 14)  # the last of the seven current days


def log_bins(values: Sequence[float]) -> dict[str, int]:
    """bin = ceil(ln x / ln 1.02)."""
    bins = np.ceil(np.round(np.log(np.asarray(values, float)) / np.log(1.02), 9)).astype(int)
    names, counts = np.unique(bins, return_counts=True)
    return {str(name): int(n) for name, n in zip(names, counts, strict=True)}


def put_counts(ledger: Ledger, day: date, signal: str, counts: Mapping[str, int], **columns: Any) -> None:
    put_rows(ledger, [{"day": day, "signal": signal, "bin": name, "n": n, **columns} for name, n in counts.items()])


def put_rows(ledger: Ledger, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of signal_day; production and one system unless they say otherwise."""
    frame = pl.DataFrame([{"system": "claims", "environment": "production", **row} for row in rows], infer_schema_length=None)
    with ledger.transaction() as cursor:
        cursor.register("new_rows", frame)
        cursor.execute("insert into signal_day by name select * from new_rows")
        cursor.unregister("new_rows")


def clustered_days(
    chance: np.random.Generator, signals: Sequence[str], a_day: int = 60, factor: float = 1.0, **columns: Any
) -> list[dict[str, Any]]:
    """Five weeks of values whose days differ from each other: a lognormal whose level moves from day to day. The last week is
    multiplied by `factor`."""
    days = [BASELINE + timedelta(days=offset) for offset in range(28)] + [DAY - timedelta(days=back) for back in range(7)]
    rows = []
    for signal in signals:
        for place, day in enumerate(days):
            level = chance.normal(0, 0.15) + (np.log(factor) if place >= 28 else 0)
            counts = log_bins(500 * np.exp(level + chance.normal(0, 0.4, a_day)))
            rows += [{"day": day, "signal": signal, "bin": name, "n": n, **columns} for name, n in counts.items()]
    return rows
