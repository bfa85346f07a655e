"""A running server: real SDKs send to it, commands use it, and a kill loses nothing that was acknowledged."""

import gzip
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from app.ledger import ServerFile
from tests.serving import Server, run, serving

CALLS = "select request_model, input_tokens, output_tokens, service, cost_status from calls order by input_tokens"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server") / "ledger.duckdb") as running:
        yield running


def ask(server: Server, sql: str) -> list[dict]:
    result = run("sql", "--db", server.db, "--json", sql, cwd=server.db.parent)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def post(url: str, body: bytes, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    request = urllib.request.Request(url, body, {name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read(), dict(response.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


def send_with_sdk(endpoint: str, tokens: int) -> None:
    provider = TracerProvider(resource=Resource.create({"service.name": "checkout-bot"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    with provider.get_tracer("demo").start_as_current_span("chat gpt-4o", kind=trace.SpanKind.CLIENT) as span:
        span.set_attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.usage.input_tokens": tokens,
                "gen_ai.usage.output_tokens": 20,
            }
        )
    assert provider.force_flush()
    provider.shutdown()


def test_the_sdk_exporter_with_default_settings_is_received_and_visible_at_once(server: Server) -> None:
    send_with_sdk(f"{server.url}/v1/traces", tokens=100)
    [row] = [row for row in ask(server, CALLS) if row["input_tokens"] == 100]
    assert (row["request_model"], row["output_tokens"], row["service"], row["cost_status"]) == ("gpt-4o", 20, "checkout-bot", "priced")
    usage = ask(server, "select calls, requests from usage_hour where service = 'checkout-bot'")
    assert usage == [{"calls": 1, "requests": 1}]


def test_the_same_export_again_counts_nothing_twice(server: Server) -> None:
    body = json.dumps(one_span("a" * 32, "b" * 16, 7)).encode()
    for content in (body, gzip.compress(body)):
        encoding = {"Content_Encoding": "gzip"} if content != body else {}
        assert post(f"{server.url}/v1/traces", content, Content_Type="application/json", **encoding)[0] == 200
    assert len([row for row in ask(server, CALLS) if row["input_tokens"] == 7]) == 1


def one_span(trace_id: str, span_id: str, tokens: int) -> dict:
    return {
        "resourceSpans": [
            {
                "resource": {},
                "scopeSpans": [
                    {
                        "scope": {"name": "s"},
                        "spans": [
                            {
                                "traceId": trace_id,
                                "spanId": span_id,
                                "name": "chat",
                                "kind": 3,
                                "startTimeUnixNano": "1790000000000000000",
                                "endTimeUnixNano": "1790000001000000000",
                                "attributes": [
                                    {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                                    {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
                                    {"key": "gen_ai.usage.input_tokens", "value": {"intValue": str(tokens)}},
                                ],
                            }
                        ],
                    }
                ],
            }
        ]
    }


def test_answers_follow_the_specification(server: Server) -> None:
    traces = f"{server.url}/v1/traces"
    assert post(traces, b"", Content_Type="application/x-protobuf")[:2] == (200, b"")
    assert post(traces, b"{}", Content_Type="application/json")[:2] == (200, b"{}")
    status, body, headers = post(traces, b"\xff\xff secret", Content_Type="application/x-protobuf")
    assert status == 400
    assert b"secret" not in body
    assert headers["content-type"] == "application/x-protobuf"
    status, body, _ = post(traces, b"{ secret", Content_Type="application/json")
    assert status == 400
    assert json.loads(body)["code"] == 3
    assert b"secret" not in body
    assert post(traces, b"x", Content_Type="text/plain")[0] == 415
    assert post(traces, b"x", Content_Type="application/json", Content_Encoding="br")[0] == 415
    assert post(traces, b"no gzip", Content_Type="application/json", Content_Encoding="gzip")[0] == 400
    bomb = gzip.compress(b" " * (70 * 2**20))
    assert post(traces, bomb, Content_Type="application/json", Content_Encoding="gzip")[0] == 413


def test_a_span_that_breaks_the_rules_is_a_partial_success_and_a_reject(server: Server) -> None:
    document = one_span("c" * 32, "d" * 16, 8)
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans.append({**spans[0], "traceId": "0" * 32})
    status, body, _ = post(f"{server.url}/v1/traces", json.dumps(document).encode(), Content_Type="application/json")
    assert status == 200
    assert json.loads(body)["partialSuccess"]["rejectedSpans"] == "1"
    assert ask(server, "select count(*) as n from rejects")[0]["n"] >= 1


def test_commands_work_while_the_server_has_the_ledger(server: Server, tmp_path: Path) -> None:
    register = tmp_path / "systems.csv"
    register.write_text("system_id,name,owner,lifecycle,risk_tier,service_names\nbot,Checkout Bot,A,production,1,checkout-bot\n")
    loaded = run("load", register, "--db", server.db, "--json", cwd=tmp_path)
    assert loaded.returncode == 0, loaded.stderr
    assert json.loads(loaded.stdout)[0] | {"rows": 1, "status": "loaded", "path": str(register)} == json.loads(loaded.stdout)[0]
    assert {row["system"] for row in ask(server, "select system from calls where service = 'checkout-bot'")} == {"bot"}, (
        "a register that arrives after the traces names their system, too"
    )
    for command in (["kpis", "--period", "2026-09", "--json"], ["doctor", "--json"]):
        result = run(*command, "--db", server.db, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        json.loads(result.stdout)
    assert run("sql", "--db", server.db, "drop table loads", cwd=tmp_path).returncode == 1


def test_the_server_file_is_private_and_needed(server: Server) -> None:
    path = ServerFile.path(server.db)
    assert path.stat().st_mode & 0o777 == 0o600
    assert post(f"{server.url}/api/query", b"", authorization="Bearer wrong")[0] == 401


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    db = tmp_path / "ledger.duckdb"
    with serving(db) as server:
        body = json.dumps(one_span("e" * 32, "f" * 16, 9)).encode()
        assert post(f"{server.url}/v1/traces", body, Content_Type="application/json")[0] == 200
        pid = int(next(p for p in os.listdir("/proc") if p.isdigit() and str(db) in command_line(p) and " up " in command_line(p)))
        os.kill(pid, signal.SIGKILL)
    result = run("sql", "--db", db, "--json", CALLS, cwd=tmp_path)
    assert [row["input_tokens"] for row in json.loads(result.stdout)] == [9]


def command_line(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def test_an_address_that_others_reach_is_refused_without_tokens(tmp_path: Path) -> None:
    result = run("up", "--host", "0.0.0.0", "--port", "4399", cwd=tmp_path)
    assert result.returncode == 1
    assert "reachable from other machines" in result.stderr


def test_with_receiver_tokens_a_sender_needs_one(tmp_path: Path) -> None:
    with serving(tmp_path / "ledger.duckdb", {"SPANLEDGER_RECEIVER_TOKENS": "t1,t2"}) as server:
        assert post(f"{server.url}/v1/traces", b"{}", Content_Type="application/json")[0] == 401
        assert post(f"{server.url}/v1/traces", b"{}", Content_Type="application/json", Authorization="Bearer t2")[0] == 200
