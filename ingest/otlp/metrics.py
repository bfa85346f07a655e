"""OTLP metrics: data points of GPUs and of GenAI clients; every other metric is accepted and not kept."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from ingest.otlp import client_metrics, gpu
from ingest.otlp.client_metrics import ClientPoint
from ingest.otlp.gpu import GpuPoint
from ingest.otlp.messages import from_json, from_protobuf, microseconds
from ingest.otlp.protobuf import plain_value
from ingest.otlp.span import AllowList, Reject

DELTA, CUMULATIVE = 1, 2  # AggregationTemporality
NOT_RECORDED = 1  # DataPointFlags: the series ended, and the value is none

Point = GpuPoint | ClientPoint
Points = tuple[list[Point], list[Reject]]


def decode_protobuf(body: bytes, allow: AllowList) -> Points:
    """The points of an ExportMetricsServiceRequest that the ledger keeps, and those that break a rule. Raises DecodeError."""
    return _read(from_protobuf(body, ExportMetricsServiceRequest, "metrics"), allow)


def decode_json(body: bytes, allow: AllowList) -> Points:
    """The points of a request as OTLP/JSON, and those that break a rule. Raises DecodeError."""
    return _read(from_json(body, ExportMetricsServiceRequest, "metrics"), allow)


class Reading(msgspec.Struct):
    """One data point of whatever kind: a number, or the count and sum of a distribution."""

    at_us: int
    started_us: int | None
    labels: dict[str, Any]
    value: float | None = None
    count: int | None = None
    is_delta: bool = False
    is_sum: bool = False  # of a counter or a distribution, not a gauge


def _read(request: Any, allow: AllowList) -> Points:
    points: list[Point] = []
    rejects: list[Reject] = []
    position = 0
    for resource_metrics in request.resource_metrics:
        resource = _plain(resource_metrics.resource.attributes)
        for scope_metrics in resource_metrics.scope_metrics:
            scope = (scope_metrics.scope.name, scope_metrics.scope.version)
            for metric in scope_metrics.metrics:
                kind = metric.WhichOneof("data")
                data_points = getattr(metric, kind).data_points if kind else ()
                kept = gpu.keeps(metric.name) or client_metrics.keeps(metric.name)
                for place, data_point in enumerate(data_points if kept else (), position):
                    if data_point.flags & NOT_RECORDED:
                        continue
                    try:
                        reading = _reading(getattr(metric, kind), kind, data_point)
                        points.extend(_points(metric, reading, resource, scope, allow))
                    except ValueError as broken_rule:
                        rejects.append(Reject(place, str(broken_rule)))
                position += len(data_points)
    return points, rejects


def _points(metric: Any, reading: Reading, resource: Mapping[str, Any], scope: tuple[str, str], allow: AllowList) -> Iterator[Point]:
    if gpu.keeps(metric.name):
        if reading.value is not None:
            since_us = reading.started_us if reading.is_delta else None
            labels = {**resource, **reading.labels}
            found = gpu.point(metric.name, metric.unit, labels, reading.value, reading.at_us, since_us)
            if found is not None:
                yield found
    elif reading.is_sum:
        labels = {**reading.labels, **resource}  # a client that names itself in both does so more exactly in its resource
        series = client_metrics.series_key(allow, metric.name, scope, resource, reading.labels)
        yield client_metrics.point(
            metric.name, labels, series, reading.value, reading.count, reading.at_us, reading.started_us, reading.is_delta
        )


def _reading(data: Any, kind: str, data_point: Any) -> Reading:
    """Raises ValueError with the rule that a data point breaks."""
    at_us = microseconds(data_point.time_unix_nano)
    if at_us is None:
        raise ValueError("a data point without a time between 2000 and 2099")
    found = Reading(at_us, microseconds(data_point.start_time_unix_nano), _plain(data_point.attributes))
    if kind in ("gauge", "sum"):
        number = data_point.WhichOneof("value")
        found.value = float(getattr(data_point, number)) if number else None
    else:
        found.count = data_point.count
        found.value = float(data_point.sum) if kind == "summary" or data_point.HasField("sum") else None
    if found.value is not None and not math.isfinite(found.value):
        raise ValueError("a value that is no finite number")
    found.is_sum = kind != "gauge"
    if kind in ("sum", "histogram", "exponential_histogram"):
        if data.aggregation_temporality not in (DELTA, CUMULATIVE):
            raise ValueError("a sum that is neither delta nor cumulative")
        found.is_delta = data.aggregation_temporality == DELTA
    return found


def _plain(pairs: Any) -> dict[str, Any]:
    return {pair.key: plain_value(pair.value) for pair in pairs}
