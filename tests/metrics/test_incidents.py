"""AI incidents: what counts, what is merged, what is unknown, and how long mitigation takes."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from metrics.definitions import KEY, Definitions
from metrics.filters import Period
from metrics.incidents import incident_rate, time_to_mitigate, timeline
from metrics.kpi import kpis
from metrics.scorecard import evaluate
from tests.metrics.ledger import Ledger, ledger, scope

__all__ = ["ledger"]
START = datetime(2026, 9, 10, 8)


def incident(number: int, **columns: Any) -> dict[str, Any]:
    return {"incident_id": f"INC-{number}", "title": "t", "severity": 3, "started_at": START, "ai_attributed": "yes", **columns}


def finished(number: int, hours: float, **columns: Any) -> dict[str, Any]:
    return incident(number, mitigated_at=START + timedelta(hours=hours), **columns)


def test_the_rate_is_per_million_production_requests_with_garwoods_interval(ledger: Ledger) -> None:
    ledger.put_usage(1, requests=2_500_000)
    ledger.put_usage(2, requests=900_000, environment="staging")
    ledger.put("incidents", *[incident(number) for number in range(3)])
    found = incident_rate(ledger, scope())
    assert (found.value, found.numerator, found.denominator) == (1.2, 3, 2_500_000)
    assert found.interval == pytest.approx((0.247469, 3.506909), abs=1e-6)


def test_no_incident_with_a_live_feed_is_zero_with_an_upper_bound(ledger: Ledger) -> None:
    ledger.put_usage(1, requests=1_000_000)
    ledger.put("incidents", incident(1, started_at=datetime(2026, 8, 1)))
    found = incident_rate(ledger, scope())
    assert found.value == 0
    assert found.interval == pytest.approx((0, 3.688879), abs=1e-6)


def test_children_count_with_their_parent_and_an_incident_outside_the_window_not_at_all(ledger: Ledger) -> None:
    ledger.put_usage(1, requests=1_000_000)
    ledger.put(
        "incidents",
        incident(1),
        incident(2, parent_incident="INC-1"),
        incident(3, started_at=datetime(2026, 10, 1)),
        incident(4, ai_attributed="no"),
    )
    assert incident_rate(ledger, scope()).numerator == 1


def test_unknown_attribution_is_a_range_beside_the_rate(ledger: Ledger) -> None:
    ledger.put_usage(1, requests=1_000_000)
    ledger.put("incidents", incident(1), incident(2, ai_attributed="unknown"), incident(3, ai_attributed=None))
    found = incident_rate(ledger, scope())
    assert found.value == 1
    assert found.exclusions == {"attribution unknown": 2}
    assert "up to 3" in found.note


def test_an_incident_without_a_verdict_is_ais_where_its_system_is_registered(ledger: Ledger) -> None:
    ledger.put_usage(1, requests=1_000_000)
    ledger.put("systems", {"system_id": "claims", "valid_from": datetime(1970, 1, 1)})
    ledger.put("incidents", incident(1, ai_attributed=None, system_id="claims"), incident(2, ai_attributed=None, system_id="printer"))
    assert incident_rate(ledger, scope()).value == 1


def test_an_incident_of_a_service_that_the_company_lists_is_not_ais(ledger: Ledger) -> None:
    ledger.put_usage(1, requests=1_000_000)
    ledger.put("incidents", incident(1, ai_attributed=None, system_id="Printer"), incident(2, ai_attributed=None, system_id="billing"))
    assert incident_rate(ledger, scope()).exclusions == {"attribution unknown": 2}
    ledger.put("ledger_meta", {"key": KEY, "value": Definitions(not_ai_services=("printer",)).json()})
    assert incident_rate(ledger, scope()).exclusions == {"attribution unknown": 1}


def test_before_there_are_traces_incidents_are_told_per_system_and_month(ledger: Ledger) -> None:
    assert evaluate(ledger, kpis()["incident_rate"], scope()).note == "No incident feed loaded"
    always = {"lifecycle": "production", "valid_from": datetime(1970, 1, 1)}
    ledger.put("systems", {"system_id": "claims", **always}, {"system_id": "search", **always})
    ledger.put("incidents", *[incident(number) for number in range(3)])
    found = evaluate(ledger, kpis()["incident_rate"], scope(Period.parse("2026-09")))
    assert (found.state, found.value) == ("NO_DATA", None)
    assert found.note == "3 AI incidents, 1.52 per system and month; no traces to relate them to"


def test_without_production_requests_there_is_no_rate(ledger: Ledger) -> None:
    ledger.put("incidents", incident(1))
    found = incident_rate(ledger, scope())
    assert (found.value, found.state) == (None, "NOT_APPLICABLE")


def test_the_median_of_finished_incidents_has_an_interval_of_order_statistics(ledger: Ledger) -> None:
    ledger.put("incidents", *[finished(hours, hours) for hours in range(1, 11)])
    found = time_to_mitigate(ledger, scope())
    assert (found.value, found.n) == (5.5, 10)
    assert found.interval == (2, 9)


def test_open_incidents_are_censored_and_never_taken_as_short(ledger: Ledger) -> None:
    """The worked example of Kaplan and Meier: events 3, 5, 6, 8, 8, 12, 14, censored 7, 10, 15."""
    events, censored = (3, 5, 6, 8, 8, 12, 14), (7, 10, 15)
    end = datetime(2026, 10, 1)
    ledger.put(
        "incidents",
        *[finished(number, hours) for number, hours in enumerate(events)],
        *[incident(20 + number, started_at=end - timedelta(hours=hours)) for number, hours in enumerate(censored)],
    )
    found = time_to_mitigate(ledger, scope())
    assert (found.value, found.interval) == (8, (3, 14))
    assert "3 open" in found.note


def test_a_resolution_stands_in_for_a_missing_mitigation_and_is_counted(ledger: Ledger) -> None:
    ledger.put("incidents", *[finished(number, 2) for number in range(5)], incident(9, resolved_at=START + timedelta(hours=4)))
    assert "1 of 6 by resolution time" in time_to_mitigate(ledger, scope()).note


def test_few_incidents_are_low_confidence_and_none_is_not_applicable(ledger: Ledger) -> None:
    ledger.put("incidents", incident(1, started_at=datetime(2026, 7, 1)))
    assert time_to_mitigate(ledger, scope()).state == "NOT_APPLICABLE"
    ledger.put("incidents", finished(2, 2), finished(3, 4))
    found = time_to_mitigate(ledger, scope())
    assert (found.value, found.state, found.interval) == (3, "LOW_CONFIDENCE", None)


def test_what_happens_after_the_window_does_not_change_it(ledger: Ledger) -> None:
    """A month's KPI is what could be known at its end."""
    ledger.put(
        "incidents",
        *[finished(number, 2) for number in range(6)],
        incident(9, started_at=datetime(2026, 9, 30, 20), mitigated_at=datetime(2026, 10, 2)),
    )
    assert "1 open" in time_to_mitigate(ledger, scope()).note


def test_a_service_that_an_incident_tool_names_leads_to_its_system(ledger: Ledger) -> None:
    ledger.put("systems", {"system_id": "bot", "team": "red", "service_names": ["bot-api"], "valid_from": datetime(1970, 1, 1)})
    ledger.put("incidents", {"incident_id": "1", "title": "x", "started_at": datetime(2026, 9, 3), "system_id": "bot-api"})
    ledger.put("incidents", {"incident_id": "2", "title": "y", "started_at": datetime(2026, 9, 4), "system_id": "printer"})
    [row] = timeline(ledger, scope()).to_dicts()
    assert (row["incident_id"], row["system"]) == ("1", "bot")


def test_a_child_whose_parent_is_unknown_is_an_incident_of_its_own(ledger: Ledger) -> None:
    ledger.put(
        "incidents",
        {"incident_id": "7", "title": "x", "started_at": datetime(2026, 9, 3), "parent_incident": "?", "ai_attributed": "yes"},
    )
    assert timeline(ledger, scope())["title"].to_list() == ["x"]


def test_a_resolution_that_stands_in_is_counted_also_where_the_tool_s_export_filled_it_in(ledger: Ledger) -> None:
    at = datetime(2026, 9, 3)
    ledger.put(
        "incidents",
        {
            "incident_id": "7",
            "title": "x",
            "started_at": at,
            "mitigated_at": at.replace(hour=2),
            "ai_attributed": "yes",
            "mitigated_source": "resolved_proxy",
        },
    )
    assert timeline(ledger, scope())["is_proxy"].to_list() == [True]
