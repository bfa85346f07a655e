"""KPI 8, retrieval precision: how much of what a search returned was relevant, an empty search counting nothing."""

import polars as pl

from metrics import quality, stats
from metrics.engines import Engine
from metrics.filters import Scope
from metrics.kpi import Kpi, Measurement, State

DIMENSIONS = ("system", "team", "environment")

# One row per retrieval. Whether it was empty is known only of systems whose retrievals otherwise tell their documents.
RETRIEVALS = """
with found as (
    select s.system as system, s.trace_id as trace_id, concat(s.trace_id, '/', s.span_id) as item, count(r.rank) as documents,
           max(r.score) as similarity
    from spans s left join retrievals r on r.trace_id = s.sent_trace_id and r.span_id = s.span_id
    where s.role = 'retrieval' and {where} group by 1, 2, 3
)
select f.system as system, f.trace_id as trace_id, f.item as item, f.similarity as similarity,
       case when f.documents > 0 then 0 when sum(f.documents) over (partition by f.system) > 0 then 1 end as is_empty
from found f
"""


def retrieval_precision(engine: Engine, scope: Scope) -> Measurement:
    """Mean relevance of the judged retrievals that returned something, times the share of all retrievals that did."""
    where, params = scope.where("started_at", only=DIMENSIONS, prefix="s.")
    retrievals = engine.query(RETRIEVALS.format(where=where), params)
    every = quality.delivered(quality.verdicts(engine, scope, quality.RETRIEVAL, DIMENSIONS))
    newest = quality.newest_series(every)
    failed = newest.filter(pl.col("error").is_not_null()).height
    judged = _relevance(newest.filter(pl.col("error").is_null()), retrievals)
    left_out = {"evaluator errors": failed, "earlier judge versions": every.height - newest.height}
    excluded = {reason: n for reason, n in left_out.items() if n}
    evidence = quality.evidence(engine, scope, quality.RETRIEVAL, DIMENSIONS)
    empty, known = int(retrievals["is_empty"].sum()), retrievals["is_empty"].count()
    if judged.is_empty():
        state: State = "NO_DATA" if retrievals.height else "NOT_APPLICABLE"
        note = _similarity(retrievals) if retrievals.height else "No retrievals"
        return Measurement(None, n=0, exclusions=excluded, state=state, note=note, evidence=evidence)
    is_random = judged["probability"].null_count() == 0
    weights = [1 / (probability or 1.0) for probability in judged["probability"]]
    mean = stats.bootstrap_mean(judged["relevance"].to_list(), weights)
    assert mean is not None
    answered = 1 - empty / known if known else 1.0
    notes = [f"{judged.height:,} judged", f"{empty:,} of {known:,} retrievals came back empty" if empty else ""]
    notes.append("" if is_random else "convenience sample: its probabilities are unknown")
    return Measurement(
        answered * mean.value,
        n=judged.height,
        interval=(answered * mean.interval.low, answered * mean.interval.high) if mean.interval else None,
        interval_method="bootstrap over queries" if mean.interval else None,
        coverage=_coverage(retrievals, judged),
        exclusions=excluded,
        state=None if is_random and judged.height >= quality.MINIMUM_N else "LOW_CONFIDENCE",
        note=" · ".join(note for note in notes if note),
        samples={"error": [answered * (mean.standard_error or 0.0)], "series": quality.series(newest)},
        evidence=evidence,
    )


def is_changed(before: Measurement, after: Measurement) -> bool:
    """Whether the two means differ by more than their bootstrap errors allow, both by the same judge in the same version."""
    if before.value is None or after.value is None or before.samples.get("series") != after.samples.get("series"):
        return False
    error = sum(found.samples["error"][0] ** 2 for found in (before, after)) ** 0.5
    return bool(error and abs(after.value - before.value) > stats.Z * error)


def _relevance(rows: pl.DataFrame, retrievals: pl.DataFrame) -> pl.DataFrame:
    """One row a judged query that returned something; what people said comes before a judge's word."""
    score = pl.when(pl.col("score").is_between(0, 1)).then(pl.col("score")).otherwise(1 - pl.col("is_bad").cast(float))
    rows = rows.with_columns(relevance=score, is_human=pl.col("kind") == "human").filter(pl.col("relevance").is_not_null())
    rows = rows.filter(pl.col("is_human") == pl.col("is_human").max().over("item"))
    by_trace = retrievals.group_by("trace_id").agg(pl.col("is_empty").min())
    empty_traces = by_trace.filter(pl.col("is_empty") == 1)["trace_id"].to_list()
    empty_items = retrievals.filter(pl.col("is_empty") == 1)["item"].to_list()
    rows = rows.filter(~pl.col("item").is_in(empty_items) & (pl.col("trace_id").is_null() | ~pl.col("trace_id").is_in(empty_traces)))
    return rows.group_by("item").agg(pl.col("relevance").mean(), pl.col("probability").max(), pl.col("system").first()).sort("item")


def _coverage(retrievals: pl.DataFrame, judged: pl.DataFrame) -> float | None:
    """The share of retrievals whose system is judged at all."""
    systems = judged["system"].drop_nulls().unique().to_list()
    if not systems or retrievals.is_empty():
        return None
    return retrievals.filter(pl.col("system").is_in(systems)).height / retrievals.height


def _similarity(retrievals: pl.DataFrame) -> str:
    similarity = retrievals["similarity"].drop_nulls()
    if similarity.is_empty():
        return "No relevance evaluations"
    mean = float(similarity.sum()) / len(similarity)
    return f"No relevance evaluations; showing similarity only: best match {mean:.2f} on average, comparable within one index"


KPIS = (
    Kpi(
        id="retrieval_precision",
        number=8,
        title="Retrieval precision",
        block="Quality and safety",
        unit="share",
        better="higher",
        needs=("evaluations",),
        no_data="No relevance evaluations loaded",
        fills="evaluations.csv, or evaluations in OTLP traces",
        definition="Mean relevance (0 to 1) of what sampled retrievals returned, each weighted by what it stands for; a retrieval that "
        "came back empty counts 0, judged or not. Bootstrap interval over queries; another judge or version starts a new series.",
        dimensions=DIMENSIONS,
        measure=retrieval_precision,
        is_changed=is_changed,
    ),
)
