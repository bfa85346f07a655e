"""What the incidents of every tool have in common: one form, one set of checks, and how tools word severity and cause."""

import csv
import gzip
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import msgspec

from ingest.collector import Collector
from ingest.governance import custom_fields
from ingest.governance.records import KINDS
from ingest.probe import Probe, is_gzip, parse_json

Document = Mapping[str, Any]

# Where the answers of tools' APIs keep their incidents.
LISTS = ("result", "issues", "incidents", "incident", "data", "items", "values")
# What a field about AI says; any other word in it names what AI did.
SAID = {"no": "no", "false": "no", "none": "no", "0": "no", "unknown": "unknown"}
NUMBERED = re.compile(KINDS["incidents"].patterns["severity"][0], re.IGNORECASE)


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """incidents.toml, which says itself what each table means."""

    severity: dict[str, dict[str, int]]
    set_aside: dict[str, str]
    means: dict[str, str]
    statuses: dict[str, tuple[str, ...]]
    timestamps: dict[str, tuple[str, ...]]
    tags: dict[str, tuple[str, ...]]
    causes: dict[str, str]


WORDS = msgspec.toml.decode((files(__package__) / "incidents.toml").read_bytes(), type=Words)


@dataclass(kw_only=True)
class Incident:
    """An incident in the words of its tool; times are text with their offset, or UTC without one."""

    incident_id: str | None
    title: str | None
    started_at: str | None
    detected_at: str | None = None
    acknowledged_at: str | None = None
    mitigated_at: str | None = None
    mitigated_source: Literal["native", "status"] = "native"
    resolved_at: str | None = None
    updated_at: str | None = None
    status: str | None = None
    severity: str | None = None
    services: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    parent_incident: str | None = None
    set_aside: str | None = None
    url: str | None = None


COLUMNS = {
    "incident_id": "text!", "title": "text?", "started_at": "time?", "detected_at": "time?", "acknowledged_at": "time?",
    "mitigated_at": "time?", "mitigated_source": "text?", "resolved_at": "time?", "updated_at": "time?", "status": "text?",
    "severity": "count?", "severity_said": "text?", "services": "json?", "tags": "json?", "ai_attributed": "text?", "ai_cause": "text?",
    "parent_incident": "text?", "set_aside": "text?", "url": "text?",
}  # fmt: skip

CHECKS = {f"set_aside = '{word}'": reason for word, reason in WORDS.set_aside.items()} | {
    "started_at is null and detected_at is null": "neither a start nor a detection time",
    "mitigated_at < coalesce(started_at, detected_at)": "mitigated before it started",
    "resolved_at < coalesce(started_at, detected_at)": "resolved before it started",
    "acknowledged_at < detected_at": "acknowledged before it was detected",
}

# An export may hold an incident several times, each row a later state: the last one counts, also where it is rejected.
SQL = """
select source_row, incident_id, title, severity, coalesce(started_at, detected_at) as started_at, detected_at,
       min(acknowledged_at) over (partition by incident_id) as acknowledged_at, coalesce(mitigated_at, resolved_at) as mitigated_at,
       case when mitigated_at is not null then mitigated_source when resolved_at is not null then 'resolved_proxy' end as mitigated_source,
       resolved_at, lower(status) as status, services ->> '$[0]' as system_id,
       coalesce(ai_attributed, case when services is null then 'unknown' end) as ai_attributed, ai_cause,
       nullif(parent_incident, incident_id) as parent_incident, url,
       json_object('services', services, 'severity', severity_said, 'tags', tags) as extra
from typed
qualify row_number() over (partition by incident_id order by updated_at desc nulls last, source_row desc) = 1 and source_problem = ''
"""

# What was loaded as an incident and turned out to be none.
WITHDRAWN = "select incident_id from typed where set_aside is not null and incident_id is not null"


def tool(
    name: str, title: str, is_one: Callable[[Document], bool], read: Callable[[Document], Incident], *, of_csv: bool = False
) -> Collector:
    """The collector of a tool's export: how one of its incidents is recognised, and how it is read."""

    def rows(document: Any) -> Iterator[dict[str, Any]]:
        for record in listed(document):
            # A record of another shape has no id, and is rejected for that.
            yield _row(name, record, read(record)) if is_one(record) else {}

    def recognise(probe: Probe) -> bool:
        if of_csv and probe.form == "csv" and is_one(dict.fromkeys(probe.columns)):
            return True
        first = next(listed(_first(probe)), None)
        return first is not None and is_one(first)

    return Collector(
        name=name, title=title, target="incidents", key=("incident_id",), columns=COLUMNS, checks=CHECKS, sql=SQL,
        covers=WITHDRAWN, recognise=recognise, flatten=rows, nested=True,
    )  # fmt: skip


def listed(document: Any) -> Iterator[Document]:
    """The incidents of a list, of an answer that holds them, of a raw table's `data` cell; or one by itself."""
    if isinstance(document, list):
        yield from (record for record in document if isinstance(record, Mapping))
        return
    if not isinstance(document, Mapping):
        return
    if isinstance(text := document.get("data"), str):
        try:
            document = parse_json(text)
        except ValueError:
            document = {}
    held = next((document[name] for name in LISTS if isinstance(document.get(name), list | Mapping)), document)
    yield from listed(held) if isinstance(held, list) else (held,)


def path(record: Any, *names: str) -> Any:
    """What lies inside nested objects; None where one of them is missing."""
    for name in names:
        record = record.get(name) if isinstance(record, Mapping) else None
    return record


def objects(record: Any, *names: str) -> list[Document]:
    """The objects of a list inside nested objects; empty where there is none."""
    found = path(record, *names)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def texts(record: Any, *names: str) -> tuple[str, ...]:
    """The texts of a list inside nested objects; empty where there is none."""
    found = path(record, *names)
    return tuple(item for item in found if isinstance(item, str)) if isinstance(found, list) else ()


def first_time(times: Iterable[Any]) -> str | None:
    """The earliest of times that are written alike."""
    return min((time for time in times if isinstance(time, str) and time), default=None)


def set_aside(*words: Any) -> str | None:
    """Why an incident does not count, by its status, resolution, mode or severity."""
    return next((meaning for word in words if isinstance(word, str) and (meaning := WORDS.means.get(_key(word)))), None)


def tagged(tags: Iterable[str], what: str) -> list[str]:
    """The values of the tags `word: value` of a kind."""
    pairs = (_pair(tag) for tag in tags)
    return [value for key, value in pairs if key in WORDS.tags[what] and value]


def _row(tool_name: str, record: Document, incident: Incident) -> dict[str, Any]:
    tags = incident.tags
    if native := custom_fields.mitigated_at(record, tags):
        incident.mitigated_at, incident.mitigated_source = native, "native"
    said = custom_fields.ai(record, tags)
    return {
        **{name: getattr(incident, name) for name in COLUMNS if hasattr(incident, name)},
        "severity": _severity(incident.severity, WORDS.severity[tool_name]),
        "severity_said": incident.severity,
        "services": _json_list(incident.services),
        "tags": _json_list(tags),
        "ai_attributed": SAID.get(said.lower(), "yes") if said else _attribution(tags),
        "ai_cause": next((WORDS.causes[word] for word in _causes(tags) if word in WORDS.causes), None),
    }


def _severity(text: str | None, words: Mapping[str, int]) -> str | None:
    """1 to 5; None for what the tool's words do not tell, which stays beside it as it was written."""
    if not isinstance(text, str):
        return None
    numbered = NUMBERED.match(text.strip())
    said = numbered[1] if numbered else words.get(text.strip().lower())
    return None if said is None else str(said)


def _attribution(tags: Iterable[str]) -> str | None:
    for key, value in map(_pair, tags):
        if key in WORDS.tags["not_ai"]:
            return "no"
        if key in WORDS.tags["ai"]:
            return SAID.get(value.lower(), "yes")
    return None


def _causes(tags: Iterable[str]) -> Iterator[str]:
    """The words that may name a cause: those said to be one first."""
    pairs = [_pair(tag) for tag in tags]
    yield from (_key(value) for key, value in pairs if key in WORDS.tags["cause"])
    yield from (key for key, value in pairs if not value)


def _pair(tag: str) -> tuple[str, str]:
    key, _, value = re.sub(r"[=/]", ":", tag, count=1).partition(":")
    return _key(key), value.strip()


def _key(text: str) -> str:
    return re.sub(r"[\s-]+", "_", text.strip().lower())


def _json_list(texts: Iterable[str]) -> str | None:
    known = [text for text in texts if text]
    return msgspec.json.encode(known).decode() if known else None


def _first(probe: Probe) -> Any:
    """The first document of a file, as far as detection needs it."""
    if probe.form in ("json", "jsonl"):
        return probe.json
    if probe.form == "csv" and "data" in probe.columns:
        return _first_line(probe.path, probe.delimiter)
    return None


@lru_cache(maxsize=1)
def _first_line(file: Path, delimiter: str) -> Document | None:
    with gzip.open(file, "rt", encoding="utf-8-sig", newline="") if is_gzip(file) else file.open(encoding="utf-8-sig", newline="") as text:
        try:
            return next(csv.DictReader(text, delimiter=delimiter), None)
        except (csv.Error, UnicodeDecodeError):
            return None
