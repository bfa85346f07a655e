"""Hourly usage and daily signal histograms, rebuilt for the hours and days in which a call of a system changed."""

from collections.abc import Collection
from datetime import datetime, timedelta

import duckdb
import polars as pl

USAGE_KEYS = "system, team, environment, provider, model, prompt_version, service, feature, tenant, cost_center, operation"
SIGNAL_KEYS = "system, team, environment, provider, model, prompt_version"

# Of a small batch, planning these takes as long as running them: so they read the few columns that they need of `spans` instead
# of the view, and look at the calls once for all signals.

# Token sums count what is known; a call whose tokens are estimated or unknown counts in unknown_usage_calls instead.
KNOWN = "case when tokens_estimated then null else {0}_tokens end as {0}"
USAGE_HOUR = f"""
insert into usage_hour by name
with c as (
    select date_trunc('hour', started_at) as hour, {USAGE_KEYS},
           starts_request, error_type, cost_usd, cost_status, response_cached,
           {", ".join(map(KNOWN.format, ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")))},
           token_convention is not distinct from 'unknown' or list_contains(flags, 'cache_unknown') as cache_hidden
    from spans c semi join changed_hours h on h.hour = date_trunc('hour', c.started_at) and h.system is not distinct from c.system
    where role = 'call' and started_at >= $start and started_at < $end
)
select hour, {USAGE_KEYS},
       count(*) as calls,
       count(*) filter (starts_request) as requests,
       count(*) filter (error_type is not null) as failed_calls,
       count(*) filter (error_type is null and input is null) as unknown_usage_calls,
       sum(input) as input_tokens,
       sum(input - coalesce(cache_read, 0) - coalesce(cache_write, 0)) as uncached_input_tokens,
       sum(cache_read) as cache_read_tokens,
       sum(cache_write - coalesce(cache_write_1h, 0)) as cache_write_5m_tokens,
       sum(cache_write_1h) as cache_write_1h_tokens,
       sum(output) as output_tokens,
       sum(reasoning) as reasoning_tokens,
       count(*) filter (input is not null and cache_hidden) as cache_unknown_calls,
       sum(case when cache_hidden then input end) as cache_unknown_input_tokens,
       sum(cost_usd) as cost_usd,
       count(*) filter (cost_status in ('unpriced_model', 'no_usage')) as unpriced_calls,
       count(*) filter (response_cached) as response_cache_hits,
       count(*) filter (not response_cached) as response_cache_misses
from c group by all
"""

# Numeric signals as log bins of 2 % (bin = ceil(ln x / ln 1.02); x <= 1e-9 is one bin of its own), scores from 0 to 1 as 200
# equal bins, others as their text.
LOG_BIN = "cast(case when {0} <= 1e-9 then -100000 else cast(ceil(ln({0}) / ln(1.02)) as bigint) end as varchar)"
SCORE_BIN = "cast(cast(ceil(score * 200) as bigint) as varchar)"
ANSWERED, COUNTED = "error_type is null", "error_type is null and tokens_estimated is not true"
# Of chat calls: what a model that only embeds or reranks does is another distribution. A call without a value has no bin.
OF_CALLS = {
    "input_tokens": (LOG_BIN.format("input_tokens"), COUNTED),
    "output_tokens": (LOG_BIN.format("output_tokens"), COUNTED),
    "reasoning_tokens": (LOG_BIN.format("reasoning_tokens"), COUNTED),
    "latency_ms": (LOG_BIN.format("duration_ms"), ANSWERED),
    "ttft_ms": (LOG_BIN.format("ttft_ms"), ANSWERED),
    "finish_reason": ("coalesce(finish_reason, '__null__')", ANSWERED),
    "error": ("coalesce(error_type, 'ok')", "true"),
}
# What else a trace did, and how its answers were judged, counts on the day of the call that started it or was judged, with
# that call's keys. A row looks one day around its call, never at the batch, so that any portions give the same counts; a
# judgement may come any time later.
SIGNAL_DAY = f"""
insert into signal_day by name
with changed as materialized (
    select cast(started_at as date) as day, {SIGNAL_KEYS}, started_at, trace_id, response_id, starts_request, operation,
           input_tokens, output_tokens, reasoning_tokens, tokens_estimated, duration_ms, ttft_ms, finish_reason, error_type
    from spans c semi join changed_days d on d.day = cast(c.started_at as date) and d.system is not distinct from c.system
    where role = 'call' and started_at >= $start and started_at < $end
), judgements as (
    select trace_id, response_id, evaluated_at, concat('evaluation:', name, '@', evaluator_version) as signal, {SCORE_BIN} as bin
    from evaluations
    where score between 0 and 1 and error is null and evaluator_kind <> 'human' and evaluated_at >= $start - interval 1 day
), told as (
    select trace_id, started_at as since, started_at as until, if(role = 'tool', 'tool', 'calls_per_trace') as signal,
           case when role = 'tool' then coalesce(tool_name, '__null__') end as bin
    from spans where role in ('call', 'tool') and started_at >= $start - interval 1 day and started_at < $end + interval 1 day
    union all
    select trace_id, retrieved_at, retrieved_at, 'retrieval_score', {SCORE_BIN} from retrievals
    where score between 0 and 1 and retrieved_at >= $start - interval 1 day and retrieved_at < $end + interval 1 day
    union all
    select trace_id, evaluated_at, $start, signal, bin from judgements where response_id is null
), signals as (
    select day, {SIGNAL_KEYS}, unnest([{", ".join(f"'{name}'" for name in OF_CALLS)}]) as signal,
           unnest([{", ".join(f"case when {when} then {value} end" for value, when in OF_CALLS.values())}]) as bin, 1 as n
    from changed where operation is null or operation not in ('embeddings', 'rerank')
    union all
    select day, {SIGNAL_KEYS}, t.signal, if(t.signal = 'calls_per_trace', {LOG_BIN.format("count(*)")}, t.bin),
           if(t.signal = 'calls_per_trace', 1, count(*))
    from changed c join told t on c.starts_request and t.trace_id = c.trace_id
         and t.since >= c.started_at - interval 1 day and t.until <= c.started_at + interval 1 day
    group by day, {SIGNAL_KEYS}, c.trace_id, c.started_at, t.signal, t.bin
    union all
    select day, {SIGNAL_KEYS}, j.signal, j.bin, 1
    from changed c join judgements j on j.response_id = c.response_id and j.evaluated_at >= c.started_at - interval 1 day
)
select day, {SIGNAL_KEYS}, signal, bin, sum(n) as n from signals where bin is not null group by all
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
