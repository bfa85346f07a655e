"""Claims Copilot: chains as openinference.instrumentation.langchain 0.1.80 writes them; the SDK's own span is another trace."""

from random import Random

from sample_data.calls import Call, Request, ToolRun
from sample_data.company import MARKER
from sample_data.otlp import ERROR, INTERNAL, OK, Attributes, Event, Scope, Span
from sample_data.spans_anthropic import native_span

LANGCHAIN = Scope("openinference.instrumentation.langchain", "0.1.80")
SYSTEM_PROMPT = "You summarise insurance claims for a clerk. Synthetic data."
QUESTION = f"Summarise claim {MARKER} for the clerk"
ANSWER = f"Summary of claim {MARKER}: covered, three open points."
METADATA = '{"ls_provider": "anthropic", "ls_model_name": "claude-sonnet-4-5", "ls_model_type": "chat", "ls_max_tokens": 8192}'
FAILURES = {
    "rate_limit": ("anthropic.RateLimitError", "Error code: 429"),
    "timeout": ("anthropic.APITimeoutError", "Request timed out."),
    "bad_request": ("anthropic.BadRequestError", f"Error code: 400 - prompt '{QUESTION}' is invalid"),
    "server_error": ("anthropic.InternalServerError", "Error code: 500"),
}
INSET_US = 300


def spans(request: Request, ids: Random) -> list[Span]:
    """A sequence for one call, a LangGraph agent for several."""
    if len(request.steps) > 1:
        return _graph(request, ids)
    call, root = request.calls[0], ids.randbytes(8)
    prompt: Attributes = {
        "input.value": QUESTION,
        "output.value": f'{{"messages": [{{"content": "{QUESTION}", "type": "human"}}]}}',
        "output.mime_type": "application/json",
        "llm.prompt_template.template": SYSTEM_PROMPT,
        "openinference.span.kind": "PROMPT",
    }
    return [
        _span(request, ids.randbytes(8), root, "ChatPromptTemplate", request.started_us + 200, request.started_us + 900, prompt),
        *_model(request, call, root, ids),
        _chain(request, root, b"", "RunnableSequence", request.started_us, request.ended_us, call),
    ]


def _graph(request: Request, ids: Random) -> list[Span]:
    root = ids.randbytes(8)
    found: list[Span] = []
    for step in request.steps:
        node = ids.randbytes(8)
        if isinstance(step, Call):
            found += [
                *_model(request, step, node, ids),
                _chain(request, node, root, "model", step.started_us - 400, step.ended_us + 400, step),
            ]
        elif isinstance(step, ToolRun):
            ended = step.started_us + step.duration_us
            tool: Attributes = {
                "input.value": MARKER,
                "output.value": f"history of {MARKER}",
                "tool.name": step.name,
                "tool.description": step.name.replace("_", " "),
                "openinference.span.kind": "TOOL",
            }
            found += [
                _span(request, ids.randbytes(8), node, step.name, step.started_us, ended, tool),
                _chain(request, node, root, "tools", step.started_us - 400, ended + 400, None),
            ]
    return [*found, _chain(request, root, b"", "LangGraph", request.started_us, request.ended_us, request.calls[-1])]


def _model(request: Request, call: Call, parent: bytes, ids: Random) -> list[Span]:
    """The LLM span, which has no response id, and the native span as a root of its own."""
    attributes: Attributes = {
        "input.value": f'{{"messages": [["{QUESTION}"]]}}',
        "input.mime_type": "application/json",
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": SYSTEM_PROMPT,
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.content": QUESTION,
        "llm.output_messages.0.message.role": "assistant",
        "llm.invocation_parameters": f'{{"model": "{call.model.request_model}", "max_tokens": 8192, "_type": "anthropic-chat"}}',
        "llm.prompt_template.version": request.prompt_version or "",
        "llm.provider": "anthropic",
        "llm.system": "anthropic",
        "llm.model_name": call.model.request_model if call.stream or call.failure else call.model.response_model,
    }
    if call.failure is None:
        usage = call.usage
        attributes |= {
            "output.value": ANSWER,
            "llm.output_messages.0.message.content": ANSWER,
            "llm.token_count.prompt": usage.input,
            "llm.token_count.completion": usage.output,
        }
        if call.stream:
            attributes["llm.token_count.total"] = usage.input + usage.output
        attributes |= {
            "llm.token_count.prompt_details.cache_write": usage.cache_write,
            "llm.token_count.prompt_details.cache_read": usage.cache_read,
            "llm.finish_reason": call.finish_reason,
        }
    attributes |= {"metadata": METADATA, "openinference.span.kind": "LLM"}
    return [
        _span(request, ids.randbytes(8), parent, "ChatAnthropic", call.started_us, call.ended_us, attributes, call),
        native_span(call, ids.randbytes(16), ids.randbytes(8), b"", INSET_US),
    ]


def _chain(request: Request, span_id: bytes, parent: bytes, name: str, started: int, ended: int, call: Call | None) -> Span:
    attributes: Attributes = {"input.value": QUESTION, "openinference.span.kind": "CHAIN"}
    if call is None or call.failure is None:
        attributes["output.value"] = ANSWER
    return _span(request, span_id, parent, name, started, ended, attributes, call)


def _span(
    request: Request, span_id: bytes, parent: bytes, name: str, started: int, ended: int, attributes: Attributes, call: Call | None = None
) -> Span:
    attributes |= {"session.id": request.conversation, "user.id": request.user}
    if call is None or call.failure is None:
        return Span(LANGCHAIN, request.trace_id, span_id, parent, name, INTERNAL, started, ended, attributes, OK)
    kind, message = FAILURES[call.failure]
    event = Event("exception", ended - 100, {"exception.type": kind, "exception.message": message, "exception.escaped": "False"})
    return Span(
        LANGCHAIN,
        request.trace_id,
        span_id,
        parent,
        name,
        INTERNAL,
        started,
        ended,
        attributes,
        ERROR,
        f'{kind.split(".")[1]}("{message}")',
        (event,),
    )
