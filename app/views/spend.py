"""Spend: who spent what on which provider and model, what moved, and what a thousand requests cost."""

from functools import partial

import polars as pl
import streamlit as st

from app import charts, quantities, rows, theme
from app.filterbar import toolbar
from app.panel import chart, metric, mode, table
from app.session import CachedEngine
from app.views import showback, start
from app.views.posture import scope_words
from metrics import filters, scorecard, spend, usage
from metrics.filters import Scope
from metrics.kpi import kpis
from metrics.spend import Spend
from metrics.usage import Usage

UNOWNED = "Unattributed"
NO_MODEL = "Tax, credits, other"
BASIS = {"billed": "billed cost in USD", "traced": "traced calls at list price in USD: no bill tells this part"}


def page() -> None:
    engine = CachedEngine()
    scope = toolbar("Spend", engine)
    if scope is None:
        start.page()
        return
    now = spend.spend(engine, scope)
    used = usage.usage(engine, scope)
    if now.total_usd is None:
        st.info(
            "Nothing was spent in this window, or nothing with a known price." if used.calls else "No calls and no charges in this window."
        )
        return
    st.caption(_provenance(engine, scope, now).replace("$", r"\$"))
    _metrics(engine, scope, now, used)
    left, right = st.columns([2.05, 1], gap="small")
    with left:
        _daily(engine, scope, now)
    with right:
        _models(now)
    _movers(engine, scope, now)
    showback.cards(engine, scope)


def _provenance(engine: CachedEngine, scope: Scope, now: Spend) -> str:
    parts = [
        quantities.days(scope.period.start, scope.period.end),
        scope_words(engine, scope),
        BASIS[now.basis],
        f"{now.lines['provider'].n_unique()} providers, {now.lines['system'].drop_nulls().n_unique()} systems",
    ]
    if now.other_usd:
        parts.append(f"tax and credits {quantities.money_cents(now.other_usd, signed=True)} included")
    return " · ".join(parts)


def _metrics(engine: CachedEngine, scope: Scope, now: Spend, used: Usage) -> None:
    previous = scope.period.previous()
    before = spend.spend(engine, scope.with_period(previous), now.basis).total_usd
    against = f"vs {quantities.days(previous.start, previous.end)}"
    unit_cost = scorecard.evaluate(engine, kpis()["unit_cost"], scope)
    grid = st.grid("auto", min_column_width=240, gap="small")

    card = partial(metric, grid)
    total = now.total_usd
    change = None if before is None or not before or total is None else float((total - before) / before)
    card(
        "Billed" if now.basis == "billed" else "Traced, at list price",
        quantities.money(total),
        None if change is None else quantities.percent(change, signed=True),
        against if change is not None else "nothing before to compare with",
    )
    card(
        "Cost per 1k requests",
        quantities.quantity(unit_cost.value, "usd"),
        rows.change(unit_cost) or None,
        f"{quantities.count(used.requests)} requests",
        "blue" if unit_cost.is_changed and "fell" in rows.change(unit_cost) else "off",
    )
    interval = used.error_interval
    card(
        "Failed calls",
        quantities.percent(used.error_rate),
        quantities.interval(interval.low, interval.high, "share") if interval else None,
        f"of {quantities.count(used.calls)} calls",
    )
    seconds = used.p95_latency_ms / 1000 if used.p95_latency_ms is not None else None
    card(
        "95th percentile latency",
        f"{seconds:,.1f}{quantities.NB}s" if seconds is not None else quantities.UNKNOWN,
        None,
        f"{quantities.count(used.input_tokens)} input, {quantities.count(used.output_tokens)} output tokens",
    )


def _daily(engine: CachedEngine, scope: Scope, now: Spend) -> None:
    days = now.by_day()
    shares = days.group_by("provider").agg(pl.col("cost_usd").sum()).filter(pl.col("cost_usd") > 0).sort("cost_usd", descending=True)
    used = shares["cost_usd"].sum()
    names = [theme.provider(name).name for name in shares["provider"]]
    first = float(shares["cost_usd"][0] / used) if names else 0
    finding = f"{names[0]} carries {quantities.percent(first)} of the usage cost" if names else "Cost by day"
    note = "One colour per provider; shades are its models, largest strongest."
    chart(
        finding,
        charts.daily_spend(days, mode(), height=300),
        days,
        "daily",
        note + (" Tax and credits are not drawn." if now.other_usd else ""),
        weekly=charts.daily_spend(days, mode(), is_weekly_mean=True, height=300),
    )


def _models(now: Spend) -> None:
    found = now.by("model")
    total = float(now.total_usd or 0)
    shown = found.select(
        model=pl.col("model").fill_null(NO_MODEL),
        cost_usd=pl.col("cost_usd").cast(pl.Float64),
        share=pl.col("cost_usd").cast(pl.Float64) * 100 / total if total else None,
    )
    first = found["model"].drop_nulls()[0] if found["model"].drop_nulls().len() else NO_MODEL
    table(
        f"{first} is the largest of {found['model'].drop_nulls().n_unique()} models",
        shown,
        "models",
        {
            "model": st.column_config.TextColumn("Model", width=160),
            "cost_usd": st.column_config.NumberColumn("Cost, $", format="%,.2f", width=76),
            "share": st.column_config.ProgressColumn("Share", format="%.1f %%", min_value=0, max_value=100, color="gray", width=90),
        },
        most=11,
    )


def _movers(engine: CachedEngine, scope: Scope, now: Spend) -> None:
    found = spend.movers(engine, scope, now)
    names = filters.system_names(engine)
    shown = pl.DataFrame(
        [
            {
                "system": UNOWNED if row["system"] is None else names.get(row["system"], row["system"]),
                "team": row["team"],
                "cost_usd": _float(row["cost_usd"]),
                "share": _percent(row["share"]),
                "change_usd": _float(row["change_usd"]),
                "change": _percent(row["change_share"]),
                "days": row["days"],
                "requests": row["requests"],
                "per_1k_usd": row["per_1k_usd"],
            }
            for row in found
        ],
        schema={
            "system": pl.String,
            "team": pl.String,
            "cost_usd": pl.Float64,
            "share": pl.Float64,
            "change_usd": pl.Float64,
            "change": pl.Float64,
            "days": pl.List(pl.Float64),
            "requests": pl.Int64,
            "per_1k_usd": pl.Float64,
        },
    )
    table(
        _mover_words(shown),
        shown,
        "movers",
        {
            "system": st.column_config.TextColumn("System", width=170),
            "team": st.column_config.TextColumn("Team", width=110),
            "cost_usd": st.column_config.NumberColumn("Cost, $", format="%,.2f", width=90),
            "share": st.column_config.ProgressColumn(
                "Share of cost", format="%.1f %%", min_value=0, max_value=100, color="gray", width=130
            ),
            "change_usd": st.column_config.NumberColumn("Change, $", format="%+,.2f", width=90),
            "change": st.column_config.NumberColumn("Change, %", format="%+.1f", width=90),
            "days": st.column_config.BarChartColumn("Last 28 days", color="gray", width=150),
            "requests": st.column_config.NumberColumn("Requests", format="localized", width=90),
            "per_1k_usd": st.column_config.NumberColumn("Per 1k req., $", format="%,.2f", width=100),
        },
    )


def _mover_words(shown: pl.DataFrame) -> str:
    moved = shown.filter(pl.col("change_usd").is_not_null() & (pl.col("change_usd") != 0))
    if moved.is_empty():
        return "Cost by system"
    first = moved.sort(pl.col("change_usd").abs(), descending=True).row(0, named=True)
    total = moved["change_usd"].sum()
    verb = "rose" if first["change_usd"] > 0 else "fell"
    return (
        f"{first['system']} {verb} by {quantities.money(abs(first['change_usd']))}; "
        f"all together {quantities.money(total, signed=True)} against the window before"
    )


def _float(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]


def _percent(share: float | None) -> float | None:
    return None if share is None else share * 100
