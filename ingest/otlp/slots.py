"""Which fields the attributes of a span fill: the attribute table compiled for the scope and the keys of a span."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from typing import Any

import msgspec

from ingest.otlp.attributes import fields, kinds, value_of_kind
from ingest.otlp.tables import table
from ingest.otlp.values import BAD, CONVERSIONS

USAGE = ("input_tokens", "output_tokens", "total_tokens", "cache_read_tokens", "cache_write_tokens",
         "cache_write_5m_tokens", "cache_write_1h_tokens", "reasoning_tokens", "uncached_input_tokens")
AGGREGATED = tuple(f"aggregated_{name}" for name in USAGE)
STREAMING_OPERATIONS = {"dostream": True, "dogenerate": False}


class Slot(msgspec.Struct, frozen=True):
    """One row of the attribute table, compiled: which field a key fills, and how eagerly."""

    field: str
    rank: int
    key: str
    convert: Callable[[Any], Any]
    kind: str


Fields = tuple[tuple[str, tuple[Slot, ...]], ...]  # field -> its aliases in order of precedence

# What differs from span to span even where an emitter does the same thing again: counts, times, costs and ids.
MEASURED = frozenset((
    *USAGE, *AGGREGATED, "candidate_tokens", "response_id", "conversation_id", "user_key", "finish_reason", "ttft_s", "ttft_ms",
    "ttft_s_or_ms", "first_token_at", "stream_seconds", "reported_cost_usd", "prompt_cost_usd", "completion_cost_usd", "retrieved",
    "retrieved_scores"))


class Plan(msgspec.Struct, frozen=True, eq=False):
    """The fields that spans of one scope with the same keys fill, those that differ from span to span apart."""

    alike: Fields
    alike_keys: tuple[str, ...]
    measured: Fields


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
def plan(scope: str, keys: tuple[str, ...]) -> Plan:
    """What these keys fill: an emitter's spans of one kind have the same keys."""
    slots = _slots(scope)
    by_field: dict[str, list[Slot]] = {}
    for key in keys:
        for slot in slots.get(key, ()):
            by_field.setdefault(slot.field, []).append(slot)
    fields = [(field, tuple(sorted(found, key=lambda slot: slot.rank))) for field, found in by_field.items()]
    alike = tuple(row for row in fields if row[0] not in MEASURED)
    alike_keys = tuple(dict.fromkeys(slot.key for _, found in alike for slot in found))
    return Plan(alike, alike_keys, tuple(row for row in fields if row[0] in MEASURED))


def _declared(key: str, value: Any) -> tuple[str, str | None, bool | None] | None:
    return kind_of(key, value) if isinstance(value, str) else None


@lru_cache(4096)
def kind_of(key: str, value: str) -> tuple[str, str | None, bool | None] | None:
    """Role, operation and streaming that one attribute names, or None where the table does not know its value."""
    _, meaning = kinds()
    text = value_of_kind(value)
    last = text.rsplit(".", 1)[-1]
    known = meaning.get((key, text)) or meaning.get((key, last)) or next(
        (found for (name, pattern), found in meaning.items() if name == key and "*" in pattern and fnmatchcase(text, pattern)), None)
    return (*known, STREAMING_OPERATIONS.get(last)) if known else None


@lru_cache(4096)
def kind_by_name(scope: str, name: str) -> tuple[str, str | None, bool | None] | None:
    """Role and operation of spans that some emitters tell apart by their name alone."""
    for row in table("names.csv"):
        if fnmatchcase(scope.lower(), row["scope"]) and fnmatchcase(name, row["name"]):
            return row["role"], row["operation"] or None, None
    return None


def read(fields: Fields, attributes: Mapping[str, Any], found: dict[str, Any], chosen: dict[str, Slot]) -> bool:
    """Add the first alias of every field that says something, and where from; whether a count before it was none."""
    bad = False
    for field, slots in fields:
        for slot in slots:
            value = slot.convert(attributes[slot.key])
            if value is BAD:
                bad = True
            elif value is not None:
                found[field], chosen[field] = value, slot
                break
    return bad
