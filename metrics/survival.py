"""How long things take: medians and quantiles of durations, some of them still running, and shifts between two samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binom, mannwhitneyu

from metrics.stats import ROUNDING, Interval, Z


@dataclass(frozen=True)
class Quantile:
    """A quantile of durations; the value is None where the curve never gets there, the interval where an end stays open."""

    value: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Shift:
    """How far the second sample lies above the first (Hodges-Lehmann), and the p-value of no shift (Mann-Whitney)."""

    value: float
    p: float


def kaplan_meier(events: Sequence[float], censored: Sequence[float], q: float = 0.5) -> Quantile:
    """The first time by which a share q has ended, some still running; log-log limits."""
    times, ended = np.unique(np.asarray(events, float), return_counts=True)
    everybody = np.sort(np.concatenate([np.asarray(events, float), np.asarray(censored, float)]))
    at_risk = len(everybody) - np.searchsorted(everybody, times)
    survival = np.cumprod(1 - ended / at_risk)
    still = survival > 0  # at 0 the limits are undefined
    times_still, survival_still, ended, at_risk = times[still], survival[still], ended[still], at_risk[still]
    width = Z * np.sqrt(np.cumsum(ended / (at_risk * (at_risk - ended)))) / -np.log(survival_still)
    value = _first(times, survival, 1 - q)
    low, high = (_first(times_still, survival_still ** np.exp(sign * width), 1 - q) for sign in (1, -1))
    return Quantile(value, Interval(low, high, "Kaplan-Meier, log-log") if low is not None and high is not None else None)


def median(values: Sequence[float]) -> Quantile:
    """The median with the order statistics around it; their true confidence is in the method. No interval below six values."""
    if not values:
        return Quantile(None, None)
    ordered, n = sorted(values), len(values)
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    rank = int(binom.ppf(0.025, n, 0.5))
    if not rank:
        return Quantile(middle, None)
    confidence = 1 - 2 * float(binom.cdf(rank - 1, n, 0.5))
    return Quantile(middle, Interval(ordered[rank - 1], ordered[n - rank], f"order statistics, {100 * confidence:.2f} %"))


def mann_whitney(before: Sequence[float], after: Sequence[float]) -> Shift | None:
    """Whether the second sample tends to lie above or below the first, and by how much."""
    if not before or not after:
        return None
    differences = np.subtract.outer(np.asarray(after, float), np.asarray(before, float))
    p = float(mannwhitneyu(before, after).pvalue) if len({*before, *after}) > 1 else 1.0
    return Shift(float(np.median(differences)), p)


def _first(times: Any, shares: Any, threshold: float) -> float | None:
    reached = np.flatnonzero(shares <= threshold + ROUNDING)
    return float(times[reached[0]]) if len(reached) else None
