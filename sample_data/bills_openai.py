"""OpenAI's dashboard exports: cost by line item and completions usage, a row per day, project and model."""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from sample_data.billing import Item, Line
from sample_data.prices import MILLION, billed_rate

LINE_ITEMS = {"uncached_input": "input", "cache_read": "cached input", "output": "output"}
TIMES = ["start_time", "end_time", "start_time_iso", "end_time_iso"]
COST = [*TIMES, "amount_value", "amount_currency", "line_item", "project_id", "organization_id", "organization_name"]
USAGE = [
    *TIMES,
    "project_id",
    "num_model_requests",
    "user_id",
    "api_key_id",
    "model",
    "batch",
    "service_tier",
    "input_tokens",
    "output_tokens",
    "input_cached_tokens",
    "input_uncached_tokens",
    "input_text_tokens",
    "output_text_tokens",
    "input_cached_text_tokens",
    "input_audio_tokens",
    "input_cached_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "input_cached_image_tokens",
    "output_image_tokens",
]
ORGANIZATION = ["org-nordwind-synthetic", "Nordwind Insurance (synthetic)"]


def cost_csv(month: str, items: Iterable[Item], lines: Iterable[Line]) -> str:
    amounts: defaultdict[tuple[date, str, str], Decimal] = defaultdict(Decimal)
    for item in items:
        for name, line_item in LINE_ITEMS.items():
            if item.tokens[name]:
                key = (item.booked_on, item.project, f"{item.response_model}, {line_item}")
                amounts[key] += item.tokens[name] * billed_rate("openai", item.model, name, item.booked_on) / MILLION
    for line in lines:
        amounts[line.booked_on, line.project, "web search tool calls"] += line.amount_usd
    rows = [
        [*_times(day), f"{amount:.16f}", "usd", line_item, project, *ORGANIZATION]
        for (day, project, line_item), amount in sorted(amounts.items())
        if f"{day:%Y-%m}" == month
    ]
    return _csv(COST, rows)


def usage_csv(month: str, items: Iterable[Item]) -> str:
    """Chat calls only: embeddings have an export of their own."""
    totals: defaultdict[tuple[date, str, str], Counter[str]] = defaultdict(Counter)
    for item in items:
        if not item.is_embedding and f"{item.booked_on:%Y-%m}" == month:
            totals[item.booked_on, item.project, item.response_model].update(item.tokens | {"requests": item.requests})
    rows = []
    for (day, project, model), n in sorted(totals.items()):
        total = n["uncached_input"] + n["cache_read"]
        counts = [total, n["output"], n["cache_read"], n["uncached_input"], n["uncached_input"], n["output"], n["cache_read"], *[0] * 6]
        rows.append([*_times(day), project, f"{n['requests']}.0", "", "", model, "FALSE", "default", *(f"{count}.0" for count in counts)])
    return _csv(USAGE, rows)


def _times(day: date) -> list[str]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    end = start + timedelta(days=1)
    return [str(int(start.timestamp())), str(int(end.timestamp())), start.isoformat(), end.isoformat()]


def _csv(header: list[str], rows: Iterable[list[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
