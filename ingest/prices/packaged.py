"""List prices from the data that genai-prices ships, as rows of table `prices`; nothing is fetched."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from typing import Any

import polars as pl
from genai_prices.data import providers
from genai_prices.types import (
    ClauseOr,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from ingest.prices.models import canonical_model, region_scope

PACKAGE = "genai-prices"
OPEN_START = datetime(1970, 1, 1)

PRICE_SCHEMA = {
    "provider": pl.String, "model": pl.String, "region_scope": pl.String, "service_tier": pl.String, "min_context_tokens": pl.Int64,
    "token_class": pl.String, "usd_per_million": pl.Decimal(24, 12), "kind": pl.String, "valid_from": pl.Datetime("us"),
    "valid_to": pl.Datetime("us"), "recorded_at": pl.Datetime("us"), "source": pl.String,
}

# The package's provider -> the OpenTelemetry values under which its calls arrive; the others keep the package's id.
PROVIDERS = {
    "aws": ("aws.bedrock",),
    "azure": ("azure.ai.openai", "azure.ai.inference"),
    "google": ("gcp.vertex_ai", "gcp.gemini", "gcp.gen_ai"),
    "mistral": ("mistral_ai",),
    "x-ai": ("x_ai",),
}

# The package's price of each token class, the more specific first.
CLASS_PRICES = {
    "uncached_input": ("input_mtok",),
    "cache_read": ("cache_read_mtok",),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok",),
    "output": ("output_mtok",),
}

# The request contexts of the package that are service tiers here.
TIERS = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}

# A feed whose prices are entered on the day they are seen, so that its newest start is the day of the data.
DAILY_FEED = "openrouter"

BY_TIME_OF_DAY = ", by time of day: the price of most hours"
SCOPE_UNKNOWN = ", region unknown: the global price"


@dataclass(frozen=True)
class Listing:
    """One entry of the package under one canonical name; `closeness` 0 is an entry that has this very id."""

    model: str
    region_scope: str
    closeness: int
    info: ModelInfo
    own: bool  # the provider's own entry, not one of a provider that it resells


@dataclass(frozen=True)
class Conflict:
    """Entries with different prices under one canonical name: the one kept, and those that lost."""

    provider: str
    model: str
    kept: str
    dropped: tuple[str, ...]


@cache
def packaged_prices() -> pl.DataFrame:
    """Every packaged list price, one row per key and period, in the columns of table `prices`."""
    label = f"{PACKAGE} {version(PACKAGE)}"
    recorded_at = data_date()
    rows = [
        (name, model, scope, tier, min_context, token_class, usd, "list", valid_from, valid_to, recorded_at, label + note)
        for provider in providers
        for model, scope, info, origin in _sold_by(provider)
        for tier, min_context, token_class, usd, valid_from, valid_to, dated in _price_rows(info)
        for note in (origin + dated,)
        for name in PROVIDERS.get(provider.id, (provider.id,))
    ]
    return pl.DataFrame(rows, schema=PRICE_SCHEMA, orient="row")


@cache
def packaged_conflicts() -> tuple[Conflict, ...]:
    """Where several entries of a provider share a canonical name and differ in price, and which one was taken."""
    found = []
    for provider in providers:
        for (model, _), listings in sorted(_listings(provider).items()):
            best = _best(listings)
            losers = {other.info.id for other in listings if not _same_price(other.info, best.info)}
            if losers:
                found.append(Conflict(provider.id, model, best.info.id, tuple(sorted(losers))))
    return tuple(found)


@cache
def data_date() -> datetime:
    """The day of the packaged data: the newest start among prices that are entered on the day they are seen."""
    starts = [start for provider in providers if provider.id == DAILY_FEED for info in provider.models for start in _starts(_dated(info)[0])]
    return max(starts)


def _sold_by(provider: Provider) -> Iterator[tuple[str, str, ModelInfo, str]]:
    """(model, region_scope, entry, note) for everything that a provider sells, one entry per name and scope."""
    chosen = {key: _best(listings).info for key, listings in _listings(provider).items()}
    for model in sorted({model for model, _ in chosen}):
        general, worldwide, local = (chosen.get((model, scope)) for scope in ("any", "global", "regional"))
        if general is not None:
            yield model, "any", general, ""
        elif worldwide is None or local is None or _same_price(worldwide, local):
            only = local or worldwide
            assert only is not None
            yield model, "any", only, ""
        else:
            yield model, "any", worldwide, SCOPE_UNKNOWN
            yield model, "global", worldwide, ""
            yield model, "geo", local, ""
            yield model, "regional", local, ""


def _listings(provider: Provider) -> dict[tuple[str, str], list[Listing]]:
    """Every entry of a provider, and of those it resells, under each canonical name that it can be called by."""
    found: dict[tuple[str, str], list[Listing]] = {}
    resold = [other for other in providers if other.id in (provider.fallback_model_providers or ())]
    for seller in (provider, *resold):
        for info in seller.models:
            if not _has_token_price(info):
                continue
            for text, is_id in _names(info):
                model = canonical_model(text, PROVIDERS.get(provider.id, (provider.id,))[0])
                closeness = (0 if is_id else 1) if text.lower() == model else (2 if is_id else 3)
                listing = Listing(model, region_scope(info.id), closeness, info, seller is provider)
                found.setdefault((model, listing.region_scope), []).append(listing)
    return found


def _best(listings: list[Listing]) -> Listing:
    """The provider's own entry before a resold one, the closest name, then the newest id; never an average."""
    closest = min((not listing.own, listing.closeness) for listing in listings)
    return max((listing for listing in listings if (not listing.own, listing.closeness) == closest), key=lambda listing: listing.info.id)


def _names(info: ModelInfo) -> Iterator[tuple[str, bool]]:
    """The texts that name an entry: its id, and whole names among what its matching rule lists."""
    yield info.id, True
    clauses = info.match.or_ if isinstance(info.match, ClauseOr) else [info.match]
    for clause in clauses:
        for text in vars(clause).values():
            if isinstance(text, str) and text[-1:].isalnum() and not hasattr(clause, "regex"):
                yield text, False


def _price_rows(info: ModelInfo) -> Iterator[tuple[str, int, str, Decimal, datetime, datetime | None, str]]:
    """(tier, min_context_tokens, token_class, usd_per_million, valid_from, valid_to, note), equal periods joined."""
    dated, note = _dated(info)
    dateless = replace(info, prices=dated, price_variants=_backdated(info, dated))
    starts = sorted({*_starts(dated), *_starts(dateless.price_variants or [])})
    series: dict[tuple[str, int, str], list[Decimal | None]] = {}
    for at, start in enumerate(starts):
        for tier in ("standard", *TIERS):
            for min_context, token_class, usd in _prices_on(dateless, tier, start):
                series.setdefault((tier, min_context, token_class), [None] * len(starts))[at] = usd
    for (tier, min_context, token_class), values in series.items():
        for at, usd in enumerate(values):
            if usd is None or (at > 0 and values[at - 1] == usd):
                continue
            until = next((starts[later] for later in range(at + 1, len(starts)) if values[later] != usd), None)
            yield tier, min_context, token_class, usd, starts[at], until, note


def _prices_on(info: ModelInfo, tier: str, start: datetime) -> Iterator[tuple[int, str, Decimal]]:
    """(min_context_tokens, token_class, usd_per_million) of one tier on one day; nothing where the tier has no price."""
    context = TIERS.get(tier)
    offered = [variant for variant in info.price_variants or [] if variant.when == context]
    if context is not None and not any(variant.constraint is None or variant.constraint.active(start) for variant in offered):
        return
    prices = vars(info.get_prices(start, context))
    for token_class, keys in CLASS_PRICES.items():
        price = next((prices[key] for key in keys if prices.get(key) is not None), None)
        if price is not None:
            yield from ((min_context, token_class, usd) for min_context, usd in _by_context(price))


def _by_context(price: Decimal | TieredPrices) -> Iterator[tuple[int, Decimal]]:
    """A tier holds for requests with more input tokens than its start."""
    if not isinstance(price, TieredPrices):
        yield 0, price
        return
    yield 0, price.base
    yield from ((tier.start, tier.price) for tier in price.tiers)


def _dated(info: ModelInfo) -> tuple[list[ConditionalPrice], str]:
    """The prices without times of day: where these differ, the price that holds for most of the day."""
    conditions = info.prices if isinstance(info.prices, list) else [ConditionalPrice(prices=info.prices)]
    by_hour = [condition for condition in conditions if isinstance(condition.constraint, TimeOfDateConstraint)]
    if not by_hour:
        return conditions, ""
    for condition in by_hour:
        if sum(_hours(other.constraint) for other in by_hour if other.prices == condition.prices) > 12:
            return [ConditionalPrice(prices=condition.prices)], BY_TIME_OF_DAY
    return [condition for condition in conditions if condition not in by_hour], BY_TIME_OF_DAY


def _hours(constraint: Any) -> float:
    def minutes(at: time) -> int:
        return at.hour * 60 + at.minute
    return (minutes(constraint.end_time) - minutes(constraint.start_time)) % (24 * 60) / 60


def _backdated(info: ModelInfo, dated: list[ConditionalPrice]) -> list[Any] | None:
    """Tier prices carry the day they were recorded: the first one of a tier holds since the standard price did."""
    if not info.price_variants:
        return None
    changes = [date.min, *(after.constraint.start_date for before, after in zip(dated, dated[1:], strict=False)
                           if isinstance(after.constraint, StartDateConstraint) and _token_prices(before.prices) != _token_prices(after.prices))]
    first: dict[str, date] = {}
    for variant in info.price_variants:
        start = variant.constraint.start_date if isinstance(variant.constraint, StartDateConstraint) else date.min
        first[str(variant.when)] = min(start, first.get(str(variant.when), date.max))
    moved = []
    for variant in info.price_variants:
        if isinstance(variant.constraint, StartDateConstraint) and variant.constraint.start_date == first[str(variant.when)]:
            since = max(change for change in changes if change <= variant.constraint.start_date)
            variant = replace(variant, constraint=None if since == date.min else StartDateConstraint(start_date=since))
        moved.append(variant)
    return moved


def _starts(conditions: list[Any]) -> list[datetime]:
    days = [condition.constraint.start_date for condition in conditions if isinstance(condition.constraint, StartDateConstraint)]
    return [OPEN_START, *(datetime(day.year, day.month, day.day) for day in days)]


def _token_prices(prices: ModelPrice) -> dict[str, Any]:
    wanted = {key for keys in CLASS_PRICES.values() for key in keys}
    return {key: price for key, price in vars(prices).items() if key in wanted and price is not None}


def _has_token_price(info: ModelInfo) -> bool:
    return any(_token_prices(condition.prices) for condition in _dated(info)[0])


def _same_price(one: ModelInfo, other: ModelInfo) -> bool:
    return one is other or list(_price_rows(one)) == list(_price_rows(other))
