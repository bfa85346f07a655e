"""Provider calls one by one: which client library told them, how often, what is known of their tokens, and why they cost what they do."""

from datetime import datetime, timedelta

import polars as pl

from metrics.engines import Engine
from metrics.filters import Scope

MOST = 500  # calls that are listed; the rest is a narrower filter away
SPAN_REACH = timedelta(days=1)  # spans of one call are never further apart

BY_STATUS = """
select c.cost_status as cost_status, count(*) as calls, cast(sum(c.input_tokens) as bigint) as input_tokens,
       cast(sum(c.output_tokens) as bigint) as output_tokens, sum(c.cost_usd) as cost_usd, sum(c.cost_low_usd) as cost_low_usd,
       sum(c.cost_high_usd) as cost_high_usd
from calls c where {where} group by 1 order by 2 desc, 1
"""
REPEATS = """
select s.dedupe_rule as dedupe_rule, count(*) as spans, count(distinct s.scope_name) as scopes
from spans s where s.role = 'duplicate' and {where} group by 1 order by 2 desc, 1
"""
# A successful call without input tokens, or with tokens that its client made up, has no known usage.
CLIENTS = """
select s.scope_name as scope_name, max(s.scope_version) as scope_version,
       sum(case when s.role = 'call' then 1 else 0 end) as calls,
       sum(case when s.role = 'duplicate' then 1 else 0 end) as repeats,
       sum(case when s.role = 'call' and s.error_type is null and (s.input_tokens is null or s.tokens_estimated) then 1 else 0 end)
           as unknown_usage,
       sum(case when s.role = 'call' and s.error_type is not null then 1 else 0 end) as failed,
       case when min(s.token_convention) = max(s.token_convention) then min(s.token_convention)
            when min(s.token_convention) is not null then 'differs' end as token_convention,
       max(s.started_at) as last_at
from spans s where s.role in ('call', 'duplicate') and {where} group by 1 order by 3 desc, 1
"""
UNPRICED = """
select c.provider as provider, c.model as model, count(*) as calls, cast(sum(c.input_tokens) as bigint) as input_tokens,
       cast(sum(c.output_tokens) as bigint) as output_tokens
from calls c where c.cost_status = 'unpriced_model' and {where} group by 1, 2 order by 4 desc, 1, 2
"""
NEWEST = """
select c.started_at as started_at, c.system as system, c.service as service, c.operation as operation, c.provider as provider,
       c.model as model, c.input_tokens as input_tokens, c.cache_read_tokens as cache_read_tokens,
       c.cache_write_tokens as cache_write_tokens, c.output_tokens as output_tokens, c.duration_ms as duration_ms,
       c.cost_usd as cost_usd, c.cost_status as cost_status, c.price_source as price_source, c.error_type as error_type,
       c.token_convention as token_convention, c.token_rule as token_rule, c.flags as flags, c.trace_id as trace_id, c.span_id as span_id
from calls c where {where} and (c.cost_status = $cost_status or $cost_status = '') order by c.started_at desc, c.span_id limit {most}
"""
TRACE = """
select s.span_id as span_id, s.parent_span_id as parent_span_id, s.name as name, s.role as role, s.scope_name as scope_name,
       s.started_at as started_at, s.duration_ms as duration_ms, s.model as model, s.input_tokens as input_tokens,
       s.output_tokens as output_tokens, s.cost_usd as cost_usd, s.error_type as error_type, s.duplicate_of as duplicate_of,
       s.dedupe_rule as dedupe_rule
from spans s
where s.started_at >= $since and s.started_at < $until
  and (s.trace_id = $trace_id or s.sent_trace_id = $trace_id or s.duplicate_of in (
       select o.span_id from spans o where o.trace_id = $trace_id and o.started_at >= $since and o.started_at < $until))
order by s.started_at, s.duration_ms desc, s.span_id
"""


def by_status(engine: Engine, scope: Scope) -> pl.DataFrame:
    """Per cost status: calls, tokens, cost, and the range of the cost where the token convention is unknown."""
    return _of_scope(engine, BY_STATUS, scope, "c.")


def repeats(engine: Engine, scope: Scope) -> pl.DataFrame:
    """Spans that repeat a call and are not counted, by the rule that found them."""
    return _of_scope(engine, REPEATS, scope, "s.")


def clients(engine: Engine, scope: Scope) -> pl.DataFrame:
    """Per instrumentation scope: the calls it told best, the spans that repeat one, and how complete its usage is."""
    return _of_scope(engine, CLIENTS, scope, "s.")


def unpriced(engine: Engine, scope: Scope) -> pl.DataFrame:
    """Models that the price book does not know, those with most tokens first."""
    return _of_scope(engine, UNPRICED, scope, "c.")


def newest(engine: Engine, scope: Scope, cost_status: str = "") -> pl.DataFrame:
    """The last calls of the scope, at most `MOST`; of one cost status where one is named."""
    where, params = scope.where("started_at", prefix="c.")
    return engine.query(NEWEST.format(where=where, most=MOST), {**params, "cost_status": cost_status})


def trace(engine: Engine, trace_id: str, at: datetime) -> pl.DataFrame:
    """Every span of a request in the order of their starts, with `depth` below the top, and the spans of other traces that repeat
    one of its calls."""
    found = engine.query(TRACE, {"trace_id": trace_id, "since": at - SPAN_REACH, "until": at + SPAN_REACH})
    above = dict(found.select("span_id", "parent_span_id").rows())
    return found.with_columns(pl.Series("depth", [_depth(span_id, above) for span_id in above], pl.Int64))


def _of_scope(engine: Engine, sql: str, scope: Scope, prefix: str) -> pl.DataFrame:
    where, params = scope.where("started_at", prefix=prefix)
    return engine.query(sql.format(where=where), params)


def _depth(span_id: str, above: dict[str, str | None]) -> int:
    seen: set[str] = set()
    parent = above[span_id]
    while parent in above and parent not in seen:
        seen.add(parent)
        parent = above[parent]
    return len(seen)
