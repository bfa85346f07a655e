"""The way down from a reconciliation: series of days with one state, the days of one, the calls and billing lines of a day."""

from decimal import Decimal
from typing import Any

import polars as pl
import streamlit as st

from app import theme
from app.panel import table
from app.session import CachedEngine
from metrics import reconcile_report
from metrics.bridge import Reconciliation

STATES = {
    "matched": ("● Matched", "blue"),
    "within_tolerance": ("● Within 2 %", "blue"),
    "log_edge": ("○ Around midnight", "gray"),
    "no_cache_split": ("○ No cache split", "gray"),
    "billed_not_traced": ("▲ Billed, not traced", "orange"),
    "traced_not_billed": ("▲ Traced, not billed", "orange"),
    "mapping_missing": ("▲ Meter not mapped", "orange"),
    "unit_scale_suspect": ("■ Wrong unit?", "red"),
    "mismatch": ("■ Mismatch", "red"),
    "period_open": ("○ Day still open", "gray"),
    "export_silent": ("○ No export", "gray"),
}
CAUSES = {
    "billed_not_traced": "Project or key not traced",
    "traced_not_billed": "Other account, free tier",
    "no_cache_split": "Spans lack cached tokens",
    "log_edge": "Across midnight UTC",
    "mapping_missing": "Meter text not mapped",
    "unit_scale_suspect": "Export in another unit",
    "mismatch": "Retries or lost spans",
    "export_silent": "Export not loaded",
    "period_open": "Not final yet",
}
# How the bill tells a bucket's tokens, where it names none.
WITHOUT_TOKENS = {"list_price": "Units, split by list price", "provisioned": "Ran on provisioned hours"}
CENT = Decimal("0.01")
AGREED = ("matched", "within_tolerance", "log_edge")


def tables(engine: CachedEngine, found: Reconciliation) -> None:
    """The worst series; below them the days of the chosen one, and below these the evidence of the chosen day."""
    rows = reconcile_report.bucket_rows(found).filter(pl.col("state").is_not_null())
    worst = _shown(reconcile_report.by_series(rows)).filter(pl.col("difference").abs() >= float(CENT / 2)).head(200)
    place = table(
        "Worst buckets, by untraced and unexplained cost; choose one for its days",
        worst,
        "buckets",
        {
            "state": state_column(132),
            "seller": st.column_config.TextColumn("Provider / project", width=204),
            "model": st.column_config.TextColumn("Model", width=120),
            "days": st.column_config.NumberColumn("Days", width=42),
            **_money_columns(),
            "cause": st.column_config.TextColumn("Likely cause", width=152),
        },
        most=8,
        is_selectable=True,
    )
    if place is None:
        return
    keys = list(reconcile_report.SERIES)
    days = rows.join(worst[place].select("state_key", *keys[:4], "basis").rename({"state_key": "state"}), on=keys, nulls_equal=True)
    days = _shown(days.sort("day"))
    place = table(
        f"{worst['seller'][place]}, {worst['model'][place] or 'no model'}: choose a day for its calls and billing lines",
        days,
        "bucket_days",
        {"day": st.column_config.DateColumn("Day", format="D MMM", width=70), **_money_columns()},
        most=8,
        is_selectable=True,
    )
    if place is not None:
        _detail(engine, days.row(place, named=True))


def _shown(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of buckets or of series in the words of the page."""
    # Where the tokens agree only a price can differ.
    price = (
        pl.when(pl.col("unexplained").abs() >= CENT / 2)
        .then(pl.lit("Rate not in price book"))
        .when(pl.col("price_effects").abs() >= CENT / 2)
        .then(pl.lit("Contract or tier price"))
    )
    causes = (pl.col(name).replace_strict(words, default=None) for name, words in (("basis", WITHOUT_TOKENS), ("state", CAUSES)))
    return rows.with_columns(
        state=pl.col("state").map_elements(lambda name: [STATES[name][0]], pl.List(pl.String)),
        state_key=pl.col("state"),
        cause=pl.coalesce(*causes, pl.when(pl.col("state").is_in(AGREED)).then(price)),
        seller=pl.concat_str(
            [pl.col("provider").map_elements(lambda name: theme.provider(name).name, pl.String), pl.col("project")],
            separator=" / ",
            ignore_nulls=True,
        ),
        difference=(pl.col("billed_usd") - pl.col("priced_traces")).cast(pl.Float64),
        ratio=pl.col("billed_tokens") / pl.when(pl.col("traced_tokens") > 0).then(pl.col("traced_tokens")),
        **{name: pl.col(name).cast(pl.Float64) for name in ("billed_usd", "priced_traces", "unexplained")},
    )


def _money_columns() -> dict[str, Any]:
    return {
        "billed_usd": st.column_config.NumberColumn("Billed, $", format="%,.2f", width=64),
        "priced_traces": st.column_config.NumberColumn("Traced, $", format="%,.2f", width=72),
        "difference": st.column_config.NumberColumn("Difference, $", format="%+,.2f", width=80),
        "unexplained": st.column_config.NumberColumn("Unexplained, $", format="%+,.2f", width=92),
        "ratio": st.column_config.NumberColumn("Tokens ×", format="%.2f", width=60),
    }


def _detail(engine: CachedEngine, bucket: dict[str, object]) -> None:
    left, right = st.columns(2, gap="small")
    calls, charges = reconcile_report.rows_of(engine, bucket)
    with left:
        _evidence(
            "calls",
            calls,
            {
                "started_at": st.column_config.DatetimeColumn("Started, UTC", format="D MMM HH:mm:ss", width=120),
                "service": st.column_config.TextColumn("Service", width=120),
                "input_tokens": st.column_config.NumberColumn("Input", format="localized", width=76),
                "output_tokens": st.column_config.NumberColumn("Output", format="localized", width=70),
                "cost_usd": st.column_config.NumberColumn("Cost, $", format="%.4f", width=70),
                "trace_id": st.column_config.TextColumn("Trace", width=80),
            },
        )
    with right:
        _evidence(
            "billing lines",
            charges,
            {
                "charge_description": st.column_config.TextColumn("Line", width=230),
                "token_class": st.column_config.TextColumn("Class", width=104),
                "usd_billed_cost": st.column_config.NumberColumn("Billed, $", format="%.4f", width=76),
                "source": st.column_config.TextColumn("Read as", width=96),
            },
        )


def _evidence(what: str, rows: pl.DataFrame, columns: dict[str, Any]) -> None:
    if rows.is_empty():
        st.container(border=True).markdown(f"**No {what} of the day**")
    else:
        table(f"{rows.height:,} {what} of the day", rows, f"bucket_{what.replace(' ', '_')}", columns, most=8)


def state_column(width: int) -> object:
    return st.column_config.MultiselectColumn(
        "State", options=[words for words, _ in STATES.values()], color=[colour for _, colour in STATES.values()], width=width
    )
