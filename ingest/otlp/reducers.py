"""Values that may hold content, reduced to facts that cannot: numbers, ids, lengths, counts and keyed hashes."""

import ast
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ingest.otlp.tables import table

Reducer = Callable[[Any], dict[str, Any]]
PrefixReducer = Callable[[Mapping[str, Any]], dict[str, Any]]

MAX_TEXT = 256  # a longer text is no id, name or model, so it may be content
MAX_NUMBER_TEXT = 32
MAX_ITEMS = 256
MAX_JSON = 4_000_000
MAX_REPR = 100_000  # a Python literal costs about ten times as much to parse as JSON

USAGE_CONVENTIONS = ("inclusive", "exclusive", "unmarked")
# Where a provider's usage object lies inside the texts that carry one; nothing else of them is looked at.
USAGE_NAMES = frozenset(("usage", "usage_metadata", "usageMetadata"))
USAGE_PARTS = USAGE_NAMES | {
    "value", "openai", "anthropic", "bedrock", "google", "vertex", "azure", "xai", "openrouter"}
USAGE_DEPTH = 3


def parse(text: Any) -> Any:
    """JSON or the repr of a Python literal as data, or None; what is data already stays."""
    if not isinstance(text, str):
        return text
    if len(text) > MAX_JSON:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        pass
    if len(text) > MAX_REPR:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def scalar(value: Any) -> Any:
    """A number, a truth value or a short text as it is; anything else None."""
    if isinstance(value, str):
        return value if 0 < len(value) <= MAX_TEXT else None
    return value if isinstance(value, (int, float)) else None


def text(key: str) -> Reducer:
    def reduce(value: Any) -> dict[str, Any]:
        if isinstance(value, str):
            return {key: value} if len(value) <= MAX_TEXT else {f"{key}.length": len(value)}
        if isinstance(value, (list, tuple)):
            kept = [scalar(item) for item in value[:MAX_ITEMS]]
            return {key: [item for item in kept if item is not None]}
        return {key: value} if isinstance(value, (int, float)) else {}

    return reduce


def short(key: str) -> Reducer:
    """A number, also one written as text; a long text under a number's name is content."""

    def reduce(value: Any) -> dict[str, Any]:
        return {key: value} if not isinstance(value, str) or len(value) <= MAX_NUMBER_TEXT else {}

    return reduce


def host(key: str) -> Reducer:
    """Only the host of an address: paths and queries carry tokens and content."""

    def reduce(value: Any) -> dict[str, Any]:
        name = str(value).rsplit("://", 1)[-1].split("/", 1)[0].split("?", 1)[0].rsplit("@", 1)[-1]
        return {key: name} if 0 < len(name) <= MAX_TEXT else {}

    return reduce


def user(key: str, hash_key: bytes) -> Reducer:
    """A keyed hash: the same person stays the same key, and nobody without the secret can guess ids."""

    def reduce(value: Any) -> dict[str, Any]:
        if value is None or value == "":
            return {}
        return {f"{key}.hmac": hmac.new(hash_key, str(value).encode(), hashlib.sha256).hexdigest()}

    return reduce


def content(key: str) -> Reducer:
    def reduce(value: Any) -> dict[str, Any]:
        return {f"{key}.length": _length(value)}

    return reduce


def messages(key: str) -> Reducer:
    def reduce(value: Any) -> dict[str, Any]:
        # Inside JSON strings a quote is escaped, so `"role"` occurs once per message and never in its text.
        count = value.count('"role"') if isinstance(value, str) else len(value)
        return {f"{key}.length": _length(value), f"{key}.count": count}

    return reduce


def messages_prefix(prefix: str) -> PrefixReducer:
    def reduce(values: Mapping[str, Any]) -> dict[str, Any]:
        indexed = {rest: value for rest, value in values.items() if _index(rest) is not None}
        if not indexed:
            return {}
        return {f"{prefix}length": sum(_length(value) for value in indexed.values()),
                f"{prefix}count": len({_index(rest) for rest in indexed})}

    return reduce


def json_fields(key: str, paths: Sequence[str]) -> Reducer:
    """The named numbers and short texts of a JSON object, under `key.path`."""
    split = [(f"{key}.{path}", path.split(".")) for path in paths]

    def reduce(value: Any) -> dict[str, Any]:
        found = parse(value)
        if not isinstance(found, dict):
            return {}
        kept = {name: scalar(_at(found, parts)) for name, parts in split}
        return {name: item for name, item in kept.items() if item is not None}

    return reduce


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
    """The same from a whole answer, where only a part called usage is one: a program's own `total` is not."""

    def reduce(value: Any) -> dict[str, Any]:
        found = parse(value)
        parts = [found[name] for name in USAGE_NAMES if name in found] if isinstance(found, dict) else []
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


def _gather(part: Mapping[str, Any], prefix: str, best: dict[str, tuple[int, Any]]) -> None:
    for name, value in part.items():
        if isinstance(value, dict):
            if prefix.count(".") < USAGE_DEPTH:
                _gather(value, f"{prefix}{name}.", best)
        elif (known := USAGE_FIELDS.get(prefix + name)) is not None:
            field, rank = known
            if isinstance(value, (int, float)) or (field == "service_tier" and scalar(value)):
                best[field] = min(best.get(field, (rank, value)), (rank, value))


def tags(key: str) -> Reducer:
    """`team:search` among free tags; a tag without a name is not kept."""

    def reduce(value: Any) -> dict[str, Any]:
        found = parse(value)
        if not isinstance(found, list):
            return {}
        named = [item.split(":", 1) for item in found[:MAX_ITEMS] if isinstance(item, str) and ":" in item]
        return {f"tag.tags.{name.strip()}": value.strip() for name, value in named if len(name) + len(value) < MAX_TEXT}

    return reduce


def documents(key: str) -> Reducer:
    """Ids and scores of retrieved documents, in rank order."""

    def reduce(value: Any) -> dict[str, Any]:
        found = parse(value)
        if not isinstance(found, (list, tuple)):
            return {}
        rows = [parse(item) for item in found[:MAX_ITEMS]]
        return _documents(key, [row if isinstance(row, dict) else {} for row in rows])

    return reduce


def documents_prefix(prefix: str) -> PrefixReducer:
    def reduce(values: Mapping[str, Any]) -> dict[str, Any]:
        by_rank: dict[int, dict[str, Any]] = {}
        for rest, value in values.items():
            rank = _index(rest)
            if rank is not None:
                by_rank.setdefault(rank, {})[rest.rsplit(".", 1)[-1]] = value
        return _documents(prefix.rstrip("."), [by_rank[rank] for rank in sorted(by_rank)][:MAX_ITEMS])

    return reduce


def _documents(key: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if not rows:
        return {f"{key}.count": 0}
    ids = [scalar(row.get("id", row.get("document_id", row.get("chunk_id")))) for row in rows]
    scores = [row.get("score") for row in rows]
    kept: dict[str, Any] = {f"{key}.count": len(rows)}
    kept[f"{key}.ids"] = ["" if item is None else str(item) for item in ids]
    if all(isinstance(score, (int, float)) for score in scores):
        kept[f"{key}.scores"] = [float(score) for score in scores if score is not None]
    return kept


def evaluation(key: str) -> Reducer:
    """LangWatch's evaluation, a JSON text in one attribute, under the standard names."""
    names = {"name": "gen_ai.evaluation.name", "score": "gen_ai.evaluation.score.value",
             "label": "gen_ai.evaluation.score.label", "evaluation_id": "evaluation.id", "status": "evaluation.status"}

    def reduce(value: Any) -> dict[str, Any]:
        found = parse(value)
        if not isinstance(found, dict):
            return {}
        kept = {name: scalar(found.get(path)) for path, name in names.items()}
        if isinstance(found.get("passed"), bool) and kept["gen_ai.evaluation.score.label"] is None:
            kept["gen_ai.evaluation.score.label"] = "passed" if found["passed"] else "failed"
        return {name: item for name, item in kept.items() if item is not None}

    return reduce


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else len(str(value))


def _index(rest: str) -> int | None:
    step = rest.split(".", 1)[0]
    return int(step) if step.isascii() and step.isdigit() else None


def _at(found: Any, path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found
