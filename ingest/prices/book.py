"""Filling table `prices`: packaged lists and the user's file, appended where they say something new, never changed."""

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import duckdb
import polars as pl

from ingest.prices.rows import PRICE_KEY, PRICE_SCHEMA
from ingest.prices.user_file import read_price_file
from ingest.prices.user_file import user_prices as read_user_prices

# What turns packaged data into rows: with these the same package version gives the same rows.
CONVERSION = ("models.py", "listings.py", "periods.py", "packaged.py")

# How the rows of either begin their source; rows of other sources, such as accepted rates, are nobody's to withdraw.
SOURCES = {"packaged_prices": "genai-prices ", "user_prices": "file "}

SAME_KEY = " and ".join(f"n.{name} = o.{name}" for name in PRICE_KEY)

# What a source says now is compared with the newest row of each of its keys: new and changed prices are appended, and a
# key that it no longer names is withdrawn. A row is newer than what it replaces, whatever the clock or its file says.
EXTEND = f"""
insert into prices by name
with known as materialized (
    select p.* from prices p where starts_with(p.source, $source)
    qualify row_number() over (partition by {", ".join(f"p.{name}" for name in PRICE_KEY)} order by p.recorded_at desc) = 1
), news as (
    select n.* replace (greatest(coalesce(n.recorded_at, make_timestamp(epoch_us(now()))),
                                 o.recorded_at + interval 1 microsecond) as recorded_at)
    from incoming_prices n left join known o on {SAME_KEY}
    where o.provider is null or n.usd_per_million is distinct from o.usd_per_million or n.valid_to is distinct from o.valid_to
), withdrawn as (
    select o.* replace (cast(null as decimal(24,12)) as usd_per_million,
                        greatest(make_timestamp(epoch_us(now())), o.recorded_at + interval 1 microsecond) as recorded_at)
    from known o left join incoming_prices n on {SAME_KEY}
    where n.provider is null and o.usd_per_million is not null
)
select * from news union all by name select * from withdrawn
"""


def ensure_book(cursor: duckdb.DuckDBPyConnection, user_prices: pl.DataFrame | Path | None) -> int:
    """Bring the price book up to date inside the caller's transaction; the number of rows appended.

    `user_prices` is all that the user's own file says, read or as a path; None means that there is no such file (any
    more). Raises PriceError for a file that cannot be used; the book then stays as it was.
    """
    known = dict(cursor.execute("select key, value from ledger_meta where key in ('packaged_prices', 'user_prices')").fetchall())
    appended = 0
    if known.get("packaged_prices") != _packaged_hash():
        from ingest.prices.packaged import packaged_prices  # a second of import and work, once per version

        appended += _extend(cursor, packaged_prices(), "packaged_prices", _packaged_hash())
    content_hash = _user_hash(user_prices)
    if known.get("user_prices", "") != content_hash:
        appended += _extend(cursor, _user_frame(user_prices), "user_prices", content_hash)
    if appended:
        cursor.execute("delete from price_names")
    return appended


def name_models(cursor: duckdb.DuckDBPyConnection, batch: str) -> None:
    """Note in `price_names` how the book calls the models of table `batch` that it has not seen before."""
    pairs = cursor.execute(f"""
        select distinct b.provider, b.model from {batch} b anti join price_names n on n.provider = b.provider and n.model = b.model
        where b.provider is not null and b.model is not null""").fetchall()
    if pairs:
        from ingest.prices.match import match_models  # brings all packaged prices with it

        known = cursor.execute("select distinct b.provider, b.model from price_book b where not b.packaged").fetchall()
        names = match_models(pairs, known=frozenset(known))
        cursor.executemany("insert into price_names values (?, ?, ?)", [(*pair, names.get(pair)) for pair in pairs])


def _extend(cursor: duckdb.DuckDBPyConnection, frame: pl.DataFrame, key: str, content_hash: str) -> int:
    cursor.register("incoming_prices", frame)
    appended: int = cursor.execute(EXTEND, {"source": SOURCES[key]}).fetchall()[0][0]
    cursor.unregister("incoming_prices")
    cursor.execute("insert or replace into ledger_meta values (?, ?)", [key, content_hash])
    return appended


@cache
def _packaged_hash() -> str:
    rules = b"".join((files("ingest.prices") / name).read_bytes() for name in CONVERSION)
    return f"{version('genai-prices')} {hashlib.sha256(rules).hexdigest()}"


def _user_hash(user_prices: pl.DataFrame | Path | None) -> str:
    if user_prices is None:
        return ""
    content = read_price_file(user_prices) if isinstance(user_prices, Path) else user_prices.write_csv().encode()
    return hashlib.sha256(content).hexdigest()


def _user_frame(user_prices: pl.DataFrame | Path | None) -> pl.DataFrame:
    if user_prices is None:
        return pl.DataFrame(schema=PRICE_SCHEMA)
    return read_user_prices(user_prices) if isinstance(user_prices, Path) else user_prices
