"""A reconciliation as plain data: the document of the command line, and the rows that pages and downloads show."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from metrics.bridge import EFFECTS, TERMS, ZERO, Bucket, Reconciliation
from metrics.engines import Engine
from metrics.filters import Scope
from metrics.rate_hints import rate_hints
from metrics.reconcile_states import STATES, state

BUCKET_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(("provider",), pl.String),
    **dict.fromkeys(("day", "end"), pl.Date),
    **dict.fromkeys(("project", "model", "service_tier", "state", "basis"), pl.String),
    **dict.fromkeys(("traced_tokens", "billed_tokens"), pl.Int64),
    **dict.fromkeys(("billed_usd", *TERMS), pl.Decimal(38, 12)),
}
# What the days of a series have in common.
SERIES = ("provider", "project", "model", "service_tier", "state", "basis")


def document(found: Reconciliation, scope: Scope) -> dict[str, Any]:
    """What `spanledger reconcile --json` prints; amounts in USD, terms add up to the billed amount at every level."""
    return {
        "period": {"start": scope.period.start, "end": scope.period.end},
        "scope": dict(scope.dimensions),
        "billed_usd": found.billed_usd,
        "split_usd": found.split_usd,
        "explained_share": found.explained_share,
        "traced_share": found.traced_share,
        "bridge": found.bridge(),
        "price_effects": found.effects(),
        "providers": {
            provider: {"bridge": found.bridge(provider), "price_effects": found.effects(provider)} for provider in found.providers
        },
        "states": by_state(found),
        "hints": [{**vars(hint), "words": hint.words} for hint in rate_hints(found)],
        "buckets": [{**_row(bucket), "lines": [_line(line) for line in bucket.lines]} for bucket in found.buckets],
    }


def by_state(found: Reconciliation) -> dict[str, dict[str, Any]]:
    """Buckets, billed cost and unexplained cost of every state that occurs, in the order in which states are decided."""
    total: dict[str, dict[str, Any]] = {}
    for bucket in found.buckets:
        name = state(bucket)
        if name is not None:
            row = total.setdefault(name, {"buckets": 0, "billed_usd": ZERO, "unexplained_usd": ZERO})
            row["buckets"] += 1
            row["billed_usd"] += bucket.billed_usd
            row["unexplained_usd"] += bucket.terms()["unexplained"]
    return {name: total[name] for name, _ in STATES if name in total}


def bucket_rows(found: Reconciliation) -> pl.DataFrame:
    """One row per bucket with its state, tokens and terms, the largest differences first."""
    rows = sorted(map(_row, found.buckets), key=lambda row: -abs(row["unexplained"]) - abs(row["untraced_usage"]))
    return pl.DataFrame(rows, BUCKET_SCHEMA)


def by_series(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of `bucket_rows` of all days with one state, one for each series (SERIES), with its number of days; the largest
    differences first."""
    money = ("billed_usd", *TERMS)
    tokens = (pl.when(pl.col(name).is_not_null().all()).then(pl.col(name).sum()).alias(name) for name in ("traced_tokens", "billed_tokens"))
    found = rows.group_by(SERIES, maintain_order=True).agg(pl.len().alias("days"), *tokens, *(pl.col(name).sum() for name in money))
    return found.sort(pl.col("unexplained").abs() + pl.col("untraced_usage").abs(), descending=True, maintain_order=True)


def _row(bucket: Bucket) -> dict[str, Any]:
    key = bucket.key
    tokens: Mapping[str, int | None] = {
        "traced_tokens": bucket.tokens("traced_tokens"),
        "billed_tokens": None
        if any(line.kind == "token" and line.billed_tokens is None for line in bucket.lines)
        else bucket.tokens("billed_tokens"),
    }
    names = {name: getattr(key, name) or None for name in ("project", "model", "service_tier")}
    return {
        "provider": key.provider,
        "day": key.day,
        "end": bucket.end,
        **names,
        "state": state(bucket),
        "basis": bucket.basis,
        **tokens,
        "billed_usd": bucket.billed_usd,
        **bucket.terms(),
    }


def _line(line: Any) -> dict[str, Any]:
    effects: dict[str, Decimal] = {f"{name}_usd": line.effects[name] for name in EFFECTS if line.effects[name]}
    return {
        "kind": line.kind,
        "token_class": line.token_class,
        "unit_class": line.unit_class,
        "traced_tokens": line.traced_tokens,
        "billed_tokens": line.billed_tokens,
        "billed_usd": line.billed_usd,
        **line.terms(),
        **effects,
    }


TIER = "case when c.service_tier in ('batch', 'flex', 'priority') then c.service_tier else 'standard' end"
CALLS = f"""
select c.started_at as started_at, c.service as service, c.input_tokens as input_tokens, c.output_tokens as output_tokens,
       cast(c.cost_usd as double) as cost_usd, c.cost_status as cost_status, c.trace_id as trace_id
from calls c where c.provider = $provider and c.started_at >= $start and c.started_at < $end and c.model = $model
  and {TIER} = $tier and (cast($project as varchar) is null or c.project = $project) order by c.started_at
"""
# Units without a model stand behind every bucket that they pay for.
CHARGES = f"""
select c.charge_description as charge_description, c.token_class as token_class, cast(c.usd_billed_cost as double) as usd_billed_cost,
       c.project as project, c.source as source
from ai_charges c where c.provider = $provider and c.charge_period_start >= $start and c.charge_period_start < $end
  and (coalesce(c.model, '') = coalesce($model, '') and {TIER} = $tier or c.model is null and c.unit_class = $unit_class)
  and (cast($project as varchar) is null or coalesce(c.project, $project) = $project)
order by c.usd_billed_cost desc
"""
UNITS = {"list_price": "consumption", "provisioned": "provisioned"}


def rows_of(engine: Engine, bucket: Mapping[str, Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The calls and the billing lines behind one row of `bucket_rows`."""
    params = {
        "provider": bucket["provider"],
        "start": _midnight(bucket["day"]),
        "end": _midnight(bucket["end"]),
        "model": bucket["model"],
        "tier": bucket["service_tier"],
        "project": bucket["project"],
    }
    return engine.query(CALLS, params), engine.query(CHARGES, {**params, "unit_class": UNITS.get(bucket["basis"])})


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)
