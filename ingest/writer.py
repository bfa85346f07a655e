"""The receiver's writer: one thread, a bounded queue, and one transaction for everything that waits."""

import logging
import queue
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import duckdb

from ingest import insert, rollup
from ingest.otlp import signals
from ingest.otlp.commit import SpanLedger, Written
from ingest.otlp.signals import SIGNALS, Signal
from ingest.otlp.span import Reject
from ingest.store import Store
from ingest.table import RowReject

log = logging.getLogger(__name__)

SOURCE = "otlp/http"
MAX_WAITING_REQUESTS = 256
MAX_WAITING_ITEMS = 500_000
ITEMS_PER_COMMIT = 20_000
# One request of nothing but broken items must not fill the ledger with reasons.
MAX_REJECTS_KEPT = 1_000


def where(error: BaseException) -> str:
    """What an error is and where it came from, without its text, which may quote a value that was sent."""
    return f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}"


class QueueFull(Exception):
    """More waits to be committed than may: the sender has to come again."""


@dataclass
class Request:
    """The items of one body, and the future that its sender waits for."""

    signal: Signal
    items: Sequence[Any]
    rejects: Sequence[Reject]
    done: Future[None] = field(default_factory=Future)

    def row_rejects(self) -> list[RowReject]:
        kept = [RowReject(r.position, r.reason, r.length, r.sha256) for r in self.rejects[:MAX_REJECTS_KEPT]]
        if more := len(self.rejects) - len(kept):
            kept.append(RowReject(self.rejects[len(kept)].position, f"{more:,} more of the same request were rejected"))
        return kept


class Writer:
    """Commits what senders hand in. A request is acknowledged after its commit; a failing group is tried one by one."""

    def __init__(self, store: Store, ledger: SpanLedger, clock: Callable[[], datetime] = lambda: datetime.now(UTC).replace(tzinfo=None)):
        self._store, self._ledger, self._clock = store, ledger, clock
        self._queue: queue.Queue[Request | None] = queue.Queue(MAX_WAITING_REQUESTS)
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._lock = threading.Lock()
        self._waiting_items = 0
        self._is_stopping = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take no more, commit what waits, then end."""
        with self._lock:
            self._is_stopping = True
        self._queue.put(None)
        self._thread.join()

    def submit(self, signal: Signal, items: Sequence[Any], rejects: Sequence[Reject]) -> Future[None]:
        """Queue the items of a body; the future ends with the commit, or with the error that prevented it.

        A request whose future is cancelled before its turn is not written. Raises QueueFull at once when too much waits,
        counted in requests and in items.
        """
        request = Request(signal, items, rejects)
        with self._lock:
            # One request of any size is taken when nothing else waits, or it could never be.
            if self._is_stopping or (self._waiting_items and self._waiting_items + len(items) > MAX_WAITING_ITEMS):
                raise QueueFull
            try:
                self._queue.put_nowait(request)
            except queue.Full as error:
                raise QueueFull from error
            self._waiting_items += len(items)
        return request.done

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            taken, is_last = self._group(first)
            with self._lock:
                self._waiting_items -= sum(len(request.items) for request in taken)
            # From here on nobody can withdraw: what is written is also acknowledged.
            self._settle([request for request in taken if request.done.set_running_or_notify_cancel()])
            if is_last:
                return

    def _group(self, first: Request) -> tuple[list[Request], bool]:
        group, count = [first], len(first.items)
        while count < ITEMS_PER_COMMIT:
            try:
                request = self._queue.get_nowait()
            except queue.Empty:
                return group, False
            if request is None:
                return group, True
            group.append(request)
            count += len(request.items)
        return group, False

    def _settle(self, group: Sequence[Request]) -> None:
        try:
            self._commit(group)
        except Exception as error:
            log.error("%d requests were not committed: %s", len(group), where(error))
            if len(group) > 1:
                for request in group:
                    self._settle([request])
            else:
                group[0].done.set_exception(error)
        else:
            for request in group:
                request.done.set_result(None)

    def _commit(self, group: Sequence[Request]) -> None:
        if not group:
            return
        now = self._clock()
        rejects = [reject for request in group for reject in request.row_rejects()]
        rejected = sum(len(request.rejects) for request in group)
        with self._store.transaction() as cursor:
            load_id, written = self._load_of(cursor, now), Written()
            for signal in SIGNALS:
                items = [item for request in group if request.signal == signal for item in request.items]
                written.add(signals.write(cursor, self._ledger, signal, items, load_id))
            rollup.rebuild(cursor, written.changed)
            insert.rejects(cursor, load_id, SOURCE, rejects)
            cursor.execute(
                """update loads set rows = rows + ?, rejected = rejected + ?, finished_at = ?,
                                status = case when rejected + ? > 0 then 'partial' else 'loaded' end where id = ?""",
                [written.rows, rejected, now, rejected, load_id],
            )

    def _load_of(self, cursor: duckdb.DuckDBPyConnection, now: datetime) -> int:
        """The load that stands for everything received on one day."""
        path = f"{SOURCE} {now:%Y-%m-%d}"
        found = cursor.execute("select id from loads where source = ? and path = ?", [SOURCE, path]).fetchall()
        if found:
            return int(found[0][0])
        load_id = int(cursor.execute("select nextval('load_ids')").fetchall()[0][0])
        cursor.execute("insert into loads values (?, ?, ?, null, ?, ?, 0, 0, 'loaded', '', null)", [load_id, SOURCE, path, now, now])
        return load_id
