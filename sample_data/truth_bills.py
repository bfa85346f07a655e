"""What the bills say per month and provider, the bridge from the traces to them, and every planted difference with its amount."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sample_data.billing import Item, Line
from sample_data.prices import MILLION, TOKEN_CLASSES, book_cost, list_cost, list_rate
from sample_data.truth_usage import as_5m, plain

# Cause of what no trace shows -> name of the planted difference and what it is.
UNTRACED = {
    "unregistered_project": ("unregistered_project", "A project without traces that nobody registered"),
    "missing_traces": ("missing_traces", "A day of Claims Copilot whose traces were lost"),
    "stream_without_usage": ("streams_without_usage", "Streams that were asked without include_usage: tokens unknown, billed all the same"),
    "aborted_stream": ("aborted_streams", "Streams that broke: what came before the break is billed, the telemetry does not tell it"),
}


def provider_month(provider: str, month: str, items: Sequence[Item], lines: Sequence[Line]) -> dict[str, Any]:
    """Billed cost and tokens, by project and by model, and the bridge."""
    booked = [item for item in items if item.provider == provider and f"{item.booked_on:%Y-%m}" == month]
    charged = [line for line in lines if line.provider == provider and f"{line.booked_on:%Y-%m}" == month]
    projects: defaultdict[str, Decimal] = defaultdict(Decimal)
    models: defaultdict[str, Decimal] = defaultdict(Decimal)
    for item in booked:
        projects[item.project] += item.billed_usd
        models[item.model] += item.billed_usd
    for line in charged:
        projects[line.project] += line.amount_usd
    billed = plain(sum(projects.values(), Decimal(0)))
    return {
        "billed_usd": billed,
        "effective_usd": billed,
        "tokens": _tokens(booked),
        "usage_report_tokens": _tokens(item for item in booked if not item.is_embedding),
        "by_project_usd": {name: plain(amount) for name, amount in sorted(projects.items())},
        "by_model": {
            model: {"billed_usd": plain(models[model]), "tokens": _tokens(item for item in booked if item.model == model)}
            for model in sorted(models)
        },
        "bridge": {name: plain(amount) for name, amount in _bridge(provider, month, items, lines).items()},
    }


def _tokens(items: Iterable[Item]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for item in items:
        total.update(item.tokens)
    return {name: total[name] for name in TOKEN_CLASSES}


def _bridge(provider: str, month: str, items: Sequence[Item], lines: Sequence[Line]) -> dict[str, Decimal]:
    """Billed = priced traces + price effects + untraced usage + what is no token + tax and credit + unexplained."""
    terms = dict.fromkeys(("priced_traces", "price_effects", "untraced_usage", "non_token", "tax_credit", "unexplained"), Decimal(0))
    for item in items:
        if item.provider != provider:
            continue
        if item.cause == "traced" and f"{item.started_on:%Y-%m}" == month:
            predicted = _book(item, item.started_on)
            priced = list_cost(provider, item.model, as_5m(item.tokens))
            terms["priced_traces"] += priced
            terms["price_effects"] += predicted - priced
            terms["untraced_usage"] -= predicted
        if f"{item.booked_on:%Y-%m}" == month:
            terms["untraced_usage"] += _book(item, item.booked_on)
            terms["unexplained"] += item.billed_usd - _book(item, item.booked_on)
    for line in lines:
        if line.provider == provider and f"{line.booked_on:%Y-%m}" == month:
            terms["non_token" if line.kind == "web_search" else "tax_credit"] += line.amount_usd
    return terms


def _book(item: Item, on: date) -> Decimal:
    return book_cost(item.provider, item.model, item.tokens, on)


def planted(months: Sequence[str], items: Sequence[Item], lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Every difference between the priced traces and the bill, with the bridge term that it belongs to; together they close it."""
    found: defaultdict[tuple[str, str, str, str, str], Decimal] = defaultdict(Decimal)
    calls: Counter[tuple[str, str, str]] = Counter()

    def add(name: str, provider: str, month: str, term: str, what: str, amount: Decimal, n: int = 0) -> None:
        found[name, provider, month, term, what] += amount
        calls[name, provider, month] += n

    for item in items:
        provider, started, booked = item.provider, f"{item.started_on:%Y-%m}", f"{item.booked_on:%Y-%m}"
        add(
            "undisclosed_discount",
            provider,
            booked,
            "unexplained",
            "Anthropic bills 8 % less from 1 September; no price file says so",
            item.billed_usd - _book(item, item.booked_on),
        )
        if item.cause != "traced":
            name, what = UNTRACED[item.cause]
            add(name, provider, booked, "untraced_usage", what, _book(item, item.booked_on), item.requests)
            continue
        one_hour = item.tokens["cache_write_1h"]
        if one_hour:
            extra = list_rate(provider, item.model, "cache_write_1h") - list_rate(provider, item.model, "cache_write_5m")
            add(
                "cache_write_1h",
                provider,
                started,
                "price_effects",
                "Cache writes of one hour cost more than those of five minutes",
                one_hour * extra / MILLION,
                1,
            )
        add(
            "contract",
            provider,
            started,
            "price_effects",
            "OpenAI contract of -10 % on gpt-4o from 1 August, in prices.csv",
            _book(item, item.started_on) - list_cost(provider, item.model, item.tokens),
        )
        if item.booked_on != item.started_on:
            what = "Calls around midnight UTC are billed on the next day; the amount is what moved into the month less what moved out of it"
            add("midnight", provider, started, "untraced_usage", what, Decimal(0), item.requests)
            if started != booked:
                add("midnight", provider, started, "untraced_usage", what, -_book(item, item.started_on))
                add("midnight", provider, booked, "untraced_usage", what, _book(item, item.booked_on))
    for line in lines:
        names = {
            "web_search": ("web_search", "non_token", "Web search tool calls of Policy Search"),
            "tax": ("aws_tax", "tax_credit", "Tax"),
            "credit": ("aws_credit", "tax_credit", "Promotional credit"),
        }
        name, term, what = names[line.kind]
        add(name, line.provider, f"{line.booked_on:%Y-%m}", term, what, line.amount_usd, line.quantity if name == "web_search" else 0)
    return [
        {
            "name": name,
            "provider": provider,
            "month": month,
            "amount_usd": plain(amount),
            "term": term,
            "what": what,
            "calls": calls[name, provider, month],
        }
        for (name, provider, month, term, what), amount in sorted(found.items())
        if month in months and (amount or calls[name, provider, month])
    ]
