"""Drift: the worked numbers, merging histograms, the three conditions, and what is named as moved."""

import json
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import drift as runs
from metrics import day_blocks, drift_run
from metrics.drift import Comparison, Windows, compare, parts_of, psi
from metrics.drift_events import change_events
from metrics.drift_verdicts import verdicts
from metrics.filters import Period
from tests.metrics.ledger import Ledger, ledger, scope
from tests.metrics.signals import BASELINE, DAY, clustered_days, log_bins, put_counts, put_rows

__all__ = ["ledger"]
WINDOWS = Windows.pinned(BASELINE, DAY)


def only(ledger: Ledger, signal: str = "output_tokens") -> Comparison:
    [found] = [one for one in compare(ledger, WINDOWS) if one.signal == signal]
    return found


def windows_of(ledger: Ledger, signal: str, reference: dict[str, int], current: dict[str, int]) -> Comparison:
    put_counts(ledger, BASELINE, signal, reference)
    put_counts(ledger, DAY, signal, current)
    return only(ledger, signal)


def test_ten_equal_bins_give_the_worked_distances(ledger: Ledger) -> None:
    current = dict(zip(map(str, range(10)), (60, 70, 80, 90, 100, 100, 110, 120, 130, 140), strict=True))
    found = windows_of(ledger, "output_tokens", dict.fromkeys(current, 400), current)
    assert (found.psi, found.js, found.ks) == pytest.approx((0.06193024, 0.08772270, 0.10), abs=5e-9)
    assert found.parts == 10


def test_ks_and_w1_of_small_samples_are_exact_up_to_the_binning(ledger: Ledger) -> None:
    found = windows_of(ledger, "output_tokens", log_bins([1, 2, 3]), log_bins([2, 3, 4]))
    assert found.ks == pytest.approx(1 / 3)
    assert found.w1 == pytest.approx(1.0, abs=0.01 * 4)  # each value is known to 1 %


def test_categories_give_the_worked_smoothed_distances_and_have_no_order(ledger: Ledger) -> None:
    found = windows_of(
        ledger, "finish_reason", {"stop": 700, "length": 200, "tool_calls": 100}, {"stop": 300, "length": 150, "tool_calls": 50}
    )
    assert (found.psi, found.js) == pytest.approx((0.055949, 0.083411), abs=5e-7)
    assert (found.ks, found.w1, found.parts) == (None, None, 3)


def test_categories_give_the_worked_distances_without_smoothing(ledger: Ledger) -> None:
    many = 1_000_000
    found = windows_of(
        ledger,
        "finish_reason",
        {"stop": 700 * many, "length": 200 * many, "tool_calls": 100 * many},
        {"stop": 300 * many, "length": 150 * many, "tool_calls": 50 * many},
    )
    assert (found.psi, found.js) == pytest.approx((0.055962, 0.083420), abs=5e-7)


def test_fewer_than_four_values_are_categories_and_more_than_two_hundred_texts_share_one(ledger: Ledger) -> None:
    assert windows_of(ledger, "calls_per_trace", {"0": 950, "36": 30, "56": 20}, {"0": 950, "36": 20, "56": 30}).parts == 3
    names = {f"tool {number:03d}": 5 for number in range(260)}
    assert windows_of(ledger, "tool", names, names).parts == 201


def test_scores_are_bins_of_equal_width(ledger: Ledger) -> None:
    low, high = {str(bin_name): 10 for bin_name in range(1, 101)}, {str(bin_name): 10 for bin_name in range(41, 141)}
    found = windows_of(ledger, "evaluation:faithfulness@v2", low, high)
    assert found.w1 == pytest.approx(0.2)


def test_the_noise_floor_is_the_worked_one_and_grows_as_samples_shrink() -> None:
    found = Comparison("claims", "output_tokens", 4000, 1000, 0.03, 0.0, 0.0, 0.0, 0.0, 10)
    assert found.noise_floor == pytest.approx(0.034846, abs=5e-7)
    assert not found.stands_out
    assert Comparison("claims", "output_tokens", 200, 199, 1.0, 0.0, 0.0, 0.0, 0.0, 10).is_enough is False
    assert [Comparison("c", "s", 9000, 9000, size, 0, 0, 0, 0, 10).effect for size in (0.09, 0.1, 0.25)] == ["none", "moderate", "major"]
    for threshold, n in ((0.10, 558), (0.25, 223)):
        floor = Comparison("c", "s", n, n, 0, 0, 0, 0, 0, 10).noise_floor
        assert floor == pytest.approx(threshold, rel=1e-3)


counts = st.dictionaries(st.integers(1, 400).map(str), st.integers(1, 500), min_size=1, max_size=40)


@settings(max_examples=12, deadline=None)
@given(counts, counts, st.randoms(use_true_random=False))
def test_merged_histograms_equal_the_histogram_of_the_union(reference: dict[str, int], current: dict[str, int], chance: Random) -> None:
    """Counts split over days, models and prompt versions, in any order, compare as one."""
    whole, split = Ledger(), Ledger()
    expected = windows_of(whole, "output_tokens", reference, current)
    rows: list[dict[str, Any]] = []
    for start, length, table in ((BASELINE, 28, reference), (DAY - timedelta(days=6), 7, current)):
        for name, n in table.items():
            first = chance.randint(0, n)
            for part in (first, n - first):
                day = start + timedelta(days=chance.randrange(length))
                keys = {"model": chance.choice("ab"), "prompt_version": chance.choice(["v1", None]), "provider": chance.choice("xy")}
                rows.append({"day": day, "signal": "output_tokens", "bin": name, "n": part, **keys})
    chance.shuffle(rows)
    put_rows(split, rows)
    found = only(split)
    assert (found.n_reference, found.n_current, found.parts) == (expected.n_reference, expected.n_current, expected.parts)
    assert [found.psi, found.js, found.ks, found.w1] == pytest.approx([expected.psi, expected.js, expected.ks, expected.w1])
    whole.close()
    split.close()


@settings(max_examples=12, deadline=None)
@given(counts, counts)
def test_the_index_in_memory_is_the_index_in_sql(reference: dict[str, int], current: dict[str, int]) -> None:
    ledger = Ledger()
    found = windows_of(ledger, "output_tokens", reference, current)
    names = sorted({*reference, *current})
    parts = parts_of("output_tokens", names, [reference.get(name, 0) for name in names])
    tables = np.zeros((2, max(parts) + 1))
    for place, table in enumerate((reference, current)):
        for name, part in zip(names, parts, strict=True):
            tables[place, part] += table.get(name, 0)
    assert float(psi(tables[0], tables[1])) == pytest.approx(found.psi)
    ledger.close()


def test_staging_and_other_systems_stay_out_of_a_comparison(ledger: Ledger) -> None:
    put_counts(ledger, BASELINE, "output_tokens", {"1": 300, "2": 300}, environment="staging")
    put_counts(ledger, BASELINE, "output_tokens", {"1": 300}, system="search")
    put_counts(ledger, DAY, "output_tokens", {"1": 300}, system="search")
    assert [one.system for one in compare(ledger, WINDOWS)] == ["search"]
    assert compare(ledger, WINDOWS, {"system": "claims"}) == []
    with pytest.raises(ValueError, match="tenant"):
        compare(ledger, WINDOWS, {"tenant": "x"})


def test_whole_days_are_shuffled_so_one_odd_day_is_no_drift() -> None:
    calm = np.tile([50.0, 50.0], (28, 1))
    odd_day = np.vstack([np.tile([50.0, 50.0], (6, 1)), [[0.0, 400.0]]])
    moved = np.tile([20.0, 80.0], (7, 1))
    assert day_blocks.p_value(calm, odd_day) == pytest.approx(7 / 35, abs=0.01)
    assert day_blocks.p_value(calm, moved) == pytest.approx(1 / 20000)
    assert day_blocks.p_value(calm, moved) == day_blocks.p_value(calm[::-1], moved[::-1])


def run(ledger: Ledger, day: date = DAY) -> list[dict[str, Any]]:
    return drift_run.run(ledger, day)


def test_a_doubling_is_found_among_sixty_six_signals_of_days_that_differ(ledger: Ledger) -> None:
    chance = np.random.default_rng(7)
    put_rows(ledger, clustered_days(chance, [f"signal {number:02d}" for number in range(65)]))
    put_rows(ledger, clustered_days(chance, ["output_tokens"], factor=2.0))
    rows = run(ledger)
    assert len(rows) == 66
    [found] = [row for row in rows if row["state"] == "DRIFT"]
    assert found["signal"] == "output_tokens"
    assert found["q_value"] <= 0.05
    assert json.loads(found["detail"])["effect"] == "major"


@pytest.mark.slow
def test_without_drift_fewer_than_one_signal_in_a_hundred_alarms() -> None:
    alarms, tests = 0, 0
    for seed in range(12):
        ledger = Ledger()
        put_rows(ledger, clustered_days(np.random.default_rng(seed), [f"signal {number:02d}" for number in range(66)]))
        rows = run(ledger)
        alarms, tests = alarms + sum(row["state"] == "DRIFT" for row in rows), tests + len(rows)
        ledger.close()
    assert tests == 12 * 66
    assert alarms / tests < 0.01


def test_too_little_data_and_too_few_days_are_said_and_not_judged(ledger: Ledger) -> None:
    chance = np.random.default_rng(1)
    put_rows(ledger, clustered_days(chance, ["thin"], a_day=20))
    put_counts(ledger, BASELINE, "few days", log_bins([100.0 + n for n in range(300)]))
    for back in range(4):
        put_counts(ledger, DAY - timedelta(days=back), "few days", log_bins([300.0 + n for n in range(100)]))
    thin, few = sorted(run(ledger), key=lambda row: -len(row["signal"]))[::-1]
    assert (thin["state"], thin["p_value"], thin["q_value"]) == ("INSUFFICIENT_DATA", None, None)
    assert json.loads(thin["detail"])["needs_n"] == 200
    assert (few["state"], few["p_value"]) == ("LOW_CONFIDENCE", None)
    assert "4 of the current days" in json.loads(few["detail"])["why"]


def test_the_reference_begins_with_the_signals_first_day_and_is_kept_with_each_comparison(ledger: Ledger) -> None:
    put_rows(ledger, clustered_days(np.random.default_rng(2), ["output_tokens"]))
    put_counts(ledger, DAY, "evaluation:faithfulness@v2", {"150": 300})
    rows = {row["signal"]: row for row in run(ledger)}
    assert rows["output_tokens"]["baseline"] == "first 2026-07-01"
    assert (rows["output_tokens"]["reference_start"], rows["output_tokens"]["reference_end"]) == (BASELINE, date(2026, 7, 28))
    late = rows["evaluation:faithfulness@v2"]
    assert (late["state"], late["baseline"]) == ("INSUFFICIENT_DATA", f"first {DAY}")
    assert "complete on 2026-10-12" in json.loads(late["detail"])["why"]


def test_a_baseline_that_a_person_accepted_holds_from_then_on(ledger: Ledger) -> None:
    put_rows(ledger, clustered_days(np.random.default_rng(3), ["output_tokens"], factor=2.0))
    accepted = DAY - timedelta(days=6)
    with ledger.transaction() as cursor:
        runs.accept(cursor, "claims", accepted, "Jonas", datetime(2026, 9, 20, 12))
        before, after = runs.baselines(cursor, date(2026, 9, 19)), runs.baselines(cursor, date(2026, 9, 20))
    assert (before, after) == ({}, {"claims": accepted})
    [row] = drift_run.run(ledger, DAY + timedelta(days=6), after)
    assert (row["state"], row["baseline"]) == ("INSUFFICIENT_DATA", f"accepted {accepted}")


def thin_start(chance: np.random.Generator, days: int, doubled_from: int) -> list[dict[str, Any]]:
    """A pilot's month with two values a day, then traffic whose values double on a day and stay so."""
    rows = []
    for place in range(days):
        level = chance.normal(0, 0.1) + (np.log(2) if place >= doubled_from else 0)
        counts = log_bins(500 * np.exp(level + chance.normal(0, 0.4, 2 if place < 28 else 60)))
        rows += [{"day": BASELINE + timedelta(days=place), "signal": "output_tokens", "bin": name, "n": n} for name, n in counts.items()]
    return rows


def test_a_thin_pinned_reference_gives_way_to_a_trailing_one_that_a_lasting_drift_does_not_fill(ledger: Ledger) -> None:
    put_rows(ledger, thin_start(np.random.default_rng(11), days=100, doubled_from=70))
    runs.update(ledger, drift_run.run, datetime(2026, 12, 1))
    found = dict(ledger.query("select current_end, state from drift_results order by 1").rows())
    baselines = dict(ledger.query("select current_end, baseline from drift_results").rows())
    calm, last = BASELINE + timedelta(days=66), BASELINE + timedelta(days=99)
    assert (found[calm], baselines[calm].split()[0]) == ("NO_DRIFT", "trailing")
    drifted = [day for day, state in found.items() if state == "DRIFT"]
    assert drifted == [min(drifted) + timedelta(days=offset) for offset in range(len(drifted))], "no gap once it began"
    assert BASELINE + timedelta(days=70) < min(drifted) <= BASELINE + timedelta(days=76)
    assert max(drifted) == last


@pytest.mark.slow
def test_a_trailing_reference_is_the_same_whether_days_are_compared_as_they_come_or_all_at_once() -> None:
    rows = thin_start(np.random.default_rng(12), days=90, doubled_from=70)
    at_once, daily = Ledger(), Ledger()
    put_rows(at_once, rows)
    runs.update(at_once, drift_run.run, datetime(2026, 12, 1))
    for place in range(90):
        day = BASELINE + timedelta(days=place)
        put_rows(daily, [row for row in rows if row["day"] == day])
        runs.update(daily, drift_run.run, datetime.combine(day + timedelta(days=1), datetime.min.time()))
    told = "select current_end, state, baseline, psi, p_value, q_value from drift_results order by 1"
    assert at_once.query(told).rows() == daily.query(told).rows()
    at_once.close()
    daily.close()


def test_the_version_that_moved_is_named_with_its_first_day(ledger: Ledger) -> None:
    before, after = (clustered_days(np.random.default_rng(4), ["output_tokens"], factor=factor, model="m") for factor in (1.0, 2.0))
    changed = DAY - timedelta(days=4)
    put_rows(ledger, [{**row, "prompt_version": "v7"} for row in before if row["day"] < changed])
    put_rows(ledger, [{**row, "prompt_version": "v8"} for row in after if row["day"] >= changed])
    [row] = run(ledger)
    [moved] = json.loads(row["detail"])["segments"]
    assert (moved["dimension"], moved["value"], moved["first_day"]) == ("prompt_version", "v8", "2026-09-10")
    assert moved["words"].startswith("prompt version v8 (0% to ")
    assert "new since 2026-09-10" in moved["words"]


def test_every_complete_day_is_compared_once_and_again_only_when_its_data_changed(ledger: Ledger) -> None:
    put_rows(ledger, clustered_days(np.random.default_rng(5), ["output_tokens"]))
    today = datetime.combine(DAY, datetime.min.time())
    assert runs.update(ledger, drift_run.run, today) == (DAY - BASELINE).days - 34  # the day under way is not complete
    assert runs.update(ledger, drift_run.run, today) == 0
    assert runs.update(ledger, None, today + timedelta(days=1)) == 0
    assert runs.update(ledger, drift_run.run, today + timedelta(days=1)) == 1
    first = ledger.query("select * exclude (detail) from drift_results order by as_of, signal").rows()
    with ledger.transaction() as cursor:
        cursor.execute("delete from drift_results where as_of > ?", [datetime(2026, 9, 1)])
    assert runs.update(ledger, drift_run.run, today + timedelta(days=1)) == 14
    assert ledger.query("select * exclude (detail) from drift_results order by as_of, signal").rows() == first


def result(day: int, state: str, signal: str = "output_tokens", **columns: Any) -> dict[str, Any]:
    at = datetime(2026, 9, day)
    return {"as_of": at + timedelta(days=1), "system": "claims", "signal": signal, "current_end": at.date(), "state": state, **columns}


def test_a_months_verdict_is_its_worst_day_with_the_first_such_day(ledger: Ledger) -> None:
    ledger.put(
        "drift_results", result(3, "NO_DRIFT"), result(4, "DRIFT", psi=0.3), result(5, "LOW_CONFIDENCE"), result(6, "DRIFT", psi=0.5)
    )
    ledger.put("drift_results", result(3, "INSUFFICIENT_DATA", "ttft_ms"), result(4, "NO_DRIFT", "ttft_ms"))
    worst, other = verdicts(ledger, scope())
    assert (worst.signal, worst.state, worst.first_day, worst.last_day, worst.days, worst.runs) == (
        "output_tokens",
        "DRIFT",
        date(2026, 9, 4),
        date(2026, 9, 6),
        2,
        4,
    )
    assert (other.signal, other.state) == ("ttft_ms", "NO_DRIFT")
    assert verdicts(ledger, scope(Period.parse("2026-08"))) == []


def test_changes_without_statistics_are_told_on_their_first_day(ledger: Ledger) -> None:
    for day, version in ((date(2026, 8, 3), "v1"), (date(2026, 9, 2), "v2"), (date(2026, 9, 9), "v2")):
        put_counts(ledger, day, "error", {"ok": 5}, prompt_version=version)
        put_counts(ledger, day, "finish_reason", {"stop": 4, **({"length": 1} if day == date(2026, 9, 9) else {})})
    call = {"trace_id": "t", "role": "call", "sent_trace_id": "t", "system": "claims", "environment": "production", "request_model": "gpt"}
    for number, (day, model) in enumerate(((3, "gpt-05-01"), (5, "gpt-06-01"), (7, "gpt-05-01"))):
        ledger.put("spans", {**call, "span_id": str(number), "started_at": datetime(2026, 9, day), "response_model": model})
    found = [(event.day.day, event.kind, event.value) for event in change_events(ledger, scope())]
    assert found == [(2, "prompt_version", "v2"), (5, "response_model", "gpt-06-01"), (9, "finish_reason", "length")]
    words = [event.words for event in change_events(ledger, scope(system="claims"))]
    assert words[1] == "gpt is now answered by gpt-06-01, before by gpt-05-01"
    assert change_events(ledger, scope(system="other")) == []
