"""The provider behind a call, in OpenTelemetry's spelling, whatever an emitter calls it."""

from fnmatch import fnmatchcase
from functools import cache, lru_cache

from ingest.otlp.tables import table

API_SUFFIXES = (".chat", ".messages", ".responses", ".completion", ".completions", ".embedding", ".embeddings", ".image")


@cache
def _providers() -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    rows = [(row["alias"], row["provider"]) for row in table("providers.csv")]
    return dict(rows), tuple(row for row in rows if "*" in row[0])


@lru_cache(4096)
def provider(name: str) -> str | None:
    """The OpenTelemetry value of a provider's name; None for a framework that only names itself."""
    known, _ = _providers()
    lowered = name.strip().strip('"').lower()
    for suffix in API_SUFFIXES:
        lowered = lowered.removesuffix(suffix)
    return known.get(lowered)


@lru_cache(4096)
def provider_of_host(host: str) -> str | None:
    known, patterns = _providers()
    lowered = host.lower().split(":", 1)[0]
    return known.get(lowered) or next((name for pattern, name in patterns if fnmatchcase(lowered, pattern)), None)


@lru_cache(4096)
def provider_of_model(model: str) -> str | None:
    """`bedrock/...`, `openai/gpt-4o`: the prefix, where it is a provider's name."""
    return provider(model.split("/", 1)[0]) if "/" in model else None


@lru_cache(4096)
def maker(model: str) -> str | None:
    """Who sells a model that nobody else sells under this name; None for open weights, which run anywhere."""
    lowered = model.lower()
    return next((row["provider"] or None for row in table("makers.csv") if fnmatchcase(lowered, row["model"])), None)


@lru_cache(1024)
def provider_of_scope(scope: str) -> str | None:
    """The provider whose client a scope instruments, `openinference.instrumentation.bedrock`."""
    return provider(scope.rsplit(".", 1)[-1]) if ".instrumentation." in scope else None
