"""The receiver by the OTLP specification: every answer, every limit, and no bytes that break it."""

import gzip
import json
import logging
import random
import socket
import urllib.request
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import duckdb
import pytest
from google.rpc.status_pb2 import Status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ingest import body as http_body
from ingest.attribution import Attribution
from ingest.otlp.commit import SpanLedger
from ingest.prices.book import ensure_book
from ingest.receiver import JSON, PROTOBUF, Receiver
from ingest.store import Store
from ingest.writer import Writer
from tests.ingest import otlp_bodies, otlp_signals
from tests.ingest.otlp_bodies import one_span
from tests.ingest.otlp_signals import START_NS, gauge, log_record
from tests.ingest.otlp_spans import CAPTURES, needs_captures
from tests.serving import Server, serving

SECRET = "the patient's name is Quintus"
SIGNALS = ("traces", "logs", "metrics")
RESPONSES = {"traces": ExportTraceServiceResponse, "logs": ExportLogsServiceResponse, "metrics": ExportMetricsServiceResponse}
TABLES = ("spans", "evaluations", "gpu_points", "gpu_hours", "client_metric_points", "usage_hour", "signal_day", "rejects")
FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 5}
SPANS = otlp_bodies.request(one_span(CHAT))
JUDGED = otlp_signals.logs(log_record({"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 1.0}))
BUSY = otlp_signals.metrics(gauge("DCGM_FI_DEV_GPU_UTIL", {"UUID": "g"}, (START_NS, 50)))
GOOD = {"traces": SPANS, "logs": JUDGED, "metrics": BUSY}
BROKEN = {
    "traces": otlp_bodies.request(one_span(CHAT), one_span(CHAT, id=bytes(8))),
    "logs": otlp_signals.logs(log_record({}), *JUDGED.resource_logs[0].scope_logs[0].log_records),
    "metrics": otlp_signals.metrics(gauge("DCGM_FI_DEV_GPU_UTIL", {"UUID": "g"}, (START_NS, 50), (START_NS + 1, 500))),
}
REJECTED = {"traces": "rejectedSpans", "logs": "rejectedLogRecords", "metrics": "rejectedDataPoints"}


class Sender:
    """A client of the receiver and the ledger behind it, in this process."""

    def __init__(self, **options: Any) -> None:
        self.store = Store(":memory:")
        with self.store.transaction() as cursor:
            ensure_book(cursor, None)
        spans = SpanLedger(b"a key for tests", Attribution())
        self.writer = Writer(self.store, spans)
        self.receiver = Receiver(self.writer, spans.allow, **options)
        self.http = TestClient(Starlette(routes=self.receiver.routes()), raise_server_exceptions=False)

    def post(self, signal: str, content: Any, media_type: str = PROTOBUF, **headers: str) -> Any:
        named = {"content-type": media_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.http.post(f"/v1/{signal}", content=content, headers=named)

    def content(self) -> dict[str, list[Any]]:
        return {table: self.store.query(f"select * from {table} order by all").rows() for table in TABLES}


@pytest.fixture(scope="module")
def sender() -> Iterator[Sender]:
    found = Sender()
    found.writer.start()
    yield found
    found.writer.stop()


def encoded(signal: str, message: Any, media_type: str) -> bytes:
    if media_type == PROTOBUF:
        return message.SerializeToString()
    return json.dumps(otlp_bodies.as_json(message)).encode() if signal == "traces" else otlp_signals.as_json(message)


each_signal = pytest.mark.parametrize("signal", SIGNALS)
each_encoding = pytest.mark.parametrize("media_type", [PROTOBUF, JSON])


@each_signal
@each_encoding
@pytest.mark.parametrize("compress", [False, True])
def test_a_good_body_is_committed_and_answered_in_its_own_encoding(signal: str, media_type: str, compress: bool, sender: Sender) -> None:
    content = encoded(signal, GOOD[signal], media_type)
    headers = {"content_encoding": "gzip"} if compress else {}
    answer = sender.post(signal, gzip.compress(content) if compress else content, media_type, **headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert answer.content == (b"" if media_type == PROTOBUF else b"{}")
    table = {"traces": "spans", "logs": "evaluations", "metrics": "gpu_hours"}[signal]
    assert sender.store.query(f"select count(*) as n from {table}").item() == 1


@each_signal
def test_an_empty_request_is_a_success(signal: str, sender: Sender) -> None:
    assert sender.post(signal, b"").content == b""
    assert sender.post(signal, b"").status_code == 200
    assert sender.post(signal, b"", content_encoding="gzip").status_code == 200
    for empty in (b"{}", b'{"later": 5}', b'{"resourceSpans":[],"resourceLogs":[],"resourceMetrics":[]}'):
        answer = sender.post(signal, empty, JSON)
        assert (answer.status_code, answer.content) == (200, b"{}")


@each_signal
@each_encoding
def test_what_broke_a_rule_is_counted_in_a_partial_success(signal: str, media_type: str, sender: Sender) -> None:
    answer = sender.post(signal, encoded(signal, BROKEN[signal], media_type), media_type)
    assert answer.status_code == 200
    assert len(answer.content) < 4 * 2**20
    if media_type == JSON:
        partial = answer.json()["partialSuccess"]
        assert partial[REJECTED[signal]] == "1"
        assert ": " in partial["errorMessage"]
    else:
        [(name, rejected), (_, message)] = RESPONSES[signal].FromString(answer.content).partial_success.ListFields()
        assert (name.name.startswith("rejected_"), rejected) == (True, 1)
        assert message


@each_signal
@each_encoding
def test_a_body_that_is_none_is_a_status_that_does_not_quote_it(
    signal: str, media_type: str, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    before = sender.content()
    with caplog.at_level(logging.DEBUG):
        for content in (f"\x0a{SECRET}".encode(), f"\xff\xfe{SECRET}".encode("latin-1"), f'{{"{SECRET}'.encode(), f'["{SECRET}"]'.encode()):
            answer = sender.post(signal, content, media_type)
            assert (answer.status_code, answer.headers["content-type"]) == (400, media_type)
            status = Status.FromString(answer.content) if media_type == PROTOBUF else Status(**answer.json())
            assert status.code == 3
            assert status.message
            assert SECRET.encode() not in answer.content
    assert SECRET not in caplog.text
    assert sender.content() == before


@pytest.mark.parametrize("media_type", ["text/plain", "", "application/x-www-form-urlencoded", "application/grpc", "é"])
def test_another_content_type_is_refused(media_type: str, sender: Sender) -> None:
    answer = sender.http.post("/v1/traces", content=b"{}", headers={"content-type": media_type.encode()})
    assert answer.status_code == 415
    assert Status.FromString(answer.content).code == 3


def test_parameters_and_case_of_the_content_type_do_not_matter(sender: Sender) -> None:
    for media_type in ("application/json; charset=utf-8", "Application/JSON", "application/json;"):
        assert sender.post("traces", b"{}", media_type).status_code == 200


@pytest.mark.parametrize("named", ["br", "deflate", "zstd", "gzip, gzip", "x"])
def test_another_content_encoding_is_refused(named: str, sender: Sender) -> None:
    assert sender.post("traces", zlib.compress(b"{}"), JSON, content_encoding=named).status_code == 415


def test_only_post_is_answered(sender: Sender) -> None:
    assert sender.http.get("/v1/traces").status_code == 405


class TestGzip:
    """What may arrive as gzip: several members, padding, damage, bombs."""

    content = encoded("traces", SPANS, JSON)

    def test_several_members_are_one_body(self, sender: Sender) -> None:
        half = len(self.content) // 2
        members = gzip.compress(self.content[:half]) + gzip.compress(b"") + gzip.compress(self.content[half:])
        assert sender.post("traces", members, JSON, content_encoding="gzip").status_code == 200

    def test_it_is_told_by_its_first_bytes_where_no_header_says_so(self, sender: Sender) -> None:
        assert sender.post("traces", gzip.compress(self.content), JSON).status_code == 200

    def test_zeros_behind_the_last_member_are_padding_and_anything_else_is_damage(self, sender: Sender) -> None:
        compressed = gzip.compress(self.content)
        assert sender.post("traces", compressed + bytes(512), JSON, content_encoding="gzip").status_code == 200
        for garbage in (b"garbage", compressed[:20], b"\x1f"):
            assert sender.post("traces", compressed + garbage, JSON, content_encoding="gzip").status_code == 400

    @pytest.mark.parametrize("cut", [1, 5, 10, -8, -4, -1])
    def test_a_truncated_stream_is_refused(self, cut: int, sender: Sender) -> None:
        assert sender.post("traces", gzip.compress(self.content)[:cut], JSON, content_encoding="gzip").status_code == 400

    def test_a_wrong_checksum_or_length_is_refused(self, sender: Sender) -> None:
        for position in (-1, -5):
            damaged = bytearray(gzip.compress(self.content))
            damaged[position] ^= 1
            assert sender.post("traces", bytes(damaged), JSON, content_encoding="gzip").status_code == 400

    def test_what_is_not_compressed_although_it_says_so_is_refused(self, sender: Sender) -> None:
        assert sender.post("traces", self.content, JSON, content_encoding="gzip").status_code == 400
        assert sender.post("traces", zlib.compress(self.content), JSON, content_encoding="gzip").status_code == 400

    @each_encoding
    def test_a_bomb_is_too_long_in_one_member_or_in_many(self, media_type: str, sender: Sender) -> None:
        for bomb in (gzip.compress(b" " * (65 * 2**20), 1), gzip.compress(b" " * (33 * 2**20), 1) * 2):
            answer = sender.post("traces", bomb, media_type, content_encoding="gzip")
            assert answer.status_code == 413
            assert answer.headers["content-type"] == media_type

    def test_a_million_empty_members_are_not_opened_one_by_one(self, sender: Sender) -> None:
        answer = sender.post("traces", gzip.compress(b"") * 1_000_000, JSON, content_encoding="gzip")
        assert answer.status_code == 400


def test_the_limit_holds_before_decompression_too(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_body, "MAX_BODY_BYTES", 1000)
    assert sender.post("traces", b"{" + b" " * 998 + b"}", JSON).status_code == 200
    assert sender.post("traces", b"{" + b" " * 999 + b"}", JSON).status_code == 413
    assert sender.post("traces", iter([b"{" + b" " * 600, b" " * 600]), JSON).status_code == 413
    assert sender.post("traces", random.Random(1).randbytes(2000), PROTOBUF, content_encoding="gzip").status_code == 413


@each_signal
def test_a_small_body_of_a_million_empty_messages_is_refused_before_it_is_read(signal: str, sender: Sender) -> None:
    for media_type, crowd in ((PROTOBUF, b"\x0a\x00" * 2_000_000), (JSON, b'{"resourceSpans":[' + b"{}," * 5_000_000 + b"{}]}")):
        answer = sender.post(signal, gzip.compress(crowd, 1), media_type, content_encoding="gzip")
        assert answer.status_code == 413


def test_a_body_in_chunks_is_one_body(sender: Sender) -> None:
    content = encoded("traces", SPANS, PROTOBUF)
    assert sender.post("traces", iter([content[:7], b"", content[7:]])).status_code == 200


def test_with_tokens_a_sender_needs_one_and_is_told_in_its_own_encoding() -> None:
    sender = Sender(tokens=("t1", "t2"))
    for authorization in ("", "Bearer", "Bearer t3", "Basic t1", "t1", "Bearer é"):
        answer = sender.http.post("/v1/logs", content=b"{}", headers={"content-type": JSON, "authorization": authorization.encode()})
        assert (answer.status_code, answer.json()["code"]) == (401, 16)
    assert sender.post("logs", b"{}", JSON, authorization="bearer t2").status_code == 200


class TestBusy:
    """The ledger cannot take more: 503 with Retry-After, and the sender keeps what it has."""

    @staticmethod
    def refused(answer: Any) -> None:
        assert (answer.status_code, answer.json()["code"]) == (503, 14)
        assert int(answer.headers["retry-after"]) > 0

    def test_while_nothing_is_committed_the_sender_is_told_to_come_again(self) -> None:
        sender = Sender(answer_within=0.05)  # its writer never starts
        self.refused(sender.post("traces", encoded("traces", SPANS, JSON), JSON))

    def test_a_request_that_was_told_to_come_again_is_not_written_behind_its_back(self) -> None:
        sender = Sender(answer_within=0.05)
        self.refused(sender.post("traces", encoded("traces", SPANS, JSON), JSON))
        sender.writer.start()
        sender.writer.stop()
        assert sender.store.query("select count(*) as n from spans").item() == 0

    def test_a_full_queue_and_a_stopping_writer_take_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sender = Sender()
        sender.writer.start()
        sender.writer.stop()
        self.refused(sender.post("traces", encoded("traces", SPANS, JSON), JSON))

    def test_a_disk_that_is_full_is_no_fault_of_the_body(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        sender = Sender()

        def fails(*given: object) -> None:
            raise duckdb.IOException(f"could not write {SECRET}")

        monkeypatch.setattr(sender.writer, "_commit", fails)
        sender.writer.start()
        self.refused(sender.post("traces", encoded("traces", SPANS, JSON), JSON))
        sender.writer.stop()
        assert SECRET not in caplog.text
        assert "IOException" in caplog.text


def test_an_error_nobody_thought_of_is_a_status_without_the_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sender = Sender()

    def fails(*given: object) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr(sender.writer, "_commit", fails)
    sender.writer.start()
    answer = sender.post("traces", encoded("traces", SPANS, JSON), JSON)
    sender.writer.stop()
    assert (answer.status_code, answer.json()["code"]) == (500, 13)
    assert SECRET not in answer.text + caplog.text


@given(
    st.sampled_from(SIGNALS),
    st.sampled_from([PROTOBUF, JSON]),
    st.binary(max_size=300),
    st.sampled_from(["", "gzip"]),
    st.booleans(),
)
@FUZZ
def test_any_bytes_are_answered_with_success_or_a_clients_error(
    sender: Sender, signal: str, media_type: str, noise: bytes, named: str, compress: bool
) -> None:
    answered(sender, signal, gzip.compress(noise) if compress else noise, media_type, {"content_encoding": named} if named else {})


OTLP_KEYS = """
resourceSpans resourceLogs resourceMetrics resource scope scopeSpans scopeLogs scopeMetrics spans logRecords metrics
name unit gauge sum histogram exponentialHistogram summary dataPoints count asInt asDouble flags aggregationTemporality
attributes key value stringValue intValue doubleValue arrayValue values kvlistValue bytesValue timeUnixNano
startTimeUnixNano traceId spanId body eventName events status code exemplars quantileValues bucketCounts
"""
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
)
JSON_NOISE = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(OTLP_KEYS.split()), inner, max_size=4),
    max_leaves=25,
)


@given(st.sampled_from(SIGNALS), JSON_NOISE)
@FUZZ
def test_any_json_of_known_keys_is_answered_with_success_or_a_clients_error(sender: Sender, signal: str, noise: Any) -> None:
    answered(sender, signal, json.dumps(noise).encode(), JSON, {})


@given(st.sampled_from(SIGNALS), st.integers(0, 2**32))
@FUZZ
def test_damaged_bodies_are_answered_with_success_or_a_clients_error(sender: Sender, signal: str, seed: int) -> None:
    chance = random.Random(seed)
    media_type = chance.choice([PROTOBUF, JSON])
    answered(sender, signal, damaged(chance, encoded(signal, BROKEN[signal], media_type)), media_type, {})


@needs_captures
@given(st.integers(0, 2**32))
@FUZZ
def test_damaged_real_bodies_are_answered_with_success_or_a_clients_error(sender: Sender, seed: int) -> None:
    chance = random.Random(seed)
    path = chance.choice([path for path in sorted(CAPTURES.glob("*/*.pb")) if path.stat().st_size < 60_000])
    signal, content, media_type = path.stem.rsplit("-", 1)[-1], path.read_bytes(), PROTOBUF
    if signal == "traces" and chance.random() < 0.3:
        content, media_type = json.dumps(otlp_bodies.as_json(ExportTraceServiceRequest.FromString(content))).encode(), JSON
    content = damaged(chance, content)
    if chance.random() < 0.3:
        content = damaged(chance, gzip.compress(content))
    answered(sender, chance.choice([signal, signal, signal, *SIGNALS]), content, media_type, {})


def damaged(chance: random.Random, content: bytes) -> bytes:
    found = bytearray(content)
    for _ in range(chance.randint(0, 12)):
        found[chance.randrange(len(found))] = chance.randrange(256)
    if chance.random() < 0.3:
        del found[chance.randrange(len(found)) :]
    if chance.random() < 0.2:
        at = chance.randrange(len(found) + 1)
        found[at:at] = chance.randbytes(chance.randint(1, 40))
    return bytes(found)


def answered(sender: Sender, signal: str, content: bytes, media_type: str, headers: Mapping[str, str]) -> None:
    """A success, or a client's error that changed nothing; never a server's error."""
    before = counts(sender)
    answer = sender.post(signal, content, media_type, **headers)
    assert answer.status_code in (200, 400, 413, 415)
    assert answer.headers["content-type"] == media_type
    if answer.status_code != 200:
        assert counts(sender) == before


def counts(sender: Sender) -> tuple[Any, ...]:
    sums = ", ".join(f"(select count(*) from {table})" for table in TABLES)
    return sender.store.query(f"select {sums}, (select coalesce(sum(rows + rejected), 0) from loads)").row(0)


HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
BODY = SPANS.SerializeToString()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + BODY[:5] + b"\r\n%x\r\n" % (len(BODY) - 5) + BODY[5:] + b"\r\n0\r\n\r\n",
            b"200",
        ),
        (HEAD + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(BODY) + BODY, b"200"),
        (HEAD + b"Content-Length: %d\r\n\r\n" % (len(BODY) - 3) + BODY, b"400"),
        (HEAD + b"Content-Length: %d\r\n\r\n" % (len(BODY) + 50) + BODY, None),
        (HEAD + b"Content-Length: x\r\n\r\n" + BODY, b"400"),
        (HEAD + b"Content-Length: -5\r\n\r\n" + BODY, b"400"),
        (HEAD + b"Content-Length: 99999999999\r\n\r\n" + BODY, b"413"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY, None),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n" + BODY, None),
        (b"\x16\x03\x01 not http", b"400"),
    ],
    ids=["chunks", "expect", "short", "long", "no number", "negative", "huge", "no chunk", "half a chunk", "no http"],
)
def test_lengths_that_lie_end_in_an_answer_or_a_closed_connection(sent: bytes, status: bytes | None, server: Server) -> None:
    with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=2) as connection:
        connection.sendall(sent)
        answer = b""
        # A server that was promised more waits for it, so that it is this side that gives up.
        with suppress(ConnectionError, TimeoutError):
            while b"\r\n\r\n" not in answer.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"") and (piece := connection.recv(65536)):
                answer += piece
    lines = [line.split(b" ")[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ") and b" 100 " not in line]
    assert lines[:1] == [status] if status else not [line for line in lines if line.startswith((b"2", b"5"))]
    request = urllib.request.Request(f"{server.url}/v1/traces", BODY, {"content-type": PROTOBUF})
    assert urllib.request.urlopen(request, timeout=20).status == 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("receiver") / "ledger.duckdb") as running:
        yield running
