"""Architecture decision records in Markdown: MADR, Nygard, log4brains and front matter, one file a decision."""

import posixpath
import re
import subprocess
import time
from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from pathlib import Path, PurePath
from typing import Any

import msgspec

from ingest.collector import Collector
from ingest.governance import markdown
from ingest.governance.inventory import extra
from ingest.governance.markdown import LINK, Page, Section
from ingest.probe import Probe, read_bytes

# Two digits or more begin the name; a template or an index stays one when it is numbered.
NAME = re.compile(r"^\d{2,}(?!\d)(?![-_. ]*(?:adr[-_ ]?|madr[-_ ]?)?(?:template|index|readme|toc)\.)", re.IGNORECASE)
FIELD = re.compile(
    r"^[ \t]*(?:[-*+][ \t]+)?[*_]{0,2}(status|date|deciders|decision[- ]makers)[*_]{0,2}:[*_]{0,2}[ \t]*(.+?)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
DAY = re.compile(r"\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\b")
DAYS_IN_WORDS = ("%d %B %Y", "%d %b %Y", "%B %d, %Y", "%b %d, %Y", "%d.%m.%Y")
NAME_DAY = re.compile(r"^(\d{4})-?(\d{2})-?(\d{2})(?!\d)")
SUPERSEDED_BY = re.compile(r"super[sc]eded\s+by:?\s+(.*)", re.IGNORECASE)
NUMBER = re.compile(r"(?:adr[- ]?)?0*(\d{1,8})\b", re.IGNORECASE)
TITLE_NUMBER = re.compile(r"^(?:adr[- ]?)?\d+\s*(?:[.:]|[-–—]\s)\s*", re.IGNORECASE)
MARKDOWN = (".md", ".markdown")
GIT_SECONDS = 10


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """adrs.toml, which says itself what each table means."""

    statuses: dict[str, str]
    sections: dict[str, str]


WORDS = msgspec.toml.decode((files(__package__) / "adrs.toml").read_bytes(), type=Words)

COLUMNS = {
    "path": "text!", "title": "text?", "status": "text!", "decided_on": "date?", "has_context": "bool!", "has_decision": "bool!",
    "has_consequences": "bool!", "superseded_by": "text?", "extra": "json?",
}  # fmt: skip


def is_adr(probe: Probe) -> bool:
    return probe.form == "markdown" and is_adr_name(PurePath(probe.name).name) and bool(markdown.parse(probe.head).sections)


def is_adr_name(name: str) -> bool:
    return name.lower().endswith(MARKDOWN) and NAME.match(name) is not None


def is_beside(file: Path) -> bool:
    """Whether a file is the template, index or licence of a folder of records rather than one of them."""
    is_aside = file.suffix.lower() in MARKDOWN or file.suffix == ""
    return is_aside and not is_adr_name(file.name) and any(is_adr_name(other.name) for other in file.parent.iterdir())


def documents(probe: Probe) -> Iterator[tuple[int, Any]]:
    yield 1, {"page": markdown.parse(read_bytes(probe.path)), "file": probe.path, "path": PurePath(probe.name).as_posix()}


def rows(document: Any) -> Iterator[dict[str, Any]]:
    """The record of a file: what it says of itself, and which sections have something to say."""
    page, path = document["page"], document["path"]
    fields = {name.lower(): text for name, text in reversed(FIELD.findall(page.opening))}
    said = _status(page, fields)
    day, day_from = _day(page, fields, document["file"], PurePath(path).name)
    deciders = ("decision-makers", "decision makers", "deciders")
    title = page.meta.get("title") or TITLE_NUMBER.sub("", markdown.plain(page.title or ""))
    yield {
        "path": path,
        "title": title or None,
        "status": _meant(said),
        "decided_on": day,
        **{name: "true" if _has(page, pattern) else "false" for name, pattern in WORDS.sections.items()},
        "superseded_by": _successor(page, said, document["file"], path),
        "extra": extra(
            status=said,
            decided_on_from=day_from,
            tags=page.meta.get("tags"),
            deciders=next((told[name] for told in (page.meta, fields) for name in deciders if told.get(name)), None),
        ),
    }


def _status(page: Page, fields: dict[str, str]) -> str | None:
    """The status in its own words: front matter, then a line or bullet, then the first line of its section."""
    section = next((section for section in page.sections if section.heading.lower().rstrip(":") == "status"), None)
    first_line = section.text.splitlines()[0].lstrip("-* ") if section and section.text else None
    return page.meta.get("status") or fields.get("status") or first_line


def _meant(said: str | None) -> str:
    text = markdown.plain(str(said or "")).lower()
    return next((status for words, status in WORDS.statuses.items() if re.match(rf"{words}\b", text)), "unstated")


def _day(page: Page, fields: dict[str, str], file: Path, name: str) -> tuple[str | None, str | None]:
    """When it was decided, and where that is told."""
    told = {
        "front matter": page.meta.get("date") or page.meta.get("created"),
        "line": fields.get("date"),
        "file name": NAME_DAY.sub(r"\1-\2-\3 ", name) if NAME_DAY.match(name) else None,
    }
    for where, text in told.items():
        if day := _read_day(str(text or "")):
            return day, where
    first = _first_commit(file)
    return first, "first commit" if first else None


def _read_day(text: str) -> str | None:
    """A day as texts write it; None for what is no day of the calendar."""
    numbers = [tuple(map(int, found.groups())) for found in DAY.finditer(text)]
    for form in DAYS_IN_WORDS if not numbers else ():
        try:
            numbers.append(tuple(time.strptime(text.strip(), form)[:3]))
        except ValueError:
            continue
    try:
        return date(*numbers[0][:3]).isoformat() if numbers else None
    except ValueError:
        return None


def _first_commit(file: Path) -> str | None:
    """The day of the commit that added the file; None outside a repository, without git, and for a file not committed yet."""
    if not any((folder / ".git").exists() for folder in file.resolve().parents):
        return None
    command = ["git", "-c", "core.fsmonitor=false", "log", "--follow", "--diff-filter=A", "--format=%as", "--", file.name]
    try:
        done = subprocess.run(command, cwd=file.resolve().parent, capture_output=True, text=True, timeout=GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.split()[-1] if done.stdout.split() else None


def _has(page: Page, pattern: str) -> bool:
    """Whether a section has this heading and something under it, or sections inside it that do."""
    return any(
        re.match(pattern, markdown.plain(section.heading), re.IGNORECASE) and _is_filled(page.sections[position:])
        for position, section in enumerate(page.sections)
    )


def _is_filled(sections: tuple[Section, ...]) -> bool:
    first, *others = sections
    if first.text:
        return True
    inside = (section for section in others[: next((i for i, s in enumerate(others) if s.level <= first.level), len(others))])
    return any(section.text for section in inside)


def _successor(page: Page, said: str | None, file: Path, path: str) -> str | None:
    """The record that supersedes this one: its path where a link or a number tells it, else how it is called."""
    section = next((section.text for section in page.sections if section.heading.lower() == "status"), "")
    own = next((str(page.meta[name]) for name in ("superseded-by", "superseded_by", "supersededBy") if page.meta.get(name)), None)
    found = next(filter(None, (SUPERSEDED_BY.search(text) for text in (str(said or ""), section))), None)
    told = own or (found[1] if found else None)
    if told is None:
        return None
    if link := LINK.search(told):
        target = link[2].partition("#")[0]
        return target if "://" in target else posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    text = markdown.plain(told).strip(" .\"'")
    named = _numbered(file.parent, text)
    return posixpath.join(posixpath.dirname(path), named) if named else text or None


def _numbered(folder: Path, text: str) -> str | None:
    """The one record of a folder with the number that a text begins with."""
    number = NUMBER.match(text)
    names = [file.name for file in folder.iterdir() if is_adr_name(file.name)] if number else []
    same = [name for name in names if number and (own := NUMBER.match(name)) and own[1] == number[1]]
    return same[0] if len(same) == 1 else None


COLLECTORS = [
    Collector(
        name="adrs",
        title="architecture decision record (Markdown)",
        target="adrs",
        key=("path",),
        columns=COLUMNS,
        sql=f"select source_row, {', '.join(COLUMNS)} from source",
        recognise=is_adr,
        read=documents,
        flatten=rows,
    )
]
