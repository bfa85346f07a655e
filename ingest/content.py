"""Prompts and answers, only where the operator asks for them: Parquet files beside the ledger with a retention of their own.

One folder a day, one row a text: trace and span ids as sent, what it is, and the text. The ledger itself never holds any.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.otlp.facts import facts
from ingest.otlp.keep import DecodeError
from ingest.otlp.messages import from_json, from_protobuf
from ingest.otlp.protobuf import plain_value
from ingest.otlp.signals import Decode, Items, SignalKind
from ingest.otlp.span import AllowList, Span

# Where emitters put the same text, in order: the first that a span has is kept. A name that ends in a dot is a prefix.
KEYS = {
    "system": ("gen_ai.system_instructions",),
    "prompt": (
        *("gen_ai.input.messages", "llm.input_messages.", "gen_ai.prompt.", "gen_ai.prompt", "ai.prompt.messages", "ai.prompt"),
        *("langfuse.observation.input", "input.value", "traceloop.entity.input", "mlflow.spanInputs", "genkit:input"),
        *("langwatch.input", "gcp.vertex.agent.llm_request", "request_data"),
    ),
    "completion": (
        *("gen_ai.output.messages", "llm.output_messages.", "gen_ai.completion.", "gen_ai.completion", "ai.response.text"),
        *("ai.response.object", "langfuse.observation.output", "output.value", "traceloop.entity.output", "mlflow.spanOutputs"),
        *("genkit:output", "langwatch.output", "gcp.vertex.agent.llm_response", "response_data"),
    ),
}
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "at": pl.Datetime("us"),
    "trace_id": pl.String,
    "span_id": pl.String,
    "kind": pl.String,
    "text": pl.String,
}
EPOCH = datetime(1970, 1, 1)
TEXTS_PER_FILE = 5_000

Text = tuple[datetime, str, str, str, str]


@dataclass(frozen=True)
class ContentStore:
    """The folder of one ledger's texts, readable by its owner only."""

    folder: Path
    retention_days: int
    today: Callable[[], date] = lambda: datetime.now(UTC).date()

    @contextmanager
    def keeping(self, kind: SignalKind) -> Iterator[SignalKind]:
        """The signal with decoders that keep the texts of calls, too; what is left of them is written at the end."""
        if kind.signal != "traces":
            yield kind
            return
        waiting: list[Text] = []

        def also(decode: Decode, is_json: bool) -> Decode:
            def keep(body: bytes, allow: AllowList) -> Items:
                items, rejects = decode(body, allow)
                waiting.extend(_texts(body, is_json, items))
                if len(waiting) >= TEXTS_PER_FILE:
                    self._write(waiting)
                    waiting.clear()
                return items, rejects

            return keep

        yield replace(kind, decode_protobuf=also(kind.decode_protobuf, False), decode_json=also(kind.decode_json, True))
        self._write(waiting)

    def read(self, trace_id: str) -> pl.DataFrame:
        """The texts of a trace in the order of its spans; what was sent twice is there once."""
        found = [pl.read_parquet(path).filter(pl.col("trace_id") == trace_id) for path in self._files()]
        return pl.concat([pl.DataFrame(schema=SCHEMA), *found]).unique().sort("at", "span_id", "kind", "text")

    def delete(self, trace_ids: Collection[str]) -> int:
        """Delete the texts of traces; the number of texts that are gone."""
        gone = 0
        for path in self._files():
            frame = pl.read_parquet(path)
            left = frame.filter(~pl.col("trace_id").is_in(list(trace_ids)))
            if left.height < frame.height:
                gone += frame.height - left.height
                if left.height:
                    _replace(path, left)
                else:
                    path.unlink()
        return gone

    def tidy(self) -> None:
        """Delete the days that are over their time, and make one file of each other day that is past."""
        for day in sorted(self.folder.glob("day=*")):
            files = sorted(day.glob("*.parquet"))
            if date.fromisoformat(day.name.removeprefix("day=")) < self._first_day():
                for path in files:
                    path.unlink()
                day.rmdir()
            elif len(files) > 1 and day.name != f"day={self.today()}":
                whole = pl.concat(map(pl.read_parquet, files)).unique().sort(pl.all())
                _replace(day / "all.parquet", whole)
                for path in files:
                    if path.name != "all.parquet":
                        path.unlink()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("day=*/*.parquet"))

    def _first_day(self) -> date:
        return self.today() - timedelta(days=self.retention_days)

    def _write(self, texts: Collection[Text]) -> None:
        frame = pl.DataFrame(list(texts), SCHEMA, orient="row").unique().sort(pl.all())
        for (day,), rows in frame.group_by(pl.col("at").dt.date()):
            if day >= self._first_day():
                folder = self.folder / f"day={day}"
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.folder.chmod(0o700)
                # Named by what is in it: the same body sent again writes the same file.
                name = hashlib.sha256(repr(sorted(rows.rows())).encode()).hexdigest()[:32]
                _replace(folder / f"{name}.parquet", rows)


def _replace(path: Path, frame: pl.DataFrame) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_suffix(".tmp")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        frame.write_parquet(file, compression="zstd")
    unfinished.replace(path)


def _texts(body: bytes, is_json: bool, spans: Collection[Span]) -> Iterator[Text]:
    """The texts of the spans in a body that are calls of a model, read in a second pass over it."""
    calls = {(span.trace_id, span.span_id): span for span in spans if facts(span).role == "inference"}
    if not calls:
        return
    try:
        request = (from_json if is_json else from_protobuf)(body, ExportTraceServiceRequest, "trace")
    except DecodeError:
        return  # one broken span of a JSON body, which its own decoder leaves out
    for resource in request.resource_spans:
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            own = calls.get((span.trace_id.hex(), span.span_id.hex()))
            if own is not None:
                attributes = {pair.key: pair.value for pair in span.attributes}
                for kind, keys in KEYS.items():
                    text = next((text for key in keys if (text := _text(attributes, key))), None)
                    if text is not None:
                        yield EPOCH + timedelta(microseconds=own.started_us), own.trace_id, own.span_id, kind, text


def _text(attributes: Mapping[str, Any], key: str) -> str | None:
    """A text as it is, anything else as JSON; of a prefix all its keys together."""
    if key.endswith("."):
        indexed = {name.removeprefix(key): plain_value(value) for name, value in attributes.items() if name.startswith(key)}
        return msgspec.json.encode(indexed).decode() if indexed else None
    if key not in attributes:
        return None
    value = plain_value(attributes[key])
    return value if isinstance(value, str) else msgspec.json.encode(value).decode() if value is not None else None
