"""OTLP bodies: both encodings say the same, broken spans are named and left out, and no bytes break the decoder."""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.otlp.attributes import EVENTS, allow_list
from ingest.otlp.calls import resolve
from ingest.otlp.evaluations import evaluations, retrievals
from ingest.otlp.facts import facts
from ingest.otlp.keep import Decoded, DecodeError
from ingest.otlp.otlpjson import decode_json
from ingest.otlp.protobuf import decode_protobuf
from ingest.otlp.span import Span
from tests.ingest.otlp_bodies import NOON_NS, as_json, one_span, request
from tests.ingest.otlp_spans import ALLOW, CAPTURES, needs_captures

BODIES = sorted(CAPTURES.glob("*/*-traces.pb"))
INT64 = range(-(2**63), 2**63)
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

Decode = Callable[[ExportTraceServiceRequest], Decoded]


def through_protobuf(sent: ExportTraceServiceRequest) -> Decoded:
    return decode_protobuf(sent.SerializeToString(), ALLOW)


def through_json(sent: ExportTraceServiceRequest) -> Decoded:
    return decode_json(json.dumps(as_json(sent)).encode(), ALLOW)


both = pytest.mark.parametrize("decode", [through_protobuf, through_json])


@needs_captures
@pytest.mark.parametrize("path", BODIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_both_encodings_of_a_real_body_give_the_same_spans(path: Any) -> None:
    sent = ExportTraceServiceRequest.FromString(path.read_bytes())
    spans, rejects = through_protobuf(sent)
    assert (spans, rejects) == through_json(sent)
    assert len(spans) + len(rejects) == sum(len(scope.spans) for resource in sent.resource_spans for scope in resource.scope_spans)
    assert not rejects


@both
def test_a_span_keeps_its_identity_its_times_in_microseconds_and_its_scope(decode: Decode) -> None:
    [span], rejects = decode(request(one_span({"gen_ai.request.model": "gpt-4o"}), resource={"service.name": "shop"}, scope="my.scope"))
    assert not rejects
    assert (span.trace_id, span.span_id, span.parent_span_id) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", None)
    assert (span.started_us, span.ended_us) == (NOON_NS // 1000, NOON_NS // 1000 + 250_000)
    assert (span.scope_name, span.scope_version, span.name) == ("my.scope", "1.0", "span")
    assert span.attributes == {"service.name": "shop", "gen_ai.request.model": "gpt-4o"}


@both
def test_the_attribute_of_a_span_beats_the_one_of_its_resource(decode: Decode) -> None:
    [span], _ = decode(request(one_span({"team": "search"}), resource={"team": "all"}))
    assert span.attributes["team"] == "search"


@both
def test_of_a_repeated_key_the_last_value_counts(decode: Decode) -> None:
    sent = request(one_span({"gen_ai.usage.input_tokens": 1}))
    again = sent.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="gen_ai.usage.input_tokens")
    again.value.int_value = 7
    [span], _ = decode(sent)
    assert span.attributes == {"gen_ai.usage.input_tokens": 7}


@both
@pytest.mark.parametrize(("broken", "reason"), [
    ({"trace": b""}, "trace id is not 16 bytes or all zero"),
    ({"trace": bytes(16)}, "trace id is not 16 bytes or all zero"),
    ({"trace": b"\1" * 17}, "trace id is not 16 bytes or all zero"),
    ({"id": b"\1" * 7}, "span id is not 8 bytes or all zero"),
    ({"id": bytes(8)}, "span id is not 8 bytes or all zero"),
    ({"start_ns": 0, "end_ns": 1}, "starts before 2000 or after 2099"),
    ({"start_ns": 1_790_000_000}, "starts before 2000 or after 2099"),  # seconds where nanoseconds belong
    ({"start_ns": 7_258_118_400 * 10**9, "end_ns": 0}, "starts before 2000 or after 2099"),  # the year 2200
    ({"end_ns": NOON_NS - 1}, "ends before it starts"),
    ({"end_ns": 7_258_118_400 * 10**9}, "ends after 2099"),
])
def test_a_span_that_breaks_a_rule_is_named_and_the_others_stay(decode: Decode, broken: dict[str, Any], reason: str) -> None:
    spans, rejects = decode(request(one_span({}, id=b"\1" * 8), one_span({}, **broken), one_span({}, id=b"\3" * 8)))
    assert [span.span_id for span in spans] == ["01" * 8, "03" * 8]
    assert [(reject.position, reject.reason) for reject in rejects] == [(1, reason)]


@both
def test_a_span_without_an_end_lasts_no_time(decode: Decode) -> None:
    [span], _ = decode(request(one_span({}, end_ns=0)))
    assert span.ended_us == span.started_us


@both
@pytest.mark.parametrize("parent", [b"", bytes(8)])
def test_an_empty_or_all_zero_parent_is_no_parent(decode: Decode, parent: bytes) -> None:
    [span], _ = decode(request(one_span({}, parent=parent)))
    assert span.parent_span_id is None


def test_a_parent_that_is_no_span_id_is_no_parent() -> None:
    sent = as_json(request(one_span({})))
    sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["parentSpanId"] = "tell me a secret"
    [span], _ = decode_json(json.dumps(sent).encode(), ALLOW)
    assert span.parent_span_id is None


def test_unknown_protobuf_fields_are_skipped_at_every_level() -> None:
    sent = request(one_span({"gen_ai.request.model": "gpt-4o"}))
    expected = through_protobuf(sent)
    unknown = b"\xf8\x3e\x01" + b"\xfa\x3e\x05later"  # field 1007 as a number and as a text
    scope = sent.resource_spans[0].scope_spans[0]
    for message in (scope.spans[0].attributes[0].value, scope.spans[0].attributes[0], scope.spans[0], scope, sent.resource_spans[0], sent):
        message.MergeFromString(unknown)
    assert len(sent.SerializeToString()) > len(unknown) * 6
    assert through_protobuf(sent) == expected


def test_json_ids_may_be_upper_case_numbers_text_and_unknown_fields_anything() -> None:
    sent = as_json(request(one_span({"gen_ai.usage.input_tokens": 5, "gen_ai.request.model": "gpt-4o"})))
    expected = decode_json(json.dumps(sent).encode(), ALLOW)
    span = sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span["traceId"], span["spanId"] = span["traceId"].upper(), span["spanId"].upper()
    span["startTimeUnixNano"] = int(span["startTimeUnixNano"])
    span["attributes"][0]["value"]["intValue"] = 5
    span["links"], span["parentSpanId"], span["events"], span["status"] = [{"traceId": 5}], None, None, None
    span["flags"] = sent["later"] = {"any": ["thing"]}
    sent["resourceSpans"][0]["schemaUrl"] = None
    assert decode_json(json.dumps(sent).encode(), ALLOW) == expected


@pytest.mark.parametrize("change", [
    {"startTimeUnixNano": "soon"}, {"startTimeUnixNano": -5}, {"startTimeUnixNano": str(2**64)}, {"startTimeUnixNano": "9" * 5000},
    {"traceId": "zz" * 16}, {"spanId": 5}, {"kind": 2**40}, {"kind": "SPAN_KIND_CLIENT"}, {"status": {"code": 2**40}},
    {"attributes": [{"key": "gen_ai.request.model", "value": {"intValue": True}}]}, {"attributes": 5}])
def test_one_span_with_a_wrong_type_in_json_is_rejected_alone(change: dict[str, Any]) -> None:
    sent = as_json(request(one_span({}, id=b"\1" * 8), one_span({"team": "a"}, id=b"\2" * 8)))
    sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0] |= change
    spans, rejects = decode_json(json.dumps(sent).encode(), ALLOW)
    assert [span.span_id for span in spans] == ["02" * 8]
    assert [reject.position for reject in rejects] == [0]


@pytest.mark.parametrize("value", [str(2**63), "1.5", "five", "9" * 5000, 2**64])
def test_an_integer_beyond_64_bits_is_not_kept(value: Any) -> None:
    sent = as_json(request(one_span({"gen_ai.usage.input_tokens": 5})))
    sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"][0]["value"]["intValue"] = value
    spans, _ = decode_json(json.dumps(sent).encode(), ALLOW)
    assert all("gen_ai.usage.input_tokens" not in span.attributes for span in spans)


@both
def test_of_ten_thousand_attributes_only_known_ones_stay_and_indexed_ones_are_bounded(decode: Decode) -> None:
    crowd = {f"app.field.{number}": "x" for number in range(10_000)}
    documents = {f"retrieval.documents.{number}.document.id": f"doc-{number}" for number in range(1_000)}
    [span], _ = decode(request(one_span({**crowd, **documents, "gen_ai.request.model": "gpt-4o"})))
    assert set(span.attributes) == {"gen_ai.request.model", "retrieval.documents.count", "retrieval.documents.ids"}
    assert span.attributes["retrieval.documents.ids"] == [f"doc-{number}" for number in range(256)]


@both
def test_the_type_of_an_exception_is_kept_and_evaluation_events_with_their_time(decode: Decode) -> None:
    sent = one_span({})
    sent.events.add(name="exception").attributes.extend(one_span({"exception.type": "RateLimitError"}).attributes)
    sent.events.add(name="gen_ai.evaluation.result", time_unix_nano=NOON_NS).attributes.extend(
        one_span({"gen_ai.evaluation.name": "groundedness", "gen_ai.evaluation.score.value": 0.5}).attributes)
    sent.events.add(name="gen_ai.choice").attributes.extend(one_span({"gen_ai.evaluation.name": "no"}).attributes)
    [span], _ = decode(request(sent))
    assert span.attributes == {"exception.type": "RateLimitError"}
    assert span.events == (("gen_ai.evaluation.result", NOON_NS // 1000,
                            {"gen_ai.evaluation.name": "groundedness", "gen_ai.evaluation.score.value": 0.5}),)


@both
def test_an_exception_that_is_only_called_error_is_known_by_its_message(decode: Decode) -> None:
    for told, error in (
            ({"exception.type": "Error", "exception.message": "429 no more: at APIError.generate"}, "rate_limit"),
            ({"exception.message": '400 {"error":{"type":"invalid_request_error","message":"secret"}}'}, "bad_request"),
            ({"exception.type": "TypeError", "exception.message": "429 secret"}, "TypeError"),
            ({"exception.type": "Error", "exception.message": "4290 secret words"}, "Error")):
        sent = one_span({})
        sent.events.add(name="exception").attributes.extend(one_span(told).attributes)
        [span], _ = decode(request(sent))
        assert span.attributes == {"exception.type": error}
    sent = one_span({})
    sent.events.add(name="exception").attributes.extend(one_span({"exception.message": "a secret"}).attributes)
    [span], _ = decode(request(sent))
    assert span.attributes == {}


@both
def test_an_event_without_a_time_is_as_late_as_its_span(decode: Decode) -> None:
    sent = one_span({})
    for at_ns in (0, 2**64 - 1):
        sent.events.add(name="gen_ai.evaluation.result", time_unix_nano=at_ns)
    [span], _ = decode(request(sent))
    assert [at_us for _, at_us, _ in span.events] == [span.ended_us, span.ended_us]


@both
@pytest.mark.parametrize("unknown", [-1, 40_000, 2**31 - 1])
def test_a_kind_and_status_that_no_column_holds_are_unspecified(decode: Decode, unknown: int) -> None:
    sent = one_span({})
    sent.kind = sent.status.code = unknown  # type: ignore[assignment]
    [span], _ = decode(request(sent))
    assert (span.kind, span.status_code) == (0, 0)


@both
def test_documents_as_a_list_of_mappings_keep_their_ids_and_scores_in_order(decode: Decode) -> None:
    found = [{"id": "doc-7", "score": 0.9, "content": "secret"}, {"id": 3, "score": 0.5}]
    [span], _ = decode(request(one_span({"gen_ai.retrieval.documents": found})))
    assert span.attributes == {"gen_ai.retrieval.documents.count": 2, "gen_ai.retrieval.documents.ids": ["doc-7", "3"],
                               "gen_ai.retrieval.documents.scores": [0.9, 0.5]}


@both
def test_a_derived_key_that_a_sender_makes_up_is_not_kept(decode: Decode) -> None:
    made_up = {"gen_ai.retrieval.documents.ids": ["secret"], "retrieval.documents.scores": [1.0], "gen_ai.usage.raw#input": 5}
    [span], _ = decode(request(one_span(made_up)))
    assert span.attributes == {}


@both
@pytest.mark.parametrize("absurd", [10**12, 2**63 - 1, -1, True, 1.5, "9" * 30])
def test_an_absurd_count_enters_no_total_and_is_flagged(decode: Decode, absurd: Any) -> None:
    [span], _ = decode(request(one_span({
        "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": absurd, "gen_ai.usage.output_tokens": 3_000_000_000})))
    found = facts(span)
    assert (found.input_tokens, found.output_tokens) == (None, 3_000_000_000)
    assert "bad_token_count" in found.flags


@both
def test_the_first_alias_that_says_something_counts_whatever_the_order_of_attributes(decode: Decode) -> None:
    aliases = {"llm.token_count.prompt": 3, "gen_ai.usage.input_tokens": 2, "gen_ai.usage.prompt_tokens": 1}
    for found in (aliases, dict(reversed(aliases.items()))):
        [span], _ = decode(request(one_span({"gen_ai.operation.name": "chat", **found})))
        assert facts(span).input_tokens == 2


@given(st.binary(max_size=400))
@FUZZ
def test_any_bytes_give_spans_or_a_decode_error(noise: bytes) -> None:
    for decode in (decode_protobuf, decode_json):
        for candidate in (noise, b'{"resourceSpans":[' + noise + b"]}"):
            never_breaks(lambda decode=decode, candidate=candidate: decode(candidate, ALLOW))


@needs_captures
@given(st.integers(0, 2**32))
@FUZZ
def test_damaged_real_bodies_give_spans_or_a_decode_error(seed: int) -> None:
    chance = random.Random(seed)
    path = chance.choice([path for path in BODIES if path.stat().st_size < 100_000])
    damaged = bytearray(path.read_bytes())
    as_text = chance.random() < 0.3
    if as_text:
        damaged = bytearray(json.dumps(as_json(ExportTraceServiceRequest.FromString(bytes(damaged)))).encode())
    for _ in range(chance.randint(1, 20)):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    if chance.random() < 0.3:
        del damaged[chance.randrange(len(damaged)):]
    never_breaks(lambda: (decode_json if as_text else decode_protobuf)(bytes(damaged), ALLOW))


def never_breaks(decode: Callable[[], Decoded]) -> None:
    try:
        spans, rejects = decode()
    except DecodeError:
        return
    for reject in rejects:
        assert reject.reason
        assert reject.position >= 0
    storable(spans)


def storable(spans: list[Span]) -> None:
    """All that follows the decoder works, and what it makes fits the ledger's columns."""
    read = [facts(span) for span in spans]
    resolve(read)
    for span, own in zip(spans, read, strict=True):
        kept = msgspec.json.encode(span.attributes)
        again = facts(msgspec.structs.replace(span, attributes=msgspec.json.decode(kept), events=()))
        assert msgspec.structs.replace(again, genai=own.genai) == own  # what is stored reads the same
        msgspec.json.encode([evaluations(span), retrievals(span)])
        for name in own.__struct_fields__:
            value = getattr(own, name)
            if isinstance(value, str):
                value.encode()
            elif isinstance(value, int):
                assert value in INT64
            elif isinstance(value, float):
                assert value >= 0
        for row in evaluations(span):
            assert isinstance(row["name"], str)
            assert row["label"] is None or isinstance(row["label"], str)
            assert row["score"] is None or abs(row["score"]) < float("inf")


NASTY = st.sampled_from([
    "", " ", "²", "nan", "inf", "-inf", "-1", "1.5", "1e400", "9" * 30, "9" * 5000, "true", "null", "[]", "{}", "[[[", "{1: 2}",
    "{'input_tokens': 1e400, 'output_tokens': 10**3}", "{'tenant': '\\ud800'}", '{"tenant": "\\ud800"}', "{'usage': {1: {2: 3}}}",
    '{"usage": {"input_tokens": 99999999999999999999999999}}', '{"prompt_tokens": -5, "completion_tokens": true}',
    "{'a': {1, 2}, 'b': 1j, 'c': ...}", "2026-02-30T00:00:00", "0001-01-01T00:00:00+14:00", '[{"id": 1e999, "score": 1e999}, 5, null]',
    "{'name': ['x'], 'score': 1e999, 'passed': True}", "openai/", "/", "us.", "a:b", '["team:search", "x", 5]', "\x00", "chat "])
PLAIN = st.one_of(
    NASTY, st.text(max_size=20), st.booleans(), st.binary(max_size=8), st.floats(),
    st.sampled_from([0, 1, -1, 2**31, 3_000_000_000, 10**15, 2**63 - 1, -(2**63)]))
ANY_VALUE = st.recursive(PLAIN, lambda inner: st.one_of(
    st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["id", "score", "input", "usage", ""]), inner, max_size=3)), max_leaves=6)
KNOWN_KEYS = sorted({*ALLOW.reducers, *(f"{prefix}{rest}" for prefix in ALLOW.prefixes for rest in (
    "0", "0.id", "1.document.id", "1.document.score", "²", f"{'9' * 5000}.id", "-1", ""))})
SCOPES = st.sampled_from([
    "", "logfire.openai", "openlit.x", "opentelemetry.instrumentation.bedrock", "genkit-tracer", "claude_code", "litellm"])
# Times and counts that belong together break more than keys drawn at random from 400.
TELLING = [key for key in KNOWN_KEYS if any(part in key for part in (
    "token", "usage", "duration", "span_type", "status_code", "error", "model", "stream", "evaluation", "documents", "start_time"))]


ATTRIBUTES = st.dictionaries(st.sampled_from(KNOWN_KEYS) | st.sampled_from(TELLING), ANY_VALUE, max_size=8)


@given(st.lists(ATTRIBUTES, min_size=1, max_size=3), SCOPES)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_known_key_with_any_value_never_breaks_the_reading_nor_poisons_the_ledger(
        found: list[Mapping[str, Any]], scope: str) -> None:
    sent = [one_span(attributes, id=bytes(7) + bytes([number])) for number, attributes in enumerate(found, 1)]
    for attributes, span in zip(found, sent, strict=True):
        for event in EVENTS:
            span.events.add(name=event).attributes.extend(one_span(attributes).attributes)
    whole = request(*sent, scope=scope)
    spans, rejects = through_protobuf(whole)
    assert not rejects
    storable(spans)
    assert (spans, rejects) == through_json(whole)


def test_a_body_that_is_no_message_is_an_error_that_does_not_quote_it() -> None:
    for decode, sent in ((decode_protobuf, b"\x0a\x05my secret"), (decode_json, b'{"resourceSpans": "my secret"}')):
        with pytest.raises(DecodeError) as caught:
            decode(sent, ALLOW)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("sent", [b"{}", b'{"resourceSpans":null}', b'{"resourceSpans":[]}', b'{"resourceSpans":[{"scopeSpans":[{}]}]}'])
def test_an_empty_json_document_has_no_spans(sent: bytes) -> None:
    assert decode_json(sent, ALLOW) == ([], [])
    assert decode_protobuf(b"", ALLOW) == ([], [])


def test_a_list_under_a_name_that_fills_a_field_fills_none_and_breaks_nothing() -> None:
    keep = allow_list(b"a key for tests", ["team"])  # a rule looks at it, so a list may stay
    sent = request(one_span({"team": ["search", "shop"], "gen_ai.request.model": "gpt-4o", "gen_ai.operation.name": "chat"}))
    (span,), _ = decode_protobuf(sent.SerializeToString(), keep)
    assert span.attributes["team"] == ["search", "shop"]
    assert (facts(span).team, facts(span).request_model) == (None, "gpt-4o")
