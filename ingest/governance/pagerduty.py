"""PagerDuty incidents of REST version 2, with their log entries and notes when exported."""

from collections.abc import Iterator

from ingest.governance.incidents import Document, Incident, first_time, objects, path, tool


def is_incident(record: Document) -> bool:
    return {"incident_number", "service", "status", "created_at"} <= record.keys()


def read(record: Document) -> Incident:
    fields = objects(record, "custom_fields")
    native = next((str(f["value"]) for f in fields if "mitigat" in str(f.get("name")).lower() and f.get("value")), None)
    is_resolved = record["status"] == "resolved"
    return Incident(
        incident_id=record.get("id"),
        title=record.get("title"),
        started_at=record["created_at"],
        detected_at=record["created_at"],
        acknowledged_at=first_time(_acknowledged(record)),
        mitigated_at=native or first_time(_noted(record)),
        mitigated_source="native" if native else "status",
        resolved_at=record.get("resolved_at") or (record.get("last_status_change_at") if is_resolved else None),
        updated_at=record.get("updated_at") or record.get("last_status_change_at"),
        status=record["status"],
        severity=path(record, "priority", "summary") or path(record, "priority", "name") or record.get("urgency"),
        services=tuple(filter(None, (path(record, "service", "summary"),))),
        tags=tuple(f"{field.get('name')}:{field['value']}" for field in fields if field.get("value")),
        parent_incident=_merged_into(record),
        url=record.get("html_url"),
    )


def _acknowledged(record: Document) -> Iterator[str]:
    """The list of acknowledgements is empty again after resolution: log entries keep them."""
    for entry in objects(record, "log_entries"):
        if str(entry.get("type")).startswith("acknowledge_log_entry"):
            yield str(entry.get("created_at"))
    for acknowledgement in objects(record, "acknowledgements"):
        yield str(acknowledgement.get("at"))


def _noted(record: Document) -> Iterator[str]:
    """When a note began with the word that it was mitigated."""
    notes = [(note.get("content"), note) for note in objects(record, "notes")]
    notes += [(path(entry, "channel", "summary"), entry) for entry in objects(record, "log_entries")]
    for text, note in notes:
        if str(text).strip().lower().startswith("mitigated") and note.get("created_at"):
            yield str(note["created_at"])


def _merged_into(record: Document) -> str | None:
    is_merged = path(record, "resolve_reason", "type") == "merge_resolve_reason"
    return path(record, "resolve_reason", "incident", "id") if is_merged else None


COLLECTORS = [tool("pagerduty", "PagerDuty incidents (REST v2, with log_entries)", is_incident, read)]
