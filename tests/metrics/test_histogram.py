"""Percentiles from daily bins: within one per cent of the sorted values, whatever days and systems are merged."""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.filters import UNATTRIBUTED, Period
from metrics.histogram import BASE, ZERO_BIN, percentile
from tests.metrics.ledger import Ledger, scope

FIRST = date(2026, 9, 1)
WITHIN = 0.01  # a bin is two per cent wide, and its middle is the answer
MILLISECONDS = st.floats(0.01, 1e7)
OBSERVED = st.lists(st.tuples(st.integers(0, 29), st.sampled_from([None, "a", "b"]), MILLISECONDS), min_size=1, max_size=80)
few = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(scope="module")
def shared() -> Iterator[Ledger]:
    ledger = Ledger()
    yield ledger
    ledger.close()


def bin_of(value: float) -> int:
    """The bin of a value, as the schema defines it."""
    return ZERO_BIN if value <= 1e-9 else math.ceil(math.log(value) / math.log(BASE))


def observe(ledger: Ledger, observed: list[tuple[int, str | None, float]], signal: str = "latency_ms") -> None:
    """Replace what was observed: day of September from 0, system, value."""
    with ledger.transaction() as cursor:
        cursor.execute("delete from signal_day")
    counted = Counter((day, system, bin_of(value)) for day, system, value in observed)
    rows: list[dict[str, Any]] = [
        {"day": FIRST + timedelta(days=day), "system": system, "signal": signal, "bin": str(number), "n": n}
        for (day, system, number), n in counted.items()
    ]
    ledger.put("signal_day", *rows)


def expected(values: list[float], share: float) -> float:
    return float(np.quantile(values, share, method="inverted_cdf"))


@few
@given(OBSERVED, st.sampled_from([0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_percentile_is_within_a_bin_of_the_sorted_values(
    shared: Ledger, observed: list[tuple[int, str | None, float]], share: float
) -> None:
    observe(shared, observed)
    found = percentile(shared, scope(), "latency_ms", share)
    assert found == pytest.approx(expected([value for *_, value in observed], share), rel=WITHIN)


@few
@given(OBSERVED, st.sampled_from(["a", "b", UNATTRIBUTED]))
def test_a_filter_takes_only_its_own_observations(shared: Ledger, observed: list[tuple[int, str | None, float]], system: str) -> None:
    observe(shared, observed)
    own = [value for _, name, value in observed if (name or UNATTRIBUTED) == system]
    found = percentile(shared, scope(system=system), "latency_ms", 0.95)
    assert found == (pytest.approx(expected(own, 0.95), rel=WITHIN) if own else None)


@few
@given(OBSERVED, st.integers(1, 30))
def test_a_window_takes_only_its_own_days(shared: Ledger, observed: list[tuple[int, str | None, float]], days: int) -> None:
    observe(shared, observed)
    window = Period(scope().period.start, scope().period.start + timedelta(days=days))
    own = [value for day, _, value in observed if day < days]
    found = percentile(shared, scope(window), "latency_ms", 0.5)
    assert found == (pytest.approx(expected(own, 0.5), rel=WITHIN) if own else None)


def test_a_long_tail_is_not_cut(shared: Ledger) -> None:
    values = np.random.default_rng(7).lognormal(7, 1.5, 1500)
    observe(shared, [(place % 30, None, float(value)) for place, value in enumerate(values)])
    for share in (0.5, 0.9, 0.95, 0.99):
        assert percentile(shared, scope(), "latency_ms", share) == pytest.approx(expected(values.tolist(), share), rel=WITHIN)


def test_nothing_observed_is_unknown_and_zero_is_zero(shared: Ledger) -> None:
    observe(shared, [])
    assert percentile(shared, scope(), "latency_ms", 0.5) is None
    observe(shared, [(0, None, 0.0), (0, None, 0.0), (0, None, 100.0)])
    assert percentile(shared, scope(), "latency_ms", 0.5) == 0
    assert percentile(shared, scope(), "latency_ms", 0.99) == pytest.approx(100, rel=WITHIN)


def test_signals_do_not_mix(shared: Ledger) -> None:
    observe(shared, [(0, None, 5.0)], signal="ttft_ms")
    assert percentile(shared, scope(), "latency_ms", 0.5) is None
    assert percentile(shared, scope(), "ttft_ms", 0.5) == pytest.approx(5, rel=WITHIN)
