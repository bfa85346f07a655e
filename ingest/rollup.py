"""Hourly usage and daily signal histograms, rebuilt for the hours and days in which a call changed."""

from collections.abc import Collection
from datetime import datetime, timedelta

import duckdb

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
where c.started_at >= $start and c.started_at < $end and date_trunc('hour', c.started_at) in (select hour from changed_hours)
group by all
"""

# Numeric signals as log bins of 2 % (bin = ceil(ln x / ln 1.02); x <= 1e-9 is one bin of its own), others as their text.
LOG_BIN = "cast(case when {0} <= 1e-9 then -100000 else cast(ceil(ln({0}) / ln(1.02)) as bigint) end as varchar)"
SIGNALS = {
    "input_tokens": (LOG_BIN.format("c.input_tokens"), "c.input_tokens is not null and c.tokens_estimated is not true"),
    "output_tokens": (LOG_BIN.format("c.output_tokens"), "c.output_tokens is not null and c.tokens_estimated is not true"),
    "reasoning_tokens": (LOG_BIN.format("c.reasoning_tokens"), "c.reasoning_tokens is not null and c.tokens_estimated is not true"),
    "latency_ms": (LOG_BIN.format("c.duration_ms"), "c.duration_ms is not null"),
    "ttft_ms": (LOG_BIN.format("c.ttft_ms"), "c.ttft_ms is not null"),
    "finish_reason": ("c.finish_reason", "c.finish_reason is not null"),
    "error": ("coalesce(c.error_type, 'ok')", "true"),
}


def rebuild(cursor: duckdb.DuckDBPyConnection, changed: Collection[datetime]) -> None:
    """Rebuild both rollups for every hour, and every day, that holds one of the changed start times."""
    if not changed:
        return
    # The constant bounds let the zone maps of `spans` prune before the semi-joins.
    hours = sorted({moment.replace(minute=0, second=0, microsecond=0) for moment in changed})
    days = sorted({hour.replace(hour=0) for hour in hours})
    cursor.execute("create or replace temp table changed_hours as select unnest($hours) as hour", {"hours": hours})
    cursor.execute("create or replace temp table changed_days as select unnest($days) as day", {"days": days})
    cursor.execute("delete from usage_hour where hour in (select hour from changed_hours)")
    cursor.execute("delete from signal_day where day in (select cast(day as date) from changed_days)")
    cursor.execute(USAGE_HOUR, {"start": hours[0], "end": hours[-1] + timedelta(hours=1)})
    selects = [f"select '{signal}' as signal, {value} as bin, * from c where {condition}" for signal, (value, condition) in SIGNALS.items()]
    cursor.execute(
        f"""
        insert into signal_day by name
        with c as (select * from calls where started_at >= $start and started_at < $end
                   and date_trunc('day', started_at) in (select day from changed_days)),
             signals as ({" union all by name ".join(selects)})
        select cast(started_at as date) as day, {SIGNAL_KEYS}, signal, bin, count(*) as n from signals group by all""",
        {"start": days[0], "end": days[-1] + timedelta(days=1)},
    )


def rebuild_all(cursor: duckdb.DuckDBPyConnection) -> None:
    """Rebuild both rollups from all calls."""
    cursor.execute("delete from usage_hour")
    cursor.execute("delete from signal_day")
    days = cursor.execute("select distinct date_trunc('hour', c.started_at) from calls c").fetchall()
    rebuild(cursor, [row[0] for row in days])
