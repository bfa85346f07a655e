"""Which packaged entry is meant by a provider, a canonical model name and a region; genai-prices says who sells what."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from genai_prices.data import providers
from genai_prices.types import ClauseContains, ClauseEndsWith, ClauseEquals, ClauseOr, ClauseStartsWith, ModelInfo, Provider

from ingest.prices.models import canonical_model, region_scope
from ingest.prices.periods import has_token_price, same_price

# The package's provider -> the OpenTelemetry values under which its calls arrive; the others keep the package's id.
PROVIDERS = {
    "aws": ("aws.bedrock",),
    "azure": ("azure.ai.openai", "azure.ai.inference"),
    "fireworks": ("fireworks_ai",),
    "google": ("gcp.vertex_ai", "gcp.gemini", "gcp.gen_ai"),
    "mistral": ("mistral_ai",),
    "moonshotai": ("moonshot_ai",),
    "together": ("together_ai",),
    "x-ai": ("x_ai",),
}

SCOPE_UNKNOWN = ", region unknown: the global price"


@dataclass(frozen=True)
class Offer:
    """What a provider sells under one canonical name and region, with a note where the choice needs one."""

    model: str
    region_scope: str
    info: ModelInfo
    note: str = ""


@dataclass(frozen=True)
class Conflict:
    """Entries with different prices under one canonical name: the id that was kept, and those that lost."""

    provider: str
    model: str
    kept: str
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """One entry under one of its names; the smaller the rank, the closer the entry is to the name."""

    rank: tuple[bool, int, bool]  # resold; the name itself, with a vendor, or with a date or version too; alias instead of id
    info: ModelInfo


def otel_providers(provider: Provider) -> tuple[str, ...]:
    return PROVIDERS.get(provider.id, (provider.id,))


def offers(provider: Provider) -> Iterator[Offer]:
    """Everything that a provider sells, one entry per name and region.

    Bedrock lists its worldwide profiles apart from those that stay in a region and cost more. A bare name may stand for
    either, since instrumentations cut the prefix off: it gets the worldwide price, and its source says so.
    """
    for model, found in sorted(_by_name(provider).items()):
        entries = {scope: _closest(listings).info for scope, listings in found.items()}
        worldwide, local = entries.get("global"), entries.get("regional")
        if "any" not in entries and worldwide and local and not same_price(worldwide, local):
            yield Offer(model, "any", worldwide, SCOPE_UNKNOWN)
            yield Offer(model, "global", worldwide)
            yield Offer(model, "geo", local)
            yield Offer(model, "regional", local)
        else:
            yield Offer(model, "any", entries.get("any") or local or entries["global"])


@cache
def conflicts() -> tuple[Conflict, ...]:
    """Where entries of one provider share a canonical name and differ in price, and which one the book took."""
    found = []
    for provider in providers:
        for model, scopes in sorted(_by_name(provider).items()):
            for listings in scopes.values():
                best = _closest(listings)
                rivals = {listing.info.id: listing.info for listing in listings if listing.rank[0] == best.rank[0]}
                dropped = sorted(name for name, info in rivals.items() if not same_price(info, best.info))
                if dropped:
                    found.append(Conflict(provider.id, model, best.info.id, tuple(dropped)))
    return tuple(found)


def _by_name(provider: Provider) -> dict[str, dict[str, list[Listing]]]:
    """Model and region -> the entries of the provider, and of those whose models it resells, that can mean it.

    The package gives the tier prices of the original provider to no reseller.
    """
    found: dict[str, dict[str, list[Listing]]] = {}
    resold = [
        replace(info, price_variants=None)
        for other in providers
        if other.id in (provider.fallback_model_providers or ())
        for info in other.models
    ]
    for is_resold, infos in ((False, provider.models), (True, resold)):
        for info in filter(has_token_price, infos):
            for text, is_id in names(info):
                model = canonical_model(text, otel_providers(provider)[0])
                distance = 0 if text.lower() == model else 1 if text.lower().endswith(model) else 2
                rank = (is_resold, distance, not is_id)
                found.setdefault(model, {}).setdefault(region_scope(info.id), []).append(Listing(rank, info))
    return found


def _closest(listings: list[Listing]) -> Listing:
    """The provider's own entry before a resold one, then the closest name, then the newest id; never an average."""
    rank = min(listing.rank for listing in listings)
    return max((listing for listing in listings if listing.rank == rank), key=lambda listing: listing.info.id)


def names(info: ModelInfo) -> Iterator[tuple[str, bool]]:
    """The texts by which an entry can be called: its id, and whole names in its matching rule."""
    yield info.id, True
    for clause in info.match.or_ if isinstance(info.match, ClauseOr) else (info.match,):
        match clause:
            case ClauseEquals(text) | ClauseStartsWith(text) | ClauseEndsWith(text) | ClauseContains(text) if text[-1].isalnum():
                yield text, False
