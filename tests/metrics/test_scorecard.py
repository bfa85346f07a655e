"""State, target, status and change of a KPI: the rules that turn a number into a judgement."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.kpi import Measurement, State, Target, kpis
from metrics.scorecard import evaluate, scorecard, scorecard_json, status, target_of
from tests.metrics.ledger import Ledger, ledger, scope

__all__ = ["ledger"]
AT_LEAST, AT_MOST = Target(0.9, "at_least", 0.05), Target(10, "at_most", 2)


@pytest.mark.parametrize(
    ("value", "interval", "target", "expected"),
    [
        (0.95, None, AT_LEAST, "on target"),
        (0.90, None, AT_LEAST, "on target"),
        (0.86, None, AT_LEAST, "at risk"),
        (0.84, None, AT_LEAST, "off target"),
        (0.95, (0.91, 0.98), AT_LEAST, "on target"),
        (0.95, (0.88, 0.98), AT_LEAST, "at risk"),
        (0.88, (0.80, 0.92), AT_LEAST, "at risk"),
        (0.80, (0.70, 0.89), AT_LEAST, "off target"),
        (8, None, AT_MOST, "on target"),
        (11, None, AT_MOST, "at risk"),
        (13, None, AT_MOST, "off target"),
        (8, (5, 9), AT_MOST, "on target"),
        (8, (5, 11), AT_MOST, "at risk"),
        (12, (11, 14), AT_MOST, "off target"),
    ],
)
def test_the_status_follows_value_interval_and_margin(
    value: float, interval: tuple[float, float] | None, target: Target, expected: str
) -> None:
    assert status(Measurement(value, interval=interval), "OK", target, None) == expected


@pytest.mark.parametrize("state", ["PARTIAL", "LOW_CONFIDENCE"])
def test_thin_evidence_is_at_best_at_risk(state: State) -> None:
    assert status(Measurement(0.95), state, AT_LEAST, None) == "at risk"
    assert status(Measurement(0.5), state, AT_LEAST, None) == "off target"


@pytest.mark.parametrize("state", ["NO_DATA", "NOT_APPLICABLE", "ERROR"])
def test_what_is_not_measured_has_no_status_against_a_target(state: State) -> None:
    assert status(Measurement(None), state, AT_LEAST, None) == "not measured"


def test_an_improve_target_is_met_only_by_a_clear_change_for_the_better() -> None:
    improve = Target(None, "at_most", 0)
    assert status(Measurement(1.0), "OK", improve, True) == "on target"
    assert status(Measurement(1.0), "OK", improve, False) == "at risk"
    assert status(Measurement(1.0), "OK", improve, None) == "at risk"
    assert status(Measurement(1.0), "OK", None, None) == "none"


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_value_never_has_a_worse_status(a: float, b: float, goal: float) -> None:
    order = ["off target", "at risk", "on target"]
    low, high = sorted((a, b))
    target = Target(goal, "at_least", 0.05)
    assert order.index(status(Measurement(low), "OK", target, None)) <= order.index(status(Measurement(high), "OK", target, None))


def target(**columns: Any) -> dict[str, Any]:
    return {"metric_id": "unit_cost", "target": "42", "direction": "at_most", "valid_from": datetime(2026, 1, 1), **columns}


def test_a_target_is_read_as_it_held_at_the_end_of_the_window(ledger: Ledger) -> None:
    ledger.put("targets", target(valid_to=datetime(2026, 9, 1)), target(target="36", valid_from=datetime(2026, 9, 1)))
    found = target_of(ledger, "unit_cost", scope())
    assert found is not None
    assert found.value == 36


def test_a_systems_own_target_comes_before_the_companys(ledger: Ledger) -> None:
    ledger.put("targets", target(), target(scope="system=claims", target="100"))
    assert [
        found and found.value
        for found in (
            target_of(ledger, "unit_cost", scope()),
            target_of(ledger, "unit_cost", scope(system="claims")),
            target_of(ledger, "unit_cost", scope(system="other")),
        )
    ] == [42, 100, 42]


def test_an_empty_ledger_measures_nothing_and_says_what_would_fill_each_kpi(ledger: Ledger) -> None:
    results = scorecard(ledger, scope())
    assert {(result.state, result.status, result.value) for result in results} == {("NO_DATA", "not measured", None)}
    assert all(result.note for result in results)
    assert all(kpis()[result.metric_id].fills for result in results)  # the file, shown with the reason
    assert [result.metric_id for result in results] == list(kpis())


def test_a_kpi_that_fails_is_an_error_with_its_reason_and_no_miss(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.put_usage(1)
    kpi = kpis()["cache_hit_rate"]

    def broken(engine: object, about: object) -> Measurement:
        raise ValueError("no such thing")

    monkeypatch.setitem(kpi.__dict__, "measure", broken)
    result = evaluate(ledger, kpi, scope())
    assert (result.state, result.status, result.value) == ("ERROR", "not measured", None)
    assert "no such thing" in result.note


def test_a_filter_that_a_kpi_is_not_kept_by_is_named_instead_of_ignored(ledger: Ledger) -> None:
    ledger.put_usage(1)
    ledger.put("incidents", {"incident_id": "1", "started_at": datetime(2026, 9, 2)})
    result = evaluate(ledger, kpis()["incident_rate"], scope(provider="openai"))
    assert (result.state, result.note) == ("NOT_APPLICABLE", "Not kept by provider")


def test_the_json_document_has_the_contracts_names(ledger: Ledger) -> None:
    document = scorecard_json(scope(), scorecard(ledger, scope()))
    assert document.keys() == {"period", "scope", "kpis"}
    assert document["period"].keys() == {"start", "end", "as_of"}
    names = {
        "metric_id",
        "metric_version",
        "scope",
        "window_start",
        "window_end",
        "as_of",
        "value",
        "unit",
        "numerator",
        "denominator",
        "n",
        "interval_low",
        "interval_high",
        "interval_method",
        "coverage",
        "exclusions",
        "evidence",
        "target",
        "direction",
        "status",
        "state",
        "freshness",
        "note",
    }
    assert all(names <= record.keys() for record in document["kpis"])
