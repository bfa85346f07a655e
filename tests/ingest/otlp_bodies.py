"""OTLP requests as tests send them, in both encodings."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

NOON_NS = 1_790_000_000_000_000_000


def any_value(value: Any) -> AnyValue:
    found = AnyValue()
    if isinstance(value, bool):
        found.bool_value = value
    elif isinstance(value, int):
        found.int_value = value
    elif isinstance(value, float):
        found.double_value = value
    elif isinstance(value, str):
        found.string_value = value
    elif isinstance(value, bytes):
        found.bytes_value = value
    elif isinstance(value, list):
        found.array_value.values.extend(map(any_value, value))
        found.array_value.SetInParent()
    else:
        found.kvlist_value.values.extend(key_values(value))
        found.kvlist_value.SetInParent()
    return found


def key_values(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def one_span(attributes: Mapping[str, Any], *, id: bytes = bytes.fromhex("b7ad6b7169203331"), parent: bytes = b"",
             trace: bytes = bytes.fromhex("0af7651916cd43dd8448eb211c80319c"), start_ns: int = NOON_NS,
             end_ns: int | None = None, name: str = "span") -> ProtoSpan:
    return ProtoSpan(trace_id=trace, span_id=id, parent_span_id=parent, name=name, kind=3, start_time_unix_nano=start_ns,
                     end_time_unix_nano=start_ns + 250_000_000 if end_ns is None else end_ns, attributes=key_values(attributes))


def request(*spans: ProtoSpan, resource: Mapping[str, Any] | None = None, scope: str = "some.scope") -> ExportTraceServiceRequest:
    sent = ExportTraceServiceRequest()
    resource_spans = sent.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values(resource or {}))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name, scope_spans.scope.version = scope, "1.0"
    scope_spans.spans.extend(spans)
    return sent


def body(*spans: ProtoSpan) -> bytes:
    return request(*spans).SerializeToString()


def as_json(sent: ExportTraceServiceRequest) -> dict[str, Any]:
    """The request as OTLP/JSON: protobuf's own mapping but for ids, which are hexadecimal."""
    found: dict[str, Any] = json_format.MessageToDict(sent, use_integers_for_enums=True)
    for resource in found.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        span[name] = base64.b64decode(span[name]).hex()
    return found


def otlp_value(key: str, value: str | int) -> dict[str, Any]:
    return {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}


def as_protobuf(request: dict[str, Any]) -> bytes:
    """A request in JSON whose ids are all ones or all twos, in protobuf, whose own JSON form wants ids in base64."""
    text = json.dumps(request)
    for id in (bytes([1] * 16), bytes([2] * 8)):
        text = text.replace(id.hex(), base64.b64encode(id).decode())
    return json_format.ParseDict(json.loads(text), ExportTraceServiceRequest()).SerializeToString()
