"""How long two windows of a year take to compare, and a day's run of the detector: `python -m tests.bench.drift`.

The year is synthetic: systems with ten signals each, two models and two prompt versions, a few thousand calls a day. Times are
the median over windows drawn at random; the aim is 100 ms for any two windows of one system or of all.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl

from ingest.store import Store
from metrics.drift import Windows, compare
from metrics.drift_run import run

START, DAYS = date(2025, 10, 1), 365
SIGNALS = ("input_tokens", "output_tokens", "reasoning_tokens", "latency_ms", "ttft_ms", "calls_per_trace")
TEXTS = {"finish_reason": ("stop", "tool_calls", "length"), "error": ("ok", "timeout"), "tool": ("look_up", "send")}
SEGMENTS = [(model, version) for model in ("gpt-4o", "claude-haiku-4-5") for version in ("v1", "v2")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", type=int, default=8)
    parser.add_argument("--windows", type=int, default=20)
    given = parser.parse_args()
    store = Store(":memory:")
    rows = fill(store, given.systems)
    print(f"{rows:,} histogram rows: {given.systems} systems, {DAYS} days")
    chance = np.random.default_rng(1)
    report("two windows, one system", [drawn(chance) for _ in range(given.windows)], lambda w: compare(store, w, {"system": "system 0"}))
    report("two windows, all systems", [drawn(chance) for _ in range(given.windows)], lambda w: compare(store, w))
    report("a day's run", [drawn(chance) for _ in range(5)], lambda w: run(store, w.current_end))


def report(name: str, windows: list[Windows], work: Callable[[Windows], object]) -> None:
    times = []
    for one in windows:
        began = time.perf_counter()
        work(one)
        times.append((time.perf_counter() - began) * 1000)
    print(f"{name}: median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms")


def drawn(chance: np.random.Generator) -> Windows:
    """A pinned reference anywhere in the first half and a week anywhere in the second."""
    return Windows.pinned(START + timedelta(days=int(chance.integers(0, 150))), START + timedelta(days=int(chance.integers(200, DAYS))))


def fill(store: Store, systems: int) -> int:
    """A year of daily histograms; the number of rows."""
    chance = np.random.default_rng(7)
    total = 0
    for system in range(systems):
        columns: dict[str, list[object]] = {
            name: [] for name in ("day", "system", "environment", "model", "prompt_version", "signal", "bin", "n")
        }
        for offset in range(DAYS):
            for model, version in SEGMENTS:
                for signal in SIGNALS:
                    bins = np.ceil(chance.normal(300, 20, 400)).astype(int)
                    add(columns, offset, system, model, version, signal, *np.unique(bins, return_counts=True))
                for signal, texts in TEXTS.items():
                    add(columns, offset, system, model, version, signal, np.asarray(texts), chance.integers(1, 400, len(texts)))
        frame = pl.DataFrame(columns)
        total += frame.height
        with store.transaction() as cursor:
            cursor.register("year", frame)
            cursor.execute("insert into signal_day by name select * from year")
            cursor.unregister("year")
    return total


def add(
    columns: dict[str, list[object]], offset: int, system: int, model: str, version: str, signal: str, bins: np.ndarray, n: np.ndarray
) -> None:
    columns["bin"] += [str(name) for name in bins]
    columns["n"] += n.tolist()
    same = {"day": START + timedelta(days=offset), "system": f"system {system}", "environment": "production", "model": model}
    for name, value in {**same, "prompt_version": version, "signal": signal}.items():
        columns[name] += [value] * len(bins)


if __name__ == "__main__":
    main()
