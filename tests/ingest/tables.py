"""Small tables as tests write them: rows that say what differs from a plain one, as CSV or Parquet."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ingest.load import Loader
from ingest.sources import find_files
from ingest.store import Store


def csv_of(plain: Mapping[str, str], *rows: Mapping[str, str], without: Sequence[str] = ()) -> str:
    """A CSV file: `plain` with what each row says differently, some columns left out."""
    text = io.StringIO()
    names = [name for name in dict.fromkeys(name for row in (plain, *rows) for name in row) if name not in without]
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({**plain, **row} for row in rows)
    return text.getvalue()


def lines_of(store: Store, table: str = "charges") -> list[dict[str, Any]]:
    """The rows of a table without the number of their load, in a fixed order."""
    return store.query(f"select * exclude (load_id) from {table} order by all").rows(named=True)


def assert_truncated_parquet_leaves_nothing(loader: Loader, store: Store, path: Path) -> None:
    """Cut a Parquet file short at its end and in its middle: it fails in words and the ledger stays empty."""
    whole = path.read_bytes()
    for cut in (whole[:-20], whole[: len(whole) // 2], whole[:200] + b"\0" * 400 + whole[600:]):
        path.write_bytes(cut)
        [outcome] = loader.load(find_files([path]))
        if outcome.status != "failed":
            pytest.fail(f"loaded from {len(cut)} of {len(whole)} bytes")
        assert "truncated or damaged Parquet file" in outcome.message
    assert lines_of(store) == []
