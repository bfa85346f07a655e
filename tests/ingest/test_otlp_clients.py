"""One regression test per way in which a client library's spans were once misread, with spans as that library sends them."""

import json
from base64 import b64encode
from typing import Any

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.otlp.otlpjson import decode_json
from ingest.otlp.protobuf import decode_protobuf
from tests.ingest.otlp_spans import ALLOW, calls, make_span, roles

NATIVE = "com.anthropic.sdk.python"
TRACELOOP = "opentelemetry.instrumentation.anthropic"
OPENINFERENCE = "openinference.instrumentation.anthropic"
MLFLOW = "mlflow.tracing.provider"


def chat(model: str, **more: Any) -> dict[str, Any]:
    return {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": model, **more}


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


def test_vercel_7_counts_cached_tokens_inside_its_input() -> None:
    usage = {"gen_ai.usage.input_tokens": 2006, "gen_ai.usage.output_tokens": 300, "gen_ai.usage.cache_read.input_tokens": 1920}
    agent = make_span({"gen_ai.operation.name": "invoke_agent", **usage}, id="a", scope="gen_ai", version="")
    model = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
    (call,) = calls(agent, make_span(model | usage, id="b", parent="a", at_ms=1, ms=98, scope="gen_ai", version=""))
    assert (call.input_tokens, call.cache_read_tokens, call.token_convention, call.token_rule) == (2006, 1920, "inclusive", "known")


def test_vercel_7_counts_cached_tokens_of_bedrock_inside_its_input_too() -> None:
    usage = {"gen_ai.usage.input_tokens": 1041, "gen_ai.usage.output_tokens": 141, "gen_ai.usage.cache_read.input_tokens": 320}
    model = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "aws.bedrock", "gen_ai.request.model": "us.amazon.nova-pro-v1:0"}
    (call,) = calls(make_span(model | usage, scope="gen_ai", version=""))
    assert (call.input_tokens, call.token_convention, call.token_rule) == (1041, "inclusive", "known")


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


def test_genkit_passes_on_the_providers_answer_which_knows_the_cache() -> None:
    raw = {"prompt_tokens": 2006, "completion_tokens": 300, "prompt_tokens_details": {"cached_tokens": 1920}}
    output = {"message": {}, "usage": {"inputTokens": 2006, "outputTokens": 300}}
    model = {"genkit:metadata:subtype": "model", "genkit:name": "openai/gpt-4o"}
    streamed = make_span(model | {"genkit:output": json.dumps(output)}, id="a", scope="genkit-tracer")
    whole = make_span(model | {"genkit:output": json.dumps(output | {"raw": {"usage": raw}})}, id="b", at_ms=200, scope="genkit-tracer")
    found = calls(streamed, whole)
    assert [(call.input_tokens, call.cache_read_tokens) for call in found] == [(2006, None), (2006, 1920)]
    assert [call.flags for call in found] == [("cache_unknown",), ()]


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


def test_vercel_5_passes_on_what_anthropic_and_bedrock_count_without_cached_tokens() -> None:
    usage = {"ai.usage.inputTokens": 574, "ai.usage.outputTokens": 122, "ai.usage.totalTokens": 696, "ai.usage.cachedInputTokens": 320}
    for system in ("anthropic.messages", "amazon-bedrock"):
        model = {"ai.operationId": "ai.streamText.doStream", "gen_ai.system": system, "gen_ai.request.model": "claude-sonnet-4-5"}
        (fifth,) = calls(make_span(model | usage, scope="ai", version=""))
        assert (fifth.input_tokens, fifth.token_convention) == (894, "exclusive"), system
        parts = {"ai.usage.inputTokenDetails.noCacheTokens": 254, "ai.usage.inputTokenDetails.cacheReadTokens": 320}
        (sixth,) = calls(make_span(model | usage | parts, scope="ai", version=""))
        assert (sixth.input_tokens, sixth.token_convention, sixth.flags) == (574, "inclusive", ()), system


def test_vercel_5_says_nothing_of_cached_tokens_where_it_does_not_stream() -> None:
    model = {"gen_ai.system": "openai.chat", "gen_ai.request.model": "gpt-4o"}
    usage = {"ai.operationId": "ai.generateText.doGenerate", "ai.usage.promptTokens": 1002, "ai.usage.completionTokens": 102}
    (call,) = calls(make_span(model | usage, scope="ai", version=""))
    assert (call.input_tokens, call.cache_read_tokens, call.flags) == (1002, None, ("cache_unknown",))
    (embedding,) = calls(make_span(model | {"ai.operationId": "ai.embed.doEmbed", "ai.usage.tokens": 16}, scope="ai", version=""))
    assert (embedding.input_tokens, embedding.flags) == (16, ())


def test_vercel_5_writes_to_the_cache_of_bedrock_and_does_not_say_what_was_read() -> None:
    usage = {"ai.usage.promptTokens": 590, "ai.usage.completionTokens": 138}
    written = {"ai.response.providerMetadata": '{"bedrock":{"usage":{"cacheWriteInputTokens":128}}}'}
    model = {"ai.operationId": "ai.generateText.doGenerate", "gen_ai.system": "amazon-bedrock", "gen_ai.request.model": "claude-sonnet-4-5"}
    (call,) = calls(make_span(model | usage | written, scope="ai", version=""))
    assert (call.input_tokens, call.cache_write_tokens, "cache_unknown" in call.flags) == (718, 128, True)


def test_openinference_adds_a_total_of_its_own_to_what_vercel_tells_of_gemini() -> None:
    counted = {"promptTokenCount": 1030, "candidatesTokenCount": 66, "thoughtsTokenCount": 64, "totalTokenCount": 1160}
    usage = {
        "ai.usage.promptTokens": 1030,
        "ai.usage.completionTokens": 66,
        "llm.token_count.total": 1096,
        "ai.response.providerMetadata": json.dumps({"google": {"usageMetadata": counted}}),
    }
    model = {"openinference.span.kind": "LLM", "gen_ai.system": "google.generative-ai", "gen_ai.request.model": "gemini-2.5-flash"}
    (call,) = calls(make_span(model | usage, scope="ai", version=""))
    assert (call.output_tokens, call.reasoning_tokens) == (130, 64)


def test_javascript_instrumentations_of_anthropic_count_without_cached_tokens() -> None:
    usage = {
        "gen_ai.usage.input_tokens": 554,
        "gen_ai.usage.output_tokens": 102,
        "gen_ai.usage.total_tokens": 656,
        "gen_ai.usage.cache_creation.input_tokens": 128,
        "gen_ai.usage.cache_read.input_tokens": 320,
    }
    for scope in ("@traceloop/instrumentation-anthropic", "@openlit/instrumentation-anthropic"):
        (call,) = calls(make_span(chat("claude-sonnet-4-5", **usage), scope=scope))
        assert (call.input_tokens, call.token_convention, call.token_rule) == (1002, "exclusive", "known"), scope


def test_openlit_in_javascript_estimates_the_usage_of_a_stream_without_one() -> None:
    usage = {"gen_ai.usage.input_tokens": 11, "gen_ai.usage.output_tokens": 8}
    for is_stream in (True, False):
        span = make_span(chat("gpt-4o", **usage, **{"gen_ai.request.is_stream": is_stream}), scope="@openlit/instrumentation-openai")
        (call,) = calls(span)
        assert (call.streaming, call.tokens_estimated) == (is_stream, is_stream)


def test_openinference_of_bedrock_in_javascript_tells_cached_tokens_only_in_the_total() -> None:
    scope = "@arizeai/openinference-instrumentation-bedrock"
    model = {"openinference.span.kind": "LLM", "llm.provider": "aws", "llm.token_count.prompt": 554, "llm.token_count.completion": 102}
    (converse,) = calls(make_span(model | {"llm.token_count.total": 1104}, scope=scope))
    assert (converse.input_tokens, converse.output_tokens, converse.cache_read_tokens) == (1002, 102, None)
    assert "cache_unknown" in converse.flags
    cached = {"llm.token_count.prompt_details.cache_read": 320, "llm.token_count.prompt_details.cache_write": 128}
    (invoked,) = calls(make_span(model | cached, scope=scope))
    assert (invoked.input_tokens, invoked.output_tokens, invoked.token_convention) == (1002, 102, "exclusive")


def test_langchain_in_javascript_adds_the_first_output_of_a_stream_to_the_last() -> None:
    framework = {"openinference.span.kind": "LLM", "llm.model_name": "claude-haiku-4-5-20251001", "llm.token_count.prompt": 1020}
    streamed = {"llm.invocation_parameters": '{"stream":true}', "llm.token_count.completion": 120}
    scopes = ("@arizeai/openinference-instrumentation-langchain", "@arizeai/openinference-instrumentation-anthropic")
    outer = make_span(framework | {"llm.token_count.completion": 121}, id="a", trace="t1", scope=scopes[0])
    (call,) = calls(outer, make_span(framework | streamed, id="b", trace="t2", at_ms=1, ms=98, scope=scopes[1]))
    assert (call.span_id, call.output_tokens) == ("b", 120)
    whole = make_span(framework | {"llm.token_count.completion": 120}, id="b", trace="t2", at_ms=1, ms=98, scope=scopes[1])
    assert len(calls(outer, whole)) == 2


def test_vercel_tells_by_anthropics_own_count_whether_an_objects_input_has_cached_tokens() -> None:
    raw = {"input_tokens": 574, "cache_creation_input_tokens": 128, "cache_read_input_tokens": 320}
    metadata = {"ai.response.providerMetadata": json.dumps({"anthropic": {"usage": raw}})}
    model = {
        "ai.operationId": "ai.generateObject.doGenerate",
        "gen_ai.system": "anthropic.messages",
        "gen_ai.request.model": "claude-sonnet-4-5",
    }
    for told in (574, 1022):
        (call,) = calls(
            make_span(model | metadata | {"ai.usage.promptTokens": told, "ai.usage.completionTokens": 9}, scope="ai", version="")
        )
        assert (call.input_tokens, call.cache_write_tokens) == (1022, 128), told


def test_mastra_before_1_passes_on_what_anthropic_counts_without_cached_tokens() -> None:
    usage = {
        "gen_ai.usage.input_tokens": 568,
        "gen_ai.usage.output_tokens": 116,
        "gen_ai.usage.total_tokens": 684,
        "gen_ai.usage.cached_input_tokens": 320,
    }
    model = {"mastra.span.type": "model_generation", "gen_ai.system": "anthropic.messages", "gen_ai.request.model": "claude-sonnet-4-5"}
    (call,) = calls(make_span(model | usage, scope="@mastra/otel", version="1.0.0"))
    assert (call.input_tokens, call.cache_read_tokens, call.token_convention) == (888, 320, "exclusive")


def test_traceai_tells_its_kinds_and_its_parts_of_usage_under_names_of_its_own() -> None:
    usage = {
        "gen_ai.provider.name": "openai",
        "gen_ai.span.kind": "LLM",
        "gen_ai.request.parameters": '{"model": "gpt-4o", "stream": true}',
        "gen_ai.usage.input_tokens": 2112,
        "gen_ai.usage.output_tokens": 116,
        "gen_ai.usage.input_tokens.cache_read": 512,
        "gen_ai.usage.output_tokens.reasoning": 64,
    }
    (call,) = calls(make_span(usage, scope="traceai_openai"))
    assert (call.model, call.streaming, call.input_tokens, call.cache_read_tokens, call.reasoning_tokens) == ("gpt-4o", True, 2112, 512, 64)


def test_a_failed_call_of_traceai_has_a_kind_and_no_model() -> None:
    failed = make_span(
        {"gen_ai.provider.name": "openai", "gen_ai.span.kind": "LLM", "exception.type": "RateLimitError"}, scope="traceai_openai", status=2
    )
    assert [call.error_type for call in calls(failed)] == ["rate_limit"]


def test_instrumentations_that_drop_the_cached_tokens_of_claude_tell_the_rest_alone() -> None:
    usage = {"gen_ai.request.model": "claude-sonnet-4-5", "gen_ai.usage.input_tokens": 50, "gen_ai.usage.output_tokens": 9}
    for scope in ("traceai_anthropic", "langtrace_python_sdk.instrumentation.anthropic.instrumentation", "anthropic"):
        (call,) = calls(make_span(usage, scope=scope))
        assert (call.token_convention, "cache_unknown" in call.flags) == ("exclusive", True), scope


def test_langtrace_names_cached_tokens_without_saying_of_what() -> None:
    usage = {"gen_ai.usage.input_tokens": 2014, "gen_ai.usage.output_tokens": 102, "gen_ai.usage.cached_tokens": 512}
    model = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
    (call,) = calls(make_span(model | usage, scope="langtrace_python_sdk.instrumentation.openai.instrumentation"))
    assert (call.input_tokens, call.cache_read_tokens, call.token_convention) == (2014, 512, "inclusive")


def test_agentops_says_that_it_streams_and_when_the_first_token_came() -> None:
    (call,) = calls(
        make_span(
            {"gen_ai.request.model": "gpt-4o", "gen_ai.request.streaming": True, "gen_ai.streaming.time_to_first_token": 0.049},
            scope="openai",
        )
    )
    assert (call.streaming, call.ttft_ms) == (True, 49.0)


def test_adk_drops_the_cached_tokens_of_what_another_library_calls() -> None:
    usage = {"gen_ai.system": "gcp.vertex.agent", "gen_ai.usage.input_tokens": 2063, "gen_ai.usage.output_tokens": 109}
    for model, unknown in (("gemini-2.5-flash", False), ("openai/gpt-4o", True)):
        (call,) = calls(make_span({**usage, "gen_ai.request.model": model}, scope="gcp.vertex.agent", version=""))
        assert ("cache_unknown" in call.flags) is unknown


def test_events_that_beeai_sends_as_spans_of_a_call_are_no_calls() -> None:
    model = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o", "llm.provider": "openai"}
    usage = {"llm.token_count.prompt": 2049, "llm.token_count.completion": 107}
    scope = "openinference.instrumentation.beeai"
    streamed = make_span(model | usage, id="a", scope=scope, name="OpenAIChatModel")
    event = {"openinference.span.kind": "LLM"}
    tokens = [make_span(event, id=f"a{n}", parent="a", at_ms=n, ms=0, scope=scope, name="new_token") for n in (1, 2)]
    failed = make_span(model, id="b", trace="t2", at_ms=200, scope=scope, name="OpenAIChatModel", status=2)
    error = make_span(event, id="b1", trace="t2", parent="b", at_ms=280, ms=0, scope=scope, name="error")
    found = calls(streamed, *tokens, failed, error)
    assert [(call.input_tokens, call.error_type, "rollup_billed" in call.flags) for call in found] == [
        (2049, None, False),
        (None, "other", False),
    ]


def test_a_guard_that_calls_the_model_itself_carries_the_usage() -> None:
    guardrail = {"openinference.span.kind": "GUARDRAIL"}
    usage = {"llm.token_count.prompt": 2007, "llm.token_count.completion": 101}
    asked = {"llm.invocation_parameters": "{'model': 'openai/gpt-4o', 'temperature': 0}"}
    scope = "guardrails-ai"
    (call,) = calls(
        make_span(guardrail, id="a", scope=scope, name="step"),
        make_span(guardrail | usage | asked, id="b", parent="a", at_ms=1, ms=98, scope=scope, name="call"),
        make_span(guardrail, id="c", trace="t2", at_ms=200, scope=scope, name="call"),
    )
    assert (call.model, call.provider, call.input_tokens, call.output_tokens) == ("gpt-4o", "openai", 2007, 101)


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


def otlp_value(key: str, value: str | int) -> dict[str, Any]:
    return {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}


def as_protobuf(request: dict[str, Any]) -> bytes:
    """The same request in protobuf; its JSON form wants ids in base64."""
    text = json.dumps(request).replace("01" * 16, b64encode(bytes([1] * 16)).decode()).replace("02" * 8, b64encode(bytes([2] * 8)).decode())
    return ParseDict(json.loads(text), ExportTraceServiceRequest()).SerializeToString()


OPENAI_ANSWER = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 82,
    "gen_ai.usage.output_tokens": 17,
}


def test_gateway_or_model_server_that_goes_on_with_its_clients_trace_makes_no_second_call() -> None:
    client = make_span(OPENAI_ANSWER, id="client", scope="opentelemetry.instrumentation.genai.openai")
    vllm = {"gen_ai.usage.prompt_tokens": 82, "gen_ai.usage.completion_tokens": 17}
    envoy = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o-2024-08-06",
        "llm.token_count.prompt": 82,
        "llm.token_count.completion": 17,
    }
    for scope, attributes in (("vllm.llm_engine", vllm), ("ai-gateway", envoy)):
        server = make_span(attributes, id="server", parent="http", at_ms=2, ms=90, scope=scope, service="gateway")
        (call,) = calls(client, server)
        assert (call.span_id, call.service, call.model, call.input_tokens) == ("client", "shop", "gpt-4o", 82), scope
        elsewhere = make_span(attributes, id="server", trace="other", at_ms=2, ms=90, scope=scope, service="gateway")
        assert len(calls(client, elsewhere)) == 2, scope
    busy = make_span(
        vllm | {"gen_ai.usage.prompt_tokens": 9}, id="server", parent="http", at_ms=2, ms=9, scope="vllm.llm_engine", service="gpu"
    )
    assert len(calls(client, busy)) == 2


def test_dotnet_chat_client_around_a_tool_loop_has_the_id_of_the_last_answer_and_the_usage_of_all() -> None:
    whole = {"gen_ai.usage.input_tokens": 164, "gen_ai.usage.output_tokens": 34, "gen_ai.usage.cache_read.input_tokens": 0}
    found = calls(
        make_span(
            OPENAI_ANSWER | whole | {"gen_ai.response.id": "chatcmpl-1234567890abcdef"},
            id="loop",
            ms=300,
            scope="Experimental.Microsoft.Extensions.AI",
        ),
        make_span(
            OPENAI_ANSWER | {"gen_ai.response.id": "chatcmpl-1234567890abcdee"},
            id="a",
            parent="loop",
            at_ms=1,
            ms=90,
            scope="OpenAI.ChatClient",
        ),
        make_span(
            OPENAI_ANSWER | {"gen_ai.response.id": "chatcmpl-1234567890abcdef"},
            id="b",
            parent="loop",
            at_ms=120,
            ms=90,
            scope="OpenAI.ChatClient",
        ),
    )
    assert [(call.span_id, call.input_tokens) for call in found] == [("a", 82), ("b", 82)]


def test_semantic_kernel_in_dotnet_names_no_answer_and_has_spellings_of_its_own() -> None:
    answer = {
        "gen_ai.operation.name": "chat.completions",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.id": "N/A",
        "gen_ai.response.prompt_tokens": 82,
        "gen_ai.response.completion_tokens": 17,
    }
    scope = "Microsoft.SemanticKernel.Diagnostics"
    found = calls(make_span(answer, id="a", trace="t1", scope=scope), make_span(answer, id="b", trace="t2", at_ms=5, scope=scope))
    assert [(call.operation, call.response_id, call.input_tokens, call.output_tokens) for call in found] == [("chat", None, 82, 17)] * 2
    streamed = {"gen_ai.response.prompt_tokens": -1, "gen_ai.response.completion_tokens": -1}
    (unknown,) = calls(make_span(answer | streamed, scope=scope))
    assert (unknown.input_tokens, unknown.output_tokens) == (None, None)


def test_dotnet_abstraction_counts_cached_tokens_inside_its_input() -> None:
    cached = {"gen_ai.usage.input_tokens": 2006, "gen_ai.usage.cache_read.input_tokens": 1920}
    (call,) = calls(make_span(OPENAI_ANSWER | cached, scope="Experimental.Microsoft.Extensions.AI"))
    assert (call.input_tokens, call.token_convention, call.flags) == (2006, "inclusive", ())


def test_go_clients_spell_models_and_details_in_their_own_way() -> None:
    details = {"gen_ai.usage.input_tokens.cached": 64, "gen_ai.usage.output_tokens.reasoning": 9}
    (call,) = calls(make_span(OPENAI_ANSWER | details, scope="trpc-agent-go"))
    assert (call.cache_read_tokens, call.reasoning_tokens) == (64, 9)
    old = {"llm.vendor": "openai", "llm.request.type": "chat", "llm.request.model": "gpt-4o", "llm.usage.prompt_tokens": 82}
    (call,) = calls(make_span(old, scope="go-openllmetry"))
    assert (call.provider, call.request_model, call.input_tokens) == ("openai", "gpt-4o", 82)


def test_vercel_4_tells_what_anthropic_wrote_to_the_cache_in_camel_case() -> None:
    usage = {"ai.usage.promptTokens": 574, "ai.usage.completionTokens": 122}
    metadata = {"ai.response.providerMetadata": '{"anthropic":{"cacheCreationInputTokens":128,"cacheReadInputTokens":320}}'}
    model = {
        "ai.operationId": "ai.generateText.doGenerate",
        "gen_ai.system": "anthropic.messages",
        "gen_ai.request.model": "claude-sonnet-4-5",
    }
    (call,) = calls(make_span(model | usage | metadata, scope="ai", version=""))
    assert (call.input_tokens, call.cache_read_tokens, call.cache_write_tokens) == (1022, 320, 128)


def test_a_task_of_crewai_is_named_after_its_text_which_is_not_kept() -> None:
    span = {
        "traceId": "01" * 16,
        "spanId": "02" * 8,
        "name": "Say where the zebra lives.task",
        "startTimeUnixNano": "1790000000000000000",
        "endTimeUnixNano": "1790000001000000000",
    }
    names = {}
    for scope in ("opentelemetry.instrumentation.crewai.instrumentation", "opentelemetry.instrumentation.langchain"):
        request = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": scope}, "spans": [span]}]}]}
        for spans, _ in (decode_json(json.dumps(request).encode(), ALLOW), decode_protobuf(as_protobuf(request), ALLOW)):
            names.setdefault(scope, set()).add(spans[0].name)
    assert list(names.values()) == [{"(30 characters)"}, {"Say where the zebra lives.task"}]


def test_haystack_names_the_component_that_calls_the_provider_and_nothing_else() -> None:
    found = roles(
        *(
            make_span(
                {"haystack.component.type": component}, id=component, trace=component, scope="haystack", name="haystack.component.run"
            )
            for component in ("OpenAIChatGenerator", "OpenAITextEmbedder", "HuggingFaceLocalGenerator", "ChatPromptBuilder", "Agent")
        )
    )
    assert found == {
        "OpenAIChatGenerator": "call",
        "OpenAITextEmbedder": "call",
        "HuggingFaceLocalGenerator": "other",
        "ChatPromptBuilder": "other",
        "Agent": "agent",
    }


def test_litellm_makes_up_the_usage_of_a_stream_that_sent_none() -> None:
    streamed = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o", "llm.is_streaming": "True"}
    made_up = {"gen_ai.usage.input_tokens": 17, "gen_ai.usage.output_tokens": 4}
    measured = {"gen_ai.usage.input_tokens": 2056, "gen_ai.usage.output_tokens": 108}
    details = "{'completion_tokens': 108, 'prompt_tokens': 2056, 'prompt_tokens_details': {'audio_tokens': None, 'cached_tokens': 0}}"
    none = "{'completion_tokens': 4, 'prompt_tokens': 17, 'prompt_tokens_details': None}"
    found = calls(
        make_span({**streamed, **made_up, "metadata.usage_object": none}, id="a", scope="litellm"),
        make_span({**streamed, **measured, "metadata.usage_object": details}, id="b", at_ms=200, scope="litellm"),
        make_span({**streamed, **made_up, "llm.is_streaming": "False"}, id="c", at_ms=400, scope="litellm"),
    )
    assert [call.tokens_estimated for call in found] == [True, False, False]


def test_an_agent_of_openlit_in_a_branch_of_its_own_repeats_the_calls_beside_it() -> None:
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "gpt-4o"}
    usage = {"gen_ai.usage.input_tokens": 2077, "gen_ai.usage.output_tokens": 111}
    twice = {"gen_ai.usage.input_tokens": 4154, "gen_ai.usage.output_tokens": 222}
    graph, chain = "openlit.instrumentation.langgraph", "openlit.instrumentation.langchain"
    top = make_span({"gen_ai.operation.name": "invoke_workflow"}, id="a", ms=500, scope=graph)
    called = chat("gpt-4o", **usage)
    two = [
        make_span(called, id="d", parent="c", at_ms=3, ms=90, scope=chain),
        make_span(called, id="e", parent="c", at_ms=100, ms=90, scope=chain),
    ]
    lower = make_span(agent, id="c", parent="a", at_ms=2, ms=195, scope=chain)
    assert len(calls(top, make_span(agent | usage, id="b", parent="a", at_ms=1, ms=95, scope=graph), lower, *two)) == 2
    assert len(calls(top, make_span(agent | twice, id="b", parent="a", at_ms=1, ms=200, scope=graph), lower, *two)) == 2
    later = make_span(agent | usage, id="b", parent="a", at_ms=300, ms=95, scope=graph)
    assert len(calls(top, later, lower, *two)) == 3  # work of its own


def test_voice_frameworks_count_as_the_clients_below_them() -> None:
    usage = {"gen_ai.usage.input_tokens": 2007, "gen_ai.usage.output_tokens": 101, "gen_ai.usage.cache_read.input_tokens": 512}
    for scope, provider, total in (("livekit-agents", "openai", 2007), ("pipecat", "openai", 2007), ("pipecat", "anthropic", 2519)):
        model = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": provider, "gen_ai.request.model": "some-model", "stream": True}
        (call,) = calls(make_span(model | usage, scope=scope))
        assert (call.input_tokens, call.token_rule, call.streaming) == (total, "known", True if scope == "pipecat" else None), scope


def test_langchain_behind_an_older_openinference_passes_on_what_anthropic_counts_without_cached_tokens() -> None:
    details = {"llm.token_count.prompt_details.cache_read": 512, "llm.token_count.prompt_details.cache_write": 300}
    usage = {"llm.token_count.prompt": 1279, "llm.token_count.completion": 113, **details}
    model = {"openinference.span.kind": "LLM", "llm.model_name": "claude-sonnet-4-5", "metadata": '{"ls_provider": "anthropic"}'}
    for version, tokens in (("0.1.43", 2091), ("0.1.80", 1279), ("", 1279)):
        (call,) = calls(make_span(model | usage, scope="openinference.instrumentation.langchain", version=version))
        assert (call.input_tokens, call.cache_read_tokens, call.cache_write_tokens) == (tokens, 512, 300)


def test_older_versions_of_an_instrumentation_tell_no_cached_tokens_where_newer_ones_do() -> None:
    names = {"openinference.span.kind": "LLM", "llm.token_count.prompt": 2014, "llm.token_count.completion": 102}
    convention = chat("gpt-4o", **{"gen_ai.usage.prompt_tokens": 2014, "gen_ai.usage.completion_tokens": 102})
    for scope, attributes, old, new in (
        ("openinference.instrumentation.openai", names | {"llm.model_name": "gpt-4o"}, "0.1.20", "0.1.66"),
        ("openinference.instrumentation.langchain", names | {"llm.model_name": "gpt-4o"}, "0.1.28", "0.1.80"),
        (OPENINFERENCE, names | {"llm.model_name": "claude-sonnet-4-5"}, "1.0.0", "3.1.0"),
        ("opentelemetry.instrumentation.openai.v1", convention, "0.33.12", "0.62.4"),
    ):
        told = [
            "cache_unknown" in call.flags for version in (old, new) for call in calls(make_span(attributes, scope=scope, version=version))
        ]
        assert told == [True, False]


def test_traceloop_once_counted_the_tokens_of_claude_itself() -> None:
    usage = {"gen_ai.usage.prompt_tokens": 9, "gen_ai.usage.completion_tokens": 5, "llm.usage.total_tokens": 14}
    span = {"gen_ai.system": "Anthropic", "llm.request.type": "completion", "gen_ai.request.model": "claude-sonnet-4-5", **usage}
    found = [call for version in ("0.25.6", "0.33.12") for call in calls(make_span(span, scope=TRACELOOP, version=version))]
    assert [call.tokens_estimated for call in found] == [True, False]


def test_a_failed_call_of_an_older_openlit_has_a_name_and_an_exception_and_nothing_else() -> None:
    failed = {"exception.type": "openai.RateLimitError"}
    (call,) = calls(make_span(failed, name="openai.chat.completions", scope="openlit.otel.tracing", version="", status=2))
    assert (call.operation, call.error_type, call.request_model, call.model) == ("chat", "rate_limit", None, None)


def test_an_older_openlit_drops_the_cached_tokens_of_claude_and_passes_on_the_usage_of_its_streams() -> None:
    usage = {"gen_ai.usage.input_tokens": 1300, "gen_ai.usage.output_tokens": 116, "gen_ai.usage.total_tokens": 1416}
    span = chat("claude-sonnet-4-5", **usage, **{"gen_ai.request.is_stream": True})
    (call,) = calls(make_span(span, name="anthropic.messages", scope="openlit.otel.tracing", version=""))
    assert (call.token_convention, call.flags, call.tokens_estimated) == ("exclusive", ("cache_unknown",), False)


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


def test_logfire_4_tells_anthropic_calls_only_in_the_bodies() -> None:
    request = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "a prompt"}]}
    usage = {"input_tokens": 1321, "output_tokens": 119, "cache_read_input_tokens": 512, "cache_creation_input_tokens": 300}
    answer = {"message": {"role": "assistant", "content": "an answer"}, "usage": usage}
    whole = {"request_data": json.dumps(request), "response_data": json.dumps(answer)}
    (call,) = calls(make_span(whole, scope="logfire.anthropic"))
    assert (call.provider, call.request_model, call.input_tokens, call.cache_read_tokens) == ("anthropic", "claude-sonnet-4-5", 2133, 512)
    streamed = {"request_data": json.dumps(request | {"stream": True})}
    chunks = {
        "logfire.span_type": "log",
        "duration": 0.05,
        "response_data": json.dumps({"combined_chunk_content": "an answer", "chunk_count": 1}),
    }
    found = calls(
        make_span(streamed, id="a", trace="t1", ms=31, scope="logfire.anthropic"),
        make_span(streamed | chunks, id="b", trace="t2", at_ms=82, ms=0, scope="logfire.anthropic"),
    )
    assert [(call.streaming, call.input_tokens) for call in found] == [(True, None)]


def test_logfire_4_tells_the_usage_of_a_stream_only_in_its_body() -> None:
    streamed = {"request_data": '{"model": "gpt-4o", "stream": true}', "gen_ai.request.model": "gpt-4o"}
    usage = {"prompt_tokens": 2028, "completion_tokens": 104, "total_tokens": 2132, "prompt_tokens_details": {"cached_tokens": 512}}
    end = {"logfire.span_type": "log", "duration": 0.05, "response_data": json.dumps({"message": {"role": "assistant"}, "usage": usage})}
    found = calls(
        make_span(streamed, id="a", trace="t1", ms=31, scope="logfire.openai"),
        make_span(streamed | end, id="b", trace="t2", at_ms=82, ms=0, scope="logfire.openai"),
    )
    assert [(call.input_tokens, call.output_tokens, call.cache_read_tokens) for call in found] == [(2028, 104, 512)]


def test_litellm_estimates_the_prompt_of_a_stream_of_anthropic() -> None:
    streamed = {"gen_ai.system": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5", "llm.is_streaming": "True"}
    (call,) = calls(make_span({**streamed, "gen_ai.usage.prompt_tokens": 16, "gen_ai.usage.completion_tokens": 112}, scope="litellm"))
    assert call.tokens_estimated


def test_pydantic_ai_0_names_cached_tokens_as_openai_does() -> None:
    usage = {"gen_ai.usage.input_tokens": 2014, "gen_ai.usage.output_tokens": 102, "gen_ai.usage.details.cached_tokens": 512}
    (call,) = calls(make_span(chat("gpt-4o", **usage), scope="pydantic-ai"))
    assert (call.input_tokens, call.cache_read_tokens) == (2014, 512)
