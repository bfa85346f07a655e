"""OTLP logs: evaluation results become rows once, joined to what they judge; no other record leaves a trace."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from ingest.attribution import Attribution
from ingest.otlp import evaluations, logs
from ingest.otlp.commit import SpanLedger
from ingest.otlp.keep import DecodeError
from ingest.otlp.logs import Evaluations
from ingest.otlp.protobuf import decode_protobuf as decode_traces
from ingest.store import Store
from tests.ingest import otlp_signals
from tests.ingest.otlp_bodies import NOON_NS, body, key_values, one_span
from tests.ingest.otlp_signals import SPAN, TRACE, as_json, log_record
from tests.ingest.otlp_spans import ALLOW, CAPTURES, needs_captures

GROUNDED = {
    "gen_ai.evaluation.name": "groundedness",
    "gen_ai.evaluation.score.value": 0.25,
    "gen_ai.evaluation.score.label": "fail",
    "gen_ai.evaluation.explanation": "the answer invents a clause",
    "gen_ai.response.id": "resp-1",
}

Decode = Callable[[ExportLogsServiceRequest], Evaluations]


def through_protobuf(sent: ExportLogsServiceRequest) -> Evaluations:
    return logs.decode_protobuf(sent.SerializeToString(), ALLOW)


def through_json(sent: ExportLogsServiceRequest) -> Evaluations:
    return logs.decode_json(as_json(sent), ALLOW)


both = pytest.mark.parametrize("decode", [through_protobuf, through_json])


@pytest.fixture
def store() -> Store:
    return Store(":memory:")


def write(store: Store, *batches: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    for number, rows in enumerate(batches, 1):
        with store.transaction() as cursor:
            evaluations.write(cursor, rows, number)
    return store.query("select * exclude (load_id) from evaluations order by all").rows()


@both
def test_an_evaluation_result_becomes_a_row_without_its_explanation(decode: Decode) -> None:
    [row], rejects = decode(otlp_signals.logs(log_record({**GROUNDED, "evaluation.sampling_probability": 0.1})))
    assert not rejects
    assert (row["name"], row["score"], row["label"], row["response_id"]) == ("groundedness", 0.25, "fail", "resp-1")
    assert (row["trace_id"], row["span_id"]) == (TRACE.hex(), SPAN.hex())
    assert (row["evaluator_kind"], row["evaluator_version"], row["sampling_probability"]) == ("llm", "2.0", 0.1)
    assert "invents" not in str(row)


@both
@pytest.mark.parametrize("written", ["field", "attribute", "body", "body mapping"])
def test_the_name_of_the_event_may_stand_wherever_a_convention_had_it(decode: Decode, written: str) -> None:
    name = "gen_ai.evaluation.result"
    record = {
        "field": log_record(GROUNDED),
        "attribute": log_record({**GROUNDED, "event.name": name}, ""),
        "body": log_record(GROUNDED, "", body=name),
        "body mapping": log_record({}, "", body={**GROUNDED, "event.name": name}),
    }[written]
    [row], _ = decode(otlp_signals.logs(record))
    assert (row["name"], row["score"]) == ("groundedness", 0.25)
    assert "invents" not in str(row)


@both
def test_who_judged_and_how_it_was_sampled_come_from_the_attributes(decode: Decode) -> None:
    said = {"evaluation.evaluator_kind": "HUMAN", "evaluation.evaluator_version": "r7", "evaluation.stratum": "de", "evaluation.id": "e-1"}
    [row], _ = decode(otlp_signals.logs(log_record({**GROUNDED, **said}), resource={"evaluation.dataset": "golden"}))
    assert [row[name] for name in ("evaluator_kind", "evaluator_version", "stratum", "evaluation_id", "dataset")] == [
        "human",
        "r7",
        "de",
        "e-1",
        "golden",
    ]


@both
def test_other_records_are_accepted_and_leave_nothing(decode: Decode) -> None:
    usage = {"gen_ai.usage.input_tokens": 5, "gen_ai.input.messages": "hello"}
    sent = otlp_signals.logs(
        log_record(usage, "gen_ai.client.inference.operation.details"),
        log_record({}, "gen_ai.user.message", body={"content": "hello"}),
        log_record({}, "", body="a line of a log"),
    )
    assert decode(sent) == ([], [])


@both
def test_an_evaluation_that_cannot_be_kept_is_named_and_the_others_stay(decode: Decode) -> None:
    nameless = {key: value for key, value in GROUNDED.items() if key != "gen_ai.evaluation.name"}
    timeless = log_record(GROUNDED, at_ns=0)
    rows, rejects = decode(otlp_signals.logs(log_record({}, "other"), log_record(nameless), timeless, log_record(GROUNDED)))
    assert len(rows) == 1
    assert [(reject.position, reject.reason) for reject in rejects] == [
        (1, "an evaluation without a name"),
        (2, "an evaluation without a time between 2000 and 2099"),
    ]


@both
def test_a_record_without_a_span_is_known_by_its_response(decode: Decode) -> None:
    first, second = {**GROUNDED, "gen_ai.response.id": "resp-a"}, {**GROUNDED, "gen_ai.response.id": "resp-b"}
    rows, _ = decode(otlp_signals.logs(*(log_record(values, trace=b"", span=b"") for values in (first, second))))
    assert [(row["trace_id"], row["span_id"]) for row in rows] == [(None, None)] * 2
    assert len({row["evaluation_id"] for row in rows}) == 2


def test_the_observed_time_stands_in_for_a_missing_one() -> None:
    record = log_record(GROUNDED, at_ns=0)
    record.observed_time_unix_nano = NOON_NS
    [row], _ = through_protobuf(otlp_signals.logs(record))
    assert row == through_protobuf(otlp_signals.logs(log_record(GROUNDED)))[0][0]


def test_the_same_records_in_any_split_order_and_repetition_are_the_same_rows(store: Store) -> None:
    records = [log_record({**GROUNDED, "gen_ai.evaluation.name": f"m{number % 4}"}, at_ns=NOON_NS + number * 1000) for number in range(12)]
    # Two versions of one evaluation: the later one counts, whichever comes first.
    records += [
        log_record({**GROUNDED, "evaluation.id": "e", "gen_ai.evaluation.score.value": score}, at_ns=NOON_NS + score) for score in (1, 2)
    ]
    rows, _ = through_protobuf(otlp_signals.logs(*records))
    expected = write(store, rows)
    assert len(expected) == 13

    @settings(max_examples=12, deadline=None)
    @given(st.randoms(use_true_random=False))
    def check(chance: random.Random) -> None:
        with store.transaction() as cursor:
            cursor.execute("delete from evaluations")
        again = chance.sample([*rows, *rows[:5]], len(rows) + 5)
        cut = chance.randrange(len(again))
        assert write(store, again[:cut], again[cut:]) == expected

    check()


def test_the_span_event_and_the_log_record_of_one_evaluation_are_one_row(store: Store) -> None:
    span = one_span({"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}, id=SPAN, trace=TRACE)
    span.events.add(name="gen_ai.evaluation.result", time_unix_nano=NOON_NS, attributes=key_values(GROUNDED))
    spans, _ = decode_traces(body(span), ALLOW)
    rows, _ = through_protobuf(otlp_signals.logs(log_record(GROUNDED)))
    with store.transaction() as cursor:
        SpanLedger(b"key", Attribution()).write(cursor, spans, 1)
    assert len(write(store, rows)) == 1


@pytest.mark.parametrize("arrives_first", ["call", "evaluation"])
@pytest.mark.parametrize("by", ["span", "response"])
def test_an_evaluation_finds_its_call_by_span_or_response_whichever_came_first(store: Store, by: str, arrives_first: str) -> None:
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.response.id": "resp-1", "team": "search"}
    spans, _ = decode_traces(body(one_span(call, id=SPAN, trace=TRACE)), ALLOW)
    ids = {"span": (TRACE, SPAN), "response": (b"", b"")}[by]
    rows, _ = through_protobuf(otlp_signals.logs(log_record(GROUNDED, trace=ids[0], span=ids[1])))
    for what in ("call", "evaluation") if arrives_first == "call" else ("evaluation", "call"):
        with store.transaction() as cursor:
            if what == "call":
                SpanLedger(b"key", Attribution()).write(cursor, spans, 1)
            else:
                evaluations.write(cursor, rows, 2)
    found = store.query("select name, trace_id, span_id, model, team from evaluated").rows()
    assert found == [("groundedness", TRACE.hex(), SPAN.hex(), "gpt-4o", "search")]


@needs_captures
@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*/*-logs.pb")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_logs_of_real_clients_repeat_their_spans_and_are_not_kept(path: Any) -> None:
    content = path.read_bytes()
    assert logs.decode_protobuf(content, ALLOW) == ([], [])
    assert logs.decode_json(as_json(ExportLogsServiceRequest.FromString(content)), ALLOW) == ([], [])


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"[]",
        b"5",
        b'"secret"',
        b"{",
        b'{"resourceLogs": "secret"}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[5]}]}]}',
        b'{"resourceLogs":[null]}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"resourceLogs":[{"resource":{"attributes":[{"key":"\\ud800"}]}}]}',
    ],
)
def test_json_that_is_no_request_is_a_decode_error_that_does_not_quote_it(sent: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        logs.decode_json(sent, ALLOW)
    assert "secret" not in str(caught.value)


def test_unknown_fields_and_broken_ids_in_json_are_ignored() -> None:
    document = json.loads(as_json(otlp_signals.logs(log_record(GROUNDED))))
    record = document["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    record |= {"later": {"any": ["thing"]}, "traceId": "no hex", "spanId": 5, "severityNumber": 9}
    [row], _ = logs.decode_json(json.dumps(document).encode(), ALLOW)
    assert (row["trace_id"], row["span_id"], row["name"]) == (None, None, "groundedness")
