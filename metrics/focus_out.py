"""The showback as a FOCUS 1.2 dataset: what a party bears of one issuer's invoice of one month, a row per charge category, in cents.

BilledCost is exact. What the allocations do not say is not made up: a share has no unit price, no SKU and no measured usage, so
those columns are absent; the other costs are told per party only as far as the bill tells them (`ChargeDescription` says how).
`x_SpanledgerShowback` names the issuer in the words of the ledger and tells the collector of FOCUS files whose money this is.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from metrics.engines import Engine
from metrics.showback import CATEGORY, CENT, PARTY, Share, Showback, to_cents

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
    "x_SpanledgerShowback": pl.String,
}
MEASURES = {"EffectiveCost": "effective", "ContractedCost": "contracted", "ListCost": "list"}
SUFFIXES = (".csv", ".parquet")
SERVICES = "AI services"

# What the bills of an issuer say of a month and category beside the billed cost, each with the number of lines that say it in dollars.
BILLS = f"""
select cast(date_trunc('month', c.charge_period_start) as date) as period,
       coalesce(c.invoice_issuer_name, c.provider_name, c.provider) as issuer,
       {CATEGORY.format("c.charge_category")} as category, count(*) as n, sum(c.usd_billed_cost) as billed,
       sum(c.usd_effective_cost) as effective, count(c.usd_effective_cost) as effective_n,
       sum(case when c.billing_currency = 'USD' then c.contracted_cost end) as contracted,
       count(case when c.billing_currency = 'USD' then c.contracted_cost end) as contracted_n,
       sum(case when c.billing_currency = 'USD' then c.list_cost end) as list,
       count(case when c.billing_currency = 'USD' then c.list_cost end) as list_n,
       min(c.billing_account_id) as account, max(c.billing_account_id) as last_account, count(c.billing_account_id) as account_n,
       min(c.service_name) as service, max(c.service_name) as last_service, count(c.service_name) as service_n
from ai_charges c where c.charge_period_start >= $start and c.charge_period_start < $end and c.usd_billed_cost is not null group by 1, 2, 3
"""


class Part(NamedTuple):
    """A party's share of the charges of one category."""

    share: Share
    usd: Decimal


@dataclass(frozen=True)
class Costs:
    """One kind of cost for each part of an invoice, and how it came about where it is not the bill's own."""

    parts: Mapping[int, Decimal]
    words: str


def focus(engine: Engine, found: Showback) -> pl.DataFrame:
    """The rows of a showback, one for each category of a share, with all mandatory columns of FOCUS 1.2."""
    if not found.shares:
        return pl.DataFrame(schema=SCHEMA)
    first, last = min(share.period for share in found.shares), max(share.period for share in found.shares)
    window = {"start": _midnight(first), "end": _next_month(last)}
    bills = {(row["period"], row["issuer"], row["category"]): row for row in engine.query(BILLS, window).to_dicts()}
    invoices: dict[tuple[date, str, str], list[Part]] = {}
    for share in found.shares:
        worth = [category for category, usd in share.by_category.items() if usd] or [*share.by_category][:1]
        for category in worth:
            usd = share.by_category[category]
            invoices.setdefault((share.period, share.issuer, category), []).append(Part(share, usd))
    rows = [row for invoice, parts in invoices.items() for row in _invoice(parts, invoice[2], bills.get(invoice, {}))]
    return pl.DataFrame(rows, SCHEMA, orient="row")


def write(frame: pl.DataFrame, path: Path) -> None:
    """The dataset as CSV or Parquet, by the name of the file, which is there whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    if path.suffix.lower() == ".parquet":
        frame.write_parquet(part)
    else:
        frame.write_csv(part, datetime_format="%Y-%m-%dT%H:%M:%SZ")
    os.replace(part, path)


def _invoice(parts: list[Part], category: str, bill: Mapping[str, Any]) -> list[dict[str, Any]]:
    costs = {name: _costs(parts, bill, key) for name, key in MEASURES.items()}
    said = "; ".join(f"{name} {kind.words}" for name, kind in costs.items() if kind.words)
    share = parts[0].share
    start, end = _midnight(share.period), _next_month(share.period)
    # An issuer without a name is one whose bills name neither issuer nor provider.
    issuer = share.issuer or "Unknown"
    # FOCUS has no effective cost on a purchase; one that has it pays for what was used in its own month.
    if category == "Purchase" and any(costs["EffectiveCost"].parts.values()):
        category = "Usage"
    what = "Share" if category == "Usage" else f"Share of {category.lower()}"
    # A share is priced as one unit; tax has no quantity.
    quantity, unit = (None, None) if category == "Tax" else (Decimal(1), "Units")
    return [
        {
            "BilledCost": part.usd,
            # Shares are not told apart by account: of several, the issuer's name stands for all that it bills.
            "BillingAccountId": _the_only(bill, "account") or issuer,
            "BillingCurrency": "USD",
            "BillingPeriodStart": start,
            "BillingPeriodEnd": end,
            "ChargeCategory": category,
            "ChargeDescription": f"{what} of {issuer}, {start:%Y-%m}" + (f". {said}" if said else ""),
            "ChargePeriodStart": start,
            "ChargePeriodEnd": end,
            **{name: kind.parts[number] for name, kind in costs.items()},
            # Who invoices also provides, as far as the showback knows; a provider of another name would have to be billed 0.
            "InvoiceIssuerName": issuer,
            "ProviderName": issuer,
            "PublisherName": issuer,
            "PricingQuantity": quantity,
            "PricingUnit": unit,
            "ServiceCategory": "AI and Machine Learning",
            "ServiceName": _the_only(bill, "service") or SERVICES,
            "Tags": json.dumps({name: part.share.party[name] for name in PARTY if part.share.party[name] is not None}, ensure_ascii=False),
            "x_SpanledgerShowback": issuer,
        }
        for number, part in enumerate(parts)
    ]


def _costs(parts: list[Part], bill: Mapping[str, Any], key: str) -> Costs:
    """A kind of cost for each part: the billed cost where the bill has both alike, else the bill's own in proportion.

    The rules allow no null here, so a cost that the bill does not tell is the billed one, and the words say so.
    """
    billed = {number: part.usd for number, part in enumerate(parts)}
    whole = sum(billed.values(), Decimal(0))
    if not bill or bill[f"{key}_n"] != bill["n"]:
        return Costs(billed, "is not on every line of the bill: the billed cost")
    if bill[key] == bill["billed"]:
        return Costs(billed, "")
    total = Decimal(bill[key]).quantize(CENT, ROUND_HALF_EVEN)
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
