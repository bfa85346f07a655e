"""OpenAI's bills and usage reports, through the loader into a ledger."""

import csv
import json
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.load import Loader
from ingest.sources import find_files
from ingest.store import Store
from tests.ingest.bills import BILLS, MONTHS, billed, by_month, load_page, load_text, reported_tokens, true_by_month, true_tokens

DAY = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp())
HEADER = ("start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,"
          "project_id,organization_id,organization_name")
FIXTURE_DAYS = "2026-10-01_2026-10-05"


def cost_csv(*lines: tuple[int, str, str], organization: str = "org-1") -> str:
    """An export: (day, amount, line item) of one organization; a blank amount is a day without costs."""
    rows = []
    for day, amount, line_item in lines:
        start = DAY + day * 86400
        end = start + 86400
        about = f'{amount},usd,"{line_item}",proj_a,{organization},Org' if amount else ",,,,,"
        rows.append(f"{start},{end},{_iso(start)},{_iso(end)},{about}")
    return "\n".join([HEADER, *rows]) + "\n"


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def costs_page(*buckets: tuple[int, list[tuple[str, str]]], has_more: bool = False) -> dict[str, Any]:
    """A page: days with (amount, line item) of their results."""
    return {"object": "page", "has_more": has_more, "next_page": "page_2" if has_more else None, "data": [
        {"object": "bucket", "start_time": DAY + day * 86400, "end_time": DAY + (day + 1) * 86400, "results": [
            {"object": "organization.costs.result", "amount": {"value": float(amount), "currency": "usd"}, "line_item": line_item,
             "project_id": "proj_a"} for amount, line_item in results]}
        for day, results in buckets]}


def test_the_sample_bills_agree_with_their_truth_by_month_project_and_model(loader: Loader, store: Store) -> None:
    outcomes = loader.load(find_files([BILLS / "openai"]))
    assert {(o.status, o.rejected, o.collector) for o in outcomes} == {("loaded", 0, "openai_cost_csv"), ("loaded", 0, "openai_usage_csv")}
    assert by_month(store, "provider") == {(month, "openai"): Decimal(truth["providers"]["openai"]["billed_usd"])
                                           for month, truth in MONTHS.items()}
    assert by_month(store, "project") == true_by_month("openai", "by_project_usd")
    models = {key: amount for key, amount in by_month(store, "model").items() if key[1] is not None}
    assert models == true_by_month("openai", "by_model")
    assert billed(store, "unit_class = 'search'") == sum(Decimal(t["providers"]["openai"]["bridge"]["non_token"]) for t in MONTHS.values())
    assert reported_tokens(store) == true_tokens("openai", "usage_report_tokens")
    assert billed(store, "unit_class = 'other'") == 0


def test_every_known_line_item_is_read_as_its_author_meant(loader: Loader, store: Store, tmp_path: Path, fixtures: Path) -> None:
    expected = list(csv.DictReader((fixtures / "billing/openai/line_items.csv").open()))
    outcome = load_text(loader, tmp_path / "cost.csv", cost_csv(*((0, "1", row["line_item"]) for row in expected)))
    assert outcome.rows == len(expected)
    read = {row["charge_description"]: row for row in store.query("select * from charges").rows(named=True)}
    classes = {"input": ("uncached_input", None), "cache_read": ("cache_read", None), "cache_write": ("cache_write_5m", None),
               "output": ("output", None), "audio": (None, "audio"), "tool": (None, "search"), "storage": (None, "storage")}
    for row in expected:
        line = read[row["line_item"]]
        assert (line["token_class"], line["unit_class"]) == classes[row["token_class"]], row
        assert line["service_tier"] == (row["tier"] or None), row
        assert line["model"] is None if not row["model"] else row["model"].startswith(line["model"]), row


@pytest.mark.parametrize(("line_item", "model", "token_class", "unit_class"), [
    ("gpt-4o-2024-08-06, input_tokens", "gpt-4o", "uncached_input", None),
    ("gpt-4o-2024-08-06, something new", "gpt-4o", None, "other"),
    ("moon phase calls", None, None, "other"),
    ("", None, None, "other"),
])
def test_a_line_item_that_nobody_knows_is_kept_as_other_and_never_guessed(
        loader: Loader, store: Store, tmp_path: Path, line_item: str, model: str | None, token_class: str | None,
        unit_class: str | None) -> None:
    load_text(loader, tmp_path / "cost.csv", cost_csv((0, "1.25", line_item)))
    assert store.query("select model, token_class, unit_class, usd_billed_cost from charges").rows() == [
        (model, token_class, unit_class, Decimal("1.25"))]


def test_a_charge_carries_its_month_its_currency_in_capitals_and_no_list_price(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(loader, tmp_path / "cost.csv", cost_csv((3, "0.5", "gpt-4o-2024-08-06, input")))
    [row] = store.query("select * from charges").rows(named=True)
    assert (row["billing_currency"], row["billed_cost"], row["effective_cost"], row["list_cost"]) == ("USD", Decimal("0.5"),
                                                                                                      Decimal("0.5"), None)
    assert (row["billing_period_start"], row["billing_period_end"]) == (datetime(2026, 10, 1), datetime(2026, 11, 1))
    assert (row["charge_period_start"], row["charge_period_end"]) == (datetime(2026, 10, 4), datetime(2026, 10, 5))
    assert (row["billing_account_id"], row["project"], row["invoice_issuer_name"], row["charge_category"]) == ("org-1",
                                                                                                               "proj_a", "OpenAI", "Usage")


def test_one_thousandth_of_a_cent_survives_as_decimal(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(loader, tmp_path / "cost.csv", cost_csv(*[(0, "0.0000001", "gpt-4o, input")] * 3, (0, "1e-7", "gpt-4o, output")))
    assert billed(store) == Decimal("0.0000004")


exports = st.lists(st.tuples(st.sampled_from(["org-1", "org-2"]), st.dictionaries(
    st.integers(0, 4), st.lists(st.integers(0, 99), max_size=3), min_size=1)), min_size=1, max_size=5)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(exports)
def test_the_latest_export_of_an_organization_and_day_holds_whatever_came_before(
        loader: Loader, store: Store, tmp_path: Path, exports: list[tuple[str, dict[int, list[int]]]]) -> None:
    with store.transaction() as cursor:
        cursor.execute("delete from charges; delete from loads")
    expected: dict[tuple[str, int], Decimal] = {}
    for number, (organization, days) in enumerate(exports):
        has_lines = any(days.values())
        lines = [(day, f"{cents}e-2" if cents is not None else "", f"gpt-4o, input {number}")
                 for day, amounts in days.items() for cents in amounts or [None]]
        load_text(loader, tmp_path / "cost.csv", cost_csv(*lines, organization=organization))
        if has_lines:  # an export of blank days only does not say whose they are
            expected |= {(organization, day): sum((Decimal(cents) / 100 for cents in amounts), Decimal(0)) for day, amounts in days.items()}
    found = {(org, (start - datetime(2026, 10, 1)).days): amount for org, start, amount in store.query(
        "select billing_account_id, charge_period_start, sum(billed_cost) from charges group by 1, 2").rows()}
    assert found == {key: amount for key, amount in expected.items() if amount or key in found}


def test_an_export_by_the_hour_replaces_the_day_and_the_other_way_round(loader: Loader, store: Store, tmp_path: Path) -> None:
    hours = [DAY + 3600 * hour for hour in range(24)]
    hourly = "\n".join([HEADER, *(f'{t},{t + 3600},{_iso(t)},{_iso(t + 3600)},0.01,usd,"gpt-4o, input",proj_a,org-1,Org' for t in hours)])
    load_text(loader, tmp_path / "cost.csv", cost_csv((0, "9", "gpt-4o, input"), (1, "2", "gpt-4o, input")))
    load_text(loader, tmp_path / "cost.csv", hourly)
    assert billed(store) == Decimal("2.24")
    load_text(loader, tmp_path / "cost.csv", cost_csv((0, "9", "gpt-4o, input")))
    assert billed(store) == 11


def test_a_blank_day_takes_back_what_was_charged_and_is_no_reject(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(loader, tmp_path / "cost.csv", cost_csv((0, "1", "gpt-4o, input"), (1, "2", "gpt-4o, input")))
    outcome = load_text(loader, tmp_path / "cost.csv", cost_csv((0, "1", "gpt-4o, input"), (1, "", "")))
    assert (outcome.status, outcome.rows, outcome.rejected) == ("loaded", 1, 0)
    assert billed(store) == 1
    covered = json.loads(store.query("select slice from loads order by id desc limit 1").item())
    assert covered["charge_period_end_to"].startswith("2026-10-03"), "the blank day counts as exported"


def test_the_api_and_the_dashboard_tell_the_same_costs_once(loader: Loader, store: Store, fixtures: Path) -> None:
    folder = fixtures / "billing/openai"
    names = [f"cost_{FIXTURE_DAYS}.csv", f"cost_by_line_item_{FIXTURE_DAYS}.csv", "costs_by_line_item.json"]
    outcomes = loader.load(find_files([folder / name for name in names]))
    assert {o.total for o in outcomes} == {Decimal("0.4905")}
    assert billed(store) == Decimal("0.4905")
    tokens = store.query("select token_class, sum(consumed_quantity) from charges where consumed_unit = 'Tokens' group by 1").rows()
    assert dict(tokens) == {"uncached_input": 212_000, "cache_read": 28_000, "output": 90_000}


@pytest.mark.parametrize("names", [[f"completions_usage_{FIXTURE_DAYS}.csv"], ["usage_completions_page_1.json",
                                                                               "usage_completions_page_2.json"],
                                   [f"completions_usage_{FIXTURE_DAYS}.csv", "usage_completions_page_1.json",
                                    "usage_completions_page_2.json"]])
def test_usage_is_the_same_from_the_export_the_pages_and_both(loader: Loader, store: Store, fixtures: Path, names: list[str]) -> None:
    outcomes = loader.load(find_files([fixtures / "billing/openai" / name for name in names]))
    assert {(o.status, o.rejected) for o in outcomes} == {("loaded", 0)}
    row = store.query("""select sum(requests), sum(uncached_input_tokens), sum(cache_read_tokens), sum(cache_write_5m_tokens),
                                sum(output_tokens) from billed_usage""").row(0)
    assert row == (80, 212_000, 28_000, 0, 90_000)
    assert store.query("select service_tier from billed_usage")["service_tier"].to_list() == ["standard"] * 4


def test_an_export_without_any_usage_has_four_columns_and_is_covered(loader: Loader, store: Store, fixtures: Path) -> None:
    [outcome] = loader.load(find_files([fixtures / "billing/openai/completions_usage_2026-10-05_2026-10-06.csv"]))
    assert (outcome.status, outcome.collector, outcome.rows, outcome.rejected) == ("loaded", "openai_usage_csv", 0, 0)
    assert "2026-10-05" in store.query("select slice from loads").item()


@pytest.mark.parametrize(("name", "collector", "requests", "tokens"), [
    ("completions", "openai_usage", 5, (500, 400, 100, 500)), ("embeddings", "openai_usage_embeddings", 2, (16, None, None, None)),
    ("moderations", "openai_usage_moderations", 2, (16, None, None, None)), ("images", "openai_usage_images", 2, (None,) * 4),
    ("audio_speeches", "openai_usage_audio_speeches", 1, (None,) * 4), ("audio_transcriptions",
                                                                        "openai_usage_audio_transcriptions", 1, (None,) * 4),
    ("vector_stores", "openai_usage_vector_stores", None, (None,) * 4), ("file_search_calls", "openai_usage_file_searches",
                                                                         None, (None,) * 4),
    ("code_interpreter_sessions", "openai_usage_code_interpreter_sessions", None, (None,) * 4),
    ("web_search_calls", "openai_usage_web_searches", None, (None,) * 4)])
def test_each_usage_report_is_known_and_what_it_does_not_tell_stays_unknown(
        loader: Loader, store: Store, fixtures: Path, name: str, collector: str, requests: int | None,
        tokens: tuple[int | None, ...]) -> None:
    [outcome] = loader.load(find_files([fixtures / f"billing/openai/api_example_{name}.json"]))
    assert (outcome.collector, outcome.rows) == (collector, 1)
    assert store.query("""select requests, uncached_input_tokens, cache_read_tokens, cache_write_5m_tokens, output_tokens
                          from billed_usage""").row(0) == (requests, *tokens)


def test_reports_of_one_day_stand_side_by_side(loader: Loader, store: Store, fixtures: Path) -> None:
    for name in ("completions", "embeddings", "moderations"):
        loader.load(find_files([fixtures / f"billing/openai/api_example_{name}.json"]))
    assert store.query("select count(*) as n, sum(requests) as requests from billed_usage").row(0) == (3, 9)


results = st.lists(st.tuples(st.integers(1, 99).map(str), st.sampled_from(["gpt-4o, input", "gpt-4o, output"])), max_size=4)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(results, min_size=1, max_size=4), st.lists(st.integers(0, 16), max_size=3))
def test_the_pages_of_a_report_add_up_wherever_they_are_cut(
        loader: Loader, store: Store, tmp_path: Path, days: list[list[tuple[str, str]]], cuts: list[int]) -> None:
    with store.transaction() as cursor:
        cursor.execute("delete from charges; delete from loads")
    for old in tmp_path.glob("*.json"):
        old.unlink()
    flat = [(day, result) for day, results in enumerate(days) for result in results or [None]]
    edges = sorted({0, len(flat), *(cut for cut in cuts if cut < len(flat))})
    for number, (first, last) in enumerate(pairwise(edges)):
        part = flat[first:last]
        buckets = [(day, [result for d, result in part if d == day and result]) for day in dict.fromkeys(day for day, _ in part)]
        (tmp_path / f"costs_{number}.json").write_text(json.dumps(costs_page(*buckets, has_more=last < len(flat))))
    outcomes = loader.load(find_files(sorted(tmp_path.glob("*.json"))))
    assert {o.status for o in outcomes} <= {"loaded", "already loaded"}
    assert billed(store) == sum(Decimal(amount) for results in days for amount, _ in results)


def test_the_second_page_alone_leaves_the_days_of_the_first(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_page(loader, tmp_path / "costs.json", costs_page((0, [("1", "gpt-4o, input")]), (1, [("2", "gpt-4o, input")]), has_more=True))
    load_page(loader, tmp_path / "costs.json", costs_page((2, [("4", "gpt-4o, input")]), (3, [])))
    assert billed(store) == 7
    load_page(loader, tmp_path / "costs.json", costs_page((2, [("5", "gpt-4o, input")]), (3, [])))
    assert billed(store) == 8, "restated, not added"


def test_overlapping_reports_in_one_folder_count_a_day_once(loader: Loader, store: Store, tmp_path: Path) -> None:
    (tmp_path / "costs_1.json").write_text(json.dumps(costs_page((0, [("1", "gpt-4o, input")]), (1, [("2", "gpt-4o, input")]))))
    (tmp_path / "costs_2.json").write_text(json.dumps(costs_page((1, [("3", "gpt-4o, input")]), (2, [("4", "gpt-4o, input")]))))
    loader.load(find_files([tmp_path]))
    assert billed(store) == 8


def test_a_row_that_cannot_be_read_is_rejected_and_the_rest_is_loaded(loader: Loader, store: Store, tmp_path: Path) -> None:
    page = costs_page((0, [("1", "gpt-4o, input"), ("2", "gpt-4o, output")]), (1, [("4", "gpt-4o, input")]))
    page["data"][0]["results"][1]["amount"]["value"] = "two"
    page["data"][1]["start_time"] = None
    outcome = load_page(loader, tmp_path / "costs.json", page)
    assert (outcome.status, outcome.rows, outcome.rejected) == ("partial", 1, 2)
    assert [r.reason for r in outcome.rejects] == ["amount_value is not an amount", "start_time is empty"]
    assert billed(store) == 1


def test_a_document_of_another_shape_is_refused_by_name(loader: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load_page(loader, tmp_path / "costs.json", {"data": [{"start_time": 1}]})
    assert outcome.status == "failed"
    outcome = load_text(loader, tmp_path / "costs.json", json.dumps({"data": [{"start_time": 2}]}), collector="openai_costs")
    assert (outcome.status, "no page of buckets with start_time and end_time" in outcome.message) == ("failed", True)
    assert billed(store) == 0


def test_batch_use_is_its_own_tier(loader: Loader, store: Store, tmp_path: Path, fixtures: Path) -> None:
    page = json.loads((fixtures / "billing/openai/usage_completions_page_1.json").read_text())
    first = page["data"][0]["results"]
    first[0]["batch"], first[1]["service_tier"] = True, "priority"
    load_page(loader, tmp_path / "usage.json", page)
    assert sorted(store.query("select service_tier from billed_usage")["service_tier"]) == ["batch", "priority", "standard"]


def test_negative_tokens_a_turned_bucket_and_an_amount_of_no_currency_are_rejected(
        loader: Loader, store: Store, tmp_path: Path, fixtures: Path) -> None:
    page = json.loads((fixtures / "billing/openai/usage_completions_page_1.json").read_text())
    first = next(bucket for bucket in page["data"] if bucket["results"])
    first["results"][0]["input_tokens"] = -5
    outcome = load_page(loader, tmp_path / "usage.json", page)
    assert [reject.reason for reject in outcome.rejects] == ["negative usage"]
    costs = costs_page((0, [("1", "gpt-4o, input"), ("2", "gpt-4o, output")]), (1, [("4", "gpt-4o, input")]))
    costs["data"][0]["results"][1]["amount"]["currency"] = None
    costs["data"][1]["end_time"] = costs["data"][1]["start_time"] - 1
    outcome = load_page(loader, tmp_path / "costs.json", costs)
    assert [reject.reason for reject in outcome.rejects] == ["an amount without a currency", "the bucket ends before it starts"]
    assert billed(store) == 1
