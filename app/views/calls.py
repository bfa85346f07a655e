"""Calls: each provider call once, with its tokens and the reason of its cost, and the spans of its request."""

from functools import partial
from typing import Any

import polars as pl
import streamlit as st

from app import quantities, theme
from app.filterbar import Choice, toolbar
from app.panel import metric, table
from app.session import CachedEngine
from app.views import start
from metrics import calls, filters
from metrics.filters import Scope
from metrics.usage import Usage, usage

# How the cost of a call is known: shape and words, their colour, and what they mean.
STATUSES = {
    "priced": ("● Priced", "blue", "Tokens known, price of the day known"),
    "reported_only": ("▲ As reported", "orange", "Only the client library names a cost"),
    "estimated": ("▲ Estimated", "orange", "The client made its tokens up: the provider sent none"),
    "convention_unknown": ("▲ A range", "orange", "Nobody knows whether input contains the cached tokens"),
    "unpriced_model": ("■ No price", "red", "Not in the price book: add it to a price file"),
    "no_usage": ("○ No usage", "gray", "No tokens in the telemetry; only the bill knows"),
    "non_billable": ("○ Not billable", "gray", "Failed before any token, or answered from a cache"),
}
ROLES = {"call": "● Call", "duplicate": "○ Repeat", "wrapper": "○ Wrapper"}
RULES = {
    "response_id": "Same response id",
    "nested": "One inside the other",
    "raw_request": "Raw request below the call",
    "stream_end": "End of the call's stream",
    "pair_equal_tokens": "Same time, model, tokens",
    "pair_unknown_tokens": "Same time and model",
}
ALL_COSTS = "All costs"


def page() -> None:
    engine = CachedEngine()
    words = {text: name for name, (text, _, _) in STATUSES.items()}
    scope = toolbar("Calls", engine, [Choice("cost", [ALL_COSTS, *words], 146)])
    if scope is None:
        start.page()
        return
    chosen = words.get(st.session_state["cost"], "")
    st.caption(
        f"{quantities.days(scope.period.start, scope.period.end)} · a call is one inference of a provider, counted once whatever sent it"
        " · cost by the price of its own day, contract before list"
    )
    repeats = calls.repeats(engine, scope)
    _metrics(usage(engine, scope), repeats)
    left, right = st.columns([1.55, 1], gap="small")
    with left:
        _statuses(calls.by_status(engine, scope))
    with right:
        _repeats(repeats)
    _clients(calls.clients(engine, scope))
    _unpriced(calls.unpriced(engine, scope))
    _calls(engine, scope, chosen)


def _metrics(known: Usage, repeats: pl.DataFrame) -> None:
    card = partial(metric, st.grid("auto", min_column_width=240, gap="small"))
    answered = known.calls - known.failed_calls
    card(
        "Provider calls",
        quantities.count(known.calls),
        f"{quantities.count(int(repeats['spans'].sum()))} repeats",
        "not counted",
    )
    card(
        "Known usage",
        quantities.percent(1 - known.unknown_usage_calls / answered) if answered else quantities.UNKNOWN,
        f"{quantities.count(known.unknown_usage_calls)} calls without",
        "of answered calls",
        "orange" if known.unknown_usage_calls else "off",
    )
    card(
        "Cost by the price book",
        quantities.money_cents(known.cost_usd) if known.cost_usd is not None else quantities.UNKNOWN,
        f"{quantities.count(known.unpriced_calls)} calls without",
        "no usage, or no price",
        "orange" if known.unpriced_calls else "off",
    )
    card("Failed calls", quantities.percent(known.error_rate), quantities.count(known.failed_calls), "after the client's own retries")


def _chips(title: str, options: dict[str, str], width: int) -> Any:
    return st.column_config.MultiselectColumn(title, options=list(options), color=list(options.values()), width=width)


def _status_chips(width: int) -> Any:
    return _chips("Cost is", {text: colour for text, colour, _ in STATUSES.values()}, width)


def _as_chip(column: str, words: dict[str, str]) -> pl.Expr:
    return pl.concat_list(pl.col(column).replace_strict(words, default="○ Other"))


def _statuses(found: pl.DataFrame) -> None:
    shown = found.with_columns(
        _as_chip("cost_status", {name: text for name, (text, _, _) in STATUSES.items()}).alias("status"),
        pl.col("cost_status").replace_strict({name: why for name, (_, _, why) in STATUSES.items()}, default="").alias("why"),
        pl.col("cost_usd", "cost_low_usd", "cost_high_usd").cast(pl.Float64),
    )
    has_range = shown["cost_high_usd"].is_not_null().any()
    between = {
        "cost_low_usd": st.column_config.NumberColumn("From, $", format="%,.2f", width=70),
        "cost_high_usd": st.column_config.NumberColumn("To, $", format="%,.2f", width=70),
    }
    table(
        "How the cost of the calls is known",
        shown,
        "cost_statuses",
        {
            "status": _status_chips(118),
            "calls": st.column_config.NumberColumn("Calls", format="localized", width=70),
            "cost_usd": st.column_config.NumberColumn("Cost, $", format="%,.2f", width=80),
            **(between if has_range else {}),
            "why": st.column_config.TextColumn("What that means", width=310),
        },
    )


def _repeats(found: pl.DataFrame) -> None:
    table(
        f"{found['spans'].sum():,} spans repeat a call",
        found.with_columns(pl.col("dedupe_rule").replace(RULES).alias("rule")),
        "repeats",
        {
            "rule": st.column_config.TextColumn("Found by", width=260),
            "spans": st.column_config.NumberColumn("Spans", format="localized", width=80),
        },
    )


def _clients(found: pl.DataFrame) -> None:
    shown = found.with_columns(
        (100 - 100 * pl.col("unknown_usage") / pl.when(pl.col("calls") > pl.col("failed")).then(pl.col("calls") - pl.col("failed"))).alias(
            "known"
        )
    )
    table(
        f"{found.height} client libraries send calls",
        shown,
        "clients",
        {
            "scope_name": st.column_config.TextColumn("Instrumentation", width=330),
            "scope_version": st.column_config.TextColumn("Version", width=80),
            "calls": st.column_config.NumberColumn("Calls", format="localized", width=76),
            "repeats": st.column_config.NumberColumn("Repeats", format="localized", width=76),
            "failed": st.column_config.NumberColumn("Failed", format="localized", width=70),
            "known": st.column_config.NumberColumn("Known usage", format="%.1f %%", width=100),
            "token_convention": st.column_config.TextColumn(
                "Input and cache", help="Whether the input that it sends contains cached tokens", width=110
            ),
            "last_at": st.column_config.DatetimeColumn("Last call, UTC", format="D MMM HH:mm", width=110),
        },
        most=8,
    )


def _unpriced(found: pl.DataFrame) -> None:
    if found.is_empty():
        return
    table(
        f"{found.height} models have no price",
        found.with_columns(pl.col("provider").map_elements(lambda name: theme.provider(name).name, pl.String)),
        "unpriced",
        {
            "model": st.column_config.TextColumn("Model", width=260),
            "provider": st.column_config.TextColumn("Provider", width=160),
            "calls": st.column_config.NumberColumn("Calls", format="localized", width=90),
            "input_tokens": st.column_config.NumberColumn("Input tokens", format="localized", width=110),
            "output_tokens": st.column_config.NumberColumn("Output tokens", format="localized", width=110),
        },
        most=6,
        note="Their calls have no cost here until a price file names them; `spanledger rebuild` then prices what is stored.",
    )


def _calls(engine: CachedEngine, scope: Scope, cost_status: str) -> None:
    found = calls.newest(engine, scope, cost_status)
    if found.is_empty():
        st.info("No call of this period fits the filters.")
        return
    names = filters.system_names(engine)
    shown = found.with_columns(
        _as_chip("cost_status", {name: text for name, (text, _, _) in STATUSES.items()}).alias("status"),
        pl.col("system").replace(names),
        pl.col("cost_usd").cast(pl.Float64),
        pl.col("flags").list.join(", ").str.replace_all("_", " ").alias("notes"),
    )
    words = f"The newest {found.height:,} calls" if found.height == calls.MOST else f"{found.height:,} calls"
    place = table(
        f"{words}; choose one for the spans of its request",
        shown,
        "calls",
        {
            "started_at": st.column_config.DatetimeColumn("Started, UTC", format="D MMM HH:mm:ss", width=112),
            "system": st.column_config.TextColumn("System", width=116),
            "model": st.column_config.TextColumn("Model", width=124),
            "input_tokens": st.column_config.NumberColumn("Input", format="localized", width=66),
            "cache_read_tokens": st.column_config.NumberColumn("Read", format="localized", width=66),
            "cache_write_tokens": st.column_config.NumberColumn("Written", format="localized", width=66),
            "output_tokens": st.column_config.NumberColumn("Output", format="localized", width=66),
            "duration_ms": st.column_config.NumberColumn("ms", format="%,.0f", width=58),
            "cost_usd": st.column_config.NumberColumn("Cost, $", format="%.5f", width=76),
            "status": _status_chips(106),
            "error_type": st.column_config.TextColumn("Error", width=66),
            "notes": st.column_config.TextColumn("Notes", width=98),
        },
        most=12,
        is_selectable=True,
    )
    if place is not None:
        _trace(engine, found.row(place, named=True))


def _trace(engine: CachedEngine, call: dict[str, Any]) -> None:
    found = calls.trace(engine, call["trace_id"], call["started_at"])
    shown = found.with_columns(
        pl.concat_str(pl.lit("\u2003").repeat_by("depth").list.join(""), pl.col("name")).alias("span"),
        _as_chip("role", ROLES | {role: f"○ {role.capitalize()}" for role in found["role"].unique() if role not in ROLES}).alias("is"),
        pl.col("dedupe_rule").replace(RULES).alias("rule"),
        ((pl.col("started_at") - found["started_at"].min()).dt.total_microseconds() / 1000).alias("after_ms"),
        pl.col("cost_usd").cast(pl.Float64),
    )
    options = {chips[0]: "blue" if chips[0] == ROLES["call"] else "gray" for chips in shown["is"].unique()}
    table(
        f"{found.height} spans of trace {call['trace_id']}",
        shown,
        "trace",
        {
            "span": st.column_config.TextColumn("Span", width=220),
            "is": _chips("Is a", options, 96),
            "scope_name": st.column_config.TextColumn("Told by", width=174),
            "after_ms": st.column_config.NumberColumn("After, ms", format="%,.0f", width=66),
            "duration_ms": st.column_config.NumberColumn("Took, ms", format="%,.0f", width=66),
            "model": st.column_config.TextColumn("Model", width=116),
            "input_tokens": st.column_config.NumberColumn("Input", format="localized", width=60),
            "output_tokens": st.column_config.NumberColumn("Output", format="localized", width=60),
            "cost_usd": st.column_config.NumberColumn("Cost, $", format="%.5f", width=70),
            "rule": st.column_config.TextColumn("Repeats a call by", width=140),
        },
        most=16,
        note=call["price_source"] and f"Priced from {call['price_source']}.",
    )
