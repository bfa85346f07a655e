"""Typed rows into their table: slices of bills replaced, registers versioned, records keyed, who pays attributed."""

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import duckdb
import polars as pl

from ingest import slices, store, versions
from ingest.attribution import Attribution
from ingest.collector import Collector
from ingest.errors import SourceError
from ingest.prices.models import canonical_model
from ingest.run import Changed, Incoming, Run
from ingest.table import RowReject

# What a rule may know of a billing line, and the columns that say it.
CHARGE_COLUMNS = {"provider": "provider", "project": "project", "account": "billing_account_id", "sub_account": "sub_account_id",
                  "api_key": "api_key_id"}
OWNER = [*CHARGE_COLUMNS.values(), "tags"]
# Where a bill says when something was used.
STARTS = {"charges": "charge_period_start", "billed_usage": "bucket_start", "gpu_hours": "hour_start"}

def rows(cursor: duckdb.DuckDBPyConnection, collector: Collector) -> Incoming:
    """What a staged file gives its target, by the collector's SQL; a second row of one key is rejected.

    Raises SourceError where the collector refuses the file.
    """
    if collector.refuse is not None:
        for message, hint in cursor.sql(collector.refuse).fetchall():
            raise SourceError(message, hint)
    try:
        frame = cursor.sql(collector.sql).pl()
    except duckdb.DataError as error:
        raise SourceError(f"a number is too large for a {collector.title}", "Mend the file, or export it again") from error
    also = tuple((other, rows(cursor, other)) for other in collector.also)
    if collector.key:
        withdrawn = pl.DataFrame() if collector.covers is None else cursor.sql(collector.covers).pl()
        return replace(_first_of_key(collector, frame, also), covered=withdrawn)
    what = [*collector.slice, *collector.parts, *(collector.period or ())]
    covered, unfinished = (frame.select(what).clear() if sql is None else cursor.sql(sql).pl().select(what)
                           for sql in (collector.covers, collector.unfinished))
    covered = pl.concat([frame.select(what), covered], how="vertical_relaxed").unique(maintain_order=True)
    return Incoming(frame.drop("source_row", strict=False), covered, unfinished.unique(maintain_order=True), [], also)


def _first_of_key(collector: Collector, frame: pl.DataFrame, also: tuple[tuple[Collector, Incoming], ...]) -> Incoming:
    keys = [*collector.key, *(["valid_from"] if collector.register and "valid_from" in frame.columns else [])]
    frame = frame.sort("source_row", maintain_order=True)
    first = pl.struct(keys).is_first_distinct()
    repeated = frame.filter(~first)
    what = " and ".join(collector.key)
    rejects = [RowReject(position, f"a second row with the same {what}") for position in repeated["source_row"]]
    rejects += [reject for _, told in also for reject in told.rejects]
    return Incoming(frame.filter(first).drop("source_row"), pl.DataFrame(), pl.DataFrame(), rejects, also)


def into(cursor: duckdb.DuckDBPyConnection, collector: Collector, incoming: Incoming, run: Run,
         attribution: Attribution) -> Changed:
    """Insert rows into the collector's target, inside the caller's transaction and as the run's newest load."""
    frame = incoming.frame.with_columns(pl.lit(run.load_ids[-1], pl.Int64).alias("load_id"))
    if collector.period or collector.slice:
        frame = frame.with_columns(pl.lit(collector.name).alias("source"))
        frame = _as_bill(frame, collector, attribution) if collector.target in ("charges", "billed_usage") else frame
        starts = [frame[STARTS[collector.target]], *([incoming.covered[collector.period[0]]] if collector.period else [])]
        at = [start for column in starts for start in column.cast(pl.Datetime("us")).dt.truncate("1mo").unique().drop_nulls()]
        changed = Changed(slices.extent(incoming.covered), at=at, replaced=slices.replace(cursor, collector, incoming, run))
        store.insert_rows(cursor, collector.target, frame)
    elif collector.register:
        changed = Changed(services=_services(frame))
        versions.insert(cursor, collector, frame, run)
    else:
        changed = Changed()
        frame = frame.with_columns(pl.lit(collector.name).alias("source"))
        if collector.key:
            store.delete_keys(cursor, collector.target, collector.key, frame)
        if not incoming.covered.is_empty():
            store.delete_keys(cursor, collector.target, collector.key, incoming.covered)
        store.insert_rows(cursor, collector.target, frame)
    for other, told in incoming.also:
        changed.services += into(cursor, other, told, run, attribution).services
    return changed


def total(collector: Collector, frame: pl.DataFrame) -> tuple[Decimal | None, str | None]:
    """The sum that a person compares with the invoice, and its currency; None for files that are no bills."""
    if collector.total is None or frame.is_empty():
        return None, None
    currencies = frame["billing_currency"].drop_nulls().unique().to_list() if "billing_currency" in frame.columns else []
    return Decimal(frame[collector.total].sum()), currencies[0] if len(currencies) == 1 else None


def rejects(cursor: duckdb.DuckDBPyConnection, load_id: int, path: str, found: Sequence[RowReject]) -> None:
    """Keep where and why, never the content: a retry reads the source again."""
    if found:
        frame = pl.DataFrame([(load_id, path, r.position, r.length, r.sha256, r.reason) for r in found], orient="row",
                             schema={"load_id": pl.Int64, "path": pl.String, "position": pl.Int64, "length": pl.Int64,
                                     "content_hash": pl.String, "reason": pl.String})
        store.insert_rows(cursor, "rejects", frame)


def _as_bill(frame: pl.DataFrame, collector: Collector, attribution: Attribution) -> pl.DataFrame:
    """What every bill gets alike: canonical models, dollars, and the dimensions that rules give its lines."""
    pairs = frame.select("provider", "model").unique().drop_nulls("model").rows()
    names = {pair: canonical_model(pair[1], pair[0]) for pair in pairs}
    models = [names.get(pair) for pair in frame.select("provider", "model").rows()]
    frame = frame.with_columns(pl.Series("model", models, pl.String))
    if collector.target == "billed_usage":
        return frame
    no_rate = pl.col("usd_billed_cost").is_null() if "usd_billed_cost" in frame.columns else pl.col("billing_currency") != "USD"
    if lacking := frame.filter(no_rate)["billing_currency"].drop_nulls().unique().sort().to_list():
        raise SourceError(f"billed in {', '.join(lacking)} without a rate to USD",
                          "Export it with a USD column, or convert it first")
    if "usd_billed_cost" not in frame.columns:
        frame = frame.with_columns(pl.col("billed_cost").alias("usd_billed_cost"), pl.col("effective_cost").alias("usd_effective_cost"))
    return _attributed(frame, attribution)


def _attributed(frame: pl.DataFrame, attribution: Attribution) -> pl.DataFrame:
    """The frame with the system and team of every line; one look at the rules for each distinct owner."""
    frame = frame.with_columns([pl.lit(None, pl.String).alias(name) for name in OWNER if name not in frame.columns])
    owners = frame.select(OWNER).unique().rows(named=True)
    found = [attribution.of_charge({key: owner[name] for key, name in CHARGE_COLUMNS.items()}, json.loads(owner["tags"] or "{}"))
             for owner in owners]
    named = [{**owner, **{name: known.get(name) for name in ("system", "team")}} for owner, known in zip(owners, found, strict=True)]
    schema = {**dict.fromkeys(OWNER, pl.String), "system": pl.String, "team": pl.String}
    return frame.drop("system", "team", strict=False).join(pl.DataFrame(named, schema), on=OWNER, how="left", nulls_equal=True)


def attribute_again(cursor: duckdb.DuckDBPyConnection, attribution: Attribution) -> None:
    """Give every stored billing line the system and team that the rules of now name."""
    owners = cursor.sql(f"select distinct {', '.join(OWNER)} from charges").pl()
    cursor.register("owners", _attributed(owners, attribution))
    same = " and ".join(f"charges.{name} is not distinct from o.{name}" for name in OWNER)
    cursor.execute(f"update charges set system = o.system, team = o.team from owners o where {same}")
    cursor.unregister("owners")


def _services(frame: pl.DataFrame) -> list[str]:
    if "service_names" not in frame.columns:
        return []
    return sorted({name for names in frame["service_names"].drop_nulls() for name in names})
