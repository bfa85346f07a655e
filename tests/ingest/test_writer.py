"""The writer: acknowledged means committed, groups share a transaction, and one bad request harms no other."""

import json
import os
import signal
import threading
import urllib.error
import urllib.request
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ingest import writer as writer_module
from ingest.attribution import Attribution
from ingest.otlp.commit import SpanLedger
from ingest.otlp.logs import decode_protobuf as decode_logs
from ingest.otlp.metrics import decode_protobuf as decode_metrics
from ingest.otlp.span import Reject, Span
from ingest.prices.book import ensure_book
from ingest.store import Store
from ingest.writer import MAX_REJECTS_KEPT, MAX_WAITING_REQUESTS, QueueFull, Writer
from tests.ingest import otlp_bodies, otlp_signals
from tests.ingest.otlp_bodies import one_span
from tests.ingest.otlp_signals import START_NS, counter, gauge, log_record
from tests.ingest.otlp_spans import ALLOW, make_span
from tests.serving import serving

NOW = datetime(2026, 10, 1, 12)
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 5}


@pytest.fixture
def store() -> Store:
    store = Store(":memory:")
    with store.transaction() as cursor:
        ensure_book(cursor, None)
    return store


@pytest.fixture
def writer(store: Store) -> Writer:
    return Writer(store, SpanLedger(b"a key for tests", Attribution()), lambda: NOW)


def call(number: int) -> Span:
    return make_span(CHAT, id=f"s{number}", trace=f"t{number}", at_ms=number)


def finished(writer: Writer) -> None:
    writer.start()
    writer.stop()


def test_a_request_is_acknowledged_after_its_rows_are_committed(writer: Writer, store: Store) -> None:
    seen: list[int] = []
    done = writer.submit("traces", [call(1)], [])
    done.add_done_callback(lambda _: seen.append(store.query("select count(*) as n from calls").item()))
    assert not done.done()
    finished(writer)
    assert seen == [1]


def test_what_waits_together_is_one_transaction_and_one_load_a_day(writer: Writer, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    commit = writer._commit
    monkeypatch.setattr(writer, "_commit", lambda group: (commits.append(len(group)), commit(group)))
    judged, _ = decode_logs(otlp_signals.logs(log_record({"gen_ai.evaluation.name": "a"})).SerializeToString(), ALLOW)
    busy, _ = decode_metrics(otlp_signals.metrics(gauge("DCGM_FI_DEV_GPU_UTIL", {"UUID": "g"}, (START_NS, 50))).SerializeToString(), ALLOW)
    waiting = [writer.submit("traces", [call(number)], []) for number in range(20)]
    waiting += [writer.submit("logs", judged, []), writer.submit("metrics", busy, [Reject(3, "because")])]
    finished(writer)
    assert [done.result() for done in waiting] == [None] * 22
    assert commits == [22]
    assert store.query("select count(*) as n from calls").item() == 20
    assert store.query("select source, path, rows, rejected, status from loads").rows() == [
        ("otlp/http", "otlp/http 2026-10-01", 22, 1, "partial")
    ]
    assert store.query("select position, reason from rejects").rows() == [(3, "because")]


def test_one_request_that_cannot_be_written_harms_no_other(writer: Writer, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    secret = "the secret text"
    waiting = [writer.submit("traces", [call(1)], []), writer.submit("traces", [secret], []), writer.submit("traces", [call(2)], [])]
    finished(writer)
    assert [done.exception() is None for done in waiting] == [True, False, True]
    assert store.query("select count(*) as n from calls").item() == 2
    assert secret not in caplog.text


def test_a_failed_commit_leaves_nothing_behind(writer: Writer, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(writer_module.insert, "rejects", fails)
    done = writer.submit("traces", [call(1)], [])
    finished(writer)
    assert isinstance(done.exception(), RuntimeError)
    for table in ("spans", "usage_hour", "loads"):
        assert store.query(f"select count(*) as n from {table}").item() == 0


def test_the_queue_is_bounded_in_requests_and_in_items(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(MAX_WAITING_REQUESTS):
        writer.submit("traces", [call(number)], [])
    with pytest.raises(QueueFull):
        writer.submit("traces", [call(0)], [])
    finished(writer)


def test_a_large_request_is_taken_alone_and_fills_the_queue(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "MAX_WAITING_ITEMS", 3)
    large = writer.submit("traces", [call(number) for number in range(5)], [])
    with pytest.raises(QueueFull):
        writer.submit("traces", [call(9)], [])
    finished(writer)
    assert large.result() is None


def test_a_request_that_nobody_waits_for_any_more_is_not_written_and_stops_nothing(writer: Writer, store: Store) -> None:
    first, second = writer.submit("traces", [call(1)], []), writer.submit("traces", [call(2)], [])
    assert first.cancel()
    finished(writer)
    with pytest.raises(CancelledError):
        first.result()
    assert second.result() is None
    assert store.query("select trace_id from calls").rows() == [("t2",)]


def test_what_waits_at_the_end_is_committed_and_later_requests_are_refused(writer: Writer, store: Store) -> None:
    waiting = [writer.submit("traces", [call(number)], []) for number in range(5)]
    finished(writer)
    assert all(done.done() for done in waiting)
    with pytest.raises(QueueFull):
        writer.submit("traces", [call(9)], [])
    assert store.query("select count(*) as n from calls").item() == 5


def test_many_senders_at_once_lose_nothing_and_count_nothing_twice(writer: Writer, store: Store) -> None:
    writer.start()
    waiting: list[Future[None]] = []
    lock = threading.Lock()

    def send(sender: int) -> None:
        for number in range(10):
            done = writer.submit("traces", [call(sender * 10 + number), call(number)], [])
            with lock:
                waiting.append(done)

    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(6)]
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()
    writer.stop()
    assert [done.result() for done in waiting] == [None] * 60
    assert store.query("select count(*) as n, cast(sum(input_tokens) as bigint) as i from calls").row(0) == (60, 300)
    assert store.query("select cast(sum(calls) as bigint) as n from usage_hour").item() == 60


def test_a_flood_of_broken_items_leaves_a_bounded_number_of_reasons(writer: Writer, store: Store) -> None:
    writer.submit("traces", [], [Reject(number, "broken") for number in range(5000)])
    finished(writer)
    rejects = store.query("select position, reason from rejects order by position")
    assert len(rejects) == MAX_REJECTS_KEPT + 1
    assert rejects.row(-1) == (MAX_REJECTS_KEPT, "4,000 more of the same request were rejected")
    assert store.query("select rejected from loads").item() == 5000


def body(kind: str, number: int) -> bytes:
    if kind == "traces":
        return otlp_bodies.body(one_span(CHAT, trace=number.to_bytes(16, "big"), id=number.to_bytes(8, "big")))
    if kind == "logs":
        named = {"gen_ai.evaluation.name": "relevance", "evaluation.id": str(number)}
        return otlp_signals.logs(log_record(named)).SerializeToString()
    readings = gauge("DCGM_FI_DEV_GPU_UTIL", {"UUID": str(number)}, (START_NS, 50))
    counted = counter("gen_ai.client.inference.usage.input_tokens", {"n": number}, (START_NS, START_NS + 1, 5))
    return otlp_signals.metrics(readings, counted).SerializeToString()


STORED = {
    "traces": "select cast(concat('0x', trace_id) as bigint) as n from calls",
    "logs": "select cast(evaluation_id as bigint) as n from evaluations",
    "metrics": "select cast(gpu_id as bigint) as n from gpu_hours",
}


def test_what_was_acknowledged_survives_a_kill_in_the_middle_of_writing(tmp_path: Path) -> None:
    db = tmp_path / "ledger.duckdb"
    acknowledged: dict[str, set[int]] = {kind: set() for kind in STORED}
    enough = threading.Event()

    def send(url: str, kind: str) -> None:
        with suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            for number in range(1, 10_000):
                headers = {"content-type": "application/x-protobuf"}
                request = urllib.request.Request(f"{url}/v1/{kind}", body(kind, number), headers)
                with urllib.request.urlopen(request, timeout=30) as response:
                    assert response.status == 200
                acknowledged[kind].add(number)
                if min(map(len, acknowledged.values())) >= 15:
                    enough.set()

    with serving(db) as server:
        senders = [threading.Thread(target=send, args=(server.url, kind)) for kind in STORED]
        for thread in senders:
            thread.start()
        assert enough.wait(120)
        os.kill(server_process(db), signal.SIGKILL)
        for thread in senders:
            thread.join()
    store = Store(db)
    for kind, sql in STORED.items():
        stored = set(store.query(sql)["n"].to_list())
        assert len(acknowledged[kind]) >= 15
        assert acknowledged[kind] <= stored
        # At most the one request of each sender that was under way at the end.
        assert len(stored - acknowledged[kind]) <= 1
    assert store.query("select count(*) as n from calls").item() == store.query("select sum(calls) as n from usage_hour").item()
    assert store.query("select count(*) as n from client_metric_points").item() >= len(acknowledged["metrics"])
    store.close()


def server_process(db: Path) -> int:
    for process in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            words = Path(f"/proc/{process}/cmdline").read_bytes().decode().split("\0")
            if "up" in words and str(db) in words:
                return int(process)
    raise AssertionError("the server is not running")


def test_the_answer_of_a_server_names_no_path_and_no_value(tmp_path: Path) -> None:
    with serving(tmp_path / "ledger.duckdb") as server:
        request = urllib.request.Request(f"{server.url}/v1/logs", b'{"secret', {"content-type": "application/json"})
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=30)
        answer: dict[str, Any] = json.loads(caught.value.read())
        assert answer == {"code": 3, "message": "the body is not an OTLP log document in JSON"}
