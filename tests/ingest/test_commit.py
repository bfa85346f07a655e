"""Spans in the ledger: the same rows whatever order and portions they arrive in, and rollups equal to the calls."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import rollup
from ingest.attribution import Attribution, Rule
from ingest.otlp.commit import SpanLedger
from ingest.otlp.span import Span
from ingest.prices.book import ensure_book
from ingest.store import Store
from tests.ingest.otlp_spans import captured_spans, clients, make_span, needs_captures

BY_NOBODY = Attribution()

ALL = {
    "calls": "select * exclude (load_id, flags), list_sort(flags) as flags from calls order by trace_id, span_id",
    "spans": "select trace_id, span_id, sent_trace_id, role, duplicate_of, dedupe_rule, attributes from spans "
    "order by sent_trace_id, span_id",
    "usage_hour": "select * from usage_hour order by all",
    "signal_day": "select * from signal_day order by all",
}


@pytest.fixture
def store() -> Store:
    """An empty ledger in memory, with prices."""
    return priced_store()


def priced_store() -> Store:
    store = Store(":memory:")
    with store.transaction() as cursor:
        ensure_book(cursor, None)
    return store


def write(store: Store, *batches: Sequence[Span], attribution: Attribution = BY_NOBODY) -> None:
    ledger = SpanLedger(b"a key for tests", attribution)
    for number, batch in enumerate(batches, start=1):
        with store.transaction() as cursor:
            rollup.rebuild(cursor, ledger.write(cursor, batch, number).changed)


def content(store: Store) -> dict[str, list[Any]]:
    return {name: store.query(sql).rows() for name, sql in ALL.items()}


def emptied(store: Store) -> Store:
    with store.transaction() as cursor:
        for table in ("spans", "usage_hour", "signal_day"):
            cursor.execute(f"delete from {table}")
    return store


@needs_captures
@pytest.mark.parametrize("client", clients())
def test_any_split_in_any_order_gives_the_same_ledger(client: str, store: Store) -> None:
    spans = captured_spans(client)
    write(store, spans)
    expected = content(store)
    assert expected["calls"]

    @settings(max_examples=4, deadline=None)
    @given(st.randoms(use_true_random=False), st.integers(1, 9))
    def check(chance: random.Random, portions: int) -> None:
        parts: list[list[Span]] = [[] for _ in range(portions)]
        for span in chance.sample(spans, len(spans)):
            chance.choice(parts).append(span)
        again = chance.sample(spans, len(spans) // 4)
        write(emptied(store), *[part for part in parts if part], again)
        assert content(store) == expected

    check()


@needs_captures
def test_all_clients_in_one_ledger_are_what_each_is_alone(store: Store) -> None:
    write(store, *[captured_spans(client) for client in clients()])
    together = content(store)
    write(emptied(store), [span for client in clients() for span in captured_spans(client)])
    assert content(store) == together


def test_the_rollup_is_the_sum_of_the_calls(store: Store) -> None:
    write(store, [make_span(chat(tokens), id=f"s{tokens}", trace=f"t{tokens % 5}", at_ms=tokens * 700_000) for tokens in range(1, 40)])
    calls, usage = (
        store.query(f"select {sql}").row(0)
        for sql in (
            "count(*), cast(sum(input_tokens) as bigint), sum(cost_usd), count(*) filter (starts_request) from calls",
            "cast(sum(calls) as bigint), cast(sum(input_tokens) as bigint), sum(cost_usd), cast(sum(requests) as bigint) from usage_hour",
        )
    )
    assert calls == usage
    assert calls[0] == 39


def test_a_wrapper_that_arrives_late_takes_nothing_and_a_call_that_moves_leaves_no_trace_in_the_rollup(store: Store) -> None:
    call = make_span(chat(100), id="call", parent="top", at_ms=10)
    top = make_span({**chat(100), "openinference.span.kind": "CHAIN"}, id="top", ms=3_600_000, name="agent")
    write(store, [top], [call])
    assert store.query("select cast(sum(calls) as bigint) as n, cast(sum(input_tokens) as bigint) as i from usage_hour").row(0) == (1, 100)


def test_a_span_sent_again_with_another_service_and_hour_leaves_nothing_where_it_was_counted_before(store: Store) -> None:
    hour_ms = 3_600_000
    first = make_span(chat(100), id="call", at_ms=10, service="shop")
    again = make_span(chat(100), id="call", at_ms=3 * hour_ms, service="search")  # ends later, so it is the version that counts
    rules = Attribution([Rule({"service": "shop"}, {"system": "shop"}), Rule({"service": "search"}, {"system": "search"})])
    write(store, [first], [again], attribution=rules)
    assert store.query("select system, calls from usage_hour").rows() == [("search", 1)]
    assert {row[0] for row in store.query("select system from signal_day").rows()} == {"search"}


def test_streams_keep_their_own_usage_when_a_later_batch_settles_them_again(store: Store) -> None:
    asked = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
    read = {"logfire.span_type": "log", "duration": 0.5}
    requests = [make_span(asked, id=f"r{n}", trace=f"r{n}", at_ms=n * 1000, ms=20, scope="logfire.openai") for n in range(3)]
    ends = [
        make_span(chat(100 + n) | read, id=f"e{n}", trace=f"e{n}", at_ms=n * 1000 + 521, ms=0, scope="logfire.openai") for n in range(3)
    ]
    write(store, [*requests[:2], *ends[:2]], [requests[2], ends[2]])
    assert store.query("select span_id, input_tokens, duration_ms from calls order by span_id").rows() == [
        (f"r{n}", 100 + n, 521.0) for n in range(3)
    ]


def test_rules_name_system_and_team_and_the_allow_list_keeps_what_they_look_at(store: Store) -> None:
    rules = Attribution(
        [Rule({"service": "shop"}, {"system": "web-shop"}), Rule({"attributes": {"app.squad": "red*"}}, {"team": "Red"})],
        {"tenant": ["app.tenant"]},
    )
    assert {"app.squad", "app.tenant"} <= rules.attribute_keys
    span = make_span(chat(5), id="a")
    span.attributes.update({"app.squad": "red-7", "app.tenant": "t-9"})
    write(store, [span], attribution=rules)
    assert store.query("select system, team, tenant from calls").rows() == [("web-shop", "Red", "t-9")]


def chat(tokens: int) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": tokens,
        "gen_ai.usage.output_tokens": 1,
    }


def test_a_ledger_on_disk_survives_being_closed(tmp_path: Path) -> None:
    store = Store(tmp_path / "ledger.duckdb")
    write(store, [make_span(chat(7), id="a")])
    store.close()
    again = Store(tmp_path / "ledger.duckdb", read_only=True)
    assert again.query("select input_tokens from calls").rows() == [(7,)]
    again.close()
