"""Bodies of OTLP logs and metrics as protobuf messages, from either encoding.

There are few of these beside the spans, so that JSON goes through protobuf's own mapping, with the one difference that
OTLP has (ids are hexadecimal) evened out before.
"""

import base64
import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from google.protobuf import json_format
from google.protobuf.message import DecodeError as ProtobufError

from ingest.otlp.keep import EARLIEST_US, LATEST_US, DecodeError

Message = TypeVar("Message")

HEX_ID = re.compile("[0-9a-fA-F]{16}|[0-9a-fA-F]{32}").fullmatch
ID_KEYS = ("traceId", "spanId")
MAX_TEXT = 256


def from_protobuf(body: bytes, kind: type[Message], signal: str) -> Message:
    """The message of a body. Raises DecodeError when it is none; the text never quotes it."""
    try:
        return kind.FromString(body)  # type: ignore[attr-defined,no-any-return]
    except (ProtobufError, RecursionError) as error:
        raise DecodeError(f"the body is not an OTLP {signal} request in protobuf") from error


def from_json(body: bytes, kind: type[Message], signal: str) -> Message:
    """The message of a body in JSON. Raises DecodeError when it is none; the text never quotes it."""
    try:
        document = msgspec.json.decode(body)
        if not isinstance(document, dict):
            raise DecodeError(f"the body is not an OTLP {signal} document in JSON")
        for holder in _objects(document):
            _ids_as_base64(holder)
        return json_format.ParseDict(document, kind(), ignore_unknown_fields=True)  # type: ignore[no-any-return]
    # The mapping raises whatever its type checks run into; none of it may become a server's error.
    except (msgspec.DecodeError, json_format.Error, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DecodeError(f"the body is not an OTLP {signal} document in JSON") from error


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object below a value, without recursion: the depth is the sender's."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting.extend(item for item in found.values() if isinstance(item, (dict, list)))
        else:
            waiting.extend(item for item in found if isinstance(item, (dict, list)))


def _ids_as_base64(holder: dict[str, Any]) -> None:
    for key in ID_KEYS:
        if key in holder:
            text = holder.pop(key)
            if isinstance(text, str) and HEX_ID(text):
                holder[key] = base64.b64encode(bytes.fromhex(text)).decode()


def microseconds(at_ns: int) -> int | None:
    """A time of the ledger's precision, or None where it is missing or absurd."""
    return at_us if EARLIEST_US <= (at_us := at_ns // 1000) < LATEST_US else None


def short_text(value: Any) -> str | None:
    """A name or label as text; what is longer than a name may be content."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= MAX_TEXT else None
