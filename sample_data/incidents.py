"""The quarter's incidents, and the two KPIs that follow from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

HEADER = (
    "incident_id",
    "title",
    "severity",
    "system_id",
    "started_at",
    "detected_at",
    "acknowledged_at",
    "mitigated_at",
    "resolved_at",
    "status",
    "ai_attributed",
    "ai_cause",
    "parent_incident",
    "mitigated_source",
    "url",
)


@dataclass(frozen=True)
class Incident:
    incident_id: str
    title: str
    severity: int
    system_id: str
    started: str
    mitigated_after_h: float | None  # None: no mitigation time is known
    resolved_after_h: float | None  # None: still open
    ai_attributed: str
    ai_cause: str
    parent: str = ""

    @property
    def started_at(self) -> datetime:
        return datetime.fromisoformat(self.started).replace(tzinfo=UTC)

    def row(self) -> tuple[Any, ...]:
        at = self.started_at
        mitigated = None if self.mitigated_after_h is None else at + timedelta(hours=self.mitigated_after_h)
        resolved = None if self.resolved_after_h is None else at + timedelta(hours=self.resolved_after_h)
        source = "native" if mitigated else "resolved_proxy" if resolved else ""
        return (
            self.incident_id,
            self.title,
            self.severity,
            self.system_id,
            _text(at),
            _text(at + timedelta(minutes=6)),
            _text(at + timedelta(minutes=15)),
            _text(mitigated),
            _text(resolved),
            "resolved" if resolved else "open",
            self.ai_attributed,
            self.ai_cause,
            self.parent,
            source,
            "",
        )


INCIDENTS = (
    Incident("INC-031", "Provider latency slows answers", 3, "contact-centre-assist", "2026-07-02T09:05", 1.5, 2.5, "yes", "provider"),
    Incident("INC-032", "Summaries omit the date of loss", 2, "claims-copilot", "2026-07-08T06:40", 3.5, 26, "yes", "model"),
    Incident("INC-033", "Search answers from an outdated index", 3, "policy-search", "2026-07-14T13:15", None, 5.75, "yes", "retrieval"),
    Incident("INC-034", "Drafts in the wrong tone", 4, "marketing-drafts", "2026-07-20T11:00", 1.25, 3, "yes", "prompt"),
    Incident("INC-035", "Scanner share offline", 3, "document-intake", "2026-07-22T08:00", 1, 1.5, "no", ""),
    Incident("INC-036", "Notes built on a wrong risk table", 2, "underwriting-notes", "2026-07-28T07:30", 8, 30, "yes", "data"),
    Incident("INC-037", "CRM look-up returns the wrong customer", 3, "contact-centre-assist", "2026-08-04T10:00", 2.5, 5, "yes", "tool"),
    Incident("INC-038", "Answers quote an internal phone list", 2, "contact-centre-assist", "2026-08-13T12:00", 4, 28, "yes", "safety"),
    Incident("INC-039", "Bedrock throttles document intake", 2, "document-intake", "2026-08-18T08:10", 3.5, 6, "yes", "provider"),
    Incident("INC-040", "Claims wait for documents", 3, "claims-copilot", "2026-08-18T08:45", 3, 5.5, "yes", "provider", "INC-039"),
    Incident("INC-041", "Search finds nothing for brokers", 4, "policy-search", "2026-08-21T09:30", 1, 2, "yes", "retrieval"),
    Incident("INC-042", "Claim totals differ from the ledger", 3, "claims-copilot", "2026-08-25T12:00", 2, 20, "unknown", ""),
    Incident("INC-043", "Prompt v7 leaves out exclusions", 2, "claims-copilot", "2026-08-27T07:00", 6, 31, "yes", "prompt"),
    Incident("INC-044", "Drafts repeat a withdrawn offer", 4, "marketing-drafts", "2026-09-02T08:00", 1, 4, "yes", "prompt"),
    Incident("INC-045", "CRM time-outs make the assistant loop", 2, "contact-centre-assist", "2026-09-09T09:30", 3, 7, "yes", "tool"),
    Incident("INC-046", "Summaries twice as long since prompt v8", 3, "claims-copilot", "2026-09-14T10:00", 2, 27, "yes", "prompt"),
    Incident("INC-047", "Handwritten dates misread", 3, "document-intake", "2026-09-17T07:15", 2.25, 9, "yes", "model"),
    Incident("INC-048", "Notes without occupation class", 3, "underwriting-notes", "2026-09-22T13:00", 4.5, 8, "yes", "data"),
    Incident("INC-049", "Search ranks withdrawn tariffs first", 3, "policy-search", "2026-09-24T08:00", 5.25, 30, "yes", "retrieval"),
    Incident("INC-050", "Summaries contradict the expert report", 2, "claims-copilot", "2026-09-29T09:00", None, None, "yes", "model"),
)


def rates(months: Sequence[str], production_requests: int) -> dict[str, Any]:
    """AI incidents per million production requests; children belong to their parent."""
    count = {word: sum(1 for incident in _started(months) if incident.ai_attributed == word) for word in ("yes", "unknown")}
    return {
        "value": count["yes"] * 1_000_000 / production_requests,
        "numerator": count["yes"],
        "denominator": production_requests,
        "with_unknown_attribution": (count["yes"] + count["unknown"]) * 1_000_000 / production_requests,
    }


def time_to_mitigate(months: Sequence[str], as_of: datetime) -> dict[str, Any]:
    """Median hours: Kaplan-Meier when something is open and there are five or more, else the plain median."""
    events, censored, proxies = [], [], 0
    for incident in _started(months):
        if incident.ai_attributed != "yes":
            continue
        after = incident.resolved_after_h if incident.mitigated_after_h is None else incident.mitigated_after_h
        open_h = (as_of - incident.started_at) / timedelta(hours=1)
        if after is None or after > open_h:
            censored.append(open_h)
        else:
            events.append(float(after))
            proxies += incident.mitigated_after_h is None
    kaplan_meier = bool(censored) and len(events) + len(censored) >= 5
    return {
        "value": kaplan_meier_median(events, censored) if kaplan_meier else plain_median(events),
        "unit": "hours",
        "method": "Kaplan-Meier" if kaplan_meier else "median",
        "n": len(events) + len(censored),
        "durations_h": sorted(events),
        "censored_h": sorted(censored),
        "resolved_proxies": proxies,
    }


def _started(months: Sequence[str]) -> list[Incident]:
    return [incident for incident in INCIDENTS if incident.started[:7] in months and not incident.parent]


def kaplan_meier_median(events: Sequence[float], censored: Sequence[float]) -> float | None:
    """The first time at which at most half are still open; None when that never happens."""
    alive = Fraction(1)
    for at in sorted(set(events)):
        at_risk = sum(1 for other in (*events, *censored) if other >= at)
        alive *= 1 - Fraction(events.count(at), at_risk)
        if alive <= Fraction(1, 2):
            return at
    return None


def plain_median(values: Sequence[float]) -> float | None:
    ordered = sorted(values)
    middle = len(ordered) // 2
    if not ordered:
        return None
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _text(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"
