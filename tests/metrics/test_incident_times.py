"""Times to acknowledge and to resolve: what is still running at the end of the window is never taken as short."""

from datetime import datetime, timedelta
from typing import Any

from metrics.incident_times import Times, times
from metrics.incidents import timeline
from tests.metrics.ledger import SEPTEMBER, Ledger, ledger, scope

__all__ = ["ledger"]
END = SEPTEMBER.end


def put(ledger: Ledger, number: int, hours_before_end: float, **hours: Any) -> None:
    """An incident with the hours after its start (= detection) at which things happened."""
    start = END - timedelta(hours=hours_before_end)
    at = {f"{step}_at": start + timedelta(hours=after) for step, after in hours.items()}
    ledger.put("incidents", {"incident_id": str(number), "ai_attributed": "yes", "started_at": start, "detected_at": start, **at})


def test_the_median_of_what_ended_and_what_still_runs_is_kaplan_meiers(ledger: Ledger) -> None:
    """The worked example: events 3, 5, 6, 8, 8, 12, 14, censored 7, 10, 15."""
    for number, hours in enumerate((3, 5, 6, 8, 8, 12, 14)):
        put(ledger, number, 200, mitigated=1, resolved=hours)
    for number, hours in enumerate((7, 10, 15), 20):
        put(ledger, number, hours, mitigated=1)
    assert times(timeline(ledger, scope()), "resolve", END) == Times(8, 10, 3, 0)


def test_what_was_noted_after_the_window_was_still_running_at_its_end(ledger: Ledger) -> None:
    put(ledger, 1, 100, acknowledged=1, mitigated=2, resolved=4)
    put(ledger, 2, 90, acknowledged=3, mitigated=4, resolved=8)
    put(ledger, 3, 5, acknowledged=50, mitigated=60, resolved=70)
    found = timeline(ledger, scope())
    assert times(found, "acknowledge", END) == Times(3, 3, 1, 0)
    assert times(found, "resolve", END) == Times(8, 3, 1, 0)


def test_a_mitigated_incident_without_an_acknowledgement_is_unknown_not_waiting(ledger: Ledger) -> None:
    put(ledger, 1, 100, acknowledged=1, mitigated=2)
    put(ledger, 2, 90, mitigated=4)
    found = timeline(ledger, scope())
    assert times(found, "acknowledge", END) == Times(1, 1, 0, 1)
    assert times(found, "resolve", END) == Times(None, 2, 2, 0)


def test_no_incident_has_no_median(ledger: Ledger) -> None:
    put(ledger, 1, 10_000, acknowledged=1)
    assert times(timeline(ledger, scope()), "acknowledge", datetime(2026, 10, 1)) == Times(None, 0, 0, 0)
