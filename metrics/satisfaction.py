"""KPI 14, stakeholder satisfaction: the mean answer of the latest survey on a scale from 1 to 5."""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
import polars as pl
from scipy.stats import t

from metrics import stats
from metrics.engines import Engine
from metrics.filters import Period, PeriodError, Scope
from metrics.kpi import Evidence, Kpi, Measurement
from metrics.rejected import REASON

MINIMUM = 5  # fewer answers could tell who gave them
SATISFIED = 4

ANSWERS = """
select r.response_id as response_id, r.period as period, r.question_id as question_id, r.audience as audience, r.invited_n as invited_n,
       1 + 4 * (r.score - coalesce(r.scale_min, 1)) / nullif(coalesce(r.scale_max, 5) - coalesce(r.scale_min, 1), 0) as score
from survey_responses r where r.score is not null order by r.response_id, r.question_id
"""
# How often each score was given: nobody's answers by themselves.
DISTRIBUTION = """
select r.period as period, r.question_id as question_id, r.score as score, count(*) as answers
from survey_responses r where r.period = $period group by 1, 2, 3 order by 2, 3
"""
REFUSED = "select count(*) as n from rejects x where x.load_id in (select r.load_id from survey_responses r where r.period = $period)"


def stakeholder_satisfaction(engine: Engine, scope: Scope) -> Measurement:
    """The mean over people of the latest survey that ended by the end of the window; few answers are suppressed."""
    answers = engine.query(ANSWERS).drop_nulls("score")
    periods = {text: _period(text) for text in answers["period"].unique(maintain_order=True)}
    unreadable = sum(n for text, n in Counter(answers["period"]).items() if periods[text] is None)
    excluded = {"answers of an unreadable period": unreadable} if unreadable else {}
    ended = {text: period for text, period in periods.items() if period is not None and period.end <= scope.period.end}
    if not ended:
        note = f"No survey had ended by {scope.period.last_day}"
        return Measurement(None, n=0, state="NOT_APPLICABLE", note=note, exclusions=excluded)
    name = max(ended, key=lambda text: (ended[text].end, ended[text].start))
    latest = answers.filter(pl.col("period") == name)
    if refused := int(engine.query(REFUSED, {"period": name})["n"][0]):
        excluded[REASON] = refused
    people = [fmean(scores) for scores in _by_person(latest).values()]
    n, invited = len(people), _invited(latest)
    days = (scope.period.end - ended[name].end).days
    age = f"survey {name}, ended {ended[name].last_day}" + (f", {days} days before" if days else "")
    if n < MINIMUM:
        note = f"{age}; {n} answered, fewer than {MINIMUM} are not shown"
        return Measurement(None, n=n, state="LOW_CONFIDENCE", note=note, exclusions=excluded)
    top = stats.wilson(satisfied := sum(score >= SATISFIED for score in people), n)
    notes = [age]
    if invited:
        notes.append(f"{n} of {invited} answered")
    if top:
        notes.append(f"{satisfied / n:.1%} satisfied ({SATISFIED} or more; {top.low:.1%} to {top.high:.1%})")
    half = _half_width(people, invited)
    mean = fmean(people)
    return Measurement(
        mean,
        sum(people),
        n,
        n,
        interval=(max(1.0, mean - half), min(5.0, mean + half)) if half is not None else None,
        interval_method="t, finite population" if invited else "t",
        exclusions=excluded,
        note=" · ".join(notes),
        samples={
            "scores": people,
            "invited": [invited or 0],
            "questions": sorted(float(zlib.crc32((question or "").encode())) for question in latest["question_id"].unique()),
            "ended": [ended[name].end.timestamp()],
        },
        evidence=Evidence(DISTRIBUTION, {"period": name}),
    )


def is_changed(before: Measurement, after: Measurement) -> bool:
    """Whether the means of two surveys with the same questions differ (Welch, with the finite population factor)."""
    if not before.samples or not after.samples or before.samples["questions"] != after.samples["questions"]:
        return False
    if before.samples["ended"] == after.samples["ended"]:
        return False
    errors, freedoms = zip(*(_squared_error(found.samples) for found in (before, after)), strict=True)
    if not sum(errors):
        return before.value != after.value
    freedom = sum(errors) ** 2 / sum(error**2 / degrees for error, degrees in zip(errors, freedoms, strict=True))
    return bool(abs((after.value or 0) - (before.value or 0)) > float(t.ppf(0.975, freedom)) * sum(errors) ** 0.5)


def _by_person(answers: pl.DataFrame) -> Mapping[str, list[float]]:
    """The answers of each person, whatever the number of questions."""
    found: dict[str, list[float]] = {}
    for person, score in answers.select("response_id", "score").rows():
        found.setdefault(person, []).append(score)
    return found


def _invited(answers: pl.DataFrame) -> int | None:
    """How many were asked: one number for the survey, or the sum over audiences that each have their own."""
    told = answers.drop_nulls("invited_n")
    if told.is_empty():
        return None
    is_by_audience = told["invited_n"].n_unique() > 1
    asked = told.group_by("audience").agg(pl.col("invited_n").max()) if is_by_audience else told.head(1)
    total = int(asked["invited_n"].sum())
    return total if total >= answers["response_id"].n_unique() else None


def _half_width(people: Sequence[float], invited: int | None) -> float | None:
    error, freedom = _squared_error({"scores": people, "invited": [invited or 0]})
    return float(t.ppf(0.975, freedom)) * error**0.5 if error or (invited == len(people)) else None


def _squared_error(samples: Mapping[str, Sequence[float]]) -> tuple[float, int]:
    """The squared standard error of the mean and its degrees of freedom; none is left where everybody answered."""
    scores, invited = samples["scores"], samples["invited"][0]
    n = len(scores)
    factor = (invited - n) / (invited - 1) if invited else 1.0
    return float(np.var(scores, ddof=1)) / n * factor, n - 1


def _period(text: str) -> Period | None:
    """'2026-Q3', '2026-09', a range of days or one day; None for anything else."""
    for form in (text, f"{text}..{text}"):
        try:
            return Period.parse(form)
        except PeriodError:
            continue
    return None


KPIS = (
    Kpi(
        id="stakeholder_satisfaction",
        number=14,
        title="Stakeholder satisfaction",
        block="Governance and trust",
        unit="score",
        better="higher",
        needs=("survey_responses",),
        no_data="No survey loaded",
        fills="surveys.csv",
        definition=f"Mean answer of the latest survey that ended by the end of the window, other scales brought to 1 to 5; a person with "
        f"several answers counts once. 95 % t interval for the people who were asked. Fewer than {MINIMUM} answers are not shown.",
        dimensions=(),
        measure=stakeholder_satisfaction,
        is_changed=is_changed,
    ),
)
