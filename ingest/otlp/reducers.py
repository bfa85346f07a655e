"""Values that may hold content, reduced to facts that cannot: numbers, ids, lengths, counts and keyed hashes."""

import ast
import hashlib
import hmac
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from ingest.otlp.failures import OTHER, error_of_message, error_of_status

Reducer = Callable[[Any], dict[str, Any]]
PrefixReducer = Callable[[Mapping[str, Any]], dict[str, Any]]

MAX_TEXT = 256  # a longer text is no id, name or model, so it may be content
NUMBER_TEXT = re.compile(r'"?([-+.\deE]{1,32}|true|false)"?', re.IGNORECASE).fullmatch
NO_NUMBER = "?"  # stays where another text stood under a number's name, so that the count is known to be none
EXCEPTION = ("exception.type", "exception.message")
TOLD = ("error.type", "exception.type", "http.response.status_code", "http.status_code")
LEADING_STATUS = re.compile(r"(?:Error code: )?([1-5][0-9]{2})(?= )")
STATUS_ERROR = 2  # the code of a failed span
CLASS_NAME = re.compile(r"(<class ')?[\w.$:+/-]{1,128}('>)?")
MAX_ITEMS = 256
MAX_INDEX_DIGITS = 9
INT64 = range(-(2**63), 2**63)
MAX_JSON = 4_000_000
MAX_REPR = 100_000  # a Python literal costs about ten times as much to parse as JSON


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
    """A finite number of 64 bits, a truth value or a short text as it is; anything else None."""
    if isinstance(value, str):
        return value if 0 < len(value) <= MAX_TEXT and _is_unicode(value) else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int) and value in INT64 else None


def _is_unicode(text: str) -> bool:
    """Python literals can spell half a character, which no ledger stores."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def name(value: Any) -> str | None:
    """A short text; also a number, as emitters send versions and ids."""
    found = scalar(value)
    return None if found is None else str(found)


def text(key: str) -> Reducer:
    def reduce(value: Any) -> dict[str, Any]:
        if isinstance(value, str):
            return {key: value} if len(value) <= MAX_TEXT else {f"{key}.length": len(value)}
        return {key: str(value)} if isinstance(value, (int, float)) else {}

    return reduce


def items(key: str) -> Reducer:
    """A text or a list of texts, such as the finish reasons of several choices."""
    single = text(key)

    def reduce(value: Any) -> dict[str, Any]:
        if not isinstance(value, list):
            return single(value)
        return {key: [item for item in map(scalar, value[:MAX_ITEMS]) if item is not None]}

    return reduce


def short(key: str) -> Reducer:
    """A number or truth value, also one written as text; another text under such a name may be content."""

    def reduce(value: Any) -> dict[str, Any]:
        if isinstance(value, str):
            return {key: value if not value or NUMBER_TEXT(value.strip()) else NO_NUMBER}
        return {key: value} if isinstance(value, (int, float)) else {}

    return reduce


def host(key: str) -> Reducer:
    """Only the host of an address: paths and queries carry tokens and content."""

    def reduce(value: Any) -> dict[str, Any]:
        if not isinstance(value, str):
            return {}
        found = value.rsplit("://", 1)[-1].split("/", 1)[0].split("?", 1)[0].rsplit("@", 1)[-1]
        return {key: found} if 0 < len(found) <= MAX_TEXT else {}

    return reduce


def user(key: str, hash_key: bytes) -> Reducer:
    """A keyed hash: the same person stays the same key, and nobody without the secret can guess ids."""

    @lru_cache(4096)
    def hashed(text: str) -> str:
        return hmac.new(hash_key, text.encode(), hashlib.sha256).hexdigest()

    def reduce(value: Any) -> dict[str, Any]:
        if value == "" or not isinstance(value, (str, int, float)):
            return {}
        return {f"{key}.hmac": hashed(str(value))}

    return reduce


def content(key: str) -> Reducer:
    def reduce(value: Any) -> dict[str, Any]:
        return {f"{key}.length": _length(value)}

    return reduce


def messages(key: str) -> Reducer:
    def reduce(value: Any) -> dict[str, Any]:
        # Inside JSON strings a quote is escaped, so `"role"` occurs once per message and never in its text.
        count = value.count('"role"') if isinstance(value, str) else len(value) if isinstance(value, list) else 1
        return {f"{key}.length": _length(value), f"{key}.count": count}

    return reduce


def messages_prefix(prefix: str) -> PrefixReducer:
    def reduce(values: Mapping[str, Any]) -> dict[str, Any]:
        ranks = [(_index(rest), value) for rest, value in values.items()]
        lengths = [_length(value) for rank, value in ranks if rank is not None]
        if not lengths:
            return {}
        return {f"{prefix}length": sum(lengths), f"{prefix}count": len({rank for rank, _ in ranks if rank is not None})}

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


def error_name(text: str) -> str:
    """The class or code of an error as it is; of a message, which may quote a prompt, only which error it tells."""
    return text if CLASS_NAME.fullmatch(text) else error_of_message(text)


def exception_name(kind: str, message: str) -> str | None:
    """The class of an exception; where JavaScript has none but Error, which error the message tells, by the status that
    it begins with or its words."""
    if kind and kind != "Error":
        return error_name(kind)
    status = LEADING_STATUS.match(message)
    told = (error_of_status(int(status[1])) if status else None) or error_of_message(message)
    return told if told != OTHER else kind or None


def name_failure(kept: dict[str, Any], message: str) -> None:
    """Where the message of a failed span's status is all that tells its error: which one."""
    if kept.keys().isdisjoint(TOLD) and (told := exception_name("", message)):
        kept["exception.type"] = told


def error(key: str) -> Reducer:
    def reduce(value: Any) -> dict[str, Any]:
        if isinstance(value, str) and value.strip():
            return {key: error_name(value.strip())}
        return {key: str(value)} if isinstance(value, int) else {}

    return reduce


def tags(key: str, names: Iterable[str]) -> Reducer:
    """`team:search` among free tags; only tags of these names are kept."""
    kept = frozenset(names)

    def reduce(value: Any) -> dict[str, Any]:
        found = parse(value)
        if not isinstance(found, list):
            return {}
        texts = [item for item in map(scalar, found[:MAX_ITEMS]) if isinstance(item, str) and ":" in item]
        named = ((label.strip(), said.strip()) for label, said in (item.split(":", 1) for item in texts))
        return {f"{key}.{label}": said for label, said in named if label in kept}

    return reduce


def documents(key: str) -> Reducer:
    """Ids and scores of retrieved documents, in rank order."""

    def reduce(value: Any) -> dict[str, Any]:
        found = parse(value)
        if not isinstance(found, list):
            return {}
        rows = [parse(item) for item in found[:MAX_ITEMS]]
        return _documents(key, [row if isinstance(row, dict) else {} for row in rows])

    return reduce


def documents_prefix(prefix: str) -> PrefixReducer:
    key = prefix.rstrip(".")

    def reduce(values: Mapping[str, Any]) -> dict[str, Any]:
        by_rank: dict[int, dict[str, Any]] = {}
        for rest, value in values.items():
            rank = _index(rest)
            if rank is not None:
                by_rank.setdefault(rank, {})[rest.rsplit(".", 1)[-1]] = value
        return _documents(key, [by_rank[rank] for rank in sorted(by_rank)][:MAX_ITEMS]) if by_rank else {}

    return reduce


def _documents(key: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    kept: dict[str, Any] = {f"{key}.count": len(rows)}
    if rows:
        kept[f"{key}.ids"] = [name(row.get("id", row.get("document_id", row.get("chunk_id")))) or "" for row in rows]
        scores = [scalar(row.get("score")) for row in rows]
        if all(isinstance(score, (int, float)) for score in scores):
            kept[f"{key}.scores"] = [float(score) for score in scores]
    return kept


def evaluation(key: str) -> Reducer:
    """LangWatch's evaluation, a JSON text in one attribute, under the standard names."""
    names = {"name": "gen_ai.evaluation.name", "label": "gen_ai.evaluation.score.label",
             "evaluation_id": "evaluation.id", "status": "evaluation.status"}

    def reduce(value: Any) -> dict[str, Any]:
        found = parse(value)
        if not isinstance(found, dict):
            return {}
        kept: dict[str, Any] = {name_kept: name(found.get(path)) for path, name_kept in names.items()}
        if isinstance(found.get("passed"), bool) and kept["gen_ai.evaluation.score.label"] is None:
            kept["gen_ai.evaluation.score.label"] = "passed" if found["passed"] else "failed"
        kept["gen_ai.evaluation.score.value"] = scalar(found.get("score"))
        return {kept_name: item for kept_name, item in kept.items() if item is not None}

    return reduce


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else len(str(value))


@lru_cache(4096)
def _index(rest: str) -> int | None:
    step = rest.split(".", 1)[0]
    return int(step) if step.isascii() and step.isdigit() and len(step) <= MAX_INDEX_DIGITS else None


def _at(found: Any, path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found
