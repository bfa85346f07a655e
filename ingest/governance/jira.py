"""Jira and Jira Service Management issues of REST version 2 and 3, with their change log and SLA fields when exported."""

from collections.abc import Iterator, Mapping

from ingest.governance.incidents import WORDS, Document, Incident, first_time, objects, path, set_aside, texts, tool

FIRST_RESPONSE, RESOLUTION = "time to first response", "time to resolution"


def is_issue(record: Document) -> bool:
    return "key" in record and isinstance(path(record, "fields", "created"), str)


def read(record: Document) -> Incident:
    fields = record["fields"]
    acknowledged = _became(record, "acknowledged")
    status, resolution = path(fields, "status", "name"), path(fields, "resolution", "name")
    return Incident(
        incident_id=record["key"],
        title=fields.get("summary"),
        started_at=fields["created"],
        detected_at=fields["created"],
        acknowledged_at=first_time(acknowledged) or first_time(_sla_stops(fields, FIRST_RESPONSE)),
        mitigated_at=first_time(_became(record, "mitigated")),
        mitigated_source="status",
        resolved_at=fields.get("resolutiondate") or first_time(_sla_stops(fields, RESOLUTION)),
        updated_at=fields.get("updated"),
        status=status,
        severity=path(fields, "priority", "name"),
        services=tuple(str(component.get("name")) for component in objects(fields, "components")),
        tags=texts(fields, "labels"),
        parent_incident=_parent(fields),
        set_aside=set_aside(status, resolution),
        url=_url(record),
    )


def _became(record: Document, what: str) -> Iterator[str]:
    """When the change log says that the issue went into a status of a kind."""
    for history in objects(record, "changelog", "histories"):
        for item in objects(history, "items"):
            if item.get("field") == "status" and str(item.get("toString")).lower() in WORDS.statuses[what]:
                yield str(history.get("created"))


def _sla_stops(fields: Document, name: str) -> Iterator[str]:
    """When a clock of the service desk stopped: its field has a number for a name, and its own name inside."""
    for sla in fields.values():
        if isinstance(sla, Mapping) and str(sla.get("name")).lower() == name:
            for cycle in objects(sla, "completedCycles"):
                if isinstance(stop := path(cycle, "stopTime", "iso8601"), str):
                    yield stop


def _parent(fields: Document) -> str | None:
    """The issue that this one is a part of; an epic collects issues and is no incident itself."""
    level = path(fields, "parent", "fields", "issuetype", "hierarchyLevel")
    is_epic = str(path(fields, "parent", "fields", "issuetype", "name")).lower() == "epic"
    return None if is_epic or str(level or "0") > "0" else path(fields, "parent", "key")


def _url(record: Document) -> str | None:
    site, _, rest = str(record.get("self")).partition("/rest/")
    return f"{site}/browse/{record['key']}" if rest and "api.atlassian.com" not in site else None


COLLECTORS = [tool("jira", "Jira issues (search or issue resource; JSM with SLA fields)", is_issue, read)]
