"""The allow-list at work: what to do with an attribute is looked up by its key, before its value is decoded."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from ingest.otlp.reducers import MAX_TEXT
from ingest.otlp.span import AllowList, Reject, Span
from ingest.otlp.tables import table

KNOWN_KEYS = 65_536  # keys whose action is remembered; senders invent indexed ones without end

# 2000-01-01 to 2100-01-01 in microseconds: a start outside is a broken clock or unit, and would poison every period.
EARLIEST_US, LATEST_US = 946_684_800_000_000, 4_102_444_800_000_000

NO_TRACE, NO_SPAN = bytes(16), bytes(8)
MAX_ENUM = 2**15
MAX_EXCEPTION = 256

Kept = dict[str, Any]
# An action takes the mapping to fill, the gathered indexed keys, and the decoded value.
Action = Callable[[Kept, dict[str, Kept], Any], None]


class DecodeError(ValueError):
    """A body that is no OTLP message; the text never quotes it."""


class Keeper(dict[str, Action | None]):
    """An AllowList compiled to one look-up per key: what to do with its value, or None for what must not be read."""

    def __init__(self, allow: AllowList) -> None:
        super().__init__()
        self.allow = allow

    def __missing__(self, key: str) -> Action | None:
        found = self._action(key)
        if len(self) < KNOWN_KEYS:
            self[key] = found
        return found

    def action(self, key: str) -> Action | None:
        return self[key]

    def _action(self, key: str) -> Action | None:
        if (reducer := self.allow.reducers.get(key)) is not None:
            def reduce(kept: Kept, indexed: dict[str, Kept], value: Any) -> None:
                if value is not None:
                    kept.update(reducer(value))
            return reduce
        prefix = next((prefix for prefix in self.allow.prefixes if key.startswith(prefix)), None)
        if prefix is None:
            return None
        rest = key[len(prefix):]

        def gather(kept: Kept, indexed: dict[str, Kept], value: Any) -> None:
            indexed.setdefault(prefix, {})[rest] = value
        return gather

    def reduce_indexed(self, kept: Kept, indexed: dict[str, Kept]) -> None:
        for prefix, values in indexed.items():
            kept.update(self.allow.prefixes[prefix](values))


_keepers: dict[int, Keeper] = {}
MAX_KEEPERS = 16


def keeper(allow: AllowList) -> Keeper:
    """The compiled form of an allow-list; it holds the list, so that the list's identity stays its own."""
    found = _keepers.get(id(allow))
    if found is None:
        if len(_keepers) >= MAX_KEEPERS:
            _keepers.clear()
        found = _keepers[id(allow)] = Keeper(allow)
    return found


def broken_rule(trace_id: bytes, span_id: bytes, start_ns: int, end_ns: int) -> str | None:
    """Why a span cannot be kept, or None."""
    if len(trace_id) != 16 or trace_id == NO_TRACE:
        return "trace id is not 16 bytes or all zero"
    if len(span_id) != 8 or span_id == NO_SPAN:
        return "span id is not 8 bytes or all zero"
    if not EARLIEST_US <= start_ns // 1000 < LATEST_US:
        return "starts before 2000 or after 2099"
    if end_ns and end_ns < start_ns:
        return "ends before it starts"
    if end_ns // 1000 >= LATEST_US:
        return "ends after 2099"
    return None


@lru_cache(1024)
def _content_names(scope: str) -> tuple[str, ...]:
    """How names look that an emitter takes from what its user wrote."""
    return tuple(row["name"] for row in table("names.csv") if row["content"] and fnmatchcase(scope.lower(), row["scope"]))


def span_name(text: str, scope: str) -> str:
    """The name of a span; one that is content, or longer than any name and so may be, is kept as its length."""
    looks = _content_names(scope)
    is_content = len(text) > MAX_TEXT or (looks and any(fnmatchcase(text, look) for look in looks))
    return f"({len(text)} characters)" if is_content else text


def parent_id(parent: bytes) -> str | None:
    """The id of the span above, or None where it is none: such a span is at the top."""
    return parent.hex() if len(parent) == 8 and parent != NO_SPAN else None


def enumerated(value: int) -> int:
    """A span kind or status code as the ledger's column holds it; senders may know more of them than we do."""
    return value if 0 <= value < MAX_ENUM else 0


def moment(at_ns: int, otherwise_us: int) -> int:
    """The time of an event in microseconds, or another where the event's is missing or absurd."""
    return at_us if EARLIEST_US <= (at_us := at_ns // 1000) < LATEST_US else otherwise_us


Decoded = tuple[list[Span], list[Reject]]
