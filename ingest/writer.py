"""The receiver's writer: one thread, a bounded queue, and one transaction for everything that waits."""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime

import duckdb

from ingest import insert, rollup
from ingest.otlp.commit import SpanLedger, Written
from ingest.otlp.span import Reject, Span
from ingest.store import Store
from ingest.table import RowReject

log = logging.getLogger(__name__)

SOURCE = "otlp/http"
MAX_WAITING_REQUESTS = 256
SPANS_PER_COMMIT = 20_000


class QueueFull(Exception):
    """More requests wait than may: the sender has to come again."""


@dataclass
class Request:
    """The spans of one body, and the future that its sender waits for."""

    spans: Sequence[Span]
    rejects: Sequence[Reject]
    done: Future[None] = field(default_factory=Future)


class Writer:
    """Commits what senders hand in. A request is acknowledged after its commit; a failing group is tried one by one."""

    def __init__(self, store: Store, ledger: SpanLedger, clock: Callable[[], datetime] = lambda: datetime.now(UTC).replace(tzinfo=None)):
        self._store, self._ledger, self._clock = store, ledger, clock
        self._queue: queue.Queue[Request | None] = queue.Queue(MAX_WAITING_REQUESTS)
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Commit what waits, then end."""
        self._queue.put(None)
        self._thread.join()

    def submit(self, spans: Sequence[Span], rejects: Sequence[Reject]) -> Future[None]:
        """Queue the spans of a body; the future ends with the commit, or with the error that prevented it.

        Raises QueueFull at once when too many requests wait.
        """
        request = Request(spans, rejects)
        try:
            self._queue.put_nowait(request)
        except queue.Full as error:
            raise QueueFull from error
        return request.done

    def _run(self) -> None:
        while (request := self._queue.get()) is not None:
            group, is_last = self._group(request)
            try:
                self._commit(group)
            except Exception:
                log.exception("a group of %d requests was not committed; trying each by itself", len(group))
                self._commit_each(group)
            else:
                for member in group:
                    member.done.set_result(None)
            if is_last:
                return

    def _group(self, first: Request) -> tuple[list[Request], bool]:
        group, spans = [first], len(first.spans)
        while spans < SPANS_PER_COMMIT:
            try:
                request = self._queue.get_nowait()
            except queue.Empty:
                return group, False
            if request is None:
                return group, True
            group.append(request)
            spans += len(request.spans)
        return group, False

    def _commit_each(self, group: Sequence[Request]) -> None:
        for request in group:
            try:
                self._commit([request])
            except Exception as error:
                log.exception("a request of %d spans was not committed", len(request.spans))
                request.done.set_exception(error)
            else:
                request.done.set_result(None)

    def _commit(self, group: Sequence[Request]) -> None:
        spans = [span for request in group for span in request.spans]
        rejects = [RowReject(r.position, r.reason, r.length, r.sha256) for request in group for r in request.rejects]
        if not spans and not rejects:
            return
        now = self._clock()
        with self._store.transaction() as cursor:
            load_id = self._load_of(cursor, now)
            written = self._ledger.write(cursor, spans, load_id) if spans else Written()
            rollup.rebuild(cursor, written.changed_at)
            insert.rejects(cursor, load_id, SOURCE, rejects)
            cursor.execute(
                """update loads set rows = rows + ?, rejected = rejected + ?, finished_at = ?,
                                status = case when rejected + ? > 0 then 'partial' else 'loaded' end where id = ?""",
                [written.rows, len(rejects), now, len(rejects), load_id],
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
