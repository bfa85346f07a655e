"""Spans as tests write them, and the captures of real clients, both through the allow-list as a body would come."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ingest.otlp.attributes import allow_list
from ingest.otlp.calls import Resolved, resolve
from ingest.otlp.facts import Facts, facts
from ingest.otlp.keep import keeper
from ingest.otlp.otlpjson import decode_json
from ingest.otlp.protobuf import decode_protobuf
from ingest.otlp.span import Span

CAPTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "captures"
ALLOW = allow_list(b"a key for tests")
NOON_US = 1_790_000_000_000_000  # some day in 2026
needs_captures = pytest.mark.skipif(not CAPTURES.is_dir(), reason="the captures of real clients are not beside the project")


def reduced(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What the allow-list leaves of raw attributes."""
    keep, kept, indexed = keeper(ALLOW), {}, {}
    for key, value in attributes.items():
        action = keep.action(key)
        if action is not None:
            action(kept, indexed, value)
    keep.reduce_indexed(kept, indexed)
    return kept


def make_span(
    attributes: Mapping[str, Any] | None = None,
    *,
    id: str = "a",
    trace: str = "t",
    parent: str | None = None,
    at_ms: float = 0,
    ms: float = 100,
    scope: str = "some.scope",
    version: str = "1.0",
    name: str = "span",
    status: int = 0,
    service: str = "shop",
    events: Iterable[tuple[str, int, Mapping[str, Any]]] = (),
) -> Span:
    started_us = NOON_US + int(at_ms * 1000)
    return Span(
        trace,
        id,
        parent,
        name,
        1,
        started_us,
        started_us + int(ms * 1000),
        status,
        scope,
        version,
        reduced({"service.name": service, **(attributes or {})}),
        tuple((event, at, reduced(values)) for event, at, values in events),
    )


def chat(model: str, **more: Any) -> dict[str, Any]:
    return {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": model, **more}


def resolved(*spans: Span) -> list[Resolved]:
    return resolve([facts(span) for span in spans])


def calls(*spans: Span) -> list[Facts]:
    """The merged facts of the calls among the spans, in order of their start."""
    found = [entry.facts for entry in resolved(*spans) if entry.role == "call"]
    return sorted(found, key=lambda call: (call.started_us, call.span_id))


def roles(*spans: Span) -> dict[str, str]:
    return {entry.facts.span_id: entry.role for entry in resolved(*spans)}


def clients() -> list[str]:
    return sorted(path.parent.name for path in CAPTURES.glob("*/expected.json"))


@cache
def captured_spans(client: str) -> tuple[Span, ...]:
    found: list[Span] = []
    for path in sorted((CAPTURES / client).iterdir()):
        decode = {".pb": decode_protobuf, ".json": decode_json}.get(path.suffix)
        if decode and path.stem.endswith("-traces"):
            found += decode(path.read_bytes(), ALLOW)[0]
    return tuple(found)


@cache
def captured_facts(client: str) -> tuple[Facts, ...]:
    return tuple(facts(span) for span in captured_spans(client))
