"""Rows that contradict themselves: out of the value, among the exclusions, and on the Data page with file and line."""

from pathlib import Path
from typing import Any

import pytest

from ingest.audit import Outcome
from ingest.load import Loader
from ingest.store import Store
from metrics import coverage
from metrics.filters import Period
from metrics.kpi import KpiResult, kpis
from metrics.rejected import REASON
from metrics.scorecard import evaluate
from tests.metrics.ledger import scope

INCIDENTS = """incident_id,title,started_at,severity,mitigated_at,ai_attributed
I1,fine,2026-09-03T10:00:00Z,2,2026-09-03T12:00:00Z,yes
I2,mitigated before it started,2026-09-04T10:00:00Z,2,2026-09-04T09:00:00Z,yes
I3,of unknown severity,2026-09-05T10:00:00Z,catastrophic,2026-09-05T11:00:00Z,yes
"""
REVIEWS = """review_id,subject_id,type,submitted_at,decided_at,outcome
V1,a,architecture,2026-09-01,2026-09-04,approved
V2,b,architecture,2026-09-08,2026-09-01,approved
"""
SURVEYS = """response_id,period,score
r1,2026-Q3,4\nr2,2026-Q3,7\nr3,2026-Q3,4\nr4,2026-Q3,4\nr5,2026-Q3,4\nr6,2026-Q3,4
"""
SYSTEMS = """system_id,name,owner,lifecycle,risk_tier
a,Alpha,Ann,production,1
a,Alpha again,Bob,production,3
"""


def load(loader: Loader, folder: Path, **files: str) -> list[Outcome]:
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return loader.load([(folder / f"{name}.csv", f"{name}.csv") for name in files])


def kpi(store: Store, name: str, month: str = "2026-09") -> KpiResult:
    return evaluate(store, kpis()[name], scope(Period.parse(month)))


@pytest.mark.parametrize(
    ("name", "files", "value", "n", "refused"),
    [
        ("time_to_mitigate", {"incidents": INCIDENTS}, 2.0, 1, [("incidents.csv", 3), ("incidents.csv", 4)]),
        ("time_to_signoff", {"reviews": REVIEWS}, 3, 1, [("reviews.csv", 3)]),
        ("stakeholder_satisfaction", {"surveys": SURVEYS}, 4, 5, [("surveys.csv", 3)]),
        ("drift_coverage", {"systems": SYSTEMS}, None, 1, [("systems.csv", 3)]),
    ],
)
def test_what_was_refused_is_counted_and_told_with_its_line(
    loader: Loader, store: Store, tmp_path: Path, name: str, files: dict[str, str], value: Any, n: int, refused: list[tuple[str, int]]
) -> None:
    load(loader, tmp_path, **files)
    found = kpi(store, name)
    assert (found.value, found.n, found.exclusions[REASON]) == (value, n, len(refused))
    assert store.query("select path, position from rejects order by 1, 2").rows() == refused


def test_what_is_refused_in_a_later_month_leaves_the_earlier_one_as_it_was(loader: Loader, store: Store, tmp_path: Path) -> None:
    load(loader, tmp_path, incidents=INCIDENTS, systems=SYSTEMS)
    before = [kpi(store, name) for name in kpis()]
    later = tmp_path / "later"
    later.mkdir()
    load(loader, later, incidents=INCIDENTS.replace("I", "J").replace("2026-09", "2026-10"))
    october = kpi(store, "time_to_mitigate", "2026-10")
    assert (october.n, october.exclusions) == (1, {REASON: 2})
    for old, new in zip(before, [kpi(store, name) for name in kpis()], strict=True):
        assert (old.value, old.n, old.exclusions, old.note) == (new.value, new.n, new.exclusions, new.note)


def test_a_row_that_names_what_no_register_has_is_listed_with_its_file(loader: Loader, store: Store, tmp_path: Path) -> None:
    release = "release_id,system_id,released_at,environment\nR1,a,2026-09-10,production\nR2,ghost,2026-09-11,production\n"
    load(loader, tmp_path, releases=release, readiness="release_id,item,result\nR1,eval,pass\nR9,eval,pass\n", systems=SYSTEMS)
    found = coverage.rows(store, "references").select("path", "row_kind", "row_id", "kind", "id").rows()
    assert found == [("readiness.csv", "readiness check", "eval", "release", "R9"), ("releases.csv", "release", "R2", "system", "ghost")]
