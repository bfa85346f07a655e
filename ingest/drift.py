"""Drift comparisons kept: after a load every complete day that has none, or whose data changed, is compared."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import duckdb
import polars as pl

from ingest.store import Store

# One complete day's rows of drift_results; the second argument is the day, the third the baseline days that people accepted,
# by system. Comparing is the business of metrics, which loading does not know: whoever puts both together passes it in.
Compare = Callable[[Store, date, Mapping[str, date]], Sequence[Mapping[str, Any]]]

BASELINE = "drift_baseline"
TRAILING = "trailing"  # how a baseline begins that nobody pinned
# The shortest reference and current window together: no day before can be compared.
DAYS_BEFORE_FIRST = 34

# Complete are days that are over: by the clock, or because a later day has data. The newest come first: they are what
# a reader asks for, and what is known of a month would be wrong while only its first days are compared.
PENDING = """
with known as (select min(day) as first_day, max(day) as last_day from signal_day where system is not null),
days as (select unnest(range(first_day + $before, least(last_day + 1, greatest(last_day, $today)), interval 1 day)) as day from known)
select cast(d.day as date) from days d
where not exists (select 1 from drift_results r where r.as_of = d.day + interval 1 day) order by 1 desc
"""


def update(store: Store, compare: Compare | None, now: datetime) -> int:
    """Compare every complete day that has no comparison; the number of days. Each day is one transaction.

    A trailing reference leaves out days of drift, so days that have one are compared again from the oldest on, when what was
    found of the days before them is known.
    """
    if compare is None:
        return 0
    days = store.query(PENDING, {"before": DAYS_BEFORE_FIRST, "today": now.date()}).to_series().to_list()
    trailing = [day for day in days if _compared(store, compare, day)]
    for day in reversed(trailing):
        _compared(store, compare, day)
    return len(days)


def _compared(store: Store, compare: Compare, day: date) -> bool:
    """Compare one day; whether any of its references trails."""
    with store.transaction() as cursor:  # held while comparing, so that no load changes the day meanwhile
        rows = compare(store, day, baselines(cursor, day))
        _write(cursor, day, rows)
    return any(str(row["baseline"]).startswith(TRAILING) for row in rows)


def baselines(cursor: duckdb.DuckDBPyConnection, day: date) -> dict[str, date]:
    """The baseline day of each system as the last person to accept one by the end of `day` chose it."""
    rows = cursor.execute(
        'select detail from events where kind = ? and "at" <= ? order by "at"',
        [BASELINE, datetime.combine(day, time()) + timedelta(days=1)],
    ).fetchall()
    chosen = [json.loads(row[0]) for row in rows]
    return {accepted["system"]: date.fromisoformat(accepted["day"]) for accepted in chosen}


def accept(cursor: duckdb.DuckDBPyConnection, system: str, baseline: date, by: str, at: datetime) -> None:
    """Note that a person takes a system's behaviour from `baseline` on as normal; comparisons of later days follow."""
    detail = json.dumps({"system": system, "day": baseline.isoformat(), "by": by})
    cursor.execute("insert into events values (cast(uuid() as varchar), ?, ?, ?)", [at, BASELINE, detail])


def _write(cursor: duckdb.DuckDBPyConnection, day: date, rows: Sequence[Mapping[str, Any]]) -> None:
    cursor.execute("delete from drift_results where as_of = ?", [datetime.combine(day, time()) + timedelta(days=1)])
    if rows:
        cursor.register("compared", pl.DataFrame(rows, infer_schema_length=None))
        cursor.execute("insert into drift_results by name select * from compared")
        cursor.unregister("compared")
