"""What a bill replaces: the same slice of an account and a period as it, or another format of it, told before."""

from collections import Counter
from typing import Any

import duckdb
import polars as pl

from ingest.collector import Collector, collectors
from ingest.run import Incoming, Page, Run


def replace(cursor: duckdb.DuckDBPyConnection, collector: Collector, incoming: Incoming, run: Run) -> dict[str, int]:
    """Delete what this file replaces: what earlier loads said of the same, and for whole exports this load's files too.
    The number of rows that went of each other collector."""
    covered, table = incoming.covered, collector.target
    if not covered.columns:
        return {}
    during = (
        [f"t.{collector.period[0]} < k.{collector.period[1]}", f"t.{collector.period[1]} > k.{collector.period[0]}"]
        if collector.period
        else []
    )
    own = [f"t.{name} is not distinct from k.{name}" for name in collector.slice]
    continued = covered.with_columns(pl.Series("kept", _continued(collector, incoming, run), pl.List(pl.Int64)))
    cursor.register("covered", continued.unique([*collector.slice, *(collector.period or ())], maintain_order=True))
    cursor.execute(
        f"""delete from {table} t using covered k where t.source = $source and {" and ".join([*own, *during])}
                         and not list_contains($kept, t.load_id) and not list_contains(k.kept, t.load_id)""",
        {"source": collector.name, "kept": [*run.known_ids, *run.load_ids] if collector.chunked else []},
    )
    # One format may name the account and the other not: between formats an unnamed account is any.
    same = [f"(t.{name} is not distinct from k.{name} or {_is_any(name, collector)})" for name in collector.slice]
    same += [f"(t.{name} is not distinct from k.{name} or {_is_untold(name, collector)})" for name in collector.parts]
    cursor.register("covered", covered)
    gone = cursor.execute(
        f"""delete from {table} t using covered k
                       where list_contains($others, t.source) and {" and ".join([*same, *during])} returning t.source""",
        {"others": list(collector.replaces)},
    ).fetchall()
    cursor.unregister("covered")
    return dict(sorted(Counter(source for (source,) in gone).items()))


def extent(covered: pl.DataFrame) -> dict[str, Any] | None:
    """From where to where a file covers each column of its slice."""
    spans = covered.select(
        [pl.col(name).cast(pl.String).min().alias(f"{name}_from") for name in covered.columns]
        + [pl.col(name).cast(pl.String).max().alias(f"{name}_to") for name in covered.columns]
    )
    return spans.row(0, named=True) if covered.columns else None


def _is_any(name: str, collector: Collector) -> str:
    """SQL for what other formats leave open: a slice that is not named, or that the format does not tell apart."""
    return f"t.{name} is null or k.{name} is null or {_is_untold(name, collector)}"


def _is_untold(name: str, collector: Collector) -> str:
    """SQL for rows of a format that does not tell a column apart."""
    others = {other: collectors()[other] for other in collector.replaces}
    coarser = [other for other, about in others.items() if name not in (*about.slice, *about.parts, *(about.period or ()))]
    return " or ".join(["false", *(f"t.source = '{other}'" for other in coarser)])


def _continued(collector: Collector, incoming: Incoming, run: Run) -> list[list[int]]:
    """For each covered bucket the loads of this run that told another part of it, on the page before or after."""
    buckets = incoming.covered.rows()
    if collector.unfinished is None or collector.period is None or not buckets:
        return [[] for _ in buckets]
    start = incoming.covered.columns.index(collector.period[0])
    earliest = min(bucket[start] for bucket in buckets)
    first = {bucket for bucket in buckets if bucket[start] == earliest}
    page = Page(collector.name, run.load_ids[-1], first, set(incoming.unfinished.rows()))
    others = [other for other in run.pages if other.collector == collector.name]
    run.pages.append(page)
    return [
        [other.load_id for other in others if bucket in (page.first & other.unfinished) | (other.first & page.unfinished)]
        for bucket in buckets
    ]
