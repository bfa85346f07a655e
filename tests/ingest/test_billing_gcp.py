"""Google Cloud's billing export, nested and flat, through the loader into a ledger."""

import copy
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.billing.gcp import flat_rows
from ingest.load import Loader
from ingest.sources import find_files
from ingest.store import Store
from tests.ingest.bills import billed, load_text
from tests.ingest.tables import assert_truncated_parquet_leaves_nothing, csv_of, lines_of

LINE: dict[str, Any] = {
    "billing_account_id": "0000-1", "service": {"id": "C7E2-9256-1C43", "description": "Vertex AI"},
    "sku": {"id": "TEST-1", "description": "Gemini 2.5 Flash GA Text Output - Predictions"},
    "usage_start_time": "2026-10-01 10:00:00 UTC", "usage_end_time": "2026-10-01 11:00:00 UTC",
    "project": {"id": "test-ai", "number": "1", "labels": [], "ancestors": []}, "labels": [{"key": "team", "value": "search"}],
    "location": {"location": "us-central1", "region": "us-central1", "zone": None}, "export_time": "2026-10-02 06:00:00 UTC",
    "cost": 1.0, "cost_at_list": 1.2, "currency": "USD", "currency_conversion_rate": 1.0,
    "usage": {"amount": 400000.0, "unit": "count", "amount_in_pricing_units": 400000.0, "pricing_unit": "count"},
    "credits": [{"name": "Promo", "amount": -0.25}, {"name": "Free", "amount": -0.1}], "invoice": {"month": "202610"},
    "cost_type": "regular", "adjustment_info": None,
}  # fmt: skip


def line(**said: Any) -> dict[str, Any]:
    """LINE with what is said differently; a mapping changes parts of a record."""
    changed = copy.deepcopy(LINE)
    for name, value in said.items():
        changed[name] = {**changed[name], **value} if isinstance(value, dict) else value
    return changed


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def flat(row: dict[str, Any]) -> dict[str, str]:
    [found] = flat_rows(row)
    return {name: json.dumps(value) if isinstance(value, list) else str(value or "") for name, value in found.items()}


def test_the_sample_keeps_its_totals_and_repeats_no_cost_for_credits(loader: Loader, store: Store, fixtures: Path) -> None:
    [outcome] = loader.load(find_files([fixtures / "billing/gcp/billing_export_gemini.jsonl"]))
    assert (outcome.collector, outcome.rows, outcome.rejected, outcome.total) == ("gcp_billing", 8, 0, Decimal("3.79"))
    assert store.query("select sum(contracted_cost), sum(billed_cost) - sum(contracted_cost) from charges").row(0) == (
        Decimal("4.44"), Decimal("-0.65"))
    classes = dict(store.query("select unit_class, sum(contracted_cost) from charges where unit_class is not null group by 1").rows())
    assert classes == {"storage": Decimal("0.1"), "search": Decimal("0.7"), "tax": Decimal("0.33")}
    tokens = store.query("""select model, token_class, cast(sum(consumed_quantity) as bigint) from charges
                            where consumed_unit = 'Tokens' group by 1, 2""").rows()
    assert {tuple(key): n for *key, n in tokens} == {
        ("gemini-2.5-flash", "uncached_input"): 5_000_000, ("gemini-2.5-flash", "output"): 600_000,
        ("gemini-2.5-flash", "cache_read"): 2_000_000, ("gemini-2.5-pro", "cache_read"): 1_000_000}


def test_a_line_is_what_it_says_with_its_credits_taken_off(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(loader, tmp_path / "export.jsonl", lines(LINE, line(sku={"description": "Tax"}, cost=0.33, credits=[], cost_type="tax")))
    row, tax = sorted(lines_of(store), key=lambda row: row["unit_class"] or "")
    assert (row["billed_cost"], row["effective_cost"], row["contracted_cost"], row["list_cost"]) == (
        Decimal("0.65"), Decimal("0.65"), 1, Decimal("1.2"))
    assert (row["provider"], row["model"], row["token_class"], row["consumed_quantity"]) == (
        "gcp.vertex_ai", "gemini-2.5-flash", "output", 400_000)
    assert (row["billing_period_start"], row["charge_period_end"]) == (datetime(2026, 10, 1), datetime(2026, 10, 1, 11))
    assert (row["project"], row["region_id"], json.loads(row["tags"])) == ("test-ai", "us-central1", {"team": "search"})
    assert (tax["unit_class"], tax["charge_category"], tax["model"], tax["service_category"]) == (
        "tax", "Tax", None, "AI and Machine Learning")


@pytest.mark.parametrize("separator", [".", "_"])
def test_csv_and_parquet_say_the_same_as_json_lines(loader: Loader, store: Store, tmp_path: Path, separator: str) -> None:
    rows = [line(cost=0.1, usage_start_time=f"2026-10-01 {hour:02}:00:00 UTC", usage_end_time=f"2026-10-01 {hour:02}:59:00 UTC")
            for hour in range(20)]
    load_text(loader, tmp_path / "export.jsonl", lines(*rows))
    said = lines_of(store)
    assert billed(store) == -5
    names = {name: name.replace(".", separator) for name in flat(LINE)}
    load_text(loader, tmp_path / "export.csv", csv_of({}, *({names[k]: v for k, v in flat(row).items()} for row in rows)))
    assert lines_of(store) == said
    times = {name: [datetime.strptime(row[name], "%Y-%m-%d %H:%M:%S %Z").replace(tzinfo=UTC) for row in rows]
             for name in ("usage_start_time", "usage_end_time")}
    typed = [{**row, **{name: times[name][i] for name in times}, "adjustment_info": {"id": None}} for i, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(typed), tmp_path / "export.parquet")
    [outcome] = loader.load(find_files([tmp_path / "export.parquet"]))
    assert (outcome.collector, outcome.status, outcome.rows) == ("gcp_billing", "loaded", 20)
    assert lines_of(store) == [{**row, "tags": row["tags"].replace('": "', '":"')} for row in said]


def test_a_truncated_parquet_file_leaves_nothing(loader: Loader, store: Store, tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([{**LINE, "adjustment_info": ""}] * 50), tmp_path / "export.parquet")
    assert_truncated_parquet_leaves_nothing(loader, store, tmp_path / "export.parquet")


def test_a_later_export_with_late_lines_replaces_and_files_of_one_load_add_up(loader: Loader, store: Store, tmp_path: Path) -> None:
    first = [line(cost=1, credits=[]), line(cost=2, credits=[], usage_start_time="2026-10-09 00:00:00 UTC",
                                            usage_end_time="2026-10-09 01:00:00 UTC")]
    load_text(loader, tmp_path / "first.jsonl", lines(*first))
    late = line(cost=4, credits=[], export_time="2026-10-20 06:00:00 UTC")
    load_text(loader, tmp_path / "again.jsonl", lines(*first, late))
    assert billed(store) == 7
    assert load_text(loader, tmp_path / "copy.jsonl", lines(*first, late)).status == "already loaded"
    load_text(loader, tmp_path / "september.jsonl", lines(line(cost=8, credits=[], invoice={"month": "202609"})))
    load_text(loader, tmp_path / "other.jsonl", lines(line(cost=16, credits=[], billing_account_id="0000-2")))
    assert billed(store) == 31, "another invoice month and another account"
    shards = [tmp_path / f"shard {i}.jsonl" for i in range(2)]
    for number, shard in enumerate(shards):
        shard.write_text(lines(*first, line(cost=number, credits=[])))
    loader.load(find_files(shards))
    assert billed(store) == 31 - 7 + 3 + 3 + 1


def test_the_file_has_its_own_rate_to_the_dollar(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(loader, tmp_path / "export.jsonl", lines(line(currency="EUR", currency_conversion_rate=0.8, cost=1.0, credits=[])))
    [row] = lines_of(store)
    assert (row["billing_currency"], row["billed_cost"], row["usd_billed_cost"]) == ("EUR", 1, Decimal("1.25"))
    outcome = load_text(loader, tmp_path / "without.jsonl", lines(line(currency="EUR", currency_conversion_rate=None)))
    assert (outcome.status, "EUR" in outcome.message) == ("failed", True)


@pytest.mark.parametrize("sku", ["Gemini 9 Moonlight Text Output - Predictions", "Sphinx calls"])
def test_an_unknown_sku_is_other_and_never_guessed(loader: Loader, store: Store, tmp_path: Path, sku: str) -> None:
    load_text(loader, tmp_path / "export.jsonl", lines(line(sku={"description": sku})))
    [row] = lines_of(store)
    assert (row["unit_class"], row["token_class"], row["model"], row["billed_cost"]) == ("other", None, None, Decimal("0.65"))


def test_broken_lines_are_rejected_with_their_reason_and_a_missing_column_is_named(loader: Loader, store: Store, tmp_path: Path) -> None:
    text = lines(LINE, line(cost="much"), line(invoice={"month": "soon"}), line(usage={"amount": -1.0}), line(credits=[{"amount": "some"}]),
                 line(credits="{}"),
                 line(usage_start_time="2026-12-01 00:00:00 UTC", usage_end_time="2026-12-01 01:00:00 UTC")) + '{"cut": "sh\n'
    outcome = load_text(loader, tmp_path / "export.jsonl", text)
    assert (outcome.status, outcome.rows, billed(store)) == ("partial", 1, Decimal("0.65"))
    assert sorted(r.reason.split(" (")[0] for r in outcome.rejects) == [
        "a negative quantity with a positive cost", "broken JSON", "cost is not an amount",
        "credits are no list of amounts", "credits are no list of amounts", "invoice.month is no month",
        "used after its invoice month"]
    headless = csv_of({}, {name: value for name, value in flat(LINE).items() if name != "currency"})
    outcome = load_text(loader, tmp_path / "export.csv", headless, collector="gcp_billing")
    assert (outcome.status, "column currency is missing" in outcome.message) == ("failed", True)
