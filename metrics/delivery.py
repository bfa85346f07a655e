"""KPI 1 and 3, how new work is built and shipped: on approved reference patterns, and ready for production."""

from metrics import census
from metrics.engines import Engine
from metrics.filters import Scope
from metrics.kpi import Evidence, Kpi, Measurement
from metrics.registers import DIMENSIONS, valid

# Verdicts: 2 met, 1 unknown, 0 missed. A pattern is judged on the day of the assessment; what was assessed after the
# window was not yet assessed then. `pattern_id` may list several, separated by ';': one that fits suffices.
INITIATIVES = f"""
with started as (
    select i.initiative_id as initiative_id, i.name as name, i.system_id as system, s.team as team, i.started_on as started_on,
           i.status as status, i.exception_expires_on as exception_expires_on, i.assessed_on as assessed_on,
           case when i.assessed_on <= $last_day or i.assessed_on is null then i.conformance end as conformance,
           i.pattern_id as pattern_id, concat(';', replace(i.pattern_id, ' ', ''), ';') as listed,
           coalesce(i.assessed_on, $last_day) as judged_on
    from initiatives i left join systems s on s.system_id = i.system_id and {valid("s")}
    where {valid("i")}
), patterned as (
    select i.initiative_id as initiative_id,
           max(case when p.pattern_id is null or p.approved_on > i.judged_on then 0
                    when p.status = 'approved' and p.retired_on is null then 2
                    when i.judged_on <= coalesce(p.grace_ends_on, cast(p.retired_on + interval 90 day as date)) then 2
                    when p.grace_ends_on is null and p.retired_on is null then 1 else 0 end) as pattern_verdict
    from started i left join patterns p on position(concat(';', p.pattern_id, ';') in i.listed) > 0 and {valid("p")}
    group by 1
)
select i.initiative_id as initiative_id, i.name as name, i.system as system, i.team as team, i.started_on as started_on,
       i.status as status, i.pattern_id as pattern_id, i.conformance as conformance, i.assessed_on as assessed_on,
       i.exception_expires_on as exception_expires_on,
       case when i.conformance = 'full' then p.pattern_verdict
            when i.conformance = 'exception' and i.exception_expires_on is null then 1
            when i.conformance = 'exception' and i.exception_expires_on >= $last_day then 2
            when i.conformance is null then 1 else 0 end as verdict
from started i join patterned p on p.initiative_id = i.initiative_id
where {{where}}
order by i.started_on desc, i.initiative_id
"""
LEFT_OUT = ("cancelled", "canceled", "sandbox")

PRODUCTION = ("production", "prod")
MANDATORY = ("eval", "monitoring", "rollback", "docs")
VERDICTS = ", ".join(f"coalesce(max(case when c.item = '{item}' then c.verdict end), 0)" for item in MANDATORY)
RESULTS = ", ".join(f"max(case when c.item = '{item}' then c.result end) as {item}_result" for item in MANDATORY)

# Every check is judged at the time of the release. A waiver without an end cannot be judged.
RELEASES = f"""
with shipped as (
    select r.release_id as release_id, r.system_id as system, s.team as team, r.released_at as released_at, r.hotfix as hotfix,
           r.environment as environment
    from releases r left join systems s on s.system_id = r.system_id and {valid("s")}
), checks as (
    select r.release_id as release_id, c.item as item, c.result as result, c.waiver_expires_on as waiver_expires_on,
           case when c.result = 'pass' or c.result = 'na' and c.reason <> '' then 2
                when c.result = 'waived' and c.waiver_expires_on is null then 1
                when c.result = 'waived' and c.waiver_expires_on >= cast(r.released_at as date) then 2 else 0 end as verdict
    from shipped r join release_checks c on c.release_id = r.release_id
    where c.item in ({", ".join(f"'{item}'" for item in MANDATORY)})
), judged as (
    select c.release_id as release_id, {RESULTS},
           min(c.waiver_expires_on) as waiver_expires_on, sum(case when c.result = 'waived' then 1 else 0 end) as waivers,
           least({VERDICTS}) as verdict
    from checks c group by 1
)
select r.release_id as release_id, r.system as system, r.team as team, r.released_at as released_at, r.hotfix as hotfix,
       {", ".join(f"j.{item}_result as {item}_result" for item in MANDATORY)}, j.waiver_expires_on as waiver_expires_on,
       coalesce(j.waivers, 0) as waivers, case when j.release_id is null then 0 else 1 end as has_checklist,
       coalesce(j.verdict, 0) as verdict
from shipped r left join judged j on j.release_id = r.release_id
where {{where}} and r.environment in ({", ".join(f"'{name}'" for name in PRODUCTION)})
order by r.released_at desc, r.release_id
"""


def reference_architecture_adoption(engine: Engine, scope: Scope) -> Measurement:
    """Initiatives started in the two quarters up to the end of the window that follow an approved pattern or an exception."""
    if engine.query("select count(*) as n from patterns")["n"][0] == 0:
        return Measurement(None, state="NO_DATA", note="No pattern register loaded")
    window = scope.period.two_quarters()
    where, params = scope.with_period(window).where("started_on", only=DIMENSIONS, prefix="i.")
    sql = INITIATIVES.format(where=f"{where} and coalesce(i.status, '') not in ({', '.join(map(repr, LEFT_OUT))})")
    params["last_day"] = window.last_day
    rows = engine.query(sql, params)
    evidence = Evidence(sql, params)
    started = f"started {window.start:%Y-%m-%d} to {window.last_day}"
    if rows.is_empty():
        return Measurement(None, 0, 0, 0, state="NOT_APPLICABLE", note=f"No initiatives {started}", evidence=evidence)
    exceptions = sum(conformance == "exception" and verdict == census.MET for conformance, verdict in rows["conformance", "verdict"].rows())
    notes = [started, census.counted(exceptions, "by exception")]
    return census.share(rows["verdict"].to_list(), notes, evidence=evidence)


def production_readiness(engine: Engine, scope: Scope) -> Measurement:
    """Production releases of the window whose every mandatory check was met, not applicable or waived when they went out."""
    where, params = scope.where("released_at", only=DIMENSIONS, prefix="r.")
    sql = RELEASES.format(where=where)
    rows = engine.query(sql, params)
    evidence = Evidence(sql, params)
    if rows.is_empty():
        return Measurement(None, 0, 0, 0, state="NOT_APPLICABLE", note="No production releases", evidence=evidence)
    notes = [
        census.counted(int((1 - rows["has_checklist"]).sum()), "without a checklist"),
        census.counted(int(rows["waivers"].sum()), "waiver", "waivers"),
        census.counted(int(rows["hotfix"].fill_null(False).sum()), "hotfix", "hotfixes"),
    ]
    return census.share(rows["verdict"].to_list(), notes, evidence=evidence)


KPIS = (
    Kpi(
        id="reference_architecture_adoption",
        number=1,
        title="Reference architecture adoption",
        block="Delivery and reuse",
        unit="share",
        better="higher",
        needs=("initiatives",),
        no_data="No initiative register loaded",
        fills="initiatives.csv and patterns.csv",
        definition="Initiatives that conform fully to a reference pattern approved when they were assessed (a retired one until its grace "
        "ends), or have an unexpired exception, of those started in the two quarters up to the last day of the window; cancelled ones and "
        "sandboxes are left out. The range counts what is not assessed as missed and as met.",
        dimensions=DIMENSIONS,
        measure=reference_architecture_adoption,
        is_changed=census.is_changed,
    ),
    Kpi(
        id="production_readiness",
        number=3,
        title="Production readiness",
        block="Delivery and reuse",
        unit="share",
        better="higher",
        needs=("releases", "release_checks"),
        no_data="No release register or no readiness checklist loaded",
        fills="releases.csv and readiness.csv",
        definition=f"Production releases of the window with every mandatory item ({', '.join(MANDATORY)}) passed, not applicable with a "
        "reason, or under a waiver that held when they went out. A release without a checklist is not ready.",
        dimensions=DIMENSIONS,
        measure=production_readiness,
        is_changed=census.is_changed,
    ),
)
