"""The showback as a FOCUS 1.2 dataset: one row for what a party bears of one issuer's invoice of one month, in cents.

BilledCost is exact. What the allocations do not say is not made up: a share has no unit price, no SKU and no measured usage, so
those columns are absent; the other costs are told per party only as far as the bill tells them (`ChargeDescription` says how).
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import polars as pl

from metrics.engines import Engine
from metrics.showback import CENT, PARTY, Share, Showback, to_cents

MONEY, TIME = pl.Decimal(24, 2), pl.Datetime("us", "UTC")
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "BilledCost": MONEY,
    "BillingAccountId": pl.String,
    "BillingAccountName": pl.String,
    "BillingCurrency": pl.String,
    "BillingPeriodEnd": TIME,
    "BillingPeriodStart": TIME,
    "ChargeCategory": pl.String,
    "ChargeClass": pl.String,
    "ChargeDescription": pl.String,
    "ChargePeriodEnd": TIME,
    "ChargePeriodStart": TIME,
    "ContractedCost": MONEY,
    "EffectiveCost": MONEY,
    "InvoiceIssuerName": pl.String,
    "ListCost": MONEY,
    "PricingQuantity": pl.Decimal(24, 12),
    "PricingUnit": pl.String,
    "ProviderName": pl.String,
    "PublisherName": pl.String,
    "ServiceCategory": pl.String,
    "ServiceName": pl.String,
    "Tags": pl.String,
}
MEASURES = {"EffectiveCost": "effective", "ContractedCost": "contracted", "ListCost": "list"}
SUFFIXES = (".csv", ".parquet")
SERVICES = "AI services"

# What the bills of an issuer say of a month beyond the billed cost, each with the number of lines that say it in dollars.
BILLS = """
select cast(date_trunc('month', c.charge_period_start) as date) as period, coalesce(c.invoice_issuer_name, c.provider) as issuer,
       count(*) as n, sum(c.usd_effective_cost) as effective, count(c.usd_effective_cost) as effective_n,
       sum(case when c.billing_currency = 'USD' then c.contracted_cost end) as contracted,
       count(case when c.billing_currency = 'USD' then c.contracted_cost end) as contracted_n,
       sum(case when c.billing_currency = 'USD' then c.list_cost end) as list,
       count(case when c.billing_currency = 'USD' then c.list_cost end) as list_n,
       min(c.billing_account_id) as account, max(c.billing_account_id) as last_account, count(c.billing_account_id) as account_n,
       min(c.service_name) as service, max(c.service_name) as last_service, count(c.service_name) as service_n
from ai_charges c where c.charge_period_start >= $start and c.charge_period_start < $end and c.usd_billed_cost is not null group by 1, 2
"""


@dataclass(frozen=True)
class Costs:
    """One kind of cost for each party of an invoice, and how it came about where it is not the bill's own."""

    shares: Mapping[int, Decimal]
    words: str


def focus(engine: Engine, found: Showback) -> pl.DataFrame:
    """The rows of a showback, one a share, with all mandatory columns of FOCUS 1.2."""
    if not found.shares:
        return pl.DataFrame(schema=SCHEMA)
    first, last = min(share.period for share in found.shares), max(share.period for share in found.shares)
    window = {"start": _midnight(first), "end": _next_month(last)}
    bills = {(row["period"], row["issuer"]): row for row in engine.query(BILLS, window).to_dicts()}
    invoices: dict[tuple[date, str], list[Share]] = {}
    for share in found.shares:
        invoices.setdefault((share.period, share.issuer), []).append(share)
    rows = [row for invoice, shares in invoices.items() for row in _invoice(shares, bills.get(invoice, {}))]
    return pl.DataFrame(rows, SCHEMA, orient="row")


def write(frame: pl.DataFrame, path: Path) -> None:
    """The dataset as CSV or Parquet, by the name of the file, which is there whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    if path.suffix.lower() == ".parquet":
        frame.write_parquet(part)
    else:
        frame.write_csv(part, datetime_format="%Y-%m-%dT%H:%M:%SZ")
    os.replace(part, path)


def _invoice(shares: list[Share], bill: Mapping[str, Any]) -> list[dict[str, Any]]:
    costs = {name: _costs(shares, bill, key) for name, key in MEASURES.items()}
    said = "; ".join(f"{name} {kind.words}" for name, kind in costs.items() if kind.words)
    start, end = _midnight(shares[0].period), _next_month(shares[0].period)
    # An issuer without a name is one whose bills name neither issuer nor provider.
    issuer = shares[0].issuer or "Unknown"
    return [
        {
            "BilledCost": share.usd_cost,
            # Shares are not told apart by account: of several, the issuer's name stands for all that it bills.
            "BillingAccountId": _the_only(bill, "account") or issuer,
            "BillingCurrency": "USD",
            "BillingPeriodStart": start,
            "BillingPeriodEnd": end,
            # A party's share of tax and credits is in its cost and cannot be told from it, so the whole is usage.
            "ChargeCategory": "Usage",
            "ChargeDescription": f"Share of {issuer}, {start:%Y-%m}" + (f". {said}" if said else ""),
            "ChargePeriodStart": start,
            "ChargePeriodEnd": end,
            **{name: kind.shares[number] for name, kind in costs.items()},
            # Who invoices also provides, as far as the showback knows; a provider of another name would have to be billed 0.
            "InvoiceIssuerName": issuer,
            "ProviderName": issuer,
            "PublisherName": issuer,
            # Usage needs a quantity: a share is priced as one.
            "PricingQuantity": Decimal(1),
            "PricingUnit": "Units",
            "ServiceCategory": "AI and Machine Learning",
            "ServiceName": _the_only(bill, "service") or SERVICES,
            "Tags": json.dumps({name: share.party[name] for name in PARTY if share.party[name] is not None}, ensure_ascii=False),
        }
        for number, share in enumerate(shares)
    ]


def _costs(shares: list[Share], bill: Mapping[str, Any], key: str) -> Costs:
    """A kind of cost for each share: the billed cost where both agree for the invoice, else the invoice's own in proportion.

    The rules allow no null here, so a cost that the bill does not tell is the billed one, and the words say so.
    """
    billed = {number: share.usd_cost for number, share in enumerate(shares)}
    whole = sum(billed.values(), Decimal(0))
    if not bill or bill[f"{key}_n"] != bill["n"]:
        return Costs(billed, "is not on every line of the bill: the billed cost")
    total = Decimal(bill[key]).quantize(CENT, ROUND_HALF_EVEN)
    if total == whole:
        return Costs(billed, "")
    if not whole:
        return Costs(billed, f"is {total} for the invoice and has no billed cost to follow: the billed cost")
    exact = {number: total * cost / whole for number, cost in billed.items()}
    return Costs(to_cents(total, exact), "follows the billed cost")


def _the_only(bill: Mapping[str, Any], name: str) -> str | None:
    """What every line of a bill says alike."""
    if not bill or bill[f"{name}_n"] != bill["n"] or bill[name] != bill[f"last_{name}"]:
        return None
    return str(bill[name])


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


def _next_month(day: date) -> datetime:
    return datetime(day.year + day.month // 12, day.month % 12 + 1, 1)
