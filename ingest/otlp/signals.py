"""The three OTLP signals: how a body of each is decoded, how its rejects are worded, and how its items are written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import duckdb
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from ingest.otlp import client_metrics, evaluations, gpu, logs, metrics, otlpjson, protobuf
from ingest.otlp.client_metrics import ClientPoint
from ingest.otlp.commit import SpanLedger, Written
from ingest.otlp.gpu import GpuPoint
from ingest.otlp.span import AllowList, Reject

Signal = Literal["traces", "logs", "metrics"]
# What a body holds for the ledger (spans, evaluations or points), and what of it broke a rule.
Items = tuple[list[Any], list[Reject]]
Decode = Callable[[bytes, AllowList], Items]


@dataclass(frozen=True)
class SignalKind:
    """One signal. `item` is what a person calls the unit that is rejected, `rejected` the field that counts them."""

    signal: Signal
    decode_protobuf: Decode
    decode_json: Decode
    item: str
    rejected: str
    request: type[Any]
    response: type[Any]


SIGNALS: dict[Signal, SignalKind] = {
    kind.signal: kind
    for kind in (
        SignalKind(
            "traces",
            protobuf.decode_protobuf,
            otlpjson.decode_json,
            "span",
            "rejected_spans",
            ExportTraceServiceRequest,
            ExportTraceServiceResponse,
        ),
        SignalKind(
            "logs",
            logs.decode_protobuf,
            logs.decode_json,
            "log record",
            "rejected_log_records",
            ExportLogsServiceRequest,
            ExportLogsServiceResponse,
        ),
        SignalKind(
            "metrics",
            metrics.decode_protobuf,
            metrics.decode_json,
            "data point",
            "rejected_data_points",
            ExportMetricsServiceRequest,
            ExportMetricsServiceResponse,
        ),
    )
}


def write(cursor: duckdb.DuckDBPyConnection, spans: SpanLedger, signal: Signal, items: Sequence[Any], load_id: int) -> Written:
    """Write the items of one signal inside the caller's transaction; rollups of what changed are the caller's to rebuild."""
    if not items:
        return Written()
    if signal == "traces":
        return spans.write(cursor, items, load_id)
    if signal == "logs":
        return Written(rows=evaluations.write(cursor, items, load_id))
    of_gpus = [item for item in items if isinstance(item, GpuPoint)]
    of_clients = [item for item in items if isinstance(item, ClientPoint)]
    rows = gpu.write(cursor, of_gpus, load_id) if of_gpus else 0
    return Written(rows=rows + (client_metrics.write(cursor, of_clients, load_id) if of_clients else 0))
