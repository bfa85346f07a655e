"""KPI 6, cost per 1,000 requests: the bill over requests, or an estimate from traces where no bill can tell."""

import numpy as np
import numpy.typing as npt
import polars as pl

from metrics import spend
from metrics.engines import Engine
from metrics.filters import Period, Scope
from metrics.kpi import Evidence, Kpi, Measurement

DIMENSIONS = ("system", "team", "environment")
RESAMPLES = 4000

BY_DAY = """
select cast(u.hour as date) as day, cast(sum(u.requests) as bigint) as requests, cast(sum(u.calls) as bigint) as calls,
       cast(sum(u.unpriced_calls) as bigint) as unpriced_calls, sum(u.cost_usd) as cost_usd
from usage_hour u where {where} group by 1 order by 1
"""

TRACED = """
select u.provider as provider, sum(u.cost_usd) as cost_usd from usage_hour u where {where} and u.provider is not null group by 1 order by 1
"""
BILLED = "select distinct c.provider as provider from ai_charges c where {where}"

CHARGES = """
select c.charge_period_start as day, c.provider as provider, c.model as model, c.token_class as token_class,
       c.charge_category as charge_category, c.system as system, c.usd_effective_cost as usd_effective_cost,
       c.charge_description as charge_description, c.invoice_id as invoice_id
from ai_charges c where {where} and c.provisional is not true order by c.usd_effective_cost desc
"""

ALLOCATIONS = """
select a.period as period, a.provider as provider, a.model as model, a.system as system, a.team as team, a.feature as feature,
       a.tenant as tenant, a.prompt_version as prompt_version, a.usd_cost as usd_cost, a.basis as basis
from allocations a where {where} order by a.usd_cost desc
"""

CALLS = """
select c.started_at as started_at, c.system as system, c.model as model, c.input_tokens as input_tokens, c.output_tokens as output_tokens,
       c.cost_usd as cost_usd, c.cost_status as cost_status, c.trace_id as trace_id
from calls c where {where} order by c.cost_usd desc
"""


def unit_cost(engine: Engine, scope: Scope) -> Measurement:
    """1,000 × effective cost of closed days over requests of all environments. A system or team bears the cost that was
    allocated to it. Where no bill tells the cost, calls are priced from the book; the note says which it is, and what the
    traced providers without a bill leave out."""
    closed = spend.closed_until(engine, scope)
    if closed is None:
        return _estimated(engine, scope)
    if scope.dimensions:
        allocated = spend.allocated(engine, scope) if closed == scope.period.end else None
        return _estimated(engine, scope) if allocated is None else _allocated(engine, scope, float(allocated))
    window = told(engine, scope)
    bills, traces = spend.effective_by_day(engine, window), _traces(engine, window)
    cost, unattributed, priced = (float(column.sum()) for column in (bills["cost_usd"], bills["unattributed_usd"], traces["cost_usd"]))
    requests = int(traces["requests"].sum())
    where, params = window.where("charge_period_start", only=(), prefix="c.")
    evidence = Evidence(CHARGES.format(where=where), params)
    if not requests:
        return Measurement(None, cost, 0, 0, state="NOT_APPLICABLE", note=f"${cost:,.2f} billed without requests: idle", evidence=evidence)
    notes = ["billed"]
    traced, silent = _without_a_bill(engine, window)
    if silent:
        notes.append(f"no bill of {', '.join(silent)}: ${sum(silent.values()):,.2f} at the price book is left out")
    if cost:
        notes.append(f"{unattributed / cost:.1%} unattributed")
    if cost and priced:
        notes.append(f"traces explain {priced / cost:.1%} of the bill")
    if closed < scope.period.end:
        notes.append(f"closed days up to {closed:%Y-%m-%d}")
    requests_of = dict(traces.select("day", "requests").rows())
    cost_of = dict(bills.select("day", "cost_usd").rows())
    days = sorted({*requests_of, *cost_of})
    return Measurement(
        float(1000 * cost / requests),
        float(cost),
        requests,
        requests,
        coverage=1 - sum(silent.values()) / traced if silent else None,
        note=" · ".join(notes),
        evidence=evidence,
        samples={"cost": [float(cost_of.get(day, 0)) for day in days], "requests": [requests_of.get(day, 0) for day in days]},
    )


def told(engine: Engine, scope: Scope) -> Scope:
    """The part of a scope whose cost `unit_cost` tells: of the whole company only the closed days of its bills."""
    closed = None if scope.dimensions else spend.closed_until(engine, scope)
    return scope if closed is None else scope.with_period(Period(scope.period.start, closed))


def _without_a_bill(engine: Engine, window: Scope) -> tuple[float, dict[str, float]]:
    """What all calls cost at the price book, and those of each provider that no charge of the window names."""
    where, params = window.where("hour", only=(), prefix="u.")
    traced = {provider: float(usd) for provider, usd in engine.query(TRACED.format(where=where), params).rows() if usd}
    where, params = window.where("charge_period_start", only=(), prefix="c.")
    billed = set(engine.query(BILLED.format(where=where), params)["provider"])
    return sum(traced.values()), {provider: usd for provider, usd in traced.items() if provider not in billed}


def _allocated(engine: Engine, scope: Scope, cost: float) -> Measurement:
    days = _traces(engine, scope)
    requests, traced = int(days["requests"].sum()), float(days["cost_usd"].sum())
    where, params = spend.allocated_where(scope)
    evidence = Evidence(ALLOCATIONS.format(where=where), params)
    if not requests:
        return Measurement(None, cost, 0, 0, state="NOT_APPLICABLE", note=f"${cost:,.2f} billed without requests: idle", evidence=evidence)
    by_day = [float(value or 0) * cost / traced for value in days["cost_usd"]] if traced else []  # the bill is not told by day
    return Measurement(
        1000 * cost / requests,
        cost,
        requests,
        requests,
        evidence=evidence,
        note=f"allocated from the bill · traces at the price book {traced / cost:.1%} of it" if cost else "allocated from the bill",
        samples={"cost": by_day, "requests": days["requests"].to_list()} if by_day else {},
    )


def _estimated(engine: Engine, scope: Scope) -> Measurement:
    days = _traces(engine, scope)
    where, params = scope.where("started_at", only=DIMENSIONS, prefix="c.")
    evidence = Evidence(CALLS.format(where=where), params)
    requests, calls, unpriced = (int(days[name].sum()) for name in ("requests", "calls", "unpriced_calls"))
    if not requests:
        return Measurement(None, None, 0, 0, state="NOT_APPLICABLE", note="No requests", evidence=evidence)
    known = days["cost_usd"].drop_nulls()
    if known.is_empty():
        return Measurement(
            None, None, requests, requests, state="NO_DATA", note="No bill, and no model with a known price", evidence=evidence
        )
    cost = float(known.sum())
    return Measurement(
        1000 * cost / requests,
        cost,
        requests,
        requests,
        coverage=1 - unpriced / calls,
        evidence=evidence,
        exclusions={"calls without a price": unpriced} if unpriced else {},
        note="estimated from traces and the price book",
        samples={"cost": [float(value or 0) for value in days["cost_usd"]], "requests": days["requests"].to_list()},
    )


def _traces(engine: Engine, scope: Scope) -> pl.DataFrame:
    where, params = scope.where("hour", only=DIMENSIONS, prefix="u.")
    return engine.query(BY_DAY.format(where=where), params)


def is_changed(before: Measurement, after: Measurement) -> bool:
    """Whether the difference of both ratios keeps its sign when whole days are drawn again (95 % bootstrap interval)."""
    if min(len(before.samples.get("cost", ())), len(after.samples.get("cost", ()))) < 5:
        return False
    chance = np.random.default_rng(6)
    low, high = np.quantile(_ratios(before, chance) - _ratios(after, chance), [0.025, 0.975])
    return bool(low > 0 or high < 0)


def _ratios(window: Measurement, chance: np.random.Generator) -> npt.NDArray[np.float64]:
    cost, requests = (np.asarray(window.samples[name]) for name in ("cost", "requests"))
    drawn = chance.integers(0, len(cost), (RESAMPLES, len(cost)))
    ratios: npt.NDArray[np.float64] = cost[drawn].sum(axis=1) / np.maximum(requests[drawn].sum(axis=1), 1)
    return ratios


KPIS = (
    Kpi(
        id="unit_cost",
        number=6,
        title="Cost per 1k requests",
        block="Reliability and cost",
        unit="usd",
        better="lower",
        needs=("usage_hour",),
        no_data="No cost and no traces",
        fills="OTLP traces and a provider's bill",
        definition="1,000 × effective cost of AI services (FOCUS EffectiveCost, closed days, tax and credits included) over requests of "
        "all environments; of a system or team the billed cost allocated to it. Without a bill calls are priced from the price book. "
        "A change counts when the 95 % bootstrap interval over days excludes zero.",
        dimensions=DIMENSIONS,
        measure=unit_cost,
        is_changed=is_changed,
        trend_by="week",
    ),
)
