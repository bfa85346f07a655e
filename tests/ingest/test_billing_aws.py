"""The AWS Cost and Usage Report, through the loader into a ledger."""

import csv
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest import insert
from ingest.collector import collectors
from ingest.load import Loader
from ingest.probe import probe
from ingest.sources import find_files
from ingest.store import Store
from ingest.table import stage
from tests.ingest.bills import billed, load_text
from tests.ingest.tables import assert_truncated_parquet_leaves_nothing, csv_of, lines_of

ROW = {
    "identity_line_item_id": "li1", "bill_payer_account_id": "payer", "bill_billing_period_start_date": "2026-10-01T00:00:00Z",
    "bill_billing_period_end_date": "2026-11-01T00:00:00Z", "bill_billing_entity": "AWS", "line_item_usage_account_id": "member",
    "line_item_line_item_type": "Usage", "line_item_usage_start_date": "2026-10-02T00:00:00Z",
    "line_item_usage_end_date": "2026-10-02T01:00:00Z", "line_item_product_code": "AmazonBedrock",
    "line_item_usage_type": "USE1-Claude4.5Sonnet-input-tokens", "line_item_resource_id": "arn:profile/one",
    "line_item_usage_amount": "2000", "line_item_currency_code": "USD", "line_item_unblended_cost": "6",
    "line_item_line_item_description": "What it was", "pricing_unit": "1K tokens", "pricing_public_on_demand_cost": "6",
    "product": '{"product_name": "Amazon Bedrock", "region": "us-east-1"}', "resource_tags": '{"user_team": "search"}',
}  # fmt: skip
NUMBERS = ("line_item_usage_amount", "line_item_unblended_cost", "pricing_public_on_demand_cost")
MAPS = ("product", "resource_tags")


def test_the_sample_keeps_its_totals_and_tells_bedrock_from_the_rest(loader: Loader, store: Store, fixtures: Path) -> None:
    [outcome] = loader.load(find_files([fixtures / "billing/aws/cur2_bedrock.csv"]))
    assert (outcome.collector, outcome.rows, outcome.rejected, outcome.total) == ("aws_cur2", 12, 0, Decimal("59.0404"))
    assert billed(store, "provider = 'aws.bedrock'") == Decimal("59.03")
    assert billed(store, "provider = 'aws.bedrock' and charge_category = 'Usage'") == Decimal("59.53")
    assert (billed(store, "unit_class = 'credit'"), billed(store, "unit_class = 'tax'")) == (-2, Decimal("1.5"))
    assert billed(store, "unit_class = 'other'") == 0
    tokens = store.query("select model, token_class, cast(consumed_quantity as bigint) from charges where consumed_unit = 'Tokens'").rows()
    assert {tuple(key): n for *key, n in tokens} == {
        ("claude-sonnet-4-5", "uncached_input"): 2_000_000, ("claude-sonnet-4-5", "cache_read"): 8_000_000,
        ("claude-sonnet-4-5", "cache_write_5m"): 500_000, ("claude-sonnet-4-5", "output"): 400_000,
        ("nova-pro", "uncached_input"): 3_000_000, ("nova-2-lite", "output"): 1_200_000, ("gpt-oss-120b", "output"): 100_000}
    [marketplace] = [row for row in lines_of(store) if row["invoice_issuer_name"] == "AWS Marketplace"]
    assert (marketplace["model"], marketplace["token_class"]) == ("claude-3-haiku", "uncached_input")
    assert marketplace["consumed_quantity"] is None, "how many tokens a unit is, nobody says"


def test_the_report_and_the_focus_export_of_one_period_do_not_add_up(loader: Loader, store: Store, fixtures: Path) -> None:
    report, focus = ([fixtures / f"billing/aws/{name}.csv"] for name in ("cur2_bedrock", "focus_1_2_bedrock"))
    loader.load(find_files(report))
    loader.load(find_files(focus))
    assert billed(store) == Decimal("59.03")
    with store.transaction() as cursor:
        cursor.execute("delete from charges; delete from loads")
    loader.load(find_files(focus))
    loader.load(find_files(report))
    assert billed(store) == Decimal("59.0404")


def test_every_usage_type_tells_its_routing(store: Store, tmp_path: Path, fixtures: Path) -> None:
    expected = list(csv.DictReader((fixtures / "billing/aws/bedrock_usage_types.csv").open()))
    path = tmp_path / "cur.csv"
    path.write_text(csv_of(ROW, *({"line_item_usage_type": row["usage_type"], "line_item_line_item_description": row["usage_type"]}
                                  for row in expected)))
    collector = collectors()["aws_cur2"]
    with store.cursor() as cursor:
        stage(cursor, probe(path), collector)
        read = {row["charge_description"]: row for row in insert.rows(cursor, collector).frame.rows(named=True)}
    scopes = {"in-region": "regional", "global": "global", "geo": "geo"}
    for row in expected:
        if not row["usage_type"].startswith("USW2-MP"):  # its product names no model here
            line = read[row["usage_type"]]
            assert (line["region_scope"], line["service_tier"]) == (scopes[row["routing"]], row["tier"]), row


def test_a_line_is_what_it_says(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(loader, tmp_path / "cur.csv", csv_of(ROW, {"line_item_net_unblended_cost": "5.4"}))
    [row] = lines_of(store)
    assert (row["billed_cost"], row["effective_cost"], row["list_cost"]) == (6, Decimal("5.4"), 6)
    assert (row["usd_billed_cost"], row["usd_effective_cost"]) == (6, Decimal("5.4"))
    assert (row["billing_account_id"], row["sub_account_id"], row["resource_id"], row["region_id"]) == (
        "payer", "member", "arn:profile/one", "us-east-1")
    assert (row["charge_period_start"], row["charge_period_end"]) == (datetime(2026, 10, 2), datetime(2026, 10, 2, 1))
    assert (row["service_category"], json.loads(row["tags"])) == ("AI and Machine Learning", {"user_team": "search"})


@pytest.mark.parametrize(("kind", "category", "unit_class"), [
    ("Tax", "Tax", "tax"), ("Credit", "Credit", "credit"), ("Refund", "Adjustment", "credit"), ("EdpDiscount", "Credit", "credit"),
    ("Fee", "Purchase", "fee"), ("SavingsPlanNegation", "Adjustment", "credit"), ("Moonlight", "Adjustment", "other")])
def test_what_is_no_usage_has_no_tokens(loader: Loader, store: Store, tmp_path: Path, kind: str, category: str, unit_class: str) -> None:
    load_text(loader, tmp_path / "cur.csv", csv_of(ROW, {"line_item_line_item_type": kind}))
    [row] = lines_of(store)
    assert (row["charge_category"], row["unit_class"], row["token_class"], row["model"]) == (category, unit_class, None, None)


@pytest.mark.parametrize("usage_type", ["USE1-Sphinx9-input-tokens", "USE1-Claude4.5Sonnet-moonlight", "USE1-Guardrail-Units"])
def test_an_unknown_meter_is_other_and_never_guessed(loader: Loader, store: Store, tmp_path: Path, usage_type: str) -> None:
    load_text(loader, tmp_path / "cur.csv", csv_of(ROW, {"line_item_usage_type": usage_type}))
    [row] = lines_of(store)
    assert (row["unit_class"], row["token_class"], row["model"], row["billed_cost"]) == ("other", None, None, 6)


def test_chunks_of_one_load_add_up_and_a_later_export_replaces_payer_and_period(loader: Loader, store: Store, tmp_path: Path) -> None:
    chunks = [tmp_path / f"chunk {i}.csv" for i in range(3)]
    for number, chunk in enumerate(chunks, 1):
        chunk.write_text(csv_of(ROW, {"line_item_unblended_cost": str(number)}))
    loader.load(find_files(chunks))
    assert billed(store) == 6
    assert {o.status for o in loader.load(find_files(chunks))} == {"already loaded"}
    load_text(loader, tmp_path / "restated.csv", csv_of(ROW, {"identity_line_item_id": "another", "line_item_unblended_cost": "5"}))
    assert billed(store) == 5
    load_text(loader, tmp_path / "other.csv", csv_of(ROW, {"bill_payer_account_id": "someone else"}))
    load_text(loader, tmp_path / "september.csv", csv_of(ROW, {"bill_billing_period_start_date": "2026-09-01T00:00:00Z"}))
    assert billed(store) == 17


def test_broken_rows_are_rejected_with_their_reason_and_a_missing_column_is_named(loader: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load_text(loader, tmp_path / "cur.csv", csv_of(
        ROW, {"line_item_unblended_cost": "much"}, {"product": "{broken"}, {"line_item_usage_amount": "-1"},
        {"line_item_usage_start_date": "2026-11-01T00:00:00Z", "line_item_usage_end_date": "2026-11-01T01:00:00Z"},
        {"line_item_usage_end_date": "2026-10-01T00:00:00Z"}, {"line_item_usage_amount": "-1", "line_item_unblended_cost": "-2"}))
    assert [(r.position, r.reason) for r in outcome.rejects] == [
        (2, "line_item_unblended_cost is not an amount"), (3, "product is not JSON"), (4, "a negative quantity with a positive cost"),
        (5, "used after its billing period"), (6, "the usage ends before it starts")]
    assert (outcome.status, billed(store)) == ("partial", -2)
    outcome = load_text(loader, tmp_path / "less.csv", csv_of(ROW, {}, without=["line_item_unblended_cost"]))
    assert (outcome.status, "line_item_unblended_cost is missing" in outcome.message) == ("failed", True)
    outcome = load_text(loader, tmp_path / "euro.csv", csv_of(ROW, {"line_item_currency_code": "EUR"}))
    assert (outcome.status, "billed in EUR without a rate to USD" in outcome.message) == ("failed", True)


def test_parquet_with_maps_says_the_same_as_csv_and_a_truncated_one_leaves_nothing(loader: Loader, store: Store, tmp_path: Path) -> None:
    row = {name: float(value) if name in NUMBERS else datetime.fromisoformat(value) if "_date" in name
           else list(json.loads(value).items()) if name in MAPS else value for name, value in ROW.items()}
    row["line_item_unblended_cost"] = 0.1
    types = {name: pa.map_(pa.string(), pa.string()) for name in MAPS}
    schema = pa.schema([(name, types.get(name) or pa.array([value]).type) for name, value in row.items()])
    path = tmp_path / "cur.parquet"
    pq.write_table(pa.Table.from_pylist([row] * 30, schema), path)
    whole = path.read_bytes()
    assert_truncated_parquet_leaves_nothing(loader, store, path)
    path.write_bytes(whole)
    [outcome] = loader.load(find_files([path]))
    assert (outcome.collector, outcome.rows, outcome.total) == ("aws_cur2", 30, 3), "floats come as the decimals that they show"
    from_parquet = lines_of(store)
    load_text(loader, tmp_path / "cur.csv", csv_of(ROW, *[{"line_item_unblended_cost": "0.1"}] * 30))
    assert [{**row, "tags": row["tags"].replace('": "', '":"')} for row in lines_of(store)] == from_parquet
