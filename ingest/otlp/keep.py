"""The allow-list at work: what to do with an attribute is looked up by its key, before its value is decoded."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from ingest.otlp.span import AllowList, Reject, Span

KNOWN_KEYS = 65_536  # keys whose action is remembered; senders invent indexed ones without end

# 2000-01-01 to 2100-01-01 in microseconds: a start outside is a broken clock or unit, and would poison every period.
EARLIEST_US, LATEST_US = 946_684_800_000_000, 4_102_444_800_000_000

Kept = dict[str, Any]
# An action takes the mapping to fill, the gathered indexed keys, and the decoded value.
Action = Callable[[Kept, dict[str, Kept], Any], None]


class DecodeError(ValueError):
    """A body that is no OTLP message; the text never quotes it."""


class Keeper:
    """An AllowList compiled to one look-up per key. `action(key)` is None for what must not be read."""

    def __init__(self, allow: AllowList) -> None:
        self.allow = allow
        self.action = lru_cache(KNOWN_KEYS)(self._action)

    def _action(self, key: str) -> Action | None:
        if (reducer := self.allow.reducers.get(key)) is not None:
            def reduce(kept: Kept, indexed: dict[str, Kept], value: Any) -> None:
                kept.update(reducer(value))
            return reduce
        if key in self.allow.keys:
            def keep(kept: Kept, indexed: dict[str, Kept], value: Any) -> None:
                if value is not None:
                    kept[key] = value
            return keep
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


def keeper(allow: AllowList) -> Keeper:
    """The compiled form of an allow-list; it holds the list, so that the list's identity stays its own."""
    found = _keepers.get(id(allow))
    if found is None:
        found = _keepers[id(allow)] = Keeper(allow)
    return found


def broken_rule(trace_id: str, span_id: str, start_ns: int, end_ns: int) -> str | None:
    """Why a span cannot be kept, or None."""
    if len(trace_id) != 32 or not int(trace_id, 16):
        return "trace id is not 16 bytes or all zero"
    if len(span_id) != 16 or not int(span_id, 16):
        return "span id is not 8 bytes or all zero"
    if not EARLIEST_US <= start_ns // 1000 < LATEST_US:
        return "starts before 2000 or after 2099"
    if end_ns and end_ns < start_ns:
        return "ends before it starts"
    if end_ns // 1000 >= LATEST_US:
        return "ends after 2099"
    return None


Decoded = tuple[list[Span], list[Reject]]


def scalars(values: Iterator[Any]) -> list[Any]:
    """The plain values of an array; nested ones are dropped, for no known attribute nests."""
    return [value for value in values if isinstance(value, (str, int, float))]
