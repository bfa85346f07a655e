"""Marketing Drafts: calls as openinference.instrumentation.openai 0.1.66 writes them; no span has a response id."""

from random import Random

from sample_data.calls import Call, Request
from sample_data.company import MARKER
from sample_data.otlp import ERROR, INTERNAL, OK, UNSET, Attributes, Event, Scope, Span

OPENINFERENCE = Scope("openinference.instrumentation.openai", "0.1.66")
APP = Scope("nordwind.marketing", "0.8.0")
QUESTION = f"Draft a newsletter about {MARKER}"
ANSWER = f"Dear customer, {MARKER} is here."
FAILURES = {
    "rate_limit": ("RateLimitError", "Error code: 429 - Rate limit reached"),
    "timeout": ("APITimeoutError", "Request timed out."),
    "bad_request": ("BadRequestError", f"Error code: 400 - {QUESTION}"),
    "server_error": ("InternalServerError", "Error code: 500"),
    "aborted": ("APIConnectionError", "Connection error."),
}


def spans(request: Request, ids: Random) -> list[Span]:
    """One call is a root; a campaign of several hangs below the app's own span."""
    parent = ids.randbytes(8) if len(request.steps) > 1 else b""
    found = [_call(request, call, parent, ids.randbytes(8)) for call in request.calls]
    if parent:
        found.append(
            Span(
                APP,
                request.trace_id,
                parent,
                b"",
                "campaign",
                INTERNAL,
                request.started_us,
                request.ended_us,
                {"openinference.span.kind": "CHAIN", "session.id": request.conversation, "user.id": request.user},
                ERROR if request.calls[-1].failure else UNSET,
            )
        )
    return found


def _call(request: Request, call: Call, parent: bytes, span_id: bytes) -> Span:
    attributes: Attributes = {
        "llm.system": "openai",
        "input.value": _request_body(call),
        "input.mime_type": "application/json",
        "llm.invocation_parameters": _parameters(call),
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": QUESTION,
        "session.id": request.conversation,
        "user.id": request.user,
        "llm.prompt_template.version": request.prompt_version or "",
    }
    events: tuple[Event, ...] = ()
    if call.ttft_us is not None:
        events = (Event("First Token Stream Event", call.started_us + call.ttft_us),)
    if call.failure in (None, "aborted"):
        attributes |= {"llm.model_name": call.model.response_model, **_usage(call), "llm.output_messages.0.message.role": "assistant"}
    if call.failure is None:
        attributes |= {"output.value": ANSWER, "llm.output_messages.0.message.content": ANSWER, "llm.finish_reason": call.finish_reason}
    attributes["openinference.span.kind"] = "LLM"
    message = ""
    if call.failure is not None:
        kind, text = FAILURES[call.failure]
        message = f"{kind}: {text}"
        events += (
            Event(
                "exception",
                call.ended_us - 40,
                {"exception.type": f"openai.{kind}", "exception.message": text, "exception.escaped": "False"},
            ),
        )
    return Span(
        OPENINFERENCE,
        request.trace_id,
        span_id,
        parent,
        "ChatCompletion",
        INTERNAL,
        call.started_us,
        call.ended_us,
        attributes,
        ERROR if call.failure else OK,
        message,
        events,
    )


def _request_body(call: Call) -> str:
    return f'{{"model": "{call.model.request_model}", "messages": [{{"role": "user", "content": "{QUESTION}"}}]}}'


def _parameters(call: Call) -> str:
    stream = ', "stream": true' if call.stream else ""
    options = ', "stream_options": {"include_usage": true}' if call.stream and call.usage_sent == "all" else ""
    return f'{{"model": "{call.model.request_model}"{stream}{options}}}'


def _usage(call: Call) -> Attributes:
    if call.usage_sent != "all":
        return {}
    usage = call.usage
    return {
        "llm.token_count.total": usage.input + usage.output,
        "llm.token_count.prompt": usage.input,
        "llm.token_count.completion": usage.output,
        "llm.token_count.prompt_details.cache_read": usage.cache_read,
        "llm.token_count.prompt_details.audio": 0,
        "llm.token_count.completion_details.reasoning": usage.reasoning,
        "llm.token_count.completion_details.audio": 0,
    }
