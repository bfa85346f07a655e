"""OTLP files: every framing and compression of every signal gives the same rows, and damage is named with its place."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest.audit import Outcome
from ingest.load import Loader
from ingest.otlp.files import signal_of
from ingest.sources import find_files
from ingest.store import Store
from tests.ingest import otlp_bodies, otlp_signals
from tests.ingest.otlp_bodies import NOON_NS, one_span
from tests.ingest.otlp_signals import START_NS, gauge, log_record

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 5}
N = 5  # messages in a file


def message(signal: str, number: int) -> Any:
    if signal == "traces":
        return otlp_bodies.request(one_span(CHAT, id=bytes([number + 1]) * 8, start_ns=NOON_NS + number * 10**9))
    if signal == "logs":
        return otlp_signals.logs(log_record({"gen_ai.evaluation.name": "relevance"}, at_ns=NOON_NS + number * 10**9))
    return otlp_signals.metrics(gauge("DCGM_FI_DEV_GPU_UTIL", {"UUID": "g"}, (START_NS + number * 10**9, 50)))


MESSAGES = {signal: [message(signal, number) for number in range(N)] for signal in ("traces", "logs", "metrics")}
ROWS = {
    "traces": "select span_id from spans",
    "logs": "select evaluation_id from evaluations",
    "metrics": "select measured_at from gpu_points",
}


def as_json(sent: Any) -> bytes:
    is_trace = "resource_spans" in sent.DESCRIPTOR.fields_by_name
    return json.dumps(otlp_bodies.as_json(sent)).encode() if is_trace else otlp_signals.as_json(sent)


def merged(messages: list[Any]) -> Any:
    whole = type(messages[0])()
    for part in messages:
        whole.MergeFrom(part)
    return whole


def zstd(content: bytes) -> bytes:
    return pa.compress(content, "zstd", asbytes=True)


def varint(length: int) -> bytes:
    found = bytearray()
    while length > 0x7F:
        found.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*found, length])


def big_endian(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


FORMS: dict[str, Callable[[list[Any]], bytes]] = {
    "JSON lines": lambda sent: b"\n".join(map(as_json, sent)) + b"\n",
    "JSON lines with blank ones": lambda sent: b"\n\n" + b"\r\n\r\n".join(map(as_json, sent)),
    "one JSON document": lambda sent: as_json(merged(sent)),
    "one JSON document on many lines": lambda sent: json.dumps(json.loads(as_json(merged(sent))), indent=1).encode(),
    "JSON behind a byte order mark": lambda sent: b"\xef\xbb\xbf" + as_json(merged(sent)),
    "big-endian lengths": lambda sent: b"".join(big_endian(part.SerializeToString()) for part in sent),
    "varint lengths": lambda sent: b"".join(varint(part.ByteSize()) + part.SerializeToString() for part in sent),
    "one bare message": lambda sent: merged(sent).SerializeToString(),
    "zstd by message": lambda sent: b"".join(big_endian(zstd(part.SerializeToString())) for part in sent),
    "zstd of JSON lines": lambda sent: zstd(b"\n".join(map(as_json, sent))),
    "zstd of lengths": lambda sent: zstd(b"".join(big_endian(part.SerializeToString()) for part in sent)),
    "gzip of JSON lines": lambda sent: gzip.compress(b"\n".join(map(as_json, sent))),
    "gzip of lengths": lambda sent: gzip.compress(b"".join(big_endian(part.SerializeToString()) for part in sent)),
    "gzip of one bare message": lambda sent: gzip.compress(merged(sent).SerializeToString()),
}

each_signal = pytest.mark.parametrize("signal", list(MESSAGES))


def load(loader: Loader, path: Path, content: bytes) -> Outcome:
    path.write_bytes(content)
    [outcome] = loader.load(find_files([path]))
    return outcome


@each_signal
@pytest.mark.parametrize("form", list(FORMS))
def test_every_form_of_a_file_gives_every_row(signal: str, form: str, loader: Loader, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "export.bin"
    outcome = load(loader, path, FORMS[form](MESSAGES[signal]))
    assert signal_of(path) == signal
    assert (outcome.status, outcome.rows, outcome.collector) == ("loaded", N, "otlp"), outcome.line()
    assert len(store.query(ROWS[signal])) == N


@each_signal
def test_the_same_content_in_another_form_adds_nothing(signal: str, loader: Loader, store: Store, tmp_path: Path) -> None:
    for number, form in enumerate(("JSON lines", "big-endian lengths", "one bare message")):
        assert load(loader, tmp_path / f"{number}.bin", FORMS[form](MESSAGES[signal])).status == "loaded"
    assert len(store.query(ROWS[signal])) == N


@each_signal
def test_a_broken_line_is_named_with_its_place_and_the_others_stay(signal: str, loader: Loader, store: Store, tmp_path: Path) -> None:
    lines = list(map(as_json, MESSAGES[signal]))
    lines.insert(2, b'{"what": "the secret is out')
    outcome = load(loader, tmp_path / "export.jsonl", b"\n".join(lines))
    assert (outcome.status, outcome.rows, outcome.rejected) == ("partial", N, 1)
    [reject] = store.query("select * from rejects").to_dicts()
    assert (reject["position"], reject["length"]) == (3, len(lines[2]))
    assert reject["content_hash"]
    assert reject["reason"].startswith("line 3: ")
    assert "secret" not in str(reject)


@each_signal
@pytest.mark.parametrize("form", ["big-endian lengths", "varint lengths", "one bare message", "zstd by message"])
def test_of_a_file_that_was_cut_off_what_came_before_the_cut_stays(
    signal: str, form: str, loader: Loader, store: Store, tmp_path: Path
) -> None:
    outcome = load(loader, tmp_path / "export.bin", FORMS[form](MESSAGES[signal])[:-3])
    assert (outcome.status, outcome.rows, outcome.rejected) == ("partial", N - 1, 1), outcome.line()


@each_signal
@pytest.mark.parametrize("compress", [gzip.compress, zstd], ids=["gzip", "zstd"])
def test_of_a_compressed_file_that_was_cut_off_what_can_be_read_stays(
    signal: str, compress: Callable[[bytes], bytes], loader: Loader, tmp_path: Path
) -> None:
    many = [message(signal, number % 250) for number in range(4000)]
    content = compress(b"\n".join(map(as_json, many)))
    outcome = load(loader, tmp_path / "export.bin", content[: len(content) * 9 // 10])
    assert outcome.status == "partial", outcome.line()
    assert outcome.rows
    assert "compressed" in outcome.rejects[-1].reason


@each_signal
def test_what_breaks_a_rule_is_named_with_its_message_and_its_kind(signal: str, loader: Loader, store: Store, tmp_path: Path) -> None:
    broken = {
        "traces": otlp_bodies.request(one_span(CHAT, id=bytes(8))),
        "logs": otlp_signals.logs(log_record({})),
        "metrics": otlp_signals.metrics(gauge("DCGM_FI_DEV_GPU_UTIL", {"UUID": "g"}, (START_NS, 5000))),
    }[signal]
    outcome = load(loader, tmp_path / "export.jsonl", FORMS["JSON lines"]([*MESSAGES[signal], broken]))
    item = {"traces": "span", "logs": "log record", "metrics": "data point"}[signal]
    assert outcome.rejects[0].reason.startswith(f"line {N + 1}, {item} 0: ")


def test_a_file_of_logs_without_evaluations_is_loaded_and_holds_nothing(loader: Loader, store: Store, tmp_path: Path) -> None:
    sent = otlp_signals.logs(log_record({"gen_ai.usage.input_tokens": 5}, "gen_ai.client.inference.operation.details"))
    outcome = load(loader, tmp_path / "export.pb", sent.SerializeToString())
    assert (outcome.status, outcome.rows) == ("loaded", 0)
    assert store.query("select count(*) as n from spans").item() == 0


PAGE = """# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{{gpu="0",UUID="GPU-0",modelName="NVIDIA H200",Hostname="node-a",namespace="serving",pod="vllm"}} {busy}
DCGM_FI_DEV_GPU_UTIL{{gpu="1",UUID="GPU-1",modelName="NVIDIA H200",Hostname="node-a",namespace="",pod=""}} 0
# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{gpu="0",UUID="GPU-0",Hostname="node-a"}} {energy}
# TYPE DCGM_FI_DEV_XID_ERRORS gauge
DCGM_FI_DEV_XID_ERRORS{{gpu="0",UUID="GPU-0",Hostname="node-a"}} 31
"""


def scraped(loader: Loader, path: Path, content: bytes, minute: int) -> Outcome:
    path.write_bytes(content)
    at = START_NS // 10**9 + minute * 60
    os.utime(path, (at, at))
    [outcome] = loader.load(find_files([path]))
    return outcome


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_pages_of_the_dcgm_exporter_become_hours_of_gpus(
    compress: Callable[[bytes], bytes], loader: Loader, store: Store, tmp_path: Path
) -> None:
    for minute, (busy, energy) in {10: (40, 3_600_000_000), 40: (60, 7_200_000_000)}.items():
        content = compress(PAGE.format(busy=busy, energy=energy).encode())
        outcome = scraped(loader, tmp_path / f"{minute}.prom", content, minute)
        assert (outcome.status, outcome.rows) == ("loaded", 3), outcome.line()
    query = "select node, gpu_id, gpu_model, utilization_ratio, energy_kwh, owner, source from gpu_hours order by gpu_id"
    assert store.query(query).rows() == [
        ("node-a", "GPU-0", "NVIDIA H200", 0.5, 1.0, "serving", "dcgm"),
        ("node-a", "GPU-1", "NVIDIA H200", 0.0, None, None, "dcgm"),
    ]


def test_a_page_that_is_damaged_is_refused_without_its_text(loader: Loader, tmp_path: Path) -> None:
    outcome = scraped(loader, tmp_path / "page.prom", b"# TYPE DCGM_FI_DEV_GPU_UTIL gauge\nDCGM_FI_DEV_GPU_UTIL{ secret\n", 0)
    assert outcome.status == "failed"
    assert "not a page of Prometheus text" in outcome.line()
    assert "secret" not in outcome.line()


def test_the_exporters_own_page_is_read(fixtures: Path, loader: Loader, store: Store) -> None:
    [outcome] = loader.load([(fixtures / "billing" / "dcgm" / "metrics.prom", "metrics.prom")])
    assert outcome.status == "loaded"
    assert store.query("select gpu_id, utilization_ratio from gpu_hours order by gpu_id").rows() == [
        ("GPU-test-0", 0.62),
        ("GPU-test-1", 0.0),
    ]
