"""Drift coverage: only what really ran counts, and what keeps a system out is said."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from metrics.drift_coverage import drift_coverage
from metrics.kpi import kpis
from metrics.scorecard import evaluate
from tests.metrics.ledger import Ledger, ledger, scope

__all__ = ["ledger"]
END = datetime(2026, 10, 1)


def put_system(ledger: Ledger, name: str, **columns: Any) -> None:
    row = {
        "system_id": name,
        "name": name.title(),
        "risk_tier": 1,
        "lifecycle": "production",
        "team": "Red",
        "valid_from": datetime(1970, 1, 1),
    }
    ledger.put("systems", {**row, **columns})


def put_result(ledger: Ledger, system: str, *signals: str, state: str = "NO_DRIFT", n: int = 400, days_ago: int = 0) -> None:
    for signal in signals:
        row = {"as_of": END - timedelta(days=days_ago), "system": system, "signal": signal, "state": state, "n_current": n}
        ledger.put("drift_results", row)


BOTH = ("input_tokens", "output_tokens")


def test_a_system_counts_with_input_and_output_and_with_quality_where_it_is_judged(ledger: Ledger) -> None:
    for name in ("watched", "judged", "half", "thin", "judged thin", "silent"):
        put_system(ledger, name)
    put_result(ledger, "watched", *BOTH, state="DRIFT")
    put_result(ledger, "judged", *BOTH, "evaluation:faithfulness@v2")
    put_result(ledger, "half", "input_tokens")
    put_result(ledger, "thin", *BOTH, state="INSUFFICIENT_DATA", n=80)
    put_result(ledger, "judged thin", *BOTH)
    put_result(ledger, "judged thin", "evaluation:faithfulness@v2", state="INSUFFICIENT_DATA", n=12)
    found = drift_coverage(ledger, scope())
    assert (found.numerator, found.denominator) == (2, 6)
    assert "Thin: 80 calls a week, too few (needs 200)" in found.note
    assert "Judged Thin: 12 judged answers a week, too few" in found.note
    assert "Silent: 0 calls a week" in found.note


def test_a_reference_that_nobody_pinned_watches_nothing(ledger: Ledger) -> None:
    put_system(ledger, "a")
    put_result(ledger, "a", *BOTH)
    assert drift_coverage(ledger, scope()).value == 1
    with ledger.transaction() as cursor:
        cursor.execute("update drift_results set baseline = 'trailing 2026-08-01' where signal = 'input_tokens'")
    found = drift_coverage(ledger, scope())
    assert (found.value, found.note.split(" · ")[0]) == (0, "A: no complete pinned reference")


def test_an_evaluator_that_no_longer_runs_takes_nothing_away(ledger: Ledger) -> None:
    put_system(ledger, "a")
    put_result(ledger, "a", *BOTH)
    put_result(ledger, "a", "evaluation:faithfulness@v1", state="INSUFFICIENT_DATA", n=0)
    assert drift_coverage(ledger, scope()).value == 1


def test_results_older_than_two_weeks_and_of_later_days_do_not_count(ledger: Ledger) -> None:
    put_system(ledger, "old")
    put_system(ledger, "later")
    put_result(ledger, "old", *BOTH, days_ago=14)
    put_result(ledger, "later", *BOTH, days_ago=-1)
    assert drift_coverage(ledger, scope()).value == 0


def test_only_tier_1_systems_in_production_as_the_register_had_them(ledger: Ledger) -> None:
    put_system(ledger, "a")
    put_system(ledger, "tier two", risk_tier=2)
    put_system(ledger, "pilot", lifecycle="pilot")
    put_system(ledger, "gone", valid_to=datetime(2026, 9, 1))
    put_system(ledger, "blue", team="Blue")
    put_result(ledger, "a", *BOTH)
    assert drift_coverage(ledger, scope()).denominator == 2
    assert drift_coverage(ledger, scope(team="Blue")).value == 0
    assert drift_coverage(ledger, scope(system="a")).value == 1


@pytest.mark.parametrize(("tier", "state"), [(None, "NO_DATA"), (2, "NOT_APPLICABLE"), (1, "NO_DATA")])
def test_without_systems_or_runs_there_is_no_share(ledger: Ledger, tier: int | None, state: str) -> None:
    if tier is not None:
        put_system(ledger, "a", risk_tier=tier)
    result = evaluate(ledger, kpis()["drift_coverage"], scope())
    assert (result.value, result.state) == (None, state)
    assert result.note
