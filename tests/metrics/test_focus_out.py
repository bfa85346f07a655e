"""The showback as FOCUS keeps the published rules, and read back it is the same money."""

import json
import re
import tomllib
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.cli import cli
from ingest.load import Loader
from ingest.sources import find_files
from ingest.store import Store
from metrics import focus_out, focus_rules
from metrics.filters import Period
from metrics.focus_out import MEASURES, SCHEMA, focus, write
from metrics.focus_rules import ROWS, TYPES, Rule, rules, violations
from metrics.showback import PARTY, showback
from tests.metrics.ledger import SEPTEMBER, Ledger, ledger

__all__ = ["ledger"]

DAY = datetime(2026, 9, 10)
# Rules about columns that a showback has, which it cannot keep or break: the reason for each.
NOT_ASKED = {
    "PricingQuantity-C-008-M": "asks every row for a quantity, which another rule forbids for tax",
    "ListCost-C-009-C": "asks for a product with a unit price, and a share has none",
}
FUNCTIONS = {
    "ColumnPresent": "present", "TypeString": "string", "TypeDecimal": "decimal", "TypeDateTime": "datetime", "FormatString": "text",
    "FormatDateTime": "utc", "FormatNumeric": "numeric", "CheckDecimalValue": "numeric", "FormatCurrency": "currency",
    "CheckNationalCurrency": "currency", "FormatKeyValue": "key_value",
}  # fmt: skip


def share(ledger: Ledger, usd: str, issuer: str | None = "Acme", **columns: object) -> None:
    ledger.put(
        "allocations",
        {"period": date(2026, 9, 1), "invoice_issuer_name": issuer, "usd_cost": Decimal(usd), "basis": "tokens", **columns},
    )


def bill(ledger: Ledger, usd: str, **columns: object) -> None:
    plain = {
        "charge_period_start": DAY,
        "charge_category": "Usage",
        "service_category": "AI and Machine Learning",
        "invoice_issuer_name": "Acme",
        "billing_currency": "USD",
        "billed_cost": Decimal(usd),
        "usd_billed_cost": Decimal(usd),
        "usd_effective_cost": Decimal(usd),
        "load_id": 1,
    }
    ledger.put("charges", {**plain, **columns})


def rows(ledger: Ledger) -> list[dict[str, Any]]:
    frame = focus(ledger, showback(ledger, SEPTEMBER))
    assert violations(frame) == []
    return frame.to_dicts()


def published(fixtures: Path) -> dict[str, Any]:
    text = (fixtures / "billing" / "focus" / "focus_requirements_model_1.2.json").read_text("utf-8")
    known: dict[str, Any] = json.loads(text)["ModelRules"]
    return known


def test_every_published_rule_that_applies_is_asked(fixtures: Path) -> None:
    wanted = {
        name
        for name, rule in published(fixtures).items()
        if rule["Function"] != "Composite"
        and rule["Type"] == "Static"
        and rule["ValidationCriteria"]["Keyword"] in ("MUST", "MUST NOT")
        and not set(rule["ApplicabilityCriteria"]) - {"TAGGING_SUPPORTED"}
        and (rule["Reference"] in SCHEMA or rule["EntityType"] == "Dataset")
    }
    assert set(rules()) == wanted - set(NOT_ASKED)
    assert len(rules()) == 94


def test_every_rule_asks_what_was_published(fixtures: Path) -> None:
    known = published(fixtures)
    for name, rule in rules().items():
        criteria = known[name]["ValidationCriteria"]
        assert rule.column == known[name]["Reference"]
        assert (rule.check, rule.values) == asked(criteria["Requirement"]), name
        assert sorted(rule.when) == sorted(conditions(criteria["Condition"])), name


def asked(requirement: dict[str, Any]) -> tuple[str, list[str]]:
    """A published requirement in our words."""
    function, value = requirement["CheckFunction"], requirement.get("Value")
    if function in FUNCTIONS:
        return FUNCTIONS[function], []
    if function == "OR":
        return "one_of", [item["Value"] for item in requirement["Items"]]
    if function == "CheckDistinctCount":
        assert requirement["ExpectedCount"] == 1
        return "one_each", [requirement["ColumnBName"]]
    if function == "CheckNotSameValue":
        return "differs", [requirement["ColumnBName"]]
    if value is None:
        return {"CheckValue": "null", "CheckNotValue": "not_null"}[function], []
    if value == 0:
        return "zero", []
    return {"CheckValue": "one_of", "CheckNotValue": "none_of"}[function], [value]


def conditions(condition: dict[str, Any]) -> list[list[str]]:
    if not condition:
        return []
    items = condition["Items"] if condition["CheckFunction"] == "AND" else [condition]
    found = []
    for item in items:
        check, values = asked(item)
        column = item.get("ColumnName") or item.get("ColumnAName") or item["Items"][0]["ColumnName"]
        found.append([check, column, *values])
    return found


def test_the_mandatory_columns_are_all_there_and_sorted_by_name(fixtures: Path) -> None:
    mandatory = {
        rule["ValidationCriteria"]["Requirement"]["ColumnName"]
        for name, rule in published(fixtures).items()
        if re.fullmatch(r"CostAndUsage-D-\d+-M", name) and rule["Function"] == "Presence"
    }
    assert set(SCHEMA) == {*mandatory, "Tags", "x_SpanledgerShowback"}
    assert list(SCHEMA) == sorted(SCHEMA)


GOOD = {
    "BilledCost": Decimal("1.25"), "BillingAccountId": "a", "BillingAccountName": None, "BillingCurrency": "USD",
    "BillingPeriodEnd": datetime(2026, 10, 1, tzinfo=UTC), "BillingPeriodStart": datetime(2026, 9, 1, tzinfo=UTC),
    "ChargeCategory": "Usage", "ChargeClass": None, "ChargeDescription": "Share", "ChargePeriodEnd": datetime(2026, 10, 1, tzinfo=UTC),
    "ChargePeriodStart": datetime(2026, 9, 1, tzinfo=UTC), "ContractedCost": Decimal("1.25"), "EffectiveCost": Decimal("1.25"),
    "InvoiceIssuerName": "Acme", "ListCost": Decimal("1.25"), "PricingQuantity": Decimal(1), "PricingUnit": "Units", "ProviderName": "Acme",
    "PublisherName": "Acme", "ServiceCategory": "AI and Machine Learning", "ServiceName": "API", "Tags": '{"team": "red"}',
    "x_SpanledgerShowback": "Acme",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({}, set()),
        ({"BilledCost": None}, {"BilledCost-C-003-M"}),
        ({"ProviderName": "Apex"}, {"BilledCost-C-005-C"}),
        ({"ProviderName": "Apex", "BilledCost": Decimal(0)}, set()),
        ({"BillingCurrency": "$"}, {"BillingCurrency-C-003-M", "BillingCurrency-C-006-M"}),
        ({"ServiceName": " "}, {"ServiceName-C-002-M"}),
        ({"ChargeCategory": "Refund"}, {"ChargeCategory-C-003-M"}),
        ({"ChargeCategory": "Purchase"}, {"EffectiveCost-C-005-C"}),
        ({"ChargeCategory": "Tax"}, {"PricingQuantity-C-004-C"}),
        ({"ChargeCategory": "Tax", "PricingQuantity": None, "PricingUnit": None}, set()),
        ({"PricingQuantity": None}, {"PricingQuantity-C-005-C", "PricingUnit-C-005-C"}),
        ({"PricingQuantity": None, "PricingUnit": None, "ChargeClass": "Correction"}, set()),
        ({"PricingUnit": None}, {"PricingUnit-C-006-C"}),
        ({"ChargeClass": "Correct"}, {"ChargeClass-C-005-C"}),
        ({"Tags": "team=red"}, {"Tags-C-001-M"}),
        ({"Tags": '["red"]'}, {"Tags-C-001-M"}),
        ({"Tags": '{"a": {"b": 1}}'}, {"Tags-C-001-M"}),
        ({"Tags": '{"a": 1, "a": 2}'}, {"Tags-C-001-M"}),
        ({"Tags": None}, set()),
    ],
)
def test_a_row_that_breaks_a_rule_is_named(change: dict[str, Any], broken: set[str]) -> None:
    frame = pl.DataFrame([{**GOOD, **change}], SCHEMA)
    assert {violation.rule for violation in violations(frame)} == broken


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (lambda frame: frame.drop("ListCost"), {"CostAndUsage-D-032-M"}),
        (lambda frame: frame.with_columns(pl.col("BilledCost").cast(pl.Float64)), {"BilledCost-C-001-M"}),
        (lambda frame: frame.with_columns(pl.col("Tags").replace_strict({}, default=1)), {"Tags-C-001-M"}),
        (lambda frame: frame.with_columns(pl.col("ChargePeriodEnd").dt.replace_time_zone(None)), {"ChargePeriodEnd-C-002-M"}),
        (lambda frame: frame.with_columns(pl.col("ChargePeriodEnd").cast(pl.Date)), {"ChargePeriodEnd-C-001-M"}),
        (lambda frame: pl.concat([frame, frame.with_columns(ServiceCategory=pl.lit("Compute"))]), {"ServiceName-C-005-C"}),
    ],
    ids=["absent", "a float", "no text", "no zone", "a date", "two categories"],
)
def test_a_column_that_breaks_a_rule_is_named(change: Callable[[pl.DataFrame], pl.DataFrame], broken: set[str]) -> None:
    found = violations(change(pl.DataFrame([GOOD], SCHEMA)))
    assert {violation.rule for violation in found} == broken
    assert all(str(violation).startswith(violation.column) for violation in found)


def test_the_rules_use_known_checks_only() -> None:
    known = {"present", *TYPES, *ROWS}
    assert {rule.check for rule in rules().values()} <= known
    assert {check for rule in rules().values() for check, *_ in rule.when} <= set(ROWS)
    assert Rule("a", "zero").when == []
    assert tomllib.loads((Path(focus_rules.__file__).with_suffix(".toml")).read_text("utf-8")).keys() == rules().keys()


def test_a_share_says_who_bears_what(ledger: Ledger) -> None:
    share(ledger, "1.25", system="claims", team="red", feature="chat", tenant="x", prompt_version="7", cost_center="CC-1")
    share(ledger, "0.50")
    bill(ledger, "1.75", billing_account_id="org-1", service_name="Acme API", list_cost=Decimal("1.75"), contracted_cost=Decimal("1.75"))
    known, nobody = rows(ledger)
    assert (nobody["BilledCost"], nobody["Tags"]) == (Decimal("0.50"), "{}")
    assert json.loads(known["Tags"]) == dict(zip(PARTY, ("claims", "red", "chat", "x", "7", "CC-1"), strict=True))
    assert known["ChargePeriodStart"] == known["BillingPeriodStart"] == datetime(2026, 9, 1, tzinfo=UTC)
    assert known["ChargePeriodEnd"] == known["BillingPeriodEnd"] == datetime(2026, 10, 1, tzinfo=UTC)
    assert (known["BillingAccountId"], known["ServiceName"]) == ("org-1", "Acme API")
    assert {known["InvoiceIssuerName"], known["ProviderName"], known["PublisherName"]} == {"Acme"}
    assert {known[name] for name in MEASURES} == {Decimal("1.25")}
    assert known["ChargeDescription"] == "Share of Acme, 2026-09"


def test_costs_that_the_bill_does_not_tell_are_said_to_be_the_billed_one(ledger: Ledger) -> None:
    share(ledger, "2.00", team="red")
    bill(ledger, "1.50", list_cost=Decimal("3.00"))
    bill(ledger, "0.50")
    [row] = rows(ledger)
    assert (row["ListCost"], row["ContractedCost"], row["EffectiveCost"]) == (2, 2, 2)
    unknown = "is not on every line of the bill: the billed cost"
    assert row["ChargeDescription"] == f"Share of Acme, 2026-09. ContractedCost {unknown}; ListCost {unknown}"


def test_a_cost_that_differs_from_the_billed_one_is_handed_on_in_proportion_to_the_cent(ledger: Ledger) -> None:
    for team in ("red", "green", "blue"):
        share(ledger, "1.00", team=team)
    bill(ledger, "3.00", usd_effective_cost=Decimal("2.50"), list_cost=Decimal("10"), contracted_cost=Decimal("3"))
    found = rows(ledger)
    assert sorted(row["EffectiveCost"] for row in found) == [Decimal("0.83"), Decimal("0.83"), Decimal("0.84")]
    assert sum(row["ListCost"] for row in found) == 10
    assert (
        found[0]["ChargeDescription"] == "Share of Acme, 2026-09. EffectiveCost follows the billed cost; ListCost follows the billed cost"
    )


def test_a_drawdown_without_billed_cost_is_not_spread_by_guess(ledger: Ledger) -> None:
    share(ledger, "1.00", team="red")
    share(ledger, "-1.00", team="blue")
    bill(ledger, "0", usd_effective_cost=Decimal("50"))
    assert [row["EffectiveCost"] for row in rows(ledger)] == [row["BilledCost"] for row in rows(ledger)]
    assert "EffectiveCost is 50.00 for the invoice and has no billed cost to follow" in rows(ledger)[0]["ChargeDescription"]


def test_bills_in_another_currency_tell_no_list_cost_in_dollars(ledger: Ledger) -> None:
    share(ledger, "2.00")
    bill(ledger, "2.00", billing_currency="EUR", list_cost=Decimal("9"))
    assert rows(ledger)[0]["ListCost"] == 2


def test_several_accounts_and_services_are_named_by_their_issuer(ledger: Ledger) -> None:
    share(ledger, "2.00")
    for number in ("1", "2"):
        bill(ledger, "1.00", billing_account_id=number, service_name=f"API {number}")
    [row] = rows(ledger)
    assert (row["BillingAccountId"], row["ServiceName"]) == ("Acme", "AI services")


def test_tax_and_credits_of_a_share_are_rows_of_their_own_category(ledger: Ledger) -> None:
    share(ledger, "10.006", team="red")
    share(ledger, "1.904", team="red", charge_category="Tax")
    share(ledger, "-0.50", team="red", charge_category="Credit")
    share(ledger, "-0.001", team="red", charge_category="Adjustment")
    for usd, category in (("10.006", "Usage"), ("1.904", "Tax"), ("-0.50", "Credit"), ("-0.001", "Adjustment")):
        bill(ledger, usd, charge_category=category)
    found = {row["ChargeCategory"]: row for row in rows(ledger)}
    assert {name: row["BilledCost"] for name, row in found.items()} == {
        "Usage": Decimal("10.01"),
        "Tax": Decimal("1.90"),
        "Credit": Decimal("-0.50"),
    }
    assert (found["Tax"]["PricingQuantity"], found["Tax"]["ChargeDescription"][:22]) == (None, "Share of tax of Acme, ")
    assert all(row["EffectiveCost"] == row["BilledCost"] for row in found.values())


def test_a_purchase_has_an_effective_cost_only_as_usage_of_its_own_month(ledger: Ledger) -> None:
    share(ledger, "9.00", charge_category="Purchase")
    bill(ledger, "9.00", charge_category="Purchase", usd_effective_cost=Decimal(0))
    assert [(row["ChargeCategory"], row["EffectiveCost"]) for row in rows(ledger)] == [("Purchase", 0)]
    bill(ledger, "0", charge_category="Purchase", usd_effective_cost=Decimal(9))
    assert [(row["ChargeCategory"], row["EffectiveCost"]) for row in rows(ledger)] == [("Usage", 9)]


def test_without_shares_there_are_no_rows(ledger: Ledger) -> None:
    frame = focus(ledger, showback(ledger, SEPTEMBER))
    assert (frame.height, frame.schema) == (0, pl.Schema(SCHEMA))


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
SHARES = st.lists(
    st.tuples(
        TEXT,
        st.none() | TEXT,
        st.decimals(-100, 10_000, places=12),
        st.sampled_from(["Acme", "Apex, Inc."]),
        st.sampled_from(["Usage", "Purchase", "Tax", "Credit", "Adjustment"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=15)
@given(SHARES, st.sampled_from([".csv", ".parquet"]))
def test_what_is_written_reads_back_as_the_same_money(
    tmp_path_factory: pytest.TempPathFactory, shares: list[tuple[str, str | None, Decimal, str, str]], suffix: str
) -> None:
    ledger = Ledger()
    for system, team, usd, issuer, category in shares:
        share(ledger, str(usd), issuer, system=system, team=team, charge_category=category)
    found = showback(ledger, SEPTEMBER)
    frame = focus(ledger, found)
    ledger.close()
    assert violations(frame) == []
    folder = tmp_path_factory.mktemp("focus")
    write(frame, folder / f"showback{suffix}")
    store = Store(folder / "other.duckdb")
    [outcome] = Loader(store, b"key").load(find_files([folder / f"showback{suffix}"]))
    assert (outcome.status, outcome.collector, outcome.rows) == ("loaded", "focus", frame.height), outcome.line()
    assert outcome.total == found.total_usd
    read = store.query(
        "select invoice_issuer_name, sum(billed_cost) as usd, sum(effective_cost) as effective from charges group by 1"
    ).rows()
    told = {issuer: sum(s.usd_cost for s in found.shares if s.issuer == issuer) for issuer in {s.issuer for s in found.shares}}
    assert {issuer: usd for issuer, usd, _ in read} == told
    assert {issuer: usd for issuer, _, usd in read} == told
    tags = store.query("select tags from charges")["tags"].to_list()
    assert {json.loads(text).get("system", "") for text in tags} == {s.party["system"] or "" for s in found.shares}
    store.close()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_command_writes_the_sample_s_showback_which_ties_to_the_invoice(
    sample_path: Path, tmp_path: Path, truth: dict[str, Any], suffix: str
) -> None:
    path = tmp_path / f"showback{suffix}"
    done = CliRunner().invoke(cli, ["showback", "--period", "2026-09", "-o", str(path), "--json", "--db", str(sample_path)])
    assert done.exit_code == 0, done.output
    store = Store(tmp_path / "other.duckdb")
    [outcome] = Loader(store, b"key").load(find_files([path]))
    billed = sum(Decimal(provider["billed_usd"]) for provider in truth["months"]["2026-09"]["providers"].values())
    assert outcome.status == "loaded", outcome.line()
    assert abs(outcome.total - billed) < Decimal("0.02")
    assert outcome.total == Decimal(str(json.loads(done.stdout)["total_usd"]))
    assert f"{outcome.total:,.2f} USD" in done.stderr
    by_month = store.query("select distinct charge_period_start as a, charge_period_end as b, service_category as c from charges").rows()
    assert by_month == [(datetime(2026, 9, 1), datetime(2026, 10, 1), "AI and Machine Learning")]
    store.close()
    if suffix == ".csv":
        text = path.read_text("utf-8")
        assert "2026-09-01T00:00:00Z" in text
        assert not re.search(r"\d[eE][-+]?\d+,", text.split("\n", 2)[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "out.xlsx", "--period", "2026-09"], "names no kind of file"),
        (["-o", "out.csv", "--period", "2026-W37"], "Nothing is handed on for 2026-W37"),
        (["-o", "out.csv", "--period", "2020-01"], "Nothing is handed on for 2020-01"),
        (["-o", "absent/out.csv", "--period", "2026-09"], "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_said(
    sample_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["showback", *arguments, "--db", str(sample_path)])
    assert done.exit_code == 1
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_breaks_the_rules_is_not_written(sample_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(focus_out, "SERVICES", " ")
    monkeypatch.setattr(focus_out, "_the_only", lambda bill, name: None)
    done = CliRunner().invoke(
        cli, ["showback", "--period", Period.parse("2026-09").label, "-o", str(tmp_path / "out.csv"), "--db", str(sample_path)]
    )
    assert done.exit_code == 1
    assert "ServiceName is not text (ServiceName-C-002-M" in done.stderr
    assert list(tmp_path.iterdir()) == []
