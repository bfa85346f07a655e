"""Intervals and tests for rates, counts and durations, thin over scipy; None where no honest interval exists."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats as sp

LEVEL = 0.95
Z = float(sp.norm.ppf(0.5 + LEVEL / 2))


@dataclass(frozen=True)
class Interval:
    """A 95 % interval and how it was made."""

    low: float
    high: float
    method: str


@dataclass(frozen=True)
class Estimate:
    """A value, None where the data do not reach it, and its interval where one can be computed."""

    value: float | None
    interval: Interval | None = None


@dataclass(frozen=True)
class Comparison:
    """The size of a difference, its interval and the p value of no difference."""

    difference: float
    interval: Interval | None
    p: float


def wilson(successes: float, n: float, method: str = "Wilson") -> Interval:
    """Wilson's score interval of a share; `n` may be an effective sample size."""
    p = successes / n
    centre, spread = p + Z**2 / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    scale = 1 + Z**2 / n
    return Interval(max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale), method)


def clustered_n(parts: Sequence[float], totals: Sequence[float]) -> float | None:
    """The sample size that independent trials would need for the variance of a ratio of daily sums; None for fewer than
    two days or a ratio without variance."""
    days, total = len(totals), float(sum(totals))
    if days < 2 or not total:
        return None
    p = sum(parts) / total
    variance = days / (days - 1) * sum((part - p * whole) ** 2 for part, whole in zip(parts, totals, strict=True)) / total**2
    return p * (1 - p) / variance if variance > 0 and 0 < p < 1 else None


def wilson_by_day(parts: Sequence[float], totals: Sequence[float]) -> Interval | None:
    """Wilson's interval of a ratio of daily sums on its day-clustered sample size."""
    n = clustered_n(parts, totals)
    return None if n is None else wilson(n * sum(parts) / sum(totals), n, "Wilson, clustered by day")


def newcombe(k1: float, n1: float, k2: float, n2: float) -> Interval:
    """Newcombe's interval of p1 − p2 from the Wilson intervals of both."""
    first, second, p1, p2 = wilson(k1, n1), wilson(k2, n2), k1 / n1, k2 / n2
    difference = p1 - p2
    return Interval(difference - math.hypot(p1 - first.low, second.high - p2), difference + math.hypot(first.high - p1, p2 - second.low), "Newcombe")


def rates_differ_by_day(parts_1: Sequence[float], totals_1: Sequence[float], parts_2: Sequence[float], totals_2: Sequence[float]) -> bool:
    """Whether two ratios of daily sums differ by Newcombe's interval on day-clustered sample sizes; False when it cannot be told."""
    n1, n2 = clustered_n(parts_1, totals_1), clustered_n(parts_2, totals_2)
    if n1 is None or n2 is None:
        return False
    found = newcombe(n1 * sum(parts_1) / sum(totals_1), n1, n2 * sum(parts_2) / sum(totals_2), n2)
    return found.low > 0 or found.high < 0


def garwood(count: int, exposure: float) -> Interval:
    """Garwood's exact interval of a Poisson rate."""
    tail = (1 - LEVEL) / 2
    low = sp.chi2.ppf(tail, 2 * count) / 2 if count else 0.0
    return Interval(float(low) / exposure, float(sp.chi2.ppf(1 - tail, 2 * count + 2)) / 2 / exposure, "Garwood")


def poisson_ratio(k1: int, exposure_1: float, k2: int, exposure_2: float) -> Comparison:
    """Two Poisson rates by the conditional binomial test; the difference is the ratio of the second to the first."""
    n, expected = k1 + k2, exposure_2 / (exposure_1 + exposure_2)
    if not n:
        return Comparison(math.nan, None, 1.0)
    test = sp.binomtest(k2, n, expected)
    share = test.proportion_ci(LEVEL, "exact")
    bounds = [math.inf if b == 1 else b / (1 - b) * exposure_1 / exposure_2 for b in (share.low, share.high)]
    ratio = math.inf if not k1 else (k2 / exposure_2) / (k1 / exposure_1)
    return Comparison(ratio, Interval(bounds[0], bounds[1], "Clopper-Pearson"), float(test.pvalue))


def kaplan_meier(events: Sequence[float], censored: Sequence[float], share: float) -> Estimate:
    """The first time by which `share` of all have ended, with log-log limits; None when the curve does not get there."""
    times, alive, surviving, variance = [], len(events) + len(censored), 1.0, 0.0
    goal = 1 - share
    value = low = high = None
    for time in sorted(set(events)):
        at_risk = alive - sum(other < time for other in (*events, *censored))
        ended = sum(other == time for other in events)
        surviving *= 1 - ended / at_risk
        variance += ended / (at_risk * (at_risk - ended)) if at_risk > ended else math.inf
        times.append(time)
        lower, upper = _log_log(surviving, variance)
        if value is None and surviving <= goal + 1e-12:
            value = time
        if low is None and lower <= goal:
            low = time
        if high is None and upper <= goal:
            high = time
    return Estimate(value, Interval(low, high, "Kaplan-Meier, log-log") if value is not None and low is not None and high is not None else None)


def _log_log(surviving: float, variance: float) -> tuple[float, float]:
    if surviving <= 0 or not math.isfinite(variance):
        return 0.0, 0.0
    width = Z * math.sqrt(variance) / abs(math.log(surviving))
    return surviving ** math.exp(width), surviving ** math.exp(-width)


def median(values: Sequence[float]) -> Estimate:
    """The median with the interval of order statistics; none for five values or fewer."""
    ordered, n = sorted(values), len(values)
    ranks = [rank for rank in range(1, n // 2 + 1) if 2 * sp.binom.cdf(rank - 1, n, 0.5) <= 1 - LEVEL]
    interval = Interval(ordered[ranks[-1] - 1], ordered[n - ranks[-1]], "order statistics") if ranks and n > 5 else None
    return Estimate(float(np.median(ordered)), interval)


def mann_whitney(before: Sequence[float], after: Sequence[float]) -> Comparison | None:
    """Whether durations shifted, with the Hodges-Lehmann shift; None without values on a side."""
    if not before or not after:
        return None
    shift = float(np.median(np.subtract.outer(np.asarray(after), np.asarray(before))))
    return Comparison(shift, None, float(sp.mannwhitneyu(after, before).pvalue))
