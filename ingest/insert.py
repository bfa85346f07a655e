"""Typed rows into their table: slices of bills replaced, registers versioned, records keyed, who pays attributed."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl

from ingest.attribution import Attribution
from ingest.collector import Collector, collectors
from ingest.errors import SourceError
from ingest.prices.models import canonical_model
from ingest.table import RowReject

OPEN_START = datetime(1970, 1, 1)
# What a rule may know of a billing line, and the columns that say it.
CHARGE_COLUMNS = {"provider": "provider", "project": "project", "account": "billing_account_id", "sub_account": "sub_account_id",
                  "api_key": "api_key_id"}
OWNER = [*CHARGE_COLUMNS.values(), "tags"]
# Columns of a register or record row that do not belong to what it says.
BOOKKEEPING = ("load_id", "valid_from", "valid_to", "source")
# Where a bill says when something was used.
STARTS = {"charges": "charge_period_start", "billed_usage": "bucket_start", "gpu_hours": "hour_start"}

Bucket = tuple[Any, ...]


@dataclass
class Page:
    """The buckets at the edges of a page that was loaded: where it began, and where it broke off."""

    collector: str
    load_id: int
    first: set[Bucket]
    unfinished: set[Bucket]


@dataclass
class Run:
    """One load command: its date for registers, the loads and pages it made, and the loads of its unchanged files."""

    as_of: datetime
    known_ids: frozenset[int]
    load_ids: list[int] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    months: set[date] = field(default_factory=set)  # in which calls or charges changed

    def touch(self, moments: Iterable[datetime]) -> None:
        self.months |= {date(moment.year, moment.month, 1) for moment in moments}

    def next_id(self, cursor: duckdb.DuckDBPyConnection) -> int:
        load_id: int = cursor.execute("select nextval('load_ids')").fetchall()[0][0]
        self.load_ids.append(load_id)
        return load_id


@dataclass(frozen=True)
class Incoming:
    """A staged file: rows for the target, what it covers of it, the buckets it leaves unfinished, and rejects.

    `also` is the same for each further table that the file fills.
    """

    frame: pl.DataFrame
    covered: pl.DataFrame
    unfinished: pl.DataFrame
    rejects: list[RowReject]
    also: tuple[tuple[Collector, "Incoming"], ...] = ()

    @property
    def height(self) -> int:
        """Rows of the target; those of a second register count, too: a file may have rows for that one only."""
        return self.frame.height + sum(told.height for other, told in self.also if other.register)


@dataclass
class Changed:
    """What a file touched beyond its own rows: the slice it covers, services whose system may differ now, the times of what
    changed, and how many rows of other collectors told the same and are gone."""

    slice: dict[str, Any] | None = None
    services: list[str] = field(default_factory=list)
    at: list[datetime] = field(default_factory=list)
    replaced: dict[str, int] = field(default_factory=dict)


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
        changed = Changed(_slice(incoming.covered), at=at, replaced=_replace_slice(cursor, collector, incoming, run))
        _insert(cursor, collector.target, frame)
    elif collector.register:
        changed = Changed(services=_services(frame))
        _insert_versions(cursor, collector, frame, run)
    else:
        changed = Changed()
        frame = frame.with_columns(pl.lit(collector.name).alias("source"))
        if collector.key:
            _delete_keys(cursor, collector.target, collector.key, frame)
        if not incoming.covered.is_empty():
            _delete_keys(cursor, collector.target, collector.key, incoming.covered)
        _insert(cursor, collector.target, frame)
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
        _insert(cursor, "rejects", frame)


def _insert(cursor: duckdb.DuckDBPyConnection, table: str, frame: pl.DataFrame) -> None:
    columns = cursor.execute("select column_name from information_schema.columns where table_name = ?", [table]).fetchall()
    wanted = [row[0] for row in columns]
    cursor.register("incoming", frame.select([name for name in frame.columns if name in wanted]))
    cursor.execute(f"insert into {table} by name select * from incoming")
    cursor.unregister("incoming")


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


def _replace_slice(cursor: duckdb.DuckDBPyConnection, collector: Collector, incoming: Incoming, run: Run) -> dict[str, int]:
    """Delete what this file replaces: what earlier loads said of the same, and for whole exports this load's files too.
    The number of rows that went of each other collector."""
    covered, table = incoming.covered, collector.target
    if not covered.columns:
        return {}
    during = [f"t.{collector.period[0]} < k.{collector.period[1]}", f"t.{collector.period[1]} > k.{collector.period[0]}"] \
        if collector.period else []
    own = [f"t.{name} is not distinct from k.{name}" for name in collector.slice]
    continued = covered.with_columns(pl.Series("kept", _continued(collector, incoming, run), pl.List(pl.Int64)))
    cursor.register("covered", continued.unique([*collector.slice, *(collector.period or ())], maintain_order=True))
    cursor.execute(f"""delete from {table} t using covered k where t.source = $source and {' and '.join([*own, *during])}
                         and not list_contains($kept, t.load_id) and not list_contains(k.kept, t.load_id)""",
                   {"source": collector.name, "kept": [*run.known_ids, *run.load_ids] if collector.chunked else []})
    # One format may name the account and the other not: between formats an unnamed account is any.
    same = [f"(t.{name} is not distinct from k.{name} or {_is_any(name, collector)})" for name in collector.slice]
    same += [f"(t.{name} is not distinct from k.{name} or {_is_untold(name, collector)})" for name in collector.parts]
    cursor.register("covered", covered)
    gone = cursor.execute(f"""delete from {table} t using covered k
                       where list_contains($others, t.source) and {' and '.join([*same, *during])} returning t.source""",
                          {"others": list(collector.replaces)}).fetchall()
    cursor.unregister("covered")
    return dict(sorted(Counter(source for source, in gone).items()))


def _slice(covered: pl.DataFrame) -> dict[str, Any] | None:
    """From where to where a file covers each column of its slice."""
    spans = covered.select([pl.col(name).cast(pl.String).min().alias(f"{name}_from") for name in covered.columns]
                           + [pl.col(name).cast(pl.String).max().alias(f"{name}_to") for name in covered.columns])
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
    return [[other.load_id for other in others
             if bucket in (page.first & other.unfinished) | (other.first & page.unfinished)] for bucket in buckets]


def _delete_keys(cursor: duckdb.DuckDBPyConnection, table: str, keys: Sequence[str], frame: pl.DataFrame) -> None:
    cursor.register("keys", frame.select(keys).unique())
    same = " and ".join(f"t.{name} is not distinct from k.{name}" for name in keys)
    cursor.execute(f"delete from {table} t using keys k where {same}")
    cursor.unregister("keys")


def _services(frame: pl.DataFrame) -> list[str]:
    if "service_names" not in frame.columns:
        return []
    return sorted({name for names in frame["service_names"].drop_nulls() for name in names})


def _insert_versions(cursor: duckdb.DuckDBPyConnection, collector: Collector, frame: pl.DataFrame,
                     run: Run) -> None:
    """Add a version for each row that says something new; `valid_to` is the start of the key's next version."""
    table, keys = collector.target, collector.key
    earlier = cursor.execute(f"select count(*) from {table} where not list_contains($run, load_id)",
                             {"run": run.load_ids}).fetchall()[0][0]
    default_from = run.as_of.replace(hour=0, minute=0, second=0, microsecond=0) if earlier else OPEN_START
    given = pl.col("valid_from") if "valid_from" in frame.columns else pl.lit(None, pl.Datetime("us"))
    frame = frame.with_columns(is_dated=given.is_not_null(), valid_from=given.fill_null(default_from),
                               valid_to=pl.lit(None, pl.Datetime("us")))
    frame = _news(cursor, table, keys, frame)
    _delete_keys(cursor, table, (*keys, "valid_from"), frame)
    _insert(cursor, table, frame)
    partition = ", ".join(f"t.{name}" for name in keys)
    cursor.execute(f"""
        update {table} set valid_to = v.next_from from (
            select t.rowid as row, lead(t.valid_from) over (partition by {partition} order by t.valid_from) as next_from from {table} t) v
        where {table}.rowid = v.row""")


def _news(cursor: duckdb.DuckDBPyConnection, table: str, keys: Sequence[str], frame: pl.DataFrame) -> pl.DataFrame:
    """The rows without those that bring no date of their own and say what the version in force says already."""
    columns = cursor.execute("""
        select column_name from information_schema.columns where table_name = ? order by ordinal_position""", [table]).fetchall()
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
