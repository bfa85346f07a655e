"""No prompt, answer, argument, message, query or user id gets into a ledger, whoever sends it and however it is broken."""

import ast
import gzip
import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ingest.attribution import Attribution
from ingest.load import Loader
from ingest.otlp import reducers
from ingest.otlp.attributes import allow_list
from ingest.otlp.commit import SpanLedger
from ingest.otlp.protobuf import plain_value
from ingest.receiver import Receiver
from ingest.sources import find_files
from ingest.store import Store
from ingest.writer import Writer
from tests.conftest import HASH_KEY
from tests.ingest import otlp_bodies, otlp_signals
from tests.ingest.otlp_bodies import key_values, one_span
from tests.ingest.otlp_signals import START_NS, histogram, log_record
from tests.ingest.otlp_spans import CAPTURES, needs_captures

_CONTENT = """
gen_ai.input.messages gen_ai.output.messages gen_ai.system_instructions gen_ai.tool.definitions gen_ai.tool.call.arguments
gen_ai.tool.call.result input.value output.value gen_ai.prompt gen_ai.completion ai.prompt ai.prompt.messages ai.response.text
ai.response.object ai.response.toolCalls ai.toolCall.args ai.toolCall.result langfuse.observation.input langfuse.observation.output
langfuse.trace.input langfuse.trace.output request_data response_data traceloop.entity.input traceloop.entity.output metadata
exception.message exception.stacktrace gen_ai.evaluation.explanation gen_ai.retrieval.query.text retrieval.query
mlflow.spanInputs mlflow.spanOutputs genkit:input genkit:output pydantic_ai.all_messages langwatch.input langwatch.output
gcp.vertex.agent.llm_request gcp.vertex.agent.llm_response llm.prompts llm.prompt_template.template llm.prompt_template.variables
db.query.text db.statement url.query process.command_line
"""
CONTENT_PREFIXES = (
    "llm.input_messages.",
    "llm.output_messages.",
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "llm.openai.",
    "retrieval.documents.",
)
_USERS = """
langfuse.user.id user.id enduser.id gen_ai.user llm.user gen_ai.request.user langwatch.user.id ai.telemetry.metadata.userId
traceloop.association.properties.user_id
"""
CONTENT_KEYS, USER_KEYS = _CONTENT.split(), _USERS.split()

Texts = Iterable[str]


def everything(db: Path) -> tuple[bytes, str]:
    """The bytes of a finished ledger, and every value of every table as text."""
    ledger = duckdb.connect(str(db))
    ledger.execute("checkpoint")
    tables = ledger.sql("select table_name from information_schema.tables where table_type = 'BASE TABLE'").fetchall()
    values = [str(row) for (table,) in tables for row in ledger.sql(f'select columns(*)::varchar from "{table}"').fetchall()]
    ledger.close()
    # Python shows quotes and control characters escaped; what is searched for is shown the same way.
    return db.read_bytes(), "\n".join(values)


def found_in(db: Path, texts: Texts) -> list[str]:
    raw, values = everything(db)
    return sorted({text for text in texts if text.encode() in raw or text in values or repr(text)[1:-1] in values})


# ---------------------------------------------------------------- real clients


@needs_captures
def test_no_text_of_a_real_conversation_is_in_a_ledger_of_all_captures(tmp_path: Path) -> None:
    db = tmp_path / "ledger.duckdb"
    store = Store(db)
    files = [path for path in sorted(CAPTURES.glob("*/*")) if path.stem.rsplit("-", 1)[-1] in ("traces", "logs", "metrics")]
    outcomes = Loader(store, HASH_KEY).load(find_files(files))
    assert {outcome.status for outcome in outcomes} == {"loaded"}
    store.close()
    texts = set(captured_texts())
    assert len(texts) > 150
    assert found_in(db, [*texts, "gpt-4o"]) == ["gpt-4o"], "and the search finds what is there"


def captured_texts() -> Iterator[str]:
    """Every sentence under a content key of a captured span, event or log record."""
    for path in CAPTURES.glob("*/*-traces.pb"):
        for resource in ExportTraceServiceRequest.FromString(path.read_bytes()).resource_spans:
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                for attributes in (span.attributes, *(event.attributes for event in span.events)):
                    yield from content_of(attributes)
    for path in CAPTURES.glob("*/*-logs.pb"):
        for logs in ExportLogsServiceRequest.FromString(path.read_bytes()).resource_logs:
            for record in (record for scope in logs.scope_logs for record in scope.log_records):
                yield from content_of(record.attributes)
                yield from sentences(plain_value(record.body))


def content_of(attributes: Any) -> Iterator[str]:
    for pair in attributes:
        if pair.key in CONTENT_KEYS or pair.key.startswith(CONTENT_PREFIXES):
            yield from sentences(plain_value(pair.value))


def sentences(value: Any) -> Iterator[str]:
    """The texts of three words or more inside a value, also inside JSON and Python literals in it."""
    if isinstance(value, dict):
        for inside in (*value, *value.values()):
            yield from sentences(inside)
    elif isinstance(value, (list, tuple)):
        for inside in value:
            yield from sentences(inside)
    elif isinstance(value, str) and value.strip()[:1] in "{[" and (parsed := parse(value)) is not None:
        yield from sentences(parsed)
    elif isinstance(value, str) and len(value) >= 16 and len(value.split()) >= 3:
        yield value


def parse(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None


# ---------------------------------------------------------------- telemetry made to tempt


def marked(number: int, what: str) -> str:
    return f"QQ-{what}-{number:04}-the heron ate Quintus Fabius QQ"


def tempting() -> tuple[dict[str, Any], list[str]]:
    """Attributes with a text under every key that may hold content, in every shape, and these texts."""
    texts: list[str] = []

    def text(what: str) -> str:
        texts.append(marked(len(texts), what))
        return texts[-1]

    attributes: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 9}
    for number, key in enumerate(CONTENT_KEYS):
        attributes[key] = [
            text("plain"),
            json.dumps([{"role": "user", "content": text("json"), text("key"): [{"text": text("deep")}]}]),
            str({"messages": [{"content": text("repr")}], "error": text("repr")}),
            [text("list"), json.dumps({"query": text("list")})],
            {"role": "user", "parts": [{"text": text("mapping")}], text("name"): 1},
            text("bytes").encode(),
        ][number % 6]
    for prefix in CONTENT_PREFIXES:
        attributes[f"{prefix}0.message.content"] = text("indexed")
        attributes[f"{prefix}0.content"] = text("indexed")
        attributes[f"{prefix}0.document.content"] = text("indexed")
        attributes[f"{prefix}0.message.tool_calls.0.tool_call.function.arguments"] = json.dumps({"to": text("argument")})
    for key in ("url.full", "http.url", "server.address", "http.target", "url.path"):
        attributes[key] = f"https://someone:pass@api.example.com/v1/{text('path')}?q={text('query')}#{text('fragment')}"
    for key in ("app.note", "question", "gen_ai.unknown", "message", "db.params"):
        attributes[key] = text("unknown")
    for key in ("gen_ai.usage.cost", "gen_ai.usage.output_tokens", "gen_ai.request.max_tokens", "gen_ai.response.time_to_first_chunk"):
        attributes[key] = texts[-1] = text("number")[:32]
    return attributes, texts


ATTRIBUTES, CONTENT = tempting()
USERS = {key: f"user-{number}-quintus.fabius@example.com" for number, key in enumerate(USER_KEYS)}


def bodies() -> dict[str, Any]:
    """One request of each signal that holds every text and every user."""
    spans = [one_span({**ATTRIBUTES, key: user}, id=bytes([7, *number.to_bytes(7)])) for number, (key, user) in enumerate(USERS.items())]
    for span in spans:
        span.name = " ".join(CONTENT[:8])
        span.status.message = CONTENT[0]
        span.trace_state = "x=" + CONTENT[1]
        for name in ("exception", "gen_ai.evaluation.result", "gen_ai.user.message", "gen_ai.choice", "log"):
            event = {**ATTRIBUTES, "exception.type": "openai.BadRequestError", "gen_ai.evaluation.name": "relevance"}
            span.events.add(name=name, time_unix_nano=START_NS, attributes=key_values(event))
        span.links.add(trace_id=span.trace_id, span_id=span.span_id, attributes=key_values(ATTRIBUTES))
    records = [
        log_record({**ATTRIBUTES, **USERS, "gen_ai.evaluation.name": "relevance"}, event, body=body)
        for event in ("gen_ai.evaluation.result", "gen_ai.client.inference.operation.details", "gen_ai.choice", "")
        for body in (CONTENT[0], {"content": CONTENT[1], **ATTRIBUTES})
    ]
    labels = {**USERS, "app.note": CONTENT[0], "gen_ai.prompt": CONTENT[1], "gen_ai.token.type": "input"}
    counted = histogram("gen_ai.client.token.usage", labels, (START_NS, START_NS + 1, 1, 5.0))
    counted.histogram.data_points[0].exemplars.add(as_double=5, filtered_attributes=key_values(ATTRIBUTES))
    resource = {"app.note": CONTENT[2], "process.command_line": CONTENT[3], "service.name": "shop"}
    return {
        "traces": otlp_bodies.request(*spans, resource=resource),
        "logs": otlp_signals.logs(*records, resource=resource),
        "metrics": otlp_signals.metrics(counted, resource=resource),
    }


def as_json(signal: str, sent: Any) -> bytes:
    return json.dumps(otlp_bodies.as_json(sent)).encode() if signal == "traces" else otlp_signals.as_json(sent)


def test_no_content_and_no_user_is_in_a_ledger_that_was_loaded_with_them(tmp_path: Path) -> None:
    db = tmp_path / "ledger.duckdb"
    store = Store(db)
    for signal, sent in bodies().items():
        (tmp_path / f"{signal}.pb").write_bytes(sent.SerializeToString())
        (tmp_path / f"{signal}.jsonl").write_bytes(as_json(signal, sent) + b"\n")
    outcomes = Loader(store, HASH_KEY).load(find_files(sorted(tmp_path.glob("*.pb")) + sorted(tmp_path.glob("*.jsonl"))))
    assert {outcome.status for outcome in outcomes} == {"loaded"}
    users = store.query("select user_key from calls order by span_id")["user_key"].to_list()
    assert len(users) == len(set(users)) == len(USERS)
    assert all(len(user) == 64 for user in users)
    assert store.query("select count(*) as n from evaluations").item() > 0
    assert store.query("select count(*) as n from client_metric_points").item() == 1
    store.close()
    assert found_in(db, [*CONTENT, *USERS.values(), "Quintus", "quintus", "someone:pass"]) == []


def test_neither_answers_nor_logs_nor_rejects_quote_what_was_sent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    db = tmp_path / "ledger.duckdb"
    store = Store(db)
    spans = SpanLedger(HASH_KEY, Attribution())
    writer = Writer(store, spans)
    writer.start()
    http = TestClient(Starlette(routes=Receiver(writer, spans.allow).routes()), raise_server_exceptions=False)
    answers = []
    with caplog.at_level(logging.DEBUG):
        for signal, sent in bodies().items():
            document = json.loads(as_json(signal, sent))
            for media_type, whole in (
                ("application/json", as_json(signal, sent)),
                ("application/x-protobuf", sent.SerializeToString()),
                *(("application/json", json.dumps(broken).encode()) for broken in broken_documents(document)),
            ):
                for content in (whole, whole[: len(whole) // 2], whole + CONTENT[0].encode(), gzip.compress(whole)[:-9]):
                    answers.append(http.post(f"/v1/{signal}", content=content, headers={"content-type": media_type}))
    writer.stop()
    store.close()
    assert {answer.status_code for answer in answers} == {200, 400}
    assert "Quintus" not in caplog.text
    assert not [answer.text for answer in answers if "Quintus" in answer.text or "quintus" in answer.text]
    assert found_in(db, [*CONTENT, *USERS.values(), "Quintus", "quintus"]) == []


def broken_documents(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The document with a text where each field of an item has something else."""
    text = json.dumps(document)
    for field in ("traceId", "spanId", "startTimeUnixNano", "timeUnixNano", "attributes", "events", "status", "kind", "count", "name"):
        broken = json.loads(text)
        for resource in next(iter(broken.values())):
            for scope in next(value for key, value in resource.items() if key.startswith("scope")):
                for item in next(value for key, value in scope.items() if key in ("spans", "logRecords", "metrics")):
                    for holder in (item, *item.get("histogram", {}).get("dataPoints", [])):
                        if field in holder and field != "name":
                            holder[field] = CONTENT[0]
        yield broken


def test_a_rejected_line_of_a_file_is_known_by_its_hash_and_not_by_its_text(tmp_path: Path) -> None:
    db = tmp_path / "ledger.duckdb"
    store = Store(db)
    lines = [as_json("traces", bodies()["traces"]), b'{"resourceSpans": "' + CONTENT[0].encode() + b'"', b"{" + CONTENT[1].encode()]
    (tmp_path / "export.jsonl").write_bytes(b"\n".join(lines))
    [outcome] = Loader(store, HASH_KEY).load(find_files([tmp_path / "export.jsonl"]))
    assert (outcome.status, outcome.rejected) == ("partial", 2)
    assert "Quintus" not in outcome.line() + str(outcome.rejects)
    store.close()
    assert found_in(db, CONTENT) == []


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("openai.RateLimitError", "openai.RateLimitError"),
        ("<class 'openai.BadRequestError'>", "<class 'openai.BadRequestError'>"),
        ("429", "429"),
        ("Rate limit reached for alice@example.com. Try again.", "rate_limit"),
        ("the prompt about zanzibar was refused", "other"),
    ],
)
def test_of_an_error_message_only_the_kind_is_kept(said: str, kept: str) -> None:
    assert reducers.error("error.type")(said) == {"error.type": kept}
    assert reducers.error("error.type")(kept) == {"error.type": kept}


def test_free_tags_are_kept_only_under_names_that_the_table_knows() -> None:
    reduce = allow_list(b"key").reducers["tag.tags"]
    assert reduce('["team:search", "user:alice", "alice"]') == {"tag.tags.team": "search"}
