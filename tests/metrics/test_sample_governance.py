"""The governance KPIs of the sample company are what its generator, which shares no code with them, says they are."""

import json
from datetime import date
from typing import Any

import pytest

from ingest.store import Store
from metrics import inventory, objectives
from metrics.filters import UNATTRIBUTED, Period
from metrics.kpi import KpiResult, kpis
from metrics.scorecard import breakdown, evaluate
from tests.conftest import SAMPLE
from tests.metrics.ledger import scope

WINDOWS = ("2026-07", "2026-08", "2026-09", "2026-Q3")
SHARES = ("reference_architecture_adoption", "production_readiness", "inventory_completeness", "adr_completeness", "platform_reuse")


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLE.parent / "truth.json").read_text())["governance"]
    return found


def measured(sample: Store, window: str, metric_id: str) -> KpiResult:
    return evaluate(sample, kpis()[metric_id], scope(Period.parse(window)), is_compared=False)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("metric_id", SHARES)
def test_shares_and_their_ranges(sample: Store, truth: dict[str, Any], window: str, metric_id: str) -> None:
    found, known = measured(sample, window, metric_id), truth[window][metric_id]
    assert (found.value, found.numerator, found.denominator) == (known["value"], known["numerator"], known["denominator"])
    if known["unknown"]:
        assert (found.interval_low, found.interval_high) == (known["low"], known["high"])
    else:
        assert found.interval_low is None
    assert found.evidence is not None
    rows = sample.query(found.evidence.sql, found.evidence.params)
    assert rows.filter(rows["verdict"] == 0).height == len(known["missed"])
    assert rows.filter(rows["verdict"] == 1).height == len(known["unknown"])


@pytest.mark.parametrize("window", WINDOWS)
def test_reviews_and_surveys(sample: Store, truth: dict[str, Any], window: str) -> None:
    signoff, known = measured(sample, window, "time_to_signoff"), truth[window]["time_to_signoff"]
    assert (signoff.value, signoff.n) == (known["value"], known["n"])
    passed, known = measured(sample, window, "review_pass_rate"), truth[window]["review_pass_rate"]
    assert (passed.value, passed.numerator, passed.denominator) == (known["value"], known["numerator"], known["denominator"])
    counts = {reason: len(known[reason]) for reason in ("pending", "withdrawn") if known[reason]}
    assert passed.exclusions == counts
    asked, known = measured(sample, window, "stakeholder_satisfaction"), truth[window]["stakeholder_satisfaction"]
    assert asked.value == pytest.approx(known["value"], abs=1e-12)
    assert asked.note.startswith(f"survey {known['period']}, ")
    assert f"{known['n']} of {known['invited']} answered" in asked.note


@pytest.mark.parametrize("window", WINDOWS)
def test_what_is_in_use_without_being_registered_and_the_other_way_round(sample: Store, truth: dict[str, Any], window: str) -> None:
    found, _ = inventory.items(sample, scope(Period.parse(window)))
    known = truth[window]["inventory_completeness"]
    for name, items in (("shadow", inventory.shadow(found)), ("zombie", inventory.zombie(found)), ("unseen", inventory.unseen(found))):
        assert [" ".join(row) for row in items.select("kind", "provider", "name").rows()] == known[name]
    assert inventory.expected(found) == known["models_to_expect"]
    [shadow] = inventory.shadow(found).to_dicts()
    assert (shadow["name"], shadow["project"], shadow["in_traces"]) == ("gpt-4.1-mini", "proj_growth_experiments", 0)
    assert str(shadow["first_seen_at"].date()) == "2026-07-20"


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(
    "metric_id", ["reference_architecture_adoption", "production_readiness", "adr_completeness", "review_pass_rate", "platform_reuse"]
)
def test_the_systems_add_up_to_the_company(sample: Store, window: str, metric_id: str) -> None:
    systems = sample.query("select distinct system_id from systems")["system_id"].to_list()
    parts = breakdown(sample, kpis()[metric_id], scope(Period.parse(window)), "system", [*systems, UNATTRIBUTED]).values()
    company = measured(sample, window, metric_id)
    assert company.value is not None
    for name in ("numerator", "denominator", "n"):
        assert sum(getattr(part, name) or 0 for part in parts) == getattr(company, name), name


def test_the_sign_off_cases_of_the_systems_add_up(sample: Store) -> None:
    systems = sample.query("select distinct system_id from systems")["system_id"].to_list()
    parts = breakdown(sample, kpis()["time_to_signoff"], scope(Period.parse("2026-Q3")), "system", [*systems, UNATTRIBUTED]).values()
    assert sum(part.n or 0 for part in parts) == measured(sample, "2026-Q3", "time_to_signoff").n


def test_every_kpi_has_a_target_and_the_month_shows_every_status(sample: Store) -> None:
    found = [evaluate(sample, kpi, scope()) for kpi in kpis().values()]
    assert all(result.target is not None for result in found)
    assert {"on target", "at risk", "off target"} <= {result.status for result in found}
    assert not [result.metric_id for result in found if result.state == "ERROR"]


@pytest.mark.parametrize("month", ["2026-07", "2026-08", "2026-09"])
def test_error_budgets_are_what_really_happened(sample: Store, month: str) -> None:
    known = json.loads((SAMPLE.parent / "truth.json").read_text())["error_budgets"][month]
    found = {budget.objective.objective_id: budget for budget in objectives.budgets(sample, scope(Period.parse(month)))}
    assert {name: (budget.valid, budget.bad) for name, budget in found.items()} == {
        name: (budget["valid"], budget["bad"]) for name, budget in known.items()
    }
    assert {name: budget.used for name, budget in found.items()} == pytest.approx({name: budget["used"] for name, budget in known.items()})


def test_the_burst_of_errors_and_the_longer_answers_raise_alerts(sample: Store) -> None:
    august, september = (
        {budget.objective.objective_id: budget for budget in objectives.budgets(sample, scope(Period.parse(month)))}
        for month in ("2026-08", "2026-09")
    )
    assert any(alert.severity == "page" and alert.start.date() == date(2026, 8, 18) for alert in august["SLO-04"].alerts)
    assert not august["SLO-03"].alerts
    assert any(alert.severity == "ticket" and alert.start.date() >= date(2026, 9, 10) for alert in september["SLO-03"].alerts)
