"""KPI 10, safety violations: answers that broke a policy and were delivered, of all answers that were screened."""

import polars as pl

from metrics import quality, stats
from metrics.engines import Engine
from metrics.filters import DIMENSIONS, Scope
from metrics.kpi import Kpi, Measurement, State
from metrics.registers import valid

ENOUGH_SCREENED = 0.95

PROVIDER_FILTER = "provider's own filter"
BLOCKED_BY_PROVIDER = """
select c.system as system, cast(count(*) as bigint) as n from calls c
where {where} and lower(c.finish_reason) in ({reasons}) group by 1 order by 1
"""
TIERS = f"select s.system_id as system, s.risk_tier as tier from systems s where {valid('s')}"


def safety_violation_rate(engine: Engine, scope: Scope) -> Measurement:
    """Violations that people confirmed or have not looked at yet, of the screened answers; blocked answers were not delivered."""
    every = quality.delivered(quality.verdicts(engine, scope, quality.SAFETY))
    attacks = every.filter(pl.col("is_input") & pl.col("is_bad").fill_null(False)).height
    screened = _screened(every)
    _, excluded = quality.sound(every.filter(~pl.col("is_input") & ~pl.col("is_blocked") & (pl.col("kind") != "human")))
    excluded |= {reason: n for reason, n in (("reviewed false", int(screened["is_cleared"].sum())), ("input attacks", attacks)) if n}
    total = sum(quality.answers(engine, scope).values())
    evidence = quality.evidence(engine, scope, quality.SAFETY)
    outputs = (
        screened.group_by("item").agg(pl.col("is_violation").max(), pl.col("is_blocked").max(), pl.col("probability").max()).sort("item")
    )
    blocked = _blocked(engine, scope, int(outputs["is_blocked"].sum()))
    if outputs.is_empty():
        state: State = "NO_DATA" if total else "NOT_APPLICABLE"
        note = " · ".join(filter(None, [f"No safety screening seen in {total:,} answers" if total else "No answers", blocked]))
        return Measurement(None, n=0, exclusions=excluded, state=state, note=note, evidence=evidence)
    n, bad = outputs.height, int(outputs["is_violation"].sum())
    rate = stats.hajek(outputs["is_violation"].cast(float).to_list(), [p or 1.0 for p in outputs["probability"]])
    assert rate is not None
    coverage = min(1.0, n / total) if total else None
    is_all = coverage is not None and coverage >= ENOUGH_SCREENED
    is_random = is_all or outputs["probability"].null_count() == 0
    interval = stats.wilson(bad, n) if is_all else rate.interval
    value = bad / n if is_all else rate.value
    notes = [_policies(screened), f"0 of {n:,}; up to {interval.high:.1%} is compatible" if not bad and interval else "", blocked]
    notes.append("" if is_random else "convenience sample: its probabilities are unknown")
    return Measurement(
        value,
        bad,
        n,
        n,
        interval=(interval.low, interval.high) if interval else None,
        interval_method=interval.method if interval else None,
        coverage=coverage,
        exclusions=excluded,
        state=_state(n, is_random, coverage),
        note=" · ".join(note for note in notes if note),
        samples={"n_eff": [n if is_all else rate.n_eff], "series": quality.series(every)},
        evidence=evidence,
    )


def by_policy(engine: Engine, scope: Scope) -> pl.DataFrame:
    """Screened answers, delivered violations (open: not yet reviewed), blocked and cleared ones, by policy and system with its tier.

    What a provider's own filter blocked is a row of its own; how many answers it looked at is not known.
    """
    rows = _screened(quality.delivered(quality.verdicts(engine, scope, quality.SAFETY)))
    counts = [
        pl.col(name).sum().cast(pl.Int64).alias(kind)
        for kind, name in (("violations", "is_violation"), ("open", "is_open"), ("blocked", "is_blocked"), ("cleared", "is_cleared"))
    ]
    found = rows.group_by(pl.col("name").alias("policy"), "system").agg(pl.col("item").n_unique().cast(pl.Int64).alias("screened"), *counts)
    by_provider = _blocked_by_provider(engine, scope).select(
        pl.lit(PROVIDER_FILTER).alias("policy"), "system", pl.col("n").alias("blocked")
    )
    tiers = engine.query(TIERS, {"end": scope.period.end}).unique("system")
    both = pl.concat([found, by_provider], how="diagonal").join(tiers, on="system", how="left")
    return both.select("policy", "system", "tier", "screened", "violations", "open", "blocked", "cleared").sort("policy", "system")


def _screened(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per answer and policy, with the last review that a person gave it."""
    outputs = rows.filter(~pl.col("is_input"))
    reviews = outputs.filter((pl.col("kind") == "human") & pl.col("is_bad").is_not_null())
    reviews = reviews.sort("at", "evaluation_id").group_by("item", "name").agg(pl.col("is_bad").last().alias("confirmed"))
    machine = outputs.filter((pl.col("kind") != "human") & pl.col("error").is_null())
    machine = machine.filter(pl.col("is_bad").is_not_null() | pl.col("is_blocked"))
    found = machine.group_by("item", "name").agg(
        pl.col("is_bad").max().fill_null(False), pl.col("is_blocked").max(), pl.col("probability").max(), pl.col("system").first()
    )
    judged = found.join(reviews, on=["item", "name"], how="left")
    delivered_bad = pl.col("is_bad") & ~pl.col("is_blocked")
    return judged.with_columns(
        is_violation=delivered_bad & pl.col("confirmed").fill_null(True),
        is_cleared=delivered_bad & (pl.col("confirmed") == False).fill_null(False),  # noqa: E712
        is_open=delivered_bad & pl.col("confirmed").is_null(),
    )


def _state(n: int, is_random: bool, coverage: float | None) -> State | None:
    if n < quality.MINIMUM_N or not is_random:
        return "LOW_CONFIDENCE"
    return "PARTIAL" if coverage is not None and coverage < ENOUGH_SCREENED else None


def _policies(screened: pl.DataFrame) -> str:
    by_name = screened.group_by("name").agg(pl.col("is_violation").sum()).sort("is_violation", "name", descending=[True, False])
    found = [f"{name} {count}" for name, count in by_name.rows() if count]
    waiting = int(screened["is_open"].sum())
    return ", ".join(found) + (f"; {waiting} not yet reviewed" if waiting else "") if found else ""


def _blocked(engine: Engine, scope: Scope, by_guardrails: int) -> str:
    by_provider = int(_blocked_by_provider(engine, scope)["n"].sum())
    told = [f"{by_guardrails:,} by guardrails"] * bool(by_guardrails) + [f"{by_provider:,} by the provider"] * bool(by_provider)
    return f"blocked before delivery: {', '.join(told)}" if told else ""


def _blocked_by_provider(engine: Engine, scope: Scope) -> pl.DataFrame:
    """Answers that ended with a provider's own filter, by system."""
    where, params = scope.where("started_at", prefix="c.")
    named = {f"reason_{place}": reason for place, reason in enumerate(quality.blocked("finish_reasons"))}
    sql = BLOCKED_BY_PROVIDER.format(where=where, reasons=", ".join(f"${name}" for name in named))
    return engine.query(sql, {**params, **named})


KPIS = (
    Kpi(
        id="safety_violation_rate",
        number=10,
        title="Safety violation rate",
        block="Quality and safety",
        unit="share",
        better="lower",
        needs=("evaluations",),
        no_data="No safety screening seen",
        fills="evaluations.csv, or guardrail evaluations in OTLP traces",
        definition="Delivered answers with a policy violation that a person confirmed or has not reviewed yet, of all screened answers; "
        "blocked answers and attacks in the input are told apart. Wilson interval where all are screened, else weighted (Hajek); with less "
        "than 95 % of the answers screened it is partial.",
        dimensions=DIMENSIONS,
        measure=safety_violation_rate,
        is_changed=quality.is_rate_changed,
        trend_by="week",
    ),
)
