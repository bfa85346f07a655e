"""A provider's usage object inside an attribute: its token numbers, and the convention that its form tells."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ingest.otlp.reducers import Reducer, json_fields, parse, scalar
from ingest.otlp.tables import table

USAGE_CONVENTIONS = ("inclusive", "exclusive", "unmarked")
# Where a provider's usage object lies inside the texts that carry one; nothing else of them is looked at.
USAGE_NAMES = ("usage", "usage_metadata", "usageMetadata")
USAGE_PARTS = frozenset((
    *USAGE_NAMES, "value", "openai", "anthropic", "bedrock", "google", "vertex", "azure", "xai", "openrouter"))
USAGE_DEPTH = 3


def _usage_table() -> tuple[dict[str, tuple[str, int]], dict[str, tuple[int, str]]]:
    """path -> the field it fills and its precedence; top-level name -> the convention it marks."""
    rows = list(enumerate(table("usage.csv")))
    fields = {row["path"]: (row["field"], rank) for rank, row in rows if row["field"] not in USAGE_CONVENTIONS}
    return fields, {row["path"]: (rank, row["field"]) for rank, row in rows if row["field"] in USAGE_CONVENTIONS}


USAGE_FIELDS, USAGE_MARKERS = _usage_table()


def usage(key: str, paths: Sequence[str] = ()) -> Reducer:
    """The token numbers of a provider's usage object under `key#field`, the convention its form tells, and `paths`."""
    named = json_fields(key, paths)

    def reduce(value: Any) -> dict[str, Any]:
        found = parse(value)
        if not isinstance(found, dict):
            return {}
        return (named(found) if paths else {}) | _first_usage(key, _usage_parts(found, USAGE_DEPTH))

    return reduce


def usage_in_body(key: str) -> Reducer:
    """The same from a whole answer, where only a part called usage is one: a program's own `total` is not. The provider's
    raw answer, where a framework passes it on, tells more than what the framework made of it."""

    def reduce(value: Any) -> dict[str, Any]:
        found = parse(value)
        answers = [found.get("raw"), found] if isinstance(found, dict) else []
        parts = [answer[name] for answer in answers if isinstance(answer, dict) for name in USAGE_NAMES if name in answer]
        return _first_usage(key, [part for part in parts if isinstance(part, dict)])

    return reduce


def _first_usage(key: str, parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    numbers = next((numbers for part in parts if (numbers := _usage_numbers(part))), {})
    return {f"{key}#{name}": number for name, number in numbers.items()}


def _usage_parts(found: Mapping[str, Any], depth: int) -> Iterable[Mapping[str, Any]]:
    if depth > 0:
        for name, part in found.items():
            if name in USAGE_PARTS and isinstance(part, dict):
                yield from _usage_parts(part, depth - 1)
    yield found


def _usage_numbers(part: Mapping[str, Any]) -> dict[str, Any]:
    """The first known spelling of every field, and the convention of the form that names it."""
    best: dict[str, tuple[int, Any]] = {}
    _gather(part, "", best)
    numbers = {name: value for name, (_, value) in best.items()}
    if "input" in numbers:
        marked = [USAGE_MARKERS[name] for name, value in part.items() if name in USAGE_MARKERS and value is not None]
        numbers["convention"] = min(marked)[1] if marked else "unmarked"
    return numbers


def _gather(part: Mapping[Any, Any], prefix: str, best: dict[str, tuple[int, Any]]) -> None:
    for name, value in part.items():
        if not isinstance(name, str):
            continue
        path = prefix + name
        if isinstance(value, dict):
            if prefix.count(".") < USAGE_DEPTH:
                _gather(value, f"{path}.", best)
        elif (known := USAGE_FIELDS.get(path)) is not None and (kept := scalar(value)) is not None:
            field, rank = known
            is_wanted = field == "service_tier" or not isinstance(kept, str)
            if is_wanted and (field not in best or rank < best[field][0]):
                best[field] = rank, kept
