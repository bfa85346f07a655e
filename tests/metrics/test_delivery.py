"""Adoption of reference patterns and readiness of releases: what meets, what is unknown, and as of when."""

from datetime import date, datetime
from typing import Any

import pytest

from metrics.census import RANGE
from metrics.delivery import MANDATORY, production_readiness, reference_architecture_adoption
from metrics.filters import Period
from metrics.kpi import Measurement
from tests.metrics.ledger import Ledger, ledger, scope

__all__ = ["ledger"]
ALWAYS = {"valid_from": datetime(1970, 1, 1)}
RELEASED = datetime(2026, 9, 10, 5)


def initiative(number: int, **columns: Any) -> dict[str, Any]:
    given = {"initiative_id": f"I{number}", "name": "n", "started_on": date(2026, 9, 1), "status": "active", "pattern_id": "P"}
    return {**given, "conformance": "full", "assessed_on": date(2026, 9, 10), **ALWAYS, **columns}


def pattern(**columns: Any) -> dict[str, Any]:
    return {"pattern_id": "P", "name": "n", "version": "1", "status": "approved", "approved_on": date(2026, 1, 1), **ALWAYS, **columns}


def adoption(ledger: Ledger, *rows: dict[str, Any], period: str = "2026-09") -> Measurement:
    ledger.put("initiatives", *rows)
    return reference_architecture_adoption(ledger, scope(Period.parse(period)))


@pytest.mark.parametrize(
    ("columns", "met"),
    [
        ({}, 1),
        ({"pattern_id": "other"}, 0),
        ({"pattern_id": None}, 0),
        ({"pattern_id": "other; P"}, 1),
        ({"conformance": "none"}, 0),
        ({"assessed_on": date(2025, 12, 31)}, 0),
        ({"conformance": "exception", "exception_expires_on": date(2026, 9, 30), "pattern_id": None}, 1),
        ({"conformance": "exception", "exception_expires_on": date(2026, 9, 29)}, 0),
    ],
)
def test_full_conformance_to_an_approved_pattern_or_an_unexpired_exception_counts(
    ledger: Ledger, columns: dict[str, Any], met: int
) -> None:
    ledger.put("patterns", pattern())
    found = adoption(ledger, initiative(1, **columns))
    assert (found.value, found.denominator, found.interval) == (met, 1, None)


@pytest.mark.parametrize(("assessed", "met"), [(date(2026, 8, 29), 1), (date(2026, 8, 30), 0)])
def test_a_retired_pattern_counts_for_ninety_days_unless_its_grace_says_otherwise(ledger: Ledger, assessed: date, met: int) -> None:
    ledger.put("patterns", pattern(status="retired", retired_on=date(2026, 5, 31)))
    ledger.put("patterns", pattern(pattern_id="Q", status="retired", retired_on=date(2026, 5, 31), grace_ends_on=date(2026, 12, 31)))
    assert adoption(ledger, initiative(1, assessed_on=assessed)).value == met
    ledger.put("initiatives", initiative(2, assessed_on=assessed, pattern_id="Q"))
    assert reference_architecture_adoption(ledger, scope()).numerator == met + 1


def test_what_is_not_assessed_stays_in_the_denominator_and_opens_a_range(ledger: Ledger) -> None:
    ledger.put("patterns", pattern())
    found = adoption(
        ledger,
        *(initiative(number) for number in range(6)),
        initiative(7, conformance=None, assessed_on=None),
        initiative(8, assessed_on=date(2026, 10, 1)),
        initiative(9, conformance="exception"),
        initiative(10, conformance="none"),
    )
    assert (found.value, found.numerator, found.denominator) == (0.6, 6, 10)
    assert (found.interval, found.interval_method, found.is_census_range) == ((0.6, 0.9), RANGE, True)
    assert "as a sample of 10: 31.3% to 83.2% (Wilson)" in found.note


def test_the_window_is_two_quarters_up_to_the_last_day_without_cancelled_ones_and_sandboxes(ledger: Ledger) -> None:
    ledger.put("patterns", pattern())
    rows = [
        initiative(1, started_on=date(2026, 3, 31)),
        initiative(2, started_on=date(2026, 4, 1)),
        initiative(3, started_on=date(2026, 8, 31)),
        initiative(4, started_on=date(2026, 9, 1)),
        initiative(5, started_on=date(2026, 7, 1), status="cancelled"),
        initiative(6, started_on=date(2026, 7, 1), status="sandbox"),
    ]
    assert adoption(ledger, *rows, period="2026-08").denominator == 2
    assert reference_architecture_adoption(ledger, scope()).denominator == 3
    assert Period.parse("2026-01").two_quarters() == Period(datetime(2025, 10, 1), datetime(2026, 2, 1))


def test_without_patterns_nothing_is_measured_and_without_initiatives_nothing_applies(ledger: Ledger) -> None:
    assert adoption(ledger, initiative(1)).state == "NO_DATA"
    ledger.put("patterns", pattern())
    assert reference_architecture_adoption(ledger, scope(Period.parse("2025-01"))).state == "NOT_APPLICABLE"


def release(ledger: Ledger, number: int, environment: str = "production", **checks: Any) -> None:
    """A release with every item passed; a check of its own is (result, reason, last day of a waiver), None leaves it out."""
    name = f"R{number}"
    ledger.put("releases", {"release_id": name, "system_id": "s", "released_at": RELEASED, "environment": environment})
    for item, check in {**dict.fromkeys(MANDATORY, ("pass", None, None)), **checks}.items():
        if check is not None:
            names = ("result", "reason", "waiver_expires_on")
            ledger.put("release_checks", {"release_id": name, "item": item, **dict(zip(names, check, strict=True))})


@pytest.mark.parametrize(
    ("check", "met"),
    [
        (("pass", None, None), 1),
        (("fail", None, None), 0),
        (None, 0),
        (("na", "no model in it", None), 1),
        (("na", None, None), 0),
        (("waived", "later", date(2026, 9, 10)), 1),
        (("waived", "later", date(2026, 9, 9)), 0),
    ],
)
def test_every_mandatory_item_is_judged_at_the_time_of_the_release(ledger: Ledger, check: Any, met: int) -> None:
    release(ledger, 1, docs=check)
    found = production_readiness(ledger, scope())
    assert (found.value, found.denominator, found.interval) == (met, 1, None)


def test_a_waiver_without_an_end_is_unknown_and_a_missing_checklist_is_not_ready(ledger: Ledger) -> None:
    release(ledger, 1)
    release(ledger, 2, eval=("waived", "later", None))
    release(ledger, 3, extra=("fail", None, None))
    release(ledger, 4, environment="staging", docs=("fail", None, None))
    release(ledger, 5, eval=None, monitoring=None, rollback=None, docs=None)
    found = production_readiness(ledger, scope())
    assert (found.numerator, found.denominator, found.interval) == (2, 4, (0.5, 0.75))
    assert "1 without a checklist · 1 waiver" in found.note


def test_without_production_releases_nothing_applies(ledger: Ledger) -> None:
    release(ledger, 1, environment="staging")
    found = production_readiness(ledger, scope())
    assert (found.state, found.note) == ("NOT_APPLICABLE", "No production releases")
