"""The ledger file: opened once per process, a cursor per call, one writer at a time."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from ingest.errors import LedgerError, LedgerLocked

SCHEMA_VERSION = "1"
SCHEMA = ("schema.sql", "lines.sql")

# A query may fetch nothing from a network.
CONNECTION_SETTINGS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
# Blocks that DuckDB goes on caching after much was written; without an end to it they would grow with everything ever loaded.
KEPT_IN_MEMORY = "set global memory_limit = '100MB'"
# The last checkpoint merges row groups that loading left: once, in little memory, as somebody waits for the end.
CLOSING = "set global memory_limit = '200MB'; set global max_vacuum_tasks = 1"


class Store:
    """One DuckDB database. Reading takes a cursor per call and may run from any thread; writing is serialised."""

    def __init__(self, path: str | Path, read_only: bool = False) -> None:
        """Open the ledger, creating its tables unless read_only.

        Raises LedgerLocked when another process has it, LedgerError when it is no ledger or of a newer version.
        """
        self.path = str(path)
        self._write_lock = threading.Lock()
        try:
            self._database = duckdb.connect(self.path, read_only=read_only, config=dict(CONNECTION_SETTINGS))
            self._database.execute("load icu")  # bundled; time zones in text need it
            self._database.execute("set global TimeZone = 'UTC'")
        except duckdb.IOException as error:
            raise _open_error(self.path, error) from error
        except duckdb.Error as error:
            raise LedgerError(f"{self.path} is not a Spanledger ledger ({_first_line(error)})", "Name another file with --db") from error
        if not read_only:
            self._migrate()

    def _migrate(self) -> None:
        with self.transaction() as cursor:
            known = cursor.execute("select count(*) from information_schema.tables where table_name = 'ledger_meta'").fetchall()[0][0]
            version = cursor.execute("select value from ledger_meta where key = 'schema_version'").fetchall() if known else []
            if version and int(version[0][0]) > int(SCHEMA_VERSION):
                raise LedgerError(f"{self.path} was written by a newer version of Spanledger", "Upgrade with pip")
            for name in SCHEMA:
                cursor.execute((files("ingest") / name).read_text("utf-8"))
            cursor.execute("insert or replace into ledger_meta values ('schema_version', ?)", [SCHEMA_VERSION])

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """The rows of one SELECT, with `$name` parameters; exactly the names that the text uses."""
        with self._database.cursor() as cursor:
            frame: pl.DataFrame = cursor.sql(sql, params=dict(params or {})).pl()
            return frame

    def query_only(self, sql: str, params: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """The rows of one SELECT that came from outside. Raises LedgerError for anything else, and for a wrong query."""
        try:
            statements = duckdb.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise LedgerError("Only one SELECT may be run here", "Changes go through load and rebuild")
            return self.query(sql, params)
        except duckdb.Error as error:
            raise LedgerError(str(error).splitlines()[0], "See `select table_name, column_name from information_schema.columns`") from error

    @contextmanager
    def transaction(self, is_bulk: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor inside the one write transaction: committed at the end, rolled back on any error. One for bulk leaves
        merging row groups to a later checkpoint, and little in memory."""
        with self._write_lock, self._bulk() if is_bulk else nullcontext(), self._database.cursor() as cursor:
            cursor.begin()
            try:
                yield cursor
                cursor.commit()
            except BaseException:
                cursor.rollback()
                raise

    @contextmanager
    def _bulk(self) -> Iterator[None]:
        with self._database.cursor() as cursor:
            # Merging at each checkpoint compresses a span several times, and takes the memory of whole row groups.
            cursor.execute("set global max_vacuum_tasks = 0")
            try:
                yield
            finally:
                cursor.execute("reset global max_vacuum_tasks")
                # Limited for a moment only, as DuckDB then drops what it caches: a query of others may need more than the limit.
                with suppress(duckdb.OutOfMemoryException):
                    cursor.execute(KEPT_IN_MEMORY)
                cursor.execute("reset global memory_limit")

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor outside the writer's lock, for staging and for reading what transactions committed."""
        with self._database.cursor() as cursor:
            yield cursor

    def close(self) -> None:
        with suppress(duckdb.ConnectionException, duckdb.OutOfMemoryException):  # closed before, or a query of now holds more
            self._database.execute(CLOSING)
        self._database.close()


def insert_rows(cursor: duckdb.DuckDBPyConnection, table: str, frame: pl.DataFrame) -> None:
    """Insert a frame by name; columns that the table lacks are left out."""
    columns = cursor.execute("select column_name from information_schema.columns where table_name = ?", [table]).fetchall()
    wanted = [row[0] for row in columns]
    cursor.register("incoming", frame.select([name for name in frame.columns if name in wanted]))
    cursor.execute(f"insert into {table} by name select * from incoming")
    cursor.unregister("incoming")


def delete_keys(cursor: duckdb.DuckDBPyConnection, table: str, keys: Sequence[str], frame: pl.DataFrame) -> None:
    """Delete the rows of a table that have one of the frame's keys."""
    cursor.register("keys", frame.select(keys).unique())
    same = " and ".join(f"t.{name} is not distinct from k.{name}" for name in keys)
    cursor.execute(f"delete from {table} t using keys k where {same}")
    cursor.unregister("keys")


def _open_error(path: str, error: duckdb.Error) -> LedgerError:
    if "lock" in str(error).lower():
        return LedgerLocked(f"{path} is open in another process", "Stop it, or use the server that runs on this ledger")
    return LedgerError(f"Cannot open {path} ({_first_line(error)})", "Check the path and its permissions")


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
