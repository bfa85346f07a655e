"""Python frameworks with telemetry of their own and older versions of instrumentations, as they were once misread."""

import json

from ingest.otlp.otlpjson import decode_json
from ingest.otlp.protobuf import decode_protobuf
from tests.ingest.otlp_bodies import as_protobuf
from tests.ingest.otlp_spans import ALLOW, calls, chat, make_span, roles

TRACELOOP = "opentelemetry.instrumentation.anthropic"
OPENINFERENCE = "openinference.instrumentation.anthropic"


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
