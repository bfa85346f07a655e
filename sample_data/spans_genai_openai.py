"""Contact Centre Assist: calls as opentelemetry.instrumentation.genai.openai 1.3b0 writes them, under the app's agent span."""

from random import Random

from sample_data.calls import MICROSECOND, Call, Request, ToolRun
from sample_data.otlp import CLIENT, ERROR, INTERNAL, UNSET, Attributes, Scope, Span

LIBRARY = Scope("opentelemetry.instrumentation.genai.openai", "1.3b0", "https://opentelemetry.io/schemas/1.37.0")
APP = Scope("nordwind.contact_centre", "4.2.0")
AGENT = "contact-centre-assist"
# Error type and status message of a failed call.
FAILURES = {
    "rate_limit": ("openai.RateLimitError", "Error code: 429 - Rate limit reached for gpt-4o"),
    "timeout": ("openai.APITimeoutError", "Request timed out."),
    "bad_request": ("openai.BadRequestError", "Error code: 400 - Invalid value for 'messages'"),
    "server_error": ("openai.InternalServerError", "Error code: 500 - The server had an error"),
    "aborted": ("openai.APIConnectionError", "Connection error."),
}


def spans(request: Request, ids: Random) -> list[Span]:
    agent_id = ids.randbytes(8)
    found = [
        _call(request, step, agent_id, ids.randbytes(8)) if isinstance(step, Call) else _tool(request, step, agent_id, ids.randbytes(8))
        for step in request.steps
        if isinstance(step, Call | ToolRun)
    ]
    failed = request.calls[-1].failure is not None
    attributes: Attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": AGENT,
        "gen_ai.conversation.id": request.conversation,
        "user.id": request.user,
    }
    return [
        *found,
        Span(
            APP,
            request.trace_id,
            agent_id,
            b"",
            f"invoke_agent {AGENT}",
            INTERNAL,
            request.started_us,
            request.ended_us,
            attributes,
            ERROR if failed else UNSET,
        ),
    ]


def _call(request: Request, call: Call, parent: bytes, span_id: bytes) -> Span:
    attributes: Attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": call.model.request_model,
        "server.address": "api.openai.com",
        "gen_ai.request.temperature": 0.2,
    }
    if call.stream:
        attributes["gen_ai.request.stream"] = True
    if call.failure in (None, "aborted"):
        attributes |= _response(call)
    message = ""
    if call.failure is not None:
        attributes["error.type"], message = FAILURES[call.failure]
    return Span(
        LIBRARY,
        request.trace_id,
        span_id,
        parent,
        f"chat {call.model.request_model}",
        CLIENT,
        call.started_us,
        call.ended_us,
        attributes,
        ERROR if call.failure else UNSET,
        message,
    )


def _response(call: Call) -> Attributes:
    attributes: Attributes = {}
    if call.failure is None:
        attributes["gen_ai.response.finish_reasons"] = [call.finish_reason]
    attributes |= {"gen_ai.response.model": call.model.response_model, "gen_ai.response.id": call.response_id}
    if call.usage_sent == "all":
        usage = call.usage
        attributes |= {"gen_ai.usage.input_tokens": usage.input, "gen_ai.usage.output_tokens": usage.output}
        if usage.cache_read:
            attributes["gen_ai.usage.cache_read.input_tokens"] = usage.cache_read
        if usage.reasoning:
            attributes["gen_ai.usage.reasoning.output_tokens"] = usage.reasoning
    if call.ttft_us is not None:
        attributes["gen_ai.response.time_to_first_chunk"] = call.ttft_us / MICROSECOND
    return attributes | {"openai.response.service_tier": "default"}


def _tool(request: Request, tool: ToolRun, parent: bytes, span_id: bytes) -> Span:
    attributes: Attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": tool.name,
        "gen_ai.tool.call.id": tool.call_id,
        "gen_ai.tool.type": "function",
    }
    if tool.failed:
        attributes["error.type"] = "TimeoutError"
    return Span(
        APP,
        request.trace_id,
        span_id,
        parent,
        f"execute_tool {tool.name}",
        INTERNAL,
        tool.started_us,
        tool.started_us + tool.duration_us,
        attributes,
        ERROR if tool.failed else UNSET,
    )
