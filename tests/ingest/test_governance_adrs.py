"""Decision records of every dialect: status, day, sections and successor, and what is none of them."""

import subprocess
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ingest.audit import Outcome
from ingest.load import Loader
from ingest.sources import find_files
from ingest.store import Store

MADR = """---
status: "{status}"
date: 2026-03-04
decision-makers: [Ana, Bo]
---
# Use a vector index

## Context and Problem Statement

We search.

## Decision Drivers

* Cost

## Decision Outcome

Chosen option: "An index".

### Consequences

* Good, because fast
"""
NYGARD = (
    "# 12. Use a queue\n\nDate: 2026-03-04\n\n## Status\n\n{status}\n\n## Context\n\nLoad.\n\n"
    "## Decision\n\nA queue.\n\n## Consequences\n\nMore.\n"
)
BULLETS = (
    "# Use a cache\n\n- Status: {status}\n- Date: 2026-03-04\n\n## Context and Problem Statement\n\nCost.\n\n"
    "## Decision Outcome\n\nYes.\n\n### Positive Consequences\n\n- less\n"
)
DIALECTS = {"madr": MADR, "nygard": NYGARD, "bullets": BULLETS}


def load(loader: Loader, folder: Path, content: str, name: str = "0001-use-it.md") -> Outcome:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    [outcome] = loader.load([(path, name)])
    return outcome


def only(store: Store, columns: str) -> Any:
    [row] = store.query(f"select {columns} from adrs").rows()
    return row if len(row) > 1 else row[0]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("accepted", "accepted"), ("Approved", "accepted"), ("**Accepted** on Monday", "accepted"), ("Proposed", "open"),
        ("pending", "open"), ("Draft", "open"), ("on hold", "open"), ("Rejected", "rejected"), ("deprecated", "deprecated"),
        ("Superseded by ADR-0009", "superseded"), ("Superceded by 9", "superseded"), ("partly superseded by ADR-0009", "superseded"),
        ("discussed", "unstated"), ("not accepted", "unstated"),
    ],
)  # fmt: skip
def test_a_status_means_the_same_in_every_dialect(
    loader: Loader, store: Store, tmp_path: Path, dialect: str, said: str, status: str
) -> None:
    outcome = load(loader, tmp_path, DIALECTS[dialect].format(status=said))
    assert (outcome.status, outcome.collector, outcome.rows) == ("loaded", "adrs", 1), outcome.line()
    assert only(store, "status, decided_on, has_context, has_decision, has_consequences") == (status, date(2026, 3, 4), True, True, True)


def test_front_matter_comes_before_bullets_and_those_before_the_section(loader: Loader, store: Store, tmp_path: Path) -> None:
    text = "---\nstatus: rejected\n---\n" + BULLETS.format(status="accepted") + "\n## Status\n\nproposed\n"
    load(loader, tmp_path, text)
    assert only(store, "status, title") == ("rejected", "Use a cache")
    load(loader, tmp_path, text.partition("---\n# ")[2] and "# " + text.partition("---\n# ")[2])
    assert only(store, "status") == "accepted"


def test_a_record_without_status_or_date_is_kept_with_both_unknown(loader: Loader, store: Store, tmp_path: Path) -> None:
    load(
        loader,
        tmp_path,
        "# Use it\n\n## Context\n\nText.\n\n## Decision\n\n<!-- to do -->\n\n## Pros and Cons of the Options\n\n### One\n\n* Good\n",
    )
    assert only(store, "status, decided_on, has_context, has_decision, has_consequences, extra") == (
        "unstated", None, True, False, True, None)  # fmt: skip


def test_examples_in_code_say_nothing(loader: Loader, store: Store, tmp_path: Path) -> None:
    load(
        loader,
        tmp_path,
        "# Use front matter\n\n```markdown\n---\nstatus: accepted\ndate: 2026-01-01\n---\n## Decision\nSo.\n- Status: accepted\n```\n",
    )
    assert only(store, "status, decided_on, has_decision") == ("unstated", None, False)


@pytest.mark.parametrize(
    ("name", "line", "day", "told_by"),
    [
        ("0001-a.md", "Date: 14 July 2017", date(2017, 7, 14), "line"),
        ("0001-a.md", "* **Date:** 2017/7/4", date(2017, 7, 4), "line"),
        ("20170704-a.md", "", date(2017, 7, 4), "file name"),
        ("2017-07-04-a.md", "", date(2017, 7, 4), "file name"),
        ("20170704-a.md", "Date: 2018-01-02", date(2018, 1, 2), "line"),
        ("0001-a.md", "Date: 2017-13-40", None, None),
        ("20171340-a.md", "", None, None),
        ("0001-a.md", "Date: soon", None, None),
    ],
)
def test_the_day_is_the_first_that_is_told_and_no_impossible_one(
    loader: Loader, store: Store, tmp_path: Path, name: str, line: str, day: date | None, told_by: str | None
) -> None:
    outcome = load(loader, tmp_path, f"# A\n\n{line}\n\n## Context\n\nText.\n", name)
    assert outcome.rejected == 0
    assert only(store, "decided_on, extra ->> '$.decided_on_from'") == (day, told_by)


def test_without_a_day_the_first_commit_tells_it(loader: Loader, store: Store, tmp_path: Path) -> None:
    def git(*arguments: str, day: str = "2026-02-03") -> None:
        when = {"GIT_AUTHOR_DATE": f"{day}T12:00:00Z", "GIT_COMMITTER_DATE": f"{day}T12:00:00Z", "HOME": str(tmp_path)}
        person = ["-c", "user.name=Ana", "-c", "user.email=user@example.com"]
        subprocess.run(["git", *person, *arguments], cwd=tmp_path, check=True, capture_output=True, env={"PATH": "/usr/bin:/bin"} | when)

    git("init", "-q")
    folder = tmp_path / "docs" / "adr"
    folder.mkdir(parents=True)
    for text, day in (("Text.", "2026-02-03"), ("Other text.", "2026-05-06")):
        (folder / "0001-a.md").write_text(f"# A\n\n## Context\n\n{text}\n")
        git("add", ".")
        git("commit", "-qm", "A", day=day)
    (folder / "0002-b.md").write_text("# B\n\n## Context\n\nNot committed yet.\n")
    loader.load(find_files([folder]))
    rows = store.query("select decided_on, extra ->> '$.decided_on_from' from adrs order by path").rows()
    assert rows == [(date(2026, 2, 3), "first commit"), (None, None)]


def test_a_folder_that_only_looks_like_a_repository_does_no_harm(loader: Loader, store: Store, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert load(loader, tmp_path, "# A\n\n## Context\n\nText.\n").status == "loaded"
    assert only(store, "decided_on") is None


@pytest.mark.parametrize(
    ("said", "successor"),
    [
        ("superseded by [ADR 9](0009-b.md)", "docs/0009-b.md"),
        ("superseded by [ADR 9](../new/0009-b.md#status)", "new/0009-b.md"),
        ("superseded by ADR-0002", "docs/0002-b.md"),
        ("superseded by 2.", "docs/0002-b.md"),
        ("superseded by ADR-0077", "ADR-0077"),
        ("accepted", None),
    ],
)
def test_the_successor_is_a_path_where_a_link_or_a_number_tells_it(
    loader: Loader, store: Store, tmp_path: Path, said: str, successor: str | None
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "0002-b.md").write_text("# B\n")
    load(loader, tmp_path, MADR.format(status=said), "docs/0001-a.md")
    assert only(store, "superseded_by") == successor


def test_the_key_is_the_path_and_a_later_load_replaces_it(loader: Loader, store: Store, tmp_path: Path) -> None:
    load(loader, tmp_path, NYGARD.format(status="Proposed"), "a/0001-x.md")
    load(loader, tmp_path, NYGARD.format(status="Proposed.").replace("queue", "bus"), "b/0001-x.md")
    load(loader, tmp_path, NYGARD.format(status="Accepted"), "a/0001-x.md")
    assert store.query("select path, title, status from adrs order by 1").rows() == [
        ("a/0001-x.md", "Use a queue", "accepted"), ("b/0001-x.md", "Use a bus", "open")]  # fmt: skip


def test_templates_indexes_and_licences_of_a_folder_are_passed_over(loader: Loader, store: Store, tmp_path: Path) -> None:
    for name in ("0001-use-a-template-engine.md", "0000-template.md", "0000-adr-template.md", "template.md", "README.md", "LICENSE"):
        (tmp_path / name).write_text(NYGARD.format(status="Accepted"))
    (tmp_path / "systems.csv").write_text("system_id,name,owner,lifecycle,risk_tier\nclaims,Claims,Ana,production,1\n")
    outcomes = loader.load(find_files([tmp_path]))
    assert [(Path(o.path).name, o.collector) for o in outcomes] == [("0001-use-a-template-engine.md", "adrs"), ("systems.csv", "systems")]


@pytest.mark.parametrize("name", ["notes.md", "1-a.md", "0000-template.md", "0001-a.txt"])
def test_other_names_are_no_records(loader: Loader, tmp_path: Path, name: str) -> None:
    assert load(loader, tmp_path, NYGARD.format(status="Accepted"), name).status == "failed"


# ---------------------------------------------------------------- public folders of records

FOLDERS = {
    # records; with status, day, context, decision, consequences; and the statuses. Of MADR's own log, the one date that a
    # search for `Date:` finds stands in an example of what not to write.
    "brighter": (30, 30, 30, 30, 30, 30, {"accepted": 22, "open": 8}),
    "jabref": (30, 2, 1, 30, 30, 26, {"accepted": 2, "unstated": 28}),
    "madr": (19, 1, 0, 19, 19, 10, {"open": 1, "unstated": 18}),
    "govuk-aws": (20, 20, 20, 20, 20, 20, {"accepted": 15, "open": 4, "superseded": 1}),
    "log4brains": (9, 9, 9, 8, 9, 4, {"accepted": 8, "superseded": 1}),
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_public_folder_gives_the_known_counts(loader: Loader, store: Store, fixtures: Path, folder: str) -> None:
    outcomes = loader.load(find_files([fixtures / "governance" / "adr" / folder]))
    *counts, statuses = FOLDERS[folder]
    assert {(o.status, o.collector) for o in outcomes} == {("loaded", "adrs")}
    rows = store.query("select status, decided_on, has_context, has_decision, has_consequences from adrs").rows()
    stated = [status != "unstated" for status, *_ in rows]
    found = [len(rows), sum(stated), sum(row[1] is not None for row in rows), *(sum(row[n] for row in rows) for n in (2, 3, 4))]
    assert (found, dict(Counter(row[0] for row in rows))) == (counts, statuses)


def test_some_public_records_are_read_to_the_letter(loader: Loader, store: Store, fixtures: Path) -> None:
    folder = fixtures / "governance" / "adr"
    names = {
        "govuk-aws/0004-dns-definitions-for-hosts-and-services.md": (
            "DNS definitions for hosts and services", "superseded", date(2017, 7, 14), "govuk-aws/0015-dns-infrastructure.md"),
        "log4brains/20200926-use-the-adr-number-as-its-unique-id.md": (
            "Use the ADR number as its unique ID", "superseded", date(2020, 9, 26),
            "log4brains/20201016-use-the-adr-slug-as-its-unique-id.md"),
        "brighter/0001-record-architecture-decisions.md": ("Record architecture decisions", "accepted", date(2019, 8, 1), None),
        "jabref/0049-hardcode-fieldnames.md": (
            "Hardcode StandardField names and use exact or customized names otherwise", "accepted", date(2025, 9, 13), None),
        "madr/0003-provide-own-madr-tools.md": ("Write Own MADR Tooling", "open", None, None),
    }  # fmt: skip
    loader.load([(folder / name, name) for name in names])
    rows = store.query("select path, title, status, decided_on, superseded_by from adrs").rows()
    assert {path: tuple(row) for path, *row in rows} == names
