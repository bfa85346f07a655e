"""The sample company: its drift is found and nothing else, and its judged rates hold what is true of all answers."""

import json
import shutil
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from ingest import drift
from ingest.store import Store
from metrics import drift_run
from metrics.drift_coverage import drift_coverage
from metrics.drift_events import change_events
from metrics.drift_verdicts import verdicts
from metrics.filters import Period
from metrics.kpi import KpiResult, kpis
from metrics.scorecard import evaluate
from tests.metrics.ledger import scope

MONTHS = ("2026-07", "2026-08", "2026-09")
TRUTH = json.loads((Path(__file__).parents[2] / "sample_data" / "truth.json").read_text())


@pytest.fixture(scope="module")
def watched(sample_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A copy of the sample's ledger with every complete day compared."""
    path = tmp_path_factory.mktemp("watched") / "sample.duckdb"
    shutil.copy(sample_path, path)
    store = Store(path)
    drift.update(store, drift_run.run, datetime(2026, 11, 1))
    yield store
    store.close()


def kpi(store: Store, name: str, month: str, **dimensions: str) -> KpiResult:
    return evaluate(store, kpis()[name], scope(Period.parse(month), **dimensions))


@pytest.mark.slow
def test_the_planted_drift_is_found_with_its_day_and_version_and_nothing_else_alarms(watched: Store) -> None:
    planted = TRUTH["events"]["drift"]
    found = [verdict for month in MONTHS for verdict in verdicts(watched, scope(Period.parse(month))) if verdict.state != "NO_DRIFT"]
    alarms = [verdict for verdict in found if verdict.state != "INSUFFICIENT_DATA"]
    expected = {planted["signal"], *planted["moves_too"]}
    assert {(verdict.system, verdict.signal) for verdict in alarms} == {(planted["system"], signal) for signal in expected}
    since = date.fromisoformat(planted["since"])
    for verdict in alarms:
        assert since <= verdict.first_day <= date(2026, 9, 16)
        assert verdict.last_day == date(2026, 9, 30)
        assert f"prompt version {planted['prompt_version']} " in verdict.moved[0]
        assert f"new since {since}" in verdict.moved[0]


@pytest.mark.slow
def test_each_new_prompt_version_is_a_change_of_its_day(watched: Store) -> None:
    found = {(event.system, event.value): event.day for month in MONTHS for event in change_events(watched, scope(Period.parse(month)))}
    assert found[TRUTH["events"]["drift"]["system"], "v8"] == date(2026, 9, 10)
    assert set(found) == {("claims-copilot", "v7"), ("claims-copilot", "v8"), ("policy-search", "v4"), ("marketing-drafts", "v2")}


@pytest.mark.slow
def test_drift_coverage_says_what_keeps_each_tier_1_system_out(watched: Store) -> None:
    found = drift_coverage(watched, scope())
    assert (found.numerator, found.denominator) == (1, 3)
    assert "Claims Copilot" in found.note
    assert "Underwriting Notes" in found.note


@pytest.mark.parametrize("month", MONTHS)
def test_the_rate_of_unsupported_claims_holds_the_truth_that_the_judge_alone_misses(sample: Store, month: str) -> None:
    truth = TRUTH["evaluations"]["months"][month]["unsupported_claims"]
    found = kpi(sample, "unsupported_claim_rate", month)
    assert (found.n, found.state) == (truth["judged"], "PARTIAL")
    assert found.exclusions == {
        reason: n
        for reason, n in (("evaluator errors", truth["evaluator_errors"]), ("earlier judge versions", truth["earlier_versions"]))
        if n
    }
    assert f"people found {truth['labelled_unsupported']} in {truth['labelled']}" in found.note
    assert found.interval_method is not None
    assert found.interval_method.startswith("PPI++")
    assert found.interval_low is not None
    assert found.interval_high is not None
    assert found.interval_low < truth["true_rate"] < found.interval_high
    assert truth["flagged"] / truth["judged"] > 1.5 * truth["true_rate"]


def test_the_new_version_of_the_judge_is_no_change_of_the_rate(sample: Store) -> None:
    found = kpi(sample, "unsupported_claim_rate", "2026-08")
    assert found.previous_value is not None
    assert found.is_changed is False


@pytest.mark.parametrize("month", MONTHS)
def test_retrieval_precision_holds_the_truth_of_all_retrievals(sample: Store, month: str) -> None:
    truth = TRUTH["evaluations"]["months"][month]["retrieval"]
    found = kpi(sample, "retrieval_precision", month)
    assert (found.n, found.state, found.coverage) == (truth["judged"], "OK", 1.0)
    assert f"{truth['empty']} of {truth['retrievals']} retrievals came back empty" in found.note
    assert found.interval_low is not None
    assert found.interval_high is not None
    assert found.interval_low < truth["true_precision"] < found.interval_high


@pytest.mark.parametrize("month", MONTHS)
def test_safety_violations_are_the_planted_ones_to_the_digit(sample: Store, month: str) -> None:
    truth = TRUTH["evaluations"]["months"][month]["safety"]
    company = kpi(sample, "safety_violation_rate", month)
    screened: Any = kpi(sample, "safety_violation_rate", month, system=TRUTH["evaluations"]["screened_system"])
    for found, state in ((company, "PARTIAL"), (screened, "OK")):
        assert (found.value, found.numerator, found.denominator) == (truth["value"], truth["violations"], truth["screened"])
        assert (found.state, found.exclusions.get("reviewed false", 0)) == (state, truth["cleared"])
