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

import pyarrow as pa
from google.protobuf.message import DecodeError as ProtobufError

from ingest.otlp.keep import DecodeError
from ingest.otlp.signals import SIGNALS, Decode, Items, Signal, SignalKind
from ingest.otlp.span import AllowList, Reject
from ingest.otlp.truncated import complete_part

__all__ = ["DecodeError", "read", "signal_of"]

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
FIRST_FIELD = b"\x0a"  # every bare OTLP message opens with its field 1
BLANK = b"\xef\xbb\xbf \t\r\n"  # a byte order mark counts as none
SNIFF_BYTES = 65536
MAX_MESSAGE_BYTES = 256 * 2**20  # of one framed message, one line or one document, after decompression
BROKEN_STREAM = (EOFError, OSError, zlib.error)
CUT_OFF = "the compressed stream is broken or cut off"
JSON_SIGNALS: dict[bytes, Signal] = {b'"resourceSpans"': "traces", b'"resourceLogs"': "logs", b'"resourceMetrics"': "metrics"}


def signal_of(path: Path) -> Signal | None:
    """The signal that a file holds in any OTLP form, told by its content alone, or None."""
    try:
        with _open(path) as file:
            head = file.read(SNIFF_BYTES)
        text = head.lstrip(BLANK)
        if text[:1] == b"{":
            first = min(((text.find(key), signal) for key, signal in JSON_SIGNALS.items() if key in text), default=None)
            return first[1] if first and first[0] < 64 else None
        framing, signal = _framing(path)
        if framing is None and head[:1] == FIRST_FIELD:
            with _open(path) as file:
                message = file.read(MAX_MESSAGE_BYTES)
            signal = _protobuf_signal(message) or _protobuf_signal(complete_part(message))
    except BROKEN_STREAM:
        return None
    return signal


def read(path: Path, kind: SignalKind, allow: AllowList) -> Iterator[Items]:
    """What a file of one signal holds, message by message, and what could not be read with its place in the file.

    Raises DecodeError when nothing of the file can be read.
    """
    with _open(path) as file:
        head = file.read(SNIFF_BYTES)
    if head.lstrip(BLANK)[:1] == b"{":
        yield from _read_json(path, kind, allow)
        return
    framing, _ = _framing(path)
    if framing is None:
        with _open(path) as file:
            yield _read_bare(_limited(file), kind, allow)
    else:
        yield from _read_framed(path, framing, kind, allow)


def _open(path: Path) -> io.BufferedIOBase:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic[:2] == GZIP:
        return gzip.open(path, "rb")
    if magic == ZSTD:
        return io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))
    return path.open("rb")


def _limited(file: io.BufferedIOBase) -> bytes:
    try:
        content = file.read(MAX_MESSAGE_BYTES + 1)
    except BROKEN_STREAM as error:
        raise DecodeError(CUT_OFF) from error
    if len(content) > MAX_MESSAGE_BYTES:
        raise DecodeError(f"one message of more than {MAX_MESSAGE_BYTES // 2**20} MiB")
    return content


def _read_bare(body: bytes, kind: SignalKind, allow: AllowList) -> Items:
    """One message; of one that was cut off, what came before the cut."""
    try:
        return kind.decode_protobuf(body, allow)
    except DecodeError:
        part = complete_part(body)
        items, rejects = kind.decode_protobuf(part, allow)
        if not items:
            raise
        lost = body[len(part) :]
        reason = f"the message is cut off after {len(items)} {kind.item}s"
        return items, [*rejects, Reject(len(part), reason, len(lost), hashlib.sha256(lost).hexdigest())]


def _read_json(path: Path, kind: SignalKind, allow: AllowList) -> Iterator[Items]:
    """One document a line, or one document in all: the first line with content tells."""
    first = next((line for _, line in _lines(path) if line), b"")
    try:
        kind.decode_json(first, allow)
    except DecodeError:
        # A line that begins and ends like a document is one that is broken.
        if first[-1:] != b"}" or not any(key in first for key in JSON_SIGNALS):
            with _open(path) as file:
                yield kind.decode_json(_limited(file).strip(BLANK), allow)
            return
    for number, line in _lines(path):
        if line is None:
            yield [], [Reject(number, f"line {number}: {CUT_OFF}")]
        elif line:
            yield _read_part(line, kind.decode_json, kind.item, allow, f"line {number}", number)


def _lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """Every line with its number and without blanks around it; None where the compressed stream breaks off."""
    with _open(path) as file:
        for number in range(1, 2**62):
            try:
                line = file.readline(MAX_MESSAGE_BYTES)
            except BROKEN_STREAM:
                yield number, None
                return
            if not line:
                return
            yield number, line.strip(BLANK)


def _read_part(body: bytes, decode: Decode, item: str, allow: AllowList, where: str, position: int) -> Items:
    """One line or message; what cannot be decoded is one reject with its place, length and hash."""
    try:
        items, rejects = decode(body, allow)
    except DecodeError as error:
        return [], [Reject(position, f"{where}: {error}", len(body), hashlib.sha256(body).hexdigest())]
    return items, [Reject(position, f"{where}, {item} {reject.position}: {reject.reason}") for reject in rejects]


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
            except (DecodeError, *BROKEN_STREAM):
                continue
        if len(body) == length and (signal := _protobuf_signal(message)):
            return framing, signal
    return None, None


def _unzstd(body: bytes) -> bytes:
    try:
        return _limited(io.BufferedReader(pa.CompressedInputStream(pa.BufferReader(body), "zstd")))
    except OSError as error:
        raise DecodeError("a broken zstd frame") from error


def _read_framed(path: Path, framing: Framing, kind: SignalKind, allow: AllowList) -> Iterator[Items]:
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
            except (DecodeError, *BROKEN_STREAM) as error:
                reason = str(error) if isinstance(error, DecodeError) else CUT_OFF
                yield [], [Reject(number, f"message {number}: {reason}")]
                return
            yield _read_part(message, kind.decode_protobuf, kind.item, allow, f"message {number}", number)


def _protobuf_signal(body: bytes) -> Signal | None:
    """Traces, logs and metrics share their frame; only what lies inside tells them apart."""
    for signal, kind in SIGNALS.items():
        try:
            message = kind.request.FromString(body)
        except ProtobufError:
            continue
        if _holds(signal, message):
            return signal
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
