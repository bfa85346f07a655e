"""Error budgets: how fast they burn, when that is an alarm, and when little traffic or a sample says too little."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from metrics.objectives import RULES, Objective, budget, budgets, is_burning
from tests.metrics.ledger import SEPTEMBER, Ledger, ledger, scope

__all__ = ["ledger"]
NOON = datetime(2026, 9, 15, 12)


def put_calls(
    ledger: Ledger, start: datetime, minutes: int, a_minute: int, failed: int = 0, duration_ms: float = 900, **columns: Any
) -> None:
    """Calls of one system, each minute alike: the first `failed` of them fail."""
    with ledger.transaction() as cursor:
        cursor.execute(
            """
            insert into spans (trace_id, span_id, sent_trace_id, role, system, environment, started_at, duration_ms, error_type)
            select concat(m.i, '-', c.i, '-', $start), concat(m.i, '-', c.i), 't', 'call', $system, $environment,
                   $start + to_minutes(m.i), $duration_ms, case when c.i < $failed then 'timeout' end
            from range($minutes) m(i), range($a_minute) c(i)""",
            {
                "start": start,
                "minutes": minutes,
                "a_minute": a_minute,
                "failed": failed,
                "duration_ms": duration_ms,
                "system": "claims",
                "environment": "production",
                **columns,
            },
        )


def errors(objective: float = 0.999, **columns: Any) -> Objective:
    return Objective(
        **{
            "objective_id": "O-1",
            "system": "claims",
            "kind": "errors",
            "objective": objective,
            "threshold_ms": None,
            "window_days": 30,
            **columns,
        }
    )


def test_the_rules_are_those_of_the_sre_workbook() -> None:
    """2, 5 and 10 % of a budget of 30 days."""
    shares = [rule.burn * rule.long / timedelta(days=30) for rule in RULES]
    assert shares == pytest.approx([0.02, 0.05, 0.10])
    assert [rule.short * 12 for rule in RULES] == [rule.long for rule in RULES]


@pytest.mark.parametrize(("burn", "worst_fine"), [(14.4, 1440), (6, 600), (1, 100)])
def test_a_window_burns_above_the_worked_ratios(burn: float, worst_fine: int) -> None:
    """For 99.9 %: 1.44, 0.6 and 0.1 %."""
    assert not is_burning(100_000, worst_fine, 0.001, burn)
    assert is_burning(100_000, worst_fine + 1, 0.001, burn)


def test_with_little_traffic_it_takes_ten_bad_events_and_the_lower_bound() -> None:
    assert not is_burning(50, 5, 0.001, 14.4)
    assert not is_burning(600, 9, 0.001, 14.4)
    assert not is_burning(690, 10, 0.001, 14.4)  # 1.45 %, but as little as 0.8 % is compatible
    assert is_burning(200, 12, 0.001, 14.4)


def test_a_sample_burns_only_with_its_lower_bound() -> None:
    assert not is_burning(400, 24, 0.05, 1, is_sample=True)
    assert is_burning(400, 40, 0.05, 1, is_sample=True)
    assert not is_burning(0, 0, 0.05, 1, is_sample=True)


def test_an_hour_of_failures_pages_while_it_lasts_and_not_after(ledger: Ledger) -> None:
    put_calls(ledger, NOON - timedelta(hours=6), 360, 20)
    put_calls(ledger, NOON, 60, 20, failed=4)
    put_calls(ledger, NOON + timedelta(hours=1), 360, 20)
    found = budget(ledger, errors(), SEPTEMBER)
    assert (found.valid, found.bad) == (780 * 20, 240)
    assert found.used == pytest.approx(240 / 15.6)
    pages = [alert for alert in found.alerts if (alert.severity, alert.burn) == ("page", 14.4)]
    assert len(pages) == 1
    assert NOON < pages[0].start <= NOON + timedelta(minutes=10)
    assert pages[0].end == NOON + timedelta(minutes=65)
    assert found.burning == ()


def test_two_failures_in_a_quiet_night_are_no_alarm(ledger: Ledger) -> None:
    put_calls(ledger, NOON, 60, 1)
    put_calls(ledger, NOON + timedelta(minutes=60), 2, 1, failed=1)
    assert budget(ledger, errors(0.99), SEPTEMBER).alerts == ()


def test_latency_counts_answers_only(ledger: Ledger) -> None:
    put_calls(ledger, NOON, 10, 10, failed=5, duration_ms=2_000)
    put_calls(ledger, NOON + timedelta(hours=1), 10, 10, duration_ms=500)
    put_calls(ledger, NOON, 10, 10, duration_ms=9_000, environment="staging")
    found = budget(ledger, errors(0.5, kind="latency", threshold_ms=1_000), SEPTEMBER)
    assert (found.valid, found.bad, found.good_share) == (150, 50, pytest.approx(2 / 3))
    with pytest.raises(ValueError, match="no threshold_ms"):
        budget(ledger, errors(kind="latency"), SEPTEMBER)


def test_a_quality_objective_counts_judged_answers_and_never_pages(ledger: Ledger) -> None:
    put_calls(ledger, NOON - timedelta(days=2), 200, 1)
    for number in range(200):
        judged = {"evaluation_id": f"E{number}", "evaluator_kind": "llm", "evaluator_version": "1", "name": "hallucination"}
        label = "hallucinated" if number < 60 else "factual"
        span = {"trace_id": f"{number}-0-{NOON - timedelta(days=2)}", "span_id": f"{number}-0"}
        ledger.put("evaluations", {**judged, **span, "label": label, "evaluated_at": datetime(2026, 9, 30, 12)})
    with ledger.transaction() as cursor:
        cursor.execute("update spans set sent_trace_id = trace_id")
    found = budget(ledger, errors(0.9, kind="quality", window_days=28), SEPTEMBER)
    assert (found.valid, found.bad) == (200, 60)
    assert [(alert.severity, alert.burn) for alert in found.burning] == [("ticket", 1)]


def test_the_register_is_read_as_it_held_and_an_objective_without_events_has_no_share(ledger: Ledger) -> None:
    row = {"objective_id": "O-1", "system_id": "claims", "kind": "errors", "objective": 0.99}
    ledger.put("objectives", {**row, "valid_from": datetime(2026, 1, 1), "valid_to": datetime(2026, 9, 1)})
    ledger.put(
        "objectives",
        {**row, "objective": 0.95, "valid_from": datetime(2026, 9, 1)},
        {**row, "objective_id": "O-2", "system_id": "search", "valid_from": datetime(2026, 10, 1)},
    )
    [found] = budgets(ledger, scope())
    assert (found.objective.objective, found.objective.window_days) == (0.95, 30)
    assert (found.used, found.good_share, found.alerts) == (None, None, ())
    assert budgets(ledger, scope(system="search")) == []
