"""The one way from metrics to data: `query(sql, params)` gives a polars frame."""

from collections.abc import Mapping
from typing import Any, Protocol

import polars as pl


class Engine(Protocol):
    """Anything that runs the portable SQL subset: the ledger's store, or a client of a server that holds it."""

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """The rows of one SELECT; `params` holds exactly the `$name` parameters that the text uses."""
        ...
