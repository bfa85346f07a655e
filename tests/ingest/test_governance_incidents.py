"""Incidents of seven tools, each from its own export into one table, and what is set aside with a reason."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.audit import Outcome
from ingest.collector import collectors
from ingest.governance import custom_fields
from ingest.governance.custom_fields import CustomFields
from ingest.governance.incidents import WORDS
from ingest.load import Loader
from ingest.store import Store

CALLED = "select * from incidents where incident_id = $id"


def load(loader: Loader, folder: Path, document: Any, name: str = "export.json") -> Outcome:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    [outcome] = loader.load([(path, path.name)])
    return outcome


def load_files(loader: Loader, *files: Path) -> list[Outcome]:
    return loader.load([(path, path.name) for path in files])


def row(store: Store, incident_id: str) -> dict[str, Any]:
    return store.query(CALLED, {"id": incident_id}).row(0, named=True)


def reasons(outcome: Outcome) -> list[tuple[int, str]]:
    return [(reject.position, reject.reason) for reject in outcome.rejects]


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


SERVICENOW = {
    "number": "INC1", "state": "7", "opened_at": "2026-10-01 08:00:00", "work_start": "2026-10-01 08:12:00",
    "resolved_at": "2026-10-01 11:00:00", "closed_at": "2026-10-06 11:00:00", "priority": "2", "severity": "3",
    "category": "ai", "subcategory": "model", "cmdb_ci": "", "business_service": {"link": "https://x", "value": "s1"},
    "parent_incident": "", "u_mitigated_at": "", "short_description": "Wrong policy", "sys_updated_on": "2026-10-06 11:00:00",
}  # fmt: skip
JIRA: dict[str, Any] = {
    "key": "OPS-1",
    "self": "https://acme.example/rest/api/2/issue/1",
    "changelog": {
        "histories": [
            {"created": "2026-10-01T11:00:00.000+0800", "items": [{"field": "status", "toString": "Monitoring"}]},
            {"created": "2026-10-01T10:30:00.000+0800", "items": [{"field": "status", "toString": "Mitigated"}]},
            {"created": "2026-10-01T10:05:00.000+0800", "items": [{"field": "status", "toString": "In Progress"}]},
            {"created": "2026-10-01T10:01:00.000+0800", "items": [{"field": "assignee", "toString": "Mitigated"}]},
        ]
    },
    "fields": {
        "summary": "Slow answers",
        "created": "2026-10-01T10:00:00.000+0800",
        "resolutiondate": "2026-10-01T12:00:00.000+0800",
        "status": {"name": "Done"},
        "priority": {"name": "Highest"},
        "components": [{"name": "chat-api"}, {"name": "gateway"}],
        "labels": ["LLM", "rag"],
    },
}
PAGERDUTY = {
    "id": "Q1", "incident_number": 7, "title": "Errors", "status": "resolved", "created_at": "2026-10-01T10:00:00Z",
    "resolved_at": None, "last_status_change_at": "2026-10-01T12:00:00Z", "urgency": "low", "priority": {"summary": "P1"},
    "service": {"summary": "chat-api"}, "acknowledgements": [], "html_url": "https://acme.example/incidents/Q1",
    "log_entries": [
        {"type": "acknowledge_log_entry", "created_at": "2026-10-01T10:09:00Z"},
        {"type": "acknowledge_log_entry", "created_at": "2026-10-01T10:04:00Z"},
        {"type": "annotate_log_entry", "created_at": "2026-10-01T11:00:00Z", "channel": {"type": "note", "summary": "Mitigated: fallback"}},
    ],
}  # fmt: skip
OPSGENIE = {
    "id": "o1", "tinyId": "3", "message": "Errors", "status": "resolved", "priority": "P2", "impactedServices": ["chat-api"],
    "tags": ["ai", "cause:provider"], "createdAt": "2026-10-01T10:05:00Z", "updatedAt": "2026-10-01T12:00:00Z",
    "impactStartDate": "2026-10-01T10:00:00Z", "impactEndDate": "2026-10-01T11:00:00Z", "links": {"web": "https://acme.example/o1"},
}  # fmt: skip
INCIDENT_IO: dict[str, Any] = {
    "id": "01H", "reference": "INC-9", "name": "Errors", "mode": "standard", "created_at": "2026-10-01T10:05:00Z",
    "severity": {"name": "Major", "rank": 1}, "incident_status": {"name": "Closed", "category": "closed"},
    "incident_timestamp_values": [
        {"incident_timestamp": {"name": name}, "value": {"value": f"2026-10-01T{time}:00Z"} if time else None}
        for name, time in [("Impact started at", "10:00"), ("Reported at", "10:05"), ("Accepted at", "10:10"),
                           ("Identified at", None), ("Fixed at", "11:00"), ("Resolved at", None), ("Closed at", "12:00")]
    ],
    "custom_field_entries": [
        {"custom_field": {"name": "Affected services"}, "values": [{"value_catalog_entry": {"name": "chat-api"}}]},
        {"custom_field": {"name": "AI related"}, "values": [{"value_option": {"value": "Yes"}}]},
        {"custom_field": {"name": "Cause"}, "values": [{"value_option": {"value": "Prompt"}}]},
    ],
}  # fmt: skip
FIREHYDRANT = {
    "id": "f1", "name": "Errors", "created_at": "2026-10-01T10:58:00Z", "started_at": "2026-10-01T10:40:00Z",
    "current_milestone": "mitigated", "severity": "SEV2", "tag_list": ["provider"], "labels": {"ai": "no"},
    "services": [{"name": "chat-api"}], "discarded_at": None,
    "milestones": [
        {"type": "started", "occurred_at": "2026-10-01T10:40:00Z"},
        {"type": "mitigated", "occurred_at": "2026-10-01T11:25:00Z"},
    ],
}  # fmt: skip
GITHUB: dict[str, Any] = {
    "number": 4, "title": "Errors", "state": "closed", "created_at": "2026-10-01T10:00:00Z", "closed_at": "2026-10-01T12:00:00Z",
    "html_url": "https://github.com/acme/chat/issues/4", "repository_url": "https://api.github.com/repos/acme/chat",
    "labels": [{"name": "incident"}, {"name": "severity: high"}, {"name": "ai"}, {"name": "service:chat-api"}], "comments": 2,
    "timeline": [
        {"event": "assigned", "created_at": "2026-10-01T10:20:00Z"},
        {"event": "commented", "created_at": "2026-10-01T10:10:00Z"},
        {"event": "labeled", "created_at": "2026-10-01T11:00:00Z", "label": {"name": "mitigated"}},
    ],
}  # fmt: skip

NAMES = ("incident_id", "severity", "started_at", "detected_at", "acknowledged_at", "mitigated_at", "mitigated_source", "resolved_at",
         "system_id", "ai_attributed", "ai_cause")  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-10-01 {text}")


EXPECTED = {
    "servicenow": ({"result": [SERVICENOW]}, ("INC1", 2, at("08:00"), at("08:00"), at("08:12"), at("11:00"), "resolved_proxy", at("11:00"),
                                              "s1", "yes", "model")),
    "jira": ({"issues": [JIRA]}, ("OPS-1", 1, at("02:00"), at("02:00"), at("02:05"), at("02:30"), "status", at("04:00"),
                                  "chat-api", "yes", "retrieval")),
    "pagerduty": ({"incidents": [PAGERDUTY]}, ("Q1", 1, at("10:00"), at("10:00"), at("10:04"), at("11:00"), "status", at("12:00"),
                                               "chat-api", None, None)),
    "opsgenie": ({"data": [OPSGENIE]}, ("o1", 2, at("10:00"), at("10:05"), None, at("11:00"), "native", at("12:00"),
                                        "chat-api", "yes", "provider")),
    "incident_io": ([INCIDENT_IO], ("01H", 2, at("10:00"), at("10:05"), at("10:10"), at("11:00"), "native", at("12:00"),
                                    "chat-api", "yes", "prompt")),
    "firehydrant": (FIREHYDRANT, ("f1", 2, at("10:40"), None, None, at("11:25"), "native", None, "chat-api", "no", "provider")),
    "github_issues": ([GITHUB], ("acme/chat#4", 2, at("10:00"), at("10:00"), at("10:10"), at("11:00"), "status", at("12:00"),
                                 "chat-api", "yes", None)),
}  # fmt: skip
SINGLE = {"servicenow": SERVICENOW, "jira": JIRA, "pagerduty": PAGERDUTY, "opsgenie": OPSGENIE, "incident_io": INCIDENT_IO,
          "firehydrant": FIREHYDRANT, "github_issues": GITHUB}  # fmt: skip


@pytest.mark.parametrize("tool", EXPECTED)
def test_an_answer_of_a_tool_becomes_an_incident_with_the_times_it_means(loader: Loader, store: Store, tmp_path: Path, tool: str) -> None:
    document, expected = EXPECTED[tool]
    outcome = load(loader, tmp_path, document)
    assert (outcome.status, outcome.collector, outcome.rows) == ("loaded", tool, 1), outcome.line()
    kept = row(store, expected[0])
    assert tuple(kept[name] for name in NAMES) == expected
    assert kept["source"] == tool


@pytest.mark.parametrize("tool", SINGLE)
@pytest.mark.parametrize("form", ["one.json", "lines.jsonl", "indented.json", "raw.csv"])
def test_every_shape_of_an_export_gives_the_same_incident(loader: Loader, store: Store, tmp_path: Path, tool: str, form: str) -> None:
    one = SINGLE[tool]
    text = {
        "one.json": json.dumps(one),
        "lines.jsonl": json.dumps(one) + "\n" + json.dumps(one) + "\n",
        "indented.json": json.dumps([one], indent=1),
        "raw.csv": as_csv([{"id": "1", "params": "{}", "data": json.dumps(one), "url": ""}]),
    }[form]
    assert load(loader, tmp_path, text, form).collector == tool
    assert tuple(row(store, EXPECTED[tool][1][0])[name] for name in NAMES) == EXPECTED[tool][1]


def test_every_tool_has_its_words_and_an_example_here() -> None:
    assert EXPECTED.keys() == WORDS.severity.keys() == SINGLE.keys()


ASIDE = [
    ("servicenow", {"state": "8"}, "cancelled: not counted as an incident"),
    ("servicenow", {"state": "Canceled"}, "cancelled: not counted as an incident"),
    ("jira", {"fields": JIRA["fields"] | {"resolution": {"name": "Duplicate"}}}, "cancelled: not counted as an incident"),
    ("incident_io", {"mode": "test"}, "a test, tutorial or exercise: not counted as an incident"),
    ("incident_io", {"mode": "tutorial"}, "a test, tutorial or exercise: not counted as an incident"),
    ("incident_io", {"incident_status": {"category": "declined"}}, "cancelled: not counted as an incident"),
    ("incident_io", {"incident_status": {"category": "merged"}}, "merged into another incident, which the export does not name"),
    ("firehydrant", {"severity": "GAMEDAY"}, "a test, tutorial or exercise: not counted as an incident"),
    ("firehydrant", {"discarded_at": "2026-10-01T12:00:00Z"}, "cancelled: not counted as an incident"),
    ("github_issues", {"pull_request": {"url": "x"}}, "a pull request: not counted as an incident"),
    ("github_issues", {"state_reason": "not_planned"}, "cancelled: not counted as an incident"),
]


@pytest.mark.parametrize(("tool", "changed", "reason"), ASIDE)
def test_what_is_no_incident_is_counted_with_its_reason_and_withdrawn_where_it_was_one(
    loader: Loader, store: Store, tmp_path: Path, tool: str, changed: dict[str, Any], reason: str
) -> None:
    load(loader, tmp_path, SINGLE[tool])
    assert store.query("select count(*) from incidents").item() == 1
    outcome = load(loader, tmp_path, SINGLE[tool] | changed)
    assert (outcome.status, outcome.rows, reasons(outcome)) == ("partial", 0, [(1, reason)])
    assert store.query("select count(*) from incidents").item() == 0
    assert store.query("select path, position, reason from rejects").rows() == [("export.json", 1, reason)]


WRONG = [
    ("servicenow", {"u_mitigated_at": "2026-10-01 07:59:59"}, "mitigated before it started"),
    ("servicenow", {"resolved_at": "2026-09-30 00:00:00"}, "resolved before it started"),
    ("servicenow", {"work_start": "2026-10-01 07:00:00"}, "acknowledged before it was detected"),
    ("servicenow", {"opened_at": ""}, "neither a start nor a detection time"),
    ("servicenow", {"opened_at": "yesterday"}, "started_at is not a time; detected_at is not a time; neither a start nor a detection time"),
    ("opsgenie", {"impactEndDate": "2026-10-01T09:00:00Z"}, "mitigated before it started"),
]


@pytest.mark.parametrize(("tool", "changed", "reason"), WRONG)
def test_an_impossible_order_of_times_rejects_its_incident_and_no_other(
    loader: Loader, tmp_path: Path, tool: str, changed: dict[str, Any], reason: str
) -> None:
    other = {"servicenow": {"number": "other"}, "opsgenie": {"id": "other"}}[tool]
    outcome = load(loader, tmp_path, {"data": [SINGLE[tool] | other, SINGLE[tool] | changed]})
    assert (outcome.status, outcome.rows, reasons(outcome)) == ("partial", 1, [(2, reason)])


@pytest.mark.parametrize(
    ("tool", "changed", "severity"),
    [
        ("servicenow", {"priority": "3 - Moderate"}, 3),
        ("servicenow", {"priority": "", "severity": "1"}, 1),
        ("servicenow", {"priority": "Planning"}, 5),
        ("pagerduty", {"priority": None}, 4),
        ("pagerduty", {"priority": {"summary": "SEV-3"}}, 3),
        ("opsgenie", {"priority": "P5"}, 5),
        ("incident_io", {"severity": {"name": "Minor"}}, 3),
        ("incident_io", {"severity": {"name": "Catastrophe"}}, None),
        ("firehydrant", {"severity": "UNSET"}, None),
        ("github_issues", {"labels": [{"name": "P1"}]}, 1),
        ("github_issues", {"labels": [{"name": "question"}]}, None),
    ],
)
def test_a_severity_is_normalised_and_an_unknown_one_stays_unknown_with_its_text(
    loader: Loader, store: Store, tmp_path: Path, tool: str, changed: dict[str, Any], severity: int | None
) -> None:
    load(loader, tmp_path, SINGLE[tool] | changed)
    kept, said = store.query("select severity, extra ->> '$.severity' as said from incidents").row(0)
    assert kept == severity
    if tool == "incident_io":
        assert said == changed["severity"]["name"]


def test_the_services_are_kept_as_the_tool_calls_them_and_leave_the_verdict_open(loader: Loader, store: Store, tmp_path: Path) -> None:
    fields = {**JIRA["fields"], "labels": []}
    load(loader, tmp_path, JIRA | {"fields": fields})
    assert store.query("select ai_attributed, system_id, extra ->> '$.services' as services from incidents").row(0) == (
        None, "chat-api", '["chat-api","gateway"]')  # fmt: skip
    load(loader, tmp_path, JIRA | {"fields": fields | {"components": []}})
    assert store.query("select ai_attributed, system_id from incidents").row(0) == ("unknown", None)


def test_children_name_their_parent_but_no_incident_is_its_own(loader: Loader, store: Store, tmp_path: Path) -> None:
    merged = PAGERDUTY | {"id": "Q2", "resolve_reason": {"type": "merge_resolve_reason", "incident": {"id": "Q1"}}}
    load(loader, tmp_path, {"incidents": [PAGERDUTY, merged]}, "pagerduty.json")
    child = SERVICENOW | {"number": "INC2", "parent_incident": {"display_value": "INC1", "value": "8f2"}}
    load(loader, tmp_path, {"result": [SERVICENOW | {"parent_incident": {"value": "INC1"}}, child]}, "servicenow.json")
    parts = {"fields": {**JIRA["fields"], "parent": {"key": "OPS-1"}}, "key": "OPS-2"}
    epic = {"key": "OPS-9", "fields": {"issuetype": {"name": "Epic", "hierarchyLevel": 1}}}
    of_epic = {"fields": {**JIRA["fields"], "parent": epic}, "key": "OPS-3"}
    load(loader, tmp_path, {"issues": [JIRA, JIRA | parts, JIRA | of_epic]}, "jira.json")
    parents = store.query("select incident_id, parent_incident from incidents order by 1").rows()
    assert dict(parents) == {"INC1": None, "INC2": "INC1", "OPS-1": None, "OPS-2": "OPS-1", "OPS-3": None, "Q1": None, "Q2": "Q1"}


def test_a_service_desk_tells_times_by_its_clocks(loader: Loader, store: Store, tmp_path: Path) -> None:
    clocks = {
        "customfield_10030": {"name": "Time to first response", "completedCycles": [{"stopTime": {"iso8601": "2026-10-01T10:07:00+0800"}}]},
        "customfield_10031": {"name": "Time to resolution", "completedCycles": [{"stopTime": {"iso8601": "2026-10-01T13:00:00+0800"}}]},
    }
    fields = {**JIRA["fields"], "resolutiondate": None, **clocks}
    load(loader, tmp_path, {**JIRA, "fields": fields, "changelog": {}})
    kept = row(store, "OPS-1")
    assert (kept["acknowledged_at"], kept["resolved_at"], kept["mitigated_source"]) == (at("02:07"), at("05:00"), "resolved_proxy")


def test_a_custom_field_of_pagerduty_is_the_native_mitigation_time(loader: Loader, store: Store, tmp_path: Path) -> None:
    load(loader, tmp_path, PAGERDUTY | {"custom_fields": [{"name": "mitigated_at", "value": "2026-10-01T10:45:00Z"}]})
    assert (row(store, "Q1")["mitigated_at"], row(store, "Q1")["mitigated_source"]) == (at("10:45"), "native")


def test_a_reopened_incident_is_open_again(loader: Loader, store: Store, tmp_path: Path) -> None:
    load(loader, tmp_path, SERVICENOW | {"state": "2"})
    assert (row(store, "INC1")["resolved_at"], row(store, "INC1")["mitigated_at"]) == (None, None)


def test_a_later_export_replaces_what_an_earlier_one_said(loader: Loader, store: Store, tmp_path: Path) -> None:
    load(loader, tmp_path, OPSGENIE | {"status": "open", "impactEndDate": None}, "monday.json")
    load(loader, tmp_path, OPSGENIE, "tuesday.json")
    assert store.query("select count(*), max(status) from incidents").row(0) == (1, "resolved")


ODD = (None, [], {}, "x", True, [None], ["x"], [{}], {"x": None})


def spoiled(document: Any) -> Iterator[Any]:
    """The document with every value at every depth, one after the other, turned into something it cannot be."""
    for key in document if isinstance(document, dict) else range(len(document)):
        for odd in (*ODD, *(spoiled(document[key]) if isinstance(document[key], dict | list) else ())):
            yield {**document, key: odd} if isinstance(document, dict) else [*document[:key], odd, *document[key + 1 :]]


@pytest.mark.parametrize("tool", SINGLE)
def test_no_odd_value_anywhere_stops_a_file(tool: str) -> None:
    read = collectors()[tool].flatten
    assert read is not None
    documents = list(spoiled(SINGLE[tool]))
    assert len(documents) > 100
    assert all(len(list(read(document))) <= 1 for document in documents)


def test_a_record_of_another_shape_is_rejected_and_the_others_stay(loader: Loader, tmp_path: Path) -> None:
    outcome = load(loader, tmp_path, {"issues": [JIRA, {"key": "OPS-2", "fields": None}]})
    assert (outcome.rows, reasons(outcome)) == (1, [(2, "incident_id is empty; neither a start nor a detection time")])


LOG = """number,incident_state,sys_updated_at,opened_at,priority,resolved_at,closed_at
INC9,New,28-02-2026 01:23,28-02-2026 01:16,3 - Moderate,?,?
INC9,Active,28-02-2026 02:00,28-02-2026 01:16,3 - Moderate,?,?
INC9,Active,28-02-2026 03:00,28-02-2026 01:16,3 - Moderate,?,?
INC9,Closed,05-03-2026 12:00,28-02-2026 01:16,2 - High,28-02-2026 08:50,05-03-2026 12:00
INC8,New,28-02-2026 01:23,28-02-2026 01:16,3 - Moderate,?,?
INC8,Canceled,28-02-2026 02:23,28-02-2026 01:16,3 - Moderate,?,?
"""


def test_the_last_row_of_an_event_log_counts_and_the_first_active_one_acknowledges(loader: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load(loader, tmp_path, LOG, "log.csv")
    assert (outcome.collector, outcome.rows, reasons(outcome)) == ("servicenow", 1, [(7, "cancelled: not counted as an incident")])
    kept = row(store, "INC9")
    assert (kept["started_at"], kept["acknowledged_at"], kept["resolved_at"], kept["severity"]) == (
        datetime(2026, 2, 28, 1, 16), datetime(2026, 2, 28, 2), datetime(2026, 2, 28, 8, 50), 2)  # fmt: skip


# ---------------------------------------------------------------- fields that settings name


@pytest.fixture
def own_fields() -> Iterator[None]:
    custom_fields.use(CustomFields(("Service restored", "u_restored", "customfield_7"), ("u_ai", "customfield_8", "AI related")))
    yield
    custom_fields.use(CustomFields())


@pytest.mark.usefixtures("own_fields")
@pytest.mark.parametrize(
    ("document", "own"),
    [
        (SERVICENOW, {"u_restored": {"value": "2026-10-01 10:30:00"}, "u_ai": {"display_value": "No"}}),
        (JIRA, {"fields": JIRA["fields"] | {"customfield_7": "2026-10-01T18:30:00+0800", "customfield_8": [{"value": "no"}]}}),
        (
            PAGERDUTY,
            {"custom_fields": [{"name": "service restored", "value": "2026-10-01T10:30:00Z"}, {"name": "ai related", "value": "False"}]},
        ),
    ],
    ids=["servicenow", "jira", "pagerduty"],
)
def test_a_field_that_settings_name_is_the_native_mitigation_and_tells_of_ai(
    loader: Loader, store: Store, tmp_path: Path, document: dict[str, Any], own: dict[str, Any]
) -> None:
    assert load(loader, tmp_path, document | own).rows == 1
    [kept] = store.query("select mitigated_at, mitigated_source, ai_attributed from incidents").rows()
    assert kept == (datetime(2026, 10, 1, 10, 30), "native", "no")


# ---------------------------------------------------------------- files of the tools themselves


def minutes(store: Store, what: str) -> dict[str, int | None]:
    """Minutes from the start to the time of each incident."""
    rows = store.query(f"select incident_id, started_at, {what} as ended_at from incidents order by 1").rows()
    return {name: None if end is None else round((end - start) / timedelta(minutes=1)) for name, start, end in rows}


def test_servicenow_files_give_the_known_durations(loader: Loader, store: Store, fixtures: Path) -> None:
    folder = fixtures / "governance" / "servicenow"
    log, page = load_files(loader, folder / "incident_event_log.csv", folder / "table_api_incident.json")
    assert (log.rows, log.rejected, page.rows, reasons(page)) == (3, 0, 4, [(5, "cancelled: not counted as an incident")])
    assert minutes(store, "mitigated_at") == {
        "INC0000901": 7 * 60 + 34, "INC0000902": None, "INC0000903": 12 * 60,
        "INC0010001": 45, "INC0010002": 120, "INC0010003": None, "INC0010004": 175,
    }  # fmt: skip
    assert [row(store, f"INC001000{n}")["mitigated_source"] for n in (1, 2, 3)] == ["native", "resolved_proxy", None]
    assert row(store, "INC0010004")["parent_incident"] == "INC0010001"
    assert [row(store, f"INC001000{n}")["ai_attributed"] for n in (1, 2, 3)] == ["yes", "unknown", "yes"]
    assert [row(store, f"INC001000{n}")["ai_cause"] for n in (1, 2, 3)] == ["model", None, "safety"]


def test_the_firehydrant_incident_has_the_known_milestones(loader: Loader, store: Store, fixtures: Path) -> None:
    [outcome] = load_files(loader, fixtures / "governance" / "firehydrant" / "incident.json")
    assert (outcome.collector, outcome.rows) == ("firehydrant", 1)
    kept = row(store, "00000000-0000-0000-0000-00000000f001")
    day = "2026-10-05 "
    times = [kept[f"{step}_at"] for step in ("started", "detected", "acknowledged", "mitigated", "resolved")]
    assert times == [datetime.fromisoformat(day + time) for time in ("10:40", "10:50", "10:58", "11:25", "12:55")]
    assert (kept["severity"], kept["system_id"], kept["ai_attributed"], kept["ai_cause"]) == (2, "chat-api", "yes", "provider")


def test_pagerduty_files_give_acknowledgements_from_the_log(loader: Loader, store: Store, fixtures: Path) -> None:
    folder = fixtures / "governance" / "pagerduty"
    outcomes = load_files(loader, folder / "devlake__raw_pagerduty_incidents.csv", *sorted(folder.glob("port_ocean_*.json")))
    assert [(o.collector, o.rows, o.rejected) for o in outcomes] == [("pagerduty", 3, 0)] + [("pagerduty", 1, 0)] * 4
    acknowledged = store.query("select incident_id, acknowledged_at from incidents where acknowledged_at is not null order by 1").rows()
    assert acknowledged == [
        ("Q1OHFWFP3GPXOG", datetime(2022, 11, 3, 6, 45, 46)),
        ("Q3CZAU7Q4008QD", datetime(2022, 11, 3, 6, 44, 37)),
        ("Q3YON8WNWTZMRQ", datetime(2022, 11, 3, 6, 23, 7)),
    ]
    assert minutes(store, "resolved_at")["Q1OHFWFP3GPXOG"] == 6
    assert store.query("select severity, count(*) from incidents group by 1 order by 1").rows() == [(2, 6), (4, 1)]


def test_opsgenie_files_give_impact_and_weak_resolution(loader: Loader, store: Store, fixtures: Path) -> None:
    folder = fixtures / "governance" / "opsgenie"
    outcomes = load_files(loader, folder / "devlake__raw_opsgenie_incidents.csv", *sorted(folder.glob("port_ocean_*.json")))
    assert [(o.rows, o.status) for o in outcomes] == [(2, "loaded"), (1, "loaded"), (1, "loaded"), *[(0, "already loaded")] * 2]
    rows = store.query("select severity, status, mitigated_at, mitigated_source, resolved_at from incidents order by started_at").rows()
    assert rows == [
        (5, "resolved", datetime(2023, 9, 5, 18, 21, 21, 490000), "native", datetime(2023, 9, 5, 18, 21, 21, 490000)),
        (3, "open", None, None, None),
        (3, "open", None, None, None),
        (3, "open", datetime(2023, 9, 26, 17, 45, 25, 719000), "native", None),
    ]


def test_the_incident_of_incident_io_starts_when_it_was_reported(loader: Loader, store: Store, fixtures: Path) -> None:
    [outcome] = load_files(loader, fixtures / "governance" / "incident_io" / "singer_tap_incidents.json")
    assert (outcome.collector, outcome.rows) == ("incident_io", 1)
    kept = row(store, "01HDH3SMWK0C2D8TN41PVW61TA")
    assert (kept["title"], kept["severity"], kept["status"]) == ("teal-ostrich", 3, "investigating")
    assert (kept["started_at"], kept["mitigated_at"]) == (datetime(2023, 10, 24, 15, 10, 35, 411000), None)


def test_jira_files_give_what_another_project_reads_from_them(loader: Loader, store: Store, fixtures: Path) -> None:
    folder = fixtures / "governance" / "jira"
    outcomes = load_files(loader, folder / "devlake__raw_jira_api_issues.csv", *sorted(folder.glob("port_ocean_*.json")))
    assert [(o.collector, o.rows, o.rejected) for o in outcomes] == [("jira", 14, 0)] + [("jira", 1, 0)] * 4
    with (folder / "devlake_issues.csv").open(encoding="utf-8-sig") as file:
        expected = {line["issue_key"]: line for line in csv.DictReader(file)}
    rows = store.query("select incident_id, started_at, resolved_at, url from incidents where source = 'jira'").rows()
    compared = [(created, resolved, url, expected[key]) for key, created, resolved, url in rows if key in expected]
    assert len(compared) == 11
    for created, resolved, url, line in compared:
        assert created == datetime.fromisoformat(line["created_date"]).replace(tzinfo=None)
        assert resolved == (datetime.fromisoformat(line["resolution_date"]).replace(tzinfo=None) if line["resolution_date"] else None)
        assert url == line["url"]


def test_github_issues_leave_pull_requests_out_and_keep_one_row_an_issue(loader: Loader, store: Store, fixtures: Path) -> None:
    [outcome] = load_files(loader, fixtures / "governance" / "github_issues" / "devlake__raw_github_api_issues.csv")
    assert (outcome.collector, outcome.status) == ("github_issues", "partial")
    assert {reason for _, reason in reasons(outcome)} == {"a pull request: not counted as an incident"}
    assert (outcome.rows, outcome.rejected) == (26, 16)
    kept = row(store, "panjf2000/ants#5")
    assert (kept["started_at"], kept["resolved_at"]) == (datetime(2018, 8, 2, 3, 9, 57), datetime(2018, 8, 3, 15, 32))
