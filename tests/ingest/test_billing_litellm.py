"""LiteLLM's spend logs, through the loader into a ledger."""

import json
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
from tests.ingest.bills import TOKEN_CLASSES, load_text
from tests.ingest.tables import assert_truncated_parquet_leaves_nothing, csv_of, lines_of

ROW = {
    "request_id": "r1", "call_type": "acompletion", "api_key": "hash1", "spend": "0.0066", "prompt_tokens": "1200",
    "completion_tokens": "200", "startTime": "2026-10-01 10:00:00.000", "endTime": "2026-10-01 10:00:02.000",
    "model": "claude-sonnet-4-5-20250929", "custom_llm_provider": "anthropic", "metadata": "{}", "cache_hit": "False", "team_id": "team-1",
    "status": "success",
}  # fmt: skip


def usage(**said: Any) -> str:
    return json.dumps({"usage_object": said})


def tokens(row: dict[str, Any]) -> tuple[int | None, ...]:
    return tuple(row[f"{name}_tokens"] for name in TOKEN_CLASSES)


def test_the_sample_keeps_its_totals_without_what_a_response_cache_answered(loader: Loader, store: Store, fixtures: Path) -> None:
    [outcome] = loader.load(find_files([fixtures / "billing/litellm/spend_logs.csv"]))
    assert (outcome.collector, outcome.rejected, outcome.total, outcome.currency) == ("litellm_spend_logs", 0, Decimal("0.00825"), "USD")
    anthropic, openai = lines_of(store, "billed_usage")
    assert (anthropic["provider"], anthropic["model"], anthropic["requests"], tokens(anthropic)) == (
        "anthropic", "claude-sonnet-4-5", 1, (1200, 0, None, None, 200))
    assert (openai["provider"], openai["model"], openai["requests"], tokens(openai)) == ("openai", "gpt-4o", 2, (952, 2048, None, None, 50))
    told = store.query("select sum(uncached_input_tokens + cache_read_tokens), sum(output_tokens) from billed_usage").row(0)
    answered_by_the_cache = (1200, 200)
    assert tuple(a + b for a, b in zip(told, answered_by_the_cache, strict=True)) == (5400, 450)
    assert lines_of(store) == [], "estimates are no charges"


@pytest.mark.parametrize(("metadata", "expected"), [
    ("{}", (1200, None, None, None, 200)),
    (usage(cache_read_input_tokens=1000, cache_creation_input_tokens=100), (100, 1000, 100, None, 200)),
    (usage(cache_read_input_tokens=5000), (1200, 5000, None, None, 200)),
    (usage(prompt_tokens_details={"cached_tokens": 1000}), (200, 1000, None, None, 200)),
    (usage(cache_creation_input_tokens=100, prompt_tokens_details={"cache_creation_token_details": {"ephemeral_1h_input_tokens": 60}}),
     (1100, None, 40, 60, 200)),
])
def test_cached_tokens_are_part_of_the_prompt_and_told_only_in_the_usage_object(
        loader: Loader, store: Store, tmp_path: Path, metadata: str, expected: tuple[int | None, ...]) -> None:
    load_text(loader, tmp_path / "logs.csv", csv_of(ROW, {"metadata": metadata}))
    [row] = lines_of(store, "billed_usage")
    assert tokens(row) == expected


@pytest.mark.parametrize(("name", "provider"), [("bedrock", "aws.bedrock"), ("azure", "azure.ai.openai"), ("vertex_ai", "gcp.vertex_ai"),
                                                ("moonlight", "moonlight")])
def test_the_provider_is_named_as_in_the_traces(loader: Loader, store: Store, tmp_path: Path, name: str, provider: str) -> None:
    load_text(loader, tmp_path / "logs.csv", csv_of(ROW, {"custom_llm_provider": name}))
    assert [row["provider"] for row in lines_of(store, "billed_usage")] == [provider]


def test_a_request_told_twice_counts_once_and_a_later_export_replaces_its_hours(loader: Loader, store: Store, tmp_path: Path) -> None:
    text = csv_of(ROW, {}, {}, {"request_id": "r2", "startTime": "2026-10-01 12:10:00"})
    load_text(loader, tmp_path / "logs.csv", text)
    assert [(row["bucket_start"], row["requests"]) for row in lines_of(store, "billed_usage")] == [
        (datetime(2026, 10, 1, 10), 1), (datetime(2026, 10, 1, 12), 1)]
    assert load_text(loader, tmp_path / "copy.csv", text).status == "already loaded"
    load_text(loader, tmp_path / "again.csv", csv_of(ROW, {"prompt_tokens": "5"}, {"request_id": "r3", "startTime": "2026-10-01 11:00:00"}))
    assert [row["uncached_input_tokens"] for row in lines_of(store, "billed_usage")] == [5, 1200, 1200]


def test_floats_come_as_the_decimals_that_they_show(loader: Loader, store: Store, tmp_path: Path) -> None:
    assert load_text(loader, tmp_path / "logs.csv", csv_of(ROW, {"spend": "1e-7"}, {"request_id": "r2", "spend": "2.0000000000000002e-07"})
                     ).total == Decimal("0.0000003")
    row = {**ROW, "spend": 0.1, "prompt_tokens": 1200, "completion_tokens": 200}
    pq.write_table(pa.Table.from_pylist([row | {"request_id": str(n)} for n in range(3)]), tmp_path / "logs.parquet")
    assert loader.load(find_files([tmp_path / "logs.parquet"]))[0].total == Decimal("0.3")


def test_broken_rows_are_rejected_a_missing_column_is_named_and_a_truncated_file_leaves_nothing(
        loader: Loader, store: Store, tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([ROW | {"request_id": str(n)} for n in range(60)]), tmp_path / "logs.parquet")
    assert_truncated_parquet_leaves_nothing(loader, store, tmp_path / "logs.parquet")
    outcome = load_text(loader, tmp_path / "logs.csv", csv_of(
        ROW, {}, {"spend": "much"}, {"prompt_tokens": "-5"}, {"spend": "-1"}, {"metadata": "{'python': 1}"}))
    assert [(r.position, r.reason) for r in outcome.rejects] == [
        (3, "spend is not an amount"), (4, "negative tokens"), (5, "negative spend"), (6, "metadata is not JSON")]
    outcome = load_text(loader, tmp_path / "less.csv", csv_of(ROW, {}, without=["spend"]))
    assert (outcome.status, "spend is missing" in outcome.message) == ("failed", True)
