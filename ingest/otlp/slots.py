"""Which fields the attributes of a span fill: the attribute table compiled for the scope and the keys of a span."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from typing import Any

import msgspec

from ingest.otlp.attributes import fields, kinds, value_of_kind
from ingest.otlp.span import Span
from ingest.otlp.tables import table
from ingest.otlp.values import BAD, CONVERSIONS

STREAMING_OPERATIONS = {"dostream": True, "dogenerate": False}


class Slot(msgspec.Struct, frozen=True):
    """One row of the attribute table, compiled: which field a key fills, and how eagerly."""

    field: str
    rank: int
    key: str
    convert: Callable[[Any], Any]
    kind: str


Plan = tuple[tuple[str, tuple[Slot, ...]], ...]


@lru_cache(1024)
def _slots(scope: str) -> dict[str, tuple[Slot, ...]]:
    """key -> the fields that it fills, for spans of one scope."""
    found: dict[str, tuple[Slot, ...]] = {}
    for rank, (field, key, kind, pattern) in enumerate(fields()):
        if not pattern or fnmatchcase(scope.lower(), pattern):
            found[key] = (*found.get(key, ()), Slot(field, rank, key, CONVERSIONS[kind], kind))
    for rank, key in enumerate(kinds()[0]):
        found[key] = (*found.get(key, ()), Slot("kind", rank, key, partial(_declared, key), "kind"))
    return found


@lru_cache(4096)
def _plan(scope: str, keys: tuple[str, ...]) -> Plan:
    """field -> its aliases among these keys in order of precedence: an emitter's spans of one kind have the same keys."""
    slots = _slots(scope)
    by_field: dict[str, list[Slot]] = {}
    for key in keys:
        for slot in slots.get(key, ()):
            by_field.setdefault(slot.field, []).append(slot)
    return tuple((field, tuple(sorted(found, key=lambda slot: slot.rank))) for field, found in by_field.items())


def _declared(key: str, value: Any) -> tuple[str, str | None, bool | None] | None:
    return kind_of(key, value) if isinstance(value, str) else None


@lru_cache(4096)
def kind_of(key: str, value: str) -> tuple[str, str | None, bool | None] | None:
    """Role, operation and streaming that one attribute names, or None where the table does not know its value."""
    _, meaning = kinds()
    text = value_of_kind(value)
    last = text.rsplit(".", 1)[-1]
    known = meaning.get((key, text)) or meaning.get((key, last))
    return (*known, STREAMING_OPERATIONS.get(last)) if known else None


@lru_cache(4096)
def kind_by_name(scope: str, name: str) -> tuple[str, str | None, bool | None] | None:
    """Role and operation of spans that some emitters tell apart by their name alone."""
    for row in table("names.csv"):
        if fnmatchcase(scope.lower(), row["scope"]) and fnmatchcase(name, row["name"]):
            return row["role"], row["operation"] or None, None
    return None


def read(span: Span) -> tuple[dict[str, Any], dict[str, Slot], bool]:
    """The first alias of every field that says something; whether a count before it was none."""
    found: dict[str, Any] = {}
    chosen: dict[str, Slot] = {}
    bad = False
    attributes = span.attributes
    for field, slots in _plan(span.scope_name, tuple(attributes)):
        for slot in slots:
            value = slot.convert(attributes[slot.key])
            if value is BAD:
                bad = True
            elif value is not None:
                found[field], chosen[field] = value, slot
                break
    return found, chosen, bad
