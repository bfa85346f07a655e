"""The state of a bucket: how far its traced and its billed tokens agree, and why they may not."""

from collections.abc import Callable
from decimal import Decimal

from metrics.bridge import ZERO, Bucket, Line

SCALES = (1_000, 1_000_000)
MATCHED, TOLERATED = 0.005, 0.02
MATCHED_TOKENS = 1_000
MATCHED_USD = Decimal("0.01")
CACHE_CLASSES = ("cache_read", "cache_write_5m", "cache_write_1h")


def state(bucket: Bucket) -> str | None:
    """The first of the eleven states that holds; None where nothing of the bucket is tokens, such as a day's tax."""
    if not any(line.kind in ("token", "consumption", "unmapped") for line in bucket.lines):
        return None
    return next(name for name, holds in STATES if holds(bucket))


def _is_unmapped(bucket: Bucket) -> bool:
    return any(line.kind == "unmapped" for line in bucket.lines)


def _is_scaled(bucket: Bucket) -> bool:
    """Tokens within 1 % of a thousand or a million times each other: a unit mistake, not leakage."""
    traced, billed = bucket.tokens("traced_tokens"), bucket.tokens("billed_tokens")
    if not traced or not billed:
        return False
    return any(abs(ratio / scale - 1) <= 0.01 for ratio in (billed / traced, traced / billed) for scale in SCALES)


def _is_untraced(bucket: Bucket) -> bool:
    return bucket.tokens("traced_tokens") == 0 and (bucket.tokens("billed_tokens") > 0 or bucket.billed_usd != 0)


def _is_unbilled(bucket: Bucket) -> bool:
    return bucket.tokens("traced_tokens") > 0 and bucket.tokens("billed_tokens") == 0 and bucket.billed_usd == 0


def _lacks_cache_split(bucket: Bucket) -> bool:
    cached = sum(line.billed_tokens or 0 for line in _tokens(bucket) if line.token_class in CACHE_CLASSES)
    return cached > 0 and bucket.tokens("cache_hidden_tokens") > 0


def _is_at_the_edge(bucket: Bucket) -> bool:
    """Calls near midnight that the provider booked on the other day explain every difference."""
    lines = _tokens(bucket)
    differences = [_difference(line) for line in lines]
    if None in differences or not any(differences):
        return False
    return all(
        -(line.first_tokens + line.last_tokens) <= (difference or 0) <= bucket.neighbours.get(line.token_class or "", 0)
        for line, difference in zip(lines, differences, strict=True)
    )


def _agrees(share: float) -> Callable[[Bucket], bool]:
    """Every class within a share of what was billed, or a thousand tokens; where tokens are unknown, the money of the bucket."""

    def holds(bucket: Bucket) -> bool:
        unknown = [line for line in _tokens(bucket) if line.billed_tokens is None]
        if unknown:
            predicted = sum((line.predicted_usd for line in unknown), ZERO)
            billed = sum((line.billed_usd for line in unknown), ZERO)
            return abs(billed - predicted) <= max(MATCHED_USD, abs(billed) * Decimal(str(share)))
        return all(abs(_difference(line) or 0) <= max(share * (line.billed_tokens or 0), MATCHED_TOKENS) for line in _tokens(bucket))

    return holds


def _tokens(bucket: Bucket) -> list[Line]:
    return [line for line in bucket.lines if line.kind == "token"]


def _difference(line: Line) -> int | None:
    return None if line.billed_tokens is None else line.billed_tokens - line.traced_tokens


STATES: tuple[tuple[str, Callable[[Bucket], bool]], ...] = (
    ("period_open", lambda bucket: bucket.is_open),
    ("export_silent", lambda bucket: not bucket.is_exported),
    ("mapping_missing", _is_unmapped),
    ("unit_scale_suspect", _is_scaled),
    ("billed_not_traced", _is_untraced),
    ("traced_not_billed", _is_unbilled),
    ("no_cache_split", _lacks_cache_split),
    ("log_edge", _is_at_the_edge),
    ("matched", _agrees(MATCHED)),
    ("within_tolerance", _agrees(TOLERATED)),
    ("mismatch", lambda bucket: True),
)
