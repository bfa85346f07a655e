"""OTLP requests of logs and metrics as tests send them, in both encodings."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from tests.ingest.otlp_bodies import NOON_NS, any_value, key_values

DELTA, CUMULATIVE = 1, 2
MINUTE, HOUR = 60 * 10**9, 3600 * 10**9
START_NS = NOON_NS // HOUR * HOUR  # the beginning of an hour
TRACE, SPAN = bytes.fromhex("0af7651916cd43dd8448eb211c80319c"), bytes.fromhex("b7ad6b7169203331")


def log_record(
    attributes: Mapping[str, Any],
    event: str = "gen_ai.evaluation.result",
    *,
    trace: bytes = TRACE,
    span: bytes = SPAN,
    at_ns: int = NOON_NS,
    body: Any = None,
) -> LogRecord:
    found = LogRecord(trace_id=trace, span_id=span, time_unix_nano=at_ns, event_name=event, attributes=key_values(attributes))
    if body is not None:
        found.body.CopyFrom(any_value(body))
    return found


def logs(*records: LogRecord, resource: Mapping[str, Any] | None = None) -> ExportLogsServiceRequest:
    sent = ExportLogsServiceRequest()
    resource_logs = sent.resource_logs.add()
    resource_logs.resource.attributes.extend(key_values(resource or {}))
    scope_logs = resource_logs.scope_logs.add()
    scope_logs.scope.name, scope_logs.scope.version = "judge", "2.0"
    scope_logs.log_records.extend(records)
    return sent


def metrics(*found: Metric, resource: Mapping[str, Any] | None = None) -> ExportMetricsServiceRequest:
    sent = ExportMetricsServiceRequest()
    resource_metrics = sent.resource_metrics.add()
    resource_metrics.resource.attributes.extend(key_values(resource or {}))
    resource_metrics.scope_metrics.add(metrics=found)
    return sent


def gauge(name: str, labels: Mapping[str, Any], *points: tuple[int, float], unit: str = "") -> Metric:
    found = Metric(name=name, unit=unit)
    for at_ns, value in points:
        found.gauge.data_points.add(time_unix_nano=at_ns, as_double=value, attributes=key_values(labels))
    return found


def counter(name: str, labels: Mapping[str, Any], *points: tuple[int, int, int], temporality: int = CUMULATIVE) -> Metric:
    """Points are (start, time, value)."""
    found = Metric(name=name)
    found.sum.aggregation_temporality, found.sum.is_monotonic = temporality, True
    for start_ns, at_ns, value in points:
        found.sum.data_points.add(start_time_unix_nano=start_ns, time_unix_nano=at_ns, as_int=value, attributes=key_values(labels))
    return found


def histogram(
    name: str,
    labels: Mapping[str, Any],
    *points: tuple[int, int, int, float],
    temporality: int = CUMULATIVE,
    exponential: bool = False,
) -> Metric:
    """Points are (start, time, count, sum)."""
    found = Metric(name=name)
    data = found.exponential_histogram if exponential else found.histogram
    data.aggregation_temporality = temporality
    for start_ns, at_ns, count, total in points:
        data.data_points.add(start_time_unix_nano=start_ns, time_unix_nano=at_ns, count=count, sum=total, attributes=key_values(labels))
    return found


def as_json(sent: Any) -> bytes:
    """The request as OTLP/JSON: protobuf's own mapping but for ids, which are hexadecimal."""
    found: dict[str, Any] = json_format.MessageToDict(sent, use_integers_for_enums=True)
    for record in _inside(found):
        for name in ("traceId", "spanId"):
            if name in record:
                record[name] = base64.b64decode(record[name]).hex()
    return json.dumps(found).encode()


def _inside(value: Any) -> Sequence[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(found for item in value.values() for found in _inside(item))]
    return [found for item in value for found in _inside(item)] if isinstance(value, list) else []
