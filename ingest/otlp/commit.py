"""Spans into the ledger: the closure of what a batch touches is resolved, priced and written again."""

import gc
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

import duckdb
import msgspec
import polars as pl

from ingest.attribution import Attribution, Services
from ingest.otlp.attributes import allow_list
from ingest.otlp.calls import Resolved, resolve
from ingest.otlp.closure import ClosureKeys, Window, closure
from ingest.otlp.evaluations import NAME, RETRIEVED, evaluations, retrievals
from ingest.otlp.evaluations import write as write_evaluations
from ingest.otlp.facts import Facts, facts
from ingest.otlp.span import Span
from ingest.prices.book import name_models

EPOCH = datetime(1970, 1, 1)
REBUILD_SPANS = 20_000
HOUR_US = 3600 * 1_000_000

# Columns that come straight from the facts of the call or span.
Kinds = dict[str, pl.DataType | type[pl.DataType]]
FACTS: Kinds = {
    "service": pl.String, "environment": pl.String, "system": pl.String, "team": pl.String, "feature": pl.String, "tenant": pl.String,
    "cost_center": pl.String, "project": pl.String, "user_key": pl.String, "conversation_id": pl.String, "prompt_name": pl.String,
    "prompt_version": pl.String, "operation": pl.String, "provider": pl.String, "region_scope": pl.String, "request_model": pl.String,
    "response_model": pl.String, "model": pl.String, "service_tier": pl.String, "response_id": pl.String, "input_tokens": pl.Int64,
    "cache_read_tokens": pl.Int64, "cache_write_tokens": pl.Int64, "cache_write_1h_tokens": pl.Int64, "output_tokens": pl.Int64,
    "reasoning_tokens": pl.Int64, "tokens_estimated": pl.Boolean, "token_convention": pl.String, "token_rule": pl.String,
    "ttft_ms": pl.Float64, "finish_reason": pl.String, "error_type": pl.String, "streaming": pl.Boolean, "response_cached": pl.Boolean,
    "reported_cost_usd": pl.Decimal(24, 12), "tool_name": pl.String, "scope_name": pl.String,
    "scope_version": pl.String, "name": pl.String, "span_id": pl.String}
# How the span was sent, under the names of the facts.
SENT: dict[str, tuple[str, type[pl.DataType]]] = {
    "sent_trace_id": ("trace_id", pl.String), "sent_parent_span_id": ("parent_span_id", pl.String), "span_kind": ("kind", pl.Int32),
    "status_code": ("status_code", pl.Int32)}
RESOLVED: Kinds = {
    "role": pl.String, "trace_id": pl.String, "parent_span_id": pl.String, "duplicate_of": pl.String, "dedupe_rule": pl.String,
    "starts_request": pl.Boolean}

# What the macro price_calls reads of a call.
PRICED = (
    "id", "started_at", "provider", "model", "region_scope", "service_tier", "input_tokens", "cache_read_tokens", "cache_write_tokens",
    "cache_write_1h_tokens", "output_tokens", "tokens_estimated", "token_convention", "error_type", "response_cached",
    "reported_cost_usd", "scope_name")

RETRIEVED_IDS = frozenset(f"{name}.ids" for name in RETRIEVED)

STORED = """
select s.sent_trace_id, s.span_id, s.sent_parent_span_id, s.name, s.span_kind, s.started_at,
       coalesce(s.sent_duration_ms, s.duration_ms), s.status_code,
       s.scope_name, s.scope_version, s.attributes, s.load_id, s.rowid, case when s.role = 'call' then {'system': s.system} end
from spans s
"""


@dataclass
class Written:
    """What a batch did: its spans, how many of them repeat a call, and where calls changed: (hour, system)."""

    rows: int = 0
    duplicates: int = 0
    changed: set[tuple[datetime, str | None]] = field(default_factory=set)

    def add(self, other: "Written") -> None:
        self.rows += other.rows
        self.duplicates += other.duplicates
        self.changed |= other.changed


class _Known(msgspec.Struct, gc=False):
    """One version of a span beside its facts: what is stored of it as it is, and where it lies if it is stored."""

    attributes: str
    load_id: int
    rowid: int | None = None
    called: dict[str, str | None] | None = None  # the system that it counted for, if it was a call


class SpanLedger:
    """Writes spans of one ledger. `allow` is what decoders may keep: the table's attributes and those of the rules."""

    def __init__(self, hash_key: bytes, attribution: Attribution) -> None:
        self.allow = allow_list(hash_key, attribution.attribute_keys)
        self._attribution = attribution

    def write(self, cursor: duckdb.DuckDBPyConnection, spans: Sequence[Span], load_id: int) -> Written:
        """Write a batch inside the caller's transaction; rollups of what changed are the caller's to rebuild."""
        with without_collections():
            read = [(own, span) for span in spans if (own := self._read(span)).genai]
            known = {id(own): _Known(msgspec.json.encode(span.attributes).decode(), load_id) for own, span in read}
            _write_beside(cursor, spans, load_id)
            return self._settle(cursor, [own for own, _ in read], known)

    def rebuild(self, cursor: duckdb.DuckDBPyConnection, services: Collection[str] | None = None) -> Written:
        """Read stored spans again under the rules, roles and prices of now: all, or those of some services."""
        where, params = ("", {}) if services is None else ("where list_contains($services, s.service)", {"services": list(services)})
        # Rows move when they are written again, so spans are found by identity.
        wanted = cursor.sql(f"select s.sent_trace_id as trace_id, s.span_id as span_id from spans s {where} order by s.started_at",
                            params=params).pl()
        written = Written()
        for part in wanted.iter_slices(REBUILD_SPANS):
            known: dict[int, _Known] = {}
            cursor.register("wanted", part)
            batch = self._fetch(cursor, f"{STORED} join wanted w on w.trace_id = s.sent_trace_id and w.span_id = s.span_id", {}, known)
            cursor.unregister("wanted")
            written.add(self._settle(cursor, batch, known))
        return written

    def _read(self, span: Span) -> Facts:
        own = facts(span)
        if self._attribution.rules or self._attribution.keys:
            for name, value in self._attribution.of_span(own.service, own.scope_name, span.attributes).items():
                setattr(own, name, value)
        return own

    def _settle(self, cursor: duckdb.DuckDBPyConnection, batch: list[Facts], known: dict[int, _Known]) -> Written:
        around = closure(batch, lambda keys: self._stored(cursor, keys, known))
        settled = resolve(around)
        _place(settled, Services(cursor))
        if len(settled) < len(around):
            _keep_first_load(settled, around, known)
        changed = {(entry.facts.started_us // HOUR_US, entry.facts.system) for entry in settled if entry.role == "call"}
        stored = [(own, version) for own in around if (version := known[id(own)]).rowid is not None]
        changed |= {(own.started_us // HOUR_US, version.called["system"]) for own, version in stored if version.called is not None}
        if stored:
            cursor.execute("delete from spans where rowid in (select unnest($rows))", {"rows": [version.rowid for _, version in stored]})
        _insert(cursor, settled, [known[id(entry.own)] for entry in settled])
        new = {(own.trace_id, own.span_id) for own in batch}
        return Written(
            rows=len(new),
            duplicates=sum((entry.own.trace_id, entry.own.span_id) in new for entry in settled if entry.role == "duplicate"),
            changed={(_time(hour * HOUR_US), system) for hour, system in changed})

    def _stored(self, cursor: duckdb.DuckDBPyConnection, keys: ClosureKeys, known: dict[int, _Known]) -> list[Facts]:
        """Stored spans of the traces, response ids and windows; the bounds on time let zone maps prune."""
        cursor.register("wanted_traces", pl.DataFrame({"trace_id": list(keys.trace_ids)}, schema={"trace_id": pl.String}))
        cursor.register("wanted_ids", pl.DataFrame({"response_id": list(keys.response_ids)}, schema={"response_id": pl.String}))
        cursor.register("wanted_windows", _disjoint(keys.windows))
        found = self._fetch(cursor, f"""
            with near as (select s.rowid as row, s.* from spans s where s.started_at between $from and $until),
            hits as (
                select n.row from near n semi join wanted_traces w on w.trace_id = n.sent_trace_id
                union select n.row from near n semi join wanted_ids w on w.response_id = n.response_id
                union select n.row from (select m.row, coalesce(m.service, '') as service, m.started_at,
                                                m.started_at + to_microseconds(cast(m.duration_ms * 1000 as bigint)) as ended_at
                                         from near m where m.role in ('call', 'duplicate', 'wrapper')) n
                      asof join wanted_windows w on w.service = n.service and n.ended_at >= w.started_at
                      where w.ended_at >= n.started_at)
            {STORED} where s.started_at between $from and $until and s.rowid in (select h.row from hits h)""",
            {"from": _time(keys.from_us), "until": _time(keys.until_us)}, known)
        for name in ("wanted_traces", "wanted_ids", "wanted_windows"):
            cursor.unregister(name)
        return found

    def _fetch(self, cursor: duckdb.DuckDBPyConnection, sql: str, params: dict[str, Any], known: dict[int, _Known]) -> list[Facts]:
        found = []
        for (trace_id, span_id, parent, name, kind, started_at, duration_ms, status_code, scope_name, scope_version, attributes,
             load_id, rowid, called) in cursor.execute(sql, params).fetchall():
            started_us = round((started_at - EPOCH) / timedelta(microseconds=1))
            span = Span(trace_id, span_id, parent, name, kind, started_us, started_us + round(duration_ms * 1000), status_code,
                        scope_name, scope_version, msgspec.json.decode(attributes))
            found.append(own := self._read(span))
            known[id(own)] = _Known(attributes, load_id, rowid, called)
        return found


@contextmanager
def without_collections() -> Iterator[None]:
    """A batch makes many objects that all live to its end: looking for garbage among them, again and again, finds none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _keep_first_load(settled: Iterable[Resolved], around: Iterable[Facts], known: Mapping[int, _Known]) -> None:
    """Of several loads that brought a span, it stays with the first, whichever version counts."""
    kept = {(entry.own.trace_id, entry.own.span_id): known[id(entry.own)] for entry in settled}
    for own in around:
        version = kept[own.trace_id, own.span_id]
        version.load_id = min(version.load_id, known[id(own)].load_id)


def _place(settled: Iterable[Resolved], services: Services) -> None:
    """System, team and cost centre by the register, where no rule and no attribute named them."""
    for found in (entry.facts for entry in settled):
        if not found.system:
            for name, value in services.of(found.service, found.started_us).items():
                if getattr(found, name) is None:
                    setattr(found, name, value)
        elif found.team is None:
            found.team = services.team_of(found.system)


def _column(rows: Sequence[object], name: str, kind: pl.DataType | type[pl.DataType]) -> pl.Series:
    return pl.Series(list(map(attrgetter(name), rows)), dtype=kind)


def _insert(cursor: duckdb.DuckDBPyConnection, settled: Sequence[Resolved], known: Sequence[_Known]) -> None:
    found = [entry.facts for entry in settled]
    columns = {name: _column(found, name, kind) for name, kind in FACTS.items()}
    columns |= {name: _column(found, sent, kind) for name, (sent, kind) in SENT.items()}
    columns |= {name: _column(settled, name, kind) for name, kind in RESOLVED.items()}
    columns |= {
        "id": pl.Series(range(len(found)), dtype=pl.Int64),
        "flags": pl.Series([",".join(facts.flags) for facts in found], dtype=pl.String),
        "started_at": _column(found, "started_us", pl.Int64).cast(pl.Datetime("us")),
        "duration_ms": pl.Series([(facts.ended_us - facts.started_us) / 1000 for facts in found], dtype=pl.Float64),
        "sent_duration_ms": pl.Series([(entry.own.ended_us - entry.own.started_us) / 1000 for entry in settled], dtype=pl.Float64),
        "attributes": _column(known, "attributes", pl.String), "load_id": _column(known, "load_id", pl.Int64)}
    frame = pl.DataFrame(columns)
    cursor.register("settled", frame.to_arrow())
    cursor.register("called", frame.filter(pl.col("role") == "call").select(PRICED).to_arrow())
    name_models(cursor, "called")
    cursor.execute("""
        insert into spans by name
        select s.* exclude (id, flags), p.cost_usd, p.cost_status, p.cost_low_usd, p.cost_high_usd, p.price_source,
               list_concat(case when s.flags = '' then [] else string_split(s.flags, ',') end, coalesce(p.price_flags, [])) as flags
        from settled s left join price_calls('called') p on p.id = s.id""")
    cursor.unregister("called")
    cursor.unregister("settled")


def _write_beside(cursor: duckdb.DuckDBPyConnection, spans: Sequence[Span], load_id: int) -> None:
    """Evaluations and retrieved documents that spans carry; the same span sent again replaces its own documents."""
    write_evaluations(
        cursor, (row for span in spans if span.events or NAME in span.attributes for row in evaluations(span)), load_id)
    rows = [row for span in spans if not RETRIEVED_IDS.isdisjoint(span.attributes) for row in retrievals(span)]
    if rows:
        keys = ("trace_id", "span_id", "rank")
        frame = pl.DataFrame(rows, infer_schema_length=None).unique(keys, keep="last").with_columns(pl.lit(load_id).alias("load_id"))
        cursor.register("beside", frame)
        same = " and ".join(f"t.{key} = b.{key}" for key in keys)
        cursor.execute(f"delete from retrievals t using beside b where {same}")
        cursor.execute("insert into retrievals by name select * from beside")
        cursor.unregister("beside")


def _disjoint(windows: Iterable[Window]) -> pl.DataFrame:
    """Windows of each service merged where they overlap, so that a stored span meets at most one."""
    merged: list[tuple[str, int, int]] = []
    for service, started_us, ended_us in sorted((window.service or "", window.started_us, window.ended_us) for window in windows):
        if merged and merged[-1][0] == service and started_us <= merged[-1][2]:
            merged[-1] = (service, merged[-1][1], max(merged[-1][2], ended_us))
        else:
            merged.append((service, started_us, ended_us))
    frame = pl.DataFrame(merged, orient="row", schema={"service": pl.String, "started_at": pl.Int64, "ended_at": pl.Int64})
    return frame.with_columns(pl.col("started_at", "ended_at").cast(pl.Datetime("us")))


def _time(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)
