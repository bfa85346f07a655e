"""Document Intake: calls as botocore's bedrock-runtime instrumentation 0.66b2 writes them; input tokens exclude the cache."""

from random import Random

from sample_data.calls import Call, Request
from sample_data.otlp import CLIENT, ERROR, INTERNAL, UNSET, Attributes, Event, Scope, Span

BOTOCORE = Scope("opentelemetry.instrumentation.botocore.bedrock-runtime", "0.66b2", "https://opentelemetry.io/schemas/1.11.0")
APP = Scope("nordwind.document_intake", "1.14.2")
# HTTP status and error code of a failed call.
FAILURES = {
    "rate_limit": (429, "ThrottlingException"),
    "timeout": (408, "ModelTimeoutException"),
    "bad_request": (400, "ValidationException"),
    "server_error": (500, "InternalServerException"),
}


def spans(request: Request, ids: Random) -> list[Span]:
    """A single call is a root; the pages of a longer document hang below the app's own span."""
    parent = ids.randbytes(8) if len(request.steps) > 1 else b""
    found = [_call(request, call, parent, ids) for call in request.calls]
    if parent:
        found.append(
            Span(
                APP,
                request.trace_id,
                parent,
                b"",
                "intake.document",
                INTERNAL,
                request.started_us,
                request.ended_us,
                {"session.id": request.conversation, "document.pages": len(request.calls)},
                ERROR if request.calls[-1].failure else UNSET,
            )
        )
    return found


def _call(request: Request, call: Call, parent: bytes, ids: Random) -> Span:
    status = FAILURES[call.failure][0] if call.failure else 200
    attributes: Attributes = {
        "rpc.system": "aws-api",
        "rpc.service": "Bedrock Runtime",
        "rpc.method": "Converse",
        "cloud.region": "us-east-1",
        "server.address": "bedrock-runtime.us-east-1.amazonaws.com",
        "server.port": 443,
        "gen_ai.system": "aws.bedrock",
        "gen_ai.request.model": call.model.request_model,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.max_tokens": 4096,
        "aws.request_id": f"00000000-0000-4000-8000-{ids.getrandbits(40):012x}",
        "retry_attempts": 1 if call.failure == "rate_limit" else 0,
        "http.status_code": status,
    }
    message = ""
    events: tuple[Event, ...] = ()
    if call.failure is None:
        usage = call.usage
        attributes |= {"gen_ai.usage.input_tokens": usage.uncached_input, "gen_ai.usage.output_tokens": usage.output}
        if usage.cache_read:
            attributes["gen_ai.usage.cache_read.input_tokens"] = usage.cache_read
        if usage.cache_write:
            attributes["gen_ai.usage.cache_creation.input_tokens"] = usage.cache_write
        attributes["gen_ai.response.finish_reasons"] = [call.finish_reason]
    else:
        code = FAILURES[call.failure][1]
        attributes["error.type"] = code
        message = f"An error occurred ({code}) when calling the Converse operation"
        events = (
            Event(
                "exception",
                call.ended_us - 80,
                {"exception.type": f"botocore.errorfactory.{code}", "exception.message": message, "exception.escaped": "False"},
            ),
        )
    return Span(
        BOTOCORE,
        request.trace_id,
        ids.randbytes(8),
        parent,
        f"chat {call.model.request_model}",
        CLIENT,
        call.started_us,
        call.ended_us,
        attributes,
        ERROR if call.failure else UNSET,
        message,
        events,
    )
