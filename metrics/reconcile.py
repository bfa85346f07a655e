"""Traces against bills: the bridge from what traces explain at list price to what was billed, bucket by bucket.

A bucket is a provider's day, project, model and service tier; its lines are token classes. Every named term is predicted
from something known independently of the bill's own rate, so a wrong bill cannot explain itself: what no term predicts is
`unexplained`. Tokens are compared first (the state of a bucket), money second (its terms).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from metrics.engines import Engine
from metrics.exports import Exports, exports
from metrics.filters import Scope

TERMS = ("priced_traces", "price_effects", "untraced_usage", "non_token", "tax_credit", "rounding", "unexplained")
EFFECTS = ("contract", "service_tier", "context_tier", "cache_write_1h")
DIMENSIONS = ("provider", "model")  # what a bill and the traces can both be filtered by
ZERO = Decimal(0)
STEP = Decimal("0.000000000001")  # the ledger keeps money to 12 decimals
DUST_USD = Decimal("0.000005")  # of a line: what rounding to 12 decimals and a bill's own decimals leave over

TRACED = """
select t.day as day, t.provider as provider, t.project as project, t.model as model, t.service_tier as service_tier,
       t.token_class as token_class, cast(sum(t.tokens) as bigint) as tokens, cast(sum(t.first_tokens) as bigint) as first_tokens,
       cast(sum(t.last_tokens) as bigint) as last_tokens, cast(sum(t.cache_hidden_tokens) as bigint) as cache_hidden_tokens,
       sum(t.list_usd) as list_usd, sum(t.contract_usd) as contract_usd, sum(t.service_tier_usd) as service_tier_usd,
       sum(t.context_tier_usd) as context_tier_usd, sum(t.cache_write_1h_usd) as cache_write_1h_usd, sum(t.predicted_usd) as predicted_usd
from traced_lines($start, $end) t group by 1, 2, 3, 4, 5, 6
"""
BILLED = """
select b.day as day, b.provider as provider, b.project as project, b.model as model, b.service_tier as service_tier,
       b.token_class as token_class, b.kind as kind, b.unit_class as unit_class, sum(b.usd_cost) as usd_cost,
       cast(sum(b.charged_tokens) as bigint) as charged_tokens, cast(sum(b.reported_tokens) as bigint) as reported_tokens,
       max(b.book_usd_per_million) as book_usd_per_million,
       max(case when b.is_longer_than_a_day then 1 else 0 end) as is_long,
       max(case when b.is_provisional then 1 else 0 end) as is_provisional
from billed_lines($start, $end) b group by 1, 2, 3, 4, 5, 6, 7, 8
"""


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


def reconcile(engine: Engine, scope: Scope) -> Reconciliation:
    """Every bucket of the period, filtered by provider and model only: bills know no other dimension of calls."""
    start, end = scope.period.start, scope.period.end
    margin = timedelta(days=1)
    traced = engine.query(TRACED, {"start": start - margin, "end": end + margin}).to_dicts()
    billed = engine.query(BILLED, {"start": start, "end": end}).to_dicts()
    by_project = _with_projects(traced) & _with_projects(billed)
    by_month = {row["provider"] for row in billed if row["is_long"]}

    def key(row: Mapping[str, Any]) -> Key:
        day = row["day"].replace(day=1) if row["provider"] in by_month else row["day"]
        project = row["project"] if row["provider"] in by_project else None
        return Key(row["provider"] or "", day, project or "", row["model"] or "", row["service_tier"])

    lines: dict[Key, dict[tuple[str, str | None, str | None], Line]] = defaultdict(dict)
    around: dict[Key, dict[str, tuple[int, int]]] = defaultdict(dict)
    for row in traced:
        first, last = (row[name] or 0 for name in ("first_tokens", "last_tokens"))
        before = around[key(row)].get(row["token_class"], (0, 0))
        around[key(row)][row["token_class"]] = (before[0] + first, before[1] + last)
        if start.date() <= row["day"] < end.date():
            _add_traced(_line(lines[key(row)], "token", row["token_class"], None), row)
    for row in billed:
        unit = None if row["kind"] == "token" else row["unit_class"]
        _add_billed(_line(lines[key(row)], row["kind"], row["token_class"], unit), row)
    _set_uplift(lines)
    provisional = {key(row) for row in billed if row["is_provisional"]}
    sent = exports(engine)
    chosen = scope.dimensions
    return Reconciliation(
        [
            _bucket(found, list(lines[found].values()), around, sent, found in provisional)
            for found in sorted(lines)
            if chosen.get("provider", found.provider) == found.provider and chosen.get("model", found.model) == found.model
        ]
    )


def _with_projects(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    return {row["provider"] for row in rows if row["project"] is not None}


def _line(lines: dict[tuple[str, str | None, str | None], Line], kind: str, token_class: str | None, unit_class: str | None) -> Line:
    return lines.setdefault((kind, token_class, unit_class), Line(kind, token_class, unit_class))


def _add_traced(line: Line, row: Mapping[str, Any]) -> None:
    line.traced_tokens += row["tokens"]
    line.first_tokens += row["first_tokens"] or 0
    line.last_tokens += row["last_tokens"] or 0
    line.cache_hidden_tokens += row["cache_hidden_tokens"] or 0
    if row["predicted_usd"] is None:  # no price: nothing of it can be predicted
        line.has_unpriced = True
        return
    line.priced_usd += row["list_usd"]
    line.predicted_usd += row["predicted_usd"]
    for name in EFFECTS:
        line.effects[name] += row[f"{name}_usd"]


def _add_billed(line: Line, row: Mapping[str, Any]) -> None:
    for name in ("charged_tokens", "reported_tokens"):
        if row[name] is not None:
            setattr(line, name, (getattr(line, name) or 0) + row[name])
    if row["usd_cost"] is not None:
        line.is_charged = True
        line.billed_usd += row["usd_cost"]
    line.book_usd_per_million = row["book_usd_per_million"] or line.book_usd_per_million


def _set_uplift(lines: Mapping[Key, Mapping[Any, Line]]) -> None:
    """Bills do not tell the region that a price depends on; the traced calls of the same model and class do."""
    predicted: dict[tuple[str, str, str, str | None], list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
    named = [
        ((key.provider, key.model, key.service_tier, line.token_class), line) for key, found in lines.items() for line in found.values()
    ]
    for name, line in named:
        if line.traced_tokens and line.book_usd_per_million and not line.has_unpriced:
            predicted[name][0] += line.predicted_usd
            predicted[name][1] += line.traced_tokens * line.book_usd_per_million / 1_000_000
    for name, line in named:
        if name in predicted:
            line.uplift = predicted[name][0] / predicted[name][1]


def _bucket(
    key: Key, lines: list[Line], around: Mapping[Key, Mapping[str, tuple[int, int]]], sent: Exports, is_provisional: bool
) -> Bucket:
    is_exported = sent.covers(key.provider, key.day)
    if is_exported and not any(line.is_charged and line.billed_tokens is None for line in lines):
        for line in lines:  # the day was exported, so what it does not name was not billed
            if line.kind == "token" and line.billed_tokens is None:
                line.charged_tokens = 0
    neighbours: dict[str, int] = defaultdict(int)
    for days, edge in ((-1, 1), (1, 0)):
        beside = Key(key.provider, key.day + timedelta(days=days), key.project, key.model, key.service_tier)
        for token_class, edges in around.get(beside, {}).items():
            neighbours[token_class] += edges[edge]
    return Bucket(key, lines, is_provisional or sent.is_open(key.provider, key.day), is_exported, dict(neighbours))


def _sum(terms: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    total = dict.fromkeys(TERMS, ZERO)
    for found in terms:
        for name, amount in found.items():
            total[name] += amount
    return total
