"""KPI 7, prompt cache hit rate: tokens that the provider read from its cache, of all input tokens."""

import polars as pl

from metrics import stats
from metrics.engines import Engine
from metrics.filters import DIMENSIONS, Scope
from metrics.kpi import Evidence, Kpi, Measurement

# Embeddings and reranking have no prompt cache.
ELIGIBLE = "(u.operation is null or u.operation not in ('embeddings', 'rerank'))"

BY_DAY = f"""
select cast(u.hour as date) as day, cast(sum(u.cache_read_tokens) as bigint) as read_tokens,
       cast(sum(u.input_tokens) - coalesce(sum(u.cache_unknown_input_tokens), 0) as bigint) as input_tokens,
       cast(sum(u.calls) as bigint) as calls, cast(sum(u.failed_calls) as bigint) as failed_calls,
       cast(sum(u.unknown_usage_calls) as bigint) as unknown_usage_calls, cast(sum(u.cache_unknown_calls) as bigint) as cache_unknown_calls
from usage_hour u where {{where}} and {ELIGIBLE} group by 1 order by 1
"""

CALLS = """
select c.started_at as started_at, c.system as system, c.model as model, c.input_tokens as input_tokens,
       c.cache_read_tokens as cache_read_tokens, c.cache_write_tokens as cache_write_tokens, c.cost_usd as cost_usd, c.trace_id as trace_id
from calls c where {where} and c.input_tokens is not null and (c.operation is null or c.operation not in ('embeddings', 'rerank'))
order by c.started_at desc
"""


def cache_hit_rate(engine: Engine, scope: Scope) -> Measurement:
    """Read tokens over all input tokens; calls whose emitter hides the cache are left out and counted."""
    where, params = scope.where("hour", prefix="u.")
    days = engine.query(BY_DAY.format(where=where), params).with_columns(pl.col("read_tokens", "input_tokens").fill_null(0))
    answered = int(days["calls"].sum()) - int(days["failed_calls"].sum())
    unknown, hidden = int(days["unknown_usage_calls"].sum()), int(days["cache_unknown_calls"].sum())
    read, total = int(days["read_tokens"].sum()), int(days["input_tokens"].sum())
    excluded = {reason: n for reason, n in (("tokens unknown", unknown), ("cache not told apart", hidden)) if n}
    measured = max(answered - unknown - hidden, 0)
    if not total:
        return Measurement(
            None,
            read,
            total,
            measured,
            exclusions=excluded,
            state="NOT_APPLICABLE",
            note="No calls with known input" if answered else "No calls",
        )
    interval = stats.wilson_by_day(days["read_tokens"].to_list(), days["input_tokens"].to_list())
    call_where, call_params = scope.where("started_at", prefix="c.")
    return Measurement(
        read / total,
        read,
        total,
        measured,
        interval and (interval.low, interval.high),
        interval.method if interval else None,
        coverage=measured / answered if answered else None,
        exclusions=excluded,
        samples={"read": days["read_tokens"].to_list(), "total": days["input_tokens"].to_list()},
        evidence=Evidence(CALLS.format(where=call_where), call_params),
    )


def is_changed(before: Measurement, after: Measurement) -> bool:
    """Whether the intervals of both windows exclude equal rates (Newcombe on day-clustered sample sizes)."""
    return stats.rates_differ_by_day(before.samples["read"], before.samples["total"], after.samples["read"], after.samples["total"])


KPIS = (
    Kpi(
        id="cache_hit_rate",
        number=7,
        title="Prompt cache hit rate",
        block="Reliability and cost",
        unit="share",
        better="higher",
        needs=("usage_hour",),
        no_data="No traces loaded",
        fills="OTLP traces",
        definition="Input tokens read from the provider's prompt cache, of all input tokens (uncached, read and written) of calls that "
        "have a prompt cache; 95 % Wilson interval on a sample size that allows for similar calls within a day.",
        dimensions=DIMENSIONS,
        measure=cache_hit_rate,
        is_changed=is_changed,
        trend_by="week",
    ),
)
