"""incident.io incidents: their times have names that each company may change, and their custom fields name services."""

from collections.abc import Iterator
from typing import Any

from ingest.governance.incidents import WORDS, Document, Incident, objects, path, set_aside, tagged, tool


def is_incident(record: Document) -> bool:
    return {"reference", "created_at"} <= record.keys() and not record.keys().isdisjoint({"incident_timestamp_values", "timestamps"})


def read(record: Document) -> Incident:
    times = dict(_times(record))
    said = {what: next((times[name] for name in names if name in times), None) for what, names in WORDS.timestamps.items()}
    fields = tuple(_fields(record))
    category = path(record, "incident_status", "category")
    return Incident(
        incident_id=record.get("id"),
        title=record.get("name"),
        started_at=said["started_at"] or record["created_at"],
        detected_at=said["detected_at"] or record["created_at"],
        acknowledged_at=said["acknowledged_at"],
        mitigated_at=said["mitigated_at"],
        resolved_at=said["resolved_at"],
        updated_at=record.get("updated_at"),
        status=path(record, "incident_status", "name") or record.get("status"),
        severity=path(record, "severity", "name"),
        services=tuple(tagged(fields, "service")),
        tags=fields,
        set_aside=set_aside(record.get("mode"), category, record.get("status")),
        url=record.get("permalink"),
    )


def _times(record: Document) -> Iterator[tuple[str, str]]:
    for entry in objects(record, "incident_timestamp_values"):
        if time := path(entry, "value", "value"):
            yield str(path(entry, "incident_timestamp", "name")).lower(), time
    for entry in objects(record, "timestamps"):
        if time := entry.get("last_occurred_at"):
            yield str(entry.get("name")).lower(), time


def _fields(record: Document) -> Iterator[str]:
    """Custom fields that are filled in, as `name: value`."""
    for entry in objects(record, "custom_field_entries"):
        for value in objects(entry, "values"):
            if text := _value(value):
                yield f"{path(entry, 'custom_field', 'name')}:{text}"


def _value(value: Document) -> Any:
    named = path(value, "value_option", "value") or path(value, "value_catalog_entry", "name")
    return named or next((value[name] for name in ("value_text", "value_link", "value_numeric") if value.get(name)), None)


COLLECTORS = [tool("incident_io", "incident.io incidents (API v1 or v2)", is_incident, read)]
