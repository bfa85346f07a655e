"""Opening a ledger: one of an earlier version gains what it lacks, one of a later version is refused, and nothing else is one."""

from pathlib import Path

import pytest

from ingest.errors import LedgerError
from ingest.store import Store


def changed(path: Path, sql: str) -> None:
    store = Store(path)
    with store.transaction() as cursor:
        cursor.execute(sql)
    store.close()


def test_a_ledger_that_lacks_a_column_gains_it_and_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "ledger.duckdb"
    changed(path, "insert into allocations (system, usd_cost) values ('shop', 1.5)")
    changed(path, "alter table allocations drop column charge_category")
    store = Store(path)
    assert store.query("select system, charge_category from allocations").rows() == [("shop", None)]
    store.close()


def test_a_ledger_of_a_later_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.duckdb"
    changed(path, "update ledger_meta set value = '999' where key = 'schema_version'")
    with pytest.raises(LedgerError, match="newer version"):
        Store(path)
    with pytest.raises(LedgerError, match="newer version"):
        Store(path)


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database at all, only a note " * 200)
    with pytest.raises(LedgerError, match=r"notes\.txt"):
        Store(path)


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    def write_and_fail() -> None:
        with store.transaction() as cursor:
            cursor.execute("insert into holidays (name) values ('a')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert store.query("select count(*) from holidays").item() == 0


def test_a_transaction_for_bulk_leaves_the_settings_as_they_were_even_when_it_fails(store: Store) -> None:
    def settings() -> tuple[str, int]:
        [found] = store.query("select current_setting('memory_limit'), current_setting('max_vacuum_tasks')").rows()
        return found

    before = settings()
    with store.transaction(is_bulk=True):
        memory, merges = settings()
        assert (memory, int(merges)) == (before[0], 0), "others have the memory that they always have"
    assert settings() == before
    with pytest.raises(ZeroDivisionError), store.transaction(is_bulk=True):
        raise ZeroDivisionError
    assert settings() == before
