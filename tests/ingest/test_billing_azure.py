"""Azure's cost exports of every agreement, actual and amortized, through the loader into a ledger."""

import csv
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
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
    "BillingAccountId": "9000001", "BillingPeriodStartDate": "10/01/2026", "BillingPeriodEndDate": "10/31/2026", "SubscriptionId": "sub-a",
    "Date": "10/02/2026", "Product": "Foundry Models - gpt 4.1 Inp glbl Tokens", "MeterId": "meter-1",
    "ServiceFamily": "AI + Machine Learning", "MeterCategory": "Foundry Models", "MeterSubCategory": "gpt-4.1",
    "MeterName": "gpt 4.1 Inp glbl Tokens", "Quantity": "4000", "Cost": "8", "BillingCurrency": "USD", "ResourceLocation": "EastUS",
    "ResourceId": "/subscriptions/sub-a/accounts/test", "Tags": '"team": "search","env": "prod"', "UnitOfMeasure": "1K",
    "ChargeType": "Usage", "PublisherType": "Azure", "PayGPrice": "0.002", "PricingModel": "OnDemand",
}  # fmt: skip
PURCHASE = {"ChargeType": "Purchase", "PricingModel": "Reservation", "MeterName": "PTU", "Cost": "100", "SubscriptionId": "sub-buyer"}
COMMITTED = {"PricingModel": "Reservation", "MeterName": "Provisioned Managed Global Unit", "UnitOfMeasure": "1 Hour", "Quantity": "1"}
PAY_AS_YOU_GO = {
    "Date": "UsageDateTime",
    "Cost": "PreTaxCost",
    "BillingCurrency": "Currency",
    "SubscriptionId": "SubscriptionGuid",
    "Quantity": "UsageQuantity",
    "ResourceId": "InstanceId",
    "MeterSubCategory": "MeterSubcategory",
}
ENTERPRISE = {"Cost": "CostInBillingCurrency", "BillingCurrency": "BillingCurrencyCode", "Product": "ProductName"}


def renamed(text: str, names: dict[str, str]) -> str:
    """The file with another header."""
    header, rest = text.split("\n", 1)
    return ",".join(names.get(name, name) for name in header.split(",")) + "\n" + rest


def camel(text: str) -> str:
    header, rest = text.split("\n", 1)
    return ",".join(name[0].lower() + name[1:] for name in header.split(",")) + "\n" + rest


HEADERS = {
    "plain": lambda text: text,
    "with a byte order mark": lambda text: "\ufeff" + text,
    "enterprise": lambda text: renamed(text, ENTERPRISE),
    "camel case": lambda text: camel(renamed(text, ENTERPRISE)),
    "pay as you go": lambda text: renamed(text, PAY_AS_YOU_GO),
    "German": lambda text: renamed(text, {name: f"Übersetzt für {i} ({PAY_AS_YOU_GO.get(name, name)})" for i, name in enumerate(ROW)}),
    "half German": lambda text: renamed(text, {"MeterName": "Name der Verbrauchseinheit (MeterName)", "Date": "date"}),
}


@pytest.mark.parametrize("header", HEADERS)
def test_every_header_says_the_same(loader: Loader, store: Store, tmp_path: Path, header: str) -> None:
    outcome = load_text(loader, tmp_path / "cost.csv", HEADERS[header](csv_of(ROW, {})))
    assert (outcome.status, outcome.rows, outcome.rejected, outcome.total, outcome.currency) == ("loaded", 1, 0, Decimal(8), "USD")
    [row] = lines_of(store)
    assert (row["provider"], row["model"], row["token_class"], row["unit_class"]) == ("azure.ai.openai", "gpt-4.1", "uncached_input", None)
    assert (row["consumed_quantity"], row["consumed_unit"], row["list_cost"]) == (4_000_000, "Tokens", 8)
    assert (row["charge_period_start"], row["charge_period_end"]) == (datetime(2026, 10, 2), datetime(2026, 10, 3))
    assert (row["billing_period_start"], row["billing_period_end"]) == (datetime(2026, 10, 1), datetime(2026, 11, 1))
    assert (row["billing_account_id"], row["sub_account_id"], row["region_id"]) == ("9000001", "sub-a", "eastus")
    assert (row["tags"], row["service_category"]) == ('{"team": "search","env": "prod"}', "AI and Machine Learning")


def test_the_foundry_sample_keeps_its_total_and_tells_tokens_from_units(loader: Loader, store: Store, fixtures: Path) -> None:
    [outcome] = loader.load(find_files([fixtures / "billing/azure/foundry_actual_cost.csv"]))
    assert (outcome.collector, outcome.rows, outcome.rejected, outcome.total) == ("azure_actual", 9, 0, Decimal("396.025"))
    assert billed(store, "unit_class = 'provisioned'") == 360
    units = store.query("select provider, charge_description from charges where unit_class = 'consumption'").row(0)
    assert units == ("azure.ai.inference", "Claude Consumption Units")
    assert (billed(store, "unit_class = 'consumption'"), billed(store, "unit_class = 'other'")) == (7, 0)
    tokens = store.query("""select model, token_class, sum(consumed_quantity) from charges
                            where consumed_unit = 'Tokens' group by 1, 2""").rows()
    assert {tuple(key): n for *key, n in tokens} == {
        ("gpt-4.1", "uncached_input"): 5_000_000,
        ("gpt-4.1", "cache_read"): 6_000_000,
        ("gpt-4.1", "output"): 900_000,
        ("gpt-5.1", "uncached_input"): 3_500_000,
        ("gpt-5.1", "cache_read"): 2_000_000,
        ("gpt-5.1", "output"): 400_000,
    }


@pytest.mark.parametrize(
    ("name", "kind", "rows", "total"),
    [
        ("EA_ActualCost_Small", "azure_actual", 11, "8.545007786741936"),
        ("EA_AmortizedCost_Small", "azure_amortized", 28, "16.296932136636645"),
    ],
)
def test_the_vendor_samples_keep_their_totals(
    loader: Loader, store: Store, fixtures: Path, name: str, kind: str, rows: int, total: str
) -> None:
    path = fixtures / f"billing/azure/{name}.csv"
    [outcome] = loader.load(find_files([path]))
    assert (outcome.collector, outcome.rows, outcome.rejected, outcome.currency) == (kind, rows, 0, "USD")
    with path.open(encoding="utf-8-sig") as file:
        costs = [Decimal(row["Cost"]).quantize(Decimal("1e-12"), ROUND_HALF_UP) for row in csv.DictReader(file)]
    assert (outcome.total, billed(store)) == (sum(costs), sum(costs))
    assert round(billed(store), 10) == round(Decimal(total), 10)


def test_the_vendor_samples_of_one_month_do_not_add_up_in_any_order(loader: Loader, store: Store, fixtures: Path) -> None:
    actual, amortized = ([fixtures / f"billing/azure/EA_{name}Cost_Small.csv"] for name in ("Actual", "Amortized"))
    assert {o.status for o in loader.load(find_files([*actual, *amortized]))} == {"loaded"}
    assert (round(billed(store), 6), store.query("select count(distinct source) from charges").item()) == (Decimal("16.296932"), 1)
    with store.transaction() as cursor:
        cursor.execute("delete from charges; delete from loads")
    loader.load(find_files(amortized))
    [outcome] = loader.load(find_files(actual))
    assert outcome.status == "failed"
    assert "amortized costs of account 8611537 are loaded for 2023-09-04 to 2023-09-21" in outcome.message
    assert round(billed(store), 6) == Decimal("16.296932")


@pytest.mark.parametrize(
    ("name", "status", "rows", "total"),
    [
        ("EnterpriseCamel", "loaded", 1, "0.012"),
        ("German", "loaded", 1, "0.075"),
        ("PayAsYouGo", "loaded", 1, "0.075"),
        ("YA", "loaded", 1, "0.075"),
        ("BOM", "partial", 0, None),
    ],
)
def test_the_header_variants_of_other_readers_are_read(
    loader: Loader, store: Store, fixtures: Path, name: str, status: str, rows: int, total: str | None
) -> None:
    [outcome] = loader.load(find_files([fixtures / f"billing/azure/opencost_{name}.csv"]))
    assert (outcome.status, outcome.rows, outcome.total) == (status, rows, total and Decimal(total))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Enterprise", "billed in CAD without a rate to USD"),
        ("MissingBrackets", "BillingCurrency is missing"),
        ("Template", "BillingCurrency is missing"),
        ("VirtualMachine", "BillingCurrency is missing"),
    ],
)
def test_a_file_without_dollars_or_a_currency_is_not_loaded(loader: Loader, store: Store, fixtures: Path, name: str, said: str) -> None:
    [outcome] = loader.load(find_files([fixtures / f"billing/azure/opencost_{name}.csv"]))
    assert (outcome.status, said in outcome.message, lines_of(store)) == ("failed", True, [])


def test_every_foundry_meter_tells_its_scope_and_its_tokens_per_unit(store: Store, tmp_path: Path, fixtures: Path) -> None:
    expected = list(csv.DictReader((fixtures / "billing/azure/foundry_meters.csv").open()))
    units = {"1000": "1K", "1000000": "1M", "": "1 Hour"}
    path = tmp_path / "cost.csv"
    path.write_text(
        csv_of(
            ROW,
            *(
                {
                    "MeterName": row["meter_name"],
                    "Product": row["meter_name"],
                    "Quantity": "2",
                    "UnitOfMeasure": units[row["unit_multiplier"]],
                }
                for row in expected
            ),
        )
    )
    collector = collectors()["azure_actual"]
    with store.cursor() as cursor:
        assert stage(cursor, probe(path), collector) == []
        read = {row["charge_description"]: row for row in insert.rows(cursor, collector).frame.rows(named=True)}
    for row in expected:
        line = read[row["meter_name"]]
        if row["token_class"] == "ptu_hour":
            assert (line["unit_class"], line["token_class"]) == ("provisioned", None)
        elif row["meter_name"].startswith("4.3"):  # no vendor in the name: not guessed
            assert (line["unit_class"], line["token_class"], line["model"]) == ("other", None, None)
        else:
            token_class = {"input": "uncached_input"}.get(row["token_class"], row["token_class"])
            assert (line["token_class"], line["region_scope"]) == (token_class, row["deployment_scope"]), row
            assert line["consumed_quantity"] == 2 * int(row["unit_multiplier"]), row


def test_without_a_unit_of_measure_the_meter_says_how_many_tokens_it_counts(loader: Loader, store: Store, tmp_path: Path) -> None:
    rows = [{"Quantity": "2"}, {"Quantity": "2", "MeterName": "GPT 5.1 opt Gl 1M Tokens"}]
    load_text(loader, tmp_path / "cost.csv", csv_of(ROW, *rows, without=["UnitOfMeasure"]))
    assert {row["model"]: row["consumed_quantity"] for row in lines_of(store)} == {"gpt-4.1": 2000, "gpt-5.1": 2_000_000}


def test_an_unknown_meter_is_other_and_an_unknown_unit_has_no_tokens(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(
        loader,
        tmp_path / "cost.csv",
        csv_of(
            ROW,
            {"MeterName": "gpt 99 turbo Inp glbl Tokens"},
            {"UnitOfMeasure": "1 Crate"},
            {"MeterCategory": "Storage", "MeterName": "Hot LRS", "ServiceFamily": "Storage"},
        ),
    )
    known, unknown, storage = sorted(lines_of(store), key=lambda row: (row["provider"], row["unit_class"] or ""))
    assert (unknown["unit_class"], unknown["token_class"], unknown["model"]) == ("other", None, None)
    assert (known["token_class"], known["consumed_quantity"], known["consumed_unit"]) == ("uncached_input", None, None)
    assert (storage["provider"], storage["unit_class"], storage["service_category"]) == ("microsoft", None, "Storage")


@pytest.mark.parametrize(
    ("kind", "category", "unit_class"),
    [("Purchase", "Purchase", "fee"), ("Refund", "Adjustment", "credit"), ("Tax", "Tax", "tax"), ("Moonlight", "Adjustment", "other")],
)
def test_what_is_no_usage_has_no_tokens(loader: Loader, store: Store, tmp_path: Path, kind: str, category: str, unit_class: str) -> None:
    load_text(loader, tmp_path / "cost.csv", csv_of(ROW, {"ChargeType": kind}))
    [row] = lines_of(store)
    assert (row["charge_category"], row["unit_class"], row["token_class"], row["model"]) == (category, unit_class, None, None)


def test_amortized_costs_take_the_place_of_actual_ones_and_never_the_other_way(loader: Loader, store: Store, tmp_path: Path) -> None:
    actual = csv_of(ROW, {}, PURCHASE, {**COMMITTED, "Cost": "0"})
    load_text(loader, tmp_path / "1 actual.csv", actual)
    assert billed(store) == 108
    amortized = csv_of(ROW, {}, {**COMMITTED, "Cost": "3"}, {"ChargeType": "UnusedReservation", "Cost": "1", "MeterName": "PTU"})
    outcome = load_text(loader, tmp_path / "2 amortized.csv", amortized)
    assert (outcome.collector, billed(store)) == ("azure_amortized", 12), "the purchase of another subscription is gone, too"
    outcome = load_text(loader, tmp_path / "3 actual.csv", actual.replace(",100,", ",101,"))
    assert (outcome.status, "count them twice" in outcome.message, billed(store)) == ("failed", True, 12)
    other = load_text(loader, tmp_path / "4 actual.csv", csv_of(ROW, {"BillingAccountId": "9000002"}))
    assert (other.status, billed(store)) == ("loaded", 20)


def test_parts_of_one_load_add_up_and_a_later_export_replaces_its_days(loader: Loader, store: Store, tmp_path: Path) -> None:
    parts = [tmp_path / f"part {i}.csv" for i in range(2)]
    for day, part in enumerate(parts, 2):
        part.write_text(csv_of(ROW, {"Date": f"10/0{day}/2026"}, {"Date": "10/05/2026", "Cost": "1"}))
    loader.load(find_files(parts))
    assert billed(store) == 18
    assert {o.status for o in loader.load(find_files(parts))} == {"already loaded"}
    load_text(loader, tmp_path / "again.csv", csv_of(ROW, {"Date": "10/03/2026", "Cost": "2"}))
    assert billed(store) == 12, "one day of the subscription told again"
    load_text(loader, tmp_path / "month.csv", csv_of(ROW, {"Date": "10/01/2026", "Cost": "4"}, {"Date": "10/05/2026", "Cost": "5"}))
    assert billed(store) == 9, "what the longer export no longer has is gone"
    load_text(loader, tmp_path / "b.csv", csv_of(ROW, {"SubscriptionId": "sub-b", "Cost": "7"}))
    assert billed(store) == 16, "an export of one subscription leaves the others"


def test_another_currency_needs_its_dollars(loader: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load_text(loader, tmp_path / "cost.csv", csv_of(ROW, {"BillingCurrency": "EUR"}))
    assert (outcome.status, "EUR" in outcome.message) == ("failed", True)
    load_text(loader, tmp_path / "cost.csv", csv_of(ROW, {"BillingCurrency": "eur", "CostInUsd": "9.2"}))
    load_text(
        loader,
        tmp_path / "other.csv",
        csv_of(ROW, {"BillingCurrency": "CHF", "PricingCurrency": "USD", "SubscriptionId": "b", "CostInPricingCurrency": "9.5"}),
    )
    assert [(row["billing_currency"], row["billed_cost"], row["usd_billed_cost"]) for row in lines_of(store)] == [
        ("CHF", 8, Decimal("9.5")),
        ("EUR", 8, Decimal("9.2")),
    ]


def test_broken_rows_are_rejected_with_their_reason_and_a_missing_column_is_named(loader: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load_text(
        loader,
        tmp_path / "cost.csv",
        csv_of(
            ROW, {"Cost": "much"}, {"Date": "31/31/2026"}, {"Quantity": "-4000"}, {"Date": "11/02/2026"}, {"Cost": "-1", "Quantity": "-5"}
        ),
    )
    assert [(r.position, r.reason) for r in outcome.rejects] == [
        (2, "Cost is not an amount"),
        (3, "Date is not a date"),
        (4, "a negative quantity with a positive cost"),
        (5, "used after its billing period"),
    ]
    assert (outcome.status, billed(store)) == ("partial", -1)
    outcome = load_text(loader, tmp_path / "less.csv", csv_of(ROW, {}, without=["Cost"]))
    assert (outcome.status, "for Azure cost export, actual cost Cost is missing" in outcome.message) == ("failed", True)


def test_parquet_says_the_same_as_csv_and_a_truncated_one_leaves_nothing(loader: Loader, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "cost.parquet"
    numbers = ("Quantity", "Cost", "PayGPrice")
    dates = {"Date": datetime(2026, 10, 2), "BillingPeriodStartDate": datetime(2026, 10, 1), "BillingPeriodEndDate": datetime(2026, 10, 31)}
    row = {name: Decimal(value) if name in numbers else dates.get(name, value) for name, value in ROW.items()}
    pq.write_table(pa.Table.from_pylist([row] * 50), path)
    whole = path.read_bytes()
    assert_truncated_parquet_leaves_nothing(loader, store, path)
    path.write_bytes(whole)
    loader.load(find_files([path]))
    from_parquet = lines_of(store)
    load_text(loader, tmp_path / "cost.csv", csv_of(ROW, *[{}] * 50))
    assert (lines_of(store), billed(store)) == (from_parquet, 400)


def test_a_quantity_that_no_column_holds_fails_the_file_in_words(loader: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load_text(loader, tmp_path / "cost.csv", csv_of(ROW, {}, {"Quantity": "999999999999", "UnitOfMeasure": "1M"}))
    assert (outcome.status, "a number is too large" in outcome.message, lines_of(store)) == ("failed", True, [])
