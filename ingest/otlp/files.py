"""OTLP in files: told by content, read batch by batch, whatever the exporter's framing and compression.

Framings (OpenTelemetry file exporter, Collector `fileexporter`): JSON lines, one JSON document, messages behind a 4-byte
big-endian or a varint length, one bare protobuf message; any of them as gzip or zstd, and zstd also message by message.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pyarrow as pa
from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.otlp.keep import Decoded, DecodeError
from ingest.otlp.otlpjson import decode_json
from ingest.otlp.protobuf import decode_protobuf
from ingest.otlp.span import AllowList, Reject
from ingest.otlp.truncated import complete_part

__all__ = ["DecodeError", "looks_like_otlp", "read_spans", "signal_of"]

Signal = Literal["traces", "logs", "metrics"]
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
FIRST_FIELD = b"\x0a"  # every bare OTLP message opens with its field 1
SNIFF_BYTES = 65536
MAX_MESSAGE_BYTES = 256 * 2**20  # of one framed message, one line or one document, after decompression
JSON_SIGNALS: dict[bytes, Signal] = {b'"resourceSpans"': "traces", b'"resourceLogs"': "logs", b'"resourceMetrics"': "metrics"}


def looks_like_otlp(path: Path) -> bool:
    """Whether a file holds OTLP traces, told by its content alone."""
    return signal_of(path) == "traces"


def signal_of(path: Path) -> Signal | None:
    """The signal that a file holds in any OTLP form, or None."""
    try:
        with _open(path) as file:
            head = file.read(SNIFF_BYTES)
    except (OSError, EOFError, zlib.error):
        return None
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] == b"{":
        first = min(((text.find(key), signal) for key, signal in JSON_SIGNALS.items() if key in text), default=None)
        return first[1] if first and first[0] < 64 else None
    framing, signal = _framing(path)
    if framing is None and head[:1] == FIRST_FIELD:
        with _open(path) as file:
            message = file.read(MAX_MESSAGE_BYTES)
        signal = _protobuf_signal(message) or _protobuf_signal(complete_part(message))
    return signal


def read_spans(path: Path, allow: AllowList) -> Iterator[Decoded]:
    """The spans of a file, message by message, and what could not be read with its place in the file.

    Raises DecodeError when nothing of the file can be read.
    """
    with _open(path) as file:
        head = file.read(SNIFF_BYTES)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        yield from _read_json(path, allow)
        return
    framing, _ = _framing(path)
    if framing is None:
        with _open(path) as file:
            yield _read_bare(_limited(file), allow)
    else:
        yield from _read_framed(path, framing, allow)


def _open(path: Path) -> io.BufferedIOBase:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic[:2] == GZIP:
        return gzip.open(path, "rb")
    if magic == ZSTD:
        return io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))
    return path.open("rb")


def _limited(file: io.BufferedIOBase) -> bytes:
    content = file.read(MAX_MESSAGE_BYTES + 1)
    if len(content) > MAX_MESSAGE_BYTES:
        raise DecodeError(f"one message of more than {MAX_MESSAGE_BYTES // 2**20} MiB")
    return content


def _read_bare(body: bytes, allow: AllowList) -> Decoded:
    """One message; of one that was cut off, the spans before the cut."""
    try:
        return decode_protobuf(body, allow)
    except DecodeError:
        part = complete_part(body)
        spans, rejects = decode_protobuf(part, allow)
        if not spans:
            raise
        return spans, [*rejects, Reject(len(part), f"the message is cut off after {len(spans)} spans", len(body) - len(part))]


def _read_json(path: Path, allow: AllowList) -> Iterator[Decoded]:
    """One document a line, or one document in all: the first line tells."""
    with _open(path) as file:
        first = file.readline(MAX_MESSAGE_BYTES)
        rest = file.read(1)
        if not rest.strip() and not file.read(SNIFF_BYTES).strip():
            yield decode_json(first.strip(b"\xef\xbb\xbf \t\r\n"), allow)
            return
    try:
        decode_json(first.lstrip(b"\xef\xbb\xbf"), allow)
    except DecodeError:
        with _open(path) as file:
            content = _limited(file)
        if b'"resourceSpans"' not in first or first.rstrip()[-1:] != b"}":
            yield decode_json(content.lstrip(b"\xef\xbb\xbf"), allow)
            return
    with _open(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_MESSAGE_BYTES), b""), start=1):
            if line.strip():
                yield _read_part(line.strip(b"\xef\xbb\xbf \t\r\n"), decode_json, allow, f"line {number}", number)


def _read_part(body: bytes, decode: Callable[[bytes, AllowList], Decoded], allow: AllowList, where: str, position: int) -> Decoded:
    """One line or message; what cannot be decoded is one reject with its place, length and hash."""
    try:
        spans, rejects = decode(body, allow)
    except DecodeError as error:
        return [], [Reject(position, f"{where}: {error}", len(body), hashlib.sha256(body).hexdigest())]
    return spans, [Reject(position, f"{where}, span {reject.position}: {reject.reason}") for reject in rejects]


Framing = Callable[[io.BufferedIOBase], int | None]


def _big_endian(file: io.BufferedIOBase) -> int | None:
    """The length of the next message; None at the end. Raises DecodeError inside a length."""
    prefix = file.read(4)
    if not prefix:
        return None
    if len(prefix) < 4:
        raise DecodeError("the file ends inside a message length")
    return int.from_bytes(prefix, "big")


def _varint(file: io.BufferedIOBase) -> int | None:
    """The length of the next message as a varint; None at the end. Raises DecodeError inside a length."""
    length = shift = 0
    while True:
        byte = file.read(1)
        if not byte:
            if shift:
                raise DecodeError("the file ends inside a message length")
            return None
        length |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return length
        shift += 7
        if shift > 35:
            raise DecodeError("a message length that is none")


def _framing(path: Path) -> tuple[Framing | None, Signal | None]:
    """How messages are framed, and their signal: the first framing whose first message reads as OTLP, or none."""
    for framing in (_big_endian, _varint):
        with _open(path) as file:
            try:
                length = framing(file)
                body = file.read(length) if length and length <= MAX_MESSAGE_BYTES else b""
                message = _unzstd(body) if body[:4] == ZSTD else body
            except DecodeError:
                continue
        if len(body) == length and (signal := _protobuf_signal(message)):
            return framing, signal
    return None, None


def _unzstd(body: bytes) -> bytes:
    try:
        return _limited(io.BufferedReader(pa.CompressedInputStream(pa.BufferReader(body), "zstd")))
    except OSError as error:
        raise DecodeError("a broken zstd frame") from error


def _read_framed(path: Path, framing: Framing, allow: AllowList) -> Iterator[Decoded]:
    with _open(path) as file:
        for number in range(1, 2**62):
            try:
                length = framing(file)
                if length is None:
                    return
                if length > MAX_MESSAGE_BYTES:
                    raise DecodeError("a message length that is none")
                body = file.read(length)
                if len(body) < length:
                    raise DecodeError(f"the file ends {length - len(body)} bytes before the end of the message")
                message = _unzstd(body) if body[:4] == ZSTD else body
            except (DecodeError, EOFError, OSError, zlib.error) as error:
                yield [], [Reject(number, f"message {number}: {error}")]
                return
            yield _read_part(message, decode_protobuf, allow, f"message {number}", number)


def _protobuf_signal(body: bytes) -> Signal | None:
    """Traces, logs and metrics share their frame; only what lies inside tells them apart."""
    for signal, request in (
        ("traces", ExportTraceServiceRequest),
        ("logs", ExportLogsServiceRequest),
        ("metrics", ExportMetricsServiceRequest),
    ):
        try:
            message = request.FromString(body)
        except ProtobufError:
            continue
        if _holds(signal, message):
            return signal  # type: ignore[return-value]
    return None


def _holds(signal: str, message: object) -> bool:
    resources = next((value for field, value in message.ListFields()), ())  # type: ignore[attr-defined]
    for resource in resources:
        for scope in next((value for field, value in resource.ListFields() if field.name.startswith("scope_")), ()):
            for item in next((value for field, value in scope.ListFields() if field.name in ("spans", "log_records", "metrics")), ()):
                if signal == "traces":
                    return len(item.trace_id) == 16 and len(item.span_id) == 8 and bool(item.start_time_unix_nano)
                if signal == "logs":
                    return bool(item.time_unix_nano or item.observed_time_unix_nano)
                return item.WhichOneof("data") is not None
    return False
