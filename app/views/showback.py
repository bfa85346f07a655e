"""Showback and unit cost, at the foot of Spend: who bears the invoice to the cent, and what a unit of work costs."""

from decimal import Decimal

import polars as pl
import streamlit as st

from app import quantities
from app.panel import table
from app.session import CachedEngine
from metrics import filters
from metrics.filters import Scope
from metrics.showback import showback
from metrics.unit_economics import tenants, unit_costs

UNATTRIBUTED = "Unattributed"


def cards(engine: CachedEngine, scope: Scope) -> None:
    """Two cards side by side; the invoice is handed on for whole months and the whole company only."""
    left, right = st.columns([1.15, 1], gap="small")
    with left:
        _showback(engine, scope)
    with right:
        _unit_costs(engine, scope)
        _tenants(engine, scope)


def _showback(engine: CachedEngine, scope: Scope) -> None:
    found = showback(engine, scope.period)
    if not found.shares or scope.dimensions or not scope.period.is_whole_months:
        with st.container(border=True, height="stretch"):
            st.markdown("**Showback**")
            st.caption("The invoice is handed on for whole months and all systems; choose a month without filters.")
        return
    names = filters.system_names(engine)
    rows = [
        {
            "team": row["team"] or UNATTRIBUTED,
            "system": names.get(row["system"], row["system"]) or UNATTRIBUTED,
            "usd_cost": float(row["usd_cost"]),
            "share": float(row["usd_cost"] / found.total_usd) * 100 if found.total_usd else None,
        }
        for row in found.by("team", "system")
    ]
    borne = found.total_usd - sum((row["usd_cost"] for row in found.by("team") if row["team"] is None), Decimal(0))
    rounding = sum(found.rounding_usd.values())
    table(
        f"Teams bear {quantities.money_cents(borne)} of {quantities.money_cents(found.total_usd)}",
        pl.DataFrame(rows),
        "showback",
        {
            "team": st.column_config.TextColumn("Team", width=130),
            "system": st.column_config.TextColumn("System", width=170),
            "usd_cost": st.column_config.NumberColumn("Billed, $", format="%,.2f", width=84),
            "share": st.column_config.ProgressColumn("Share", format="%.1f %%", min_value=0, max_value=100, color="gray", width=110),
        },
        most=8,
        note=f"By rule, else by traced tokens; rounded once, {quantities.money_cents(rounding, signed=True)} left over.",
    )


def _unit_costs(engine: CachedEngine, scope: Scope) -> None:
    found = unit_costs(engine, scope)
    rows = pl.DataFrame(
        [
            {"unit": f"Per {row.unit}", "usd": row.usd, "units": row.units, "trust": ["○ Few"] if row.is_low_confidence else []}
            for row in found
        ],
        schema={"unit": pl.String, "usd": pl.Float64, "units": pl.Int64, "trust": pl.List(pl.String)},
    )
    said = dict.fromkeys(part for row in found for part in row.note.split(" · "))
    outcome = next(row for row in found if row.unit == "successful outcome")
    words = f"A successful outcome costs {quantities.money(outcome.usd)}" if outcome.usd is not None else "Cost per unit of work"
    table(
        words,
        rows,
        "unit_costs",
        {
            "unit": st.column_config.TextColumn("Unit", width=180),
            "usd": st.column_config.NumberColumn("Cost, $", format="%,.4f", width=90),
            "units": st.column_config.NumberColumn("Units", format="localized", width=80),
            "trust": st.column_config.MultiselectColumn("", options=["○ Few"], color=["gray"], width=70),
        },
        note=f"{' · '.join(said)}. Failed and abandoned work costs, and is no outcome.",
    )


def _tenants(engine: CachedEngine, scope: Scope) -> None:
    found = tenants(engine, scope)
    if not found:
        return
    rows = pl.DataFrame(found).with_columns(pl.col("cost_usd").cast(pl.Float64))
    table(
        f"{found[0]['tenant']} costs the most of {len(found)} tenants"
        if len(found) > 1
        else f"{found[0]['tenant']} is the one tenant named",
        rows,
        "tenants",
        {
            "tenant": st.column_config.TextColumn("Tenant", width=150),
            "cost_usd": st.column_config.NumberColumn("Cost, $", format="%,.2f", width=84),
            "requests": st.column_config.NumberColumn("Requests", format="localized", width=80),
            "usd_per_1k": st.column_config.NumberColumn("Per 1k req., $", format="%,.2f", width=96),
        },
        most=6,
        note="Billed cost, allocated." if found[0]["basis"] == "billed" else "Estimated from traces and the price book.",
    )
