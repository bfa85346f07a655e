"""The attribute table: which span attributes enter the ledger, and which field each of them fills."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from ingest.otlp import reducers, usage
from ingest.otlp.reducers import PrefixReducer, Reducer
from ingest.otlp.span import AllowList
from ingest.otlp.tables import table

NUMBERS = frozenset(("count", "number", "flag", "usd", "usd_ticks"))
TEXTS = frozenset(("text", "provider", "model_prefix", "streaming_method", "first"))
EVENTS = frozenset(("gen_ai.evaluation.result", "langwatch.evaluation.custom"))
# Events that say what others say in attributes of the span: LlamaIndex's own telemetry has nothing else.
OWN_EVENTS = frozenset((
    "LLMChatStartEvent", "LLMChatEndEvent", "LLMCompletionStartEvent", "LLMCompletionEndEvent", "EmbeddingStartEvent"))

WITHOUT_PATHS: dict[str, Callable[[str], Reducer]] = {
    **dict.fromkeys(NUMBERS, reducers.short), **dict.fromkeys(TEXTS, reducers.text), "first": reducers.items, "host": reducers.host,
    "content": reducers.content, "messages": reducers.messages, "documents": reducers.documents, "error": reducers.error,
    "evaluation": reducers.evaluation, "usage_in_body": usage.usage_in_body}
WITH_PATHS = {"json": reducers.json_fields, "tags": reducers.tags, "usage": usage.usage, "raw_usage": usage.usage}
PREFIXES: dict[str, Callable[[str], PrefixReducer]] = {
    "messages_prefix": reducers.messages_prefix, "documents_prefix": reducers.documents_prefix}

# The token fields that one usage object fills; `usage_before` ranks above every plain attribute, `usage_after` below.
USAGE_FIELDS = {
    "input": "input_tokens", "output": "output_tokens", "total": "total_tokens", "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens", "cache_write_5m": "cache_write_5m_tokens",
    "cache_write_1h": "cache_write_1h_tokens", "reasoning": "reasoning_tokens", "candidates": "candidate_tokens"}
DERIVED = "#"  # separates an attribute from the field that a usage object under it had


def allow_list(hash_key: bytes, keep: Iterable[str] = ()) -> AllowList:
    """What may enter the ledger. `hash_key` keys the hashes of user ids; `keep` adds attributes that rules look at."""
    kinds_of = dict.fromkeys(keep, "first")
    for row in table("attributes.csv"):
        key, kind = row["key"], row["kind"]
        if DERIVED in key or kind == "list":
            continue  # what the reducer of another attribute leaves, never sent as it is
        if kind == "user" or kind in PREFIXES or kind in WITH_PATHS:
            kinds_of[key] = kind
        else:
            kinds_of.setdefault(key, kind)
    for row in table("kinds.csv"):
        kinds_of.setdefault(row["key"], "text")
    found: dict[str, Reducer] = {}
    prefixes: dict[str, PrefixReducer] = {}
    for key, kind in kinds_of.items():
        if kind == "user":
            found[key] = reducers.user(key, hash_key)
        elif kind in PREFIXES:
            prefixes[key] = PREFIXES[kind](key)
        elif kind in WITH_PATHS:
            found[key] = WITH_PATHS[kind](key, _paths_below(key))
        else:
            found[key] = WITHOUT_PATHS[kind](key)
    return AllowList(found, prefixes, EVENTS, frozenset(key for key, kind in kinds_of.items() if kind in TEXTS),
                     frozenset(key for key, kind in kinds_of.items() if kind in NUMBERS), OWN_EVENTS)


def _paths_below(key: str) -> list[str]:
    """Where inside a JSON attribute the table looks for fields: the rest of the keys that begin with its own."""
    keys = dict.fromkeys(row["key"] for row in table("attributes.csv") if DERIVED not in row["key"])
    return [other[len(key) + 1:] for other in keys if other.startswith(f"{key}.")]


def fields() -> list[tuple[str, str, str, str]]:
    """Every (field, key, kind, scope) in order of precedence, usage objects spelled out field by field."""
    plain = [(row["field"], f"{row['key']}.hmac" if row["kind"] == "user" else row["key"], row["kind"], row["scope"])
             for row in table("attributes.csv") if row["field"] and not row["field"].startswith("usage_")]
    return _usage("usage_before") + plain + _usage("usage_after")


def _usage(position: str) -> list[tuple[str, str, str, str]]:
    return [(field, f"{row['key']}{DERIVED}{name}", row["kind"], row["scope"])
            for row in table("attributes.csv") if row["field"] == position for name, field in USAGE_FIELDS.items()]


@cache
def kinds() -> tuple[tuple[str, ...], dict[tuple[str, str], tuple[str, str | None]]]:
    """The attributes that say what a span is, in order, and what each of their values means: (role, operation)."""
    rows = table("kinds.csv")
    meaning = {(row["key"], row["value"].lower()): (row["role"], row["operation"] or None) for row in rows}
    return tuple(dict.fromkeys(row["key"] for row in rows)), meaning


def value_of_kind(value: Any) -> str:
    """`"CHAT_MODEL"`, `ai.generateText.doGenerate geo`, `LLM` as they are written in the table of kinds."""
    return str(value).strip('"').split(" ", 1)[0].lower()
