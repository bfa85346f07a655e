"""The sample data: what is committed is what the generator makes, its truth adds up, and its files say what the truth says."""

import ast
import gzip
import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sample_data.generate import generate

HOME = Path(__file__).parents[1] / "sample_data"
DATA = HOME / "data"
MONTHS = ("2026-07", "2026-08", "2026-09")
CLASSES = ("uncached_input", "cache_read", "cache_write_5m", "cache_write_1h", "output")


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    return json.loads((HOME / "truth.json").read_text())


def content(path: Path) -> bytes:
    """What a file says, whatever version of a compressor wrote it."""
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".parquet":
        return pl.read_parquet(path).write_json().encode()
    return path.read_bytes()


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(content(path)).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }


@pytest.mark.slow
def test_the_committed_files_are_what_the_generator_makes_now(tmp_path: Path) -> None:
    generate(tmp_path / "data")
    assert hashes(tmp_path) == {name: value for name, value in hashes(HOME).items() if name != "spanledger.toml"}


def test_the_output_stays_small() -> None:
    assert sum(path.stat().st_size for path in HOME.rglob("*") if path.is_file() and "__pycache__" not in path.parts) <= 4_000_000


def test_everything_says_that_it_is_synthetic(truth: dict[str, Any]) -> None:
    assert truth["label"].startswith("SYNTHETIC DATA")
    assert (ast.get_docstring(ast.parse((HOME / "__init__.py").read_text())) or "").startswith("SYNTHETIC")


def test_the_generator_imports_nothing_that_it_is_meant_to_check() -> None:
    for path in HOME.glob("*.py"):
        names = {
            node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        roots = {str(name).split(".")[0] for name in names}
        assert not roots & {"ingest", "metrics", "app", "genai_prices", "duckdb", "scipy"}, path.name


@pytest.mark.parametrize("month", MONTHS)
@pytest.mark.parametrize("scope", ["all", "production"])
def test_the_systems_add_up_to_the_company(truth: dict[str, Any], month: str, scope: str) -> None:
    block = truth["months"][month]
    systems = [system[scope] for system in block["systems"].values()]
    for name, value in block["company"][scope].items():
        if name == "tokens":
            assert value == {token: sum(system["tokens"][token] for system in systems) for token in CLASSES}
        elif name.endswith("_usd"):
            assert Decimal(value) == sum(Decimal(system[name]) for system in systems)
        else:
            assert value == sum(system[name] for system in systems), name


@pytest.mark.parametrize("month", MONTHS)
@pytest.mark.parametrize("provider", ["openai", "anthropic", "aws.bedrock"])
def test_a_bill_is_the_priced_traces_and_the_planted_differences(truth: dict[str, Any], month: str, provider: str) -> None:
    bill = truth["months"][month]["providers"][provider]
    planted = [item for item in truth["planted"] if (item["provider"], item["month"]) == (provider, month)]
    assert Decimal(bill["billed_usd"]) == Decimal(bill["bridge"]["priced_traces"]) + sum(Decimal(item["amount_usd"]) for item in planted)
    for term, amount in bill["bridge"].items():
        if term != "priced_traces":
            assert Decimal(amount) == sum(Decimal(item["amount_usd"]) for item in planted if item["term"] == term), term
    assert Decimal(bill["billed_usd"]) == sum(map(Decimal, bill["by_project_usd"].values()))


def test_all_that_was_to_be_planted_is_there(truth: dict[str, Any]) -> None:
    assert {item["name"] for item in truth["planted"]} == {
        "undisclosed_discount",
        "contract",
        "unregistered_project",
        "web_search",
        "missing_traces",
        "aws_tax",
        "aws_credit",
        "cache_write_1h",
        "midnight",
        "streams_without_usage",
        "aborted_streams",
    }
    discount = next(item for item in truth["planted"] if item["name"] == "undisclosed_discount")
    bill = truth["months"]["2026-09"]["providers"]["anthropic"]
    assert Decimal(discount["amount_usd"]) / (Decimal(bill["billed_usd"]) - Decimal(discount["amount_usd"])) == Decimal("-0.08")


@pytest.mark.parametrize("month", MONTHS)
def test_the_exports_say_what_the_truth_says_was_billed(truth: dict[str, Any], month: str) -> None:
    providers = truth["months"][month]["providers"]
    cost = pl.read_csv(gzip.decompress((DATA / f"bills/openai/cost_by_line_item_{month}.csv.gz").read_bytes()), infer_schema=False)
    assert sum(map(Decimal, cost["amount_value"])) == Decimal(providers["openai"]["billed_usd"])
    usage = pl.read_csv(DATA / f"bills/openai/completions_usage_{month}.csv")
    assert usage["output_tokens"].sum() == providers["openai"]["usage_report_tokens"]["output"]
    pages = [json.loads(gzip.decompress(path.read_bytes())) for path in sorted((DATA / "bills/anthropic").glob(f"*_{month}_*"))]
    results = [result for page in pages for bucket in page["data"] for result in bucket["results"]]
    cents = sum(Decimal(result["amount"]) for result in results if "amount" in result)
    assert cents / 100 == Decimal(providers["anthropic"]["billed_usd"])
    assert sum(result["output_tokens"] for result in results if "amount" not in result) == providers["anthropic"]["tokens"]["output"]
    focus = pl.read_parquet(DATA / f"bills/aws/focus_1_2_bedrock_{month}.parquet")
    assert sum(Decimal(repr(amount)) for amount in focus["BilledCost"]) == Decimal(providers["aws.bedrock"]["billed_usd"])


def spans(system: str, month: str) -> Iterator[tuple[str, str, dict[str, Any], Any]]:
    """Scope, environment, attributes and the span itself (as JSON or as a message)."""
    path = next((DATA / "traces").glob(f"{system}-{month}.*"))
    if path.suffixes[-2] == ".pb":
        body = ExportTraceServiceRequest.FromString(content(path))
        for resource in body.resource_spans:
            environment = {item.key: item.value.string_value for item in resource.resource.attributes}["deployment.environment.name"]
            for group in resource.scope_spans:
                for span in group.spans:
                    yield group.scope.name, environment, {item.key: value(item.value) for item in span.attributes}, span
        return
    for line in content(path).splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            environment = {item["key"]: item["value"].get("stringValue") for item in resource["resource"]["attributes"]}
            for group in resource["scopeSpans"]:
                for span in group["spans"]:
                    found = {item["key"]: next(iter(item["value"].values())) for item in span["attributes"]}
                    yield group["scope"]["name"], str(environment["deployment.environment.name"]), found, span


def value(any_value: Any) -> Any:
    return getattr(any_value, any_value.WhichOneof("value"))


# Per system: the scope of the spans that are one to a call, and the attributes of input, cache read, cache write and output.
ONE_SPAN_A_CALL = {
    "contact-centre-assist": (
        "opentelemetry.instrumentation.genai.openai",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "",
        "gen_ai.usage.output_tokens",
    ),
    "claims-copilot": (
        "com.anthropic.sdk.python",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.output_tokens",
    ),
    "underwriting-notes": (
        "com.anthropic.sdk.python",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.output_tokens",
    ),
    "marketing-drafts": (
        "openinference.instrumentation.openai",
        "llm.token_count.prompt",
        "llm.token_count.prompt_details.cache_read",
        "",
        "llm.token_count.completion",
    ),
    "document-intake": (
        "opentelemetry.instrumentation.botocore.bedrock-runtime",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.output_tokens",
    ),
}


@pytest.mark.parametrize("month", MONTHS)
@pytest.mark.parametrize("system", sorted(ONE_SPAN_A_CALL))
def test_the_trace_files_carry_the_tokens_of_the_truth(truth: dict[str, Any], system: str, month: str) -> None:
    scope, *keys = ONE_SPAN_A_CALL[system]
    calls = [attributes for name, _, attributes, _ in spans(system, month) if name == scope]
    total, read, written, output = (sum(int(call.get(key, 0)) for call in calls) for key in keys)
    known = truth["months"][month]["systems"][system]["all"]
    tokens = known["tokens"]
    exclusive = system == "document-intake"
    assert len(calls) == known["calls"]
    assert (read, written, output) == (tokens["cache_read"], tokens["cache_write_5m"] + tokens["cache_write_1h"], tokens["output"])
    assert total == tokens["uncached_input"] + (0 if exclusive else read + written)


@pytest.mark.parametrize("month", MONTHS)
def test_the_vercel_children_carry_the_tokens_of_the_truth(truth: dict[str, Any], month: str) -> None:
    children = [
        attributes
        for _, _, attributes, _ in spans("policy-search", month)
        if attributes.get("ai.operationId", "").startswith(("ai.generateText.do", "ai.embed.do"))
    ]
    known = truth["months"][month]["systems"]["policy-search"]["all"]
    assert len(children) == known["calls"]
    assert sum(int(child.get("ai.usage.tokens", 0)) for child in children) == known["embedding_tokens"]
    assert sum(int(child.get("ai.usage.outputTokenDetails.reasoningTokens", 0)) for child in children) == known["reasoning_tokens"]
    assert sum(int(child.get("gen_ai.usage.output_tokens", 0)) for child in children) == known["tokens"]["output"]


@pytest.mark.parametrize("month", MONTHS)
def test_a_trace_of_the_application_is_a_request(truth: dict[str, Any], month: str) -> None:
    for system, scope in (
        ("contact-centre-assist", "nordwind.contact_centre"),
        ("underwriting-notes", "pydantic-ai"),
        ("claims-copilot", "openinference.instrumentation.langchain"),
    ):
        found = {(environment, span.trace_id) for name, environment, _, span in spans(system, month) if name == scope}
        known = truth["months"][month]["systems"][system]
        assert len(found) == known["all"]["requests"]
        assert sum(environment == "production" for environment, _ in found) == known["production"]["requests"]


@pytest.mark.parametrize("system", ["policy-search", "contact-centre-assist", "document-intake"])
def test_spans_form_trees_with_ids_of_their_own(system: str) -> None:
    found = list(spans(system, "2026-08"))
    ids = Counter((span["traceId"], span["spanId"]) if isinstance(span, dict) else (span.trace_id, span.span_id) for *_, span in found)
    assert set(ids.values()) == {1}
    for *_, span in found:
        parent = span.get("parentSpanId") if isinstance(span, dict) else span.parent_span_id
        assert not parent or ((span["traceId"], parent) if isinstance(span, dict) else (span.trace_id, parent)) in ids


def test_json_traces_follow_the_rules_of_otlp() -> None:
    for *_, span in spans("policy-search", "2026-07"):
        assert len(bytes.fromhex(span["traceId"])) == 16
        assert isinstance(span["startTimeUnixNano"], str)
        assert all(isinstance(item["value"]["intValue"], str) for item in span["attributes"] if "intValue" in item["value"])


def test_a_word_stands_in_prompts_that_no_ledger_may_keep(truth: dict[str, Any]) -> None:
    for system in ("claims-copilot", "underwriting-notes", "policy-search", "marketing-drafts"):
        assert any(truth["marker"] in str(attributes) for _, _, attributes, _ in spans(system, "2026-09")), system


def test_the_settings_attribute_every_project(truth: dict[str, Any]) -> None:
    rules = tomllib.loads((HOME / "spanledger.toml").read_text())["attribution"]
    for name, system in truth["systems"].items():
        assert any(rule["set"].get("system") == name for rule in rules)
        if system["provider"] != "aws.bedrock":
            assert any(rule.get("service") == system["service_name"] and rule["set"]["project"] == system["project"] for rule in rules)
