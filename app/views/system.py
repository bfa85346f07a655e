"""One system: its register row, its scorecard, its lineage, and what happened to it."""

from typing import Any

import polars as pl
import streamlit as st

from app import cards, quantities, rows
from app.lineage_chart import lineage
from app.panel import chart, mode
from app.session import CachedEngine
from metrics import incidents, inventory, objectives, scorecard
from metrics.drift_verdicts import verdicts
from metrics.filters import Scope
from metrics.registers import valid

DEPENDENCIES = f"""
select m.item_id as item, m.kind as kind, m.name as name, m.system_id as system, m.base_model as base_model,
       m.depends_on as depends_on
from inventory_items m where {valid("m")} and m.system_id = $system order by 2, 3
"""


def section(engine: CachedEngine, scope: Scope, system: dict[str, Any], found: pl.DataFrame) -> None:
    """Everything known about one system: its register row, its scorecard, its lineage, its drifts and its incidents."""
    left, right = st.columns([1, 2.1], gap="small")
    with left, st.container(border=True, height="stretch"):
        facts = [
            ("System", system["name"]),
            ("Owner", system["owner"]),
            ("Team", system["team"]),
            ("Risk tier", system["tier"]),
            ("Lifecycle", system["lifecycle"]),
            ("Purpose", system["purpose"]),
            ("Personal data", system["personal_data"]),
            ("EU AI Act", system["eu_ai_act_class"]),
            ("Last review", quantities.day_of_year(system["last_reviewed_on"]) if system["last_reviewed_on"] else None),
        ]
        st.html(
            cards.block(cards.facts([(name, str(value)) if value is not None else (name, quantities.UNKNOWN) for name, value in facts]))
        )
    with right, st.container(border=True, height="stretch"):
        results = [result for result in scorecard.scorecard(engine, scope) if result.state not in ("NO_DATA", "NOT_APPLICABLE")]
        query = dict(st.query_params)
        st.html(
            cards.block(
                cards.scorecard(
                    {"Scorecard of the system": [rows.scorecard_row(result, [], False, query) for result in results]}, "Change", ""
                )
            )
        )
    items = engine.query(DEPENDENCIES, {"system": system["system"], "end": scope.period.end})
    own = inventory.registered(found)
    chart(
        f"{system['name']} rests on {items.height} registered items",
        lineage(system["name"] or system["system"], items, mode()),
        own.drop("register_rows", strict=False),
        "lineage",
        "From the register: the system, its models, prompts, indexes and data sets, and what these are made from.",
        has_switch=False,
    )
    drifts = [verdict for verdict in verdicts(engine, scope) if verdict.state == "DRIFT"]
    happened = incidents.timeline(engine, scope)
    words = [
        (f"{verdict.signal.replace('_', ' ')} drifted since {quantities.day(verdict.first_day)}", "; ".join(verdict.moved[:1]))
        for verdict in drifts
    ]
    words += [
        (row["title"], f"{row['incident_id']}, severity {row['severity']}, {quantities.day(row['started_at'])}")
        for row in happened.head(4).iter_rows(named=True)
    ]
    words += [
        (f"Error budget of {budget.objective.kind} used {budget.used:.0%}", f"{budget.bad:,} bad of {budget.valid:,}")
        for budget in objectives.budgets(engine, scope)
        if budget.used is not None and budget.used > 1
    ]
    with st.container(border=True):
        st.html(cards.block(cards.findings("Drifts, incidents and broken promises of the window", words or [("None", "")])))
