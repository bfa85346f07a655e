"""Which client library each system uses, and in which OTLP file form its traces are exported."""

from collections.abc import Callable, Iterable, Sequence
from random import Random
from uuid import UUID

from sample_data import spans_bedrock, spans_genai_openai, spans_langchain, spans_openinference, spans_pydantic_ai, spans_vercel
from sample_data.calls import Request
from sample_data.company import SEED, System
from sample_data.otlp import Attributes, Resource, Span, json_gz, json_lines_gz, protobuf_gz

Emit = Callable[[Request, Random], list[Span]]
Write = Callable[[Iterable[Resource]], bytes]

EMITTERS: dict[str, Emit] = {
    "contact-centre-assist": spans_genai_openai.spans,
    "claims-copilot": spans_langchain.spans,
    "underwriting-notes": spans_pydantic_ai.spans,
    "policy-search": spans_vercel.spans,
    "document-intake": spans_bedrock.spans,
    "marketing-drafts": spans_openinference.spans,
}
FORMS: dict[str, tuple[str, Write]] = {
    "contact-centre-assist": ("pb.gz", protobuf_gz),
    "claims-copilot": ("pb.gz", protobuf_gz),
    "underwriting-notes": ("pb.gz", protobuf_gz),
    "policy-search": ("json.gz", json_gz),
    "document-intake": ("jsonl.gz", json_lines_gz),
    "marketing-drafts": ("jsonl.gz", json_lines_gz),
}
ENVIRONMENTS = ("production", "staging")
REQUESTS_PER_BATCH = 25


def trace_file(system: System, month: str, requests: Sequence[Request]) -> tuple[str, bytes, int]:
    """File name, content and number of spans of one system's month, in batches as an SDK exports them."""
    ids = Random(f"{SEED}/ids/{system.system_id}/{month}")
    batches: list[Resource] = []
    for environment in ENVIRONMENTS:
        traced = [request for request in requests if request.environment == environment and request.traced]
        for first in range(0, len(traced), REQUESTS_PER_BATCH):
            batch = traced[first : first + REQUESTS_PER_BATCH]
            spans = [span for request in batch for span in EMITTERS[system.system_id](request, ids)]
            batches.append(Resource(_resource(system, environment), spans))
    suffix, write = FORMS[system.system_id]
    return f"{system.system_id}-{month}.{suffix}", write(batches), sum(len(batch.spans) for batch in batches)


def _resource(system: System, environment: str) -> Attributes:
    instance = UUID(bytes=Random(f"{SEED}/instance/{system.system_id}/{environment}").randbytes(16))
    node = system.system_id == "policy-search"
    return {
        "telemetry.sdk.language": "nodejs" if node else "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "2.12.0" if node else "1.45.2",
        "service.instance.id": str(instance),
        "service.name": system.service_name,
        "deployment.environment.name": environment,
    }
