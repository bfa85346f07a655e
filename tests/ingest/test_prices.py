"""What a call cost on its day: contract before list, the call's own tier and context, and never a guess."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from genai_prices import Usage, calc_price
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import PriceError
from ingest.prices.book import ensure_book, name_models
from ingest.prices.models import canonical_model
from ingest.prices.packaged import packaged_prices
from ingest.prices.user_file import user_prices
from ingest.store import Store

HEADER = "provider,model,region_scope,service_tier,min_context_tokens,token_class,usd_per_million,kind,valid_from,valid_to"
CALL: dict[str, Any] = {
    "started_at": datetime(2026, 9, 15),
    "provider": "acme",
    "model": "m-1",
    "region_scope": "any",
    "service_tier": None,
    "input_tokens": 10_000,
    "cache_read_tokens": 6_000,
    "cache_write_tokens": 1_000,
    "cache_write_1h_tokens": None,
    "output_tokens": 500,
    "tokens_estimated": False,
    "token_convention": "inclusive",
    "reported_cost_usd": None,
    "error_type": None,
    "response_cached": None,
    "scope_name": "s",
}
TYPES = {
    "started_at": pl.Datetime("us"),
    "provider": pl.String,
    "model": pl.String,
    "region_scope": pl.String,
    "service_tier": pl.String,
    **dict.fromkeys(("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens"), pl.Int64),
    "tokens_estimated": pl.Boolean,
    "token_convention": pl.String,
    "reported_cost_usd": pl.Decimal(24, 12),
    "error_type": pl.String,
    "response_cached": pl.Boolean,
    "scope_name": pl.String,
}
LIST = {"uncached_input": "3", "cache_read": "0.30", "cache_write_5m": "3.75", "cache_write_1h": "6", "output": "15"}


def lines(
    prices: Mapping[str, str] = LIST,
    model: str = "m-1",
    region: str = "any",
    tier: str = "standard",
    context: int = 0,
    kind: str = "list",
    start: str = "",
    end: str = "",
) -> list[str]:
    return [f"acme,{model},{region},{tier},{context},{name},{usd},{kind},{start},{end}" for name, usd in prices.items()]


@pytest.fixture
def book(store: Store, tmp_path: Path) -> "Book":
    return Book(store, tmp_path / "prices.csv")


class Book:
    """A ledger's price book whose user file tests write anew."""

    def __init__(self, store: Store, path: Path) -> None:
        self.store, self.path = store, path

    def write(self, *rows: Sequence[str]) -> int:
        self.path.write_text("\n".join([HEADER, *(line for group in rows for line in group)]))
        with self.store.transaction() as cursor:
            return ensure_book(cursor, self.path)

    def price(self, **call: Any) -> dict[str, Any]:
        frame = pl.DataFrame([{"id": 1, **CALL, **call}], schema={"id": pl.Int64, **TYPES})
        with self.store.transaction() as cursor:
            cursor.register("incoming", frame)
            cursor.execute("create or replace temp table asked as select * from incoming")
            name_models(cursor, "asked")
            return cursor.sql("select * from price_calls('asked')").pl().row(0, named=True)

    def cost(self, **call: Any) -> Decimal | None:
        found: Decimal | None = self.price(**call)["cost_usd"]
        return found


def test_the_worked_example_of_five_token_classes(book: Book) -> None:
    book.write(lines())
    assert book.cost() == Decimal("0.02205")
    assert book.cost(cache_write_1h_tokens=400) == Decimal("0.02205") + 400 * Decimal("2.25") / 1_000_000


def test_a_contract_comes_before_a_list_price_from_its_first_day_on(book: Book) -> None:
    book.write(lines(), lines({"output": "10"}, kind="contract", start="2026-09-01"))
    assert book.cost(started_at=datetime(2026, 8, 31, 23, 59)) == Decimal("0.02205")
    assert book.cost(started_at=datetime(2026, 9, 1)) == Decimal("0.02205") - Decimal("0.0025")
    assert book.price()["price_source"].startswith("list: file")


def test_a_price_change_holds_from_its_day_and_the_end_is_exclusive(book: Book) -> None:
    book.write(lines(end="2026-09-10"), lines({"uncached_input": "6", "output": "30"}, start="2026-09-10"))
    plain = {"cache_read_tokens": None, "cache_write_tokens": None}
    assert book.cost(**plain, started_at=datetime(2026, 9, 9, 23)) == Decimal("0.0375")
    assert book.cost(**plain, started_at=datetime(2026, 9, 10)) == Decimal("0.075")


def test_a_long_context_reprices_the_whole_request_and_only_beyond_its_threshold(book: Book) -> None:
    book.write(lines({"uncached_input": "3", "output": "15"}), lines({"uncached_input": "6", "output": "22.5"}, context=200_000))
    plain = {"cache_read_tokens": None, "cache_write_tokens": None, "output_tokens": 1000}
    assert book.cost(**plain, input_tokens=200_000) == Decimal("0.615")
    assert book.cost(**plain, input_tokens=200_001) == Decimal("1.222506")


def test_the_calls_own_region_and_tier_come_first_and_a_fallback_says_so(book: Book) -> None:
    book.write(
        lines({"uncached_input": "1", "output": "1"}),
        lines({"uncached_input": "2", "output": "2"}, region="geo"),
        lines({"uncached_input": "0.5", "output": "0.5"}, tier="batch"),
    )
    plain = {"cache_read_tokens": None, "cache_write_tokens": None, "input_tokens": 1_000_000, "output_tokens": 0}
    assert book.cost(**plain) == 1
    assert book.cost(**plain, region_scope="geo") == 2
    assert book.cost(**plain, region_scope="global") == 1
    assert book.cost(**plain, service_tier="batch") == Decimal("0.5")
    assert book.price(**plain, service_tier="batch")["price_flags"] == []
    assert book.cost(**plain, service_tier="priority") == 1
    assert book.price(**plain, service_tier="priority")["price_flags"] == ["tier_fallback"]
    assert book.cost(**plain, service_tier="default") == 1
    assert book.price(**plain, service_tier="default")["price_flags"] == []


def test_what_has_no_price_or_no_usage_has_no_cost(book: Book) -> None:
    book.write(lines({"uncached_input": "1"}))
    unknown = {"cache_read_tokens": None, "cache_write_tokens": None}
    assert book.price(model="nobody-knows")["cost_status"] == "unpriced_model"
    assert book.price(model=None)["cost_status"] == "unpriced_model"
    assert book.price(**unknown)["cost_status"] == "unpriced_model", "output without an output price"
    assert book.price(**unknown, output_tokens=None)["cost_usd"] == Decimal("0.01"), "an embedding has no output"
    assert book.price(**unknown, input_tokens=None, output_tokens=None) | {"id": 1} == {
        "id": 1,
        "cost_status": "no_usage",
        "cost_usd": None,
        "cost_low_usd": None,
        "cost_high_usd": None,
        "price_source": None,
        "price_flags": [],
    }
    assert book.price(model="nobody-knows", reported_cost_usd=Decimal("0.5"))["cost_status"] == "reported_only"


def test_a_failed_call_without_tokens_is_free_but_an_aborted_stream_is_unknown(book: Book) -> None:
    book.write(lines())
    nothing = {"input_tokens": None, "output_tokens": None, "cache_read_tokens": None, "cache_write_tokens": None}
    refused = book.price(**nothing, error_type="rate_limit")
    assert (refused["cost_status"], refused["cost_usd"]) == ("non_billable", 0)
    aborted = book.price(**nothing, error_type="cancelled")
    assert (aborted["cost_status"], aborted["cost_usd"]) == ("no_usage", None)
    assert book.price(response_cached=True)["cost_usd"] == 0


def test_where_nobody_knows_whether_input_holds_the_cache_the_cost_is_a_range(book: Book) -> None:
    book.write(lines())
    found = book.price(token_convention="unknown")
    assert (found["cost_status"], found["cost_usd"]) == ("convention_unknown", None)
    assert found["cost_low_usd"] == Decimal("0.02205")
    assert found["cost_high_usd"] == Decimal("0.02205") + 7000 * Decimal(3) / 1_000_000


def test_a_price_that_the_file_no_longer_names_is_withdrawn_and_one_that_comes_back_holds_again(book: Book) -> None:
    book.write(lines())
    assert book.write(lines()) == 0
    assert book.write(lines(model="other")) == 10
    assert book.cost() is None
    book.write(lines())
    assert book.cost() == Decimal("0.02205")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("acme,m,any,standard,0,output,-1,list,,", "between 0 and 100,000"),
        ("acme,m,any,gold,0,output,1,list,,", "service_tier is gold"),
        ("acme,m,any,standard,0,output,1e9,list,,", "between 0"),
        ("acme,m,any,standard,0,output,x,list,,", "plain number"),
        ("acme,m,any,standard,0,output,1,observed,,", "kind is observed"),
        ("acme,m,any,standard,0,output,1,list,2026-09-02,2026-09-01", "not after"),
    ],
)
def test_a_wrong_row_of_the_price_file_is_named_with_its_number_and_what_it_should_be(tmp_path: Path, row: str, words: str) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(f"{HEADER}\n{row}\n")
    with pytest.raises(PriceError, match="row 2") as error:
        user_prices(path)
    assert words in str(error.value)


def test_a_wrong_price_file_leaves_the_book_as_it_was(book: Book) -> None:
    book.write(lines())
    with pytest.raises(PriceError):
        book.write(["acme,m-1,any,standard,0,output,broken,list,,"])
    assert book.cost() == Decimal("0.02205")


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Book:
    store = Store(tmp_path_factory.mktemp("packaged") / "ledger.duckdb")
    with store.transaction() as cursor:
        ensure_book(cursor, None)
    return Book(store, Path())


@pytest.mark.parametrize(
    ("provider", "seller", "model"),
    [
        ("openai", "openai", "gpt-4o"),
        ("openai", "openai", "gpt-5-mini"),
        ("anthropic", "anthropic", "claude-sonnet-4-5"),
        ("anthropic", "anthropic", "claude-haiku-4-5"),
        ("gcp.gemini", "google", "gemini-2.5-pro"),
        ("mistral_ai", "mistral", "mistral-large"),
    ],
)
def test_the_book_prices_as_the_package_does(packaged: Book, provider: str, seller: str, model: str) -> None:
    @settings(max_examples=15, deadline=None)
    @given(st.integers(0, 400_000), st.integers(0, 100_000), st.integers(0, 20_000))
    def check(uncached: int, read: int, output: int) -> None:
        expected = calc_price(
            Usage(input_tokens=uncached + read, cache_read_tokens=read, output_tokens=output),
            model,
            provider_id=seller,
            genai_request_timestamp=datetime(2026, 9, 15),
        ).total_price
        got = packaged.cost(
            provider=provider,
            model=model,
            input_tokens=uncached + read,
            cache_read_tokens=read,
            cache_write_tokens=None,
            output_tokens=output,
        )
        assert got is not None
        assert abs(got - expected) <= Decimal("1e-11")

    check()


def test_every_packaged_price_is_positive_in_order_and_without_overlap() -> None:
    book = packaged_prices()
    assert book.filter(pl.col("usd_per_million") < 0).is_empty()
    assert book.filter(pl.col("valid_to") <= pl.col("valid_from")).is_empty()
    key = ["provider", "model", "region_scope", "service_tier", "min_context_tokens", "token_class"]
    ordered = book.sort(*key, "valid_from").with_columns(next_from=pl.col("valid_from").shift(-1).over(key))
    assert ordered.filter(pl.col("next_from") < pl.col("valid_to")).is_empty()


@pytest.mark.parametrize(
    ("text", "provider", "expected"),
    [
        ("gpt-4o-2024-08-06", "openai", "gpt-4o"),
        ("claude-sonnet-4-5-20250929", "anthropic", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws.bedrock", "claude-sonnet-4-5"),
        ("gpt-3.5-turbo-0125", "openai", "gpt-3.5-turbo"),
        ("openai/gpt-4o-mini", "openrouter", "gpt-4o-mini"),
        ("models/gemini-2.5-pro", "gcp.gemini", "gemini-2.5-pro"),
        ("gpt-35-turbo", "azure.ai.openai", "gpt-3.5-turbo"),
        ("gpt-5-mini", "openai", "gpt-5-mini"),
        ("o3", "openai", "o3"),
    ],
)
def test_a_models_canonical_name_has_no_region_vendor_date_or_version(text: str, provider: str, expected: str) -> None:
    assert canonical_model(text, provider) == expected
    assert canonical_model(expected, provider) == expected
