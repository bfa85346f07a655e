"""Anthropic's bills and usage reports, through the loader into a ledger."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.load import Loader
from ingest.sources import find_files
from ingest.store import Store
from metrics.exports import exports
from tests.ingest.bills import BILLS, MONTHS, billed, by_month, load_page, load_text, reported_tokens, true_by_month, true_tokens

TOKENS = """select sum(uncached_input_tokens), sum(cache_read_tokens), sum(cache_write_5m_tokens), sum(cache_write_1h_tokens),
                   sum(output_tokens) from billed_usage"""
CONSOLE = "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type,api_key_id\n"


def cost(day: int, *cents: str, **about: Any) -> dict[str, Any]:
    """A bucket of the cost report with one result for each amount."""
    result = {"currency": "USD", "cost_type": "tokens", "token_type": "output_tokens", "model": "claude-haiku-4-5-20251001",
              "service_tier": "standard", "workspace_id": "wrkspc_a", "context_window": "0-200k", "description": "Usage"} | about
    return {"starting_at": f"2026-10-{day:02}T00:00:00Z", "ending_at": f"2026-10-{day + 1:02}T00:00:00Z",
            "results": [result | {"amount": amount} for amount in cents]}


def page(*buckets: dict[str, Any], has_more: bool = False) -> dict[str, Any]:
    return {"data": list(buckets), "has_more": has_more, "next_page": "page_2" if has_more else None}


def test_the_sample_bills_agree_with_their_truth_by_month_workspace_and_model(loader: Loader, store: Store) -> None:
    outcomes = loader.load(find_files([BILLS / "anthropic"]))
    assert {(o.status, o.rejected, o.collector) for o in outcomes} == {
        ("loaded", 0, "anthropic_cost_report"), ("loaded", 0, "anthropic_usage_report")}
    assert by_month(store, "provider") == {(month, "anthropic"): Decimal(truth["providers"]["anthropic"]["billed_usd"])
                                           for month, truth in MONTHS.items()}
    assert by_month(store, "project") == true_by_month("anthropic", "by_project_usd")
    assert by_month(store, "model") == true_by_month("anthropic", "by_model")
    assert reported_tokens(store) == true_tokens("anthropic", "usage_report_tokens")
    assert store.query("select count(*) as n from charges where unit_class is not null").item() == 0


def test_amounts_of_the_api_are_cents_and_keep_every_digit(loader: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load_page(loader, tmp_path / "cost.json", page(cost(1, "123.78912", "0.00000001")))
    assert (outcome.collector, outcome.total, outcome.currency) == ("anthropic_cost_report", Decimal("1.2378912001"), "USD")
    assert billed(store) == Decimal("1.2378912001")


def test_every_kind_of_cost_is_told_apart(loader: Loader, store: Store, fixtures: Path) -> None:
    [outcome] = loader.load(find_files([fixtures / "billing/anthropic/cost_report.json"]))
    assert (outcome.rows, outcome.rejected, outcome.total) == (14, 0, Decimal("5.265"))
    rows = store.query("select coalesce(token_class, unit_class) as class, sum(billed_cost) as billed from charges group by 1").rows()
    assert dict(rows) == {"uncached_input": Decimal("1.56"), "cache_read": Decimal("0.6"), "cache_write_5m": Decimal("0.375"),
                          "cache_write_1h": Decimal("0.3"), "output": Decimal("1.96"), "search": Decimal("0.12"), "code": Decimal("0.35")}
    projects = dict(store.query("select project, count(*) from charges group by 1").rows())
    assert projects == {"wrkspc_test1": 9, None: 5}, "the default workspace has no id"
    assert "2026-10-03" in store.query("select slice from loads").item(), "the empty day counts as exported"


@pytest.mark.parametrize(("about", "token_class", "unit_class", "tier"), [
    ({"service_tier": "priority_on_demand"}, "output", None, "priority"),
    ({"service_tier": "flex_discount"}, "output", None, "flex"),
    ({"service_tier": "batch"}, "output", None, "batch"),
    ({"service_tier": "Galactic"}, "output", None, "galactic"),
    ({"token_type": "telepathy_tokens"}, None, "other", "standard"),
    ({"token_type": None, "cost_type": "session_usage", "service_tier": None}, None, "other", None),
    ({"token_type": None, "cost_type": None, "model": None, "service_tier": None}, None, "other", None),
])
def test_tiers_have_one_name_and_what_nobody_knows_is_other(loader: Loader, store: Store, tmp_path: Path, about: dict[str, Any],
                                                           token_class: str | None, unit_class: str | None, tier: str | None) -> None:
    load_page(loader, tmp_path / "cost.json", page(cost(1, "100", **about)))
    assert store.query("select token_class, unit_class, service_tier, billed_cost from charges").rows() == [
        (token_class, unit_class, tier, Decimal(1))]


@pytest.mark.parametrize(("names", "tiers"), [
    (["usage_report_messages_page_1.json", "usage_report_messages_page_2.json"], {"standard", "priority"}),
    (["console_tokens.csv"], {None}),
    (["console_tokens.csv", "usage_report_messages_page_1.json", "usage_report_messages_page_2.json"], {"standard", "priority"})])
def test_usage_is_the_same_from_the_pages_the_console_and_both(loader: Loader, store: Store, fixtures: Path, names: list[str],
                                                              tiers: set[str | None]) -> None:
    outcomes = loader.load(find_files([fixtures / "billing/anthropic" / name for name in names]))
    assert {(o.status, o.rejected) for o in outcomes} == {("loaded", 0)}
    assert store.query(TOKENS).row(0) == (890_000, 2_000_000, 100_000, 50_000, 197_000)
    assert set(store.query("select service_tier from billed_usage")["service_tier"]) == tiers


def test_the_console_bill_is_in_dollars_with_names_for_models_and_workspaces(loader: Loader, store: Store, fixtures: Path) -> None:
    [outcome] = loader.load(find_files([fixtures / "billing/anthropic/console_cost.csv"]))
    assert (outcome.collector, outcome.rows, outcome.total, outcome.currency) == ("anthropic_cost_csv", 12, Decimal("4.795"), "USD")
    models = dict(store.query("select model, sum(billed_cost) from charges group by 1").rows())
    assert models == {"claude-sonnet-4-5": Decimal("3.825"), "claude-haiku-4-5": Decimal("0.97")}
    assert set(store.query("select project from charges")["project"]) == {"Research", None}
    assert store.query("select sum(list_cost) = sum(billed_cost) and bool_and(service_tier = 'standard') from charges").item()


def test_the_api_and_the_console_tell_the_same_costs_once(loader: Loader, store: Store, fixtures: Path) -> None:
    folder = fixtures / "billing/anthropic"
    loader.load(find_files([folder / "console_cost.csv", folder / "cost_report.json"]))
    assert billed(store) == Decimal("5.265")


def test_claude_code_analytics_are_estimates_and_no_bill(loader: Loader, store: Store, fixtures: Path) -> None:
    [outcome] = loader.load(find_files([fixtures / "billing/anthropic/claude_code_usage.json"]))
    assert (outcome.collector, outcome.rows, outcome.rejected) == ("anthropic_claude_code", 2, 0)
    assert (outcome.total, outcome.currency) == (Decimal("0.91"), "USD")
    assert billed(store) == 0
    assert store.query("select count(*) from reported_usage").item() == 0, "the usage report tells the same calls"
    keys = store.query("select api_key_id from billed_usage order by 1 nulls last")["api_key_id"].to_list()
    assert keys == ["ci-bot", None], "the address of a person is not kept"
    assert exports(store).days == {}


def test_a_day_of_claude_code_loaded_again_replaces_itself(loader: Loader, store: Store, tmp_path: Path, fixtures: Path) -> None:
    report = json.loads((fixtures / "billing/anthropic/claude_code_usage.json").read_text())
    load_page(loader, tmp_path / "first.json", report)
    report["data"][0]["model_breakdown"] = []
    report["data"][1]["model_breakdown"][0]["tokens"]["input"] = 7
    load_page(loader, tmp_path / "second.json", report)
    assert store.query("select uncached_input_tokens from billed_usage")["uncached_input_tokens"].to_list() == [7]


def test_a_report_sent_again_replaces_its_days_and_no_others(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_page(loader, tmp_path / "cost.json", page(cost(1, "100"), cost(2, "200", "300"), has_more=True))
    load_page(loader, tmp_path / "cost.json", page(cost(3, "400")))
    load_page(loader, tmp_path / "cost.json", page(cost(2, "250"), cost(4)))
    assert billed(store) == Decimal("7.5")
    load_page(loader, tmp_path / "cost.json", page(cost(1), cost(2)))
    assert billed(store) == 4, "empty buckets take back what was there"


def test_a_day_cut_by_the_end_of_a_page_adds_up_in_any_order_of_the_files(loader: Loader, store: Store, tmp_path: Path) -> None:
    pages = {"page_10": page(cost(2, "400"), cost(3, "800")), "page_8": page(cost(1, "100"), cost(2, "200"), has_more=True),
             "page_9": page(cost(2, "50"), has_more=True)}
    for name, content in pages.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    loader.load(find_files([tmp_path]))
    assert billed(store) == Decimal("15.5")


def test_pages_that_name_their_organizations_do_not_replace_each_other(loader: Loader, store: Store, tmp_path: Path) -> None:
    for organization in ("org-a", "org-b"):
        load_page(loader, tmp_path / "cost.json", page(cost(1, "100")) | {"organization_id": organization})
    assert billed(store) == 2
    assert set(store.query("select billing_account_id from charges")["billing_account_id"]) == {"org-a", "org-b"}


@pytest.mark.parametrize(("name", "collector"), [("cost_page_3.json", "anthropic_cost_report"), ("usage_page_3.json",
                                                                                                 "anthropic_usage_report")])
def test_a_page_without_any_result_is_told_by_its_name(loader: Loader, tmp_path: Path, name: str, collector: str) -> None:
    outcome = load_page(loader, tmp_path / name, page(cost(1), cost(2)))
    assert (outcome.status, outcome.collector, outcome.rows) == ("loaded", collector, 0)


def test_the_same_pages_again_change_nothing(loader: Loader, store: Store) -> None:
    files = find_files([BILLS / "anthropic"])
    loader.load(files)
    before = store.query("select * from charges order by all").rows()
    assert {o.status for o in loader.load(files)} == {"already loaded"}
    assert store.query("select * from charges order by all").rows() == before


def test_a_wrong_amount_is_rejected_and_a_missing_column_is_named(loader: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load_page(loader, tmp_path / "cost.json", page(cost(1, "100", "a lot")))
    assert (outcome.status, outcome.rows, [r.reason for r in outcome.rejects]) == ("partial", 1, ["amount is not an amount"])
    outcome = load_text(loader, tmp_path / "console.csv", CONSOLE + "2026-10-33,Claude Haiku 4.5,W,k,message,,output,1,1,token,k\n"
                                                                     "2026-10-01,Claude Haiku 4.5,W,k,batch,,output,1,1,token,k\n")
    assert (outcome.status, outcome.rows, [r.reason for r in outcome.rejects]) == ("partial", 1, ["usage_date_utc is not a date"])
    outcome = load_text(loader, tmp_path / "console.csv", CONSOLE.replace("cost_usd", "cost"), collector="anthropic_cost_csv")
    assert (outcome.status, "column cost_usd is missing" in outcome.message) == ("failed", True)


def test_negative_tokens_are_rejected_and_the_rest_is_loaded(loader: Loader, store: Store, tmp_path: Path, fixtures: Path) -> None:
    report = json.loads((fixtures / "billing/anthropic/usage_report_messages_page_1.json").read_text())
    bucket = next(bucket for bucket in report["data"] if bucket["results"])
    bucket["results"][0]["output_tokens"] = -5
    outcome = load_page(loader, tmp_path / "usage_report.json", report)
    assert (outcome.status, [reject.reason for reject in outcome.rejects]) == ("partial", ["negative usage"])
