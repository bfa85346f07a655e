"""OTLP/HTTP: POST /v1/traces, /v1/logs and /v1/metrics, protobuf and JSON, gzip; acknowledged after the commit.

Answers follow the OTLP specification 1.11: 200 with Export...ServiceResponse (partial success where items were rejected),
400 for a body that is not OTLP, 413 beyond the size limit before or after decompression, 415 for another content
type, 401 without a valid token, 503 with Retry-After while the ledger cannot take more. Errors are google.rpc.Status and
never contain any of the body.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import duckdb
import msgspec
from google.protobuf import json_format
from google.rpc.status_pb2 import Status
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingest.body import Refused, decompressed, encoding, measured, received
from ingest.content import ContentStore
from ingest.otlp.keep import DecodeError
from ingest.otlp.signals import SIGNALS, Items, SignalKind
from ingest.otlp.span import AllowList
from ingest.writer import QueueFull, Writer, where

log = logging.getLogger(__name__)

PROTOBUF, JSON = "application/x-protobuf", "application/json"
RETRY_AFTER_SECONDS = "2"
MAX_OPEN_REQUESTS = 64  # bodies in memory at once, received or waiting for a decoder
# SDKs give up after ten seconds; an answer before that tells them when to come again.
ANSWER_WITHIN_SECONDS = 8.0
MAX_MESSAGE = 200  # characters of a reason in a partial success

# gRPC codes that google.rpc.Status carries for each HTTP answer.
RPC_CODES = {400: 3, 401: 16, 413: 8, 415: 3, 500: 13, 503: 14}
# The ledger cannot be written now, whatever the body holds; the sender keeps it and comes again.
LEDGER_UNAVAILABLE = (OSError, duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException, duckdb.FatalException)


@dataclass
class Receiver:
    """The OTLP routes. Decoding has threads of its own, so that a flood of spans never stops the pages."""

    writer: Writer
    allow: AllowList
    tokens: Sequence[str] = ()
    decoders: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "otlp-decode"))
    answer_within: float = ANSWER_WITHIN_SECONDS
    content: ContentStore | None = None
    _open: int = 0

    def __post_init__(self) -> None:
        if self.content is not None:
            self.content.tidy()

    def routes(self) -> list[Route]:
        return [Route(f"/v1/{kind.signal}", self._endpoint(kind), methods=["POST"]) for kind in SIGNALS.values()]

    def _endpoint(self, kind: SignalKind) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            media_type = _stated_media_type(request)
            self._open += 1
            try:
                self._authorise(request)
                if media_type not in (PROTOBUF, JSON):
                    raise Refused(415, f"content type must be {PROTOBUF} or {JSON}")
                if self._open > MAX_OPEN_REQUESTS:
                    raise QueueFull
                return await self._receive(kind, request, media_type)
            except Refused as refused:
                return _error(media_type, refused.status, refused.message)
            except (QueueFull, TimeoutError):
                return _error(media_type, 503, "the ledger is busy, send again later")
            except LEDGER_UNAVAILABLE:
                return _error(media_type, 503, "the ledger cannot be written at the moment, send again later")
            except Exception as error:
                log.error("a %s request failed: %s", kind.signal, where(error))
                return _error(media_type, 500, "the request could not be handled")
            finally:
                self._open -= 1

        return endpoint

    def _authorise(self, request: Request) -> None:
        if not self.tokens:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not any(hmac.compare_digest(given.encode(), token.encode()) for token in self.tokens):
            raise Refused(401, "a bearer token of this receiver is required")

    async def _receive(self, kind: SignalKind, request: Request, media_type: str) -> Response:
        named, content = encoding(request), await received(request)

        def read() -> Items:
            body = measured(decompressed(content, named), media_type == JSON)
            with self.content.keeping(kind) if self.content is not None else nullcontext(kind) as own:
                decode = own.decode_protobuf if media_type == PROTOBUF else own.decode_json
                return decode(body, self.allow)

        try:
            items, rejects = await asyncio.get_running_loop().run_in_executor(self.decoders, read)
        except DecodeError as error:
            raise Refused(400, str(error)) from error
        if items or rejects:
            done = asyncio.wrap_future(self.writer.submit(kind.signal, items, rejects))
            await asyncio.wait_for(done, self.answer_within)
        response = kind.response()
        if rejects:
            setattr(response.partial_success, kind.rejected, len(rejects))
            response.partial_success.error_message = f"{kind.item} {rejects[0].position}: {rejects[0].reason}"[:MAX_MESSAGE]
        return _success(media_type, response)


def _stated_media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _success(media_type: str, message: Any) -> Response:
    content = message.SerializeToString() if media_type == PROTOBUF else json_format.MessageToJson(message, indent=None)
    return Response(content, media_type=media_type)


def _error(media_type: str, status: int, message: str) -> Response:
    """The status in the encoding of the request, or in protobuf where that is none of ours."""
    headers = {503: {"Retry-After": RETRY_AFTER_SECONDS}, 401: {"WWW-Authenticate": "Bearer"}}.get(status, {})
    code = RPC_CODES[status]
    if media_type == JSON:
        return Response(msgspec.json.encode({"code": code, "message": message}), status, headers, JSON)
    return Response(Status(code=code, message=message).SerializeToString(), status, headers, PROTOBUF)
