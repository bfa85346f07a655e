"""What a row of the price book says: its columns, what identifies it, and its vocabulary."""

from datetime import datetime

import polars as pl

OPEN_START = datetime(1970, 1, 1)

TOKEN_CLASSES = ("uncached_input", "cache_read", "cache_write_5m", "cache_write_1h", "output")

PRICE_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "provider": pl.String,
    "model": pl.String,
    "region_scope": pl.String,
    "service_tier": pl.String,
    "min_context_tokens": pl.Int64,
    "token_class": pl.String,
    "usd_per_million": pl.Decimal(24, 12),
    "kind": pl.String,
    "valid_from": pl.Datetime("us"),
    "valid_to": pl.Datetime("us"),
    "recorded_at": pl.Datetime("us"),
    "source": pl.String,
}

# Of two rows of one source that agree in these, the one recorded later holds.
PRICE_KEY = ("provider", "model", "region_scope", "service_tier", "min_context_tokens", "token_class", "kind", "valid_from")
