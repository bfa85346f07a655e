"""Is the ledger fresh and complete: what was refused, what has no price, no owner, no bill or no traces."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import polars as pl

from metrics.engines import Engine
from metrics.kpi import kpis


@dataclass(frozen=True)
class Check:
    """One question to the ledger: SQL whose rows are what is wrong, and a sentence about them."""

    id: str
    title: str
    sql: str
    fine: str
    wrong: str  # formatted with n, the number of rows, and the columns of the first
    is_information: bool = False  # says something, and is never wrong


def checks(engine: Engine) -> list[dict[str, Any]]:
    """Every check with `id`, `ok`, `title` and `finding`."""
    return [_run(engine, check) for check in _declared()]


def rows(engine: Engine, name: str) -> pl.DataFrame:
    """What a check found, all of it."""
    [check] = [check for check in _declared() if check.id == name]
    return _found(engine, check)


@cache
def _declared() -> list[Check]:
    declared = tomllib.loads((files("metrics") / "coverage.toml").read_text("utf-8"))
    return [Check(id=name, **facts) for name, facts in declared.items()]


def _run(engine: Engine, check: Check) -> dict[str, Any]:
    rows = _found(engine, check).to_dicts()
    finding = check.wrong.format(n=len(rows), **_named(rows)) if rows else check.fine
    return {"id": check.id, "ok": check.is_information or finding == check.fine, "title": check.title, "finding": finding}


def _found(engine: Engine, check: Check) -> pl.DataFrame:
    return engine.query(check.sql, {"kpis": list(kpis())} if "$kpis" in check.sql else None)


def _named(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: "unknown" if value is None else value for name, value in rows[0].items()}
