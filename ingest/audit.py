"""What became of the files of a load, and the audit trail: written in the transaction of the rows themselves."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import duckdb

from ingest import insert
from ingest.sources import Source
from ingest.table import RowReject

Status = Literal["loaded", "partial", "already loaded", "failed"]


@dataclass
class Outcome:
    """What became of one file: rows loaded, rows rejected, the sum of a bill, and the reason of a failure."""

    path: str
    status: Status
    collector: str = ""
    rows: int = 0
    rejected: int = 0
    total: Decimal | None = None
    currency: str | None = None
    message: str = ""
    duplicates_removed: int = 0
    replaced: dict[str, int] = field(default_factory=dict)
    rejects: list[RowReject] = field(default_factory=list)

    def line(self) -> str:
        """The one line that a person reads about this file."""
        if self.status == "failed":
            return f"{self.path}: {self.message}"
        if self.status == "already loaded":
            return f"{self.path}: already loaded, nothing changed"
        parts = [f"{self.rows:,} rows as {self.collector}"]
        if self.total is not None:
            parts.append(f"total {self.total.normalize():,f} {self.currency or ''}".rstrip())
        if self.duplicates_removed:
            parts.append(f"{self.duplicates_removed:,} duplicate spans not counted")
        parts += [f"in place of {rows:,} rows of {other} for the same period" for other, rows in self.replaced.items()]
        if self.rejected:
            first = self.rejects[0] if self.rejects else None
            where = f", first at {first.position}: {first.reason}" if first else ""
            parts.append(f"{self.rejected:,} rejected{where}; see the Data page or table rejects")
        return f"{self.path}: {', '.join(parts)}"


def record(
    cursor: duckdb.DuckDBPyConnection,
    source: Source,
    started_at: datetime,
    finished_at: datetime,
    outcome: Outcome,
    load_id: int | None = None,
    slice: dict[str, Any] | None = None,
) -> None:
    """Write the load, its rejects and its audit event in the transaction of the rows themselves."""
    if load_id is None:
        load_id = cursor.execute("select nextval('load_ids')").fetchall()[0][0]
        outcome.rejects = outcome.rejects or [RowReject(0, outcome.message)]
    outcome.rejected = len(outcome.rejects)
    if outcome.status == "loaded" and outcome.rejected:
        outcome.status = "partial"
    cursor.execute(
        "insert into loads values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            load_id,
            outcome.collector,
            source.name,
            source.sha256,
            started_at,
            finished_at,
            outcome.rows,
            outcome.rejected,
            outcome.status,
            outcome.message,
            json.dumps(slice) if slice else None,
        ],
    )
    insert.rejects(cursor, load_id, source.name, outcome.rejects)
    event(
        cursor,
        "load",
        finished_at,
        {"load_id": load_id, "path": source.name, "rows": outcome.rows, "rejected": outcome.rejected, "status": outcome.status},
    )


def event(cursor: duckdb.DuckDBPyConnection, kind: str, at: datetime, detail: dict[str, Any]) -> None:
    """Add to the audit trail."""
    cursor.execute("insert into events values (cast(uuid() as varchar), ?, ?, ?)", [at, kind, json.dumps(detail)])
