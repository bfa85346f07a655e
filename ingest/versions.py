"""Registers: every row is a version of its key, in force from one day to the start of the next version."""

from collections.abc import Sequence
from datetime import datetime

import duckdb
import polars as pl

from ingest.collector import Collector
from ingest.run import Run
from ingest.store import delete_keys, insert_rows

OPEN_START = datetime(1970, 1, 1)
# Columns of a register row that do not belong to what it says.
BOOKKEEPING = ("load_id", "valid_from", "valid_to", "source")


def insert(cursor: duckdb.DuckDBPyConnection, collector: Collector, frame: pl.DataFrame, run: Run) -> None:
    """Add a version for each row that says something new; `valid_to` is the start of the key's next version."""
    table, keys = collector.target, collector.key
    earlier = cursor.execute(f"select count(*) from {table} where not list_contains($run, load_id)", {"run": run.load_ids}).fetchall()[0][0]
    default_from = run.as_of.replace(hour=0, minute=0, second=0, microsecond=0) if earlier else OPEN_START
    given = pl.col("valid_from") if "valid_from" in frame.columns else pl.lit(None, pl.Datetime("us"))
    frame = frame.with_columns(
        is_dated=given.is_not_null(), valid_from=given.fill_null(default_from), valid_to=pl.lit(None, pl.Datetime("us"))
    )
    frame = _news(cursor, table, keys, frame)
    delete_keys(cursor, table, (*keys, "valid_from"), frame)
    insert_rows(cursor, table, frame)
    partition = ", ".join(f"t.{name}" for name in keys)
    cursor.execute(f"""
        update {table} set valid_to = v.next_from from (
            select t.rowid as row, lead(t.valid_from) over (partition by {partition} order by t.valid_from) as next_from from {table} t) v
        where {table}.rowid = v.row""")


def _news(cursor: duckdb.DuckDBPyConnection, table: str, keys: Sequence[str], frame: pl.DataFrame) -> pl.DataFrame:
    """The rows without those that bring no date of their own and say what the version in force says already."""
    columns = cursor.execute(
        """
        select column_name from information_schema.columns where table_name = ? order by ordinal_position""",
        [table],
    ).fetchall()
    said = [row[0] for row in columns if row[0] not in BOOKKEEPING]
    cursor.register("incoming", frame.with_columns([pl.lit(None).alias(name) for name in said if name not in frame.columns]))
    cursor.execute(f"create or replace temp table versions as select * from {table} limit 0")
    cursor.execute("insert into versions by name select * exclude (is_dated) from incoming")
    same = " and ".join(f"i.{name} is not distinct from t.{name}" for name in said)
    known = cursor.sql(f"""
        select {", ".join(f"i.{name}" for name in keys)}, i.valid_from from versions i join {table} t on {same}
        where t.valid_from < i.valid_from and (t.valid_to is null or i.valid_from < t.valid_to)""").pl()
    cursor.unregister("incoming")
    on = [*keys, "valid_from"]
    repeated = frame.filter(~pl.col("is_dated")).join(known, on=on, how="semi", nulls_equal=True)
    return frame.join(repeated, on=on, how="anti", nulls_equal=True).drop("is_dated")
