"""What one span says by itself: every field of a call that its attributes carry, and what kind of span it is."""

from decimal import Decimal
from typing import Any

import msgspec

from ingest.otlp import failures, providers
from ingest.otlp.attributes import DERIVED
from ingest.otlp.slots import Slot, kind_by_name, kind_of, read
from ingest.otlp.span import Span
from ingest.otlp.tokens import Counts, Emitter, Tokens, emitter, tokens, usage_flags
from ingest.otlp.values import epoch_us
from ingest.prices.models import canonical_model, region_scope

ANYWHERE = "any"
MAX_TTFT_SECONDS = 300  # more than this is milliseconds under a name that promises seconds
MAX_WAIT_MS = 24 * 3600 * 1000  # no answer and no stream takes longer
HTTP_STATUSES = range(100, 600)
USAGE = ("input_tokens", "output_tokens", "total_tokens", "cache_read_tokens", "cache_write_tokens",
         "cache_write_5m_tokens", "cache_write_1h_tokens", "reasoning_tokens", "uncached_input_tokens")
AGGREGATED = tuple(f"aggregated_{name}" for name in USAGE)
FIRST_TOKEN = frozenset(("ttft_s", "ttft_ms", "first_token_at"))
NO_TOKENS = Tokens()
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


def facts(span: Span) -> Facts:
    """Everything that one span says about itself."""
    found, chosen, bad = read(span)
    get = found.get
    provider = get("provider") or providers.provider_of_scope(span.scope_name)
    source = emitter(span.scope_name, provider)
    declared = kind_by_name(span.scope_name, span.name) or get("kind") or _kind_by_convention(span, source)
    aggregated = USAGE_SET.isdisjoint(found) and not AGGREGATED_SET.isdisjoint(found)
    request_model, response_model = get("request_model"), get("response_model")
    if not request_model and "kind" not in found and declared[0] == "inference":
        request_model = span.name.partition(" ")[2]
    model_text = response_model or request_model
    model = canonical_model(model_text, provider) if model_text else None
    role, operation = _role(declared[0], found, chosen, aggregated, model), declared[1]
    if role == "inference" and model and "embed" in model and not get("output_tokens"):
        operation = "embeddings"
    streaming = _streaming(found, declared[2])
    counted = NO_TOKENS
    if aggregated or not USAGE_SET.isdisjoint(found):
        counted = tokens(_counts(span, found, chosen, AGGREGATED if aggregated else USAGE), source, operation)
    estimated = counted.input_tokens is not None and _estimated(found, source, streaming, counted)
    ttft_ms, assumed = _ttft(span, found, streaming)
    finish_reason = get("finish_reason")
    flags = counted.flags + (usage_flags(counted, source, estimated, operation) if role == "inference" else ())
    flags += ("bad_token_count",) * bad + ("ttft_unit_assumed",) * assumed
    return Facts(
        trace_id=span.trace_id, span_id=span.span_id, parent_span_id=span.parent_span_id, name=span.name,
        kind=span.kind, status_code=span.status_code, scope_name=span.scope_name, scope_version=span.scope_version,
        started_us=span.started_us, ended_us=span.ended_us, role=role, emitter=source, known=len(found),
        genai=role != "other" or "kind" in found or bool(source.scope) or bool(span.events),
        stream_us=_stream_us(get("stream_seconds")) if get("stream_end") == "log" else None,
        service=get("service"), environment=get("environment") or "default", team=get("team"), feature=get("feature"),
        tenant=get("tenant"), cost_center=get("cost_center"), project=get("project"), user_key=get("user_key"),
        conversation_id=get("conversation_id"), prompt_name=get("prompt_name"), prompt_version=get("prompt_version"),
        operation=operation, provider=provider, region_scope=_region_scope(request_model, response_model),
        request_model=request_model, response_model=response_model, model=model, service_tier=get("service_tier"),
        response_id=get("response_id"), input_tokens=counted.input_tokens,
        cache_read_tokens=counted.cache_read_tokens, cache_write_tokens=counted.cache_write_tokens,
        cache_write_1h_tokens=counted.cache_write_1h_tokens, output_tokens=counted.output_tokens,
        reasoning_tokens=counted.reasoning_tokens, tokens_estimated=estimated, token_convention=counted.convention,
        token_rule=counted.rule, ttft_ms=ttft_ms, finish_reason=finish_reason,
        error_type=_error(span, found, bool(counted.output_tokens) or finish_reason is not None), streaming=streaming,
        response_cached=get("response_cached"), reported_cost_usd=_reported_cost(found),
        tool_name=get("tool_name", get("entity_name")) if role == "tool" else None, flags=flags)


def _kind_by_convention(span: Span, source: Emitter) -> tuple[str | None, str | None, bool | None]:
    """`chat gpt-4o` by the convention's naming rule: all that some emitters leave on the span of a failed call."""
    operation, _, model = span.name.partition(" ")
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
    source = chosen.get(names[0])
    if source is not None and DERIVED in source.key:
        counts.shape = span.attributes.get(f"{source.key.split(DERIVED)[0]}{DERIVED}convention")
    return counts


def _estimated(found: dict[str, Any], source: Emitter, streaming: bool | None, counted: Tokens) -> bool:
    """Counts that the emitter made up with a tokenizer of its own, because the provider sent none."""
    if found.get("tokens_estimated"):
        return True
    if not streaming:
        return False
    no_cache = counted.cache_read_tokens is None and counted.cache_write_tokens is None
    return source.estimate == "streams" or (source.estimate == "streams_without_cache" and no_cache)


def _streaming(found: dict[str, Any], by_operation: bool | None) -> bool | None:
    told: bool | None = found.get("streaming", by_operation)
    if told is None and not FIRST_TOKEN.isdisjoint(found):
        return True
    return told


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


def _error(span: Span, found: dict[str, Any], answered: bool) -> str | None:
    """The normalised error, or None for success. An exception beside a complete answer was handled."""
    text, status = found.get("error_type"), int(found.get("http_status", 0))
    if status not in HTTP_STATUSES:
        status = 0
    failed = span.status_code == 2 or found.get("level") == "ERROR" or found.get("success") is False
    failed = failed or found.get("finish_reason") == "error"  # all that some clients say of a failed answer
    if not failed and (answered or not (text or status >= 400)):
        return None
    by_text: str | None = failures.error_of_text(text) if text and text.isascii() else None  # as class names and codes are
    return by_text or (failures.error_of_status(status) if status >= 400 else None) or failures.OTHER


def _reported_cost(found: dict[str, Any]) -> Decimal | None:
    total: Decimal | None = found.get("reported_cost_usd")
    if total is None and ("prompt_cost_usd" in found or "completion_cost_usd" in found):
        total = found.get("prompt_cost_usd", Decimal(0)) + found.get("completion_cost_usd", Decimal(0))
    return total
