"""Model texts that are no name in the price book: the user's aliases, then genai-prices' own matcher, nothing fuzzy."""

from collections.abc import Collection, Iterable, Mapping
from functools import cache

from genai_prices.data import providers

from ingest.prices.listings import names, otel_providers
from ingest.prices.models import canonical_model
from ingest.prices.packaged import packaged_prices

Pair = tuple[str, str]


def match_models(pairs: Iterable[Pair], aliases: Mapping[str, str] | None = None, known: Collection[Pair] = frozenset()) -> dict[Pair, str]:
    """(provider, model text) -> the model's name in the book; what neither book, aliases nor matcher know is left out.

    `aliases` maps a text, such as the name of a deployment, to a model; `known` are (provider, model) pairs that the
    book has beside packaged prices.
    """
    found = {}
    for provider, text in set(pairs):
        meant = (aliases or {}).get(text, text)
        model = canonical_model(meant, provider)
        priced = model if (provider, model) in known or (provider, model) in _packaged_names() else _matched(provider, meant)
        if priced is not None:
            found[provider, text] = priced
    return found


def _matched(provider: str, text: str) -> str | None:
    seller = next((seller for seller in providers if provider in otel_providers(seller)), None)
    info = seller and (
        seller.find_model(text, all_providers=providers) or seller.find_model(canonical_model(text, provider), all_providers=providers)
    )
    if not info:
        return None
    candidates = (canonical_model(name, provider) for name, _ in names(info))
    return next((model for model in candidates if (provider, model) in _packaged_names()), None)


@cache
def _packaged_names() -> frozenset[Pair]:
    return frozenset(packaged_prices().select("provider", "model").unique().rows())
