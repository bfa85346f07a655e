"""KPI 11, drift coverage: tier-1 systems in production whose input, output and judged quality the detector really watched."""

from datetime import timedelta

from metrics import census
from metrics.drift import MINIMUM_N
from metrics.engines import Engine
from metrics.filters import Scope
from metrics.kpi import Evidence, Kpi, Measurement
from metrics.registers import DIMENSIONS, about, valid

CADENCE_DAYS = 7  # a comparison takes a week of data
CADENCES = 2
# The token signals are input and output (what comes in, what goes out); every evaluator version is a signal of its own.
WATCHED = f"""
with t as (
    select s.system_id as system, s.team as team, s.name as name from systems s
    where {valid("s")} and s.risk_tier = 1 and s.lifecycle = 'production'
), r as (
    select d.system as system, case when d.signal like 'evaluation:%' then 'quality' else d.signal end as signal,
           d.n_current as n_current,
           case when d.state <> 'INSUFFICIENT_DATA' and coalesce(d.baseline, '') not like 'trailing%' then 1 else 0 end as is_watched
    from drift_results d
    where d.as_of > $since and d.as_of <= $end and (d.signal in ('input_tokens', 'output_tokens') or d.signal like 'evaluation:%')
)
select t.system as system, t.name as name,
       coalesce(max(case when r.signal = 'input_tokens' then r.is_watched end), 0) as input_watched,
       coalesce(max(case when r.signal = 'output_tokens' then r.is_watched end), 0) as output_watched,
       max(case when r.signal = 'quality' and r.n_current > 0 then r.is_watched end) as quality_watched,
       max(case when r.signal in ('input_tokens', 'output_tokens') then r.n_current end) as calls_a_week,
       max(case when r.signal = 'quality' then r.n_current end) as judged_a_week
from t left join r on r.system = t.system where {{where}} group by 1, 2 order by 1
"""


def drift_coverage(engine: Engine, scope: Scope) -> Measurement:
    """The share of tier-1 systems with results in the last two weeks of the window, and what keeps the others out."""
    where, own = about(scope, "t.")
    params = {**own, "end": scope.period.end, "since": scope.period.end - timedelta(CADENCE_DAYS * CADENCES)}
    sql = WATCHED.format(where=where)
    rows = engine.query(sql, params).to_dicts()
    evidence = Evidence(sql, params)
    if not rows:
        return Measurement(None, n=0, state="NOT_APPLICABLE", note="No tier-1 systems in production are registered", evidence=evidence)
    if engine.query("select count(*) as n from drift_results r where r.as_of <= $end", {"end": scope.period.end})["n"][0] == 0:
        return Measurement(None, n=len(rows), state="NO_DATA", note="No comparison ran yet: the detector needs five weeks of traces")
    verdicts, notes = [], []
    for row in rows:
        gaps = []
        if not (row["input_watched"] and row["output_watched"]):
            n = row["calls_a_week"]
            is_few = n is None or n < MINIMUM_N
            gaps.append(f"{n or 0} calls a week, too few (needs {MINIMUM_N})" if is_few else "no complete pinned reference")
        elif row["quality_watched"] == 0:
            n = row["judged_a_week"]
            is_few = n < MINIMUM_N
            gaps.append(
                f"{n} judged answers a week, too few (needs {MINIMUM_N})" if is_few else "judged quality has no complete pinned reference"
            )
        verdicts.append(census.MISSED if gaps else census.MET)
        notes += [f"{row['name'] or row['system']}: {gap}" for gap in gaps]
    return census.share(verdicts, notes, evidence=evidence)


KPIS = (
    Kpi(
        id="drift_coverage",
        number=11,
        title="Drift detection coverage",
        block="Quality and safety",
        unit="share",
        better="higher",
        needs=("systems",),
        no_data="No tier-1 systems registered",
        fills="systems.csv",
        definition="Tier-1 systems in production with comparisons of input and output tokens against a pinned reference, and of judged "
        "quality where answers are evaluated, in the last two weeks of the window with enough data, of all tier-1 systems in production.",
        dimensions=DIMENSIONS,
        measure=drift_coverage,
        is_changed=census.is_changed,
    ),
)
