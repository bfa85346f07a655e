"""Decision records and first-round reviews: what counts as complete, as passed, and as not there yet."""

from datetime import date, datetime
from typing import Any

import pytest

from metrics.filters import Period
from metrics.governance import adr_completeness, is_rate_changed, review_pass_rate
from metrics.kpi import Measurement, kpis
from metrics.scorecard import evaluate
from metrics.stats import wilson
from tests.metrics.ledger import Ledger, ledger, scope

__all__ = ["ledger"]
ALWAYS = {"valid_from": datetime(1970, 1, 1)}
COMPLETE = {"has_context": True, "has_decision": True, "has_consequences": True}


def adr(path: str, **columns: Any) -> dict[str, Any]:
    return {"path": path, "status": "accepted", "decided_on": date(2026, 9, 2), **COMPLETE, **columns}


def decision(number: int, **columns: Any) -> dict[str, Any]:
    given = {"decision_id": f"D{number}", "system_id": "s", "title": "t", "decided_on": date(2026, 9, 1), "major": True}
    return {**given, "adr_path": f"adr/{number:04d}.md", **columns}


def measured(ledger: Ledger, *decisions: dict[str, Any], period: str = "2026-09") -> Measurement:
    ledger.put("systems", {"system_id": "s", "risk_tier": 1, **ALWAYS}, {"system_id": "s2", "risk_tier": 2, **ALWAYS})
    ledger.put("decisions", *decisions)
    return adr_completeness(ledger, scope(Period.parse(period)))


@pytest.mark.parametrize(
    ("columns", "low", "high"),
    [
        ({}, 1, 1),
        ({"status": "open"}, 0, 0),
        ({"status": "deprecated"}, 0, 0),
        ({"status": "unstated"}, 0, 1),
        ({"status": None}, 0, 1),
        ({"has_consequences": False}, 0, 0),
        ({"has_consequences": None}, 0, 1),
        ({"status": "unstated", "has_context": False}, 0, 0),
        ({"status": "superseded", "superseded_by": "adr/0002.md"}, 1, 1),
        ({"status": "superseded", "superseded_by": "0003.md"}, 0, 0),
        ({"status": "superseded"}, 0, 1),
        ({"decided_on": None}, 1, 1),
        ({"decided_on": date(2026, 10, 1)}, 0, 0),
        ({"path": "docs/adr/0001.md"}, 1, 1),
        ({"path": "0001.md"}, 1, 1),
        ({"path": "other-adr/0001.md"}, 0, 0),
    ],
)
def test_a_decision_needs_an_accepted_adr_with_all_parts(ledger: Ledger, columns: dict[str, Any], low: int, high: int) -> None:
    ledger.put("adrs", adr("adr/0001.md", **columns) if "path" not in columns else adr(**columns))
    ledger.put("adrs", adr("adr/0002.md"), adr("adr/0003.md", status="rejected"))
    found = measured(ledger, decision(1))
    assert (found.value, *(found.interval or (found.value, found.value))) == (low, low, high)


def test_minor_decisions_and_those_of_other_tiers_and_windows_do_not_count(ledger: Ledger) -> None:
    ledger.put("adrs", adr("adr/0001.md"))
    found = measured(
        ledger,
        decision(1),
        decision(2, major=False),
        decision(3, system_id="s2"),
        decision(4, decided_on=date(2026, 8, 31)),
        decision(5, system_id="unregistered"),
        decision(6, adr_path=None),
    )
    assert (found.numerator, found.denominator, found.exclusions) == (1, 3, {"of tier 2 and 3": 1})
    assert "2 without an ADR · 1 of unknown tier" in found.note


def test_a_late_adr_is_flagged_and_complete_and_one_of_no_decision_is_extra(ledger: Ledger) -> None:
    ledger.put("adrs", adr("adr/0001.md", decided_on=date(2026, 8, 5)), adr("adr/0009.md"))
    found = measured(ledger, decision(1, decided_on=date(2026, 7, 5)), period="2026-Q3")
    assert (found.value, found.note) == (
        1,
        "1 late (more than 30 days) · 1 ADR without a decision · as a sample of 1: 20.7% to 100.0% (Wilson)",
    )
    assert adr_completeness(ledger, scope(Period.parse("2026-07"))).value == 0


def test_without_adrs_or_decisions_nothing_is_measured_and_the_reason_says_what_is_there(ledger: Ledger) -> None:
    found = measured(ledger, decision(1))
    assert (found.value, found.state, found.note) == (None, "NO_DATA", "No ADR folder loaded; 1 of 1 major decisions name an ADR")
    with ledger.transaction() as cursor:
        cursor.execute("delete from decisions")
    ledger.put("adrs", adr("a.md"), adr("b.md", has_context=False))
    result = evaluate(ledger, kpis()["adr_completeness"], scope())
    assert (result.state, result.note) == ("NO_DATA", "No decision register; 2 ADRs found, structure 50% complete")


def review(subject: str, kind: str, day: int | None, outcome: str | None = "approved", **columns: Any) -> dict[str, Any]:
    """A first-round review that was decided on a day of September; None is not decided."""
    given = {"review_id": f"{subject} {kind}", "subject_id": subject, "type": kind, "submitted_at": datetime(2026, 8, 1), "round": 1}
    return {**given, "decided_at": None if day is None else datetime(2026, 9, day), "outcome": outcome, **columns}


@pytest.mark.parametrize(
    ("personal_data", "reviews", "passed"),
    [
        ("yes", {"security": "approved", "privacy": "conditions_minor"}, 1),
        ("yes", {"security": "approved", "privacy": "rework_major"}, 0),
        ("yes", {"security": "approved"}, 0),
        (None, {"security": "approved"}, 0),
        ("no", {"security": "approved"}, 1),
        ("no", {"security": "approved", "privacy": "rejected"}, 1),
        ("yes", {"privacy": "approved"}, 0),
    ],
)
def test_a_design_passes_when_every_required_review_does(
    ledger: Ledger, personal_data: str | None, reviews: dict[str, str], passed: int
) -> None:
    ledger.put("systems", {"system_id": "s", "personal_data": personal_data, **ALWAYS})
    ledger.put("reviews", *(review("s", kind, 5, outcome) for kind, outcome in reviews.items()))
    found = review_pass_rate(ledger, scope())
    assert (found.value, found.denominator) == (passed, 1)


def test_a_resubmission_never_overwrites_the_first_round(ledger: Ledger) -> None:
    ledger.put("reviews", review("a", "security", 3, "rework_major"), review("a", "privacy", 3))
    ledger.put("reviews", review("a", "security", 20, review_id="second", round=2, submitted_at=datetime(2026, 9, 9)))
    ledger.put("reviews", review("a", "security", 25, review_id="third", submitted_at=datetime(2026, 9, 21)))
    assert review_pass_rate(ledger, scope()).value == 0


def test_pending_and_withdrawn_designs_are_counted_apart_and_the_rest_has_wilsons_interval(ledger: Ledger) -> None:
    for number in range(12):
        ledger.put("reviews", review(f"S{number}", "security", 5, "approved" if number < 9 else "rejected"))
        ledger.put("reviews", review(f"S{number}", "privacy", 9))
    ledger.put("reviews", review("open", "security", 5), review("open", "privacy", None, None))
    ledger.put("reviews", review("later", "security", 5), review("later", "privacy", 5, decided_at=datetime(2026, 10, 1)))
    ledger.put("reviews", review("gone", "security", 5), review("gone", "privacy", 5, "withdrawn"))
    found = review_pass_rate(ledger, scope())
    interval = wilson(9, 12)
    assert interval is not None
    assert (found.numerator, found.denominator, found.interval) == (9, 12, (interval.low, interval.high))
    assert found.exclusions == {"pending": 2, "withdrawn": 1}
    assert review_pass_rate(ledger, scope(Period.parse("2026-08"))).note == "No completed reviews (15 pending)"


def test_a_design_belongs_to_the_window_of_its_last_first_round_decision(ledger: Ledger) -> None:
    ledger.put("reviews", review("a", "security", 5, decided_at=datetime(2026, 8, 20)), review("a", "privacy", 2))
    assert review_pass_rate(ledger, scope()).denominator == 1
    assert review_pass_rate(ledger, scope(Period.parse("2026-08"))).state == "NOT_APPLICABLE"


@pytest.mark.parametrize(("before", "after", "changed"), [((48, 80), (56, 70), True), ((9, 13), (10, 13), False)])
def test_a_change_of_the_pass_rate_needs_newcombes_interval(before: tuple[int, int], after: tuple[int, int], changed: bool) -> None:
    first, second = (Measurement(k / n, k, n) for k, n in (before, after))
    assert is_rate_changed(first, second) is changed
