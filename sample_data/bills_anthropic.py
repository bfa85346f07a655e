"""Anthropic's admin API: pages of the cost report (decimal strings in cents) and of the usage report, by day and workspace."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sample_data.billing import Item
from sample_data.prices import MILLION, TOKEN_CLASSES, billed_rate

DISPLAY = {"claude-sonnet-4-5-20250929": "Claude Sonnet 4.5", "claude-haiku-4-5-20251001": "Claude Haiku 4.5"}
TOKEN_TYPES = {
    "uncached_input": ("uncached_input_tokens", "Input Tokens"),
    "cache_read": ("cache_read_input_tokens", "Input Tokens, Cache Read"),
    "cache_write_5m": ("cache_creation.ephemeral_5m_input_tokens", "Input Tokens, Cache Write 5m"),
    "cache_write_1h": ("cache_creation.ephemeral_1h_input_tokens", "Input Tokens, Cache Write 1h"),
    "output": ("output_tokens", "Output Tokens"),
}
PAGE_DAYS = 16
Totals = dict[tuple[date, str, str, str], Counter[str]]


def pages(month: str, items: Iterable[Item]) -> dict[str, str]:
    """File name to content: cost and usage report, two pages each."""
    totals: Totals = defaultdict(Counter)
    for item in items:
        totals[item.booked_on, item.project, item.response_model, item.model].update(item.tokens)
    days = _days(month)
    found = {}
    for number, first in enumerate(range(0, len(days), PAGE_DAYS), start=1):
        part = days[first : first + PAGE_DAYS]
        following = f"page_{month}_{number + 1}" if part[-1] != days[-1] else None
        for name, results in (("cost_report", _costs), ("usage_report", _usages)):
            buckets = [
                {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{day + timedelta(days=1)}T00:00:00Z", "results": results(totals, day)}
                for day in part
            ]
            page = {"data": buckets, "has_more": following is not None, "next_page": following}
            found[f"{name}_{month}_page_{number}.json"] = json.dumps(page, indent=1) + "\n"
    return found


def _costs(totals: Totals, day: date) -> list[dict[str, Any]]:
    return [
        _cost(day, workspace, dated, model, name, tokens[name])
        for (on, workspace, dated, model), tokens in sorted(totals.items())
        if on == day
        for name in TOKEN_CLASSES
        if tokens[name]
    ]


def _cost(day: date, workspace: str, dated: str, model: str, name: str, count: int) -> dict[str, Any]:
    token_type, description = TOKEN_TYPES[name]
    cents = 100 * count * billed_rate("anthropic", model, name, day) / MILLION
    return {
        "amount": _plain(cents),
        "context_window": "0-200k",
        "cost_type": "tokens",
        "currency": "USD",
        "description": f"{DISPLAY[dated]} Usage - {description}",
        "inference_geo": "not_available",
        "model": dated,
        "service_tier": "standard",
        "token_type": token_type,
        "workspace_id": workspace,
    }


def _usages(totals: Totals, day: date) -> list[dict[str, Any]]:
    return [
        {
            "api_key_id": None,
            "cache_creation": {
                "ephemeral_1h_input_tokens": tokens["cache_write_1h"],
                "ephemeral_5m_input_tokens": tokens["cache_write_5m"],
            },
            "cache_read_input_tokens": tokens["cache_read"],
            "context_window": "0-200k",
            "inference_geo": "not_available",
            "model": dated,
            "output_tokens": tokens["output"],
            "server_tool_use": {"web_search_requests": 0},
            "service_tier": "standard",
            "uncached_input_tokens": tokens["uncached_input"],
            "workspace_id": workspace,
        }
        for (on, workspace, dated, _), tokens in sorted(totals.items())
        if on == day
    ]


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _days(month: str) -> list[date]:
    first = date.fromisoformat(f"{month}-01")
    return [day for day in (first + timedelta(days=n) for n in range(31)) if f"{day:%Y-%m}" == month]
