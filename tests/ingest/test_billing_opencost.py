"""OpenCost's allocation of a cluster's cost, through the loader into a ledger."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.load import Loader
from ingest.sources import find_files
from ingest.store import Store
from tests.ingest.bills import billed, load_page, load_text
from tests.ingest.tables import csv_of, lines_of

ROW = {"Date": "2026-10-01", "Namespace": "models", "ControllerKind": "deployment", "ControllerName": "llama", "Pod": "llama-1",
       "Container": "vllm", "GPUs": "2", "CPUCost": "1", "GPUCost": "8", "TotalCost": "10"}
POD: dict[str, Any] = {
    "name": "llama-1", "properties": {"cluster": "one", "node": "gpu-node", "namespace": "models", "labels": {"team": "search"}},
    "window": {"start": "2026-10-01T00:00:00Z", "end": "2026-10-01T03:00:00Z"}, "start": "2026-10-01T00:00:00Z",
    "end": "2026-10-01T03:00:00Z", "minutes": 180, "gpuCount": 2, "gpuHours": 6, "gpuCost": 9.0, "gpuCostAdjustment": 1.0,
    "gpuCostIdle": 3.0, "gpuEfficiency": 0.5, "gpuAllocation": {"gpuModel": "H100"}, "cpuCost": 2.0, "totalCost": 12.5,
}  # fmt: skip
IDLE = {"name": "__idle__", "properties": {"cluster": "one"}, "gpuHours": 0, "gpuCost": 4.0, "gpuCostAdjustment": 0, "totalCost": 5.0}


def page(*pods: dict[str, Any]) -> dict[str, Any]:
    return {"code": 200, "data": [{pod["name"]: pod for pod in pods}]}


def test_the_sample_keeps_its_totals(loader: Loader, store: Store, fixtures: Path) -> None:
    [outcome] = loader.load(find_files([fixtures / "billing/opencost/csv_export_test.csv"]))
    total = Decimal("4.6000000000000005").quantize(Decimal("1e-12"))
    assert (outcome.collector, outcome.rejected, outcome.total) == ("opencost_csv", 0, total)
    assert (billed(store, "unit_class = 'gpu'"), billed(store)) == (Decimal("0.8"), Decimal("4.6"))
    assert lines_of(store, "gpu_hours") == [], "the export does not tell hours"


def test_gpus_are_of_ai_and_the_rest_stands_beside_them(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(loader, tmp_path / "opencost.csv", csv_of(ROW, {}))
    gpu, rest = sorted(lines_of(store), key=lambda row: row["unit_class"] or "z")
    assert (gpu["unit_class"], gpu["billed_cost"], gpu["service_category"]) == ("gpu", 8, "AI and Machine Learning")
    assert (rest["unit_class"], rest["billed_cost"], rest["service_category"]) == (None, 2, "Compute")
    assert (gpu["project"], gpu["resource_id"]) == ("models", "deployment/llama/llama-1/vllm")
    assert (gpu["charge_period_start"], gpu["charge_period_end"]) == (datetime(2026, 10, 1), datetime(2026, 10, 2))
    assert store.query("select sum(billed_cost) from ai_charges").item() == 8


def test_an_allocation_tells_idle_gpus_and_every_hour_of_one(loader: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load_page(loader, tmp_path / "allocation.json", page(POD, {**POD, **IDLE}))
    assert (outcome.collector, outcome.rejected, outcome.total) == ("opencost_allocation", 0, Decimal("17.5"))
    assert billed(store, "unit_class = 'gpu'") == 14, "adjusted, with the idle share inside it counted once and the idle node"
    hours = lines_of(store, "gpu_hours")
    assert [row["hour_start"].hour for row in hours] == [0, 0, 1, 1, 2, 2]
    assert {(row["node"], row["gpu_model"], row["utilization_ratio"], row["owner"]) for row in hours} == {
        ("gpu-node", "H100", 0.5, "models")}
    assert sum(row["cost_usd"] for row in hours) == 10
    [pod] = [row for row in lines_of(store) if row["consumed_quantity"]]
    assert (pod["billing_account_id"], pod["consumed_quantity"], pod["consumed_unit"], json.loads(pod["tags"])) == (
        "one", 6, "GPU hours", {"team": "search"})


@pytest.mark.parametrize("said", [{"gpuHours": 1.5}, {"gpuHours": 4}, {"gpuHours": None}, {"start": "2026-10-01T00:30:00Z"}])
def test_hours_that_are_not_known_one_by_one_are_left_out(loader: Loader, store: Store, tmp_path: Path, said: dict[str, Any]) -> None:
    load_page(loader, tmp_path / "allocation.json", page({**POD, **said}))
    assert (billed(store), lines_of(store, "gpu_hours")) == (Decimal("12.5"), [])


def test_a_later_answer_or_export_replaces_its_days(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_page(loader, tmp_path / "1.json", page(POD))
    load_page(loader, tmp_path / "2.json", page({**POD, "gpuCost": 5.0, "totalCost": 6.0}))
    assert (billed(store), sum(row["cost_usd"] for row in lines_of(store, "gpu_hours"))) == (6, 6)
    other = {**POD, "properties": {**POD["properties"], "cluster": "two"}}
    load_page(loader, tmp_path / "3.json", page(other))
    assert billed(store) == Decimal("18.5")
    load_text(loader, tmp_path / "day.csv", csv_of(ROW, {}))
    assert billed(store) == 10, "an export names no cluster and is all of them"
    assert load_text(loader, tmp_path / "copy.csv", csv_of(ROW, {})).status == "already loaded"


def test_broken_rows_are_rejected_and_a_missing_column_is_named(loader: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load_text(loader, tmp_path / "opencost.csv", csv_of(ROW, {}, {"TotalCost": "much"}, {"TotalCost": "-1"}, {"Date": "soon"}))
    assert [(r.position, r.reason) for r in outcome.rejects] == [
        (3, "TotalCost is not an amount"), (4, "a negative cost"), (5, "Date is not a date")]
    assert billed(store) == 10
    outcome = load_text(loader, tmp_path / "less.csv", csv_of(ROW, {}, without=["TotalCost"]))
    assert (outcome.status, "TotalCost is missing" in outcome.message) == ("failed", True)
    outcome = load_page(loader, tmp_path / "odd.json", {"code": 200, "data": [{"x": {"name": "x"}}]})
    assert outcome.status == "failed"
