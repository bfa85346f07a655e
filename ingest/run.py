"""One load command as it goes on, a file on its way into the ledger, and what it changed there."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import duckdb
import polars as pl

from ingest.collector import Collector
from ingest.table import RowReject

Bucket = tuple[Any, ...]


@dataclass
class Page:
    """The buckets at the edges of a page that was loaded: where it began, and where it broke off."""

    collector: str
    load_id: int
    first: set[Bucket]
    unfinished: set[Bucket]


@dataclass
class Run:
    """One load command: its date for registers, the loads and pages it made, and the loads of its unchanged files."""

    as_of: datetime
    known_ids: frozenset[int]
    load_ids: list[int] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    months: set[date] = field(default_factory=set)  # in which calls or charges changed

    def touch(self, moments: Iterable[datetime]) -> None:
        self.months |= {date(moment.year, moment.month, 1) for moment in moments}

    def next_id(self, cursor: duckdb.DuckDBPyConnection) -> int:
        load_id: int = cursor.execute("select nextval('load_ids')").fetchall()[0][0]
        self.load_ids.append(load_id)
        return load_id


@dataclass(frozen=True)
class Incoming:
    """A staged file: rows for the target, what it covers of it, the buckets it leaves unfinished, and rejects.

    `also` is the same for each further table that the file fills.
    """

    frame: pl.DataFrame
    covered: pl.DataFrame
    unfinished: pl.DataFrame
    rejects: list[RowReject]
    also: tuple[tuple[Collector, "Incoming"], ...] = ()

    @property
    def height(self) -> int:
        """Rows of the target; those of a second register count, too: a file may have rows for that one only."""
        return self.frame.height + sum(told.height for other, told in self.also if other.register)


@dataclass
class Changed:
    """What a file touched beyond its own rows: the slice it covers, services whose system may differ now, the times of what
    changed, and how many rows of other collectors told the same and are gone."""

    slice: dict[str, Any] | None = None
    services: list[str] = field(default_factory=list)
    at: list[datetime] = field(default_factory=list)
    replaced: dict[str, int] = field(default_factory=dict)
