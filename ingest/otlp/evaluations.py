"""Evaluations and retrieved documents beside the calls: judgements of spans and log records, and ranks."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import duckdb
import msgspec
import polars as pl

from ingest.otlp.span import Span
from ingest.otlp.values import number

EPOCH = datetime(1970, 1, 1)
NAME, SCORE, LABEL = "gen_ai.evaluation.name", "gen_ai.evaluation.score.value", "gen_ai.evaluation.score.label"
KINDS = ("human", "llm", "code")


class EvaluationKeys(msgspec.Struct, frozen=True):
    """Which attributes say who judged and how the sample was drawn, in order of precedence."""

    evaluator_kind: tuple[str, ...] = ("evaluation.evaluator_kind", "annotator_kind")
    evaluator_version: tuple[str, ...] = ("evaluation.evaluator_version",)
    sampling_probability: tuple[str, ...] = ("evaluation.sampling_probability",)


STANDARD_KEYS = EvaluationKeys()


def evaluations(span: Span, keys: EvaluationKeys = STANDARD_KEYS) -> list[dict[str, Any]]:
    """One row per evaluation: those a span tells as events, and the one that a span of its own is."""
    found: list[dict[str, Any]] = []
    for _, at_us, attributes in span.events:
        if NAME in attributes:
            own_id = evaluation_id(span.trace_id, span.span_id, attributes, at_us)
            same = sum(row["evaluation_id"].startswith(own_id) for row in found)
            own_id = f"{own_id}-{same}" if same else own_id
            found.append(evaluation(own_id, attributes, at_us, span.trace_id, span.span_id, span.scope_version, keys))
    if NAME in span.attributes:
        judged, own_id = span.parent_span_id or span.span_id, f"{span.trace_id}-{span.span_id}"
        found.append(evaluation(own_id, span.attributes, span.ended_us, span.trace_id, judged, span.scope_version, keys))
    return found


def evaluation_id(trace_id: str | None, span_id: str | None, attributes: Mapping[str, Any], at_us: int) -> str:
    """The id of an evaluation that has none: the same for the span event and the log record that tell of it."""
    judged = [trace_id, span_id] if span_id else [trace_id, attributes.get("gen_ai.response.id")]
    return hashlib.sha256(msgspec.json.encode([*judged, attributes[NAME], at_us])).hexdigest()[:32]


def evaluation(
    own_id: str,
    attributes: Mapping[str, Any],
    at_us: int,
    trace_id: str | None,
    span_id: str | None,
    scope_version: str,
    keys: EvaluationKeys = STANDARD_KEYS,
) -> dict[str, Any]:
    """One row; also for the log record of the same name, whose attributes are the same."""
    kind = str(_first(attributes, keys.evaluator_kind) or "").lower()
    probability = number(_first(attributes, keys.sampling_probability))
    score = attributes.get(SCORE)
    return {
        "evaluation_id": attributes.get("evaluation.id") or own_id,
        "evaluated_at": EPOCH + timedelta(microseconds=at_us),
        "name": attributes[NAME],
        "evaluator_kind": kind if kind in KINDS else "llm",
        "evaluator_version": _first(attributes, keys.evaluator_version) or scope_version or None,
        "score": number(score),
        "label": attributes.get(LABEL),
        "is_bad": None,
        "sampling_probability": probability if probability is not None and 0 < probability <= 1 else None,
        "stratum": attributes.get("evaluation.stratum"),
        "trace_id": trace_id,
        "span_id": span_id,
        "response_id": attributes.get("gen_ai.response.id"),
        "dataset": attributes.get("evaluation.dataset"),
        "error": attributes.get("error.type"),
    }


def write(cursor: duckdb.DuckDBPyConnection, rows: Iterable[Mapping[str, Any]], load_id: int) -> int:
    """Write evaluations inside the caller's transaction; the number of those that are new or say more than before.

    Of several versions of one evaluation the later, then the more complete, then the greater content stays, so that
    neither the order nor a repetition changes the table.
    """
    versions: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        versions[row["evaluation_id"]].append({**row, "load_id": load_id})
    if not versions:
        return 0
    wanted = {"ids": list(versions)}
    stored = {
        row["evaluation_id"]: row
        for row in cursor.sql("select * from evaluations e where list_contains($ids, e.evaluation_id)", params=wanted).pl().to_dicts()
    }
    changed = []
    for own_id, found in versions.items():
        known = stored.get(own_id)
        best = max([known, *found] if known else found, key=_rank)
        if known is None or _rank(best) > _rank(known):
            changed.append({**best, "load_id": known["load_id"] if known else load_id})
    if changed:
        replaced = {"ids": [row["evaluation_id"] for row in changed]}
        cursor.execute("delete from evaluations where list_contains($ids, evaluation_id)", replaced)
        cursor.register("judged", pl.DataFrame(changed, infer_schema_length=None))
        cursor.execute("insert into evaluations by name select * from judged")
        cursor.unregister("judged")
    return len(changed)


def _rank(row: Mapping[str, Any]) -> tuple[datetime, int, str]:
    said = {name: value for name, value in row.items() if value is not None and name != "load_id"}
    return row["evaluated_at"], len(said), repr(sorted(said.items()))


def retrievals(span: Span) -> list[dict[str, Any]]:
    """One row per retrieved document, in rank order; scores compare only within one index and embedding model."""
    key = next((name for name in RETRIEVED if f"{name}.ids" in span.attributes), None)
    if key is None:
        return []
    ids = span.attributes[f"{key}.ids"]
    scores = span.attributes.get(f"{key}.scores") or [None] * len(ids)
    at = EPOCH + timedelta(microseconds=span.started_us)
    return [
        {
            "trace_id": span.trace_id,
            "span_id": span.span_id,
            "retrieved_at": at,
            "rank": rank,
            "document_id": document_id or None,
            "score": score,
        }
        for rank, (document_id, score) in enumerate(zip(ids, scores, strict=True), 1)
    ]


def _first(attributes: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((attributes[name] for name in names if name in attributes), None)


# A reranker's result is what the program went on with, so it comes before what was retrieved.
RETRIEVED = ("reranker.output_documents", "gen_ai.retrieval.documents", "retrieval.documents", "langwatch.rag.contexts")
