"""What evaluations say of answers: verdicts by rules of polarity, the newest series of each judge, and how a sample was drawn."""

import re
import tomllib
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
import polars as pl

from metrics import stats
from metrics.definitions import EvaluationRule, definitions
from metrics.engines import Engine
from metrics.filters import DIMENSIONS, Scope
from metrics.kpi import Evidence, Measurement

RETRIEVAL, UNSUPPORTED, SAFETY = "retrieval_precision", "unsupported_claim_rate", "safety_violation_rate"
MINIMUM_N = 30
SMALLEST_CHANGE = 0.2  # the change for which a note says how large a sample it would take

# Rows of a data set that judge no known call are tests of the judge or of a release, not of what was delivered.
EVALUATIONS = """
select e.evaluation_id as evaluation_id, e.evaluated_at as at, e.name as name, e.evaluator_kind as kind,
       coalesce(e.evaluator_version, '') as version, e.score as score, e.label as label, e.is_bad as is_bad,
       e.sampling_probability as probability, e.error as error, e.dataset as dataset, e.system as system, e.trace_id as trace_id,
       case when e.span_id is not null then concat(e.trace_id, '/', e.span_id) else coalesce(e.response_id, e.evaluation_id) end as item,
       case when e.span_id is not null or e.response_id is not null then 1 else 0 end as is_answer
from evaluated e where {where} order by e.evaluated_at desc, e.evaluation_id
"""
NAMES = "select distinct e.name as name from evaluated e where {where} and e.name is not null order by 1"
# Answers of the scope by system: successful calls of models that write.
ANSWERS = """
select u.system as system, cast(sum(u.calls) - sum(u.failed_calls) as bigint) as answers from usage_hour u
where {where} and (u.operation is null or u.operation not in ('embeddings', 'rerank')) group by 1
"""
COLUMNS = {"is_bad": pl.Boolean, "is_blocked": pl.Boolean, "is_input": pl.Boolean}


def is_bad(rule: EvaluationRule, score: float | None, label: str | None) -> bool | None:
    """The verdict of a rule; None where the evaluation says nothing that it knows."""
    if label is not None and normal(label) in rule.bad_labels:
        return True
    if label is not None and normal(label) in rule.good_labels:
        return False
    if score is None or (rule.bad_at_least is None and rule.bad_at_most is None):
        return None
    return (rule.bad_at_least is not None and score >= rule.bad_at_least) or (rule.bad_at_most is not None and score <= rule.bad_at_most)


def normal(text: str) -> str:
    """A name or label as the rules write it."""
    return re.sub(r"[\s.\-]+", "_", text.strip().lower())


def rules(engine: Engine) -> dict[str, EvaluationRule]:
    """The rule of every evaluation name: the company's own, else the usual one."""
    own = {normal(name): rule for name, rule in definitions(engine).evaluation_names.items()}
    return _usual_rules() | own


@cache
def _usual_rules() -> dict[str, EvaluationRule]:
    return {name: msgspec.convert(facts, EvaluationRule) for name, facts in _declared()["names"].items()}


def blocked(kind: str) -> list[str]:
    """The labels or finish reasons of answers that were never delivered; `kind` is labels or finish_reasons."""
    return list(_declared()[f"blocked_{kind}"])


@cache
def _declared() -> dict[str, Any]:
    return tomllib.loads((files("metrics") / "quality.toml").read_text("utf-8"))


def evidence(engine: Engine, scope: Scope, kpi: str, dimensions: tuple[str, ...] = DIMENSIONS) -> Evidence:
    """The evaluations made in the window that feed a KPI, by their names."""
    where, params = scope.where("evaluated_at", only=dimensions, prefix="e.")
    known = rules(engine)
    names = engine.query(NAMES.format(where=where), params)["name"]
    own = {f"name_{place}": name for place, name in enumerate(names) if (rule := known.get(normal(name))) and rule.kpi == kpi}
    is_own = f"e.name in ({', '.join(f'${name}' for name in own)})" if own else "1 = 0"
    return Evidence(EVALUATIONS.format(where=f"{where} and {is_own}"), params | own)


def verdicts(engine: Engine, scope: Scope, kpi: str, dimensions: tuple[str, ...] = DIMENSIONS) -> pl.DataFrame:
    """The evaluations made in the window that feed a KPI, with their verdicts, newest first."""
    query = evidence(engine, scope, kpi, dimensions)
    rows = engine.query(query.sql, query.params)
    known, blocks = rules(engine), blocked("labels")
    found = [
        (
            row["is_bad"] if row["is_bad"] is not None else is_bad(known[normal(row["name"])], row["score"], row["label"]),
            row["label"] is not None and normal(row["label"]) in blocks,
            known[normal(row["name"])].is_input,
        )
        for row in rows.select("name", "score", "label", "is_bad").iter_rows(named=True)
    ]
    return rows.with_columns(pl.DataFrame(found, schema=COLUMNS, orient="row"))


def delivered(rows: pl.DataFrame) -> pl.DataFrame:
    """Without what tests a judge or a release offline."""
    return rows.filter(pl.col("dataset").is_null() | (pl.col("is_answer") == 1))


def newest_series(rows: pl.DataFrame) -> pl.DataFrame:
    """What each judge said in its newest version: another version of a judge is another measure. Human labels all stay."""
    judged = rows.filter(pl.col("kind") != "human")
    newest = judged.sort("at", "version").group_by("system", "name").agg(pl.col("version").last())
    kept = judged.join(newest, on=["system", "name", "version"], how="semi", nulls_equal=True)
    return pl.concat([kept, rows.filter(pl.col("kind") == "human")])


def series(rows: pl.DataFrame) -> Sequence[float]:
    """Which judges in which versions spoke, as numbers that two windows can compare."""
    names = rows.filter(pl.col("kind") != "human").select(pl.concat_str("name", pl.lit("@"), "version")).to_series().unique()
    return sorted(float(zlib.crc32(name.encode())) for name in names)


def sound(rows: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows with a verdict, and how many have none: an evaluator that failed neither passed nor failed the answer."""
    failed = rows.filter(pl.col("error").is_not_null())
    rest = rows.filter(pl.col("error").is_null())
    silent = rest.filter(pl.col("is_bad").is_null())
    left_out = {"evaluator errors": failed.height, "without a verdict": silent.height}
    return rest.filter(pl.col("is_bad").is_not_null()), {reason: n for reason, n in left_out.items() if n}


def by_item(rows: pl.DataFrame) -> pl.DataFrame:
    """One row an answer: bad when anything said of it is bad."""
    return (
        rows.group_by("item", maintain_order=True)
        .agg(pl.col("is_bad").max(), pl.col("probability").max(), pl.col("system").first(), pl.col("is_bad").len().alias("rows"))
        .sort("item")
    )


def answers(engine: Engine, scope: Scope) -> Mapping[str | None, int]:
    """How many answers the scope gave, by system."""
    where, params = scope.where("hour", prefix="u.")
    return dict(engine.query(ANSWERS.format(where=where), params).rows())


def coverage(answered: Mapping[str | None, int], systems: Sequence[str | None]) -> float | None:
    """The share of the scope's answers whose system is evaluated at all; None where no evaluation leads to a system."""
    known = {system for system in systems if system is not None}
    total = sum(answered.values())
    return sum(n for system, n in answered.items() if system in known) / total if known and total else None


def is_rate_changed(before: Measurement, after: Measurement) -> bool:
    """Whether Newcombe's interval of the difference excludes 0; across another judge or version nothing can be told."""
    if before.value is None or after.value is None or before.samples.get("series") != after.samples.get("series"):
        return False
    sizes = [found.samples.get("n_eff", (0.0,))[0] for found in (before, after)]
    change = stats.newcombe(after.value * sizes[1], sizes[1], before.value * sizes[0], sizes[0])
    return change is not None and change.interval is not None and not change.interval.low <= 0 <= change.interval.high


def needed(rate: float) -> str:
    """How large a sample a smaller change would take, in words."""
    n = stats.n_per_period(rate, rate * (1 - SMALLEST_CHANGE)) if 0 < rate < 1 else None
    return f"to show a fall by a fifth takes {n:,} a period" if n else ""
