"""Attribute values as fields: one conversion per kind of the attribute table."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from ingest.otlp import providers

# Beyond these a number is a mistake of the sender, and one such would swallow every total that it enters.
MAX_COUNT = 10**12
MAX_USD = 1_000_000
MAX_DIGITS = 30
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONEY_STEP = Decimal("0.000000000001")
USD_PER_TICK = Decimal("0.0000000001")
TRUTH = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}  # equal values mean the same
STREAMING_METHODS = {
    "ConverseStream": True, "InvokeModelWithResponseStream": True, "Converse": False, "InvokeModel": False}


class Bad:
    """A count that is none: negative, fractional, a truth value, a text, or absurdly large."""


BAD: Final = Bad()


def count(value: Any) -> int | Bad | None:
    """Whole numbers below 10^12, also as a decimal text or a whole float; anything else is rejected."""
    if type(value) is int:
        return value if 0 <= value < MAX_COUNT else BAD
    if isinstance(value, float):
        return int(value) if value.is_integer() and 0 <= value < MAX_COUNT else BAD
    if isinstance(value, str):
        digits = value.strip()
        if not digits:
            return None
        return count(int(digits)) if digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS else BAD
    return BAD


def text(value: Any) -> str | None:
    if isinstance(value, str):
        found = value.strip('" \n\t')
        return found if found and found != "N/A" else None
    return str(value) if isinstance(value, (int, float)) else None


def number(value: Any) -> float | None:
    """A finite number, also as a text."""
    try:
        found = float(value) if isinstance(value, (str, int, float)) else math.nan
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def flag(value: Any) -> bool | None:
    return TRUTH.get(str(value).strip('"').lower())


def usd(value: Any, unit: Decimal = Decimal(1)) -> Decimal | None:
    """A cost; emitters write 0 for a model whose price they do not know."""
    found = number(value)
    amount = Decimal(repr(found)) * unit if found is not None else Decimal(0)
    return amount.quantize(MONEY_STEP) if 0 < amount < MAX_USD else None


def usd_ticks(value: Any) -> Decimal | None:
    return usd(value, USD_PER_TICK)


def first(value: Any) -> str | None:
    """The first of several finish reasons; `FinishReason.STOP`, `["stop"]` and `"stop"` are `stop`."""
    if isinstance(value, (list, tuple)):
        return first(value[0]) if value else None
    return str(value).strip('[]"\' ').split('"', 1)[0].rsplit(".", 1)[-1].lower() or None


def provider(value: Any) -> str | None:
    return providers.provider(value) if isinstance(value, str) else None


def model_prefix(value: Any) -> str | None:
    return providers.provider_of_model(value) if isinstance(value, str) else None


def host(value: Any) -> str | None:
    return providers.provider_of_host(value) if isinstance(value, str) else None


def streaming_method(value: Any) -> bool | None:
    return STREAMING_METHODS.get(str(value))


def strings(value: Any) -> list[Any] | None:
    return list(value) if isinstance(value, (list, tuple)) else None


def epoch_us(iso: str) -> int | None:
    """A time of ISO 8601 in microseconds since 1970; without an offset it is UTC."""
    try:
        found = datetime.fromisoformat(iso)
        at = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        return (at - EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "count": count, "usage": count, "raw_usage": count, "usage_in_body": count, "text": text, "user": text, "error": text,
    "number": number, "flag": flag, "usd": usd, "usd_ticks": usd_ticks, "first": first, "provider": provider,
    "model_prefix": model_prefix, "host": host, "streaming_method": streaming_method, "list": strings}
