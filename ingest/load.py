"""Files into the ledger: detect, read, validate, commit once per content hash; one transaction and one outcome a file."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import duckdb

from ingest import allocation, drift, insert, rollup
from ingest.attribution import Attribution
from ingest.collector import detect
from ingest.content import ContentStore
from ingest.errors import SpanledgerError, UnknownFormat
from ingest.governance import adrs
from ingest.insert import Run
from ingest.otlp import files as otlp_files
from ingest.otlp import prometheus, signals
from ingest.otlp.commit import SpanLedger, Written, without_collections
from ingest.otlp.signals import SIGNALS, Items, Signal, SignalKind
from ingest.otlp.span import Reject
from ingest.prices.book import ensure_book
from ingest.probe import probe
from ingest.store import Store
from ingest.table import RowReject, stage

Status = Literal["loaded", "partial", "already loaded", "failed"]
OTLP = "otlp"
CONTENT_FOLDER = ".duckdb.content"
OF_A_LEDGER = (".duckdb", ".duckdb.wal", ".duckdb.key", ".duckdb.server", "spanledger.toml")

ITEMS_PER_INSERT = 20_000
NEWEST_MONTHS = 2  # late spans and restated bills are of these
# Inserts of a file that are decoded before the writer's lock is taken; longer files go on decoding inside it, insert by insert,
# so that memory does not grow with the file.
DECODED_AHEAD = 2


@dataclass
class Outcome:
    """What became of one file: rows loaded, rows rejected, the sum of a bill, and the reason of a failure."""

    path: str
    status: Status
    collector: str = ""
    rows: int = 0
    rejected: int = 0
    total: Decimal | None = None
    currency: str | None = None
    message: str = ""
    duplicates_removed: int = 0
    replaced: dict[str, int] = field(default_factory=dict)
    rejects: list[RowReject] = field(default_factory=list)

    def line(self) -> str:
        """The one line that a person reads about this file."""
        if self.status == "failed":
            return f"{self.path}: {self.message}"
        if self.status == "already loaded":
            return f"{self.path}: already loaded, nothing changed"
        parts = [f"{self.rows:,} rows as {self.collector}"]
        if self.total is not None:
            parts.append(f"total {self.total.normalize():,f} {self.currency or ''}".rstrip())
        if self.duplicates_removed:
            parts.append(f"{self.duplicates_removed:,} duplicate spans not counted")
        parts += [f"in place of {rows:,} rows of {other} for the same period" for other, rows in self.replaced.items()]
        if self.rejected:
            first = self.rejects[0] if self.rejects else None
            where = f", first at {first.position}: {first.reason}" if first else ""
            parts.append(f"{self.rejected:,} rejected{where}; see the Data page or table rejects")
        return f"{self.path}: {', '.join(parts)}"


@dataclass(frozen=True)
class Loader:
    """Everything that loading needs beside the files: the store, who owns what, and the key that hides user ids."""

    store: Store
    hash_key: bytes
    attribution: Attribution = field(default_factory=Attribution)
    user_prices: Path | None = None
    shared_costs: Mapping[str, allocation.SharedKey] = field(default_factory=dict)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC).replace(tzinfo=None)
    compare: drift.Compare | None = None
    content: ContentStore | None = None

    def load(
        self,
        files: Sequence[tuple[Path, str]],
        collector: str | None = None,
        as_of: datetime | None = None,
        progress: Callable[[Outcome], None] = lambda outcome: None,
    ) -> list[Outcome]:
        """Load files, each with the name to call it by. One bad file stops nothing else: each is loaded whole, in part
        with rejects, or not at all."""
        sources = [Source(path, name, _sha256(path)) for path, name in files]
        known = self._known(source.sha256 for source in sources)
        spans = SpanLedger(self.hash_key, self.attribution)
        if self.content is not None:
            self.content.tidy()
        with self.store.transaction() as cursor:
            ensure_book(cursor, self.user_prices)
        run = Run(as_of or self.clock(), frozenset(known.values()))
        outcomes = []
        for source in sorted(sources, key=_load_order):
            if source.sha256 in known:
                outcome = Outcome(source.name, "already loaded")
            else:
                outcome = self._load_one(source, collector, run, spans)
                if outcome.status in ("loaded", "partial"):
                    known[source.sha256] = run.load_ids[-1]
            progress(outcome)
            outcomes.append(outcome)
        if run.months:
            with self.store.transaction() as cursor:
                allocation.refresh(cursor, run.months, self.shared_costs)
        self._compare()
        return outcomes

    def catch_up(self) -> None:
        """Hand on and compare what arrived over HTTP since the last load: the newest months with a bill, and complete days."""
        with self.store.transaction() as cursor:
            allocation.refresh(cursor, allocation.months(cursor)[-NEWEST_MONTHS:], self.shared_costs)
        self._compare()

    def rebuild(self) -> int:
        """Apply the rules, roles and prices of now to every stored span and billing line; the number of spans."""
        with self.store.transaction() as cursor:
            ensure_book(cursor, self.user_prices)
            insert.attribute_again(cursor, self.attribution)
            written = SpanLedger(self.hash_key, self.attribution).rebuild(cursor)
            rollup.rebuild_all(cursor)
            allocation.refresh(cursor, allocation.months(cursor), self.shared_costs)
            event(cursor, "rebuild", self.clock(), {"spans": written.rows})
        self._compare()
        return written.rows

    def _compare(self) -> None:
        """Compare the complete days that have no comparison yet, and note it: pages show what they know until then."""
        if days := drift.update(self.store, self.compare, self.clock()):
            with self.store.transaction() as cursor:
                event(cursor, "drift", self.clock(), {"days": days})

    def _known(self, hashes: Iterable[str]) -> dict[str, int]:
        rows = self.store.query(
            "select l.content_hash as content_hash, max(l.id) as id from loads l "
            "where l.status in ('loaded', 'partial') and list_contains($hashes, l.content_hash) group by 1",
            {"hashes": list(hashes)},
        ).rows()
        return dict(rows)

    def _load_one(self, source: "Source", collector: str | None, run: Run, spans: SpanLedger) -> Outcome:
        started_at = self.clock()
        try:
            signal = otlp_files.signal_of(source.path) if collector in (None, OTLP) else None
            if signal is not None:
                with self._keeping(SIGNALS[signal]) as kind, without_collections():
                    items = otlp_files.read(source.path, kind, spans.allow)
                    outcome = self._load_telemetry(source, signal, items, run, spans, started_at)
            elif collector is None and prometheus.is_page(source.path):
                items = prometheus.read(source.path)
                outcome = self._load_telemetry(source, "metrics", items, run, spans, started_at)
            else:
                outcome = self._load_table(source, collector, run, spans, started_at)
        except (SpanledgerError, otlp_files.DecodeError) as error:
            outcome = Outcome(source.name, "failed", message=str(error))
            with self.store.transaction() as cursor:
                record(cursor, source, started_at, self.clock(), outcome)
        return outcome

    def _keeping(self, kind: SignalKind) -> AbstractContextManager[SignalKind]:
        return self.content.keeping(kind) if self.content is not None else nullcontext(kind)

    def _load_telemetry(
        self, source: "Source", signal: Signal, items: Iterator[Items], run: Run, spans: SpanLedger, started_at: datetime
    ) -> Outcome:
        outcome = Outcome(source.name, "loaded", OTLP)
        batches = _large(items)
        ahead = list(islice(batches, DECODED_AHEAD))
        with self.store.transaction() as cursor:
            load_id, written = run.next_id(cursor), Written()
            for batch, rejects in chain(ahead, batches):
                written.add(signals.write(cursor, spans, signal, batch, load_id))
                outcome.rejects += [RowReject(r.position, r.reason, r.length, r.sha256) for r in rejects]
            rollup.rebuild(cursor, written.changed)
            run.touch(hour for hour, _ in written.changed)
            outcome.rows, outcome.duplicates_removed = written.rows, written.duplicates
            record(cursor, source, started_at, self.clock(), outcome, load_id)
        return outcome

    def _load_table(self, source: "Source", name: str | None, run: Run, spans: SpanLedger, started_at: datetime) -> Outcome:
        probed = probe(source.path, source.name)
        collector = detect(probed, name)
        with self.store.cursor() as staging:
            rejects = stage(staging, probed, collector)
            incoming = insert.rows(staging, collector)
        outcome = Outcome(source.name, "loaded", collector.name, incoming.height, rejects=rejects + incoming.rejects)
        with self.store.transaction() as cursor:
            load_id = run.next_id(cursor)
            changed = insert.into(cursor, collector, incoming, run, self.attribution)
            run.touch(changed.at)
            outcome.replaced = changed.replaced
            rollup.rebuild(cursor, rollup.judged(cursor, load_id) if collector.target == "evaluations" else [])
            outcome.total, outcome.currency = insert.total(collector, incoming.frame)
            record(cursor, source, started_at, self.clock(), outcome, load_id, changed.slice)
            if changed.services:
                moved = spans.rebuild(cursor, changed.services).changed
                rollup.rebuild(cursor, moved)
                run.touch(hour for hour, _ in moved)
        return outcome


@dataclass(frozen=True)
class Source:
    """A file to load: where it is, what to call it, and the hash of its bytes."""

    path: Path
    name: str
    sha256: str


def record(
    cursor: duckdb.DuckDBPyConnection,
    source: Source,
    started_at: datetime,
    finished_at: datetime,
    outcome: Outcome,
    load_id: int | None = None,
    slice: dict[str, Any] | None = None,
) -> None:
    """Write the load, its rejects and its audit event in the transaction of the rows themselves."""
    if load_id is None:
        load_id = cursor.execute("select nextval('load_ids')").fetchall()[0][0]
        outcome.rejects = outcome.rejects or [RowReject(0, outcome.message)]
    outcome.rejected = len(outcome.rejects)
    if outcome.status == "loaded" and outcome.rejected:
        outcome.status = "partial"
    cursor.execute(
        "insert into loads values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            load_id,
            outcome.collector,
            source.name,
            source.sha256,
            started_at,
            finished_at,
            outcome.rows,
            outcome.rejected,
            outcome.status,
            outcome.message,
            json.dumps(slice) if slice else None,
        ],
    )
    insert.rejects(cursor, load_id, source.name, outcome.rejects)
    event(
        cursor,
        "load",
        finished_at,
        {"load_id": load_id, "path": source.name, "rows": outcome.rows, "rejected": outcome.rejected, "status": outcome.status},
    )


def event(cursor: duckdb.DuckDBPyConnection, kind: str, at: datetime, detail: dict[str, Any]) -> None:
    """Add to the audit trail."""
    cursor.execute("insert into events values (cast(uuid() as varchar), ?, ?, ?)", [at, kind, json.dumps(detail)])


def find_files(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """The files that a command line names; folders are walked without hidden files, what a ledger itself leaves there, and
    what lies beside decision records without being one.

    Raises UnknownFormat for a missing path.
    """
    found: list[tuple[Path, str]] = []
    for path in paths:
        if path.is_dir():
            inside = (file for file in sorted(path.rglob("*")) if file.is_file())
            found += [
                (file, str(file))
                for file in inside
                if not file.name.endswith(OF_A_LEDGER)
                and not any(part.startswith(".") or part.endswith(CONTENT_FOLDER) for part in file.relative_to(path).parts)
                and not adrs.is_beside(file)
            ]
        elif path.exists():
            found.append((path, str(path)))
        else:
            raise UnknownFormat(f"{path} does not exist", "Check the path")
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load_order(source: Source) -> tuple[int, str]:
    """Small text first: registers name systems and prices before the traces that need them arrive."""
    is_records = source.path.suffix.lower() in (".csv", ".yaml", ".yml", ".md")
    return (0 if is_records else 1, source.name)


def _large(batches: Iterator[Items]) -> Iterator[Items]:
    """The messages of a file together, until they are worth an insert: exporters write a few items each."""
    items: list[Any] = []
    rejects: list[Reject] = []
    for more, broken in batches:
        items += more
        rejects += broken
        if len(items) >= ITEMS_PER_INSERT:
            yield items, rejects
            items, rejects = [], []
    if items or rejects:
        yield items, rejects
