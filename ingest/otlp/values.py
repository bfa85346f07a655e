"""Attribute values as fields: one conversion per kind of the attribute table."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from ingest.otlp import providers

MAX_COUNT = 2**63
MONEY_STEP = Decimal("0.000000000001")
USD_PER_TICK = Decimal("0.0000000001")
TRUTH = {"true": True, "false": False, "1": True, "0": False}
STREAMING_METHODS = {
    "ConverseStream": True, "InvokeModelWithResponseStream": True, "Converse": False, "InvokeModel": False}


class Bad:
    """A count that is none: negative, fractional, a truth value, a text, or beyond 64 bits."""


BAD: Final = Bad()


def count(value: Any) -> int | Bad | None:
    """Whole numbers below 2^63, also as a decimal text or a whole float; anything else is rejected."""
    if type(value) is int:
        return value if 0 <= value < MAX_COUNT else BAD
    if isinstance(value, float):
        return int(value) if value.is_integer() and 0 <= value < MAX_COUNT else BAD
    if isinstance(value, str):
        if not value.strip():
            return None
        return count(int(value)) if value.strip().isascii() and value.strip().isdigit() else BAD
    return BAD


def text(value: Any) -> str | None:
    if isinstance(value, str):
        return value.strip('" \n\t') or None
    return str(value) if isinstance(value, (int, float)) else None


def number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, (int, float)) else None


def flag(value: Any) -> bool | None:
    return TRUTH.get(str(value).strip('"').lower())


def usd(value: Any) -> Decimal | None:
    """A cost; emitters write 0 for a model whose price they do not know."""
    amount = number(value)
    return Decimal(repr(amount)).quantize(MONEY_STEP) if amount is not None and 0 < amount < 1e9 else None


def usd_ticks(value: Any) -> Decimal | None:
    ticks = count(value)
    return (ticks * USD_PER_TICK).quantize(MONEY_STEP) if isinstance(ticks, int) and ticks else None


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
    try:
        return int(datetime.fromisoformat(iso).timestamp() * 1_000_000)
    except ValueError:
        return None


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "count": count, "usage": count, "raw_usage": count, "usage_in_body": count, "text": text, "user": text,
    "number": number, "flag": flag, "usd": usd, "usd_ticks": usd_ticks, "first": first, "provider": provider,
    "model_prefix": model_prefix, "host": host, "streaming_method": streaming_method, "list": strings}
