"""What a reconciliation is made of: lines of token classes in buckets, whose terms add up to what was billed.

Every named term is predicted from something known independently of the bill's own rate, so a wrong bill cannot explain
itself: what no term predicts is `unexplained`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

TERMS = ("priced_traces", "price_effects", "untraced_usage", "non_token", "tax_credit", "rounding", "unexplained")
EFFECTS = ("contract", "service_tier", "context_tier", "cache_write_1h")
ZERO = Decimal(0)
STEP = Decimal("0.000000000001")  # the ledger keeps money to 12 decimals
# How the bill tells the tokens of a bucket: by themselves, as units without a model that are split by the list price of the
# traced ones, or not at all, because they ran on provisioned hours.
Basis = Literal["tokens", "list_price", "provisioned"]
DUST_USD = Decimal("0.000005")  # of a line: what rounding to 12 decimals and a bill's own decimals leave over


@dataclass(frozen=True, order=True)
class Key:
    """What names a bucket; None where the provider does not tell it."""

    provider: str
    day: date
    project: str
    model: str
    service_tier: str


@dataclass
class Line:
    """One token class of a bucket, or what is billed there that is no tokens (`kind`)."""

    kind: str
    token_class: str | None
    unit_class: str | None = None
    traced_tokens: int = 0
    first_tokens: int = 0  # of these within ten minutes after and before midnight
    last_tokens: int = 0
    cache_hidden_tokens: int = 0
    priced_usd: Decimal = ZERO
    effects: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(EFFECTS, ZERO))
    predicted_usd: Decimal = ZERO
    has_unpriced: bool = False
    charged_tokens: int | None = None
    reported_tokens: int | None = None
    is_charged: bool = False
    is_split: bool = False  # its cost is a share of units without a model
    billed_usd: Decimal = ZERO
    book_usd_per_million: Decimal | None = None
    uplift: Decimal = Decimal(1)  # what this model's traced calls cost over the book price of any region

    @property
    def billed_tokens(self) -> int | None:
        """What the provider counted: its usage report before the quantities of its bill; None where neither tells."""
        return self.reported_tokens if self.reported_tokens is not None else self.charged_tokens

    def untraced_usd(self) -> Decimal:
        """(billed − traced tokens) × predicted price: that of the traced ones, else the price book's where they run."""
        if self.billed_tokens is None:
            return ZERO
        difference = self.billed_tokens - self.traced_tokens
        if self.traced_tokens and not self.has_unpriced:
            return (self.predicted_usd * difference / self.traced_tokens).quantize(STEP)
        return (difference * (self.book_usd_per_million or ZERO) * self.uplift / 1_000_000).quantize(STEP)

    def terms(self) -> dict[str, Decimal]:
        """What the billed amount of this line consists of; the terms add up to it exactly."""
        found = dict.fromkeys(TERMS, ZERO)
        if self.kind in ("non_token", "tax_credit", "rounding"):
            found[self.kind] = self.billed_usd
            return found
        if self.kind == "token":
            found |= {
                "priced_traces": self.priced_usd,
                "price_effects": sum(self.effects.values(), ZERO),
                "untraced_usage": self.untraced_usd(),
            }
        rest = self.billed_usd - sum(found.values(), ZERO)
        found["rounding" if abs(rest) < DUST_USD else "unexplained"] = rest
        return found


@dataclass
class Bucket:
    """A bucket with its lines, and whether a bill can be expected for its day."""

    key: Key
    lines: list[Line]
    is_open: bool = False
    is_exported: bool = True
    neighbours: dict[str, int] = field(default_factory=dict)  # tokens of the days before and after, near this day's midnights
    is_month: bool = False  # billed for a month in one line: the day is its first
    basis: Basis = "tokens"

    @property
    def end(self) -> date:
        """The day after the last."""
        day = self.key.day
        return date(day.year + day.month // 12, day.month % 12 + 1, 1) if self.is_month else day + timedelta(days=1)

    def terms(self) -> dict[str, Decimal]:
        return _sum(line.terms() for line in self.lines)

    def tokens(self, name: str) -> int:
        """The traced or billed tokens of all classes; unknown ones count nothing."""
        return sum(getattr(line, name) or 0 for line in self.lines if line.kind == "token")

    @property
    def billed_usd(self) -> Decimal:
        return sum((line.billed_usd for line in self.lines), ZERO)


@dataclass(frozen=True)
class Reconciliation:
    """All buckets of a scope; every total is a sum over them."""

    buckets: Sequence[Bucket]

    def bridge(self, provider: str | None = None) -> dict[str, Decimal]:
        """Every term in USD, of one provider or of all; together they are what was billed."""
        return _sum(bucket.terms() for bucket in self.buckets if provider in (None, bucket.key.provider))

    def effects(self, provider: str | None = None) -> dict[str, Decimal]:
        """The price effects by their cause in USD."""
        chosen = [line.effects for bucket in self.buckets if provider in (None, bucket.key.provider) for line in bucket.lines]
        return {name: sum((effects[name] for effects in chosen), ZERO) for name in EFFECTS}

    @property
    def providers(self) -> list[str]:
        return sorted({bucket.key.provider for bucket in self.buckets})

    @property
    def billed_usd(self) -> Decimal:
        return sum((bucket.billed_usd for bucket in self.buckets), ZERO)

    @property
    def split_usd(self) -> Decimal:
        """What was billed in units without a model, and is in its buckets by the list price of the traced tokens."""
        lines = (line for bucket in self.buckets for line in bucket.lines if line.is_split)
        return sum((line.billed_usd for line in lines), ZERO)

    @property
    def explained_share(self) -> Decimal | None:
        """1 − |unexplained| ÷ billed, over closed days."""
        closed = [bucket for bucket in self.buckets if not bucket.is_open]
        billed = sum((bucket.billed_usd for bucket in closed), ZERO)
        unexplained = sum((bucket.terms()["unexplained"] for bucket in closed), ZERO)
        return 1 - abs(unexplained) / billed if billed else None

    @property
    def traced_share(self) -> float | None:
        """Traced ÷ billed tokens, over closed days and the classes whose billed tokens are known."""
        known = [line for bucket in self.buckets if not bucket.is_open for line in bucket.lines if line.billed_tokens is not None]
        billed = sum(line.billed_tokens or 0 for line in known)
        return sum(line.traced_tokens for line in known) / billed if billed else None


def _sum(terms: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    total = dict.fromkeys(TERMS, ZERO)
    for found in terms:
        for name, amount in found.items():
            total[name] += amount
    return total
