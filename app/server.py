"""One process on one port: the pages, the OTLP receiver beside them, and the commands that find the ledger open."""

import asyncio
import contextlib
import hmac
import io
import ipaddress
import json
import logging
import os
import secrets
import socket
import tarfile
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec
import polars as pl
import streamlit as st
import uvicorn
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app import session
from app.ledger import LocalLedger, ServerFile
from app.settings import Settings
from ingest.errors import SpanledgerError
from ingest.otlp.commit import SpanLedger
from ingest.prices.book import ensure_book
from ingest.receiver import Receiver
from ingest.writer import Writer

T = TypeVar("T")

log = logging.getLogger(__name__)

SECONDS_A_DAY = 86_400
SCRIPT = Path(__file__).with_name("main.py")


class ServerError(SpanledgerError):
    """The server cannot start as it was asked to."""


def serve(settings: Settings, on_start: Callable[[str], None]) -> None:
    """Open the ledger and serve until interrupted; `on_start` gets the address once it answers.

    Raises ServerError when the port is taken or the address needs access control that is off.
    """
    is_local = _is_loopback(settings.host)
    if not is_local and not settings.receiver_tokens:
        raise ServerError(
            f"{settings.host} is reachable from other machines and no receiver token is set",
            "Set SPANLEDGER_RECEIVER_TOKENS, or leave --host at 127.0.0.1",
        )
    _check_port(settings)
    ledger = LocalLedger(settings, read_only=False)
    with ledger.store.transaction() as cursor:
        ensure_book(cursor, settings.user_prices)
    session.use(ledger.store)
    url = f"http://{'127.0.0.1' if is_local else settings.host}:{settings.port}"
    spans = SpanLedger(settings.hash_key(), settings.attribution)
    writer = Writer(ledger.store, spans)
    api = Api(ledger, secrets.token_urlsafe(32))

    @contextlib.asynccontextmanager
    async def lifespan(app: st.App) -> AsyncIterator[None]:
        writer.start()
        daily = asyncio.create_task(api.catch_up_daily())
        with api.announced(settings.db, url):
            on_start(url)
            yield
        daily.cancel()
        writer.stop()

    routes = [*Receiver(writer, spans.allow, settings.receiver_tokens, content=settings.content_store()).routes(), *api.routes()]
    middleware = [] if is_local else [Middleware(PagesStayLocal)]
    app = st.App(str(SCRIPT), routes=routes, lifespan=lifespan, middleware=middleware)
    try:
        uvicorn.run(app, host=settings.host, port=settings.port, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    finally:
        api.close()
        ledger.store.close()


class Api:
    """What commands ask of a running server: queries, loads and a rebuild, with the token of the server file."""

    def __init__(self, ledger: LocalLedger, token: str) -> None:
        self._ledger, self._token = ledger, token
        self._threads = ThreadPoolExecutor(2, "commands")

    def routes(self) -> list[Route]:
        return [
            Route(f"/api/{name}", self._answering(handle), methods=["POST"])
            for name, handle in (("query", self._query), ("load", self._load), ("rebuild", self._rebuild))
        ]

    @contextlib.contextmanager
    def announced(self, db: Path, url: str) -> Iterator[None]:
        """The server file exists while the server runs, and only its owner can read it."""
        path = ServerFile.path(db)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.encode(ServerFile(url, self._token)))
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def _answering(self, handle: Callable[[Request], Awaitable[bytes]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                return PlainTextResponse("the token of the server file is required", 401)
            try:
                return Response(await handle(request), media_type="application/octet-stream")
            except SpanledgerError as error:
                return PlainTextResponse(str(error), 400)

        return endpoint

    def close(self) -> None:
        """Wait for what is under way; nothing that waits is begun."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def catch_up_daily(self) -> None:
        """Hand on costs and compare days that arrived over HTTP, at the start and then once a day; a failure waits for the next."""
        while True:
            try:
                await self._in_thread(self._ledger.loader().catch_up)
            except Exception:
                log.exception("costs were not handed on, or days not compared")
            await asyncio.sleep(SECONDS_A_DAY)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _query(self, request: Request) -> bytes:
        body = pl.read_ipc_stream(await request.body()).row(0, named=True)
        sql = body.pop("sql")
        params = {name.removeprefix("$"): value for name, value in body.items()}
        frame = await self._in_thread(lambda: self._ledger.store.query_only(sql, params))
        buffer = io.BytesIO()
        frame.write_ipc_stream(buffer)
        return buffer.getvalue()

    async def _load(self, request: Request) -> bytes:
        options = json.loads(request.headers["x-spanledger-load"])
        as_of = datetime.fromisoformat(options["as_of"]) if options["as_of"] else None
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as body:
            async for chunk in request.stream():
                body.write(chunk)
            body.seek(0)

            def load() -> bytes:
                with tarfile.open(fileobj=body, mode="r") as archive:
                    archive.extractall(folder, filter="data")
                files = [(next((Path(folder) / str(number)).iterdir()), name) for number, name in enumerate(options["names"])]
                return msgspec.json.encode(self._ledger.loader().load(files, options["collector"], as_of))

            return await self._in_thread(load)

    async def _rebuild(self, request: Request) -> bytes:
        return str(await self._in_thread(self._ledger.loader().rebuild)).encode()


class PagesStayLocal:
    """On an address that others can reach, only the receiver (which asks for a token) answers to them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if scope["type"] in ("http", "websocket") and not scope["path"].startswith("/v1/") and not (client and _is_loopback(client[0])):
            if scope["type"] == "http":
                await PlainTextResponse("The pages answer to this machine only", 403)(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_port(settings: Settings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ServerError(
                f"Port {settings.port} on {settings.host} cannot be used ({error.strerror})", "Choose another with --port"
            ) from error
