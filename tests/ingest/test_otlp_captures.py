"""Real clients: every token of their captures counted once, whatever order or portion the spans arrive in."""

import json
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.otlp.calls import Resolved, resolve
from ingest.otlp.closure import ClosureKeys, closure
from ingest.otlp.facts import Facts
from tests.ingest.otlp_spans import CAPTURES, captured_facts, clients, needs_captures

pytestmark = needs_captures
SUMS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
COUNTS = ("calls_ok", "calls_failed", "calls_estimated", "calls_with_known_tokens")
Results = dict[tuple[str, str], Resolved]


def total(calls: Iterable[Facts], name: str) -> int | None:
    known = [value for call in calls if (value := getattr(call, name)) is not None]
    return sum(known) if known else None


def summary(entries: Iterable[Resolved]) -> dict[str, Any]:
    """What the captures' truth says about a client, from the calls that were found."""
    calls = [entry.facts for entry in entries if entry.role == "call"]
    measured = [call for call in calls if not call.tokens_estimated]
    models: dict[str, list[Facts]] = {}
    for call in calls:
        models.setdefault(call.response_model or call.request_model or "(none)", []).append(call)
    return {
        "calls_ok": sum(call.error_type is None for call in calls),
        "calls_failed": sum(call.error_type is not None for call in calls),
        "calls_estimated": len(calls) - len(measured),
        "calls_with_known_tokens": sum(call.input_tokens is not None for call in measured),
        **{name: total(measured, name) for name in SUMS},
        "by_model": {
            model: {
                "calls_ok": sum(call.error_type is None for call in group),
                "input_tokens": total([call for call in group if not call.tokens_estimated], "input_tokens"),
                "output_tokens": total([call for call in group if not call.tokens_estimated], "output_tokens"),
            }
            for model, group in models.items()
        },
    }


def agrees(got: int | None, expected: Any) -> bool:
    """A number is exact, [low, high] a range, 0 may be unknown, and null must be unknown."""
    if expected is None:
        return got is None
    low, high = expected if isinstance(expected, list) else (expected, expected)
    return low <= (got or 0) <= high


@pytest.mark.parametrize("client", clients())
def test_every_call_of_a_real_client_is_counted_once_with_its_tokens(client: str) -> None:
    expected = json.loads((CAPTURES / client / "expected.json").read_text())
    entries = resolve(captured_facts(client))
    got = summary(entries)
    wrong = {name: (got[name], expected[name]) for name in (*COUNTS, *SUMS) if not agrees(got[name], expected[name])}
    for model in got["by_model"].keys() | expected["by_model"].keys():
        found, wanted = got["by_model"].get(model, {}), expected["by_model"].get(model, {})
        for name in ("calls_ok", "input_tokens", "output_tokens"):
            if not agrees(found.get(name), wanted.get(name) or 0):
                wrong[f"{model}.{name}"] = found.get(name), wanted.get(name)
    assert not wrong
    calls = [entry for entry in entries if entry.role == "call"]
    assert len({(entry.trace_id, entry.facts.span_id) for entry in calls}) == len(calls)
    for call in (entry.facts for entry in calls):
        if call.input_tokens is not None:
            assert (call.cache_read_tokens or 0) + (call.cache_write_tokens or 0) <= call.input_tokens
        assert (call.cache_write_1h_tokens or 0) <= (call.cache_write_tokens or 0)
        assert call.reasoning_tokens is None or call.output_tokens is None or call.reasoning_tokens <= call.output_tokens


@pytest.mark.parametrize("client", clients())
def test_each_trace_with_a_call_starts_exactly_one_request(client: str) -> None:
    calls = [entry for entry in resolve(captured_facts(client)) if entry.role == "call"]
    starts = [entry.trace_id for entry in calls if entry.starts_request]
    assert len(starts) == len(set(starts))
    assert set(starts) == {entry.trace_id for entry in calls}


@pytest.mark.parametrize("client", clients())
def test_the_order_and_repetition_of_spans_change_nothing(client: str) -> None:
    spans = captured_facts(client)
    expected = results(resolve(spans))

    @settings(max_examples=8, deadline=None)
    @given(st.randoms(use_true_random=False))
    def check(chance: random.Random) -> None:
        again = [*spans, *chance.sample(spans, len(spans) // 3)]
        chance.shuffle(again)
        assert results(resolve(again)) == expected

    check()


@pytest.mark.parametrize("client", clients())
def test_spans_in_portions_give_what_all_together_give(client: str) -> None:
    spans = captured_facts(client)
    expected = results(resolve(spans))

    @settings(max_examples=6, deadline=None)
    @given(st.randoms(use_true_random=False), st.integers(1, 12))
    def check(chance: random.Random, portions: int) -> None:
        parts: list[list[Facts]] = [[] for _ in range(portions)]
        for span in chance.sample(spans, len(spans)):
            chance.choice(parts).append(span)
        assert arriving(parts) == expected

    check()


def test_an_unfinished_version_of_a_span_gives_way_to_the_finished_one() -> None:
    client = "pydantic-ai"
    spans = captured_facts(client)
    early = [msgspec.structs.replace(span, ended_us=span.started_us, input_tokens=None, output_tokens=None, known=0) for span in spans]
    expected = results(resolve(spans))
    assert results(resolve([*early, *spans])) == expected
    assert arriving([early, list(spans)]) == expected
    assert arriving([list(spans), early]) == expected


def results(entries: Iterable[Resolved]) -> Results:
    return {(entry.facts.trace_id, entry.facts.span_id): entry for entry in entries}


def arriving(parts: Sequence[Sequence[Facts]]) -> Results:
    """The results after parts arrived one after another, each resolved with the closure of what it touches."""
    ledger: dict[tuple[str, str], Facts] = {}
    found: Results = {}
    for part in parts:
        closed = closure(part, answer(list(ledger.values())))
        entries = results(resolve(closed))
        found |= entries
        versions: dict[tuple[str, str], list[Facts]] = {}
        for facts in closed:
            versions.setdefault((facts.trace_id, facts.span_id), []).append(facts)
        ledger |= {key: max(same, key=lambda facts: (facts.ended_us, facts.known, repr(facts))) for key, same in versions.items()}
    return found


def answer(stored: Sequence[Facts]) -> Callable[[ClosureKeys], list[Facts]]:
    """What a ledger returns for keys."""

    def matching(keys: ClosureKeys) -> list[Facts]:
        return [
            facts
            for facts in stored
            if (
                (facts.trace_id in keys.trace_ids or facts.response_id in keys.response_ids)
                and keys.from_us <= facts.started_us <= keys.until_us
            )
            or (
                facts.role == "inference"
                and any(
                    window.service == facts.service and window.started_us <= facts.ended_us and facts.started_us <= window.ended_us
                    for window in keys.windows
                )
            )
        ]

    return matching
