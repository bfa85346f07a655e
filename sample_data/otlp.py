"""OpenTelemetry spans as plain data, and the three kinds of OTLP files that they are written to."""

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

Value = str | bool | int | float | list[str]
Attributes = dict[str, Value]

INTERNAL, CLIENT = 1, 3
UNSET, OK, ERROR = 0, 1, 2


@dataclass(frozen=True)
class Scope:
    name: str
    version: str = ""
    schema_url: str = ""


@dataclass(frozen=True)
class Event:
    name: str
    at_us: int
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class Span:
    scope: Scope
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    kind: int
    started_us: int
    ended_us: int
    attributes: Attributes
    status: int = UNSET
    message: str = ""
    events: tuple[Event, ...] = ()
    flags: int = 256


@dataclass(frozen=True)
class Resource:
    """One process with its environment, and the spans it sent."""

    attributes: Attributes
    spans: Sequence[Span]


def protobuf_gz(resources: Iterable[Resource]) -> bytes:
    """The body of one ExportTraceServiceRequest."""
    body = ExportTraceServiceRequest()
    for resource in resources:
        target = body.resource_spans.add()
        target.resource.attributes.extend(_key_values(resource.attributes))
        for scope, spans in _by_scope(resource.spans).items():
            group = target.scope_spans.add(schema_url=scope.schema_url)
            group.scope.name, group.scope.version = scope.name, scope.version
            for span in spans:
                _fill(group.spans.add(), span)
    return compressed(body.SerializeToString(deterministic=True))


def json_gz(resources: Iterable[Resource]) -> bytes:
    """One OTLP/JSON document."""
    return compressed(_json_line(resources).encode())


def json_lines_gz(resources: Iterable[Resource]) -> bytes:
    """One TracesData per line, as the file exporter writes."""
    return compressed("".join(_json_line([resource]) + "\n" for resource in resources).encode())


def compressed(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


def _by_scope(spans: Iterable[Span]) -> dict[Scope, list[Span]]:
    groups: dict[Scope, list[Span]] = {}
    for span in spans:
        groups.setdefault(span.scope, []).append(span)
    return groups


def _key_values(attributes: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_any_value(value)) for key, value in attributes.items()]


def _any_value(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_any_value(item) for item in value]))
    return AnyValue(string_value=value)


def _fill(target: Any, span: Span) -> None:
    target.trace_id, target.span_id, target.parent_span_id = span.trace_id, span.span_id, span.parent_id
    target.name, target.kind, target.flags = span.name, span.kind, span.flags
    target.start_time_unix_nano, target.end_time_unix_nano = span.started_us * 1_000, span.ended_us * 1_000
    target.attributes.extend(_key_values(span.attributes))
    for event in span.events:
        target.events.add(name=event.name, time_unix_nano=event.at_us * 1_000, attributes=_key_values(event.attributes))
    if span.status != UNSET:
        target.status.code, target.status.message = span.status, span.message


def _json_line(resources: Iterable[Resource]) -> str:
    document = {
        "resourceSpans": [
            {
                "resource": {"attributes": _json_attributes(resource.attributes)},
                "scopeSpans": [_json_scope(scope, spans) for scope, spans in _by_scope(resource.spans).items()],
            }
            for resource in resources
        ]
    }
    return json.dumps(document, separators=(",", ":"))


def _json_scope(scope: Scope, spans: Iterable[Span]) -> dict[str, Any]:
    named = {"name": scope.name, "version": scope.version} if scope.version else {"name": scope.name}
    schema = {"schemaUrl": scope.schema_url} if scope.schema_url else {}
    return {"scope": named, "spans": [_json_span(span) for span in spans]} | schema


def _json_span(span: Span) -> dict[str, Any]:
    """Ids in hex, times and 64-bit integers as decimal strings, enums as numbers."""
    found: dict[str, Any] = {"traceId": span.trace_id.hex(), "spanId": span.span_id.hex()}
    if span.parent_id:
        found["parentSpanId"] = span.parent_id.hex()
    found |= {
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.started_us * 1_000),
        "endTimeUnixNano": str(span.ended_us * 1_000),
        "attributes": _json_attributes(span.attributes),
    }
    if span.events:
        found["events"] = [
            {"timeUnixNano": str(event.at_us * 1_000), "name": event.name, "attributes": _json_attributes(event.attributes)}
            for event in span.events
        ]
    status = {"code": span.status} if span.status != UNSET else {}
    return found | {"status": status | ({"message": span.message} if span.message else {}), "flags": span.flags}


def _json_attributes(attributes: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _json_value(value)} for key, value in attributes.items()]


def _json_value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_json_value(item) for item in value]}}
    return {"stringValue": value}
