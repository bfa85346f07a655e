"""A small ledger that tests of metrics fill by hand: rows by column name, everything else unknown."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from ingest.store import Store
from metrics.filters import Period, Scope

SEPTEMBER = Period.parse("2026-09")


class Ledger(Store):
    """A store in memory into which tests put rows."""

    def __init__(self) -> None:
        super().__init__(":memory:")

    def put(self, table: str, *rows: dict[str, Any]) -> None:
        with self.transaction() as cursor:
            for row in rows:
                names = ", ".join(f'"{name}"' for name in row)
                cursor.execute(f"insert into {table} ({names}) values ({', '.join('?' * len(row))})", list(row.values()))

    def put_usage(self, day: int, **columns: Any) -> None:
        """Calls of one hour of September 2026; what is not given counts nothing or is unknown."""
        counts = {"calls": 1, "requests": 1, "failed_calls": 0, "unknown_usage_calls": 0, "cache_unknown_calls": 0, "unpriced_calls": 0}
        self.put("usage_hour", {"hour": datetime(2026, 9, day, 12), "environment": "production", "operation": "chat", **counts, **columns})


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    ledger = Ledger()
    yield ledger
    ledger.close()


def scope(period: Period = SEPTEMBER, **dimensions: str) -> Scope:
    return Scope(period, dimensions)


def rows(engine: Store, sql: str) -> pl.DataFrame:
    return engine.query(sql)
