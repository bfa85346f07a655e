"""The ledger that this process reads: its own store, or the server that has the file open."""

import io
import json
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import polars as pl

from app.settings import Settings
from ingest.audit import Outcome, event
from ingest.errors import LedgerError, LedgerLocked
from ingest.governance import custom_fields
from ingest.load import Loader
from ingest.store import Store
from metrics import drift_run
from metrics.definitions import KEY, definitions


class ServerFile(msgspec.Struct):
    """What `up` leaves beside the ledger, readable by its owner only, so that commands find the server."""

    url: str
    token: str

    @staticmethod
    def path(db: Path) -> Path:
        return db.with_name(db.name + ".server")


class LocalLedger:
    """The ledger opened by this process."""

    def __init__(self, settings: Settings, read_only: bool) -> None:
        self.store = Store(settings.db, read_only=read_only)
        self._settings = settings
        if not read_only:
            self._keep_definitions()

    def _keep_definitions(self) -> None:
        """Note in the ledger what the settings define, and in the audit trail when that changes."""
        own = self._settings.definitions
        if own != definitions(self.store):
            with self.store.transaction() as cursor:
                cursor.execute("insert or replace into ledger_meta values (?, ?)", [KEY, own.json()])
                event(cursor, KEY, datetime.now(UTC).replace(tzinfo=None), json.loads(own.json()))

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> pl.DataFrame:
        return self.store.query(sql, params)

    def query_only(self, sql: str) -> pl.DataFrame:
        """The rows of one SELECT that a person wrote. Raises LedgerError for anything else, and for a wrong query."""
        return self.store.query_only(sql)

    def loader(self, is_compared: bool = True) -> Loader:
        """What loads into the ledger; unless told otherwise complete days are compared for drift at the end."""
        chosen = self._settings
        custom_fields.use(chosen.incident_fields)
        return Loader(
            self.store,
            chosen.hash_key(),
            chosen.attribution,
            chosen.user_prices,
            chosen.shared_costs,
            compare=drift_run.run if is_compared else None,
            content=chosen.content_store(),
        )


class RemoteLedger:
    """A ledger that a server on this machine has open, reached with the token of its server file."""

    def __init__(self, server: ServerFile) -> None:
        self.url = server.url
        self._http = httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {server.token}"}, timeout=600)

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Parameters and rows travel as Arrow, so that times and decimals stay what they are."""
        request = pl.DataFrame({"sql": [sql], **{f"${name}": [value] for name, value in (params or {}).items()}})
        return pl.read_ipc_stream(self._post("/api/query", _arrow(request)))

    def query_only(self, sql: str) -> pl.DataFrame:
        """The server itself lets nothing but SELECT through."""
        return self.query(sql)

    def load(self, files: Sequence[tuple[Path, str]], collector: str | None, as_of: datetime | None) -> list[Outcome]:
        """Stream the files to the server, which loads them as one command."""
        with tempfile.TemporaryFile() as body:
            with tarfile.open(fileobj=body, mode="w") as archive:
                for number, (path, _) in enumerate(files):
                    archive.add(path, f"{number}/{path.name}", recursive=False)
            body.seek(0)
            options = {"names": [name for _, name in files], "collector": collector, "as_of": as_of.isoformat() if as_of else None}
            answer = self._post("/api/load", body, {"x-spanledger-load": json.dumps(options)})
        return msgspec.json.decode(answer, type=list[Outcome])

    def rebuild(self) -> int:
        """Apply the server's rules and prices to every span; the number of spans."""
        return int(self._post("/api/rebuild", b""))

    def _post(self, path: str, content: Any, headers: Mapping[str, str] | None = None) -> bytes:
        try:
            response = self._http.post(path, content=content, headers=dict(headers or {}))
        except httpx2.HTTPError as error:
            raise LedgerError(f"the server at {self.url} does not answer ({error})", "Stop it and start it again") from error
        if response.status_code != 200:
            raise LedgerError(response.text or f"the server answered {response.status_code}")
        return response.content


def open_ledger(settings: Settings, read_only: bool = False) -> LocalLedger | RemoteLedger:
    """The ledger for one command, also while a server runs on it. Raises LedgerError when neither way is open."""
    if read_only and not settings.db.exists():
        raise LedgerError(f"There is no ledger at {settings.db}", "Load something first, or name one with --db")
    try:
        return LocalLedger(settings, read_only)
    except LedgerLocked:
        path = ServerFile.path(settings.db)
        if not path.exists():
            raise
        return RemoteLedger(msgspec.json.decode(path.read_bytes(), type=ServerFile))


def _arrow(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer)
    return buffer.getvalue()
