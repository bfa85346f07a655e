"""One regression test per way in which a client library's spans were once misread, with spans as that library sends them."""

import json

from ingest.otlp.otlpjson import decode_json
from ingest.otlp.protobuf import decode_protobuf
from tests.ingest.otlp_bodies import as_protobuf, otlp_value
from tests.ingest.otlp_spans import ALLOW, calls, chat, make_span, roles

NATIVE = "com.anthropic.sdk.python"
TRACELOOP = "opentelemetry.instrumentation.anthropic"
OPENINFERENCE = "openinference.instrumentation.anthropic"
MLFLOW = "mlflow.tracing.provider"


def test_failed_call_seen_by_three_instrumentations_is_one() -> None:
    failed = {"status": 2, "events": [("exception", 0, {})]}
    found = calls(
        make_span(
            chat("claude-sonnet-4-5", **{"error.type": "RateLimitError"}), id="a", trace="t1", at_ms=0, ms=50, scope=TRACELOOP, **failed
        ),
        make_span(
            {"openinference.span.kind": "LLM", "llm.model_name": "claude-sonnet-4-5"},
            id="b",
            trace="t2",
            at_ms=1,
            ms=47,
            scope=OPENINFERENCE,
            **failed,
        ),
        make_span(
            chat("claude-sonnet-4-5", **{"error.type": "rate_limit_error"}),
            id="c",
            trace="t2",
            parent="b",
            at_ms=2,
            ms=44,
            scope=NATIVE,
            **failed,
        ),
    )
    assert [call.error_type for call in found] == ["rate_limit"]


def test_two_failed_calls_side_by_side_stay_two() -> None:
    failed = chat("claude-sonnet-4-5", **{"error.type": "RateLimitError"})
    spans = [
        make_span(failed, id=f"{scope[:6]}{n}", trace=f"{scope}{n}", at_ms=at_ms, ms=ms, scope=scope, status=2)
        for n in range(2)
        for scope, at_ms, ms in ((TRACELOOP, n, 50), (NATIVE, n + 1, 48))
    ]
    assert len(calls(*spans)) == 2


def test_request_under_an_alias_and_answer_under_a_version_are_one_call() -> None:
    usage = {"gen_ai.usage.input_tokens": 82, "gen_ai.usage.output_tokens": 17}
    (call,) = calls(
        make_span(chat("claude-3-5-haiku-latest", **usage), id="a", trace="t1", scope=MLFLOW),
        make_span(
            chat("claude-3-5-haiku-latest", **usage, **{"gen_ai.response.model": "claude-3-5-haiku-20241022"}),
            id="b",
            trace="t2",
            at_ms=1,
            ms=98,
            scope=NATIVE,
        ),
    )
    assert (call.response_model, call.input_tokens) == ("claude-3-5-haiku-20241022", 82)


def test_stream_handed_over_early_is_no_second_call_when_it_breaks_later() -> None:
    (call,) = calls(
        make_span({"mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.model": '"claude-sonnet-4-5"'}, id="a", trace="t1", ms=30, scope=MLFLOW),
        make_span(
            chat("claude-sonnet-4-5", **{"gen_ai.usage.input_tokens": 120, "error.type": "RemoteProtocolError"}),
            id="b",
            trace="t2",
            at_ms=5,
            ms=95,
            scope=NATIVE,
            status=2,
        ),
    )
    assert (call.error_type, call.input_tokens, call.output_tokens) == ("connection", 120, None)


def test_failed_attempt_inside_a_call_that_worked_stays_a_failed_call() -> None:
    found = calls(
        make_span(
            chat("claude-sonnet-4-5", **{"gen_ai.usage.input_tokens": 82, "gen_ai.usage.output_tokens": 17}),
            id="a",
            trace="t1",
            ms=100,
            scope=TRACELOOP,
        ),
        make_span(
            chat("claude-sonnet-4-5", **{"error.type": "OverloadedError"}), id="b", trace="t2", at_ms=5, ms=20, scope=NATIVE, status=2
        ),
    )
    assert sorted(call.error_type or "" for call in found) == ["", "server_error"]


def test_instrumentation_that_never_tells_cached_tokens_says_that_they_are_unknown() -> None:
    usage = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o",
        "llm.token_count.prompt": 2006,
        "llm.token_count.completion": 300,
    }
    for scope in (
        "openinference.instrumentation.haystack",
        "openinference.instrumentation.smolagents",
        "openinference.instrumentation.autogen_agentchat",
        "langwatch",
    ):
        (call,) = calls(make_span(usage, scope=scope))
        assert (call.cache_read_tokens, "cache_unknown" in call.flags) == (None, True), scope


def test_adk_names_itself_where_another_provider_answers() -> None:
    usage = {"gen_ai.system": "gcp.vertex.agent", "gen_ai.usage.input_tokens": 82, "gen_ai.usage.output_tokens": 17}
    for model, provider in (
        ("gemini-2.5-flash", "gcp.vertex_ai"),
        ("openai/gpt-4o", "openai"),
        ("anthropic/claude-sonnet-4-5", "anthropic"),
    ):
        (call,) = calls(make_span({**usage, "gen_ai.request.model": model}, scope="gcp.vertex.agent", version=""))
        assert call.provider == provider


def test_langfuse_behind_langchain_knows_the_provider() -> None:
    generation = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "gpt-4o-2024-08-06",
        "langfuse.observation.metadata.ls_provider": '"openai"',
        "langfuse.observation.usage_details": '{"input": 82, "output": 17, "total": 99}',
    }
    (call,) = calls(make_span(generation, scope="langfuse-sdk"))
    assert (call.provider, call.input_tokens) == ("openai", 82)


def test_request_that_the_provider_rejected_is_a_bad_request() -> None:
    rejected = {"exception.type": "pydantic_ai.exceptions.ModelRequestRejectedError"}
    (call,) = calls(make_span(chat("gpt-4o") | rejected, scope="pydantic-ai", status=2))
    assert call.error_type == "bad_request"


def test_agents_usage_is_not_added_to_its_calls() -> None:
    usage = {"gen_ai.usage.input_tokens": 82, "gen_ai.usage.output_tokens": 17}
    found = roles(
        make_span({"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 164}, id="a", scope="gen_ai"),
        make_span(chat("gpt-4o", **usage), id="b", parent="a", at_ms=1, ms=10, scope="gen_ai"),
        make_span(chat("gpt-4o", **usage), id="c", parent="a", at_ms=12, ms=10, scope="gen_ai"),
    )
    assert found == {"a": "agent", "b": "call", "c": "call"}


def test_spans_that_are_each_others_parent_do_not_hang_the_pairing() -> None:
    first = make_span(chat("gpt-4o"), id="a", parent="b", ms=100)
    second = make_span(chat("gpt-4o"), id="b", parent="a", ms=100)
    inner = make_span(chat("gpt-4o"), id="c", parent="a", at_ms=10, ms=50)
    other = make_span(chat("gpt-4o"), id="d", trace="elsewhere", at_ms=5, ms=60, scope="other.scope")
    assert "call" in roles(first, second, inner, other).values()


def test_a_helper_of_llama_index_that_only_prepares_a_call_is_none() -> None:
    model = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o"}
    scope = "openinference.instrumentation.llama_index"
    found = roles(
        make_span({"openinference.span.kind": "CHAIN"}, id="step", scope=scope, ms=200),
        make_span(model, id="prepare", parent="step", at_ms=1, ms=2, scope=scope, name="OpenAI._prepare_chat_with_tools"),
        make_span(model, id="chat", parent="step", at_ms=4, ms=80, scope=scope, name="OpenAI.astream_chat"),
    )
    assert found == {"step": "wrapper", "prepare": "other", "chat": "call"}


def test_a_failed_call_of_adk_has_a_name_and_an_error_and_nothing_else() -> None:
    failed = {"exception.type": "google.genai.errors.ClientError"}
    (call,) = calls(make_span(failed, name="call_llm", scope="gcp.vertex.agent", status=2))
    assert (call.operation, call.error_type) == ("chat", "other")
    assert roles(make_span({}, id="own", name="call_llm", scope="my.program")) == {"own": "other"}


def test_a_call_that_finished_with_an_error_failed_whatever_the_status_says() -> None:
    (call,) = calls(make_span(chat("gpt-4o", **{"gen_ai.response.finish_reasons": ["error"]}), scope="@mastra/otel-exporter", status=1))
    assert call.error_type == "other"


def test_a_call_of_which_no_span_names_the_provider_is_taken_for_one_of_the_maker() -> None:
    usage = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 82, "gen_ai.usage.output_tokens": 17}
    for model, provider in (
        ("gpt-4o-2024-08-06", "openai"),
        ("claude-haiku-4-5", "anthropic"),
        ("eu.anthropic.claude-haiku-4-5-20251001-v1:0", "aws.bedrock"),
        ("gpt-oss-120b", None),
        ("llama-3.3-70b", None),
    ):
        (call,) = calls(make_span({**usage, "gen_ai.request.model": model}, scope="strands.telemetry.tracer"))
        assert (call.provider, "provider_assumed" in call.flags) == (provider, provider is not None), model


def test_a_provider_that_another_span_of_the_call_names_is_not_assumed() -> None:
    usage = {"gen_ai.usage.input_tokens": 82, "gen_ai.usage.output_tokens": 17}
    unnamed = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", **usage}
    (call,) = calls(
        make_span(unnamed, id="inner", parent="outer", at_ms=1, ms=90, scope="strands.telemetry.tracer"),
        make_span(unnamed | {"gen_ai.provider.name": "azure.ai.openai"}, id="outer", scope="other.scope"),
    )
    assert (call.provider, "provider_assumed" in call.flags) == ("azure.ai.openai", False)


def test_a_stream_asked_for_under_an_alias_ends_under_its_version() -> None:
    usage = {"gen_ai.usage.input_tokens": 82, "gen_ai.usage.output_tokens": 17, "gen_ai.response.model": "claude-3-5-haiku-20241022"}
    read = {"logfire.span_type": "log", "duration": 0.5}
    (call,) = calls(
        make_span(chat("claude-3-5-haiku-latest"), id="request", trace="t1", ms=20, scope="logfire.anthropic"),
        make_span(chat("claude-3-5-haiku-latest", **usage, **read), id="end", trace="t2", at_ms=521, ms=0, scope="logfire.anthropic"),
    )
    assert (call.span_id, call.response_model, call.input_tokens) == ("request", "claude-3-5-haiku-20241022", 82)


def test_groq_without_cached_tokens_had_none() -> None:
    asked = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "groq", "gen_ai.request.model": "llama-3.3-70b-versatile"}
    usage = {"gen_ai.usage.input_tokens": 82, "gen_ai.usage.output_tokens": 17}
    (call,) = calls(make_span(asked | usage, scope="opentelemetry.instrumentation.groq"))
    assert (call.token_convention, "cache_unknown" in call.flags) == ("inclusive", False)
    (cached,) = calls(make_span(asked | usage | {"gen_ai.usage.cache_read_input_tokens": 64}, scope="opentelemetry.instrumentation.groq"))
    assert (cached.input_tokens, cached.cache_read_tokens) == (82, 64)


def test_llama_index_tells_of_its_calls_in_events_alone() -> None:
    start = {"model_dict.model_name": "gpt-4o", "messages": "Where is the zebra?"}
    end = {
        "response.raw.model": "gpt-4o-2024-08-06",
        "response.raw.id": "chatcmpl-1",
        "response.raw.usage.prompt_tokens": 2007,
        "response.raw.usage.completion_tokens": 101,
        "response.raw.usage.total_tokens": 2108,
        "response.raw.usage.prompt_tokens_details.cached_tokens": 512,
    }
    span = {
        "traceId": "01" * 16,
        "spanId": "02" * 8,
        "name": "OpenAI.chat",
        "startTimeUnixNano": "1790000000000000000",
        "endTimeUnixNano": "1790000001000000000",
        "events": [
            {"name": name, "timeUnixNano": "1790000000000000000", "attributes": [otlp_value(*pair) for pair in values.items()]}
            for name, values in (("LLMChatStartEvent", start), ("LLMChatEndEvent", end))
        ],
    }
    scope = {"name": "llamaindex.opentelemetry.tracer"}
    request = {"resourceSpans": [{"scopeSpans": [{"scope": scope, "spans": [span]}]}]}
    for spans, _ in (
        decode_json(json.dumps(request).encode(), ALLOW),
        decode_protobuf(as_protobuf(request), ALLOW),
    ):
        (call,) = calls(*spans)
        assert (call.model, call.response_id, call.input_tokens, call.output_tokens) == ("gpt-4o", "chatcmpl-1", 2007, 101)
        assert (call.cache_read_tokens, call.token_convention) == (512, "inclusive")
        assert "zebra" not in repr(spans)


def test_a_failed_call_whose_error_only_the_status_message_tells() -> None:
    values = {"gen_ai.system": "OpenAI", "gen_ai.request.model": "gpt-4o", "llm.request.type": "chat"}
    attributes = [otlp_value(key, value) for key, value in values.items()]
    span = {"name": "openai.chat", "startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000000100000000"}
    span |= {"attributes": attributes, "status": {"code": 2, "message": "Error code: 429 - {'error': {'message': 'slow down'}}"}}
    scope = {"name": "opentelemetry.instrumentation.openai.v1", "version": "0.40.14"}
    request = {"resourceSpans": [{"scopeSpans": [{"scope": scope, "spans": [span | {"traceId": "01" * 16, "spanId": "02" * 8}]}]}]}
    for found, rejects in (decode_json(json.dumps(request).encode(), ALLOW), decode_protobuf(as_protobuf(request), ALLOW)):
        assert not rejects
        assert "slow" not in str(found[0].attributes)
        assert [call.error_type for call in calls(*found)] == ["rate_limit"]
