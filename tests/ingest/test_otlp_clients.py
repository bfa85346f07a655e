"""One regression test per way in which a client library's spans were once misread, with spans as that library sends them."""

from typing import Any

from tests.ingest.otlp_spans import calls, make_span, roles


def chat(model: str, **more: Any) -> dict[str, Any]:
    return {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": model, **more}


def test_vercel_7_counts_cached_tokens_inside_its_input() -> None:
    usage = {"gen_ai.usage.input_tokens": 2006, "gen_ai.usage.output_tokens": 300, "gen_ai.usage.cache_read.input_tokens": 1920}
    agent = make_span({"gen_ai.operation.name": "invoke_agent", **usage}, id="a", scope="gen_ai", version="")
    model = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
    (call,) = calls(agent, make_span(model | usage, id="b", parent="a", at_ms=1, ms=98, scope="gen_ai", version=""))
    assert (call.input_tokens, call.cache_read_tokens, call.token_convention, call.token_rule) == (2006, 1920, "inclusive", "known")


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
        assert (call.cache_read_tokens, call.flags) == (None, ("cache_unknown",)), scope


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
