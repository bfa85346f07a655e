"""Several spans of one call, merged field by field: every span knows a part, and one may know it better."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from ingest.otlp import providers
from ingest.otlp.facts import ANYWHERE, Facts
from ingest.otlp.tokens import Tokens, usage_flags
from ingest.prices.models import canonical_model

# What the application knows: the outermost span says it best, and a call without it has it from the spans above.
CONTEXT = ("conversation_id", "user_key", "prompt_name", "prompt_version", "tenant", "system", "team", "feature", "cost_center",
           "project")
PLACE = ("service", "environment")
# What the client of the provider knows: the innermost span says it best.
ANSWER = ("provider", "request_model", "service_tier", "response_id", "ttft_ms", "finish_reason",
          "streaming", "response_cached", "reported_cost_usd")
VALUES: dict[tuple[str, ...], Callable[[Facts], tuple[Any, ...]]] = {names: attrgetter(*names) for names in (CONTEXT, ANSWER)}
USAGE_FLAGS = frozenset(("ttl_assumed", "cache_unknown", "partial_usage", "zero_usage"))


def latest(versions: Iterable[Facts]) -> Facts:
    """One of several versions of a span, whichever came first: the later end, the more known fields, the content."""
    return max(versions, key=lambda facts: (facts.ended_us, facts.known, repr(facts)))


def one_version(spans: Sequence[Facts]) -> list[Facts]:
    """One version of every span, which is known by (trace_id, span_id); exporters send again after a lost acknowledgement."""
    found = {(facts.trace_id, facts.span_id): facts for facts in spans}
    if len(found) < len(spans):
        versions: dict[tuple[str, str], list[Facts]] = defaultdict(list)
        for facts in spans:
            versions[facts.trace_id, facts.span_id].append(facts)
        found = {key: latest(same) for key, same in versions.items()}
    return list(found.values())


def merge(inner: Sequence[Facts], outer: Sequence[Facts]) -> Facts:
    """One call. `inner` holds its spans with the best witness of the provider's answer first, `outer` with the
    application's span first."""
    primary = inner[0]
    if len(inner) == 1:
        return primary
    found = _said(inner, ANSWER) | _said(outer, CONTEXT)
    found |= {name: getattr(outer[0], name) for name in PLACE}
    found |= _model(inner, found.get("request_model"), found.get("provider"))
    found["error_type"] = _error(inner)
    found["ended_us"] = max([primary.ended_us] + [facts.ended_us for facts in inner if facts.stream_us is not None])
    operation = found["operation"] = _first(inner, "operation")
    counted, witness = _tokens(inner)
    estimated = witness is not None and witness.tokens_estimated
    found |= {
        "input_tokens": counted.input_tokens, "cache_read_tokens": counted.cache_read_tokens,
        "cache_write_tokens": counted.cache_write_tokens, "cache_write_1h_tokens": counted.cache_write_1h_tokens,
        "output_tokens": counted.output_tokens, "reasoning_tokens": counted.reasoning_tokens,
        "token_convention": counted.convention, "token_rule": counted.rule, "tokens_estimated": estimated}
    others = {flag: None for facts in inner for flag in facts.flags if flag not in USAGE_FLAGS}
    found["flags"] = (*others, *usage_flags(counted, (witness or primary).emitter, estimated, operation))
    return msgspec.structs.replace(primary, **found)


def inherit(call: Facts, above: Sequence[Facts]) -> Facts:
    """What the call does not say about its context, from the nearest span above that does."""
    if not above:
        return call
    found = {name: value for name, value in _said(above, CONTEXT).items() if getattr(call, name) is None}
    if call.model is None and (named := next((facts for facts in above if facts.model), None)):
        found |= {"request_model": named.request_model or named.response_model, "model": named.model,
                  "provider": call.provider or named.provider}
    return msgspec.structs.replace(call, **found) if found else call


def by_maker(call: Facts) -> Facts:
    """A call of which no span names the provider is taken for one of the model's maker, and says so."""
    if call.provider is not None:
        return call
    text = call.response_model or call.request_model
    maker = providers.maker(text) if text else None
    return msgspec.structs.replace(call, provider=maker, flags=(*call.flags, "provider_assumed")) if maker else call


def with_rollup(call: Facts, rollup: Facts) -> Facts:
    """The usage that only the span above a call has."""
    names = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
             "reasoning_tokens", "token_convention", "token_rule", "tokens_estimated")
    flags = tuple(dict.fromkeys((*call.flags, *rollup.flags, "rollup_billed")))
    return msgspec.structs.replace(call, flags=flags, **{name: getattr(rollup, name) for name in names})


def _said(spans: Sequence[Facts], names: tuple[str, ...]) -> dict[str, Any]:
    """What the spans say under these names, the first that says anything; what none says is left out."""
    found: dict[str, Any] = {}
    for facts in reversed(spans):
        values = VALUES[names](facts)
        if values.count(None) < len(names):  # most spans say nothing of their context
            found |= {name: value for name, value in zip(names, values, strict=True) if value is not None}
    return found


def _first(spans: Iterable[Facts], name: str) -> Any:
    for facts in spans:
        value = getattr(facts, name)
        if value is not None:
            return value
    return None


def _model(inner: Sequence[Facts], request_model: str | None, provider: str | None) -> dict[str, Any]:
    """The answer's model; a dated name of the same model is worth more than its alias."""
    answered = _first(inner, "response_model")
    named = dict.fromkeys(text for facts in inner for text in (facts.response_model, facts.request_model) if text)
    if answered is not None and len(named) > 1:
        name = canonical_model(answered, provider)
        same = [text for text in named if text.endswith(answered) or canonical_model(text, provider) == name]
        plain = [text for text in same if "/" not in text and not text.startswith(answered + ":")]
        answered = max(plain or [answered], key=lambda text: (len(text) if text.startswith(answered) else 0))
    text = answered or request_model
    return {"response_model": answered, "model": canonical_model(text, provider) if text else None,
            "region_scope": next((scope for facts in inner if (scope := facts.region_scope) not in (None, ANYWHERE)),
                                 inner[0].region_scope)}


def _error(inner: Sequence[Facts]) -> str | None:
    """Failed when the innermost span says so, or another one does and nothing shows a complete answer."""
    primary = inner[0]
    known = [facts.error_type for facts in inner if facts.error_type]
    if not known or (primary.error_type is None and any(facts.answered and not facts.error_type for facts in inner)):
        return None
    return next((error for error in known if error != "other"), "other")


def _tokens(inner: Sequence[Facts]) -> tuple[Tokens, Facts | None]:
    """The token facts and the span that knew the input best."""
    with_input = [facts for facts in inner if facts.input_tokens is not None]
    with_output = [facts for facts in inner if facts.output_tokens is not None]
    witness = max(with_input, key=_input_quality, default=None)  # max keeps the innermost of equals
    output = max(with_output, key=lambda facts: (not facts.tokens_estimated, facts.error_type is None), default=None)
    found = Tokens(output_tokens=output.output_tokens if output else None)
    if witness is not None:
        found.input_tokens = witness.input_tokens
        found.convention, found.rule = witness.token_convention, witness.token_rule
    ordered = ([witness] if witness is not None else []) + [facts for facts in inner if not facts.tokens_estimated]
    read, write = _first(ordered, "cache_read_tokens"), _first(ordered, "cache_write_tokens")
    if witness is not None and (read or 0) + (write or 0) > (witness.input_tokens or 0):
        read, write = witness.cache_read_tokens, witness.cache_write_tokens
    found.cache_read_tokens, found.cache_write_tokens = read, write
    long = _first(ordered, "cache_write_1h_tokens")
    if long is not None and long <= (found.cache_write_tokens or 0):
        found.cache_write_1h_tokens = long
    reasoning = _first(([output] if output is not None else []) + list(inner), "reasoning_tokens")
    if reasoning is not None and (found.output_tokens is None or reasoning <= found.output_tokens):
        found.reasoning_tokens = reasoning
    return found, witness


def _input_quality(facts: Facts) -> int:
    """Measured over estimated, an inclusive total over what may be a part of it, with cache detail over without."""
    if facts.tokens_estimated:
        return 0
    if facts.cache_read_tokens is not None or facts.cache_write_tokens is not None:
        return 1 if facts.token_convention == "unknown" else 3
    return 1 if facts.token_convention == "exclusive" else 2
