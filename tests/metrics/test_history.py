"""History stays: whatever registers are loaded later, the KPIs of earlier months are the same, byte for byte."""

import csv
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.load import Loader
from ingest.sources import find_files
from ingest.store import Store
from metrics.filters import Period
from metrics.kpi import kpis
from metrics.scorecard import evaluate
from tests.conftest import HASH_KEY, SAMPLE
from tests.metrics.ledger import scope

IDS = (
    "reference_architecture_adoption",
    "time_to_signoff",
    "production_readiness",
    "inventory_completeness",
    "adr_completeness",
    "stakeholder_satisfaction",
    "review_pass_rate",
    "platform_reuse",
    "time_to_mitigate",
)
MONTHS = ("2026-07", "2026-08", "2026-09")
# Register -> what a later version of it may say instead.
LATER: dict[str, dict[str, tuple[str, ...]]] = {
    "systems": {
        "risk_tier": ("1", "2", "3"),
        "personal_data": ("yes", "no", ""),
        "team": ("Claims", "New"),
        "lifecycle": ("retired", "production"),
    },
    "patterns": {"status": ("approved", "retired"), "retired_on": ("", "2026-06-30"), "grace_ends_on": ("", "2026-07-15")},
    "initiatives": {
        "status": ("cancelled", "active"),
        "conformance": ("full", "none", ""),
        "system_id": ("claims-copilot", "policy-search"),
    },
    "models": {
        "version": ("", "9"),
        "last_reviewed_on": ("", "2026-09-30"),
        "lifecycle": ("retired", ""),
        "environment": ("staging", "production"),
    },
    "capabilities": {"provision": ("shared", "bespoke", "bought", "none"), "component_id": ("llm-gateway", "x", "")},
    "targets": {"target": ("0.1", "improve"), "direction": ("at_least", "at_most"), "set_by": ("Somebody else",)},
}


@pytest.fixture(scope="module")
def loaded() -> Iterator[Loader]:
    """The sample company's records and ADRs, without traces and bills."""
    store = Store(":memory:")
    loader = Loader(store, HASH_KEY, clock=lambda: datetime(2026, 10, 1, 6))
    outcomes = loader.load(find_files([*sorted((SAMPLE / "records").glob("*.csv")), SAMPLE / "adr"]))
    assert {outcome.status for outcome in outcomes} == {"loaded"}
    yield loader
    store.close()


@pytest.fixture(scope="module")
def before(loaded: Loader) -> str:
    found = results(loaded.store)
    assert found.count("state='NO_DATA'") == 0
    return found


def results(store: Store) -> str:
    """Everything that is said of the months, and the rows behind it."""
    said = []
    for month in MONTHS:
        for name in IDS:
            result = evaluate(store, kpis()[name], scope(Period.parse(month)))
            rows = store.query(result.evidence.sql, result.evidence.params).rows() if result.evidence else []
            said.append(f"{result} {rows}")
    return "\n".join(said)


def rows_of(register: str) -> list[dict[str, str]]:
    with (SAMPLE / "records" / f"{register}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@st.composite
def next_register(draw: st.DrawFn) -> tuple[str, list[dict[str, str]]]:
    """A register as a later month may have it: rows changed, rows gone, a row that is new."""
    register = draw(st.sampled_from(sorted(LATER)))
    rows = {tuple(row.values())[:2]: {**row, "valid_from": ""} for row in rows_of(register)}  # the last version of each
    kept = draw(st.lists(st.sampled_from(sorted(rows)), min_size=1, max_size=4, unique=True))
    changes = {name: st.sampled_from(texts) for name, texts in LATER[register].items()}
    changed = [rows[key] | draw(st.fixed_dictionaries({}, optional=changes)) for key in kept]
    first = next(iter(changed[0]))
    return register, [*changed, {**changed[0], first: f"new {draw(st.integers(1, 5))}"}]


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(later=next_register(), day=st.integers(0, 120))
def test_registers_of_later_months_never_change_what_earlier_months_said(
    loaded: Loader, before: str, later: tuple[str, list[dict[str, str]]], day: int
) -> None:
    register, rows = later
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{register}.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        [outcome] = Loader(loaded.store, HASH_KEY).load(find_files([path]), as_of=datetime(2026, 10, 1) + timedelta(days=day))
    assert outcome.status in ("loaded", "partial", "already loaded"), outcome.line()
    assert results(loaded.store) == before


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("reviews", {"review_id": "n1", "subject_id": "INI-25", "type": "architecture", "outcome": "approved", "round": 2}),
        ("reviews", {"review_id": "n2", "subject_id": "INI-13", "type": "security", "outcome": "rejected", "round": 1}),
        ("releases", {"release_id": "n3", "system_id": "claims-copilot", "environment": "production"}),
        ("decisions", {"decision_id": "n4", "system_id": "claims-copilot", "title": "t", "major": True}),
        ("adrs", {"path": "n5", "status": "accepted"}),
        ("survey_responses", {"response_id": "n6", "period": "2026-Q4", "score": 1}),
    ],
)
def test_records_of_later_months_do_not_either(loaded: Loader, before: str, table: str, row: dict[str, Any]) -> None:
    later = datetime(2026, 10, 6, 9)
    times: dict[str, dict[str, Any]] = {
        "reviews": {"submitted_at": later, "decided_at": later},
        "releases": {"released_at": later},
        "decisions": {"decided_on": later.date()},
        "adrs": {"decided_on": later.date()},
    }
    values = row | times.get(table, {})
    with loaded.store.transaction() as cursor:
        names = ", ".join(values)
        cursor.execute(f"insert into {table} ({names}) values ({', '.join('?' * len(values))})", list(values.values()))
    assert results(loaded.store) == before


def test_a_register_that_is_loaded_first_in_a_later_month_says_nothing_of_earlier_ones(tmp_path: Path) -> None:
    store = Store(":memory:")
    path = tmp_path / "capabilities.csv"
    path.write_text("system_id,capability,provision,valid_from\na,search,bespoke,2026-10-01\n")
    kpi = kpis()["platform_reuse"]
    earlier = evaluate(store, kpi, scope())
    Loader(store, HASH_KEY).load(find_files([path]))
    assert evaluate(store, kpi, scope()) == earlier
    assert evaluate(store, kpi, scope(Period.parse("2026-10"))).state == "OK"
    store.close()
