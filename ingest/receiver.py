"""OTLP/HTTP: POST /v1/traces, protobuf and JSON, gzip; acknowledged after the commit.

Answers follow the OTLP specification 1.11: 200 with Export...ServiceResponse (partial success where spans were rejected),
400 for a body that is not OTLP, 413 beyond the size limit before or after decompression, 415 for another content
type, 401 without a valid token, 503 with Retry-After while the writer is busy. Errors are google.rpc.Status and never
contain any of the body.
"""

import asyncio
import hmac
import zlib
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingest.otlp.otlpjson import decode_json
from ingest.otlp.protobuf import DecodeError, decode_protobuf
from ingest.otlp.span import AllowList, Reject, Span
from ingest.writer import QueueFull, Writer

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MAX_BODY_BYTES = 64 * 1024 * 1024  # recommended by opentelemetry-proto 1.11, before and after decompression
RETRY_AFTER_SECONDS = "2"

# gRPC codes that google.rpc.Status carries for each HTTP answer.
RPC_CODES = {400: 3, 401: 16, 413: 8, 415: 3, 503: 14, 500: 13}


class Refused(Exception):
    """A request that is answered with an error status; the message never quotes the body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class Receiver:
    """The OTLP routes. Decoding has threads of its own, so that a flood of spans never stops the pages."""

    writer: Writer
    allow: AllowList
    tokens: Sequence[str] = ()
    decoders: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "otlp-decode"))

    def routes(self) -> list[Route]:
        return [
            Route("/v1/traces", self._answering(self._traces), methods=["POST"]),
            Route("/v1/metrics", self._answering(self._unstored(ExportMetricsServiceResponse, "metrics")), methods=["POST"]),
            Route("/v1/logs", self._answering(self._unstored(ExportLogsServiceResponse, "logs")), methods=["POST"]),
        ]

    def _answering(self, handle: Callable[[bytes, str], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            media_type = PROTOBUF
            try:
                self._authorise(request)
                media_type = _media_type(request)
                return await handle(await _body(request), media_type)
            except Refused as refused:
                return _error(media_type, refused.status, refused.message)
            except QueueFull:
                return _error(media_type, 503, "the ledger is busy, send again later")

        return endpoint

    def _authorise(self, request: Request) -> None:
        if not self.tokens:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not any(hmac.compare_digest(given.encode(), token.encode()) for token in self.tokens):
            raise Refused(401, "a bearer token of this receiver is required")

    async def _traces(self, body: bytes, media_type: str) -> Response:
        decode = decode_protobuf if media_type == PROTOBUF else decode_json
        loop = asyncio.get_running_loop()
        try:
            spans, rejects = await loop.run_in_executor(self.decoders, decode, body, self.allow)
        except DecodeError as error:
            raise Refused(400, str(error)) from error
        if spans or rejects:
            await self._commit(spans, rejects)
        response = ExportTraceServiceResponse()
        if rejects:
            response.partial_success.rejected_spans = len(rejects)
            response.partial_success.error_message = f"span {rejects[0].position}: {rejects[0].reason}"
        return _success(media_type, response)

    async def _commit(self, spans: Sequence[Span], rejects: Sequence[Reject]) -> None:
        await asyncio.wrap_future(self.writer.submit(spans, rejects))

    def _unstored(self, message: type[Any], signal: str) -> Callable[[bytes, str], Awaitable[Response]]:
        async def handle(body: bytes, media_type: str) -> Response:
            response = message()
            if body:
                response.partial_success.error_message = f"{signal} are accepted and not stored"
            return _success(media_type, response)

        return handle


def _media_type(request: Request) -> str:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in (PROTOBUF, JSON):
        raise Refused(415, f"content type must be {PROTOBUF} or {JSON}")
    return media_type


async def _body(request: Request) -> bytes:
    """The body after gzip, with the limit kept on both sides of it while it arrives."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        raise Refused(415, "content encoding must be gzip or identity")
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY_BYTES:
            raise Refused(413, f"the body is longer than {MAX_BODY_BYTES // 2**20} MiB")
    return _gunzip(bytes(received)) if encoding == "gzip" or received[:2] == b"\x1f\x8b" else bytes(received)


def _gunzip(compressed: bytes) -> bytes:
    stream, content = zlib.decompressobj(wbits=31), bytearray()
    try:
        content += stream.decompress(compressed, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise Refused(400, "the gzip stream is broken") from error
    if len(content) > MAX_BODY_BYTES:
        raise Refused(413, f"the body is longer than {MAX_BODY_BYTES // 2**20} MiB after decompression")
    if not stream.eof:
        raise Refused(400, "the gzip stream is truncated")
    return bytes(content)


def _success(media_type: str, message: Any) -> Response:
    if media_type == PROTOBUF:
        return Response(message.SerializeToString(), media_type=PROTOBUF)
    partial = message.partial_success
    content: dict[str, Any] = {}
    if partial.ByteSize():
        rejected = next((value for name, value in ((f.name, v) for f, v in partial.ListFields()) if name.startswith("rejected")), 0)
        content = {"partialSuccess": {"errorMessage": partial.error_message} | ({"rejectedSpans": str(rejected)} if rejected else {})}
    return Response(msgspec.json.encode(content), media_type=JSON)


def _error(media_type: str, status: int, message: str) -> Response:
    headers = {"Retry-After": RETRY_AFTER_SECONDS} if status == 503 else {}
    code = RPC_CODES[status]
    content = (
        Status(code=code, message=message).SerializeToString()
        if media_type == PROTOBUF
        else msgspec.json.encode({"code": code, "message": message})
    )
    return Response(content, status_code=status, media_type=media_type, headers=headers)
