"""OTLP log records: evaluation results become rows beside the calls, everything else is accepted and not kept.

`gen_ai.client.inference.operation.details` repeats the usage of its span and the older message events are content, so
that neither is read at all.
"""

from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from ingest.otlp.evaluations import NAME, evaluation, evaluation_id
from ingest.otlp.keep import Keeper, Kept, keeper
from ingest.otlp.messages import from_json, from_protobuf, microseconds
from ingest.otlp.protobuf import kept_attributes
from ingest.otlp.span import AllowList, Reject

EVENT_NAME = "event.name"
ID_BYTES = {"trace": 16, "span": 8}

Evaluations = tuple[list[dict[str, Any]], list[Reject]]


def decode_protobuf(body: bytes, allow: AllowList) -> Evaluations:
    """The evaluations of an ExportLogsServiceRequest, and those that cannot be kept. Raises DecodeError."""
    return _read(from_protobuf(body, ExportLogsServiceRequest, "log"), keeper(allow))


def decode_json(body: bytes, allow: AllowList) -> Evaluations:
    """The evaluations of a request as OTLP/JSON, and those that cannot be kept. Raises DecodeError."""
    return _read(from_json(body, ExportLogsServiceRequest, "log"), keeper(allow))


def _read(request: Any, keep: Keeper) -> Evaluations:
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    position = 0
    for resource_logs in request.resource_logs:
        resource = kept_attributes(resource_logs.resource.attributes, keep, {})
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                if _event_name(record) in keep.allow.events:
                    try:
                        rows.append(_evaluation(record, scope_logs.scope.version, dict(resource), keep))
                    except ValueError as broken_rule:
                        rejects.append(Reject(position, str(broken_rule)))
                position += 1
    return rows, rejects


def _event_name(record: Any) -> str:
    """The name in its own field, in an attribute, or in the body, as older conventions had it."""
    if record.event_name:
        return str(record.event_name)
    named = _text(record.attributes, EVENT_NAME)
    if named:
        return named
    return _text(record.body.kvlist_value.values, EVENT_NAME) or str(record.body.string_value)


def _text(pairs: Any, key: str) -> str:
    return next((str(pair.value.string_value) for pair in pairs if pair.key == key), "")


def _evaluation(record: Any, scope_version: str, kept: Kept, keep: Keeper) -> dict[str, Any]:
    """The row of one record; an attribute beats the same key in the body. Raises ValueError with the rule it breaks."""
    kept = kept_attributes(record.body.kvlist_value.values, keep, kept)
    kept = kept_attributes(record.attributes, keep, kept)
    if not kept.get(NAME):
        raise ValueError("an evaluation without a name")
    at_us = microseconds(record.time_unix_nano or record.observed_time_unix_nano)
    if at_us is None:
        raise ValueError("an evaluation without a time between 2000 and 2099")
    trace_id, span_id = _id(record.trace_id, "trace"), _id(record.span_id, "span")
    own_id = evaluation_id(trace_id, span_id, kept, at_us)
    return evaluation(own_id, kept, at_us, trace_id, span_id, scope_version)


def _id(value: bytes, of: str) -> str | None:
    return value.hex() if len(value) == ID_BYTES[of] and any(value) else None
