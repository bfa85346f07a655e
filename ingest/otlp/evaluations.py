"""Evaluations and retrieved documents that spans carry: judgements and ranks beside the calls."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

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
    own_id, version = f"{span.trace_id}-{span.span_id}", span.scope_version
    found = [evaluation(f"{own_id}-{place}", attributes, at_us, span.trace_id, span.span_id, version, keys)
             for place, (_, at_us, attributes) in enumerate(span.events) if NAME in attributes]
    if NAME in span.attributes:
        judged = span.parent_span_id or span.span_id
        found.append(evaluation(own_id, span.attributes, span.ended_us, span.trace_id, judged, version, keys))
    return found


def evaluation(own_id: str, attributes: Mapping[str, Any], at_us: int, trace_id: str | None, span_id: str | None,
               scope_version: str, keys: EvaluationKeys = STANDARD_KEYS) -> dict[str, Any]:
    """One row; also for the log record of the same name, whose attributes are the same."""
    kind = str(_first(attributes, keys.evaluator_kind) or "").lower()
    probability = number(_first(attributes, keys.sampling_probability))
    score = attributes.get(SCORE)
    return {
        "evaluation_id": attributes.get("evaluation.id") or own_id,
        "evaluated_at": EPOCH + timedelta(microseconds=at_us),
        "name": attributes[NAME], "evaluator_kind": kind if kind in KINDS else "llm",
        "evaluator_version": _first(attributes, keys.evaluator_version) or scope_version or None,
        "score": number(score), "label": attributes.get(LABEL), "is_bad": None,
        "sampling_probability": probability if probability is not None and 0 < probability <= 1 else None,
        "stratum": attributes.get("evaluation.stratum"), "trace_id": trace_id, "span_id": span_id,
        "response_id": attributes.get("gen_ai.response.id"), "dataset": attributes.get("evaluation.dataset"),
        "error": attributes.get("error.type")}


def retrievals(span: Span) -> list[dict[str, Any]]:
    """One row per retrieved document, in rank order; scores compare only within one index and embedding model."""
    key = next((name for name in RETRIEVED if f"{name}.ids" in span.attributes), None)
    if key is None:
        return []
    ids = span.attributes[f"{key}.ids"]
    scores = span.attributes.get(f"{key}.scores") or [None] * len(ids)
    at = EPOCH + timedelta(microseconds=span.started_us)
    return [{"trace_id": span.trace_id, "span_id": span.span_id, "retrieved_at": at, "rank": rank,
             "document_id": document_id or None, "score": score}
            for rank, (document_id, score) in enumerate(zip(ids, scores, strict=True), 1)]


def _first(attributes: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((attributes[name] for name in names if name in attributes), None)


# A reranker's result is what the program went on with, so it comes before what was retrieved.
RETRIEVED = ("reranker.output_documents", "gen_ai.retrieval.documents", "retrieval.documents", "langwatch.rag.contexts")
