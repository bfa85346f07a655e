"""Client libraries outside Python, each test named after the way in which its spans were once misread."""

import json

from tests.ingest.otlp_spans import calls, chat, make_span

OPENAI_ANSWER = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 82,
    "gen_ai.usage.output_tokens": 17,
}


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


def test_genkit_passes_on_the_providers_answer_which_knows_the_cache() -> None:
    raw = {"prompt_tokens": 2006, "completion_tokens": 300, "prompt_tokens_details": {"cached_tokens": 1920}}
    output = {"message": {}, "usage": {"inputTokens": 2006, "outputTokens": 300}}
    model = {"genkit:metadata:subtype": "model", "genkit:name": "openai/gpt-4o"}
    streamed = make_span(model | {"genkit:output": json.dumps(output)}, id="a", scope="genkit-tracer")
    whole = make_span(model | {"genkit:output": json.dumps(output | {"raw": {"usage": raw}})}, id="b", at_ms=200, scope="genkit-tracer")
    found = calls(streamed, whole)
    assert [(call.input_tokens, call.cache_read_tokens) for call in found] == [(2006, None), (2006, 1920)]
    assert [call.flags for call in found] == [("cache_unknown",), ()]


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
