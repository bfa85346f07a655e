"""Hourly usage and daily signal histograms, rebuilt for the hours and days in which a call of a system changed."""

from collections.abc import Collection
from datetime import datetime, timedelta

import duckdb
import polars as pl

USAGE_KEYS = "system, team, environment, provider, model, prompt_version, service, feature, tenant, cost_center, operation"
SIGNAL_KEYS = "system, team, environment, provider, model, prompt_version"

# Token sums count what is known; a call whose tokens are estimated or unknown counts in unknown_usage_calls instead.
USAGE_HOUR = f"""
insert into usage_hour by name
select date_trunc('hour', c.started_at) as hour, {USAGE_KEYS},
       count(*) as calls,
       count(*) filter (c.starts_request) as requests,
       count(*) filter (c.error_type is not null) as failed_calls,
       count(*) filter (c.error_type is null and (c.input_tokens is null or c.tokens_estimated)) as unknown_usage_calls,
       sum(k.input) as input_tokens,
       sum(k.input - coalesce(k.cache_read, 0) - coalesce(k.cache_write, 0)) as uncached_input_tokens,
       sum(k.cache_read) as cache_read_tokens,
       sum(k.cache_write - coalesce(k.cache_write_1h, 0)) as cache_write_5m_tokens,
       sum(k.cache_write_1h) as cache_write_1h_tokens,
       sum(k.output) as output_tokens,
       sum(k.reasoning) as reasoning_tokens,
       count(*) filter (k.input is not null and k.cache_hidden) as cache_unknown_calls,
       sum(case when k.cache_hidden then k.input end) as cache_unknown_input_tokens,
       sum(c.cost_usd) as cost_usd,
       count(*) filter (c.cost_status in ('unpriced_model', 'no_usage')) as unpriced_calls,
       count(*) filter (c.response_cached) as response_cache_hits,
       count(*) filter (not c.response_cached) as response_cache_misses
from calls c, lateral (
    select case when c.tokens_estimated then null else c.input_tokens end as input,
           case when c.tokens_estimated then null else c.cache_read_tokens end as cache_read,
           case when c.tokens_estimated then null else c.cache_write_tokens end as cache_write,
           case when c.tokens_estimated then null else c.cache_write_1h_tokens end as cache_write_1h,
           case when c.tokens_estimated then null else c.output_tokens end as output,
           case when c.tokens_estimated then null else c.reasoning_tokens end as reasoning,
           c.token_convention is not distinct from 'unknown' or list_contains(c.flags, 'cache_unknown') as cache_hidden) k
where c.started_at >= $start and c.started_at < $end and exists (
    select 1 from changed_hours h where h.hour = date_trunc('hour', c.started_at) and h.system is not distinct from c.system)
group by all
"""

# Numeric signals as log bins of 2 % (bin = ceil(ln x / ln 1.02); x <= 1e-9 is one bin of its own), scores from 0 to 1 as 200
# equal bins, others as their text.
LOG_BIN = "cast(case when {0} <= 1e-9 then -100000 else cast(ceil(ln({0}) / ln(1.02)) as bigint) end as varchar)"
SCORE_BIN = "cast(cast(ceil({0} * 200) as bigint) as varchar)"
ANSWERED, COUNTED = "c.error_type is null", "c.error_type is null and c.tokens_estimated is not true"
# Of chat calls: what a model that only embeds or reranks does is another distribution.
OF_CALLS = {
    "input_tokens": (LOG_BIN.format("c.input_tokens"), f"{COUNTED} and c.input_tokens is not null"),
    "output_tokens": (LOG_BIN.format("c.output_tokens"), f"{COUNTED} and c.output_tokens is not null"),
    "reasoning_tokens": (LOG_BIN.format("c.reasoning_tokens"), f"{COUNTED} and c.reasoning_tokens is not null"),
    "latency_ms": (LOG_BIN.format("c.duration_ms"), f"{ANSWERED} and c.duration_ms is not null"),
    "ttft_ms": (LOG_BIN.format("c.ttft_ms"), f"{ANSWERED} and c.ttft_ms is not null"),
    "finish_reason": ("coalesce(c.finish_reason, '__null__')", ANSWERED),
    "error": ("coalesce(c.error_type, 'ok')", "true"),
}
OF_CALLS_SQL = [f"select '{name}' as signal, {value} as bin, * from c where {when}" for name, (value, when) in OF_CALLS.items()]
# What else a trace did, and how its answers were judged, counts on the day of the call that started it or was judged, with
# that call's keys. A row looks one day around its call, never at the batch, so that any portions give the same counts.
NEARBY = "{0} >= c.started_at - interval 1 day and {0} <= c.started_at + interval 1 day"
SCORE = "e.score between 0 and 1 and e.error is null and e.evaluator_kind <> 'human' and e.evaluated_at >= c.started_at - interval 1 day"
BESIDE_CALLS = f"""
select 'calls_per_trace' as signal, {LOG_BIN.format("count(*)")} as bin, any_value(c) as call
from started c join nearby s on s.trace_id = c.trace_id and s.role = 'call' and {NEARBY.format("s.started_at")}
group by c.trace_id
union all
select 'tool', coalesce(s.tool_name, '__null__'), c
from started c join nearby s on s.trace_id = c.trace_id and s.role = 'tool' and {NEARBY.format("s.started_at")}
union all
select 'retrieval_score', {SCORE_BIN.format("r.score")}, c
from started c join retrievals r on r.trace_id = c.trace_id and r.score between 0 and 1 and {NEARBY.format("r.retrieved_at")}
where r.retrieved_at >= $start - interval 1 day and r.retrieved_at < $end + interval 1 day
union all
select concat('evaluation:', e.name, '@', e.evaluator_version), {SCORE_BIN.format("e.score")}, c
from changed c join evaluations e on e.response_id = c.response_id and {SCORE} where e.evaluated_at >= $start - interval 1 day
union all
select concat('evaluation:', e.name, '@', e.evaluator_version), {SCORE_BIN.format("e.score")}, c
from started c join evaluations e on e.trace_id = c.trace_id and e.response_id is null and {SCORE}
where e.evaluated_at >= $start - interval 1 day
"""
SIGNAL_DAY = f"""
insert into signal_day by name
with changed as materialized (
    select {SIGNAL_KEYS}, started_at, trace_id, response_id, starts_request, operation, input_tokens, output_tokens, reasoning_tokens,
           tokens_estimated, duration_ms, ttft_ms, finish_reason, error_type
    from calls c where c.started_at >= $start and c.started_at < $end and exists (
        select 1 from changed_days d where d.day = cast(c.started_at as date) and d.system is not distinct from c.system)
), started as (
    select * from changed where starts_request
), nearby as (
    select trace_id, started_at, role, tool_name from spans
    where role in ('call', 'tool') and started_at >= $start - interval 1 day and started_at < $end + interval 1 day
), c as (
    select * from changed where operation is null or operation not in ('embeddings', 'rerank')
), beside as ({BESIDE_CALLS}), signals as (
    {" union all by name ".join(OF_CALLS_SQL)}
    union all by name select signal, bin, unnest(call) from beside
)
select cast(started_at as date) as day, {SIGNAL_KEYS}, signal, bin, count(*) as n from signals group by all
"""
# The calls that the evaluations of a load judge.
JUDGED = """
select c.started_at, c.system from evaluations e join calls c on c.response_id = e.response_id where e.load_id = $load_id
union
select c.started_at, c.system from evaluations e join calls c on c.trace_id = e.trace_id and c.starts_request
where e.load_id = $load_id and e.response_id is null
"""


def rebuild(cursor: duckdb.DuckDBPyConnection, changed: Collection[tuple[datetime, str | None]]) -> None:
    """Rebuild both rollups for every hour, and every day, of a system that holds one of the changed calls (start, system)."""
    if not changed:
        return
    hours = {(start.replace(minute=0, second=0, microsecond=0), system) for start, system in changed}
    days = {(hour.replace(hour=0), system) for hour, system in hours}
    for name, times in (("hour", hours), ("day", days)):
        frame = pl.DataFrame(list(times), {name: pl.Datetime("us"), "system": pl.String}, orient="row")
        cursor.register(f"changed_{name}s", frame)
    cursor.execute("delete from usage_hour u using changed_hours h where u.hour = h.hour and u.system is not distinct from h.system")
    cursor.execute("delete from signal_day s using changed_days d where s.day = d.day and s.system is not distinct from d.system")
    # The constant bounds let the zone maps of `spans` prune before the semi-joins.
    first_hour, last_hour = min(hour for hour, _ in hours), max(hour for hour, _ in hours)
    first_day, last_day = first_hour.replace(hour=0), last_hour.replace(hour=0)
    cursor.execute("delete from drift_results where as_of > $day", {"day": first_day})  # they compared what was known before
    cursor.execute(USAGE_HOUR, {"start": first_hour, "end": last_hour + timedelta(hours=1)})
    cursor.execute(SIGNAL_DAY, {"start": first_day, "end": last_day + timedelta(days=1)})
    for name in ("hour", "day"):
        cursor.unregister(f"changed_{name}s")


def judged(cursor: duckdb.DuckDBPyConnection, load_id: int) -> list[tuple[datetime, str | None]]:
    """The calls that the evaluations of a load judge, as (start, system): their signals have to be rebuilt."""
    return cursor.execute(JUDGED, {"load_id": load_id}).fetchall()


def rebuild_all(cursor: duckdb.DuckDBPyConnection) -> None:
    """Rebuild both rollups from all calls."""
    cursor.execute("delete from usage_hour")
    cursor.execute("delete from signal_day")
    rebuild(cursor, cursor.execute("select distinct date_trunc('hour', c.started_at), c.system from calls c").fetchall())
