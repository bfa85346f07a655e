"""Rates, means and counts with their 95 % intervals: numbers in, a small frozen result out, None where the data carry none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from scipy.stats import binomtest, bootstrap, chi2, false_discovery_control, norm

Z = 1.959963984540054  # two-sided 95 %
RESAMPLES = 4000
SEED = 2026
FEW_POSITIVES = 15  # below, the normal interval of a corrected rate is too short on one side
LEAST_YOUDEN = 0.3  # a judge below is hardly better than chance, and the correction would blow up the noise
ROUNDING = 1e-12


@final
@dataclass(frozen=True)
class Interval:
    """Two finite ends with 95 % confidence, and how they were found."""

    low: float
    high: float
    method: str


@dataclass(frozen=True)
class Estimate:
    """A rate, mean or difference with its interval."""

    value: float
    interval: Interval | None
    standard_error: float | None = None


@dataclass(frozen=True)
class WeightedRate:
    """A rate of sampled items, each weighted by what it stands for."""

    value: float
    interval: Interval | None
    weight_sum: float
    n_eff: float


@dataclass(frozen=True)
class CorrectedRate:
    """A judge's rate corrected by human labels, and how far the judge was trusted (0: not at all, 1: fully)."""

    value: float
    interval: Interval | None
    standard_error: float
    judge_weight: float


@dataclass(frozen=True)
class RateRatio:
    """The second Poisson rate over the first, and the p-value of no difference."""

    value: float | None
    interval: Interval | None
    p: float


def wilson(k: float, n: float, method: str = "Wilson") -> Interval | None:
    """Wilson's score interval of k in n; both may be fractions, as effective sample sizes are."""
    if n <= 0:
        return None
    p, z2 = k / n, Z * Z / n
    centre, half = p + z2 / 2, Z * math.sqrt(p * (1 - p) / n + z2 / n / 4)
    return _around(p, (centre - half) / (1 + z2), (centre + half) / (1 + z2), method)


def zero_events_upper(n: float) -> float | None:
    """The rate that is still compatible with no event in n: "0 of 120; up to 3.1 %"."""
    return interval.high if (interval := wilson(0, n)) else None


def hajek(outcomes: Sequence[float], probabilities: Sequence[float]) -> WeightedRate | None:
    """The rate of items drawn with known probabilities (above 0); Wilson on the effective sample size."""
    if not outcomes:
        return None
    weights = 1 / np.asarray(probabilities, float)
    total = math.fsum(weights)
    rate = math.fsum(weights * np.asarray(outcomes, float)) / total
    n_eff = total**2 / math.fsum(weights**2)
    return WeightedRate(rate, wilson(rate * n_eff, n_eff, "Wilson on weighted sample"), total, n_eff)


def stratified(strata: Sequence[tuple[int, int, int]]) -> Estimate | None:
    """The rate over strata given as (k, n, N): hits, sampled and all items. Strata with fewer than two sampled items are
    merged into the next smallest sample. Without any variance seen: Wilson, unless everything was sampled."""
    parts = sorted((n, size, k) for k, n, size in strata if size)
    while len(parts) > 1 and parts[0][0] < 2:
        merged = (parts[0][0] + parts[1][0], parts[0][1] + parts[1][1], parts[0][2] + parts[1][2])
        parts = sorted([merged, *parts[2:]])
    if not parts or parts[0][0] < 2:
        return None
    everything = sum(size for _, size, _ in parts)
    rate = math.fsum(size * k / n for n, size, k in parts) / everything
    error = math.sqrt(math.fsum((size / everything) ** 2 * (1 - n / size) * k / n * (1 - k / n) / (n - 1) for n, size, k in parts))
    if all(n == size for n, size, _ in parts):
        return Estimate(rate, Interval(rate, rate, "census"), 0.0)
    if not error:
        n_eff = 1 / math.fsum((size / everything) ** 2 / n for n, size, _ in parts)
        return Estimate(rate, wilson(rate * n_eff, n_eff, "Wilson on stratified sample"), error)
    return Estimate(rate, _around(rate, rate - Z * error, rate + Z * error, "stratified"), error)


def newcombe(k1: float, n1: float, k2: float, n2: float) -> Estimate | None:
    """The first rate minus the second, with Newcombe's interval; a change is one whose interval excludes 0."""
    first, second = wilson(k1, n1), wilson(k2, n2)
    if first is None or second is None:
        return None
    p1, p2 = k1 / n1, k2 / n2
    low = p1 - p2 - math.hypot(p1 - first.low, second.high - p2)
    high = p1 - p2 + math.hypot(first.high - p1, p2 - second.low)
    return Estimate(p1 - p2, Interval(max(-1.0, low), min(1.0, high), "Newcombe"))


def ppi(
    human: Sequence[int],
    judge: Sequence[int],
    judge_only: Sequence[int],
    weights: Sequence[float] | None = None,
    rest_weights: Sequence[float] | None = None,
) -> CorrectedRate | None:
    """PPI++: the judge's 0/1 verdicts corrected by a random subset that people labelled too (`human` and `judge` in the same
    order); `judge_only` are the rest. Items drawn with unequal probabilities have weights, and count as their effective number.
    Bootstrap where fewer than 15 items are positive to people."""
    if len(human) < 2 or len(judge_only) < 2:
        return None
    own, others = (
        np.ones(len(items)) if given is None else np.asarray(given, float)
        for items, given in ((human, weights), (judge_only, rest_weights))
    )
    n, rest = _effective(own), _effective(others)
    codes = [2 * int(y) + int(f) for y, f in zip(human, judge, strict=True)]
    cells = np.bincount(codes, own, minlength=4) * (n / own.sum())
    flagged, positives = float(others @ np.asarray(judge_only, float) * (rest / others.sum())), int(sum(human))
    rate, error, weight = (float(x) for x in _ppi(cells, flagged, rest))
    if positives in (0, len(human)):  # the judge gets no weight, and neither resampling nor the normal interval sees any variance
        interval = wilson(n if positives else 0, n, "Wilson on human labels")
    elif positives < FEW_POSITIVES:
        rng = np.random.default_rng(SEED)
        size, others_size = round(n), round(rest)
        drawn_cells = rng.multinomial(size, cells / cells.sum(), RESAMPLES).T
        drawn, _, _ = _ppi(drawn_cells, rng.binomial(others_size, min(1.0, flagged / rest), RESAMPLES), others_size)
        low, high = (float(end) for end in np.quantile(drawn, (0.025, 0.975)))
        interval = _around(rate, low, high, "PPI++, bootstrap") if low < high else None
    else:
        interval = _around(rate, rate - Z * error, rate + Z * error, "PPI++") if error else None
    return CorrectedRate(rate, interval, error, weight)


def _effective(weights: Any) -> float:
    """How many items of equal weight say as much."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def _ppi(cells: Any, flagged: Any, rest: float) -> tuple[Any, Any, Any]:
    """Rate, standard error and weight of the judge. Cells count the labelled items: positive to neither, to the judge alone,
    to people alone, to both; flagged counts the judge's positives in the rest. Arrays of counts give arrays."""
    neither, judge_alone, human_alone, both = cells
    n = neither + judge_alone + human_alone + both
    y, f, f_rest, f_all = (human_alone + both) / n, (judge_alone + both) / n, flagged / rest, (judge_alone + both + flagged) / (n + rest)
    covariance = (both / n - y * f) * n / (n - 1)
    spread = np.asarray((1 + n / rest) * f_all * (1 - f_all) * (n + rest) / (n + rest - 1))
    weight = np.clip(np.divide(covariance, spread, out=np.zeros(spread.shape), where=spread > 0), 0, 1)
    rectifier = (y * (1 - y) + weight**2 * f * (1 - f)) / (n - 1) - 2 * weight * covariance / n
    variance = weight**2 * f_rest * (1 - f_rest) / (rest - 1) + np.where(rectifier > ROUNDING / n, rectifier, 0)
    return np.clip(weight * f_rest + y - weight * f, 0, 1), np.sqrt(variance), weight


def rogan_gladen(flagged: float, judged: float, hits: int, positives: int, passes: int, negatives: int) -> Estimate | None:
    """A judge's rate (flagged of judged) corrected by a separate calibration: hits of true positives, passes of true
    negatives. None for a judge hardly better than chance."""
    if not (judged and positives and negatives):
        return None
    p, sensitivity, specificity = flagged / judged, hits / positives, passes / negatives
    youden = sensitivity + specificity - 1
    if youden < LEAST_YOUDEN - ROUNDING:
        return None
    rate = min(1.0, max(0.0, (p + specificity - 1) / youden))
    variance = (
        p * (1 - p) / judged
        + (1 - rate) ** 2 * specificity * (1 - specificity) / negatives
        + rate**2 * sensitivity * (1 - sensitivity) / positives
    )
    error = math.sqrt(variance) / youden
    return Estimate(rate, _around(rate, rate - Z * error, rate + Z * error, "Rogan-Gladen") if error else None, error)


def garwood(count: int, exposure: float) -> Interval:
    """Garwood's exact interval of a Poisson rate, for an exposure above 0."""
    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    return Interval(low / exposure, float(chi2.ppf(0.975, 2 * count + 2)) / 2 / exposure, "Garwood")


def poisson_ratio(count1: int, exposure1: float, count2: int, exposure2: float) -> RateRatio:
    """The second rate over the first by the conditional binomial test. Without an event or an exposure nothing contradicts
    equal rates (p = 1); without an event in the first, the ratio has no upper end."""
    if not (count1 + count2 and exposure1 and exposure2):
        return RateRatio(None, None, 1.0)
    test = binomtest(count2, count1 + count2, exposure2 / (exposure1 + exposure2))
    if not count1:
        return RateRatio(None, None, float(test.pvalue))
    ends, odds = test.proportion_ci(0.95, "exact"), exposure1 / exposure2
    low, high = (float(end / (1 - end)) * odds for end in (ends.low, ends.high))
    return RateRatio(count2 / count1 * odds, Interval(low, high, "conditional binomial"), float(test.pvalue))


def n_eff_by_day(hits: Sequence[float], totals: Sequence[float]) -> float | None:
    """The sample size that allows for similar items within a day. Where all items of all days are alike, days are the sample."""
    days = [(hit, total) for hit, total in zip(hits, totals, strict=True) if total]
    hit, total = sum(hit for hit, _ in days), sum(total for _, total in days)
    if len(days) < 2:
        return None
    if hit in (0, total):
        return float(len(days))
    # Whole numbers stay whole up to the one division, so no spread is 0 and not rounding.
    spread = len(days) * sum((h * total - hit * t) ** 2 for h, t in days)
    return float(hit * (total - hit) * total**2 * (len(days) - 1) / spread) if spread else None


def wilson_by_day(hits: Sequence[float], totals: Sequence[float]) -> Interval | None:
    """Wilson's interval of a rate of tokens or calls whose days differ."""
    n_eff = n_eff_by_day(hits, totals)
    return wilson(sum(hits) / sum(totals) * n_eff, n_eff, "Wilson, day-clustered") if n_eff else None


def rates_differ_by_day(hits1: Sequence[float], totals1: Sequence[float], hits2: Sequence[float], totals2: Sequence[float]) -> bool:
    """Whether Newcombe's interval on day-clustered sample sizes excludes equal rates."""
    n1, n2 = n_eff_by_day(hits1, totals1), n_eff_by_day(hits2, totals2)
    if n1 is None or n2 is None:
        return False
    change = newcombe(sum(hits1) / sum(totals1) * n1, n1, sum(hits2) / sum(totals2) * n2, n2)
    return change is not None and change.interval is not None and not change.interval.low <= 0 <= change.interval.high


def bootstrap_mean(values: Sequence[float], weights: Sequence[float] | None = None) -> Estimate | None:
    """The mean, weighted or not, with a percentile bootstrap interval, the same on every run and in every order; none without
    spread."""
    if not values:
        return None
    sample = np.asarray(values, float)
    stands_for = np.ones(len(sample)) if weights is None else np.asarray(weights, float)
    order = np.lexsort((stands_for, sample))
    sample, stands_for = sample[order], stands_for[order]
    mean = math.fsum(sample * stands_for) / math.fsum(stands_for)
    if sample[0] == sample[-1]:
        return Estimate(mean, None)
    drawn = bootstrap(
        (sample, stands_for),
        _weighted_mean,
        paired=True,
        n_resamples=RESAMPLES,
        batch=max(1, 1_000_000 // len(sample)),
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(SEED),
    )
    low, high = drawn.confidence_interval
    inside = Interval(float(max(sample[0], min(low, mean))), float(min(sample[-1], max(high, mean))), "bootstrap")
    return Estimate(mean, inside, float(drawn.standard_error))


def _weighted_mean(values: Any, weights: Any, axis: int = -1) -> Any:
    return (values * weights).sum(axis=axis) / weights.sum(axis=axis)


def n_per_period(rate1: float, rate2: float, power: float = 0.8) -> int | None:
    """How many items each period needs for this change to be found with the given power; None for no change."""
    effect = 2 * math.asin(math.sqrt(rate1)) - 2 * math.asin(math.sqrt(rate2))
    return math.ceil(2 * (Z + float(norm.ppf(power))) ** 2 / effect**2) if effect else None


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """The q-value of each p-value, in the same order."""
    return [float(q) for q in false_discovery_control(p_values)] if p_values else []


def _around(value: float, low: float, high: float, method: str) -> Interval:
    """Ends of a rate, kept in [0, 1] and around the value where rounding would move them past it."""
    return Interval(max(0.0, min(low, value)), min(1.0, max(high, value)), method)
