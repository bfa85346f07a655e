"""What the evaluations of the sample really stand for: true rates beside what the judge flagged and people labelled."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sample_data.calls import Request
from sample_data.company import MONTHS
from sample_data.evaluations import (
    JUDGE_CHANGED_ON,
    JUDGED,
    SCREENED,
    Evaluation,
    answers,
    evaluations,
    judged_at,
    searches,
)


def quality(requests: Sequence[Request]) -> dict[str, Any]:
    """By month in which the judge worked."""
    found = evaluations(requests)
    return {
        "rows": len(found),
        "judge_changed_on": JUDGE_CHANGED_ON.isoformat(),
        "judged_systems": sorted(JUDGED),
        "screened_system": SCREENED,
        "months": {month: _month(month, requests, found) for month in MONTHS},
    }


def _month(month: str, requests: Sequence[Request], found: Sequence[Evaluation]) -> dict[str, Any]:
    return {
        "unsupported_claims": _claims(month, requests, found),
        "retrieval": _retrieval(month, requests, found),
        "safety": _safety(month, found),
    }


def _claims(month: str, requests: Sequence[Request], found: Sequence[Evaluation]) -> dict[str, Any]:
    """Only the newest version of the judge counts in a month; `true_rate` is that of all answers of the judged systems."""
    rows = [row for row in found if row.name == "unsupported_claim" and _in(month, row.at)]
    judged = [row for row in rows if row.kind == "llm"]
    newest = max(row.version for row in judged)
    verdicts = {row.response_id: row for row in judged if row.version == newest and not row.error}
    labels = [row for row in rows if row.kind == "human" and row.response_id in verdicts]
    given = [answer for system in JUDGED for answer in answers(requests, system) if _in(month, judged_at(answer.answered_on))]
    return {
        "judge_version": newest,
        "judged": len(verdicts),
        "flagged": sum((row.score or 0.0) >= 0.5 for row in verdicts.values()),
        "labelled": len(labels),
        "labelled_unsupported": sum(row.label == "unsupported" for row in labels),
        "evaluator_errors": sum(bool(row.error) for row in judged if row.version == newest),
        "earlier_versions": sum(row.version != newest for row in judged),
        "true_rate": sum(answer.is_unsupported for answer in given) / len(given),
        "true_rate_by_system": {
            system: sum(answer.is_unsupported for answer in own) / len(own)
            for system in JUDGED
            if (own := [answer for answer in given if answer.system_id == system])
        },
    }


def _retrieval(month: str, requests: Sequence[Request], found: Sequence[Evaluation]) -> dict[str, Any]:
    every = [search for search in searches(requests) if f"{search.searched_on:%Y-%m}" == month]
    return {
        "judged": sum(row.name == "retrieval_relevance" and _in(month, row.at) for row in found),
        "retrievals": len(every),
        "empty": sum(search.relevant is None for search in every),
        "true_precision": sum(search.relevant or 0.0 for search in every) / len(every),
    }


def _safety(month: str, found: Sequence[Evaluation]) -> dict[str, Any]:
    """A flagged answer counts until a person clears it; reviews of the last evening come with the next month."""
    rows = [row for row in found if row.name == "personal_data" and _in(month, row.at)]
    flagged = {row.response_id for row in rows if row.kind == "code" and row.label == "leak"}
    reviews = Counter(row.label for row in rows if row.kind == "human" and row.response_id in flagged)
    screened = sum(row.kind == "code" for row in rows)
    violations = len(flagged) - reviews["none"]
    return {
        "screened": screened,
        "flagged": len(flagged),
        "cleared": reviews["none"],
        "violations": violations,
        "value": violations / screened,
    }


def _in(month: str, at: datetime) -> bool:
    return f"{at:%Y-%m}" == month
