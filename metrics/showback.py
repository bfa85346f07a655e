"""Showback: the invoice handed on to teams, systems, features, tenants and prompt versions, to the cent."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any, TypeVar

from metrics.engines import Engine
from metrics.filters import Period

CENT = Decimal("0.01")
PARTY = ("system", "team", "feature", "tenant", "prompt_version", "cost_center")

# What is no other category of FOCUS is usage.
CATEGORY = "case when {0} in ('Purchase', 'Tax', 'Credit', 'Adjustment') then {0} else 'Usage' end"
ALLOCATED = f"""
select a.period as period, coalesce(a.invoice_issuer_name, a.provider) as issuer, a.system as system, a.team as team, a.feature as feature,
       a.tenant as tenant, a.prompt_version as prompt_version, a.cost_center as cost_center,
       {CATEGORY.format("a.charge_category")} as charge_category, sum(a.usd_cost) as usd_cost
from allocations a where a.period >= $start and a.period < $end
group by 1, 2, 3, 4, 5, 6, 7, 8, 9 order by 1, 2, 3, 4, 5, 6, 7, 8, 9
"""

Name = TypeVar("Name")


@dataclass(frozen=True)
class Share:
    """What a party bears of one issuer's invoice of one month, in whole cents, and of which charge categories it is."""

    period: date
    issuer: str
    party: Mapping[str, str | None]
    usd_cost: Decimal
    by_category: Mapping[str, Decimal]


@dataclass(frozen=True)
class Showback:
    """All shares, and per invoice what rounding it to cents leaves over; both together are what was billed, exactly."""

    shares: Sequence[Share]
    rounding_usd: Mapping[tuple[date, str], Decimal]

    @property
    def total_usd(self) -> Decimal:
        return sum((share.usd_cost for share in self.shares), Decimal(0))

    def by(self, *names: str) -> list[dict[str, Any]]:
        """The cost of each combination of party names (and of `issuer` or `period`), the largest first."""
        found: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
        for share in self.shares:
            found[tuple(getattr(share, name, None) if name in ("issuer", "period") else share.party[name] for name in names)] += (
                share.usd_cost
            )
        rows = [{**dict(zip(names, key, strict=True)), "usd_cost": cost} for key, cost in found.items()]
        return sorted(rows, key=lambda row: (-row["usd_cost"], [str(row[name] or "") for name in names]))


def showback(engine: Engine, period: Period) -> Showback:
    """The allocations of whole months, in cents: rounded once, on the full set of (period, issuer, party)."""
    rows = engine.query(ALLOCATED, {"start": period.start.date(), "end": period.end.date()}).to_dicts()
    invoices: dict[tuple[date, str], dict[tuple[str | None, ...], dict[str, Decimal]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        invoices[row["period"], row["issuer"]][tuple(row[name] for name in PARTY)][row["charge_category"]] = row["usd_cost"]
    shares, rounding = [], {}
    for (month, issuer), parties in invoices.items():
        whole = {party: sum(categories.values(), Decimal(0)) for party, categories in parties.items()}
        exact = sum(whole.values(), Decimal(0))
        rounded = exact.quantize(CENT, ROUND_HALF_EVEN)
        rounding[month, issuer] = exact - rounded
        for party, usd in to_cents(rounded, whole).items():
            shares.append(Share(month, issuer, dict(zip(PARTY, party, strict=True)), usd, to_cents(usd, parties[party])))
    return Showback(shares, rounding)


def to_cents(total_usd: Decimal, exact: Mapping[Name, Decimal]) -> dict[Name, Decimal]:
    """Amounts as whole cents that add up to a total: largest remainder, ties in the order given.

    Every amount is rounded down (of a negative one: away from zero), and the missing cents go to the largest fractions.
    """
    floors = {name: amount.quantize(CENT, ROUND_FLOOR) for name, amount in exact.items()}
    missing = int((total_usd - sum(floors.values(), Decimal(0))) / CENT)
    largest = sorted(exact, key=lambda name: exact[name] - floors[name], reverse=True)
    lucky = set(largest[:missing])
    return {name: floor + (CENT if name in lucky else 0) for name, floor in floors.items()}
