"""KPI 16, platform reuse index: capabilities that systems take from a shared component instead of building their own."""

from metrics import census
from metrics.engines import Engine
from metrics.filters import Scope
from metrics.kpi import Evidence, Kpi, Measurement
from metrics.registers import DIMENSIONS, about, valid

# One row per capability that a system needs. A component is shared when two systems use it: those that traces show calling
# it, and those that declare it, unless they have traces of tools and never call it while others do.
SLOTS = f"""
with slots as (
    select c.system_id as system, s.team as team, c.capability as capability, c.provision as provision, c.component_id as component
    from capabilities c left join systems s on s.system_id = c.system_id and {valid("s")}
    where {valid("c")} and coalesce(c.provision, 'unknown') <> 'none'
), called as (
    select distinct p.system as system, coalesce(p.tool_name, p.name) as component
    from spans p
    where p.role in ('tool', 'retrieval', 'guardrail') and p.system is not null and p.started_at >= $start and p.started_at < $end
), declared as (
    select l.system as system, l.component as component from slots l where l.provision = 'shared' and l.component is not null
    union
    select d.system as system, d.component as component
    from (select s.system_id as system, unnest(s.depends_on) as component from systems s where {valid("s")}) as d
), consumers as (
    select c.component as component, c.system as system from called c
    union
    select d.component as component, d.system as system from declared d
    where d.system not in (select c.system from called c) or d.component not in (select c.component from called c)
), shared as (
    select u.component as component, count(*) as consumers from consumers u group by 1
)
select l.system as system, l.team as team, l.capability as capability, l.provision as provision, l.component as component,
       coalesce(n.consumers, 0) as consumers,
       case when l.provision = 'bought' then 0 when n.consumers >= 2 and u.system is not null then 2
            when l.provision = 'bespoke' or l.provision = 'shared' and l.component is not null then 0 else 1 end as verdict
from slots l
left join shared n on n.component = l.component
left join consumers u on u.component = l.component and u.system = l.system
where {{where}}
order by l.system, l.capability
"""
REQUESTS = """
select u.system as system, cast(sum(u.requests) as bigint) as requests from usage_hour u
where u.hour >= $start and u.hour < $end and u.environment in ('production', 'prod', 'default') group by 1
"""
# Systems in production that have no row in the map at all.
UNMAPPED = f"""
select s.system_id as system,
       case when s.system_id in (select c.system_id from capabilities c where {valid("c")}) then 1 else 0 end as is_mapped
from (select s.system_id as system_id, s.system_id as system, s.team as team from systems s
      where {valid("s")} and s.lifecycle = 'production') as s
where {{where}}
"""


def platform_reuse(engine: Engine, scope: Scope) -> Measurement:
    """Capability slots on shared components over slots needed, as the map is at the end of the window."""
    where, dimensions = about(scope, "l.")
    sql, window = SLOTS.format(where=where), {"start": scope.period.start, "end": scope.period.end}
    params = {**window, **dimensions}
    rows = engine.query(sql, params)
    evidence = Evidence(sql, params)
    verdicts = rows["verdict"].to_list()
    if verdicts.count(census.UNKNOWN) == len(verdicts):
        note = f"No capability of known provision ({len(verdicts)} unknown)" if verdicts else "No capabilities needed"
        return Measurement(None, 0, 0, 0, state="NOT_APPLICABLE", note=note, evidence=evidence)
    systems = engine.query(UNMAPPED.format(where=about(scope, "s.")[0]), {"end": scope.period.end, **dimensions})
    unmapped = systems.filter(systems["is_mapped"] == 0).height
    alone = rows.filter((rows["provision"] == "shared") & (rows["verdict"] == census.MISSED)).height
    requests = dict(engine.query(REQUESTS, window).rows())
    weights = [(requests.get(system) or 0, verdict) for system, verdict in rows["system", "verdict"].rows() if verdict != census.UNKNOWN]
    traffic = sum(weight for weight, _ in weights)
    notes = [
        f"{sum(weight for weight, verdict in weights if verdict == census.MET) / traffic:.1%} weighted by requests" if traffic else "",
        census.counted(alone, "declared shared with one user", "declared shared with one user each"),
        census.counted(unmapped, "system without a map", "systems without a map"),
    ]
    coverage = 1 - unmapped / systems.height if systems.height else None
    seen = sum(requests.values())
    return census.share(verdicts, notes, evidence=evidence, is_unknown_left_out=True, coverage=coverage, seen=seen)


KPIS = (
    Kpi(
        id="platform_reuse",
        number=16,
        title="Platform reuse index",
        block="Delivery and reuse",
        unit="share",
        better="higher",
        needs=("capabilities",),
        no_data="No capability map loaded",
        fills="capabilities.csv",
        definition="Capabilities that a system takes from a component which two systems or more use, of all that systems need (shared, "
        "bespoke or bought), as the map is at the end of the window. Calls in traces beat what is declared. The range counts capabilities "
        "of unknown provision as not shared and as shared.",
        dimensions=DIMENSIONS,
        measure=platform_reuse,
        is_changed=census.is_changed,
    ),
)
