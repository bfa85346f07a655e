"""The calls page's numbers tie to the rollups, and a request is shown with all its spans."""

from datetime import datetime

import pytest

from ingest.attribution import Attribution
from ingest.otlp.commit import SpanLedger
from ingest.store import Store
from metrics import calls
from metrics.filters import Period, Scope
from metrics.usage import usage
from tests.ingest.otlp_spans import make_span

SEPTEMBER = Period.parse("2026-09")
SCOPES = [Scope(SEPTEMBER), Scope(SEPTEMBER, {"system": "claims-copilot"}), Scope(SEPTEMBER, {"provider": "openai"})]


@pytest.mark.parametrize("scope", SCOPES)
def test_every_breakdown_of_the_calls_adds_up_to_the_headline(sample: Store, scope: Scope) -> None:
    known, by_status, clients = usage(sample, scope), calls.by_status(sample, scope), calls.clients(sample, scope)
    assert known.calls > 0
    assert by_status["calls"].sum() == clients["calls"].sum() == known.calls
    assert by_status["cost_usd"].sum() == known.cost_usd
    assert clients["failed"].sum() == known.failed_calls
    assert clients["unknown_usage"].sum() == known.unknown_usage_calls
    assert clients["repeats"].sum() == calls.repeats(sample, scope)["spans"].sum()


def test_newest_calls_can_be_of_one_cost_status(sample: Store) -> None:
    found = calls.newest(sample, SCOPES[0], "no_usage")
    assert set(found["cost_status"]) == {"no_usage"}
    assert found.height == calls.by_status(sample, SCOPES[0]).filter(cost_status="no_usage")["calls"].item()
    assert found["started_at"].is_sorted(descending=True)


def chat(tokens: int) -> dict[str, object]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": tokens,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.response.id": f"chatcmpl-of-{tokens:012}",
    }


def test_a_trace_holds_the_repeat_of_its_call_that_was_sent_in_another_trace(store: Store) -> None:
    agent = make_span({"gen_ai.operation.name": "invoke_agent"}, id="agent", ms=900, name="agent")
    inner = make_span(chat(50), id="inner", parent="agent", at_ms=10)
    twin = make_span(chat(50), id="twin", trace="elsewhere", at_ms=12, ms=90, scope="other.scope")
    stranger = make_span(chat(70), id="stranger", trace="another")
    with store.transaction() as cursor:
        SpanLedger(b"a key for tests", Attribution()).write(cursor, [agent, inner, twin, stranger], 1)
    at = store.query("select started_at from calls where span_id <> 'stranger'").item()
    assert isinstance(at, datetime)
    found = calls.trace(store, "t", at)
    assert dict(found.select("span_id", "depth").rows()) == {"agent": 0, "inner": 1, "twin": 1}  # where it belongs, not where it was sent
    assert sorted(found["role"]) == ["agent", "call", "duplicate"]


def test_a_span_that_is_its_own_ancestor_has_a_depth(store: Store) -> None:
    with store.transaction() as cursor:
        ledger = SpanLedger(b"a key for tests", Attribution())
        ledger.write(cursor, [make_span(chat(1), id="a", parent="b"), make_span(chat(2), id="b", parent="a")], 1)
    at = store.query("select max(started_at) from spans").item()
    assert calls.trace(store, "t", at)["depth"].max() <= 2
