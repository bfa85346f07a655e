"""What the register of models, prompts and endpoints lists, what traces and bills show in use, and how the two differ."""

import polars as pl

from metrics.census import MET, UNKNOWN
from metrics.definitions import definitions
from metrics.engines import Engine
from metrics.filters import Scope
from metrics.kpi import Evidence
from metrics.registers import about, valid

PRODUCTION = "('production', 'prod', 'default')"  # calls without a word about it are 'default'
NOT_YET = "('planned', 'proposed', 'experimental', 'development', 'sandbox')"

# A name without region, vendor, date and version, as the models of calls and charges have it.
BARE = r"regexp_replace(regexp_replace({0}, '^([a-z-]+\.)+', ''), '(-20\d\d\d\d\d\d|-20\d\d-\d\d-\d\d|-\d\d\d\d)?(-v\d+(:\d+)?)?$', '')"

EXPIRED = "$last_day > cast(n.last_reviewed_on + interval {days} day as date)"

# One row per item: (provider, model), (prompt) or (provider, endpoint). In the register an item may stand once per system:
# its worst row decides. A retired row is complete as long as nothing called or billed it after its last day.
ITEMS = f"""
with calls_seen as (
    select lower(coalesce(c.provider, '')) as provider, lower(c.model) as model, lower(c.request_model) as request_model,
           lower(c.response_model) as response_model, c.prompt_name as prompt_name,
           min(c.started_at) as first_at, max(c.started_at) as last_at,
           sum(case when c.started_at >= $start then 1 else 0 end) as calls, min(c.service) as service
    from calls c
    where c.started_at < $end and c.error_type is null and coalesce(c.environment, 'default') in {PRODUCTION} and {{calls_where}}
    group by 1, 2, 3, 4, 5
), traced as (
    select 'model' as kind, s.provider as provider, s.model as name, min(s.first_at) as first_at, max(s.last_at) as last_at,
           sum(s.calls) as calls, min(s.service) as service
    from calls_seen s where s.model is not null group by 1, 2, 3
    union all
    select 'prompt' as kind, '' as provider, lower(s.prompt_name) as name, min(s.first_at) as first_at, max(s.last_at) as last_at,
           sum(s.calls) as calls, min(s.service) as service
    from calls_seen s where s.prompt_name is not null group by 1, 2, 3
), billed as (
    select lower(coalesce(c.provider, '')) as provider, lower(c.model) as name, min(c.charge_period_start) as first_at,
           max(c.charge_period_start) as last_at, sum(case when c.charge_period_start >= $start then 1 else 0 end) as lines,
           sum(case when c.charge_period_start >= $start then c.usd_effective_cost else 0 end) as billed_usd, min(c.project) as project
    from ai_charges c where c.charge_period_start < $end and c.model is not null and {{charges_where}} group by 1, 2
), seen as (
    select t.kind as kind, t.provider as provider, t.name as name from traced t where t.calls > 0
    union
    select 'model' as kind, b.provider as provider, b.name as name from billed b where b.lines > 0
), aliases as (
    select a.alias as alias, min(a.name) as name from (
        select s.request_model as alias, s.model as name from calls_seen s union all
        select s.response_model as alias, s.model as name from calls_seen s) as a
    where a.name is not null and a.alias not in (select s.model from calls_seen s where s.model is not null) group by 1
), rows_valid as (
    select r.item_id as item_id, r.kind as kind, r.system_id as system, s.team as team, s.risk_tier as risk_tier, r.version as version,
           lower(coalesce(r.provider, '')) as provider, lower(r.name) as name, r.last_reviewed_on as last_reviewed_on,
           case when r.lifecycle = 'retired' or r.retired_on <= $last_day then 1 else 0 end as is_retired,
           coalesce(r.retired_on, cast($start as date)) as retired_on,
           case when coalesce(nullif(r.owner, ''), nullif(s.owner, '')) is null then 0 else 1 end as has_owner
    from inventory_items r left join systems s on s.system_id = r.system_id and {valid("s")}
    where {valid("r")} and r.kind in ('model', 'prompt', 'endpoint') and coalesce(r.environment, 'default') in {PRODUCTION}
      and coalesce(r.lifecycle, '') not in {NOT_YET}
), named as (
    select r.*, case when r.kind = 'model' then coalesce(a.name, {BARE.format("r.name")}) else r.name end as called
    from rows_valid r left join aliases a on a.alias = r.name and r.kind = 'model'
    where {{rows_where}}
), listed as (
    select n.kind as kind,
           case when n.kind = 'prompt' then '' when n.provider = '' then coalesce(o.provider, '') else n.provider end as provider,
           coalesce(n.called, '') as name, n.item_id as item_id, n.system as system, n.is_retired as is_retired, n.retired_on as retired_on,
           n.has_owner as has_owner,
           case when coalesce(n.item_id, '') = '' or coalesce(n.system, '') = '' or n.provider = '' or coalesce(n.name, '') = ''
                     or coalesce(n.version, '') = '' then 'fields missing'
                when n.last_reviewed_on is null then 'never reviewed'
                when n.last_reviewed_on > $last_day then 'reviewed only later'
                when n.risk_tier = 1 and {{tier_1_expired}} or n.risk_tier <> 1 and {{expired}} or {{tier_1_expired}} and {{expired}}
                then 'review expired'
                when n.risk_tier is null and ({{tier_1_expired}} or {{expired}}) then 'tier unknown' else 'complete' end as finding
    from named n left join (select s.name as name, min(s.provider) as provider from seen s where s.kind = 'model' group by 1) as o
         on o.name = n.called and n.kind = 'model'
), registered as (
    select l.kind as kind, l.provider as provider, l.name as name, count(*) as register_rows, min(l.item_id) as item_id,
           min(l.system) as system, min(l.is_retired) as is_retired, max(l.retired_on) as retired_on, min(l.has_owner) as has_owner,
           min(case when l.is_retired = 1 then null when l.finding in ('fields missing', 'never reviewed', 'review expired') then 0
                    when l.finding in ('reviewed only later', 'tier unknown') then 1 else 2 end) as verdict,
           min(case when l.is_retired = 0 and l.finding <> 'complete' then l.finding end) as finding
    from listed l group by 1, 2, 3
), keys as (
    select s.kind as kind, s.provider as provider, s.name as name from seen s
    union
    select r.kind as kind, r.provider as provider, r.name as name from registered r where r.is_retired = 0
), joined as (
    select k.kind as kind, k.provider as provider, k.name as name, r.item_id as item_id, r.system as system,
           case when r.name is not null then 1 else 0 end as is_registered,
           coalesce(r.is_retired, 0) as is_retired, r.retired_on as retired_on, r.has_owner as has_owner,
           case when t.calls > 0 then 1 else 0 end as in_traces, case when b.lines > 0 then 1 else 0 end as in_bills,
           case when t.calls > 0 then t.calls end as calls, case when b.lines > 0 then b.billed_usd end as billed_usd,
           t.service as service, b.project as project, r.verdict as verdict, r.finding as finding,
           case when b.first_at is null or t.first_at < b.first_at then t.first_at else b.first_at end as first_seen_at,
           case when b.last_at is null or t.last_at > b.last_at then t.last_at else b.last_at end as last_seen_at
    from keys k
    left join registered r on r.kind = k.kind and r.provider = k.provider and r.name = k.name
    left join traced t on t.kind = k.kind and t.provider = k.provider and t.name = k.name
    left join billed b on k.kind = 'model' and b.provider = k.provider and b.name = k.name
)
select j.kind as kind, j.provider as provider, j.name as name, j.item_id as item_id, j.system as system,
       j.is_registered as is_registered, j.is_retired as is_retired, j.in_traces as in_traces, j.in_bills as in_bills, j.calls as calls,
       j.has_owner as has_owner, j.billed_usd as billed_usd, j.service as service, j.project as project, j.first_seen_at as first_seen_at,
       j.last_seen_at as last_seen_at,
       case when j.is_registered = 0 then 0 when j.is_retired = 0 then j.verdict
            when cast(j.last_seen_at as date) > j.retired_on then 0 else 2 end as verdict,
       case when j.is_registered = 0 then 'not registered' when j.is_retired = 0 then coalesce(j.finding, 'complete')
            when cast(j.last_seen_at as date) > j.retired_on then 'retired, still in use' else 'retired' end as finding
from joined j
order by verdict, j.kind, j.provider, j.name
"""


def items(engine: Engine, scope: Scope) -> tuple[pl.DataFrame, Evidence]:
    """Every production item that is registered at the end of the window or was seen in it, with what is wrong about it."""
    conditions = {name: about(scope, prefix)[0] for name, prefix in (("calls_where", "c."), ("charges_where", "c."), ("rows_where", "r."))}
    own = definitions(engine)
    expired, tier_1_expired = (EXPIRED.format(days=days) for days in (own.review_days, own.tier_1_review_days))
    sql = ITEMS.format(**conditions, expired=expired, tier_1_expired=tier_1_expired)
    params = {"start": scope.period.start, "end": scope.period.end, "last_day": scope.period.last_day, **about(scope)[1]}
    return engine.query(sql, params), Evidence(sql, params)


def registered(found: pl.DataFrame) -> pl.DataFrame:
    """Items of the register that are in service."""
    return found.filter(pl.col("is_registered") == 1, pl.col("is_retired") == 0)


def seen_in_traces(found: pl.DataFrame) -> pl.DataFrame:
    return found.filter(pl.col("in_traces") == 1)


def seen_in_bills(found: pl.DataFrame) -> pl.DataFrame:
    return found.filter(pl.col("in_bills") == 1)


def shadow(found: pl.DataFrame) -> pl.DataFrame:
    """In use but in no register, the dearest first."""
    return found.filter(pl.col("is_registered") == 0).sort("billed_usd", "calls", descending=True, nulls_last=True)


def zombie(found: pl.DataFrame) -> pl.DataFrame:
    """Retired in the register, and called or billed after that."""
    return found.filter(pl.col("is_retired") == 1, pl.col("verdict") < UNKNOWN)


def orphan(found: pl.DataFrame) -> pl.DataFrame:
    """In service by the register, and neither the item nor its system has an owner."""
    return registered(found).filter(pl.col("has_owner") == 0)


def unseen(found: pl.DataFrame) -> pl.DataFrame:
    """In service by the register, but in neither the traces nor the bills of the window. Endpoints are never seen there, and
    prompts only where traces name prompts."""
    seen = pl.col("in_traces") + pl.col("in_bills") > 0
    kinds = found.filter(seen)["kind"].unique().to_list()
    return registered(found).filter(~seen, pl.col("kind").is_in(kinds))


def incomplete(found: pl.DataFrame) -> pl.DataFrame:
    """Registered, with something missing or expired; the verdict tells what is only unknown."""
    return registered(found).filter(pl.col("verdict") < MET)


def expected(found: pl.DataFrame) -> float | None:
    """How many models there are to expect by Chapman's estimate, from what traces and bills each and both show."""
    models = found.filter(pl.col("kind") == "model")
    traced, billed = seen_in_traces(models).height, seen_in_bills(models).height
    both = models.filter(pl.col("in_traces") == 1, pl.col("in_bills") == 1).height
    return (traced + 1) * (billed + 1) / (both + 1) - 1 if traced and billed else None
