"""Reconciliation: can the numbers be trusted? From what the traces explain to what was billed, and every difference by name."""

from functools import partial

import polars as pl
import streamlit as st

from app import actions, quantities, theme
from app.bridge_chart import bridge
from app.filterbar import toolbar
from app.panel import chart, escape, metric, mode, table
from app.session import CachedEngine
from app.views import start
from metrics import reconcile_report
from metrics.bridge import Reconciliation
from metrics.filters import Scope
from metrics.rate_hints import RateHint, rate_hints
from metrics.reconcile import DIMENSIONS, reconcile

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
    "billed_not_traced": "No call of this project or key is traced",
    "traced_not_billed": "Another account, a free tier or a subscription",
    "no_cache_split": "Spans do not tell cached tokens apart",
    "log_edge": "Booked on the other side of midnight UTC",
    "mapping_missing": "Name the meter in a table",
    "unit_scale_suspect": "The export counts in another unit",
    "mismatch": "Streams without usage, lost spans or retries",
    "export_silent": "Load the provider's export",
    "period_open": "Not final yet",
}
# How the bill tells a bucket's tokens, where it names none.
WITHOUT_TOKENS = {
    "list_price": "Billed in units without a model, split by list price",
    "provisioned": "Ran on provisioned hours, which count no tokens",
}
AGREED = ("matched", "within_tolerance", "log_edge")


def page() -> None:
    engine = CachedEngine()
    chosen = toolbar("Reconciliation", engine)
    if chosen is None:
        start.page()
        return
    scope = chosen.with_dimensions({name: value for name, value in chosen.dimensions.items() if name in DIMENSIONS})
    found = reconcile(engine, scope)
    if not found.billed_usd:
        st.info("No bill is loaded for this window. `spanledger load FILES` reads provider exports and FOCUS files.")
        return
    st.caption(_provenance(chosen, scope, found))
    _metrics(engine, scope, found)
    left, right = st.columns([2.15, 1], gap="small")
    with left:
        terms = found.bridge()
        chart(
            _finding(found),
            bridge(terms, mode()),
            _steps(found),
            "bridge",
            "What a step is predicted from never comes from the bill itself.",
        )
    with right:
        _states(found)
    for number, hint in enumerate(rate_hints(found)):
        _hint(number, hint)
    _buckets(engine, scope, found)


def _provenance(chosen: Scope, scope: Scope, found: Reconciliation) -> str:
    parts = [
        quantities.days(scope.period.start, scope.period.end),
        f"{len(found.providers)} bills",
        "bucket: provider × day × project × model × tier, by token class",
    ]
    open_days = {bucket.key.day for bucket in found.buckets if bucket.is_open}
    if open_days:
        parts.append(f"{len(open_days)} days still open, not in the shares")
    if found.split_usd:
        parts.append(f"{quantities.money_cents(found.split_usd)} billed in units without a model, split by list price")
    if ignored := sorted(set(chosen.dimensions) - set(scope.dimensions)):
        parts.append(f"a bill knows no {' or '.join(ignored)}: that filter is not applied")
    return " · ".join(parts)


def _metrics(engine: CachedEngine, scope: Scope, found: Reconciliation) -> None:
    before = reconcile(engine, scope.with_period(scope.period.previous()))
    terms, billed = found.bridge(), found.billed_usd
    grid = st.grid("auto", min_column_width=240, gap="small")

    card = partial(metric, grid)
    card("Billed", quantities.money_cents(billed), f"{len(found.providers)} bills", "the same total on every page")
    explained = found.explained_share
    card(
        "Explained share",
        quantities.percent(float(explained)) if explained is not None else quantities.UNKNOWN,
        quantities.money_cents(terms["unexplained"], signed=True),
        "unexplained",
        "orange" if abs(terms["unexplained"]) >= 1 else "off",
    )
    change = None if found.traced_share is None or before.traced_share is None else found.traced_share - before.traced_share
    card(
        "Traced share of tokens",
        quantities.percent(found.traced_share),
        quantities.points(change, signed=True) if change is not None else None,
        f"vs {quantities.days(scope.period.previous().start, scope.period.previous().end)}" if change is not None else "of billed tokens",
    )
    card(
        "Traced at list to bill",
        f"{float(terms['priced_traces'] / billed):.3f}",
        quantities.money_cents(terms["priced_traces"]),
        "traced at list price",
    )


def _finding(found: Reconciliation) -> str:
    terms, effects = found.bridge(), found.effects()
    parts = []
    if abs(effects["contract"]) >= 1:
        parts.append(
            f"contract rates {'take' if effects['contract'] < 0 else 'add'} {quantities.money(abs(effects['contract']))}"
            f" {'off' if effects['contract'] < 0 else 'to'} the list price"
        )
    if abs(terms["untraced_usage"]) >= 1:
        where = "used outside the traces" if terms["untraced_usage"] > 0 else "not billed"
        parts.append(f"{quantities.money(abs(terms['untraced_usage']))} was {where}")
    if abs(terms["unexplained"]) >= 1:
        way = "less" if terms["unexplained"] < 0 else "more"
        parts.append(f"{quantities.money(abs(terms['unexplained']))} {way} billed than anything explains")
    words = "; ".join(parts[-2:]) or "The traces explain the bill"
    return words[0].upper() + words[1:]


def _steps(found: Reconciliation) -> pl.DataFrame:
    rows = [{"step": name.replace("_", " "), "usd": float(usd)} for name, usd in found.bridge().items()]
    rows[2:2] = [{"step": f"of price effects: {name.replace('_', ' ')}", "usd": float(usd)} for name, usd in found.effects().items() if usd]
    return pl.DataFrame([*rows, {"step": "billed", "usd": float(found.billed_usd)}])


def _states(found: Reconciliation) -> None:
    states, billed = reconcile_report.by_state(found), found.billed_usd
    rows = [
        {"state": [STATES[name][0]], "billed": float(row["billed_usd"]), "share": float(row["billed_usd"] / billed) * 100}
        for name, row in sorted(states.items(), key=lambda item: -item[1]["billed_usd"])
    ]
    agreed = sum((row["billed_usd"] for name, row in states.items() if name in AGREED), start=0)
    table(
        f"{quantities.percent(float(agreed / billed))} of cost agrees in tokens",
        pl.DataFrame(rows),
        "states",
        {
            "state": _state_column(150),
            "billed": st.column_config.NumberColumn("Billed, $", format="%,.2f", width=80),
            "share": st.column_config.NumberColumn("Share", format="%.1f %%", width=66),
        },
    )


def _state_column(width: int) -> object:
    return st.column_config.MultiselectColumn(
        "State", options=[words for words, _ in STATES.values()], color=[colour for _, colour in STATES.values()], width=width
    )


def _hint(number: int, hint: RateHint) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small", key=f"hint_{number}"):
        st.markdown(
            f"**{escape(theme.provider(hint.provider).name)}** {escape(hint.words)}. "
            f"{escape(quantities.money_cents(hint.unexplained_usd, signed=True))} of the unexplained.",
            width="stretch",
        )
        if st.button(
            "Record as contract rate",
            key=f"accept_{number}",
            help="Adds the rate to the price book from that day on, and prices the calls again",
        ):
            actions.accept_rate(hint.provider, hint.models, hint.token_classes, hint.ratio, hint.since)
            st.rerun()


def _buckets(engine: CachedEngine, scope: Scope, found: Reconciliation) -> None:
    rows = reconcile_report.bucket_rows(found).filter(pl.col("state").is_not_null())
    shown = rows.with_columns(
        pl.col("state").map_elements(lambda name: [STATES[name][0]], pl.List(pl.String)),
        cause=pl.coalesce(
            pl.col(name).replace_strict(words, default=None) for name, words in (("basis", WITHOUT_TOKENS), ("state", CAUSES))
        ),
        seller=pl.concat_str(
            [pl.col("provider").map_elements(lambda name: theme.provider(name).name, pl.String), pl.col("project")],
            separator=" / ",
            ignore_nulls=True,
        ),
        difference=(pl.col("billed_usd") - pl.col("priced_traces")).cast(pl.Float64),
        ratio=pl.col("billed_tokens") / pl.when(pl.col("traced_tokens") > 0).then(pl.col("traced_tokens")),
        **{name: pl.col(name).cast(pl.Float64) for name in ("billed_usd", "priced_traces", "untraced_usage", "unexplained")},
    )
    worst = shown.filter(pl.col("difference").abs() >= 0.005).head(200)
    place = table(
        "Buckets by what the traces do not explain; choose one for its calls and billing lines",
        worst,
        "buckets",
        {
            "state": _state_column(140),
            "day": st.column_config.DateColumn("Day", format="D MMM", width=62),
            "seller": st.column_config.TextColumn("Provider / project", width=210),
            "model": st.column_config.TextColumn("Model", width=130),
            "billed_usd": st.column_config.NumberColumn("Billed, $", format="%,.2f", width=76),
            "priced_traces": st.column_config.NumberColumn("Traced, list, $", format="%,.2f", width=94),
            "untraced_usage": st.column_config.NumberColumn("Untraced, $", format="%+,.2f", width=84),
            "unexplained": st.column_config.NumberColumn("Unexplained, $", format="%+,.2f", width=98),
            "ratio": st.column_config.NumberColumn("Tokens ×", format="%.2f", width=66),
            "cause": st.column_config.TextColumn("Likely cause", width=250),
        },
        most=8,
        is_selectable=True,
    )
    if place is not None:
        _detail(engine, worst.row(place, named=True))


def _detail(engine: CachedEngine, bucket: dict[str, object]) -> None:
    left, right = st.columns(2, gap="small")
    calls, charges = reconcile_report.rows_of(engine, bucket)
    with left:
        table(
            f"{calls.height:,} calls of the bucket",
            calls,
            "bucket_calls",
            {
                "started_at": st.column_config.DatetimeColumn("Started, UTC", format="D MMM HH:mm:ss", width=120),
                "service": st.column_config.TextColumn("Service", width=120),
                "input_tokens": st.column_config.NumberColumn("Input", format="localized", width=76),
                "output_tokens": st.column_config.NumberColumn("Output", format="localized", width=70),
                "cost_usd": st.column_config.NumberColumn("Cost, $", format="%.4f", width=70),
                "trace_id": st.column_config.TextColumn("Trace", width=90),
            },
            most=8,
        )
    with right:
        table(
            f"{charges.height:,} billing lines of the bucket",
            charges,
            "bucket_charges",
            {
                "charge_description": st.column_config.TextColumn("Line", width=240),
                "token_class": st.column_config.TextColumn("Class", width=110),
                "usd_billed_cost": st.column_config.NumberColumn("Billed, $", format="%.4f", width=80),
                "source": st.column_config.TextColumn("Read as", width=120),
            },
            most=8,
        )
