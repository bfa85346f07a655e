"""FireHydrant incidents: every step is a milestone with the time at which it occurred."""

from ingest.governance.incidents import Document, Incident, objects, set_aside, texts, tool


def is_incident(record: Document) -> bool:
    return {"milestones", "current_milestone", "created_at"} <= record.keys()


def read(record: Document) -> Incident:
    reached = {str(step.get("type")): step.get("occurred_at") for step in objects(record, "milestones")}
    labels = record.get("labels")
    services = (str(service.get("name")) for service in objects(record, "services"))
    return Incident(
        incident_id=record.get("id"),
        title=record.get("name"),
        started_at=reached.get("started") or record.get("started_at") or record["created_at"],
        detected_at=reached.get("detected"),
        acknowledged_at=reached.get("acknowledged"),
        mitigated_at=reached.get("mitigated"),
        resolved_at=reached.get("resolved"),
        status=record["current_milestone"],
        severity=record.get("severity") or record.get("priority"),
        services=tuple(services),
        # Labels first: they say yes or no where a tag only names a word.
        tags=(*(f"{key}:{value}" for key, value in (labels if isinstance(labels, dict) else {}).items()), *texts(record, "tag_list")),
        set_aside="cancelled" if record.get("discarded_at") else set_aside(record.get("severity"), record["current_milestone"]),
        url=record.get("incident_url"),
    )


COLLECTORS = [tool("firehydrant", "FireHydrant incidents (API v1)", is_incident, read)]
