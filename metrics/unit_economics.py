"""What a unit of work costs: a request, a conversation, a user action, a successful outcome, a tenant's request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from metrics import spend
from metrics.engines import Engine
from metrics.filters import Scope
from metrics.unit_cost import told, unit_cost

FEW = 30  # below this many units a ratio is low in confidence

CONVERSATIONS = """
select count(distinct c.conversation_id) as conversations,
       cast(sum(case when c.conversation_id is not null then 1 else 0 end) as bigint) as named,
       count(*) as calls
from calls c where {where}
"""
# Retried and failed actions cost, and are no outcome.
ACTIONS = """
select cast(sum(case when a.outcome in ('success', 'failure') then 1 else 0 end) as bigint) as completed,
       cast(sum(case when a.outcome = 'success' then 1 else 0 end) as bigint) as successes
from actions a where {where}
"""
TENANT_COSTS = "select a.tenant as tenant, sum(a.usd_cost) as cost_usd from allocations a where {where} and a.tenant is not null group by 1"
TENANT_USAGE = """
select u.tenant as tenant, cast(sum(u.requests) as bigint) as requests, sum(u.cost_usd) as cost_usd
from usage_hour u where {where} and u.tenant is not null group by 1
"""


@dataclass(frozen=True)
class UnitCost:
    """USD per unit; None where nothing tells the cost or the units. `note` says what the cost is and what is missing."""

    unit: str
    usd: float | None
    cost_usd: float | None
    units: int
    note: str

    @property
    def is_low_confidence(self) -> bool:
        return self.units < FEW


def unit_costs(engine: Engine, scope: Scope) -> Sequence[UnitCost]:
    """Cost per 1,000 requests, conversation, completed and successful action; all divide one and the same cost."""
    requests, scope = unit_cost(engine, scope), told(engine, scope)
    cost, basis = requests.numerator, requests.note
    where, params = scope.where("started_at", prefix="c.")
    talk = engine.query(CONVERSATIONS.format(where=where), params).row(0, named=True)
    where, params = scope.where("at", only=("system",), prefix="a.")
    done: dict[str, Any] = engine.query(ACTIONS.format(where=where), params).row(0, named=True)
    if set(scope.dimensions) - {"system"}:
        done = dict.fromkeys(done)
    partly = f"{talk['named'] / talk['calls']:.0%} of calls name a conversation" if talk["calls"] and talk["named"] < talk["calls"] else ""
    return [
        UnitCost("1,000 requests", requests.value, cost, requests.n or 0, basis),
        _per("conversation", cost, talk["conversations"], " · ".join(filter(None, [basis, partly]))),
        _per("completed action", cost, done["completed"], basis),
        _per("successful outcome", cost, done["successes"], basis),
    ]


def tenants(engine: Engine, scope: Scope) -> list[dict[str, Any]]:
    """tenant, cost_usd, requests, usd_per_1k and basis of each tenant, the costliest first: billed where the bills of the
    period are allocated, else estimated from its calls and the price book."""
    where, params = scope.where("hour", prefix="u.")
    usage = {tenant: (requests, usd) for tenant, requests, usd in engine.query(TENANT_USAGE.format(where=where), params).rows()}
    costs, basis = {tenant: usd for tenant, (_, usd) in usage.items()}, "estimated"
    if spend.closed_until(engine, scope) == scope.period.end and spend.allocated(engine, scope) is not None:
        where, params = spend.allocated_where(scope)
        costs, basis = dict(engine.query(TENANT_COSTS.format(where=where), params).rows()), "billed"
    found = [
        {
            "tenant": tenant,
            "cost_usd": usd,
            "requests": n,
            "usd_per_1k": float(1000 * usd / n) if usd is not None and n else None,
            "basis": basis,
        }
        for tenant, usd in costs.items()
        for n in [usage.get(tenant, (None, None))[0]]
    ]
    return sorted(found, key=lambda row: -(row["cost_usd"] or 0))


def _per(unit: str, cost: float | None, units: int | None, note: str) -> UnitCost:
    return UnitCost(unit, cost / units if cost is not None and units else None, cost, units or 0, note)
