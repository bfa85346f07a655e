"""Custom fields of incident tools that a company gave a meaning of its own: when it was mitigated, and whether AI did it."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


class CustomFields(msgspec.Struct, frozen=True):
    """Names of fields in order of precedence, as the export has them, in any case."""

    mitigated_at: tuple[str, ...] = ()
    ai: tuple[str, ...] = ()


_chosen = CustomFields()


def use(chosen: CustomFields) -> None:
    """Make these the fields that this process reads; they come from its settings."""
    global _chosen
    _chosen = chosen


def mitigated_at(record: Mapping[str, Any], tags: Iterable[str]) -> str | None:
    """The mitigation time that a field tells; None without such a field."""
    return _first(_chosen.mitigated_at, record, tags)


def ai(record: Mapping[str, Any], tags: Iterable[str]) -> str | None:
    """What a field says of AI, in its own words; None without such a field."""
    return _first(_chosen.ai, record, tags)


def _first(names: Iterable[str], record: Mapping[str, Any], tags: Iterable[str]) -> str | None:
    """Fields stand in the record itself, in its `fields`, or among the tags as `name:value`."""
    if not names:
        return None
    inner = record.get("fields")
    own = {name.lower(): value for name, _, value in (tag.partition(":") for tag in tags)}
    for fields in (inner if isinstance(inner, Mapping) else {}, record):
        own |= {str(name).lower(): text for name, value in fields.items() if (text := _text(value))}
    return next((own[name.lower()].strip() for name in names if own.get(name.lower())), None)


def _text(value: Any) -> str | None:
    """A choice is an object or a list of them."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, Mapping):
        value = value.get("value") or value.get("display_value") or value.get("name")
    return None if value is None or value == "" else str(value)
