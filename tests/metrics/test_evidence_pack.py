"""The evidence pack holds what an audit asks for, and the same ledger gives the same bytes."""

import csv
import hashlib
import io
import json
import shutil
from pathlib import Path

from ingest.store import Store
from metrics.evidence_pack import evidence_pack
from metrics.kpi import kpis
from tests.metrics.ledger import scope


def test_every_file_is_in_the_manifest_with_its_hash(sample: Store) -> None:
    pack = evidence_pack(sample, scope())
    manifest = json.loads(pack["manifest.json"])
    assert manifest["sha256"] == {name: hashlib.sha256(content).hexdigest() for name, content in pack.items() if name != "manifest.json"}
    assert manifest["period"] == "2026-09"


def test_results_and_definitions_name_every_kpi(sample: Store) -> None:
    pack = evidence_pack(sample, scope())
    assert [result["metric_id"] for result in json.loads(pack["results.json"])["kpis"]] == list(kpis())
    assert [kpi["id"] for kpi in json.loads(pack["definitions.json"])] == list(kpis())


def test_the_rows_behind_a_number_count_to_it(sample: Store) -> None:
    pack = evidence_pack(sample, scope())
    results = {result["metric_id"]: result for result in json.loads(pack["results.json"])["kpis"]}
    rows = list(csv.DictReader(io.StringIO(pack["evidence/time_to_mitigate.csv"].decode())))
    assert sum(row["ai"] == "2" for row in rows) == results["time_to_mitigate"]["n"]


def test_the_same_ledger_gives_the_same_bytes(sample: Store, sample_path: Path, tmp_path: Path) -> None:
    copy = shutil.copy(sample_path, tmp_path / "copy.duckdb")
    again = Store(copy, read_only=True)
    assert evidence_pack(again, scope()) == evidence_pack(sample, scope())
    again.close()
