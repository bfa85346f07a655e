"""Metrics of GenAI clients: tokens and operations as the client counted them, to compare with the calls, never to add.

`client_metric_points` holds what the hours of `client_metrics_hour` are derived from: of a cumulative series the last
state in each hour, of a delta series every interval. Any split, order or repetition of the same points is the same table.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import msgspec
import polars as pl

from ingest.otlp import providers
from ingest.otlp.messages import short_text
from ingest.otlp.span import AllowList
from ingest.prices.models import canonical_model

OPERATIONS = ("gen_ai.client.operation.duration", "gen_ai.client.inference.duration")
TOKENS = "gen_ai.client.token.usage"
TOKENS_BY_NAME = ("gen_ai.client.inference.usage.", "gen_ai.client.inference.operation.")
TOKEN_TYPES = {
    "input_tokens": "input",
    "output_tokens": "output",
    "completion": "output",
    "cache_read.input_tokens": "cache_read",  # a part of input
    "cache_write.input_tokens": "cache_write",
    "cache_creation.input_tokens": "cache_write",
    "reasoning.output_tokens": "reasoning",  # a part of output
}
LARGEST = 1e15


class ClientPoint(msgspec.Struct, frozen=True):
    """What one series counted: up to `at_us` since its start, or in the interval where it `is_delta`."""

    series: str
    metric: str
    service: str | None
    provider: str | None
    model: str | None
    operation: str | None
    token_type: str | None
    is_delta: bool
    started_us: int | None
    at_us: int
    operations: int | None
    tokens: float | None


def keeps(name: str) -> bool:
    """Whether a metric counts the tokens or the operations of a client."""
    return name == TOKENS or name in OPERATIONS or (name.startswith(TOKENS_BY_NAME) and name.endswith("_tokens"))


def series_key(allow: AllowList, name: str, scope: tuple[str, str], resource: Mapping[str, Any], labels: Mapping[str, Any]) -> str:
    """What tells a series from all others, as a keyed hash: labels may name people."""
    identity = [name, *scope, sorted(resource.items()), sorted(labels.items())]
    key: str = allow.reducers["user.id"](msgspec.json.encode(identity).decode())["user.id.hmac"]
    return key


def point(
    name: str,
    labels: Mapping[str, Any],
    series: str,
    value: float | None,
    count: int | None,
    at_us: int,
    started_us: int | None,
    is_delta: bool,
) -> ClientPoint:
    """The point of a series. Raises ValueError with the rule that it breaks."""
    counts_operations = name in OPERATIONS
    counted = count if counts_operations else value
    if counted is not None and not 0 <= counted <= LARGEST:
        raise ValueError("a count that is negative or absurdly large")
    provider = short_text(labels.get("gen_ai.provider.name")) or short_text(labels.get("gen_ai.system"))
    provider = providers.provider(provider) if provider else None
    model = short_text(labels.get("gen_ai.response.model")) or short_text(labels.get("gen_ai.request.model"))
    return ClientPoint(
        series,
        name,
        short_text(labels.get("service.name")),
        provider,
        canonical_model(model, provider) if model else None,
        short_text(labels.get("gen_ai.operation.name")),
        None if counts_operations else _token_type(name, labels),
        is_delta,
        started_us,
        at_us,
        count if counts_operations else None,
        None if counts_operations else value,
    )


def _token_type(name: str, labels: Mapping[str, Any]) -> str | None:
    said = short_text(labels.get("gen_ai.token.type"))
    if name != TOKENS:
        said = next(name.removeprefix(prefix) for prefix in TOKENS_BY_NAME if name.startswith(prefix))
    return TOKEN_TYPES.get(said, said) if said else None


def write(cursor: duckdb.DuckDBPyConnection, points: Sequence[ClientPoint], load_id: int) -> int:
    """Write points inside the caller's transaction; the number of points."""
    kinds = {"is_delta": pl.Boolean, "tokens": pl.Float64, "operations": pl.Int64, "at_us": pl.Int64, "started_us": pl.Int64}
    schema = {name: kinds.get(name, pl.String) for name in ClientPoint.__struct_fields__}
    columns = {name: [getattr(found, name) for found in points] for name in schema}
    at = pl.col("at_us").cast(pl.Datetime("us"))
    frame = pl.DataFrame(columns, schema).with_columns(
        at.alias("measured_at"),
        pl.col("started_us").cast(pl.Datetime("us")).alias("started_at"),
        pl.when("is_delta").then(at).otherwise(at.dt.truncate("1h")).alias("bucket"),
        pl.lit(load_id, pl.Int64).alias("load_id"),
    )
    cursor.register("points", frame.drop("at_us", "started_us"))
    for statement in STATEMENTS:
        cursor.execute(statement)
    cursor.unregister("points")
    return len(points)


SAME_POINT = "{0}.series = {1}.series and {0}.bucket = {1}.bucket and {0}.started_at is not distinct from {1}.started_at"
STATEMENTS = (
    f"""
create or replace temp table points_kept as
select * from (select * from points union all by name
               select c.* from client_metric_points c semi join points p on {SAME_POINT.format("c", "p")})
qualify row_number() over (partition by series, started_at, bucket
                           order by measured_at desc, operations desc nulls last, tokens desc nulls last, load_id) = 1
""",
    f"delete from client_metric_points c using points_kept p where {SAME_POINT.format('c', 'p')}",
    "insert into client_metric_points by name select * from points_kept",
)
