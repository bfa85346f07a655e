"""What the telemetry tells, per month, system and environment: requests, calls, tokens and their list cost."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sample_data.calls import Call, Request, day_of, month_of
from sample_data.prices import TOKEN_CLASSES, book_cost, list_cost

COUNTS = (
    "requests",
    "calls",
    "failed_calls",
    "unknown_tokens_calls",
    "partial_tokens_calls",
    "embedding_calls",
    "embedding_tokens",
    "reasoning_tokens",
    "chat_input_tokens",
    "chat_cache_read_tokens",
)
COSTS = ("list_cost_usd", "priced_traces_usd", "book_cost_usd")


@dataclass
class Tally:
    """Sums over calls."""

    counts: Counter[str] = field(default_factory=Counter)
    costs: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def add(self, other: "Tally") -> None:
        self.counts.update(other.counts)
        for name, amount in other.costs.items():
            self.costs[name] += amount

    def published(self) -> dict[str, Any]:
        return (
            {name: self.counts[name] for name in COUNTS}
            | {"tokens": {name: self.counts[name] for name in TOKEN_CLASSES}}
            | {name: plain(self.costs[name]) for name in COSTS}
        )


Cells = Mapping[tuple[str, str, str], Tally]


def tallies(requests: Iterable[Request]) -> Cells:
    """One tally per month, system and environment; a call belongs to the month in which it started."""
    cells: defaultdict[tuple[str, str, str], Tally] = defaultdict(Tally)
    for request in requests:
        if request.traced:
            for position, call in enumerate(request.calls):
                cell = cells[month_of(call.started_us), request.system_id, request.environment]
                cell.counts["requests"] += position == 0
                _count(cell, call)
    return cells


def total(cells: Cells, months: Collection[str], system: str | None = None, environment: str | None = None) -> Tally:
    found = Tally()
    for (month, of_system, of_environment), tally in cells.items():
        if month in months and system in (None, of_system) and environment in (None, of_environment):
            found.add(tally)
    return found


def cache_hit_rate(tally: Tally) -> dict[str, Any]:
    """Cache reads among all input tokens of chat calls whose input is known."""
    read, every = tally.counts["chat_cache_read_tokens"], tally.counts["chat_input_tokens"]
    return {"value": read / every, "numerator": read, "denominator": every}


def plain(amount: Decimal) -> str:
    """An exact decimal without an exponent."""
    return f"{amount.normalize() + 0:f}"


def as_5m(tokens: Mapping[str, int]) -> dict[str, int]:
    """The same tokens with every cache write as one of five minutes."""
    written = tokens.get("cache_write_5m", 0) + tokens.get("cache_write_1h", 0)
    return {**tokens, "cache_write_5m": written, "cache_write_1h": 0}


def _count(cell: Tally, call: Call) -> None:
    visible = call.visible_tokens()
    cell.counts.update(visible)
    cell.counts["calls"] += 1
    cell.counts["failed_calls"] += call.failure is not None
    cell.counts["unknown_tokens_calls"] += call.failure is None and not visible
    cell.counts["partial_tokens_calls"] += call.usage_sent == "input"
    if call.is_embedding:
        cell.counts["embedding_calls"] += 1
        cell.counts["embedding_tokens"] += visible.get("uncached_input", 0)
    elif visible:
        cell.counts["chat_input_tokens"] += call.usage.input
        cell.counts["chat_cache_read_tokens"] += call.usage.cache_read
        cell.counts["reasoning_tokens"] += call.usage.reasoning if "output" in visible else 0
    provider, model = call.provider, call.model.model
    cell.costs["list_cost_usd"] += list_cost(provider, model, visible)
    cell.costs["priced_traces_usd"] += list_cost(provider, model, as_5m(visible))
    cell.costs["book_cost_usd"] += book_cost(provider, model, visible, day_of(call.started_us))
