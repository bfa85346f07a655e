"""Bodies of HTTP requests: read, decompressed and measured, with a limit on each side of the decompression."""

import zlib

from starlette.requests import ClientDisconnect, Request

MAX_BODY_BYTES = 64 * 1024 * 1024  # recommended by opentelemetry-proto 1.11, before and after decompression
GZIP = b"\x1f\x8b"
MAX_GZIP_MEMBERS = 1024
CHUNK_BYTES = 65536
MAX_DIGITS = 20
# A body of empty messages costs its bytes a hundredfold to decode. Real items take more than 40 bytes each.
CROWDED_BYTES = 2**20
MAX_MESSAGES = 1_000_000
CONTAINERS = {1: {1}, 2: {2}, 3: {2}}  # field numbers of resources, of scopes in them, and of items in these


class Refused(Exception):
    """A request that is answered with an error status; the message never quotes the body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


async def received(request: Request) -> bytes:
    """The body as sent. Raises Refused as soon as it is too long, or when the sender went away."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:MAX_DIGITS]) > MAX_BODY_BYTES:
        raise _too_long("")
    content = bytearray()
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > MAX_BODY_BYTES:
                raise _too_long("")
    except ClientDisconnect as error:
        raise Refused(400, "the body ended early") from error
    return bytes(content)


def encoding(request: Request) -> str:
    """The content encoding. Raises Refused for one that is not read here."""
    named = request.headers.get("content-encoding", "").strip().lower() or "identity"
    if named not in ("identity", "gzip"):
        raise Refused(415, "content encoding must be gzip or identity")
    return named


def decompressed(content: bytes, named: str) -> bytes:
    """The body after gzip, which is also told by its first bytes. Raises Refused."""
    if not content or (named == "identity" and content[:2] != GZIP):
        return content
    plain, at, view = bytearray(), 0, memoryview(content)
    for _ in range(MAX_GZIP_MEMBERS):
        member = zlib.decompressobj(wbits=31)
        try:
            while not member.eof and at < len(content):
                piece = view[at : at + CHUNK_BYTES]
                plain += member.decompress(piece, MAX_BODY_BYTES + 1 - len(plain))
                if len(plain) > MAX_BODY_BYTES:
                    raise _too_long(" after decompression")
                at += len(piece) - len(member.unused_data) - len(member.unconsumed_tail)
        except zlib.error as error:
            raise Refused(400, "the gzip stream is broken") from error
        if not member.eof:
            raise Refused(400, "the gzip stream is truncated")
        if content[at : at + 1] in (b"", b"\0"):
            if content[at:].strip(b"\0"):
                raise Refused(400, "the gzip stream is broken")
            return bytes(plain)  # some writers pad with zeros behind the last member
    raise Refused(400, f"the gzip stream has more than {MAX_GZIP_MEMBERS} members")


def measured(content: bytes, is_json: bool) -> bytes:
    """The body itself. Raises Refused for one that holds more messages than its decoding is worth."""
    if len(content) > CROWDED_BYTES:
        count = content.count(b"{") // 4 if is_json else _messages(memoryview(content), 1, MAX_MESSAGES)
        if count > MAX_MESSAGES:
            raise Refused(413, f"the body holds more than {MAX_MESSAGES:,} items")
    return content


def _messages(content: memoryview, level: int, limit: int) -> int:
    """How many fields of the outer levels a protobuf body has, counted up to the limit; broken ones end the count."""
    count, at = 0, 0
    while at < len(content) and count <= limit:
        tag, at = _varint(content, at)
        wire = tag & 7
        length = 0
        if wire == 0:
            _, at = _varint(content, at)
        elif wire == 2:
            length, at = _varint(content, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            return count
        count += 1
        if wire == 2 and level < 3 and tag >> 3 in CONTAINERS[level]:
            count += _messages(content[at : at + length], level + 1, limit - count)
        at += length
    return count


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(content) and shift < 70:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    return 0, len(content)


def _too_long(when: str) -> Refused:
    return Refused(413, f"the body is longer than {MAX_BODY_BYTES // 2**20} MiB{when}")
