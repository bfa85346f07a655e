"""Databricks' usage at its list prices, through the loader into a ledger."""

import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.load import Loader
from ingest.prices.book import ensure_book
from ingest.sources import find_files
from ingest.store import Store
from tests.ingest.bills import billed, load_text
from tests.ingest.tables import assert_truncated_parquet_leaves_nothing, csv_of, lines_of

PRICE = {
    "price_start_time": "2026-01-01T00:00:00Z",
    "price_end_time": "",
    "account_id": "acc1",
    "sku_name": "SERVERLESS",
    "cloud": "AWS",
    "currency_code": "USD",
    "usage_unit": "DBU",
    "pricing": '{"default":"0.09","effective_list":{"default":"0.08"}}',
}
ROW = {
    "record_id": "r1", "account_id": "acc1", "workspace_id": "1001", "sku_name": "SERVERLESS", "cloud": "AWS",
    "usage_start_time": "2026-10-01T10:00:00Z", "usage_end_time": "2026-10-01T11:00:00Z", "usage_date": "2026-10-01",
    "custom_tags": '{"team":"search"}', "usage_unit": "DBU", "usage_quantity": "10", "usage_metadata": '{"endpoint_name":"chat"}',
    "identity_metadata": '{"run_as":"svc@example.com"}', "record_type": "ORIGINAL", "billing_origin_product": "MODEL_SERVING",
    "usage_type": "TOKEN",
}  # fmt: skip


@pytest.fixture
def priced(loader: Loader, tmp_path: Path) -> Loader:
    """A loader into a ledger that has the list price."""
    load_text(loader, tmp_path / "list_prices.csv", csv_of(PRICE, {}))
    return loader


def test_the_sample_keeps_its_totals_with_prices_of_their_hour_and_corrections_added_up(
    loader: Loader, store: Store, fixtures: Path
) -> None:
    files = [fixtures / f"billing/databricks/billing_{name}.csv" for name in ("usage", "list_prices")]
    prices, usage = loader.load(find_files(files))
    assert (prices.collector, prices.rows, prices.rejected) == ("databricks_list_prices", 2, 0)
    assert (usage.collector, usage.rows, usage.rejected, usage.total) == ("databricks_usage", 4, 0, Decimal("1.525"))
    assert store.query("select sum(consumed_quantity) from charges").item() == 20
    assert [row["charge_class"] for row in lines_of(store)].count("Correction") == 2


def test_a_line_is_what_it_says(priced: Loader, store: Store, tmp_path: Path) -> None:
    load_text(priced, tmp_path / "usage.csv", csv_of(ROW, {}))
    [row] = lines_of(store)
    assert (row["provider"], row["model"], row["unit_class"]) == ("databricks", None, "consumption"), "a DBU names no model"
    assert (row["billed_cost"], row["list_cost"], row["consumed_unit"]) == (Decimal("0.8"), Decimal("0.8"), "DBU")
    assert (row["resource_id"], row["project"], row["api_key_id"], json.loads(row["tags"])) == (
        "chat",
        "1001",
        "svc@example.com",
        {"team": "search"},
    )


@pytest.mark.parametrize(
    ("said", "unit_class", "category"),
    [
        ({"usage_type": "GPU_TIME"}, "gpu", "AI and Machine Learning"),
        ({"usage_type": "MOONLIGHT"}, "other", "AI and Machine Learning"),
        ({"billing_origin_product": "JOBS", "usage_type": "COMPUTE_TIME"}, None, None),
    ],
)
def test_what_is_used_decides_the_class(
    priced: Loader, store: Store, tmp_path: Path, said: dict[str, str], unit_class: str | None, category: str | None
) -> None:
    load_text(priced, tmp_path / "usage.csv", csv_of(ROW, said))
    assert [(row["unit_class"], row["service_category"]) for row in lines_of(store)] == [(unit_class, category)]


def test_usage_without_a_price_is_not_loaded_until_the_price_is_there(loader: Loader, store: Store, tmp_path: Path) -> None:
    text = csv_of(ROW, {}, {"sku_name": "NEWER"})
    load_text(loader, tmp_path / "list_prices.csv", csv_of(PRICE, {}))
    outcome = load_text(loader, tmp_path / "usage.csv", text)
    assert (outcome.status, lines_of(store)) == ("failed", [])
    assert "no list price of NEWER per DBU at 2026-10-01 10:00:00" in outcome.message
    load_text(loader, tmp_path / "more_prices.csv", csv_of(PRICE, {"sku_name": "NEWER"}))
    assert load_text(loader, tmp_path / "usage.csv", text).total == Decimal("1.6")


def test_list_prices_hold_when_they_come_again_and_when_the_user_changes_other_prices(priced: Loader, store: Store, tmp_path: Path) -> None:
    load_text(priced, tmp_path / "more.csv", csv_of(PRICE, {}, {"sku_name": "NEWER"}))
    prices = "select count(*) from prices where source = 'databricks_list_prices'"
    assert store.query(prices).item() == 2
    header = "provider,model,region_scope,service_tier,min_context_tokens,token_class,usd_per_million,kind,valid_from,valid_to"
    for rate in (1, 2):
        path = tmp_path / f"prices {rate}.csv"
        path.write_text(f"{header}\nopenai,m,any,standard,0,output,{rate},contract,,\n")
        with store.transaction() as cursor:
            ensure_book(cursor, path)
    assert load_text(priced, tmp_path / "usage.csv", csv_of(ROW, {})).total == Decimal("0.8")


def test_a_later_export_replaces_its_days(priced: Loader, store: Store, tmp_path: Path) -> None:
    next_day = {"usage_start_time": "2026-10-02T10:00:00Z", "usage_end_time": "2026-10-02T11:00:00Z"}
    text = csv_of(ROW, {}, next_day)
    load_text(priced, tmp_path / "1.csv", text)
    assert load_text(priced, tmp_path / "copy.csv", text).status == "already loaded"
    retracted = [{}, {"record_type": "RETRACTION", "usage_quantity": "-10"}, {"record_type": "RESTATEMENT", "usage_quantity": "5"}]
    load_text(priced, tmp_path / "2.csv", csv_of(ROW, *retracted))
    assert billed(store) == Decimal("1.2")


def test_broken_rows_are_rejected_with_their_reason_and_a_missing_column_is_named(priced: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load_text(priced, tmp_path / "usage.csv", csv_of(ROW, {}, {"usage_quantity": "much"}, {"usage_quantity": "-10"}))
    assert [(r.position, r.reason) for r in outcome.rejects] == [
        (3, "usage_quantity is not an amount"),
        (4, "negative usage that retracts nothing"),
    ]
    outcome = load_text(priced, tmp_path / "prices.csv", csv_of(PRICE, {"currency_code": "EUR"}, {"pricing": "{}"}))
    assert [r.reason for r in outcome.rejects] == ["a price that is not in USD", "no price in pricing"]
    outcome = load_text(priced, tmp_path / "less.csv", csv_of(ROW, {}, without=["usage_quantity"]))
    assert (outcome.status, "usage_quantity is missing" in outcome.message) == ("failed", True)
    assert billed(store) == Decimal("0.8")


def test_parquet_with_maps_and_structs_says_the_same_and_a_truncated_one_leaves_nothing(
    priced: Loader, store: Store, tmp_path: Path
) -> None:
    row = {
        **ROW,
        "usage_quantity": Decimal("10"),
        "custom_tags": [("team", "search")],
        "usage_metadata": {"endpoint_name": "chat"},
        "identity_metadata": {"run_as": "svc@example.com"},
    }
    types = {"custom_tags": pa.map_(pa.string(), pa.string())}
    schema = pa.schema([(name, types.get(name) or pa.array([value]).type) for name, value in row.items()])
    path = tmp_path / "usage.parquet"
    pq.write_table(pa.Table.from_pylist([row] * 40, schema), path)
    whole = path.read_bytes()
    assert_truncated_parquet_leaves_nothing(priced, store, path)
    path.write_bytes(whole)
    priced.load(find_files([path]))
    from_parquet = lines_of(store)
    load_text(priced, tmp_path / "usage.csv", csv_of(ROW, *[{}] * 40))
    assert lines_of(store) == from_parquet
