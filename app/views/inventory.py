"""Inventory: what is registered, what traces and bills show in use, and everything known about one system."""

from datetime import timedelta
from functools import partial
from typing import Any

import polars as pl
import streamlit as st

from app import quantities, theme
from app.filterbar import toolbar
from app.panel import metric, table
from app.session import CachedEngine
from app.views import start, system
from metrics import inventory, scorecard
from metrics.filters import Scope
from metrics.kpi import KpiResult, kpis
from metrics.registers import valid

SYSTEMS = f"""
select s.system_id as system, s.name as name, s.risk_tier as tier, s.owner as owner, s.team as team, s.lifecycle as lifecycle,
       s.intended_purpose as purpose, s.personal_data as personal_data, s.eu_ai_act_class as eu_ai_act_class,
       s.last_reviewed_on as last_reviewed_on
from systems s where {valid("s")} order by s.risk_tier, s.name
"""
REQUESTS = """
select u.system as system, cast(u.hour as date) as day, cast(sum(u.requests) as bigint) as requests
from usage_hour u where u.hour >= $start and u.hour < $end and u.system is not null group by 1, 2
"""
BILLED = "select a.system as system, sum(a.usd_cost) as usd from allocations a where a.period >= $start and a.period < $end group by 1"
MODELS = f"""
select distinct m.system_id as system, m.name as name from inventory_items m
where {valid("m")} and m.kind = 'model' and coalesce(m.environment, 'default') in {inventory.PRODUCTION}
  and coalesce(m.lifecycle, '') <> 'retired' order by 1, 2
"""
FINDINGS = {
    "complete": "● Complete",
    "review expired": "▲ Review expired",
    "never reviewed": "▲ Never reviewed",
    "fields missing": "▲ Fields missing",
    "tier unknown": "▲ Tier unknown",
    "reviewed only later": "▲ Reviewed later",
    "retired, still in use": "■ Retired, in use",
    "not registered": "■ Not registered",
    "retired": "○ Retired",
    "nothing registered": "■ Nothing registered",
}
COLOURS = {"●": "blue", "▲": "orange", "■": "red", "○": "gray"}
DRIFT = {"watched": "● Watched", "few": "▲ Too little data", "none": "■ No", "not required": "○ Not required"}
NEXT = {"model": "Register it under a system, or stop the key", "prompt": "Register the prompt", "endpoint": "Register the endpoint"}


def page() -> None:
    engine = CachedEngine()
    scope = toolbar("Inventory", engine)
    if scope is None:
        start.page()
        return
    found, _ = inventory.items(engine, scope)
    systems = engine.query(SYSTEMS, {"end": scope.period.end})
    if systems.is_empty() and found.is_empty():
        st.info("No register is loaded. `spanledger load systems.csv models.csv` fills this page; so do Backstage, CycloneDX and MLflow.")
        return
    st.caption(
        f"Production items as of {quantities.day_of_year(scope.period.end)} · compared with {inventory.seen_in_traces(found).height} items "
        f"in traces and {inventory.seen_in_bills(found).height} in bills of {quantities.days(scope.period.start, scope.period.end)}"
    )
    _metrics(engine, scope, found)
    chosen = scope.dimensions.get("system")
    if chosen in systems["system"].to_list():
        system.section(engine, scope, systems.filter(pl.col("system") == chosen).row(0, named=True), found)
        return
    _systems(engine, scope, systems, found)
    _lists(found)


def _metrics(engine: CachedEngine, scope: Scope, found: pl.DataFrame) -> None:
    result = scorecard.evaluate(engine, kpis()["inventory_completeness"], scope)
    shadow, incomplete, zombie = inventory.shadow(found), inventory.incomplete(found), inventory.zombie(found)
    grid = st.grid("auto", min_column_width=240, gap="small")

    card = partial(metric, grid)
    look = theme.STATUSES[result.status]
    card(
        "Inventory completeness",
        quantities.percent(result.value),
        f"{look.glyph} {look.word}",
        f"target {quantities.target_words(result.target, result.direction, 'share')}" if result.target is not None else result.note,
        look.colour if look.colour != "gray" else "off",
    )
    billed = shadow["billed_usd"].drop_nulls().sum()
    card(
        "Not registered",
        str(shadow.height),
        quantities.money_cents(billed) if billed else None,
        "billed in the window" if billed else "in use without a register row",
        "orange" if shadow.height else "off",
    )
    card(
        "Registered, incomplete",
        str(incomplete.height),
        f"{zombie.height} retired, in use" if zombie.height else None,
        "fields or review",
        "orange" if incomplete.height + zombie.height else "off",
    )
    expected = inventory.expected(found)
    both = found.filter(pl.col("in_traces") == 1, pl.col("in_bills") == 1).height
    card(
        "Models to expect",
        f"{expected:,.1f}" if expected is not None else quantities.UNKNOWN,
        f"{both} in traces and bills",
        "Chapman",
    )


def _systems(engine: CachedEngine, scope: Scope, systems: pl.DataFrame, found: pl.DataFrame) -> None:
    window = {"start": scope.period.start, "end": scope.period.end}
    billed = dict(engine.query(BILLED, {name: moment.date() for name, moment in window.items()}).rows())
    since = scope.period.end - timedelta(days=28)
    requests = engine.query(REQUESTS, {"start": since, "end": scope.period.end})
    days = [(since + timedelta(days=number)).date() for number in range(28)]
    listed_models: dict[str, list[str]] = {}
    for owner, name in engine.query(MODELS, {"end": scope.period.end}).rows():
        listed_models.setdefault(owner, []).append(name)
    ready, reviewed, watched = (
        scorecard.breakdown(engine, kpis()[name], scope, "system", systems["system"].to_list())
        for name in ("production_readiness", "review_pass_rate", "drift_coverage")
    )
    shown = []
    for row in systems.iter_rows(named=True):
        own = found.filter(pl.col("system") == row["system"])
        listed = inventory.registered(own)
        by_day = dict(requests.filter(pl.col("system") == row["system"]).select("day", "requests").rows())
        models = listed_models.get(row["system"], [])
        worst = own.sort("verdict")["finding"].to_list()
        shown.append(
            {
                "system": row["name"] or row["system"],
                "tier": row["tier"],
                "owner": row["owner"],
                "models": ", ".join(models[:1]) + (f", +{len(models) - 1}" if len(models) > 1 else ""),
                "inventory": [FINDINGS.get(worst[0], worst[0]) if worst else FINDINGS["nothing registered"]],
                "items": f"{listed.filter(pl.col('finding') == 'complete').height} of {listed.height}",
                "drift": [DRIFT[_watched(watched[row["system"]], row["tier"])]],
                "ready": _of(ready[row["system"]]),
                "passed": _of(reviewed[row["system"]]),
                "reviewed": row["last_reviewed_on"],
                "billed": float(billed[row["system"]]) if row["system"] in billed else None,
                "requests": [float(by_day.get(day, 0)) for day in days],
            }
        )
    needing = sum(row["inventory"][0][0] in "▲■" for row in shown)
    words = f"{len(shown)} systems, {inventory.registered(found).height} registered items; {needing} systems need work"
    table(
        words,
        pl.DataFrame(shown, infer_schema_length=None),
        "systems",
        {
            "system": st.column_config.TextColumn("System", width=140),
            "tier": st.column_config.NumberColumn("Tier", width=40),
            "owner": st.column_config.TextColumn("Owner", width=96),
            "models": st.column_config.TextColumn("Models", width=110),
            "inventory": _chips("Inventory", list(FINDINGS.values()), 130),
            "items": st.column_config.TextColumn("Complete", width=66),
            "drift": _chips("Drift detection", list(DRIFT.values()), 112),
            "ready": st.column_config.TextColumn("Ready", width=58, help="Production releases of the window that met their checklist"),
            "passed": st.column_config.TextColumn(
                "Reviews", width=62, help="Designs of the window that passed security and privacy at once"
            ),
            "reviewed": st.column_config.DateColumn("Last review", format="D MMM YYYY", width=88),
            "billed": st.column_config.NumberColumn("Billed, $", format="%,.2f", width=66),
            "requests": st.column_config.BarChartColumn("28 days", color="gray", width=90, help="Requests of the last 28 days"),
        },
        note="Choose a system above for everything that is known about it.",
    )


def _watched(result: KpiResult, tier: int | None) -> str:
    """What KPI 11 says of a system: watched, too little data, or nothing to compare with."""
    if tier != 1:
        return "not required"
    return "watched" if result.value else "few" if "too few" in result.note else "none"


def _chips(title: str, options: list[str], width: int) -> Any:
    return st.column_config.MultiselectColumn(title, options=options, color=[COLOURS[words[0]] for words in options], width=width)


def _lists(found: pl.DataFrame) -> None:
    _list("Shadow list: in use, not registered", inventory.shadow(found), "shadow")
    _list("Zombie list: retired, still in use", inventory.zombie(found), "zombie")
    _list("Registered, not seen in traces or bills", inventory.unseen(found), "unseen")
    _list("Orphan list: no owner, nor has the system one", inventory.orphan(found), "orphan")


def _of(result: KpiResult) -> str | None:
    return f"{result.numerator:,.0f} of {result.denominator:,.0f}" if result.value is not None else None


def _list(title: str, found: pl.DataFrame, key: str) -> None:
    if found.is_empty():
        return
    shown = found.with_columns(
        pl.col("provider").map_elements(lambda name: theme.provider(name).name if name else "", pl.String),
        pl.col("billed_usd").cast(pl.Float64),
        where=pl.concat_list(
            pl.when(pl.col("in_traces") == 1).then(pl.lit("Traces")), pl.when(pl.col("in_bills") == 1).then(pl.lit("Bill"))
        ).list.drop_nulls(),
        evidence=pl.coalesce("service", "project", "system"),
        step=pl.col("kind").replace_strict(NEXT, default=None),
    )
    table(
        f"{title}: {found.height}",
        shown,
        key,
        {
            "name": st.column_config.TextColumn("Item", width=190),
            "kind": st.column_config.TextColumn("Kind", width=80),
            "provider": st.column_config.TextColumn("Provider", width=110),
            "where": st.column_config.MultiselectColumn("Seen in", options=["Traces", "Bill"], color=["gray", "gray"], width=110),
            "evidence": st.column_config.TextColumn("Service, project or system", width=190),
            "first_seen_at": st.column_config.DatetimeColumn("First seen", format="D MMM YYYY", width=96),
            "calls": st.column_config.NumberColumn("Calls", format="localized", width=70),
            "billed_usd": st.column_config.NumberColumn("Billed, $", format="%,.2f", width=80),
            **({"step": st.column_config.TextColumn("Next step", width=230)} if key == "shadow" else {}),
        },
        most=6,
    )
