"""Prompts and answers are kept only where they are asked for, beside the ledger, for as long as was said."""

import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app import settings
from ingest.attribution import Attribution
from ingest.content import ContentStore
from ingest.load import Loader
from ingest.otlp.commit import SpanLedger
from ingest.receiver import Receiver
from ingest.sources import find_files
from ingest.store import Store
from ingest.writer import Writer
from tests.conftest import HASH_KEY
from tests.ingest import otlp_bodies
from tests.ingest.otlp_bodies import NOON_NS, one_span

DAY_NS = 86_400 * 10**9
TODAY = date(1970, 1, 1) + timedelta(days=NOON_NS // DAY_NS)
PROMPT, ANSWER = "when does the museum open", "at nine, except on Mondays"
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 5,
    "gen_ai.input.messages": json.dumps([{"role": "user", "content": PROMPT}]),
    "gen_ai.output.messages": json.dumps([{"role": "assistant", "content": ANSWER}]),
    "input.value": "the same prompt in another spelling",
}
AGENT = {"gen_ai.operation.name": "invoke_agent", "input.value": "an agent's text"}


def trace(number: int) -> bytes:
    return number.to_bytes(16, "big")


def call(number: int, days_ago: int = 0, **more: Any) -> Any:
    return one_span({**CHAT, **more}, id=number.to_bytes(8, "big"), trace=trace(number), start_ns=NOON_NS - days_ago * DAY_NS)


@pytest.fixture
def content(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "ledger.duckdb.content", 30, lambda: TODAY)


@pytest.fixture
def sender(content: ContentStore, store: Store) -> Iterator[TestClient]:
    spans = SpanLedger(HASH_KEY, Attribution())
    writer = Writer(store, spans)
    writer.start()
    yield TestClient(Starlette(routes=Receiver(writer, spans.allow, content=content).routes()))
    writer.stop()


def send(sender: TestClient, *spans: Any, as_json: bool = False) -> int:
    request = otlp_bodies.request(*spans)
    body = json.dumps(otlp_bodies.as_json(request)).encode() if as_json else request.SerializeToString()
    media_type = "application/json" if as_json else "application/x-protobuf"
    return sender.post("/v1/traces", content=body, headers={"content-type": media_type}).status_code


@pytest.mark.parametrize("as_json", [False, True])
def test_the_texts_of_a_call_are_kept_beside_the_ledger_and_not_in_it(
    as_json: bool, content: ContentStore, sender: TestClient, store: Store, tmp_path: Path
) -> None:
    agent = one_span(AGENT, id=b"\x09" * 8, trace=trace(1))
    assert send(sender, call(1), agent, as_json=as_json) == 200
    rows = content.read(trace(1).hex()).select("kind", "text", "span_id").rows()
    assert [(kind, json.loads(text)[0]["content"], span_id) for kind, text, span_id in rows] == [
        ("completion", ANSWER, f"{1:016x}"),
        ("prompt", PROMPT, f"{1:016x}"),
    ]
    [path] = content.folder.glob(f"day={TODAY}/*.parquet")
    assert path.stat().st_mode & 0o777 == 0o600
    assert content.folder.stat().st_mode & 0o777 == 0o700
    store.close()
    ledger = duckdb.connect(str(tmp_path / "ledger.duckdb"))
    tables = [row[0] for row in ledger.sql("select table_name from information_schema.tables").fetchall()]
    assert not [table for table in tables if "museum" in str(ledger.sql(f"from {table}").fetchall())]


def test_the_same_texts_sent_again_are_there_once(content: ContentStore, sender: TestClient) -> None:
    for _ in range(3):
        assert send(sender, call(1), call(2)) == 200
    assert send(sender, call(1)) == 200
    assert len(content.read(trace(1).hex())) == 2


def test_a_body_that_is_refused_leaves_no_text(content: ContentStore, sender: TestClient) -> None:
    body = otlp_bodies.body(call(1)) + b"\xff\xff"
    assert sender.post("/v1/traces", content=body, headers={"content-type": "application/x-protobuf"}).status_code == 400
    assert not content.folder.exists()


def test_files_bring_their_texts_too(content: ContentStore, store: Store, tmp_path: Path) -> None:
    lines = [json.dumps(otlp_bodies.as_json(otlp_bodies.request(call(number)))) for number in range(1, 40)]
    (tmp_path / "export.jsonl").write_text("\n".join(lines))
    [outcome] = Loader(store, HASH_KEY, content=content).load(find_files([tmp_path / "export.jsonl"]))
    assert outcome.rows == 39
    assert len(list(content.folder.glob("day=*/*.parquet"))) == 1
    assert {len(content.read(trace(number).hex())) for number in range(1, 40)} == {2}


def test_days_that_are_over_their_time_are_deleted_at_the_next_load(content: ContentStore, sender: TestClient, store: Store) -> None:
    assert send(sender, call(1), call(2, days_ago=30), call(3, days_ago=31)) == 200
    assert [day.name for day in sorted(content.folder.iterdir())] == [f"day={TODAY - timedelta(days=30)}", f"day={TODAY}"]
    tomorrow = ContentStore(content.folder, 30, lambda: TODAY + timedelta(days=1))
    Loader(store, HASH_KEY, content=tomorrow).load([])
    assert [day.name for day in content.folder.iterdir()] == [f"day={TODAY}"]


def test_past_days_become_one_file_with_the_same_texts(content: ContentStore, sender: TestClient) -> None:
    for number in range(1, 6):
        assert send(sender, call(number), call(1)) == 200
    before = {number: content.read(trace(number).hex()).rows() for number in range(1, 6)}
    ContentStore(content.folder, 30, lambda: TODAY + timedelta(days=1)).tidy()
    assert len(list(content.folder.glob("day=*/*"))) == 1
    assert {number: content.read(trace(number).hex()).rows() for number in range(1, 6)} == before


def test_a_trace_can_be_deleted_and_the_others_stay(content: ContentStore, sender: TestClient) -> None:
    assert send(sender, call(1), call(2), call(3, days_ago=2)) == 200
    assert content.delete([trace(1).hex(), trace(3).hex()]) == 4
    assert [len(content.read(trace(number).hex())) for number in (1, 2, 3)] == [0, 2, 0]
    assert content.delete([trace(1).hex()]) == 0


def test_a_load_of_the_folder_does_not_read_the_texts_back(content: ContentStore, sender: TestClient, tmp_path: Path) -> None:
    assert send(sender, call(1)) == 200
    assert not [name for _, name in find_files([tmp_path]) if ".content" in name]


def test_long_texts_are_compressed(content: ContentStore, sender: TestClient) -> None:
    words = random.Random(1).choices(PROMPT.split(), k=50_000)
    assert send(sender, call(1, **{"gen_ai.input.messages": " ".join(words)})) == 200
    [path] = content.folder.rglob("*.parquet")
    assert path.stat().st_size < len(" ".join(words)) / 3


def test_the_settings_say_whether_and_how_long(tmp_path: Path) -> None:
    db = tmp_path / "ledger.duckdb"
    assert settings.read(db, tmp_path).content_store() is None
    (tmp_path / "spanledger.toml").write_text("[content]\nstore = true\nretention_days = 7\n")
    store = settings.read(db, tmp_path).content_store()
    assert store is not None
    assert (store.folder, store.retention_days) == (tmp_path / "ledger.duckdb.content", 7)
    (tmp_path / "spanledger.toml").write_text("[content]\nretention_days = 0\n")
    with pytest.raises(settings.ConfigError):
        settings.read(db, tmp_path)
