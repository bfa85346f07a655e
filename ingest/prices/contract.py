"""A rate that a person found on the bill, recorded as a contract: new rows of the price book, and the calls priced again."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import duckdb

# The rows that predicted the price so far, times the ratio; contract rows stand for the list rows of the same key.
ACCEPT = """
insert into prices by name
select b.provider, b.model, b.region_scope, b.service_tier, b.min_context_tokens, b.token_class,
       cast(b.usd_per_million * $ratio as decimal(24,12)) as usd_per_million, 'contract' as kind,
       greatest(b.valid_from, $since) as valid_from, b.valid_to, $recorded_at as recorded_at, $source as source
from price_book b
where b.provider = $provider and b.kind in ('contract', 'list') and (b.valid_to is null or b.valid_to > $since)
  and b.model in (select coalesce(n.priced_as, n.model) from price_names n where n.provider = $provider and list_contains($models, n.model))
  and (len($token_classes) = 0 or list_contains($token_classes, b.token_class))
qualify b.kind = 'contract' or not bool_or(b.kind = 'contract') over (
    partition by b.model, b.region_scope, b.service_tier, b.min_context_tokens, b.token_class)
"""

CALLED = """
create or replace temp table called as
select row_number() over () as id, s.rowid as place, s.* from spans s
where s.role = 'call' and s.provider = $provider and list_contains($models, s.model) and s.started_at >= $since
"""
REPRICE = """
update spans set cost_usd = p.cost_usd, cost_status = p.cost_status, cost_low_usd = p.cost_low_usd, cost_high_usd = p.cost_high_usd,
                 price_source = p.price_source,
                 flags = list_concat(list_filter(spans.flags, lambda flag: flag <> 'tier_fallback'), p.price_flags)
from called c join price_calls('called') p on p.id = c.id where spans.rowid = c.place
"""


def accept_rate(
    cursor: duckdb.DuckDBPyConnection,
    provider: str,
    models: Sequence[str],
    token_classes: Sequence[str],
    ratio: Decimal,
    since: datetime,
    recorded_at: datetime,
) -> int:
    """Record `ratio` × the predicted price of these models as contract from `since` on, of all token classes where none is named.

    Returns the number of price rows; 0 where the price book knows none of the models.
    """
    rows: int = cursor.execute(
        ACCEPT,
        {
            "provider": provider,
            "models": list(models),
            "token_classes": list(token_classes),
            "ratio": ratio,
            "since": since,
            "recorded_at": recorded_at,
            "source": f"accepted from the bill on {recorded_at:%Y-%m-%d}: {ratio.normalize():f} × the price before",
        },
    ).fetchall()[0][0]
    return rows


def reprice(cursor: duckdb.DuckDBPyConnection, provider: str, models: Sequence[str], since: datetime) -> list[tuple[datetime, str | None]]:
    """Price the calls of these models again; where they are, (hour, system), for the rollups."""
    cursor.execute(CALLED, {"provider": provider, "models": list(models), "since": since})
    cursor.execute(REPRICE)
    return cursor.execute("select distinct date_trunc('hour', c.started_at), c.system from called c").fetchall()
