"""GitHub issues as incidents: REST or `gh issue list --json`, filtered to incidents where they are exported."""

import re
from collections.abc import Iterator
from typing import Any

from ingest.governance.incidents import WORDS, Document, Incident, first_time, objects, path, set_aside, tagged, tool

ACKNOWLEDGING = ("assigned", "commented")
LEVEL = re.compile(r"^(?:severity|sev|priority|p|s)[ _-]?[1-5]$", re.IGNORECASE)
REPOSITORY = re.compile(r"(?:github\.com|/repos)/([^/]+/[^/]+)(?:/(?:issues|pull)/\d+)?$")


def is_issue(record: Document) -> bool:
    return {"number", "title", "state", "labels"} <= record.keys() and _repository(record) is not None


def read(record: Document) -> Incident:
    created_at, closed_at = _either(record, "created_at", "createdAt"), _either(record, "closed_at", "closedAt")
    labels = tuple(str(label.get("name")) for label in objects(record, "labels"))
    repository = _repository(record)
    events = [*objects(record, "timeline"), *objects(record, "events")]
    is_pull_request = bool(record.get("pull_request"))
    return Incident(
        incident_id=f"{repository}#{record['number']}",
        title=record["title"],
        started_at=created_at,
        detected_at=created_at,
        acknowledged_at=first_time(_acknowledged(record, events)),
        mitigated_at=first_time(event.get("created_at") for event in events if _is_mitigation(event)),
        mitigated_source="status",
        resolved_at=closed_at,
        updated_at=_either(record, "updated_at", "updatedAt"),
        status=record["state"],
        severity=next(iter((*tagged(labels, "severity"), *filter(LEVEL.match, labels))), None),
        services=(*tagged(labels, "service"), *filter(None, (repository,))),
        tags=labels,
        set_aside="pull_request" if is_pull_request else set_aside(_either(record, "state_reason", "stateReason")),
        url=_either(record, "html_url", "url"),
    )


def _acknowledged(record: Document, events: list[Document]) -> Iterator[Any]:
    yield from (event.get("created_at") for event in events if event.get("event") in ACKNOWLEDGING)
    yield from (_either(comment, "created_at", "createdAt") for comment in objects(record, "comments"))


def _is_mitigation(event: Document) -> bool:
    return event.get("event") == "labeled" and str(path(event, "label", "name")).lower() in WORDS.statuses["mitigated"]


def _repository(record: Document) -> str | None:
    found = (REPOSITORY.search(str(record.get(name))) for name in ("repository_url", "html_url", "url"))
    return next((match[1] for match in found if match), None)


def _either(record: Document, *names: str) -> Any:
    return next((record[name] for name in names if record.get(name)), None)


COLLECTORS = [tool("github_issues", "GitHub issues (REST, or gh issue list --json)", is_issue, read)]
