"""Underwriting Notes: an agent as pydantic-ai 2.68.0 writes it, with the Anthropic SDK's own span below each chat span."""

from collections.abc import Iterable
from random import Random

from sample_data.calls import Call, Request, ToolRun, Usage
from sample_data.company import MARKER
from sample_data.otlp import CLIENT, ERROR, INTERNAL, UNSET, Attributes, Event, Scope, Span
from sample_data.prices import list_cost
from sample_data.spans_anthropic import native_span

PYDANTIC_AI = Scope("pydantic-ai", "2.68.0")
AGENT = "uw_notes_agent"
INPUT = f'[{{"role":"user","parts":[{{"type":"text","content":"Draft the note for {MARKER}"}}]}}]'
OUTPUT = f'[{{"role":"assistant","parts":[{{"type":"text","content":"Note on {MARKER}: standard risk."}}],"finish_reason":"stop"}}]'
INSTRUCTIONS = '[{"type":"text","content":"You draft underwriting notes. Synthetic data."}]'
PARAMETERS = '{"function_tools":[],"native_tools":[],"output_mode":"text"}'
FAILURES = {
    "rate_limit": ("ModelRateLimitError", "status_code: 429, model_name: claude-haiku-4-5"),
    "bad_request": ("ModelHTTPError", f"status_code: 400, model_name: claude-haiku-4-5, body: {MARKER}"),
    "server_error": ("ModelHTTPError", "status_code: 500, model_name: claude-haiku-4-5"),
    "timeout": ("ModelAPIError", "model_name: claude-haiku-4-5, message: Request timed out."),
    "aborted": ("ModelAPIError", "model_name: claude-haiku-4-5, message: Connection error."),
}
INSET_US = 400


def spans(request: Request, ids: Random) -> list[Span]:
    agent_id = ids.randbytes(8)
    run: Attributes = {
        "gen_ai.agent.name": AGENT,
        "gen_ai.agent.call.id": f"01a20279-0f25-7477-8000-{ids.getrandbits(40):012x}",
        "gen_ai.conversation.id": request.conversation,
    }
    found: list[Span] = []
    for step in request.steps:
        if isinstance(step, Call):
            chat_id = ids.randbytes(8)
            found += [
                native_span(step, request.trace_id, ids.randbytes(8), chat_id, INSET_US),
                _chat(request, step, run, agent_id, chat_id),
            ]
        elif isinstance(step, ToolRun):
            tool: Attributes = {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": step.name,
                "gen_ai.tool.call.id": step.call_id,
                "gen_ai.tool.call.arguments": f'{{"case":"{MARKER}"}}',
                **run,
                "logfire.msg": f"running tool: {step.name}",
            }
            found.append(
                Span(
                    PYDANTIC_AI,
                    request.trace_id,
                    ids.randbytes(8),
                    agent_id,
                    f"execute_tool {step.name}",
                    INTERNAL,
                    step.started_us,
                    step.started_us + step.duration_us,
                    tool,
                )
            )
    return [*found, _agent(request, run, agent_id)]


def _agent(request: Request, run: Attributes, span_id: bytes) -> Span:
    last = request.calls[-1]
    attributes: Attributes = {
        "model_name": last.model.request_model,
        "agent_name": AGENT,
        **run,
        "gen_ai.operation.name": "invoke_agent",
        "logfire.msg": f"{AGENT} run",
        "gen_ai.system_instructions": INSTRUCTIONS,
        "pydantic_ai.all_messages": INPUT,
    }
    if last.failure is None:
        attributes |= {
            "final_result": f"Note on {MARKER}: standard risk.",
            **_usage("gen_ai.aggregated_usage", _total(call.usage for call in request.calls)),
        }
    status, message, events = _outcome(last)
    return Span(
        PYDANTIC_AI,
        request.trace_id,
        span_id,
        b"",
        f"invoke_agent {AGENT}",
        INTERNAL,
        request.started_us,
        request.ended_us,
        attributes,
        status,
        message,
        events,
    )


def _chat(request: Request, call: Call, run: Attributes, parent: bytes, span_id: bytes) -> Span:
    attributes: Attributes = {
        "gen_ai.operation.name": "chat",
        **run,
        "gen_ai.provider.name": "anthropic",
        "gen_ai.system": "anthropic",
        "server.address": "api.anthropic.com",
        "gen_ai.request.model": call.model.request_model,
        "model_request_parameters": PARAMETERS,
    }
    if call.failure is None:
        usage = call.usage
        attributes |= {
            "gen_ai.input.messages": INPUT,
            "gen_ai.output.messages": OUTPUT,
            "gen_ai.system_instructions": INSTRUCTIONS,
            **_usage("gen_ai.usage", usage),
            "gen_ai.response.model": call.model.response_model,
            "operation.cost": float(list_cost(call.provider, call.model.model, usage.tokens())),
            "gen_ai.response.id": call.response_id,
            "gen_ai.response.finish_reasons": ["tool_call" if call.finish_reason == "tool_use" else "stop"],
        }
    status, message, events = _outcome(call)
    return Span(
        PYDANTIC_AI,
        request.trace_id,
        span_id,
        parent,
        f"chat {call.model.request_model}",
        CLIENT,
        call.started_us,
        call.ended_us,
        attributes,
        status,
        message,
        events,
    )


def _usage(prefix: str, usage: Usage) -> Attributes:
    attributes: Attributes = {f"{prefix}.input_tokens": usage.input, f"{prefix}.output_tokens": usage.output}
    if usage.cache_write:
        attributes |= {
            f"{prefix}.cache_creation.input_tokens": usage.cache_write,
            f"{prefix}.details.cache_creation_input_tokens": usage.cache_write,
        }
    if usage.cache_read:
        attributes |= {f"{prefix}.cache_read.input_tokens": usage.cache_read, f"{prefix}.details.cache_read_input_tokens": usage.cache_read}
    return attributes


def _total(usages: Iterable[Usage]) -> Usage:
    uncached = read = write = output = 0
    for usage in usages:
        uncached, read, write = uncached + usage.uncached_input, read + usage.cache_read, write + usage.cache_write
        output += usage.output
    return Usage(uncached, read, write, 0, output)


def _outcome(call: Call) -> tuple[int, str, tuple[Event, ...]]:
    if call.failure is None:
        return UNSET, "", ()
    kind, message = FAILURES[call.failure]
    event = Event(
        "exception",
        call.ended_us - 100,
        {"exception.type": f"pydantic_ai.exceptions.{kind}", "exception.message": message, "exception.escaped": "False"},
    )
    return ERROR, f"{kind}: {message}", (event,)
