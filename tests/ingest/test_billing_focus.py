"""FOCUS data sets of every version and vendor, through the loader into a ledger."""

import csv
import io
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.load import Loader
from ingest.sources import find_files
from ingest.store import Store
from metrics import focus_out
from metrics.filters import Period
from metrics.showback import showback
from tests.ingest import test_billing_gcp as gcp
from tests.ingest.bills import BILLS, MONTHS, TOKEN_CLASSES, billed, by_month, load_text, true_by_month

ROW = {
    "BilledCost": "1.5", "EffectiveCost": "1.5", "ListCost": "2", "ContractedCost": "1.5", "BillingCurrency": "USD",
    "BillingAccountId": "payer",
    "BillingPeriodStart": "2026-10-01T00:00:00Z", "BillingPeriodEnd": "2026-11-01T00:00:00Z", "ChargePeriodStart": "2026-10-02T00:00:00Z",
    "ChargePeriodEnd": "2026-10-02T01:00:00Z", "ChargeCategory": "Usage", "ChargeDescription": "What it was",
    "ServiceName": "Amazon Bedrock",
    "ServiceCategory": "AI and Machine Learning", "ProviderName": "AWS", "PublisherName": "AWS", "InvoiceIssuerName": "AWS",
    "SubAccountId": "member", "PricingQuantity": "2", "PricingUnit": "1K tokens", "ConsumedQuantity": "2", "ConsumedUnit": "1K tokens",
    "Tags": "{}", "x_ServiceCode": "AmazonBedrock", "x_UsageType": "USE1-Claude4.5Sonnet-input-tokens",
}
AZURE = {"ServiceName": "Azure AI Services", "ProviderName": "Microsoft", "x_SkuMeterCategory": "Foundry Models",
         "x_ServiceCode": "", "x_UsageType": ""}
VERTEX = {"ServiceName": "Vertex AI", "ProviderName": "Google Cloud", "x_ServiceCode": "", "x_UsageType": "", "ConsumedUnit": "count"}
# Names of classes in the golden files, and what they are here.
CLASSES: dict[str, tuple[str | None, str | None]] = {
    "input": ("uncached_input", None), "cache_read": ("cache_read", None), "cache_write": ("cache_write_5m", None),
    "output": ("output", None),
    "input_long": ("uncached_input", None), "cache_read_long": ("cache_read", None), "output_reasoning": ("output", None),
    "output_batch": ("output", None), "cache_storage_hour": (None, "storage"), "grounding": (None, "search"),
    "provisioned": (None, "provisioned"), "ptu_hour": (None, "provisioned")}


def focus(*rows: dict[str, str], without: tuple[str, ...] = ()) -> str:
    """A FOCUS file: ROW with what each row says differently, some columns left out."""
    text = io.StringIO()
    names = [name for name in dict.fromkeys(name for row in (ROW, *rows) for name in row) if name not in without]
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(ROW | row for row in rows)
    return text.getvalue()


def charges(store: Store) -> list[dict[str, Any]]:
    return store.query("select * from charges order by charge_description, billed_cost").rows(named=True)


def meters(loader: Loader, store: Store, path: Path, rows: list[dict[str, str]]) -> dict[str, dict[str, Any]]:
    """The charges of a file by their description, every row loaded."""
    outcome = load_text(loader, path, focus(*rows))
    assert (outcome.status, outcome.rows, outcome.collector) == ("loaded", len(rows), "focus")
    return {row["charge_description"]: row for row in charges(store)}


def test_the_sample_bills_agree_with_their_truth_in_dollars_and_tokens(loader: Loader, store: Store) -> None:
    outcomes = loader.load(find_files([BILLS / "aws"]))
    assert {(o.status, o.rejected, o.collector) for o in outcomes} == {("loaded", 0, "focus")}
    truth = {month: value["providers"]["aws.bedrock"] for month, value in MONTHS.items()}
    assert by_month(store, "provider") == {(month, "aws.bedrock"): Decimal(value["billed_usd"]) for month, value in truth.items()}
    assert by_month(store, "project") == true_by_month("aws.bedrock", "by_project_usd")
    models = {key: amount for key, amount in by_month(store, "model").items() if key[1] is not None}
    assert models == true_by_month("aws.bedrock", "by_model")
    tokens = store.query("""select strftime(charge_period_start, '%Y-%m'), model, token_class, cast(sum(consumed_quantity) as bigint)
                            from charges where consumed_unit = 'Tokens' group by 1, 2, 3""").rows()
    assert {tuple(key): n for *key, n in tokens} == {(month, model, name): about["tokens"][name] for month, value in truth.items()
                                                     for model, about in value["by_model"].items() for name in TOKEN_CLASSES
                                                     if about["tokens"][name]}
    other = store.query("select unit_class, sum(billed_cost) from charges where unit_class is not null group by 1").rows()
    assert sum(amount for _, amount in other) == sum(Decimal(value["bridge"]["tax_credit"]) for value in truth.values())
    assert {name for name, _ in other} == {"tax", "credit"}
    tags = store.query("select distinct tags ->> 'user_system' as system from charges where token_class is not null")
    assert tags.item() == "document-intake"


def test_every_bedrock_usage_type_is_read(loader: Loader, store: Store, tmp_path: Path, fixtures: Path) -> None:
    expected = list(csv.DictReader((fixtures / "billing/aws/bedrock_usage_types.csv").open()))
    read = meters(loader, store, tmp_path / "focus.csv", [
        {"x_UsageType": row["usage_type"], "ChargeDescription": row["usage_type"]} for row in expected])
    for row in expected:
        line = read[row["usage_type"]]
        if row["usage_type"].startswith("USW2-MP"):  # its product names no model here
            assert (line["model"], line["token_class"], line["unit_class"], line["consumed_quantity"]) == (None, None, "other", 2), row
        else:
            assert (line["token_class"], line["unit_class"], line["service_tier"]) == (*CLASSES[row["token_class"]], row["tier"]), row
            assert line["model"] is not None, row
            assert (line["consumed_quantity"], line["consumed_unit"]) == (2000, "Tokens"), row
    assert {read[row["usage_type"]]["provider"] for row in expected} == {"aws.bedrock"}


def test_every_foundry_meter_is_read_or_said_to_be_unmapped(loader: Loader, store: Store, tmp_path: Path, fixtures: Path) -> None:
    expected = list(csv.DictReader((fixtures / "billing/azure/foundry_meters.csv").open()))
    read = meters(loader, store, tmp_path / "focus.csv", [
        AZURE | {"x_SkuMeterName": row["meter_name"], "ChargeDescription": row["meter_name"], "ConsumedUnit": "Units",
                 "PricingUnit": "Units",
                 "x_PricingBlockSize": row["unit_multiplier"]} for row in expected])
    for row in expected:
        line = read[row["meter_name"]]
        assert line["provider"] == "azure.ai.openai"
        if row["meter_name"].startswith("4.3"):  # no vendor in the name: not guessed
            assert (line["model"], line["token_class"], line["unit_class"]) == (None, None, "other"), row
        else:
            assert (line["token_class"], line["unit_class"]) == CLASSES[row["token_class"]], row
        if line["token_class"] is not None:
            assert (line["consumed_quantity"], line["consumed_unit"]) == (2 * int(row["unit_multiplier"]), "Tokens"), row
            assert line["model"] is not None, row
    assert read["5.6 sol ShortCo Cd Inp Std Gl 1M Tokens"]["model"] == "gpt-5.6-sol"


def test_every_vertex_sku_is_read(loader: Loader, store: Store, tmp_path: Path, fixtures: Path) -> None:
    expected = list(csv.DictReader((fixtures / "billing/gcp/vertex_skus.csv").open()))
    read = meters(loader, store, tmp_path / "focus.csv", [VERTEX | {"ChargeDescription": row["sku_description"]} for row in expected])
    for row in expected:
        line = read[row["sku_description"]]
        assert (line["provider"], line["token_class"], line["unit_class"]) == ("gcp.vertex_ai", *CLASSES[row["token_class"]]), row
        if line["token_class"] is not None:
            assert line["model"].startswith("gemini-"), row
            assert line["service_tier"] == ("batch" if row["token_class"].endswith("batch") else "standard"), row
            assert (line["consumed_quantity"], line["consumed_unit"]) == (2, "Tokens"), row


@pytest.mark.parametrize(("about", "provider"), [
    ({}, "aws.bedrock"),
    ({"ServiceName": "Claude Sonnet 4.5 (Amazon Bedrock Edition)", "x_ServiceCode": "opaque"}, "aws.bedrock"),
    ({"ServiceName": "Amazon EC2", "x_ServiceCode": "AmazonEC2"}, "aws"),
    ({"ServiceName": "OpenAI API", "ProviderName": "OpenAI", "x_ServiceCode": ""}, "openai"),
    ({"ServiceName": "Claude API", "ProviderName": "Anthropic", "x_ServiceCode": ""}, "anthropic"),
    ({"ServiceName": "Virtual Machines", "ProviderName": "Microsoft", "x_ServiceCode": ""}, "microsoft"),
    (AZURE, "azure.ai.openai"), (VERTEX, "gcp.vertex_ai"),
    ({"ProviderName": "", "PublisherName": "", "ServiceName": "GenAI", "x_ServiceCode": "",
      "ServiceProviderName": "Solora AI"}, "solora ai"),
])
def test_the_provider_is_named_as_in_the_traces(loader: Loader, store: Store, tmp_path: Path, about: dict[str, str], provider: str) -> None:
    load_text(loader, tmp_path / "focus.csv", focus(about))
    assert [row["provider"] for row in charges(store)] == [provider]


def test_a_product_of_the_marketplace_names_the_model(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(loader, tmp_path / "focus.csv", focus({
        "ServiceName": "Claude Sonnet 4.5 (Amazon Bedrock Edition)", "x_ServiceCode": "opaque",
        "x_UsageType": "USW2-MP:USW2_OutputTokenCount-Units",
        "ConsumedUnit": "Units", "PricingUnit": "Units"}))
    [row] = charges(store)
    assert (row["model"], row["token_class"], row["pricing_quantity"]) == ("claude-sonnet-4-5", "output", 2)
    assert (row["consumed_quantity"], row["consumed_unit"]) == (None, None), "how many tokens a unit is, nobody says"


@pytest.mark.parametrize(("usage_type", "model", "token_class"), [
    ("USE1-Sphinx9-input-tokens", None, None), ("USE1-Claude4.5Sonnet-input-tokens-moonlight", None, None),
    ("USE1-Claude4.5Sonnet-cache-write-1h-input-token-count", "claude-sonnet-4-5", "cache_write_1h"),
    ("USE1-Guardrail-TopicPolicyUnitsConsumed", None, None)])
def test_a_meter_that_nobody_knows_is_other_and_never_guessed(loader: Loader, store: Store, tmp_path: Path, usage_type: str,
                                                             model: str | None, token_class: str | None) -> None:
    load_text(loader, tmp_path / "focus.csv", focus({"x_UsageType": usage_type}))
    [row] = charges(store)
    assert (row["model"], row["token_class"], row["unit_class"]) == (model, token_class, None if token_class else "other")
    assert row["billed_cost"] == Decimal("1.5")


@pytest.mark.parametrize(("category", "unit_class"), [("Tax", "tax"), ("Credit", "credit"), ("Purchase", "fee"), ("Adjustment", "fee")])
def test_what_is_no_usage_has_no_tokens(loader: Loader, store: Store, tmp_path: Path, category: str, unit_class: str) -> None:
    load_text(loader, tmp_path / "focus.csv", focus({"ChargeCategory": category, "ChargeClass": "Correction"}))
    [row] = charges(store)
    assert (row["unit_class"], row["token_class"], row["model"], row["charge_class"]) == (unit_class, None, None, "Correction")


def test_usage_of_other_services_is_kept_without_a_class(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(loader, tmp_path / "focus.csv", focus(
        {"ServiceName": "Amazon EC2", "ServiceCategory": "Compute", "x_ServiceCode": "AmazonEC2", "x_UsageType": "USE1-BoxUsage:p5"}))
    [row] = charges(store)
    assert (row["unit_class"], row["token_class"], row["billed_cost"]) == (None, None, Decimal("1.5"))
    assert store.query("select count(*) as n from ai_charges").item() == 0


def test_the_public_sample_of_version_1_0_keeps_its_totals(loader: Loader, store: Store, fixtures: Path) -> None:
    [outcome] = loader.load(find_files([fixtures / "billing/focus/focus_1.0_sample.csv"]))
    assert (outcome.status, outcome.rows, outcome.rejected, outcome.currency) == ("loaded", 1000, 0, "USD")
    sums = store.query("select sum(billed_cost), sum(effective_cost), sum(list_cost) from charges").row(0)
    assert [round(amount, 8) for amount in sums] == [Decimal("20.52022673"), Decimal("14.97651419"), Decimal("20.39090575")]
    assert dict(store.query("select provider_name, count(*) from charges group by 1").rows()) == {"AWS": 942, "Microsoft": 51, "Oracle": 7}
    assert store.query("select count(*) from charges where charge_class = 'NULL' or resource_id = 'NULL'").item() == 0
    assert store.query("select min(charge_period_start) from charges").item() == datetime(2024, 9, 1)


@pytest.mark.parametrize(("name", "billed_cost", "effective_cost", "tokens"), [
    ("per_token_ai_model_api", "94.5", "94.5", {"uncached_input": 8_400_000, "output": 2_100_000}),
    ("ai_prompt_caching_a", "33.9", "33.9", {"uncached_input": 500_000, "cache_write_5m": 2_000_000, "cache_read": 8_000_000,
                                             "output": 1_500_000}),
    ("drawdown_via_prepayment", "500000", "50", {"uncached_input": 5_000_000, "output": 1_500_000})])
def test_the_keys_of_the_next_version_say_model_and_class(loader: Loader, store: Store, fixtures: Path, name: str, billed_cost: str,
                                                         effective_cost: str, tokens: dict[str, int]) -> None:
    loader.load(find_files([fixtures / f"billing/focus/focus15draft_{name}.csv"]))
    sums = store.query("select sum(billed_cost), sum(effective_cost) from charges").row(0)
    assert sums == (Decimal(billed_cost), Decimal(effective_cost))
    quantities = store.query("select token_class, sum(consumed_quantity) from charges where consumed_unit = 'Tokens' group by 1")
    assert dict(quantities.rows()) == tokens
    assert store.query("select count(*) from charges where token_class is not null and not starts_with(model, 'solora-')").item() == 0


def test_the_aws_export_keeps_its_total_and_tells_what_it_is(loader: Loader, store: Store, fixtures: Path) -> None:
    [outcome] = loader.load(find_files([fixtures / "billing/aws/focus_1_2_bedrock.csv"]))
    assert (outcome.rows, outcome.rejected, outcome.total) == (11, 0, Decimal("59.03"))
    classes = dict(store.query("select unit_class, sum(billed_cost) from charges where unit_class is not null group by 1").rows())
    assert classes == {"provisioned": 39, "tax": Decimal("1.5"), "credit": -2, "other": Decimal("0.25")}
    tiers = store.query("select service_tier, sum(consumed_quantity) from charges where token_class is not null group by 1")
    assert dict(tiers.rows()) == {"standard": 13_900_000, "batch": 1_200_000, "priority": 100_000}


@pytest.mark.parametrize(("text", "tags"), [
    ('{"user_team": "search"}', '{"user_team":"search"}'), ("{}", "{}"), ("NULL", None), ("", None), ('"team": "search"',
                                                                                                      '{"team":"search"}'),
    ('[{"key": "team", "value": "search"}]', '{"team":"search"}'), ("no json at all", None)])
def test_tags_are_an_object_however_they_are_written(loader: Loader, store: Store, tmp_path: Path, text: str, tags: str | None) -> None:
    outcome = load_text(loader, tmp_path / "focus.csv", focus({"Tags": text}))
    assert outcome.status == "loaded"
    [row] = charges(store)
    assert (row["tags"] and row["tags"].replace('": "', '":"')) == tags


@pytest.mark.parametrize("text", [
    "2026-10-02T00:00:00Z", "2026-10-02 00:00:00", "2026-10-02T00:00Z", "2026-10-02", "2026-10-02T02:00:00+02:00"])
def test_times_are_utc_however_they_are_written(loader: Loader, store: Store, tmp_path: Path, text: str) -> None:
    load_text(loader, tmp_path / "focus.csv", focus({"ChargePeriodStart": text}))
    assert [row["charge_period_start"] for row in charges(store)] == [datetime(2026, 10, 2)]


def test_parquet_says_the_same_as_csv(loader: Loader, store: Store, tmp_path: Path) -> None:
    numbers = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "PricingQuantity", "ConsumedQuantity")
    row = {name: float(value) if name in numbers else datetime.fromisoformat(value) if "Period" in name else value
           for name, value in ROW.items()} | {"BilledCost": 0.1, "Tags": [("team", "search")], "SkuPriceDetails": None}
    types = {"Tags": pa.map_(pa.string(), pa.string()), "SkuPriceDetails": pa.map_(pa.string(), pa.string())}
    schema = pa.schema([(name, types.get(name) or pa.array([value]).type) for name, value in row.items()])
    pq.write_table(pa.Table.from_pylist([row], schema), tmp_path / "focus.parquet")
    [outcome] = loader.load(find_files([tmp_path / "focus.parquet"]))
    assert (outcome.status, outcome.total) == ("loaded", Decimal("0.1"))
    [from_parquet] = charges(store)
    load_text(loader, tmp_path / "focus.csv", focus({"BilledCost": "0.1", "Tags": '{"team":"search"}'}))
    [from_csv] = charges(store)
    assert {**from_csv, "load_id": 0} == {**from_parquet, "load_id": 0}


def test_files_of_one_load_add_up_and_a_later_export_replaces_its_period(loader: Loader, store: Store, tmp_path: Path) -> None:
    september = {"BillingPeriodStart": "2026-09-01T00:00:00Z", "BillingPeriodEnd": "2026-10-01T00:00:00Z",
                 "ChargePeriodStart": "2026-09-02T00:00:00Z", "ChargePeriodEnd": "2026-09-02T01:00:00Z"}
    load_text(loader, tmp_path / "september.csv", focus(september | {"BilledCost": "100"}))
    for number, cost in enumerate(("1", "2", "4")):
        (tmp_path / f"october-{number}.csv").write_text(focus({"BilledCost": cost}))
    chunks = sorted(tmp_path.glob("october-*"))
    loader.load(find_files(chunks))
    assert billed(store) == 107
    chunks[1].write_text(focus({"BilledCost": "3"}))
    loader.load(find_files(chunks))
    assert billed(store) == 108, "one chunk written again: its neighbours, unchanged in the same load, stay"
    load_text(loader, tmp_path / "october.csv", focus({"BilledCost": "5"}))
    assert billed(store) == 105
    load_text(loader, tmp_path / "other.csv", focus({"BilledCost": "7", "BillingAccountId": "another payer"}))
    load_text(loader, tmp_path / "market.csv", focus({"BilledCost": "9", "InvoiceIssuerName": "A reseller"}))
    assert billed(store) == 121


def test_another_currency_needs_its_dollars(loader: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load_text(loader, tmp_path / "focus.csv", focus({"BillingCurrency": "EUR"}))
    assert (outcome.status, "EUR" in outcome.message) == ("failed", True)
    load_text(loader, tmp_path / "focus.csv", focus({"BillingCurrency": "eur", "x_BilledCostInUsd": "1.8", "x_EffectiveCostInUsd": "1.7"}))
    [row] = charges(store)
    assert (row["billing_currency"], row["billed_cost"], row["usd_billed_cost"], row["usd_effective_cost"]) == (
        "EUR", Decimal("1.5"), Decimal("1.8"), Decimal("1.7"))


def test_the_columns_of_1_0_are_enough_and_a_missing_one_is_named(loader: Loader, store: Store, tmp_path: Path) -> None:
    newer = ("x_ServiceCode", "x_UsageType", "SubAccountId", "Tags", "ContractedCost", "PricingQuantity")
    assert load_text(loader, tmp_path / "focus.csv", focus({}, without=newer)).status == "loaded"
    outcome = load_text(loader, tmp_path / "focus.csv", focus({}, without=("BilledCost",)), collector="focus")
    assert (outcome.status, "column BilledCost is missing" in outcome.message) == ("failed", True)


def test_a_broken_row_is_rejected_and_the_same_file_again_changes_nothing(loader: Loader, store: Store, tmp_path: Path) -> None:
    text = focus({}, {"BilledCost": "much"}, {"ChargePeriodStart": "yesterday"}, {"BillingAccountId": ""}, {"BilledCost": "2"})
    outcome = load_text(loader, tmp_path / "focus.csv", text)
    assert (outcome.status, outcome.rows, [r.position for r in outcome.rejects]) == ("partial", 2, [3, 4, 5])
    assert [r.reason for r in outcome.rejects] == ["BilledCost is not an amount", "ChargePeriodStart is not a time",
                                                   "BillingAccountId is empty"]
    assert load_text(loader, tmp_path / "again.csv", text).status == "already loaded"
    assert billed(store) == Decimal("3.5")


MICROSOFT = {
    **AZURE,
    "InvoiceIssuerName": "Microsoft",
    "x_SkuMeterName": "gpt 4.1 Inp glbl Tokens",
    "BillingAccountId": "/providers/Microsoft.Billing/billingAccounts/9000001",
}


def subscription(name: str, cost: str, **columns: str) -> dict[str, str]:
    return {**MICROSOFT, "SubAccountId": f"/subscriptions/{name}", "BilledCost": cost, "EffectiveCost": cost, **columns}


COST_EXPORT = (
    "BillingAccountId,BillingPeriodStartDate,BillingPeriodEndDate,SubscriptionId,Date,Product,MeterCategory,MeterName,Quantity,"
    "Cost,BillingCurrency,UnitOfMeasure,ChargeType,PricingModel\n"
)


def cost_export(*costs: tuple[str, str, str]) -> str:
    """An Azure cost export: the cost of a subscription on a day of October, each."""
    line = "9000001,10/01/2026,10/31/2026,{0},10/{1}/2026,p,Foundry Models,gpt 4.1 Inp glbl Tokens,1000,{2},USD,1K,Usage,OnDemand\n"
    return COST_EXPORT + "".join(line.format(*cost) for cost in costs)


def test_azure_s_export_and_its_focus_file_counted_the_same_money_twice(loader: Loader, store: Store, tmp_path: Path) -> None:
    native = cost_export(("a", "02", "8"), ("b", "02", "5"))
    assert load_text(loader, tmp_path / "cost.csv", native).collector == "azure_actual"
    outcome = load_text(loader, tmp_path / "focus.csv", focus(subscription("a", "8"), subscription("b", "5")))
    assert (outcome.replaced, billed(store)) == ({"azure_actual": 2}, 13)
    assert "in place of 2 rows of azure_actual for the same period" in outcome.line()
    assert [row["sub_account_id"] for row in charges(store)] == ["b", "a"]
    outcome = load_text(loader, tmp_path / "cost.csv", cost_export(("a", "02", "8.5"), ("b", "02", "5")))
    assert (outcome.replaced, billed(store)) == ({"focus": 2}, Decimal("13.5"))


def test_a_file_of_one_subscription_leaves_the_others_of_the_other_format(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(loader, tmp_path / "cost.csv", cost_export(("a", "02", "8"), ("b", "02", "5")))
    load_text(loader, tmp_path / "focus.csv", focus(subscription("a", "7")))
    assert billed(store) == 12
    september = {"BillingPeriodStart": "2026-09-01", "BillingPeriodEnd": "2026-10-01", "ChargePeriodStart": "2026-09-02"}
    load_text(loader, tmp_path / "september.csv", focus(subscription("a", "100", **september, ChargePeriodEnd="2026-09-03")))
    assert billed(store) == 112
    load_text(loader, tmp_path / "again.csv", cost_export(("b", "02", "6")))
    assert billed(store) == 113
    load_text(loader, tmp_path / "a.csv", cost_export(("a", "02", "9")))
    assert billed(store) == 115, "September's and subscription b's stay"


def test_the_profile_of_a_customer_agreement_is_known_by_its_account(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(loader, tmp_path / "cost.csv", cost_export(("a", "02", "8")))
    profile = f"{MICROSOFT['BillingAccountId']}/billingProfiles/P"
    account = {"BillingAccountId": profile, "x_BillingAccountId": "9000001"}
    load_text(loader, tmp_path / "focus.csv", focus(subscription("a", "8", **account)))
    assert billed(store) == 8


def test_an_exported_showback_counted_its_own_money_again(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(loader, tmp_path / "bill.csv", focus({}))
    path = tmp_path / "showback.parquet"
    focus_out.write(focus_out.focus(store, showback(store, Period.parse("2026-10"))), path)
    [outcome] = loader.load(find_files([path]))
    assert (outcome.status, billed(store)) == ("failed", Decimal("1.5"))
    assert "a showback that Spanledger exported" in outcome.message


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"ChargePeriodStart": "2026-11-05", "ChargePeriodEnd": "2026-11-06"}, "used after its billing period"),
        ({"ChargePeriodStart": "2026-10-05", "ChargePeriodEnd": "2026-10-03"}, "the charge ends before it starts"),
        ({"BillingPeriodStart": "2026-11-01", "BillingPeriodEnd": "2026-11-01"}, "the billing period ends before it starts"),
        ({"ConsumedQuantity": "-5"}, "a negative quantity with a positive cost"),
    ],
)
def test_a_row_that_cannot_be_is_rejected_with_its_reason(
    loader: Loader, store: Store, tmp_path: Path, row: dict[str, str], reason: str
) -> None:
    outcome = load_text(loader, tmp_path / "focus.csv", focus({}, row))
    assert (outcome.status, outcome.rows, [reject.reason for reject in outcome.rejects]) == ("partial", 1, [reason])


def test_a_correction_of_an_earlier_period_is_no_row_out_of_period(loader: Loader, store: Store, tmp_path: Path) -> None:
    late = {"ChargePeriodStart": "2026-11-05", "ChargePeriodEnd": "2026-11-06", "ChargeClass": "Correction"}
    reversal = {"ConsumedQuantity": "-5", "PricingQuantity": "-5", "BilledCost": "-1"}
    assert load_text(loader, tmp_path / "focus.csv", focus(late, reversal)).rejected == 0


def test_mixed_currencies_name_those_without_a_rate(loader: Loader, store: Store, tmp_path: Path) -> None:
    rows = {"BillingCurrency": "EUR"}, {"BillingCurrency": "GBP", "x_BilledCostInUsd": "1.2"}, {}
    outcome = load_text(loader, tmp_path / "focus.csv", focus(*rows))
    assert (outcome.status, "billed in EUR without a rate to USD" in outcome.message, billed(store)) == ("failed", True, 0)


def test_google_s_months_begin_in_california_and_are_the_months_of_its_own_export(loader: Loader, store: Store, tmp_path: Path) -> None:
    november = gcp.line(
        usage_start_time="2026-11-02 10:00:00 UTC", usage_end_time="2026-11-02 11:00:00 UTC", invoice={"month": "202611"}, cost=5
    )
    load_text(loader, tmp_path / "export.jsonl", gcp.lines(gcp.line(), november))
    october = {
        **VERTEX,
        "BillingAccountId": "0000-1",
        "BillingPeriodStart": "2026-10-01T07:00:00Z",
        "BillingPeriodEnd": "2026-11-01T07:00:00Z",
        "ChargePeriodStart": "2026-10-01T10:00:00Z",
        "ChargePeriodEnd": "2026-10-01T11:00:00Z",
        "BilledCost": "0.65",
    }
    outcome = load_text(loader, tmp_path / "focus.csv", focus(october))
    assert outcome.replaced == {"gcp_billing": 1}
    assert billed(store) == Decimal("0.65") + Decimal("4.65"), "November stays"
    load_text(loader, tmp_path / "again.jsonl", gcp.lines(gcp.line(cost=2)))
    assert billed(store) == Decimal("1.65") + Decimal("4.65")


def test_a_usage_report_takes_the_place_of_its_own_month_only(loader: Loader, store: Store, tmp_path: Path, fixtures: Path) -> None:
    report = fixtures / "billing/aws/cur2_bedrock.csv"
    payer = next(csv.DictReader(report.open()))["bill_payer_account_id"]
    months = {
        "2026-09": {"ChargePeriodStart": "2026-09-02", "ChargePeriodEnd": "2026-09-03"},
        "2026-10": {},
    }
    for month, about in months.items():
        period = {"BillingPeriodStart": f"{month}-01", "BillingPeriodEnd": "2026-10-01" if about else "2026-11-01"}
        load_text(loader, tmp_path / f"{month}.csv", focus({"BillingAccountId": payer, "BilledCost": "100", **period, **about}))
    [outcome] = loader.load(find_files([report]))
    assert outcome.replaced == {"focus": 1}
    assert billed(store) == Decimal("159.0404"), "September stays"
