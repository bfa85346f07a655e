"""Every worked number of the reference holds, and intervals keep what any interval must keep."""

import math
from collections.abc import Sequence
from random import Random
from statistics import fmean

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import stats, survival
from metrics.stats import Interval

pytestmark = pytest.mark.filterwarnings("error")

COUNTS = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
HOURS = st.lists(st.integers(0, 200).map(float), max_size=30)
BITS = st.lists(st.integers(0, 1), min_size=2, max_size=60)
DAYS = st.lists(st.integers(0, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), max_size=40)
FEW = settings(max_examples=30, deadline=None)
MANY = settings(max_examples=100, deadline=None)


def ends(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    return interval.low, interval.high


def close(*numbers: float, digits: int = 6) -> object:
    """Equal to the printed digits."""
    return pytest.approx(numbers, abs=0.51 * 10**-digits, rel=0)


def assert_sound_rate(value: float, interval: Interval | None) -> None:
    assert 0 <= value <= 1
    if interval is not None:
        assert 0 <= interval.low <= value <= interval.high <= 1


def labelled(both: int, human_alone: int, judge_alone: int, neither: int) -> tuple[list[int], list[int]]:
    human = [1] * (both + human_alone) + [0] * (judge_alone + neither)
    judge = [1] * both + [0] * human_alone + [1] * judge_alone + [0] * neither
    return human, judge


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (9, 120, 0.039957, 0.136409),
        (3, 30, 0.034600, 0.256211),
        (27, 30, 0.743789, 0.965400),
        (0, 120, 0, 0.031019),
        (10, 12, 0.5520, 0.9530),
    ],
)
def test_wilson_gives_the_worked_intervals(k: int, n: int, low: float, high: float) -> None:
    assert ends(stats.wilson(k, n)) == close(low, high, digits=4 if n == 12 else 6)


@MANY
@given(COUNTS)
def test_wilson_agrees_with_scipy_and_mirrors_its_complement(count: tuple[int, int]) -> None:
    k, n = count
    low, high = ends(stats.wilson(k, n))
    assert (low, high) == pytest.approx(tuple(scipy.stats.binomtest(k, n).proportion_ci(0.95, "wilson")), abs=1e-9)
    assert ends(stats.wilson(n - k, n)) == pytest.approx((1 - high, 1 - low), abs=1e-12)
    assert_sound_rate(k / n, stats.wilson(k, n))
    if k < n:
        more = ends(stats.wilson(k + 1, n))
        assert low < more[0]
        assert high < more[1]


@MANY
@given(st.floats(0, 1), st.floats(1e-3, 1e12))
def test_wilson_takes_an_effective_sample_that_is_a_fraction(p: float, n_eff: float) -> None:
    assert_sound_rate(p * n_eff / n_eff, stats.wilson(p * n_eff, n_eff))


def test_no_event_leaves_an_upper_bound_and_no_item_leaves_nothing() -> None:
    assert stats.zero_events_upper(120) == pytest.approx(0.031019, abs=5e-7)
    assert stats.zero_events_upper(0) is None
    assert stats.wilson(0, 0) is None


def test_hajek_gives_the_worked_rate_and_effective_sample() -> None:
    found = stats.hajek([1, 0, 0, 1] + [0] * 6, [1, 1, 1, 0.5, 0.5] + [0.1] * 5)
    assert found is not None
    assert (found.value, found.weight_sum) == close(0.052632, 57)
    assert found.n_eff == pytest.approx(6.3581, abs=5e-5)
    assert ends(found.interval) == close(0.003940, 0.438307)
    assert stats.hajek([], []) is None


@MANY
@given(st.lists(st.tuples(st.integers(0, 1), st.floats(1e-6, 1)), min_size=1, max_size=50), st.randoms())
def test_hajek_stays_a_rate_and_does_not_depend_on_the_order(items: list[tuple[int, float]], rng: Random) -> None:
    shuffled = sorted(items, key=lambda _: rng.random())
    found, again = (stats.hajek([y for y, _ in rows], [pi for _, pi in rows]) for rows in (items, shuffled))
    assert found is not None
    assert found == again
    assert_sound_rate(found.value, found.interval)
    assert found.n_eff <= len(items) * (1 + 1e-9)


@MANY
@given(COUNTS, st.floats(0.01, 1))
def test_hajek_with_one_probability_is_the_plain_rate(count: tuple[int, int], probability: float) -> None:
    k, n = min(count[0], 50), min(count[1], 50)
    found = stats.hajek([1] * k + [0] * (n - k), [probability] * n)
    assert found is not None
    assert found.n_eff == pytest.approx(n)
    assert ends(found.interval) == pytest.approx(ends(stats.wilson(k, n)), abs=1e-9)


def test_stratified_gives_the_worked_rate_and_error() -> None:
    found = stats.stratified([(1, 50, 7000), (4, 40, 2000), (9, 30, 1000)])
    assert found is not None
    assert (found.value, found.standard_error) == close(0.064, 0.018849)
    assert ends(found.interval) == close(0.027056, 0.100944)


def test_a_stratum_with_one_sampled_item_joins_the_next_smallest() -> None:
    assert stats.stratified([(1, 1, 100), (2, 10, 500), (9, 90, 3000)]) == stats.stratified([(3, 11, 600), (9, 90, 3000)])
    assert stats.stratified([(0, 0, 100), (1, 1, 50), (9, 90, 3000)]) == stats.stratified([(10, 91, 3150)])
    assert stats.stratified([(1, 1, 100)]) is None
    assert stats.stratified([]) is None


def test_strata_without_any_event_keep_an_upper_bound_unless_all_was_sampled() -> None:
    found = stats.stratified([(0, 60, 6000), (0, 60, 6000)])
    assert found is not None
    assert found.interval is not None
    assert found.interval.high == pytest.approx(stats.zero_events_upper(120))
    for strata in ([(2, 2, 174), (12, 12, 4000)], [(18, 18, 400), (25, 25, 26)]):
        every_time = stats.stratified(strata)
        assert every_time is not None
        assert every_time.value == 1, "weights that round to a little more or less than 1 do not move the rate"
    census = stats.stratified([(0, 60, 60), (3, 30, 30)])
    assert census is not None
    assert ends(census.interval) == (3 / 90, 3 / 90)


@MANY
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 5000)), max_size=6), st.randoms())
def test_stratified_stays_a_rate_and_does_not_depend_on_the_order(drawn: list[tuple[int, int, int]], rng: Random) -> None:
    strata = [(min(a, b), b, b + more) for a, b, more in drawn]
    found = stats.stratified(strata)
    assert found == stats.stratified(sorted(strata, key=lambda _: rng.random()))
    if found is not None:
        assert_sound_rate(found.value, found.interval)


@pytest.mark.parametrize(
    ("counts", "value", "low", "high"), [((56, 70, 48, 80), 0.2, 0.052431, 0.333873), ((12, 400, 20, 400), -0.02, -0.048928, 0.007815)]
)
def test_newcombe_gives_the_worked_differences(counts: tuple[int, int, int, int], value: float, low: float, high: float) -> None:
    found = stats.newcombe(*counts)
    assert found is not None
    assert (found.value, *ends(found.interval)) == close(value, low, high)
    assert stats.newcombe(1, 2, 0, 0) is None


@MANY
@given(COUNTS, COUNTS)
def test_newcombe_turns_its_sign_with_the_order(first: tuple[int, int], second: tuple[int, int]) -> None:
    found, turned = stats.newcombe(*first, *second), stats.newcombe(*second, *first)
    assert found is not None
    assert turned is not None
    low, high = ends(found.interval)
    assert -1 <= low <= found.value <= high <= 1
    assert ends(turned.interval) == pytest.approx((-high, -low), abs=1e-12)


def test_ppi_gives_the_worked_rate_weight_and_error() -> None:
    human, judge = labelled(both=8, human_alone=2, judge_alone=10, neither=180)
    found = stats.ppi(human, judge, [1] * 160 + [0] * 1640)
    assert found is not None
    assert (found.judge_weight, found.value, found.standard_error) == close(0.395842, 0.049560, 0.013000)
    reach = stats.Z * found.standard_error
    assert (found.value - reach, found.value + reach) == close(0.024080, 0.075040)


def test_ppi_resamples_below_fifteen_human_positives_and_is_normal_from_there() -> None:
    few = stats.ppi(*labelled(8, 6, 10, 176), [1] * 160 + [0] * 1640)
    enough = stats.ppi(*labelled(9, 6, 10, 175), [1] * 160 + [0] * 1640)
    assert few is not None
    assert few.interval is not None
    assert few.interval.method == "PPI++, bootstrap"
    assert enough is not None
    assert enough.interval is not None
    assert enough.interval.method == "PPI++"
    for found, tolerance in ((enough, 1e-12), (few, 0.006)):
        reach = stats.Z * found.standard_error
        assert ends(found.interval) == pytest.approx((found.value - reach, found.value + reach), abs=tolerance)


def test_ppi_without_a_human_positive_says_what_is_still_compatible() -> None:
    found = stats.ppi([0] * 120, [1] * 20 + [0] * 100, [1] * 200 + [0] * 800)
    assert found is not None
    assert (found.value, found.judge_weight) == (0, 0)
    assert ends(found.interval) == close(0, 0.031019)


def test_ppi_equals_the_textbook_formula_on_single_items() -> None:
    human, judge = labelled(20, 5, 9, 166)
    rest = [1] * 130 + [0] * 870
    y, f, u = np.array(human), np.array(judge), np.array(rest)
    weight = np.cov(y, f)[0, 1] / ((1 + len(y) / len(u)) * np.var(np.concatenate([f, u]), ddof=1))
    variance = weight**2 * u.var(ddof=1) / len(u) + (y - weight * f).var(ddof=1) / len(y)
    found = stats.ppi(human, judge, rest)
    assert found is not None
    assert 0 < weight < 1
    assert (found.value, found.standard_error, found.judge_weight) == pytest.approx(
        (weight * u.mean() + (y - weight * f).mean(), math.sqrt(variance), weight)
    )


@FEW
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=60), BITS, st.randoms())
def test_ppi_stays_a_rate_and_does_not_depend_on_the_order(pairs: list[tuple[int, int]], rest: list[int], rng: Random) -> None:
    shuffled = sorted(pairs, key=lambda _: rng.random())
    found = stats.ppi([y for y, _ in pairs], [f for _, f in pairs], rest)
    assert found is not None
    assert found == stats.ppi([y for y, _ in shuffled], [f for _, f in shuffled], rest[::-1])
    assert_sound_rate(found.value, found.interval)
    assert 0 <= found.judge_weight <= 1
    assert found.standard_error >= 0
    assert found.interval is None or found.interval.low < found.interval.high, "labels of people are a sample: never certain"


def test_ppi_needs_both_parts() -> None:
    assert stats.ppi([1], [1], [0, 1]) is None
    assert stats.ppi([1, 0], [1, 0], []) is None


def test_rogan_gladen_gives_the_worked_rate_and_refuses_a_judge_near_chance() -> None:
    found = stats.rogan_gladen(175, 2000, hits=80, positives=100, passes=95, negatives=100)
    assert found is not None
    assert (found.value, found.standard_error, *ends(found.interval)) == close(0.05, 0.028986, 0, 0.106812)
    assert stats.rogan_gladen(175, 2000, 70, 100, 59, 100) is None
    assert stats.rogan_gladen(175, 2000, 70, 100, 60, 100) is not None, "0.3 itself is allowed, whatever floats make of it"
    assert stats.rogan_gladen(175, 2000, 0, 0, 95, 100) is None


@MANY
@given(COUNTS, COUNTS, COUNTS)
def test_rogan_gladen_stays_a_rate(judged: tuple[int, int], positives: tuple[int, int], negatives: tuple[int, int]) -> None:
    found = stats.rogan_gladen(*judged, *positives, *negatives)
    youden = positives[0] / positives[1] + negatives[0] / negatives[1] - 1
    assert (found is None) == (youden < 0.3 - 1e-12)
    if found is not None:
        assert_sound_rate(found.value, found.interval)


def test_a_perfect_judge_that_flags_nothing_proves_nothing() -> None:
    found = stats.rogan_gladen(0, 500, 20, 20, 20, 20)
    assert found is not None
    assert (found.value, found.interval) == (0, None)


@pytest.mark.parametrize(
    ("count", "exposure", "low", "high"),
    [(0, 1, 0, 3.688879), (3, 1, 0.618672, 8.767273), (5, 1, 1.623486, 11.668332), (3, 2.5, 0.247469, 3.506909)],
)
def test_garwood_gives_the_worked_intervals(count: int, exposure: float, low: float, high: float) -> None:
    assert ends(stats.garwood(count, exposure)) == close(low, high)


@MANY
@given(st.integers(0, 10_000), st.floats(1e-6, 1e6))
def test_garwood_holds_the_rate_and_grows_with_the_count(count: int, exposure: float) -> None:
    found, more = stats.garwood(count, exposure), stats.garwood(count + 1, exposure)
    assert 0 <= found.low <= count / exposure < found.high
    assert found.low < more.low
    assert found.high < more.high


def test_two_poisson_rates_give_the_worked_ratio() -> None:
    found = stats.poisson_ratio(3, 2.5, 9, 3.0)
    assert found.value == pytest.approx(2.5)
    assert ends(found.interval) == close(0.6239, 14.3567, digits=4)
    assert found.p == pytest.approx(0.2457, abs=5e-5)


@MANY
@given(st.integers(0, 300), st.floats(0.01, 100), st.integers(0, 300), st.floats(0.01, 100))
def test_the_ratio_of_rates_turns_over_with_the_order(count1: int, exposure1: float, count2: int, exposure2: float) -> None:
    found, turned = (stats.poisson_ratio(count1, exposure1, count2, exposure2), stats.poisson_ratio(count2, exposure2, count1, exposure1))
    assert 0 <= found.p <= 1
    assert found.p == pytest.approx(turned.p, rel=1e-6, abs=1e-12)
    if count1:
        low, high = ends(found.interval)
        assert found.value is not None
        assert 0 <= low <= found.value <= high < math.inf
        if count2:
            assert ends(turned.interval) == pytest.approx((1 / high, 1 / low), rel=1e-6)


def test_rates_without_an_event_or_an_exposure_are_not_told_apart() -> None:
    assert stats.poisson_ratio(0, 2.5, 0, 3.0) == stats.poisson_ratio(4, 0, 5, 3.0) == stats.RateRatio(None, None, 1.0)
    started = stats.poisson_ratio(0, 1.0, 9, 1.0)
    assert (started.value, started.interval) == (None, None)
    assert started.p < 0.05


def test_kaplan_meier_gives_the_worked_median() -> None:
    events, censored = [3, 5, 6, 8, 8, 12, 14], [7, 10, 15]
    found = survival.kaplan_meier(events, censored)
    assert (found.value, *ends(found.interval)) == (8, 3, 14)
    for left, time in ((0.9, 3), (0.8, 5), (0.7, 6), (0.466667, 8), (0.311111, 12), (0.155556, 14)):
        assert survival.kaplan_meier(events, censored, 1 - left - 1e-6).value == time
    assert survival.kaplan_meier(events, censored, 0.9).value is None, "the curve stops at 0.155556, so P90 is beyond the longest"


def test_a_curve_that_never_falls_to_a_half_has_no_median() -> None:
    assert survival.kaplan_meier([2.0, 3.0], [5.0, 6.0, 7.0]) == survival.Quantile(None, None)
    assert survival.kaplan_meier([], [5.0, 6.0]) == survival.Quantile(None, None)
    assert survival.kaplan_meier([], []) == survival.Quantile(None, None)


def test_an_incident_still_open_when_another_ends_counts_as_at_risk() -> None:
    assert survival.kaplan_meier([4.0, 9.0], [4.0]).value == 9


def test_an_interval_whose_upper_end_stays_open_is_none() -> None:
    found = survival.kaplan_meier([1.0, 2.0, 3.0], [9.0, 9.0])
    assert (found.value, found.interval) == (3, None)


@MANY
@given(HOURS.filter(bool), st.integers(1, 99))
def test_without_censoring_kaplan_meier_is_the_plain_quantile(events: list[float], percent: int) -> None:
    rank = -(-percent * len(events) // 100)
    assert survival.kaplan_meier(events, [], percent / 100).value == sorted(events)[rank - 1]


@MANY
@given(HOURS, HOURS)
def test_kaplan_meier_agrees_with_the_curve_of_scipy(events: list[float], censored: list[float]) -> None:
    found, late = survival.kaplan_meier(events, censored), survival.kaplan_meier(events, censored, 0.9)
    assert found == survival.kaplan_meier(events[::-1], sorted(censored))
    if events:
        curve = scipy.stats.ecdf(scipy.stats.CensoredData(uncensored=events, right=censored)).sf
        reached = curve.quantiles[curve.probabilities <= 0.5 + 1e-12]
        assert found.value == (reached[0] if len(reached) else None)
    if found.interval is not None:
        assert found.value is not None
        assert found.interval.low <= found.value <= found.interval.high
    if late.value is not None:
        assert found.value is not None
        assert found.value <= late.value


@pytest.mark.parametrize(("n", "low", "high", "confidence"), [(10, 2, 9, "97.85 %"), (12, 3, 10, "96.14 %"), (20, 6, 15, "95.86 %")])
def test_the_median_has_the_worked_order_statistics(n: int, low: int, high: int, confidence: str) -> None:
    found = survival.median(list(range(n, 0, -1)))
    assert found.value == (n + 1) / 2
    assert found.interval == Interval(low, high, f"order statistics, {confidence}")


def test_five_values_are_too_few_for_an_interval_of_the_median() -> None:
    assert survival.median([9, 1, 5, 3, 7]) == survival.Quantile(5, None)
    assert survival.median([9, 1, 5, 3, 7, 8]).interval is not None
    assert survival.median([]) == survival.Quantile(None, None)


@MANY
@given(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=200))
def test_the_median_lies_inside_its_interval_in_any_order(values: list[float]) -> None:
    found = survival.median(values)
    assert found == survival.median(values[::-1])
    low, high = ends(found.interval)
    assert found.value is not None
    assert low <= found.value <= high


def test_days_that_differ_shrink_the_sample_as_the_formula_says() -> None:
    read, total = [300, 500, 100], [1000, 1000, 800]
    p = sum(read) / sum(total)
    variance = 3 / 2 * sum((r - p * t) ** 2 for r, t in zip(read, total, strict=True)) / sum(total) ** 2
    n_eff = stats.n_eff_by_day(read, total)
    assert n_eff is not None
    assert n_eff == pytest.approx(p * (1 - p) / variance)
    assert ends(stats.wilson_by_day(read, total)) == ends(stats.wilson(p * n_eff, n_eff))
    assert stats.n_eff_by_day([*read, 0], [*total, 0]) == n_eff, "a day without tokens is no day of the sample"


def test_days_all_alike_count_as_days_and_one_day_as_nothing() -> None:
    assert stats.n_eff_by_day([0] * 30, [10**9] * 30) == 30
    assert stats.n_eff_by_day([10**9] * 30, [10**9] * 30) == 30
    assert stats.n_eff_by_day([3, 6], [10, 20]) is None, "no spread between days says nothing about the next day"
    assert stats.n_eff_by_day([5], [10]) is None
    assert stats.wilson_by_day([], []) is None


def test_rates_differ_only_where_the_days_say_so() -> None:
    quiet, noisy = [480, 500, 520, 500] * 7, [100, 900, 200, 800] * 7
    higher = [n + 80 for n in quiet]
    total = [1000] * 28
    assert stats.rates_differ_by_day(quiet, total, higher, total)
    assert stats.rates_differ_by_day([0] * 28, total, quiet, total), "a cache that was switched on is a change"
    assert not stats.rates_differ_by_day(quiet, total, quiet, total)
    assert not stats.rates_differ_by_day(noisy, total, [n + 80 for n in noisy], total)
    assert not stats.rates_differ_by_day([], [], quiet, total)


@MANY
@given(DAYS, DAYS)
def test_intervals_over_days_hold_the_rate_in_any_order(days: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    hits, totals = [hit for hit, _ in days], [total for _, total in days]
    found = stats.wilson_by_day(hits, totals)
    assert found == stats.wilson_by_day(hits[::-1], totals[::-1])
    if found is not None:
        assert_sound_rate(sum(hits) / sum(totals), found)
    other_hits, other_totals = [hit for hit, _ in others], [total for _, total in others]
    assert stats.rates_differ_by_day(hits, totals, other_hits, other_totals) == stats.rates_differ_by_day(
        other_hits, other_totals, hits, totals
    )


@FEW
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.randoms())
def test_the_bootstrap_of_a_mean_repeats_itself_in_any_order(values: list[float], rng: Random) -> None:
    found = stats.bootstrap_mean(values)
    assert found == stats.bootstrap_mean(sorted(values, key=lambda _: rng.random()))
    assert found is not None
    assert found.value == pytest.approx(fmean(values))
    if found.interval is None:
        assert len(set(values)) == 1
    else:
        assert min(values) <= found.interval.low <= found.value <= found.interval.high <= max(values)


def test_the_bootstrap_of_a_mean_comes_near_the_normal_interval_of_a_large_sample() -> None:
    values = np.random.default_rng(1).beta(2, 1, 800)
    found = stats.bootstrap_mean(values.tolist())
    error = values.std(ddof=1) / math.sqrt(len(values))
    assert found is not None
    assert ends(found.interval) == pytest.approx((values.mean() - stats.Z * error, values.mean() + stats.Z * error), abs=0.1 * error)
    assert stats.bootstrap_mean([]) is None


def test_a_shift_between_durations_is_found_with_its_size() -> None:
    before = [4.0, 5.5, 6.0, 7.2, 8.1, 9.3, 10.0, 12.4, 13.0, 15.5]
    found = survival.mann_whitney(before, [hours - 3.75 for hours in before])
    assert found is not None
    assert found.value == pytest.approx(np.median([a - b - 3.75 for a in before for b in before]))
    halved = survival.mann_whitney(before, [hours / 4 for hours in before])
    assert halved is not None
    assert halved.p < 0.05
    assert survival.mann_whitney([], before) is None


@MANY
@given(HOURS, HOURS, st.integers(-100, 100))
def test_a_shift_turns_its_sign_with_the_order_and_moves_with_the_data(before: list[float], after: list[float], by: int) -> None:
    found, turned = survival.mann_whitney(before, after), survival.mann_whitney(after, before)
    if found is None:
        assert not before or not after
        return
    assert turned is not None
    assert 0 <= found.p <= 1
    assert turned.value == -found.value
    assert turned.p == pytest.approx(found.p)
    moved = survival.mann_whitney(before, [hours + by for hours in after])
    assert moved is not None
    assert moved.value == found.value + by


@pytest.mark.parametrize(
    ("before", "after", "n"), [(0.05, 0.04, 6726), (0.05, 0.03, 1484), (0.05, 0.025, 882), (0.02, 0.01, 2254), (0.10, 0.08, 3205)]
)
def test_the_sample_per_period_is_the_worked_one(before: float, after: float, n: int) -> None:
    assert stats.n_per_period(before, after) == stats.n_per_period(after, before) == n


@MANY
@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_a_larger_change_needs_a_smaller_sample(a: int, b: int, c: int) -> None:
    low, middle, high = sorted((a / 1000, b / 1000, c / 1000))
    near, far = stats.n_per_period(low, middle), stats.n_per_period(low, high)
    assert (near is None) == (low == middle)
    if near is not None:
        assert far is not None
        assert 1 <= far <= near


def test_benjamini_hochberg_gives_the_worked_q_values() -> None:
    p_values = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205]
    q_values = [0.008, 0.032, 0.0672, 0.0672, 0.0672, 0.08, 0.084571, 0.205]
    assert stats.benjamini_hochberg(p_values) == close(*q_values)
    assert stats.benjamini_hochberg(p_values[::-1]) == close(*q_values[::-1])
    assert stats.benjamini_hochberg([]) == []


@MANY
@given(st.lists(st.floats(0, 1), max_size=40))
def test_a_q_value_is_never_below_its_p_value_and_keeps_the_order(p_values: Sequence[float]) -> None:
    q_values = stats.benjamini_hochberg(p_values)
    assert all(p <= q + 1e-12 and q <= 1 for p, q in zip(p_values, q_values, strict=True))
    assert [q for _, q in sorted(zip(p_values, q_values, strict=True))] == sorted(q_values)
