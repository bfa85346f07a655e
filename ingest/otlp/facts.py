"""What one span says by itself: every field of a call that its attributes carry, and what kind of span it is."""

from copy import copy
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from ingest.otlp import failures, providers
from ingest.otlp.attributes import DERIVED
from ingest.otlp.slots import AGGREGATED, USAGE, Plan, Slot, kind_by_name, kind_of, plan, read
from ingest.otlp.span import Span
from ingest.otlp.tokens import Counts, Emitter, Tokens, emitter, tokens, usage_flags
from ingest.otlp.values import epoch_us
from ingest.prices.models import canonical_model, region_scope

ANYWHERE = "any"
MAX_TTFT_SECONDS = 300  # more than this is milliseconds under a name that promises seconds
MAX_WAIT_MS = 24 * 3600 * 1000  # no answer and no stream takes longer
HTTP_STATUSES = range(100, 600)
PROVIDERS_USAGE = f"ai.response.providerMetadata{DERIVED}"  # beside what the emitter makes of it
FIRST_TOKEN = frozenset(("ttft_s", "ttft_ms", "first_token_at"))
# Fields of a span's facts that are as its attributes say.
SAID = ("service", "team", "feature", "tenant", "cost_center", "project", "prompt_name", "prompt_version", "service_tier",
        "response_cached")
USAGE_SET, AGGREGATED_SET = frozenset(USAGE), frozenset(AGGREGATED)


class Facts(msgspec.Struct, gc=False, kw_only=True):
    """One span's own statement, tokens normalised.

    `role` is what the span looks like alone: inference, evidence (the raw request below a call), wrapper, agent, tool,
    retrieval, guardrail, evaluator or other; only the spans around it tell whether it is a call. `genai` is False
    for spans that are no evidence at all, such as those of HTTP clients. `stream_us` is set on the record that some
    emitters write when a stream was read to its end: how long that took.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: int
    status_code: int
    scope_name: str
    scope_version: str
    started_us: int
    ended_us: int
    role: str
    genai: bool
    emitter: Emitter
    known: int = 0
    stream_us: int | None = None
    service: str | None = None
    environment: str = "default"
    system: str | None = None
    team: str | None = None
    feature: str | None = None
    tenant: str | None = None
    cost_center: str | None = None
    project: str | None = None
    user_key: str | None = None
    conversation_id: str | None = None
    prompt_name: str | None = None
    prompt_version: str | None = None
    operation: str | None = None
    provider: str | None = None
    region_scope: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    model: str | None = None
    service_tier: str | None = None
    response_id: str | None = None
    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    tokens_estimated: bool = False
    token_convention: str | None = None
    token_rule: str | None = None
    ttft_ms: float | None = None
    finish_reason: str | None = None
    error_type: str | None = None
    streaming: bool | None = None
    response_cached: bool | None = None
    reported_cost_usd: Decimal | None = None
    tool_name: str | None = None
    flags: tuple[str, ...] = ()

    @property
    def has_usage(self) -> bool:
        return self.input_tokens is not None or self.output_tokens is not None

    @property
    def answered(self) -> bool:
        return bool(self.output_tokens) or self.finish_reason is not None


class _Alike(msgspec.Struct, frozen=True):
    """What spans of an emitter say that do the same thing: their facts but for what is measured, named, or their own."""

    facts: Facts
    found: dict[str, Any]
    chosen: dict[str, Slot]
    bad: bool
    declared: str | None
    streaming: bool | None
    says_kind: bool
    failed: bool
    error: str | None


def facts(span: Span) -> Facts:
    """Everything that one span says about itself."""
    attributes = span.attributes
    wanted = plan(span.scope_name, tuple(attributes))
    values = tuple([attributes[key] for key in wanted.alike_keys])
    kind = span.scope_name, span.scope_version, span.name, span.kind, span.status_code, wanted, values
    try:
        alike = _alike(*kind)
    except TypeError:  # a list, which a rule asked to keep, cannot be looked up
        alike = _alike.__wrapped__(*kind)
    found, chosen = alike.found.copy(), alike.chosen.copy()
    bad = read(wanted.measured, attributes, found, chosen) or alike.bad
    own = copy(alike.facts)
    own.trace_id, own.span_id, own.parent_span_id = span.trace_id, span.span_id, span.parent_span_id
    own.started_us, own.ended_us, own.known = span.started_us, span.ended_us, len(found)
    get = found.get
    own.user_key, own.conversation_id, own.response_id = get("user_key"), get("conversation_id"), get("response_id")
    own.finish_reason, own.reported_cost_usd = get("finish_reason"), _reported_cost(found)
    aggregated = USAGE_SET.isdisjoint(found) and not AGGREGATED_SET.isdisjoint(found)
    own.role = role = _role(alike.declared, found, chosen, aggregated, own.model)
    if role == "inference" and own.model and "embed" in own.model and not get("output_tokens"):
        own.operation = "embeddings"
    own.tool_name = get("tool_name", get("entity_name")) if role == "tool" else None
    own.genai = role != "other" or alike.says_kind or bool(span.events)
    own.streaming = True if alike.streaming is None and not FIRST_TOKEN.isdisjoint(found) else alike.streaming
    own.ttft_ms, assumed = _ttft(span, found, own.streaming)
    if get("stream_end") == "log":
        own.stream_us = _stream_us(get("stream_seconds"))
    if aggregated or not USAGE_SET.isdisjoint(found):
        _count(own, tokens(_counts(span, found, chosen, AGGREGATED if aggregated else USAGE), own.emitter, own.operation), found)
    if bad or assumed:
        own.flags += ("bad_token_count",) * bad + ("ttft_unit_assumed",) * assumed
    # All that some clients say of a failed answer is its finish reason; an exception beside a complete answer was handled.
    if alike.failed or own.finish_reason == "error" or (alike.error is not None and not own.answered):
        own.error_type = alike.error or failures.OTHER
    return own


@lru_cache(8192)
def _alike(scope_name: str, scope_version: str, name: str, kind: int, status_code: int, wanted: Plan, values: tuple[Any, ...]) -> _Alike:
    found: dict[str, Any] = {}
    chosen: dict[str, Slot] = {}
    bad = read(wanted.alike, dict(zip(wanted.alike_keys, values, strict=True)), found, chosen)
    get = found.get
    provider = get("provider") or providers.provider_of_scope(scope_name)
    source = emitter(scope_name, scope_version, provider)
    role, operation, streaming = kind_by_name(scope_name, name) or get("kind") or _kind_by_convention(name, source)
    request_model, response_model = get("request_model"), get("response_model")
    if not request_model and "kind" not in found and role == "inference":
        request_model = name.partition(" ")[2] or None
    model_text = response_model or request_model
    facts = Facts(
        trace_id="", span_id="", parent_span_id=None, name=name, kind=kind, status_code=status_code, scope_name=scope_name,
        scope_version=scope_version, started_us=0, ended_us=0, role="", genai=False, emitter=source, operation=operation,
        environment=get("environment") or "default", provider=provider, region_scope=_region_scope(request_model, response_model),
        request_model=request_model, response_model=response_model, model=canonical_model(model_text, provider) if model_text else None,
        **{field: found[field] for field in SAID if field in found})
    return _Alike(facts, found, chosen, bad, role, found.get("streaming", streaming), "kind" in found or bool(source.scope),
                  status_code == 2 or get("level") == "ERROR" or get("success") is False, _error(found))


def _kind_by_convention(name: str, source: Emitter) -> tuple[str | None, str | None, bool | None]:
    """`chat gpt-4o` by the convention's naming rule: all that some emitters leave on the span of a failed call."""
    operation, _, model = name.partition(" ")
    known = kind_of("gen_ai.operation.name", operation) if source.scope and model and " " not in model else None
    return known or (None, None, None)


def _region_scope(request_model: str | None, response_model: str | None) -> str | None:
    """Where the call may run: the request names an inference profile, the answer seldom does."""
    scopes = [region_scope(text) for text in (request_model, response_model) if text]
    return next((scope for scope in scopes if scope != ANYWHERE), ANYWHERE) if scopes else None


def _role(role: str | None, found: dict[str, Any], chosen: dict[str, Slot], aggregated: bool, model: str | None) -> str:
    """What the span is by its declared kind, else by what it carries."""
    has_usage = not USAGE_SET.isdisjoint(found)
    if role == "reranker":
        return "inference" if model and has_usage else "retrieval"
    if aggregated and role in (None, "inference"):
        return "agent"
    if role is not None:
        return role
    if not model and has_usage and all(chosen[name].kind == "raw_usage" for name in USAGE if name in chosen):
        return "evidence"
    if "tool_name" in found and not has_usage:
        return "tool"
    if model or has_usage:
        return "inference"
    return "retrieval" if "retrieved" in found else "other"


def _counts(span: Span, found: dict[str, Any], chosen: dict[str, Slot], names: tuple[str, ...]) -> Counts:
    counts = Counts(*map(found.get, names))
    if counts.output is None and "candidate_tokens" in found:  # Gemini counts thoughts beside its candidates
        counts.output = found["candidate_tokens"] + (counts.reasoning or 0)
    if counts.uncached is None and span.attributes.get(f"{PROVIDERS_USAGE}convention") == "exclusive":
        counts.uncached = span.attributes.get(f"{PROVIDERS_USAGE}input")
    source = chosen.get(names[0])
    if source is not None and DERIVED in source.key:
        counts.shape = span.attributes.get(f"{source.key.split(DERIVED)[0]}{DERIVED}convention")
    return counts


def _estimated(found: dict[str, Any], source: Emitter, streaming: bool | None, counted: Tokens) -> bool:
    """Counts that the emitter made up with a tokenizer of its own, because the provider sent none."""
    if found.get("tokens_estimated") or source.estimate == "always":
        return True
    if not streaming:
        return False
    no_cache = counted.cache_read_tokens is None and counted.cache_write_tokens is None
    return source.estimate == "streams" or (source.estimate == "streams_without_cache" and no_cache)


def _count(own: Facts, counted: Tokens, found: dict[str, Any]) -> None:
    """Fill in the tokens, and what a reader of them has to know."""
    own.input_tokens, own.output_tokens, own.reasoning_tokens = counted.input_tokens, counted.output_tokens, counted.reasoning_tokens
    own.cache_read_tokens, own.cache_write_tokens = counted.cache_read_tokens, counted.cache_write_tokens
    own.cache_write_1h_tokens, own.token_convention, own.token_rule = counted.cache_write_1h_tokens, counted.convention, counted.rule
    own.tokens_estimated = counted.input_tokens is not None and _estimated(found, own.emitter, own.streaming, counted)
    own.flags = counted.flags
    if own.role == "inference":
        own.flags += usage_flags(counted, own.emitter, own.tokens_estimated, own.operation)


def _ttft(span: Span, found: dict[str, Any], streaming: bool | None) -> tuple[float | None, bool]:
    """Time to the first token of a stream in ms, and whether the unit is a guess; a whole answer has none."""
    if streaming is False:
        return None, False
    value, assumed = _first_token_ms(span, found)
    return (value, assumed) if value is not None and 0 <= value <= MAX_WAIT_MS else (None, False)


def _first_token_ms(span: Span, found: dict[str, Any]) -> tuple[float | None, bool]:
    if "ttft_s" in found:
        return found["ttft_s"] * 1000, False
    if "ttft_ms" in found:
        return found["ttft_ms"], False
    if "ttft_s_or_ms" in found:
        value, duration_s = found["ttft_s_or_ms"], (span.ended_us - span.started_us) / 1_000_000
        in_ms = value > MAX_TTFT_SECONDS or (value > duration_s and value <= duration_s * 1000)
        return (value, True) if in_ms else (value * 1000, False)
    at = epoch_us(found["first_token_at"]) if "first_token_at" in found else None
    return (at - span.started_us) / 1000 if at is not None else None, False


def _stream_us(seconds: float | None) -> int:
    """How long a stream was read; 0 where the span does not say it or says nonsense."""
    return int(seconds * 1_000_000) if seconds is not None and 0 <= seconds * 1000 <= MAX_WAIT_MS else 0


def _error(found: dict[str, Any]) -> str | None:
    """The normalised error that a span names, or None."""
    text, status = found.get("error_type"), int(found.get("http_status", 0))
    has_failed = status in HTTP_STATUSES and status >= 400
    if not (text or has_failed):
        return None
    by_text: str | None = failures.error_of_text(text) if text and text.isascii() else None  # as class names and codes are
    return by_text or (failures.error_of_status(status) if has_failed else None) or failures.OTHER


def _reported_cost(found: dict[str, Any]) -> Decimal | None:
    total: Decimal | None = found.get("reported_cost_usd")
    if total is None and ("prompt_cost_usd" in found or "completion_cost_usd" in found):
        total = found.get("prompt_cost_usd", Decimal(0)) + found.get("completion_cost_usd", Decimal(0))
    return total
