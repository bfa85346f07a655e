"""The error budgets of the sample company at the end of each period, counted from what really happened."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sample_data.calls import Call, Request, moment
from sample_data.evaluations import evaluations
from sample_data.governance import valid_rows
from sample_data.plans import OBJECTIVES

ENDS = {"2026-07": "2026-08-01", "2026-08": "2026-09-01", "2026-09": "2026-10-01"}


def error_budgets(requests: Sequence[Request]) -> dict[str, Any]:
    """By month and objective: valid and bad events of its window, and the share of the budget that they used."""
    return {
        month: {row["objective_id"]: _budget(row, requests, end) for row in valid_rows(OBJECTIVES, ("objective_id",), end)}
        for month, end in ENDS.items()
    }


def _budget(row: Mapping[str, str], requests: Sequence[Request], end: str) -> dict[str, Any]:
    closes = datetime.fromisoformat(end).replace(tzinfo=UTC)
    opens = closes - timedelta(days=int(row["window_days"]))
    count = _judged if row["kind"] == "quality" else _called
    verdicts = count(row, requests, opens, closes)
    allowed = 1 - float(row["objective"])
    return {"valid": len(verdicts), "bad": sum(verdicts), "used": sum(verdicts) / (len(verdicts) * allowed)}


def _called(row: Mapping[str, str], requests: Sequence[Request], opens: datetime, closes: datetime) -> list[bool]:
    """Traced calls of production; only an answer has a latency."""
    calls: list[Call] = [
        call
        for request in requests
        if request.system_id == row["system_id"] and request.traced and request.environment == "production"
        for call in request.calls
        if opens <= moment(call.started_us) < closes
    ]
    if row["kind"] == "errors":
        return [call.failure is not None for call in calls]
    return [call.duration_us > 1000 * float(row["threshold_ms"]) for call in calls if call.failure is None]


def _judged(row: Mapping[str, str], requests: Sequence[Request], opens: datetime, closes: datetime) -> list[bool]:
    """Answers of the system that the newest version of the judge could judge."""
    own = {call.response_id for request in requests if request.system_id == row["system_id"] for call in request.calls}
    found = [
        one
        for one in evaluations(requests)
        if one.name == "unsupported_claim" and one.kind == "llm" and one.response_id in own and opens <= one.at < closes
    ]
    newest = max(one.version for one in found)
    return [(one.score or 0.0) >= 0.5 for one in found if one.version == newest and not one.error]
