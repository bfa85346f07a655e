"""OTLP bodies for benchmarks: generated traces of several conventions with prompt text, and captures told again at other times."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.ingest.otlp_bodies import NOON_NS, key_values, one_span

MS = 1_000_000
TRACE_EVERY_NS = 500 * MS
COPY_EVERY_NS = 600_000 * MS
SPANS_PER_BODY = 300
CONTENT_BYTES = 2_400  # of prompt and answer on one span, which makes about 3 KB of it
SERVICES = ("shop-assistant", "contract-search", "support-triage", "code-review")
MODELS = {
    "openai": ("gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "gpt-4.1-2025-04-14"),
    "anthropic": ("claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001")}
TEXT = "the quarterly contract of our supplier names a price per unit and “penalties” for late delivery in each region"
GENAI_OPENAI, GENAI_ANTHROPIC = "opentelemetry.instrumentation.genai.openai", "opentelemetry.instrumentation.genai.anthropic"

Scoped = tuple[str, Span]
RESPONSE_IDS = frozenset(("gen_ai.response.id", "ai.response.id"))


class Story:
    """What the shapes below draw from: chance, the time of the trace, and how much prompt text a span carries."""

    def __init__(self, seed: int, content_bytes: int) -> None:
        self.chance = random.Random(seed)
        self.content_bytes = content_bytes
        self.trace, self.start_ns = b"", 0
        self._words = TEXT.split()

    def id(self, length: int) -> bytes:
        return self.chance.randbytes(length - 1) + b"\1"

    def text(self, length: int) -> str:
        return " ".join(self.chance.choices(self._words, k=max(length // 6, 1)))

    def messages(self, share: float) -> str:
        return json.dumps([{"role": "user", "parts": [{"type": "text", "content": self.text(int(self.content_bytes * share))}]}])

    def span(self, scope: str, name: str, attributes: dict[str, Any], parent: bytes = b"", after_ms: int = 0,
             ms: int = 900, trace: bytes | None = None) -> Scoped:
        start_ns = self.start_ns + after_ms * MS
        return scope, one_span(attributes, id=self.id(8), parent=parent, trace=trace or self.trace, start_ns=start_ns,
                               end_ns=start_ns + ms * MS, name=name)

    def counts(self) -> tuple[int, int, int]:
        read = self.chance.choice((0, 0, 1024, 2048))
        return read + self.chance.randint(200, 4000), self.chance.randint(10, 800), read


def genai(story: Story, provider: str, response_id: str, counts: tuple[int, int, int]) -> dict[str, Any]:
    """A chat by the OpenTelemetry convention."""
    model = story.chance.choice(MODELS[provider])
    return {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": provider, "gen_ai.request.model": model,
        "gen_ai.response.model": model, "gen_ai.response.id": response_id, "gen_ai.request.max_tokens": 1024,
        "gen_ai.request.temperature": 0.2, "server.address": f"api.{provider}.com", "server.port": 443,
        "gen_ai.response.finish_reasons": ["stop"], "gen_ai.usage.input_tokens": counts[0],
        "gen_ai.usage.output_tokens": counts[1], "gen_ai.usage.cache_read.input_tokens": counts[2],
        "gen_ai.conversation.id": f"c-{story.chance.randrange(5000)}", "user.id": f"u-{story.chance.randrange(900)}",
        "gen_ai.input.messages": story.messages(0.7), "gen_ai.output.messages": story.messages(0.3)}


def openinference(story: Story, model: str, counts: tuple[int, int, int]) -> dict[str, Any]:
    """The same in OpenInference's: one attribute per message part, and the whole request again."""
    found: dict[str, Any] = {
        "openinference.span.kind": "LLM", "llm.model_name": model, "llm.system": "openai", "llm.provider": "openai",
        "llm.invocation_parameters": json.dumps({"model": model, "max_tokens": 1024, "temperature": 0.2}),
        "llm.token_count.prompt": counts[0], "llm.token_count.completion": counts[1],
        "llm.token_count.total": counts[0] + counts[1], "input.mime_type": "application/json",
        "input.value": story.text(story.content_bytes // 2), "output.value": story.text(story.content_bytes // 8),
        "session.id": f"c-{story.chance.randrange(5000)}"}
    if counts[2]:
        found["llm.token_count.prompt_details.cache_read"] = counts[2]
    for number in range(4):
        found[f"llm.input_messages.{number}.message.role"] = "user"
        found[f"llm.input_messages.{number}.message.content"] = story.text(story.content_bytes // 12)
    return found


def plain_chat(story: Story) -> list[Scoped]:
    return [story.span(GENAI_OPENAI, "chat", genai(story, "openai", f"chatcmpl-{story.id(12).hex()}", story.counts()))]


def agent_with_tool(story: Story) -> list[Scoped]:
    """An agent over two calls and a tool, whose root sums up what its calls say."""
    first, second = (genai(story, "openai", f"chatcmpl-{story.id(12).hex()}", story.counts()) for _ in range(2))
    root = story.span("pydantic-ai", "invoke_agent helper", {
        "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper", "model_name": first["gen_ai.request.model"],
        "pydantic_ai.all_messages": story.messages(1.0), "final_result": story.text(300),
        "gen_ai.aggregated_usage.input_tokens": first["gen_ai.usage.input_tokens"] + second["gen_ai.usage.input_tokens"],
        "gen_ai.aggregated_usage.output_tokens": first["gen_ai.usage.output_tokens"] + second["gen_ai.usage.output_tokens"],
    }, ms=4000)
    above = root[1].span_id
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find_contract", "gen_ai.tool.call.id": "call_1",
            "gen_ai.tool.call.arguments": story.text(200), "gen_ai.tool.call.result": story.text(story.content_bytes // 2)}
    return [root, story.span("pydantic-ai", "chat", first, above, 10, 1500), story.span("pydantic-ai", "tool", tool, above, 1600, 300),
            story.span("pydantic-ai", "chat", second, above, 2000, 1800)]


def two_instrumentations(story: Story) -> list[Scoped]:
    """The same call from a library's instrumentation and from the provider's SDK, in a trace of its own."""
    response_id, counts = f"msg_{story.id(12).hex()}", story.counts()
    seen = genai(story, "anthropic", response_id, counts)
    outer = story.span(GENAI_ANTHROPIC, "chat", seen, ms=1000)
    inner = story.span("com.anthropic.sdk.python", "anthropic.messages.create", seen, after_ms=5, ms=980, trace=story.id(16))
    return [outer, inner]


def pair_without_ids(story: Story) -> list[Scoped]:
    """A chain and its call by OpenInference, and the call again by another instrumentation without a response id."""
    model, counts = story.chance.choice(MODELS["openai"]), story.counts()
    scope = "openinference.instrumentation.langchain"
    chain = story.span(scope, "RunnableSequence", {
        "openinference.span.kind": "CHAIN", "input.value": story.text(story.content_bytes), "output.value": story.text(400)}, ms=1400)
    call = story.span(scope, "ChatOpenAI", openinference(story, model, counts), chain[1].span_id, 20, 1200)
    again = story.span("openinference.instrumentation.openai", "ChatCompletion", openinference(story, model, counts), after_ms=25,
                       ms=1190, trace=story.id(16))
    return [chain, call, again]


def retrieval(story: Story) -> list[Scoped]:
    """Documents found and a call over them, below a span of the web server."""
    documents = {f"retrieval.documents.{rank}.document.{name}": value for rank in range(5) for name, value in (
        ("id", f"doc-{story.chance.randrange(9999)}"), ("score", story.chance.random()), ("content", story.text(story.content_bytes // 5)))}
    server = story.span("opentelemetry.instrumentation.asgi", "POST /ask", {
        "http.request.method": "POST", "url.path": "/ask", "http.response.status_code": 200}, ms=2000)
    found = story.span("openinference.instrumentation.llama_index", "retrieve", {
        "openinference.span.kind": "RETRIEVER", "input.value": story.text(100), **documents}, server[1].span_id, 5, 80)
    call = genai(story, "openai", f"chatcmpl-{story.id(12).hex()}", story.counts())
    return [server, found, story.span(GENAI_OPENAI, "chat", call, server[1].span_id, 100, 1500)]


SHAPES: tuple[Callable[[Story], list[Scoped]], ...] = (plain_chat, agent_with_tool, two_instrumentations, pair_without_ids, retrieval)


def generated(spans: int, seed: int = 0, content_bytes: int = CONTENT_BYTES, start_ns: int = NOON_NS) -> Iterator[bytes]:
    """Bodies with about so many spans in all; another seed gives other ids."""
    story, told = Story(seed, content_bytes), 0
    while told < spans:
        body: dict[str, list[Scoped]] = {service: [] for service in SERVICES}
        wanted = min(SPANS_PER_BODY, spans - told)
        while sum(map(len, body.values())) < wanted:
            story.trace, story.start_ns = story.id(16), start_ns
            start_ns += TRACE_EVERY_NS
            body[story.chance.choice(SERVICES)] += story.chance.choice(SHAPES)(story)
        told += sum(map(len, body.values()))
        yield _request(body)


def _request(body: dict[str, list[Scoped]]) -> bytes:
    sent = ExportTraceServiceRequest()
    for service, spans in body.items():
        resource = sent.resource_spans.add()
        resource.resource.attributes.extend(key_values({
            "service.name": service, "service.version": "1.4.2", "deployment.environment.name": "production",
            "telemetry.sdk.name": "opentelemetry", "telemetry.sdk.language": "python", "host.name": "node-17", "process.pid": 4711}))
        for scope in dict.fromkeys(scope for scope, _ in spans):
            scope_spans = resource.scope_spans.add()
            scope_spans.scope.name, scope_spans.scope.version = scope, "1.0.0"
            scope_spans.spans.extend(span for own, span in spans if own == scope)
    return sent.SerializeToString()


def captured(folder: Path, spans: int) -> Iterator[bytes]:
    """The captures of real clients again and again, each time as new traces and response ids at a later time."""
    requests = [ExportTraceServiceRequest.FromString(path.read_bytes()) for path in sorted(folder.glob("*/*-traces.pb"))]
    told, copy = 0, 0
    while told < spans:
        body = ExportTraceServiceRequest()
        for request in requests:
            again = ExportTraceServiceRequest()
            again.CopyFrom(request)
            body.resource_spans.extend(again.resource_spans)
        told += sum(_tell_again(span, copy) for resource in body.resource_spans for scope in resource.scope_spans for span in scope.spans)
        copy += 1
        yield body.SerializeToString()


def _tell_again(span: Span, copy: int) -> int:
    span.trace_id = copy.to_bytes(4, "big") + span.trace_id[4:]
    later_ns = copy * COPY_EVERY_NS
    span.start_time_unix_nano += later_ns
    span.end_time_unix_nano += later_ns
    for pair in span.attributes:
        if pair.key in RESPONSE_IDS:
            pair.value.string_value += f"-{copy}"
    return 1
