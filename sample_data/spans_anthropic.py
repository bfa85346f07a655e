"""The span that the Anthropic SDK 2.12.0 writes by itself as soon as a tracer provider is set."""

from sample_data.calls import MICROSECOND, Call
from sample_data.otlp import CLIENT, ERROR, OK, Attributes, Scope, Span

NATIVE = Scope("com.anthropic.sdk.python", "2.12.0")
# HTTP status and error type of a failed call; a timeout has no answer and so no status.
FAILURES = {
    "rate_limit": (429, "rate_limit_error"),
    "bad_request": (400, "invalid_request_error"),
    "server_error": (500, "api_error"),
    "timeout": (None, "timeout_error"),
    "aborted": (200, "connection_error"),
}


def native_span(call: Call, trace_id: bytes, span_id: bytes, parent: bytes, inset_us: int) -> Span:
    """The call as the SDK saw it, a little shorter than the span around it."""
    attributes: Attributes = {
        "server.address": "api.anthropic.com",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": call.model.request_model,
        "gen_ai.request.max_tokens": 8192,
    }
    if call.stream:
        attributes["gen_ai.request.stream"] = True
    attributes |= {
        "http.request.method": "POST",
        "http.route": "/v1/messages",
        "url.scheme": "https",
        "url.path": "/v1/messages",
        "url.full": "https://api.anthropic.com/v1/messages",
    }
    status, error = FAILURES[call.failure] if call.failure else (200, "")
    if status is not None:
        attributes["http.response.status_code"] = status
    if call.failure in (None, "aborted"):
        attributes |= _answer(call)
    if error:
        attributes["error.type"] = error
    return Span(
        NATIVE,
        trace_id,
        span_id,
        parent,
        "anthropic.messages.create",
        CLIENT,
        call.started_us + inset_us,
        call.ended_us - inset_us,
        attributes,
        ERROR if error else OK,
    )


def _answer(call: Call) -> Attributes:
    usage = call.usage
    attributes: Attributes = {}
    if call.ttft_us is not None:
        attributes["gen_ai.response.time_to_first_chunk"] = call.ttft_us / MICROSECOND
    attributes |= {
        "gen_ai.response.id": call.response_id,
        "gen_ai.response.model": call.model.response_model,
        "gen_ai.usage.cache_write.input_tokens": usage.cache_write,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
        "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": usage.cache_write_5m,
        "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": usage.cache_write_1h,
        "anthropic.response.service_tier": "standard",
    }
    if call.usage_sent == "all":
        attributes |= {"gen_ai.usage.output_tokens": usage.output, "anthropic.message.stop_reason": call.finish_reason}
    return attributes | {"gen_ai.usage.input_tokens": usage.input}
