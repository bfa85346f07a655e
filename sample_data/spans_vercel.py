"""Policy Search: calls as the Vercel AI SDK 6 writes them (root and child both carry the usage), and the app's retrieval span."""

from random import Random

from sample_data.calls import Call, Request, Retrieval
from sample_data.company import MARKER
from sample_data.otlp import ERROR, INTERNAL, UNSET, Attributes, Event, Scope, Span

AI = Scope("ai")
APP = Scope("nordwind-policy-search", "2.9.1")
FUNCTION = "policy-answer"
QUESTION = f"Does the household policy cover {MARKER}?"
ANSWER = f"Yes, {MARKER} is covered up to the insured sum."
FAILURES = {
    "rate_limit": "Rate limit reached for gpt-5-mini",
    "timeout": "Request timed out",
    "bad_request": f"Invalid prompt: {QUESTION}",
    "server_error": "The server had an error",
}
FLAGS = 257  # Node SDKs say that the parent is local


def spans(request: Request, ids: Random) -> list[Span]:
    """One AI span tree for a follow-up question; with retrieval, everything hangs below the app's own span."""
    parent = ids.randbytes(8) if len(request.steps) > 1 else b""
    found: list[Span] = []
    for step in request.steps:
        if isinstance(step, Retrieval):
            found.append(_retrieval(request, step, parent, ids.randbytes(8)))
        elif isinstance(step, Call):
            found += _call(request, step, parent, ids)
    if parent:
        found.append(
            Span(
                APP,
                request.trace_id,
                parent,
                b"",
                "search",
                INTERNAL,
                request.started_us,
                request.ended_us,
                {"openinference.span.kind": "CHAIN", "session.id": request.conversation, "user.id": request.user},
                ERROR if request.calls[-1].failure else UNSET,
                flags=FLAGS,
            )
        )
    return found


def _retrieval(request: Request, step: Retrieval, parent: bytes, span_id: bytes) -> Span:
    attributes: Attributes = {"openinference.span.kind": "RETRIEVER", "input.value": QUESTION}
    for rank, (document, score) in enumerate(step.documents):
        attributes |= {f"retrieval.documents.{rank}.document.id": document, f"retrieval.documents.{rank}.document.score": score}
    if step.documents:
        attributes["retrieval.documents.0.document.content"] = f"Clause on {MARKER}"
    return Span(
        APP,
        request.trace_id,
        span_id,
        parent,
        "retrieve",
        INTERNAL,
        step.started_us,
        step.started_us + step.duration_us,
        attributes,
        flags=FLAGS,
    )


def _call(request: Request, call: Call, parent: bytes, ids: Random) -> list[Span]:
    outer, inner = ("ai.embed", "doEmbed") if call.is_embedding else ("ai.generateText", "doGenerate")
    root_id, child_id = ids.randbytes(8), ids.randbytes(8)
    message = FAILURES[call.failure] if call.failure else ""
    events: tuple[Event, ...] = ()
    if call.failure is not None:
        events = (Event("exception", call.ended_us - 60, {"exception.type": "AI_APICallError", "exception.message": message}),)
    status = ERROR if call.failure else UNSET
    return [
        Span(
            AI,
            request.trace_id,
            child_id,
            root_id,
            f"{outer}.{inner}",
            INTERNAL,
            call.started_us,
            call.ended_us,
            _common(request, call, f"{outer}.{inner}") | _child(call),
            status,
            message,
            events,
            FLAGS,
        ),
        Span(
            AI,
            request.trace_id,
            root_id,
            parent,
            outer,
            INTERNAL,
            call.started_us - 900,
            call.ended_us + 700,
            _common(request, call, outer) | _root(call),
            status,
            message,
            events,
            FLAGS,
        ),
    ]


def _common(request: Request, call: Call, operation: str) -> Attributes:
    return {
        "operation.name": f"{operation} {FUNCTION}",
        "resource.name": FUNCTION,
        "ai.operationId": operation,
        "ai.telemetry.functionId": FUNCTION,
        "ai.model.provider": "openai.embedding" if call.is_embedding else "openai.responses",
        "ai.model.id": call.model.request_model,
        "ai.settings.maxRetries": 0,
        "ai.telemetry.metadata.tenant": request.tenant or "",
        "ai.telemetry.metadata.sessionId": request.conversation,
        "ai.telemetry.metadata.userId": request.user,
        "ai.telemetry.metadata.promptVersion": request.prompt_version or "",
        "ai.request.headers.user-agent": "ai/6.0.326",
    }


def _child(call: Call) -> Attributes:
    if call.is_embedding:
        return {"ai.values": [f'"{QUESTION}"'], **_tokens(call)}
    attributes: Attributes = {
        "ai.prompt.messages": f'[{{"role":"user","content":[{{"type":"text","text":"{QUESTION}"}}]}}]',
        "gen_ai.system": "openai.responses",
        "gen_ai.request.model": call.model.request_model,
    }
    if call.failure is None:
        attributes |= {
            "ai.response.finishReason": "stop",
            "ai.response.text": ANSWER,
            "ai.response.id": call.response_id,
            "ai.response.model": call.model.response_model,
            **_tokens(call),
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.response.id": call.response_id,
            "gen_ai.response.model": call.model.response_model,
            "gen_ai.usage.input_tokens": call.usage.input,
            "gen_ai.usage.output_tokens": call.usage.output,
        }
    return attributes


def _root(call: Call) -> Attributes:
    if call.is_embedding:
        return {"ai.value": f'"{QUESTION}"', **_tokens(call)}
    attributes: Attributes = {"ai.prompt": f'{{"prompt":"{QUESTION}"}}'}
    if call.failure is None:
        attributes |= {"ai.response.finishReason": "stop", "ai.response.text": ANSWER, **_tokens(call)}
    return attributes


def _tokens(call: Call) -> Attributes:
    usage = call.usage
    if call.is_embedding:
        return {"ai.usage.tokens": usage.input} if call.failure is None else {}
    return {
        "ai.usage.inputTokens": usage.input,
        "ai.usage.inputTokenDetails.noCacheTokens": usage.uncached_input,
        "ai.usage.inputTokenDetails.cacheReadTokens": usage.cache_read,
        "ai.usage.inputTokenDetails.cacheWriteTokens": 0,
        "ai.usage.outputTokens": usage.output,
        "ai.usage.outputTokenDetails.textTokens": usage.output - usage.reasoning,
        "ai.usage.outputTokenDetails.reasoningTokens": usage.reasoning,
        "ai.usage.totalTokens": usage.input + usage.output,
        "ai.usage.reasoningTokens": usage.reasoning,
        "ai.usage.cachedInputTokens": usage.cache_read,
    }
