"""OTLP traces in protobuf to spans: keys first, values only of what the allow-list knows."""

import math
from typing import Any

from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

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
from ingest.otlp.reducers import EXCEPTION, MAX_TEXT, STATUS_ERROR, exception_name, name_failure
from ingest.otlp.span import AllowList, Reject, Span

__all__ = ["DecodeError", "decode_protobuf", "kept_attributes", "plain_value"]

MAX_DEPTH = 8  # of nested lists and mappings inside an attribute


def decode_protobuf(body: bytes, allow: AllowList) -> Decoded:
    """The spans of an ExportTraceServiceRequest (TracesData has the same shape), and what broke a rule.

    Of a repeated attribute key the last value counts. Raises DecodeError when the body is no such message.
    """
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except (ProtobufError, RecursionError) as error:
        raise DecodeError("the body is not an OTLP trace request in protobuf") from error
    keep = keeper(allow)
    spans: list[Span] = []
    rejects: list[Reject] = []
    position = 0
    for resource_spans in request.resource_spans:
        resource = kept_attributes(resource_spans.resource.attributes, keep, {})
        for scope_spans in resource_spans.scope_spans:
            scope_name, scope_version = scope_spans.scope.name, scope_spans.scope.version
            for span in scope_spans.spans:
                trace_id, span_id = span.trace_id, span.span_id
                start_ns, end_ns = span.start_time_unix_nano, span.end_time_unix_nano
                reason = broken_rule(trace_id, span_id, start_ns, end_ns)
                if reason is not None:
                    rejects.append(Reject(position, reason))
                else:
                    attributes = kept_attributes(span.attributes, keep, dict(resource))
                    ended_us = (end_ns or start_ns) // 1000
                    events = _events(span.events, keep, attributes, ended_us) if span.events else ()
                    if span.status.code == STATUS_ERROR:
                        name_failure(attributes, span.status.message[:MAX_EXCEPTION])
                    spans.append(Span(
                        trace_id.hex(), span_id.hex(), parent_id(span.parent_span_id), span_name(span.name, scope_name),
                        enumerated(span.kind), start_ns // 1000, ended_us, enumerated(span.status.code), scope_name, scope_version,
                        attributes, events))
                position += 1
    return spans, rejects


def kept_attributes(pairs: Any, keep: Keeper, kept: Kept) -> Kept:
    """What the allow-list leaves of attributes, added to what is kept already."""
    indexed: dict[str, Kept] = {}
    texts, numbers = keep.allow.texts, keep.allow.numbers
    for pair in pairs:
        key = pair.key
        action = keep[key]
        if action is None:
            continue
        value = pair.value
        # Most values are texts and counts above zero; to ask for one is cheaper than to ask what it is.
        if text := value.string_value:
            if key in texts and len(text) <= MAX_TEXT:
                kept[key] = text
            else:
                action(kept, indexed, text)
        elif key in numbers and (number := value.int_value):
            kept[key] = number
        else:
            action(kept, indexed, plain_value(value))
    if indexed:
        keep.reduce_indexed(kept, indexed)
    return kept


def _events(events: Any, keep: Keeper, attributes: Kept, ended_us: int) -> tuple[tuple[str, int, Kept], ...]:
    found = []
    for event in events:
        if event.name == "exception":
            said = {pair.key: pair.value.string_value[:MAX_EXCEPTION] for pair in event.attributes if pair.key in EXCEPTION}
            if name := exception_name(said.get("exception.type", ""), said.get("exception.message", "")):
                attributes["exception.type"] = name
        elif event.name in keep.allow.events:
            at_us = moment(event.time_unix_nano, ended_us)
            found.append((event.name, at_us, kept_attributes(event.attributes, keep, {})))
        elif event.name in keep.allow.own_events:
            kept_attributes(event.attributes, keep, attributes)
    return tuple(found)


def plain_value(value: Any, depth: int = 0) -> Any:
    """An AnyValue as plain data, or None for bytes, for numbers that are none, and for what nests too deep."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "int_value":
        return value.int_value
    if kind == "double_value":
        return value.double_value if math.isfinite(value.double_value) else None
    if kind == "bool_value":
        return value.bool_value
    if depth < MAX_DEPTH:
        if kind == "array_value":
            return [plain_value(item, depth + 1) for item in value.array_value.values]
        if kind == "kvlist_value":
            return {pair.key: plain_value(pair.value, depth + 1) for pair in value.kvlist_value.values}
    return None
