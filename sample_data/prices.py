"""List prices as plain data, the one contract the ledger is told about, and what usage costs under them."""

import csv
import io
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

TOKEN_CLASSES = ("uncached_input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
MILLION = Decimal(1_000_000)

# Public list prices of summer 2026, standard tier, USD per million tokens, in the order of TOKEN_CLASSES.
_LIST = {
    ("openai", "gpt-4o"): ("2.5", "1.25", None, None, "10"),
    ("openai", "gpt-5-mini"): ("0.25", "0.025", None, None, "2"),
    ("openai", "gpt-4.1-mini"): ("0.4", "0.1", None, None, "1.6"),
    ("openai", "text-embedding-3-small"): ("0.02", None, None, None, None),
    ("anthropic", "claude-sonnet-4-5"): ("3", "0.3", "3.75", "6", "15"),
    ("anthropic", "claude-haiku-4-5"): ("1", "0.1", "1.25", "2", "5"),
    ("aws.bedrock", "claude-haiku-4-5"): ("1.1", "0.11", "1.375", "2.2", "5.5"),  # the regional `us.` profile
    ("aws.bedrock", "nova-lite"): ("0.06", "0.015", None, None, "0.24"),
}
LIST: dict[tuple[str, str], dict[str, Decimal]] = {
    key: {name: Decimal(text) for name, text in zip(TOKEN_CLASSES, texts, strict=True) if text is not None} for key, texts in _LIST.items()
}
WEB_SEARCH_USD = Decimal("0.01")

CONTRACT_MODEL = ("openai", "gpt-4o")
CONTRACT_FROM = date(2026, 8, 1)
CONTRACT_FACTOR = Decimal("0.9")

# What the provider grants but nobody wrote into the price book.
UNDISCLOSED_PROVIDER = "anthropic"
UNDISCLOSED_FROM = date(2026, 9, 1)
UNDISCLOSED_FACTOR = Decimal("0.92")


def list_rate(provider: str, model: str, token_class: str) -> Decimal:
    """USD per million tokens."""
    return LIST[provider, model][token_class]


def book_rate(provider: str, model: str, token_class: str, on: date) -> Decimal:
    """What a price book with list prices and prices.csv predicts for a day."""
    rate = list_rate(provider, model, token_class)
    return rate * CONTRACT_FACTOR if (provider, model) == CONTRACT_MODEL and on >= CONTRACT_FROM else rate


def billed_rate(provider: str, model: str, token_class: str, on: date) -> Decimal:
    """What the provider really charges: the book's rate and the discount the book does not know."""
    rate = book_rate(provider, model, token_class, on)
    return rate * UNDISCLOSED_FACTOR if provider == UNDISCLOSED_PROVIDER and on >= UNDISCLOSED_FROM else rate


def list_cost(provider: str, model: str, tokens: Mapping[str, int]) -> Decimal:
    return sum((n * list_rate(provider, model, name) for name, n in tokens.items() if n), Decimal(0)) / MILLION


def book_cost(provider: str, model: str, tokens: Mapping[str, int], on: date) -> Decimal:
    return sum((n * book_rate(provider, model, name, on) for name, n in tokens.items() if n), Decimal(0)) / MILLION


def billed_cost(provider: str, model: str, tokens: Mapping[str, int], on: date) -> Decimal:
    return sum((n * billed_rate(provider, model, name, on) for name, n in tokens.items() if n), Decimal(0)) / MILLION


def contract_csv() -> str:
    """The contract as a price file: rows of the price book."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "provider",
            "model",
            "region_scope",
            "service_tier",
            "min_context_tokens",
            "token_class",
            "usd_per_million",
            "kind",
            "valid_from",
            "valid_to",
            "recorded_at",
            "source",
        ]
    )
    provider, model = CONTRACT_MODEL
    for token_class in LIST[CONTRACT_MODEL]:
        writer.writerow(
            [
                provider,
                model,
                "any",
                "standard",
                0,
                token_class,
                book_rate(provider, model, token_class, CONTRACT_FROM).normalize(),
                "contract",
                CONTRACT_FROM.isoformat(),
                "",
                "2026-07-20T00:00:00Z",
                "Nordwind order form 2026-17 (synthetic)",
            ]
        )
    return text.getvalue()
