"""Spend: what was billed, or where no bill is loaded what the traces cost at list price, by day, provider, model and system."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import polars as pl

from metrics.engines import Engine
from metrics.filters import Scope

Basis = Literal["billed", "traced"]

# What bills can be filtered by; they do not know environments.
BILL_DIMENSIONS = ("system", "team", "provider", "model")
# What allocations can be filtered by.
ALLOCATED_DIMENSIONS = ("system", "team")
# A provider without charges for this long before the newest ones is taken as no longer used, not as late.
LAPSED = timedelta(days=7)

LAST_CHARGES = """
select c.provider as provider, max(c.charge_period_start) as last_start from ai_charges c
where c.charge_category = 'Usage' and c.provisional is not true and c.charge_period_start >= $start and c.charge_period_start < $end
group by 1
"""

# Cost by day and every dimension; `kind` tells usage from tax, credits and fees.
LINES: dict[Basis, str] = {
    "billed": """
        select cast(c.charge_period_start as date) as day, c.provider as provider, c.model as model, c.system as system, c.team as team,
               case when c.charge_category = 'Usage' then 'usage' else 'other' end as kind, sum(c.usd_billed_cost) as cost_usd
        from ai_charges c where {where} group by 1, 2, 3, 4, 5, 6""",
    "traced": """
        select cast(u.hour as date) as day, u.provider as provider, u.model as model, u.system as system, u.team as team,
               'usage' as kind, sum(u.cost_usd) as cost_usd
        from usage_hour u where {where} group by 1, 2, 3, 4, 5, 6""",
}
TIME: dict[Basis, str] = {"billed": "charge_period_start", "traced": "hour"}

EFFECTIVE = """
select cast(c.charge_period_start as date) as day, sum(c.usd_effective_cost) as cost_usd,
       sum(case when c.system is null then c.usd_effective_cost else 0 end) as unattributed_usd
from ai_charges c where {where} and c.provisional is not true group by 1 order by 1
"""

REQUESTS = "select u.system as system, cast(sum(u.requests) as bigint) as requests from usage_hour u where {where} group by 1"


@dataclass(frozen=True)
class Spend:
    """Cost lines (day, provider, model, system, team, kind, cost_usd) of a scope, and whether they are billed or traced."""

    basis: Basis
    lines: pl.DataFrame

    @property
    def total_usd(self) -> Decimal | None:
        """The sum of all lines; every breakdown of them adds up to it."""
        known = self.lines["cost_usd"].drop_nulls()
        return Decimal(known.sum()) if known.len() else None

    @property
    def other_usd(self) -> Decimal:
        """Tax, credits and fees, which belong to no model."""
        return Decimal(self.lines.filter(pl.col("kind") == "other")["cost_usd"].sum())

    def by_day(self) -> pl.DataFrame:
        """day, provider, model, cost_usd of usage."""
        usage = self.lines.filter(pl.col("kind") == "usage")
        return usage.group_by("day", "provider", "model").agg(_sum("cost_usd")).sort("day", "provider", "model")

    def by(self, name: str) -> pl.DataFrame:
        """A dimension's values with cost_usd, largest first; NULL is what no rule maps."""
        return self.lines.group_by(name).agg(_sum("cost_usd")).sort("cost_usd", descending=True, nulls_last=True)


def basis(engine: Engine, scope: Scope) -> Basis:
    """Billed where the window has charges and bills know the filters, else traced."""
    if scope.unsupported(BILL_DIMENSIONS):
        return "traced"
    where, params = scope.with_dimensions({}).where("charge_period_start", prefix="c.")
    return "billed" if engine.query(f"select count(*) as n from ai_charges c where {where}", params)["n"][0] else "traced"


def spend(engine: Engine, scope: Scope, on: Basis | None = None) -> Spend:
    """The cost lines of a scope; `on` asks for one basis, so that two windows compare like with like."""
    chosen = on or basis(engine, scope)
    where, params = scope.where(TIME[chosen], prefix="c." if chosen == "billed" else "u.")
    return Spend(chosen, engine.query(LINES[chosen].format(where=where), params))


def closed_until(engine: Engine, scope: Scope) -> datetime | None:
    """The end of the days for which every provider in use has sent its charges; None without charges in the window."""
    rows = engine.query(LAST_CHARGES, {"start": scope.period.start, "end": scope.period.end})
    if rows.is_empty():
        return None
    last_starts: list[datetime] = rows["last_start"].to_list()
    late = min(start for start in last_starts if start >= max(last_starts) - LAPSED)
    day_after = datetime(late.year, late.month, late.day) + timedelta(days=1)
    return min(day_after, scope.period.end)


def effective_by_day(engine: Engine, scope: Scope) -> pl.DataFrame:
    """day, cost_usd, unattributed_usd: FOCUS EffectiveCost of AI services, tax and credits included."""
    where, params = scope.where("charge_period_start", only=BILL_DIMENSIONS, prefix="c.")
    return engine.query(EFFECTIVE.format(where=where), params)


def allocated(engine: Engine, scope: Scope) -> Decimal | None:
    """The billed cost handed on to a system or team in whole months; None where allocations do not tell it."""
    if scope.unsupported(ALLOCATED_DIMENSIONS) or not scope.period.is_whole_months:
        return None
    where, params = allocated_where(scope)
    found = engine.query(f"select sum(a.usd_cost) as cost_usd from allocations a where {where}", params)["cost_usd"][0]
    return None if found is None else Decimal(found)


def allocated_where(scope: Scope) -> tuple[str, dict[str, Any]]:
    """A condition over `allocations a`, whose periods are months."""
    return scope.where("period", only=ALLOCATED_DIMENSIONS, prefix="a.")


def movers(engine: Engine, scope: Scope, now: Spend) -> list[dict[str, Any]]:
    """One row per system: cost, share, change against the window before, requests and cost per 1,000, its last 28 days."""
    before_scope = scope.with_period(scope.period.previous())
    before = spend(engine, before_scope, now.basis)
    has_before = before.total_usd is not None
    earlier = dict(before.by("system").rows())
    where, params = scope.where("hour", prefix="u.")
    requests = dict(engine.query(REQUESTS.format(where=where), params).rows())
    teams = {row["system"]: row["team"] for row in now.lines.select("system", "team").unique().sort("team").iter_rows(named=True)}
    current = dict(now.by("system").rows())
    total = now.total_usd
    rows = []
    for system in [*current, *(name for name in earlier if name not in current)]:
        cost, was = current.get(system), earlier.get(system)
        change = (cost or Decimal(0)) - (was or Decimal(0)) if has_before else None
        count = requests.get(system)
        rows.append(
            {
                "system": system,
                "team": teams.get(system),
                "cost_usd": cost,
                "share": float(cost / total) if cost is not None and total else None,
                "change_usd": change,
                "change_share": float(change / was) if change is not None and was else None,
                "requests": count,
                "per_1k_usd": float(1000 * cost / count) if cost is not None and count else None,
                "days": _last_days(now.lines, scope, system),
            }
        )
    return sorted(rows, key=lambda row: (row["system"] is None, -abs(row["change_usd"] or row["cost_usd"] or 0)))


def _last_days(lines: pl.DataFrame, scope: Scope, system: str | None, days: int = 28) -> list[float]:
    own = dict(
        lines.filter(pl.col("system").eq_missing(pl.lit(system)), pl.col("kind") == "usage").group_by("day").agg(_sum("cost_usd")).rows()
    )
    last = scope.period.end.date()
    wanted = [last - timedelta(days=back) for back in range(min(days, scope.period.days), 0, -1)]
    return [float(own.get(day) or 0) for day in wanted]


def _sum(name: str) -> pl.Expr:
    """A sum that stays unknown where nothing is known."""
    return pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)
