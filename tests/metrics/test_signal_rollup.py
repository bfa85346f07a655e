"""Daily signals beside the calls: tools, calls per trace, retrieval and evaluation scores, whatever comes first."""

from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import Any

import pytest

from ingest import rollup
from ingest.attribution import Attribution, Rule
from ingest.otlp.commit import SpanLedger
from ingest.otlp.span import Span
from ingest.store import Store
from tests.ingest.otlp_spans import NOON_US, make_span

MIDNIGHT = datetime(2026, 9, 22)
UNTIL_MIDNIGHT_MS = (MIDNIGHT - datetime(1970, 1, 1)).total_seconds() * 1000 - NOON_US / 1000
SIGNALS = "select day, system, model, prompt_version, signal, bin, n from signal_day order by all"
JUDGED = {"evaluated_at": datetime(2030, 1, 1), "name": "faithfulness", "evaluator_kind": "llm", "evaluator_version": "v2"}
EVALUATIONS: tuple[dict[str, Any], ...] = (
    {"evaluation_id": "1", "response_id": "r-1", "score": 0.5, **JUDGED},
    {"evaluation_id": "2", "trace_id": "t", "score": 0.9, **JUDGED},
    {"evaluation_id": "3", "response_id": "r-1", "score": 4.0, **JUDGED},  # no score from 0 to 1
    {"evaluation_id": "4", "response_id": "r-1", "score": 0.1, **JUDGED, "error": "timeout"},
    {"evaluation_id": "5", "response_id": "r-1", "score": 0.1, **JUDGED, "evaluator_kind": "human"},
)


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store(":memory:")
    yield store
    store.close()


def chat(number: int) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.id": f"r-{number}",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 10 * number,
    }


def trace() -> list[Span]:
    """A request just before midnight whose tool, search and second answer come just after it."""
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look_up"}
    search = {
        "openinference.span.kind": "RETRIEVER",
        "retrieval.documents.0.document.id": "d",
        "retrieval.documents.0.document.score": 0.71,
    }
    return [
        make_span({"openinference.span.kind": "AGENT"}, id="top", at_ms=UNTIL_MIDNIGHT_MS - 2_000, ms=9_000),
        make_span(chat(1), id="first", parent="top", at_ms=UNTIL_MIDNIGHT_MS - 1_000, ms=500),
        make_span(tool, id="tool", parent="top", at_ms=UNTIL_MIDNIGHT_MS + 1_000),
        make_span(search, id="search", parent="top", at_ms=UNTIL_MIDNIGHT_MS + 2_000),
        make_span(chat(2), id="second", parent="top", at_ms=UNTIL_MIDNIGHT_MS + 3_000),
        make_span({**chat(3), "gen_ai.operation.name": "embeddings"}, id="embedding", trace="other", at_ms=UNTIL_MIDNIGHT_MS + 4_000),
    ]


def write(store: Store, spans: list[Span]) -> None:
    ledger = SpanLedger(b"a key for tests", Attribution([Rule({"service": "shop"}, {"system": "shop"})]))
    with store.transaction() as cursor:
        rollup.rebuild(cursor, ledger.write(cursor, spans, 1).changed)


def judge(store: Store, number: int = 7) -> None:
    with store.transaction() as cursor:
        for row in EVALUATIONS:
            columns = {**row, "load_id": number}
            cursor.execute(
                f"insert into evaluations ({', '.join(columns)}) values ({', '.join('?' * len(columns))})", list(columns.values())
            )
        rollup.rebuild(cursor, rollup.judged(cursor, number))


def test_what_a_trace_did_counts_on_the_day_of_the_call_that_started_it(store: Store) -> None:
    write(store, trace())
    judge(store)
    found = store.query(SIGNALS).to_dicts()
    first, second = sorted({row["day"] for row in found})
    by_signal = {(row["day"], row["signal"]): (row["bin"], row["n"]) for row in found if row["signal"] not in ("latency_ms", "error")}
    assert by_signal[first, "tool"] == ("look_up", 1)
    assert by_signal[first, "calls_per_trace"] == ("36", 1)  # 1.02 to the 36th is the first above two
    assert by_signal[first, "retrieval_score"] == ("142", 1)
    assert by_signal[first, "finish_reason"] == by_signal[second, "finish_reason"] == ("stop", 1)
    scores = sorted((row["day"], row["bin"]) for row in found if row["signal"] == "evaluation:faithfulness@v2")
    assert scores == [(first, "100"), (first, "180")]
    assert {row["system"] for row in found} == {"shop"}
    assert not [row for row in found if row["day"] == second and row["signal"] in ("tool", "retrieval_score")]


def test_embeddings_and_failed_calls_are_no_distribution_of_answers(store: Store) -> None:
    failed = make_span({**chat(5), "error.type": "timeout"}, id="failed", trace="f", status=2)
    write(store, [*trace()[-1:], failed])
    assert {row[0] for row in store.query("select distinct signal from signal_day").rows()} == {"error", "calls_per_trace"}


def test_any_order_of_spans_and_evaluations_gives_the_same_signals(store: Store) -> None:
    write(store, trace())
    judge(store)
    expected = store.query(SIGNALS).rows()
    for seed in range(6):
        chance, other = Random(seed), Store(":memory:")
        parts = chance.sample(trace(), len(trace()))
        if seed % 2:
            judge(other)
        for span in parts:
            write(other, [span])
        if not seed % 2:
            judge(other)
        with other.transaction() as cursor:
            assert other.query(SIGNALS).rows() == expected
            rollup.rebuild_all(cursor)
        assert other.query(SIGNALS).rows() == expected
        other.close()


def test_comparisons_of_a_changed_day_and_later_days_are_dropped(store: Store) -> None:
    with store.transaction() as cursor:
        for day in (1, 2):
            cursor.execute("insert into drift_results (run_id, as_of) values (?, ?)", [f"day {day}", datetime(1970, 1, day)])
        rollup.rebuild(cursor, [(datetime(1970, 1, 1, 9), "shop")])
    assert store.query("select run_id from drift_results").rows() == [("day 1",)]
