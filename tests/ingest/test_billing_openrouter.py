"""OpenRouter's activity, through the loader into a ledger."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from ingest.load import Loader
from ingest.sources import find_files
from ingest.store import Store
from tests.ingest.bills import billed, load_page
from tests.ingest.tables import lines_of

ROW = {"date": "2026-10-01", "model": "openai/gpt-4.1", "model_permaslug": "openai/gpt-4.1-2025-04-14", "endpoint_id": "e1",
       "provider_name": "OpenAI", "usage": 0.021, "byok_usage_inference": 0.0, "requests": 6, "prompt_tokens": 6000,
       "completion_tokens": 1125, "reasoning_tokens": 0}


def page(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"data": [{**ROW, **row} for row in rows]}


def test_the_sample_keeps_its_totals(loader: Loader, store: Store, fixtures: Path) -> None:
    [outcome] = loader.load(find_files([fixtures / "billing/openrouter/activity.json"]))
    assert (outcome.collector, outcome.rows, outcome.rejected, outcome.total) == ("openrouter_activity", 2, 0, Decimal("0.051"))
    assert billed(store) == Decimal("0.051"), "what the customer's own key paid is on another bill"
    sums = store.query("select sum(requests), sum(uncached_input_tokens), sum(output_tokens) from billed_usage").row(0)
    assert tuple(map(int, sums)) == (8, 11_000, 2125)
    assert store.query("select sum(cache_read_tokens) from billed_usage").item() is None


def test_a_line_is_what_it_says(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_page(loader, tmp_path / "activity.json", page({}))
    [row] = lines_of(store)
    assert (row["provider"], row["model"], row["billed_cost"], row["usd_effective_cost"]) == (
        "openrouter", "gpt-4.1", Decimal("0.021"), Decimal("0.021"))
    assert (row["charge_period_start"], row["charge_period_end"]) == (datetime(2026, 10, 1), datetime(2026, 10, 2))
    assert (row["consumed_quantity"], row["token_class"]) == (7125, None), "the price of one class is not told"
    [used] = lines_of(store, "billed_usage")
    assert (used["model"], used["requests"], used["source"]) == ("gpt-4.1", 6, "openrouter_usage")


def test_a_later_answer_replaces_its_days_in_dollars_and_tokens(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_page(loader, tmp_path / "1.json", page({}, {"date": "2026-10-02", "usage": 1}))
    load_page(loader, tmp_path / "2.json", page({"date": "2026-10-02", "usage": 2, "requests": 3}))
    assert billed(store) == Decimal("2.021")
    assert store.query("select sum(requests) from billed_usage").item() == 9
    [outcome] = loader.load(find_files([tmp_path / "2.json"]))
    assert (outcome.status, billed(store)) == ("already loaded", Decimal("2.021"))


def test_broken_rows_are_rejected_and_a_missing_column_is_named(loader: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load_page(loader, tmp_path / "1.json", page({}, {"usage": "much"}, {"usage": -1}, {"prompt_tokens": -1},
                                                          {"reasoning_tokens": 9999}))
    assert [r.reason for r in outcome.rejects] == ["usage is not an amount", "negative usage", "negative tokens",
                                                   "more reasoning than completion"]
    assert (outcome.status, outcome.rows, billed(store)) == ("partial", 1, Decimal("0.021"))
    less = {"data": [{name: value for name, value in ROW.items() if name != "usage"}]}
    assert load_page(loader, tmp_path / "2.json", less).status == "failed"
    [outcome] = loader.load(find_files([tmp_path / "2.json"]), collector="openrouter_activity")
    assert (outcome.status, "column usage is missing" in outcome.message) == ("failed", True)
