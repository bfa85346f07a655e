"""Opsgenie incidents: their impact begins and ends; when they were resolved is told only by their last update."""

from ingest.governance.incidents import WORDS, Document, Incident, path, set_aside, texts, tool


def is_incident(record: Document) -> bool:
    return {"tinyId", "message", "createdAt", "impactedServices"} <= record.keys()


def read(record: Document) -> Incident:
    own = record.get("extraProperties")
    return Incident(
        incident_id=record.get("id"),
        title=record["message"],
        started_at=record.get("impactStartDate") or record["createdAt"],
        detected_at=record["createdAt"],
        mitigated_at=record.get("impactEndDate"),
        resolved_at=record.get("updatedAt") if record.get("status") in WORDS.statuses["resolved"] else None,
        updated_at=record.get("updatedAt"),
        status=record.get("status"),
        severity=record.get("priority"),
        services=texts(record, "impactedServices"),
        tags=(*texts(record, "tags"), *(f"{key}:{value}" for key, value in (own if isinstance(own, dict) else {}).items())),
        set_aside=set_aside(record.get("status")),
        url=path(record, "links", "web"),
    )


COLLECTORS = [tool("opsgenie", "Opsgenie incidents (REST v1)", is_incident, read)]
