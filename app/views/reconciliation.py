"""Reconciliation: can the numbers be trusted? From what the traces explain to what was billed, and every difference by name."""

from functools import partial

import polars as pl
import streamlit as st

from app import actions, quantities, theme
from app.bridge_chart import bridge
from app.filterbar import toolbar
from app.panel import chart, escape, metric, mode, table
from app.session import CachedEngine
from app.views import buckets, start
from metrics import reconcile_report
from metrics.bridge import Reconciliation
from metrics.filters import Scope
from metrics.rate_hints import RateHint, rate_hints
from metrics.reconcile import DIMENSIONS, reconcile


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
    buckets.tables(engine, found)


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
        {"state": [buckets.STATES[name][0]], "billed": float(row["billed_usd"]), "share": float(row["billed_usd"] / billed) * 100}
        for name, row in sorted(states.items(), key=lambda item: -item[1]["billed_usd"])
    ]
    agreed = sum((row["billed_usd"] for name, row in states.items() if name in buckets.AGREED), start=0)
    table(
        f"{quantities.percent(float(agreed / billed))} of cost agrees in tokens",
        pl.DataFrame(rows),
        "states",
        {
            "state": buckets.state_column(150),
            "billed": st.column_config.NumberColumn("Billed, $", format="%,.2f", width=80),
            "share": st.column_config.NumberColumn("Share", format="%.1f %%", width=66),
        },
    )


def _hint(number: int, hint: RateHint) -> None:
    with st.container(border=True, key=f"hint_{number}"):
        words, accept = st.columns([4, 1.4], vertical_alignment="center", gap="small")
    words.markdown(
        f"**{escape(theme.provider(hint.provider).name)}** {escape(hint.words)}. "
        f"{escape(quantities.money_cents(hint.unexplained_usd, signed=True))} of the unexplained."
    )
    if accept.button(
        "Record as contract rate",
        key=f"accept_{number}",
        width="stretch",
        help="Adds the rate to the price book from that day on, and prices the calls again",
    ):
        actions.accept_rate(hint.provider, hint.models, hint.token_classes, hint.ratio, hint.since)
        st.rerun()
