"""List prices from the data that genai-prices ships, as rows of table `prices`; nothing is fetched."""

from datetime import datetime
from functools import cache
from importlib.metadata import version

import polars as pl
from genai_prices.data import providers

from ingest.prices.listings import offers, otel_providers
from ingest.prices.periods import conditions, periods, starts_of
from ingest.prices.rows import PRICE_SCHEMA

PACKAGE = "genai-prices"

# A feed whose prices are entered on the day they are seen, so that its newest start is the day of the data.
DAILY_FEED = "openrouter"


@cache
def packaged_prices() -> pl.DataFrame:
    """Every packaged list price, one row per key and period, in the columns of table `prices`."""
    recorded_at, source = data_day(), f"{PACKAGE} {version(PACKAGE)}"
    rows = [
        (
            provider,
            offer.model,
            offer.region_scope,
            period.service_tier,
            period.min_context_tokens,
            period.token_class,
            period.usd_per_million,
            "list",
            period.valid_from,
            period.valid_to,
            recorded_at,
            source + offer.note + period.note,
        )
        for seller in providers
        for offer in offers(seller)
        for period in periods(offer.info)
        for provider in otel_providers(seller)
    ]
    return pl.DataFrame(rows, schema=PRICE_SCHEMA, orient="row")


def data_day() -> datetime:
    """The day of the packaged data."""
    return max(start for seller in providers if seller.id == DAILY_FEED for info in seller.models for start in starts_of(conditions(info)))
