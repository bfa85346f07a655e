"""A span as the decoder hands it on: identity, times, status, and the allow-listed attributes only."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec


class Span(msgspec.Struct, gc=False):
    """One OTLP span after the allow-list. Times are UTC microseconds since 1970, the ledger's precision.

    `attributes` holds resource and span attributes in one mapping (the span's win), the results of the reducers,
    and `exception.type` of the last exception event; values are str, bool, int, float or a list of these.
    `events` holds (name, time, attributes) of the kept events.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: int
    started_us: int
    ended_us: int
    status_code: int  # 0 unset, 1 ok, 2 error
    scope_name: str
    scope_version: str
    attributes: dict[str, Any]
    events: tuple[tuple[str, int, dict[str, Any]], ...] = ()


class Reject(msgspec.Struct, gc=False):
    """Something a body held that could not become a span; `position` is its ordinal or byte offset in the body."""

    position: int
    reason: str
    length: int | None = None
    sha256: str | None = None


class AllowList(msgspec.Struct, frozen=True):
    """Which attributes may enter the ledger; everything else is skipped before its value is decoded.

    `reducers` turn the decoded value of a key into what may be kept, under the same key or others: a short text as it
    is, of content its length, of a JSON text the usage numbers. `prefixes` do the same for indexed keys such as
    `retrieval.documents.0.document.score`: the reducer of a prefix gets one mapping of all keys of the span below it.
    `events` are the event names that are kept, through the same list, and `own_events` those whose attributes count as
    the span's. `texts` and `numbers` are the keys whose reducers leave a short text or an integer as it is, so that
    decoders need not ask.
    """

    reducers: Mapping[str, Callable[[Any], dict[str, Any]]]
    prefixes: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]
    events: frozenset[str]
    texts: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    own_events: frozenset[str] = frozenset()
