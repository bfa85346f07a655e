"""OTLP traces in JSON to spans: hex ids, 64-bit integers as text or number, unknown fields ignored.

The specification's JSON differs from protobuf's own mapping (ids are hex, enums are integers, keys are lowerCamelCase
only), so it is read with typed structs. Attribute values stay raw until their key is known to be wanted.
"""

import math
import re
from typing import Annotated, Any

import msgspec

from ingest.otlp.keep import (
    MAX_EXCEPTION,
    Decoded,
    DecodeError,
    Keeper,
    Kept,
    broken_rule,
    enumerated,
    keeper,
    moment,
    parent_id,
    span_name,
)
from ingest.otlp.reducers import EXCEPTION, STATUS_ERROR, exception_name, name_failure
from ingest.otlp.span import AllowList, Reject, Span

__all__ = ["decode_json"]

MAX_DEPTH = 8  # of nested lists and mappings inside an attribute
INT64 = range(-(2**63), 2**63)
MAX_DIGITS = 20
HEX = re.compile("(?:[0-9a-fA-F]{2})*").fullmatch
BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # what msgspec raises for JSON that it cannot read
Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]

NULL = b"null"
NOTHING = msgspec.Raw(NULL)


class AnyValue(msgspec.Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: msgspec.Raw = NOTHING
    kvlist_value: msgspec.Raw = NOTHING


class KeyValue(msgspec.Struct):
    key: str = ""
    value: msgspec.Raw = NOTHING


class Values(msgspec.Struct):
    values: list[msgspec.Raw] | None = None


class KeyValues(msgspec.Struct):
    values: list[KeyValue] | None = None


class Event(msgspec.Struct, rename="camel"):
    name: str = ""
    time_unix_nano: int | str = 0
    attributes: list[KeyValue] | None = None


class SpanStatus(msgspec.Struct):
    code: Int32 = 0
    message: Any = None


class JsonSpan(msgspec.Struct, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str | None = None
    name: str = ""
    kind: Int32 = 0
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: list[KeyValue] | None = None
    events: list[Event] | None = None
    status: SpanStatus | None = None


class Scope(msgspec.Struct):
    name: str = ""
    version: str = ""


class Resource(msgspec.Struct):
    attributes: list[KeyValue] | None = None


class ScopeSpans(msgspec.Struct):
    scope: Scope | None = None
    spans: list[msgspec.Raw] | None = None


class ResourceSpans(msgspec.Struct, rename="camel"):
    resource: Resource | None = None
    scope_spans: list[ScopeSpans] | None = None


class Document(msgspec.Struct, rename="camel"):
    resource_spans: list[ResourceSpans] | None = None


_document = msgspec.json.Decoder(Document)
_span = msgspec.json.Decoder(JsonSpan)
_any_value = msgspec.json.Decoder(AnyValue | None)
_values = msgspec.json.Decoder(Values)
_key_values = msgspec.json.Decoder(KeyValues)


def decode_json(body: bytes, allow: AllowList) -> Decoded:
    """The spans of an ExportTraceServiceRequest or TracesData as OTLP/JSON, and what broke a rule.

    Of a repeated attribute key the last value counts. Raises DecodeError when the body as a whole is no such document.
    """
    try:
        document = _document.decode(body)
    except BROKEN as error:
        raise DecodeError("the body is not an OTLP trace document in JSON") from error
    keep = keeper(allow)
    spans: list[Span] = []
    rejects: list[Reject] = []
    position = 0
    for resource_spans in document.resource_spans or ():
        resource = _resource(resource_spans.resource, keep)
        for scope_spans in resource_spans.scope_spans or ():
            scope = scope_spans.scope or Scope()
            for raw in scope_spans.spans or ():
                try:
                    span = _read(_span.decode(raw), scope, resource, keep)
                except (*BROKEN, ValueError) as error:
                    # msgspec's own text names the field; ours is a broken rule. Neither quotes a value.
                    rejects.append(Reject(position, str(error)[:200]))
                else:
                    spans.append(span)
                position += 1
    return spans, rejects


def _resource(resource: Resource | None, keep: Keeper) -> Kept:
    try:
        return _attributes(resource.attributes, keep, {}) if resource else {}
    except BROKEN as error:
        raise DecodeError("a resource attribute is not an OTLP value") from error


def _read(span: JsonSpan, scope: Scope, resource: Kept, keep: Keeper) -> Span:
    trace_id, span_id = _id(span.trace_id), _id(span.span_id)
    start_ns, end_ns = _uint64(span.start_time_unix_nano), _uint64(span.end_time_unix_nano)
    reason = broken_rule(trace_id, span_id, start_ns, end_ns)
    if reason is not None:
        raise ValueError(reason)
    attributes = _attributes(span.attributes, keep, dict(resource))
    ended_us = (end_ns or start_ns) // 1000
    events = []
    for event in span.events or ():
        if event.name == "exception":
            said = {pair.key: text[:MAX_EXCEPTION] for pair in event.attributes or ()
                    if pair.key in EXCEPTION and isinstance(text := _value(pair.value), str)}
            if name := exception_name(said.get("exception.type", ""), said.get("exception.message", "")):
                attributes["exception.type"] = name
        elif event.name in keep.allow.events:
            at_us = moment(_uint64(event.time_unix_nano), ended_us)
            events.append((event.name, at_us, _attributes(event.attributes, keep, {})))
        elif event.name in keep.allow.own_events:
            _attributes(event.attributes, keep, attributes)
    if span.status and span.status.code == STATUS_ERROR and isinstance(span.status.message, str):
        name_failure(attributes, span.status.message[:MAX_EXCEPTION])
    return Span(trace_id.hex(), span_id.hex(), parent_id(_id(span.parent_span_id or "")), span_name(span.name, scope.name),
                enumerated(span.kind), start_ns // 1000, ended_us, enumerated(span.status.code if span.status else 0), scope.name,
                scope.version, attributes, tuple(events))


def _id(text: str) -> bytes:
    """The bytes of an id in hex of either case; none where the text is no such id."""
    return bytes.fromhex(text) if HEX(text) else b""


def _uint64(value: int | str) -> int:
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS):
            raise ValueError("a time is not a whole number of nanoseconds")
        value = int(value)
    if not 0 <= value < 2**64:
        raise ValueError("a time is out of range")
    return value


def _attributes(pairs: list[KeyValue] | None, keep: Keeper, kept: Kept) -> Kept:
    indexed: dict[str, Kept] = {}
    for pair in pairs or ():
        action = keep.action(pair.key)
        if action is not None:
            action(kept, indexed, _value(pair.value))
    if indexed:
        keep.reduce_indexed(kept, indexed)
    return kept


def _value(raw: msgspec.Raw, depth: int = 0) -> Any:
    """An AnyValue as plain data, or None for bytes, for numbers that are none, and for what nests too deep."""
    value = _any_value.decode(raw)
    if value is None:
        return None
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return _int64(value.int_value)
    if value.double_value is not None:
        number = value.double_value
        return number if isinstance(number, float) and math.isfinite(number) else None
    if value.bool_value is not None:
        return value.bool_value
    if depth < MAX_DEPTH:
        if bytes(value.array_value) != NULL:
            return [_value(item, depth + 1) for item in _values.decode(value.array_value).values or ()]
        if bytes(value.kvlist_value) != NULL:
            return {pair.key: _value(pair.value, depth + 1) for pair in _key_values.decode(value.kvlist_value).values or ()}
    return None


def _int64(value: int | str) -> int | None:
    if isinstance(value, str):
        digits = value.removeprefix("-")
        value = int(value) if digits.isascii() and digits.isdigit() and len(digits) < MAX_DIGITS else 2**63
    return value if value in INT64 else None
