"""Files into the ledger: detect, read, validate, commit once per content hash; one transaction and one outcome a file."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from ingest import allocation, drift, insert, rollup
from ingest.attribution import Attribution
from ingest.audit import Outcome, event, record
from ingest.collector import detect
from ingest.content import ContentStore
from ingest.errors import SpanledgerError
from ingest.otlp import files as otlp_files
from ingest.otlp import prometheus, signals
from ingest.otlp.commit import SpanLedger, Written, without_collections
from ingest.otlp.signals import SIGNALS, Items, Signal, SignalKind
from ingest.otlp.span import Reject
from ingest.prices.book import ensure_book
from ingest.probe import probe
from ingest.run import Run
from ingest.sources import Source
from ingest.store import Store
from ingest.table import RowReject, stage

OTLP = "otlp"

ITEMS_PER_INSERT = 20_000
NEWEST_MONTHS = 2  # late spans and restated bills are of these
# Inserts of a file that are decoded before the writer's lock is taken; longer files go on decoding inside it, insert by insert,
# so that memory does not grow with the file.
DECODED_AHEAD = 2


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
        sources = [Source.of(path, name) for path, name in files]
        known = self._known(source.sha256 for source in sources)
        spans = SpanLedger(self.hash_key, self.attribution)
        if self.content is not None:
            self.content.tidy()
        with self.store.transaction() as cursor:
            ensure_book(cursor, self.user_prices)
        run = Run(as_of or self.clock(), frozenset(known.values()))
        outcomes = []
        for source in sorted(sources, key=lambda source: source.order):
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

    def _load_one(self, source: Source, collector: str | None, run: Run, spans: SpanLedger) -> Outcome:
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
        self, source: Source, signal: Signal, items: Iterator[Items], run: Run, spans: SpanLedger, started_at: datetime
    ) -> Outcome:
        outcome = Outcome(source.name, "loaded", OTLP)
        batches = _large(items)
        ahead = deque(islice(batches, DECODED_AHEAD))
        with self.store.transaction(is_bulk=True) as cursor:
            load_id, written = run.next_id(cursor), Written()
            while (read := ahead.popleft() if ahead else next(batches, None)) is not None:
                batch, rejects = read
                written.add(signals.write(cursor, spans, signal, batch, load_id))
                outcome.rejects += [RowReject(r.position, r.reason, r.length, r.sha256) for r in rejects]
            rollup.rebuild(cursor, written.changed)
            run.touch(hour for hour, _ in written.changed)
            outcome.rows, outcome.duplicates_removed = written.rows, written.duplicates
            record(cursor, source, started_at, self.clock(), outcome, load_id)
        return outcome

    def _load_table(self, source: Source, name: str | None, run: Run, spans: SpanLedger, started_at: datetime) -> Outcome:
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
