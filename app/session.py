"""What every page shares: the process's one store, and results cached for as long as the ledger stays as it is."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st

from app import settings
from ingest.allocation import SharedKey
from ingest.store import Store

_store: Store | None = None


def use(store: Store) -> None:
    """Make the server's store the one that pages read."""
    global _store
    _store = store


def store() -> Store:
    """The store of this process; without a server (tests, one page by itself) the ledger of the settings."""
    global _store
    if _store is None:
        _store = Store(Path(settings.read().db))
    return _store


def shared_costs() -> Mapping[str, SharedKey]:
    """By which key costs of a unit class are shared, as the settings say."""
    return settings.read().shared_costs


def version() -> str:
    """Changes with every load and every change by hand: the key of everything that pages cache."""
    row = (
        store()
        .query("""
        select count(*) as loads, max(l.finished_at) as finished_at, sum(l.rows) as loaded, (select count(*) from events) as events
        from loads l""")
        .row(0)
    )
    return "|".join(map(str, row))


class CachedEngine:
    """An engine whose answers are kept until the ledger changes."""

    def __init__(self) -> None:
        self._version = version()

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> pl.DataFrame:
        frame: pl.DataFrame = _cached_query()(self._version, sql, dict(params or {}))
        return frame


@cache
def _cached_query() -> Callable[[str, str, dict[str, Any]], pl.DataFrame]:
    """Made when the first page asks: outside a running app Streamlit warns that there is none."""

    @st.cache_data(max_entries=512, show_spinner=False)
    def query(version: str, sql: str, params: dict[str, Any]) -> pl.DataFrame:
        return store().query(sql, params)

    return query
