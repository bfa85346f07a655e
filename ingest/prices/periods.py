"""One packaged entry as prices with periods: context tiers, service tiers and dated changes unfolded into rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from itertools import pairwise
from typing import Any

from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from ingest.prices.rows import OPEN_START

# The package's price of each token class, the more specific first. A write price without a time to live is not the
# price of a 1-hour write.
CLASS_PRICES = {
    "uncached_input": ("input_mtok",),
    "cache_read": ("cache_read_mtok",),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok",),
    "output": ("output_mtok",),
}
TOKEN_PRICES = frozenset(key for keys in CLASS_PRICES.values() for key in keys)

# The request contexts of the package that are service tiers.
TIERS = {
    "standard": {},
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}

BY_TIME_OF_DAY = ", by time of day: the price of most hours"


@dataclass(frozen=True)
class Period:
    """The price of one token class from a day on, `valid_to` None while it lasts."""

    service_tier: str
    min_context_tokens: int
    token_class: str
    usd_per_million: Decimal
    valid_from: datetime
    valid_to: datetime | None
    note: str


def periods(info: ModelInfo) -> Iterator[Period]:
    """Every price of an entry, equal periods that follow each other joined."""
    dated, note = _without_hours(info)
    variants = _backdated(info.price_variants or [], dated)
    entry = replace(info, prices=dated, price_variants=variants)
    starts = sorted({*starts_of(dated), *starts_of(variants)})
    series: dict[tuple[str, int, str], list[Decimal | None]] = {}
    for at, start in enumerate(starts):
        for tier in TIERS:
            for min_context, token_class, usd in _prices_on(entry, tier, start):
                series.setdefault((tier, min_context, token_class), [None] * len(starts))[at] = usd
    for (tier, min_context, token_class), prices in series.items():
        for at, price in enumerate(prices):
            if price is not None and (at == 0 or prices[at - 1] != price):
                ends = (start for start, later in zip(starts[at:], prices[at:], strict=True) if later != price)
                yield Period(tier, min_context, token_class, price, starts[at], next(ends, None), note)


def has_token_price(info: ModelInfo) -> bool:
    return any(_token_prices(condition.prices) for condition in conditions(info))


def same_price(one: ModelInfo, other: ModelInfo) -> bool:
    return one is other or list(periods(one)) == list(periods(other))


def conditions(info: ModelInfo) -> list[ConditionalPrice]:
    return info.prices if isinstance(info.prices, list) else [ConditionalPrice(prices=info.prices)]


def starts_of(dated: Sequence[ConditionalPrice | PriceVariant]) -> list[datetime]:
    """The open start, and every day on which one of the prices begins."""
    days = [price.constraint.start_date for price in dated if isinstance(price.constraint, StartDateConstraint)]
    return [OPEN_START, *(datetime.combine(day, time()) for day in days)]


def _prices_on(info: ModelInfo, tier: str, start: datetime) -> Iterator[tuple[int, str, Decimal]]:
    """(min_context_tokens, token_class, usd_per_million) of one tier on one day; a tier's part prices lie over the standard."""
    when = TIERS[tier]
    active = [variant for variant in info.price_variants or () if variant.constraint is None or variant.constraint.active(start)]
    if when and not any(variant.when == when for variant in active):
        return
    prices = vars(info.get_prices(start, when))
    for token_class, keys in CLASS_PRICES.items():
        price = next((prices[key] for key in keys if prices.get(key) is not None), None)
        if isinstance(price, TieredPrices):
            yield 0, token_class, price.base
            yield from ((step.start, token_class, step.price) for step in price.tiers)
        elif price is not None:
            yield 0, token_class, price


def _without_hours(info: ModelInfo) -> tuple[list[ConditionalPrice], str]:
    """Where prices differ by time of day, the one that holds for most of it."""
    by_hour = [condition for condition in conditions(info) if isinstance(condition.constraint, TimeOfDateConstraint)]
    for condition in by_hour:
        if sum(_hours(other.constraint) for other in by_hour if other.prices == condition.prices) > 12:
            return [ConditionalPrice(prices=condition.prices)], BY_TIME_OF_DAY
    return [condition for condition in conditions(info) if condition not in by_hour], BY_TIME_OF_DAY if by_hour else ""


def _hours(constraint: Any) -> float:
    start, end = (float(at.hour + at.minute / 60) for at in (constraint.start_time, constraint.end_time))
    return (end - start) % 24


def _backdated(variants: Sequence[PriceVariant], dated: Sequence[ConditionalPrice]) -> list[PriceVariant]:
    """Tier prices start on the day they were recorded: the first of a tier really holds since its standard price does."""
    changes = [
        date.min,
        *(
            after.constraint.start_date
            for before, after in pairwise(dated)
            if isinstance(after.constraint, StartDateConstraint) and _token_prices(before.prices) != _token_prices(after.prices)
        ),
    ]
    moved = []
    for variant in variants:
        start = _start(variant)
        if start == min(_start(other) for other in variants if other.when == variant.when):
            since = max(change for change in changes if change <= start)
            variant = replace(variant, constraint=None if since == date.min else StartDateConstraint(start_date=since))
        moved.append(variant)
    return moved


def _start(variant: PriceVariant) -> date:
    return variant.constraint.start_date if isinstance(variant.constraint, StartDateConstraint) else date.min


def _token_prices(prices: ModelPrice) -> dict[str, Any]:
    return {key: price for key, price in vars(prices).items() if key in TOKEN_PRICES and price is not None}
