"""Telemetry that arrives while the dashboard runs is on the page after a reload."""

from pathlib import Path

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from playwright.sync_api import Browser

from tests.browser.reader import Reader, reading
from tests.serving import serving


def send_calls(url: str, calls: int) -> None:
    """What an application with the OpenTelemetry SDK sends: one trace per call."""
    provider = TracerProvider(resource=Resource.create({"service.name": "checkout-bot"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{url}/v1/traces")))
    for _ in range(calls):
        with provider.get_tracer("demo").start_as_current_span("chat gpt-4o", kind=trace.SpanKind.CLIENT) as span:
            span.set_attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "gen_ai.usage.input_tokens": 1_000_000,
                    "gen_ai.usage.output_tokens": 20,
                }
            )
    assert provider.force_flush()
    provider.shutdown()


def provider_calls(reader: Reader) -> str:
    return reader.page.get_by_test_id("stMetric").filter(has_text="Provider calls").get_by_test_id("stMetricValue").inner_text()


def test_spans_of_the_sdk_fill_an_empty_ledger_and_add_up_after_a_reload(chromium: Browser, tmp_path: Path) -> None:
    with serving(tmp_path / "ledger.duckdb") as server, reading(chromium, server.url) as reader:
        reader.open("data")
        assert "The ledger is empty" in reader.text()
        send_calls(server.url, 2)
        reader.open("data")
        assert provider_calls(reader) == "2"
        reader.go("Spend")
        assert reader.metrics()[0] == "$5.00", "two million input tokens of gpt-4o at list price"
        send_calls(server.url, 1)
        reader.page.reload()
        reader.settle()
        assert reader.metrics()[0] == "$7.50"
        assert reader.wrong() == []
