"""KPI 13 and 15, governance: major decisions on record, and designs that pass security and privacy review at once."""

from metrics import census, stats
from metrics.census import counted
from metrics.engines import Engine
from metrics.filters import Scope
from metrics.kpi import Evidence, Kpi, Measurement
from metrics.registers import DIMENSIONS, SYSTEM_OF_SUBJECT, valid

# A record is linked by its path or by the end of it, whichever of the two is longer. What is dated after the window was not
# written yet. Verdicts: 2 met, 1 unknown (status or parts unstated), 0 missed.
SAME_PATH = "({0} = {1} or right({0}, length({1}) + 1) = concat('/', {1}) or right({1}, length({0}) + 1) = concat('/', {0}))"
DECISIONS = f"""
with written as (
    select a.path as path, a.title as adr_title, a.status as status, a.decided_on as decided_on, a.superseded_by as superseded_by,
           a.has_context as has_context, a.has_decision as has_decision, a.has_consequences as has_consequences,
           case when a.has_context and a.has_decision and a.has_consequences then 2
                when not a.has_context or not a.has_decision or not a.has_consequences then 0 else 1 end as structure
    from adrs a where a.decided_on is null or a.decided_on < $end
), judged as (
    select w.path as path,
           max(case when w.status = 'accepted' or w.status = 'superseded' and n.status in ('accepted', 'superseded') then 2
                    when coalesce(w.status, 'unstated') = 'unstated' or w.status = 'superseded' and n.path is null then 1
                    else 0 end) as standing
    from written w left join written n on w.superseded_by is not null and {SAME_PATH.format("n.path", "w.superseded_by")}
    group by 1
), linked as (
    select d.decision_id as decision_id, w.path as path, w.status as status, w.decided_on as adr_on, w.has_context as has_context,
           w.has_decision as has_decision, w.has_consequences as has_consequences, least(j.standing, w.structure) as verdict,
           case when w.decided_on > cast(d.decided_on + interval 30 day as date) then 1 else 0 end as is_late,
           row_number() over (partition by d.decision_id order by least(j.standing, w.structure) desc, w.path) as preference
    from decisions d join written w on d.adr_path <> '' and {SAME_PATH.format("w.path", "d.adr_path")}
    join judged j on j.path = w.path
), decided as (
    select d.decision_id as decision_id, d.title as title, d.system_id as system, s.team as team, s.risk_tier as risk_tier,
           d.decided_on as decided_on, d.adr_path as adr_path, l.path as path, l.status as adr_status, l.adr_on as adr_on,
           l.has_context as has_context, l.has_decision as has_decision, l.has_consequences as has_consequences,
           coalesce(l.is_late, 0) as is_late, coalesce(l.verdict, 0) as verdict
    from decisions d
    left join systems s on s.system_id = d.system_id and {valid("s")}
    left join linked l on l.decision_id = d.decision_id and l.preference = 1
    where d.major
)
select d.* from decided d where {{where}} order by d.decided_on desc, d.decision_id
"""
EXTRA = f"""
select count(*) as n from adrs a
where (a.decided_on is null or a.decided_on < $end)
  and not exists (select 1 from decisions d where d.decided_on < $end and {SAME_PATH.format("a.path", "d.adr_path")})
"""
STRUCTURE = """
select count(*) as n, sum(case when a.has_context and a.has_decision and a.has_consequences then 1 else 0 end) as complete
from adrs a where a.decided_on is null or a.decided_on < $end
"""

# One row per design with a security or privacy review: the first round of each type as it stood at the end of the window.
# `decided_at` is the last first-round decision of the required types.
PASSED = "('approved', 'conditions_minor')"
DESIGNS = f"""
with first_rounds as (
    select r.subject_id as subject_id, r.type as type, r.submitted_at as submitted_at,
           case when r.decided_at < $end then r.decided_at end as decided_at,
           case when r.decided_at < $end or r.outcome = 'withdrawn' and r.decided_at is null then coalesce(r.outcome, 'pending')
                else 'pending' end as outcome,
           row_number() over (partition by r.subject_id, r.type order by r.submitted_at, r.review_id) as position
    from reviews r where r.type in ('security', 'privacy') and coalesce(r.round, 1) = 1 and r.submitted_at < $end
), required as (
    select r.subject_id as subject_id, coalesce(i.system_id, s.system_id) as system, s.team as team, r.type as type, r.outcome as outcome,
           r.submitted_at as submitted_at, r.decided_at as decided_at, case when s.personal_data = 'no' then 1 else 2 end as types_required
    from first_rounds r {SYSTEM_OF_SUBJECT}
    where r.position = 1 and (r.type = 'security' or coalesce(s.personal_data, 'yes') <> 'no')
), designs as (
    select r.subject_id as subject_id, min(r.system) as system, min(r.team) as team, min(r.types_required) as types_required,
           max(case when r.type = 'security' then r.outcome end) as security,
           max(case when r.type = 'privacy' then r.outcome end) as privacy,
           min(r.submitted_at) as submitted_at, coalesce(max(r.decided_at), max(r.submitted_at)) as decided_at,
           max(case when r.outcome = 'pending' then 1 else 0 end) as is_pending,
           max(case when r.outcome = 'withdrawn' then 1 else 0 end) as is_withdrawn
    from required r group by 1
)
select d.subject_id as subject_id, d.system as system, d.team as team, d.security as security, d.privacy as privacy,
       d.types_required as types_required, d.submitted_at as submitted_at, d.decided_at as decided_at, d.is_pending as is_pending,
       d.is_withdrawn as is_withdrawn,
       case when d.security in {PASSED} and (d.types_required = 1 or d.privacy in {PASSED}) then 2 else 0 end as verdict
from designs d where {{where}} order by d.decided_at desc, d.subject_id
"""


def adr_completeness(engine: Engine, scope: Scope) -> Measurement:
    """Major decisions of the window for tier 1 systems (or systems of unknown tier) with an accepted, complete ADR."""
    where, params = scope.where("decided_on", only=DIMENSIONS, prefix="d.")
    sql = DECISIONS.format(where=where)
    rows = engine.query(sql, params)
    tier_1 = rows.filter(rows["risk_tier"].fill_null(1) == 1)
    evidence = Evidence(DECISIONS.format(where=f"{where} and coalesce(d.risk_tier, 1) = 1"), params)
    excluded = {"of tier 2 and 3": rows.height - tier_1.height} if rows.height > tier_1.height else {}
    if tier_1.is_empty():
        note = "No major decisions of tier 1"
        return Measurement(None, 0, 0, 0, state="NOT_APPLICABLE", note=note, exclusions=excluded, evidence=evidence)
    if engine.query("select count(*) as n from adrs")["n"][0] == 0:
        named = tier_1["adr_path"].drop_nulls().len()
        note = f"No ADR folder loaded; {named} of {tier_1.height} major decisions name an ADR"
        return Measurement(None, None, tier_1.height, tier_1.height, state="NO_DATA", note=note, exclusions=excluded, evidence=evidence)
    extra = 0 if scope.dimensions else int(engine.query(EXTRA, {"end": scope.period.end})["n"][0])
    notes = [
        counted(tier_1["path"].null_count(), "without an ADR"),
        counted(int(tier_1["is_late"].sum()), "late (more than 30 days)"),
        counted(int(tier_1["risk_tier"].null_count()), "of unknown tier"),
        counted(extra, "ADR without a decision", "ADRs without a decision"),
    ]
    return census.share(tier_1["verdict"].to_list(), notes, excluded, evidence)


def adrs_without_decisions(engine: Engine, scope: Scope) -> str:
    """What is known before there is a register of decisions: how many ADRs there are, and how complete."""
    found, complete = engine.query(STRUCTURE, {"end": scope.period.end}).row(0)
    return f"{NO_DECISIONS}; {counted(found, 'ADR', 'ADRs')} found, structure {complete / found:.0%} complete" if found else NO_DECISIONS


def review_pass_rate(engine: Engine, scope: Scope) -> Measurement:
    """Designs that passed all required reviews in the first round, of those whose last first-round decision is in the window."""
    where, params = scope.where("decided_at", only=DIMENSIONS, prefix="d.")
    is_decided = "d.is_pending = 0 and d.is_withdrawn = 0"
    sql = DESIGNS.format(where=f"{where} and {is_decided}")
    verdicts = engine.query(sql, params)["verdict"].to_list()
    evidence = Evidence(sql, params)
    # What is pending counts whenever it was submitted, what was withdrawn in the window of its last decision.
    others = engine.query(
        DESIGNS.format(where=f"{where.replace('d.decided_at >= $start', '$start < $end')} and not ({is_decided})"), params
    )
    pending = int(others["is_pending"].sum())
    withdrawn = others.filter(others["is_pending"] == 0, others["decided_at"] >= scope.period.start).height
    excluded = {reason: n for reason, n in (("pending", pending), ("withdrawn", withdrawn)) if n}
    if not verdicts:
        note = f"No completed reviews ({pending} pending)"
        return Measurement(None, 0, 0, 0, state="NOT_APPLICABLE", note=note, exclusions=excluded, evidence=evidence)
    passed = verdicts.count(census.MET)
    interval = stats.wilson(passed, len(verdicts))
    return Measurement(
        passed / len(verdicts),
        passed,
        len(verdicts),
        len(verdicts),
        interval=interval and (interval.low, interval.high),
        interval_method=interval.method if interval else None,
        exclusions=excluded,
        note=" · ".join(note for note in (counted(pending, "pending"), counted(withdrawn, "withdrawn")) if note),
        evidence=evidence,
    )


def is_rate_changed(before: Measurement, after: Measurement) -> bool:
    """Whether Newcombe's interval of the difference excludes 0."""
    counts = [float(count or 0) for found in (after, before) for count in (found.numerator, found.denominator)]
    change = stats.newcombe(*counts)
    return change is not None and change.interval is not None and not change.interval.low <= 0 <= change.interval.high


NO_DECISIONS = "No decision register"
KPIS = (
    Kpi(
        id="adr_completeness",
        number=13,
        title="Decision record completeness",
        block="Governance and trust",
        unit="share",
        better="higher",
        needs=("decisions",),
        no_data=NO_DECISIONS,
        without=adrs_without_decisions,
        fills="decisions.csv and a folder of ADRs",
        definition="Major decisions of tier 1 systems in the window that are linked to an architecture decision record (ADR) with context, "
        "decision and consequences that was accepted, or superseded by an accepted one, by the end of the window. An ADR dated more than "
        "30 days after its decision is late, not missing. The range counts an unstated status as missed and as met.",
        dimensions=DIMENSIONS,
        measure=adr_completeness,
        is_changed=census.is_changed,
    ),
    Kpi(
        id="review_pass_rate",
        number=15,
        title="Security and privacy reviews",
        block="Governance and trust",
        unit="share",
        better="higher",
        needs=("reviews",),
        no_data="No reviews loaded",
        fills="reviews.csv",
        definition="Designs approved at once or with minor conditions in every required review (security; privacy unless the system has no "
        "personal data), of those with all first-round decisions, by the date of the last one; a required review that is missing counts as "
        "not passed, a later round never replaces the first. 95 % Wilson interval.",
        dimensions=DIMENSIONS,
        measure=review_pass_rate,
        is_changed=is_rate_changed,
    ),
)
