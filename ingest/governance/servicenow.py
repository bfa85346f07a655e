"""ServiceNow incidents: pages of the Table API, list exports, and event logs whose last row is the final state."""

import re
from typing import Any

from ingest.governance.incidents import WORDS, Document, Incident, set_aside, tool

DAY_FIRST = re.compile(r"^(\d{2})-(\d{2})-(\d{4})(.*)$")
NUMBERED_STATES = {"2": "in progress", "8": "cancelled"}


def is_incident(record: Document) -> bool:
    return {"number", "opened_at"} <= record.keys() and not record.keys().isdisjoint({"state", "incident_state"})


def read(record: Document) -> Incident:
    """Times come in UTC without saying so; a reference is an object, or an empty text."""
    state = (_value(record, "incident_state") or _value(record, "state") or "").lower()
    opened_at, logged_at = _time(record, "opened_at"), _time(record, "sys_updated_at")
    is_active = NUMBERED_STATES.get(state, state) in WORDS.statuses["acknowledged"]
    own_times = (_time(record, name) for name in sorted(record) if name.startswith("u_") and "mitigat" in name)
    return Incident(
        incident_id=_value(record, "number"),
        title=_value(record, "short_description"),
        started_at=opened_at,
        detected_at=opened_at,
        # Only a log tells when an incident became active: elsewhere the last change of the row may be any other.
        acknowledged_at=_time(record, "work_start") or (logged_at if is_active else None),
        mitigated_at=next(filter(None, own_times), None),
        resolved_at=(_time(record, "resolved_at") or _time(record, "closed_at")) if state in WORDS.statuses["resolved"] else None,
        updated_at=logged_at or _time(record, "sys_updated_on"),
        status=_shown(record, "incident_state") or _shown(record, "state"),
        severity=_shown(record, "priority") or _shown(record, "severity"),
        services=tuple(filter(None, (_shown(record, "business_service"), _shown(record, "cmdb_ci")))),
        tags=tuple(filter(None, (_shown(record, "category"), _shown(record, "subcategory")))),
        parent_incident=_shown(record, "parent_incident"),
        set_aside=set_aside(NUMBERED_STATES.get(state, state)),
    )


def _value(record: Document, name: str) -> str | None:
    return _known(record.get(name), "value", "display_value")


def _shown(record: Document, name: str) -> str | None:
    """What a person sees of a reference or a choice, else its key."""
    return _known(record.get(name), "display_value", "value")


def _known(field: Any, *names: str) -> str | None:
    if isinstance(field, dict):
        field = next((field[name] for name in names if field.get(name)), None)
    return None if field in ("", "?", None) else str(field)


def _time(record: Document, name: str) -> str | None:
    text = _value(record, name)
    return DAY_FIRST.sub(r"\3-\2-\1\4", text) if text else None


COLLECTORS = [tool("servicenow", "ServiceNow incidents (Table API, list export or event log)", is_incident, read, of_csv=True)]
