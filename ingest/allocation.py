"""Billed cost handed on to who used it: whole where a rule names the owner, else by the traced tokens of its bucket.

First pass: every charge, at 12 decimals, to systems and their features, tenants and prompt versions; what no trace explains
stays `unattributed` (system NULL). Units and hours that pay for tokens without telling a model or a class are split by the
list price of the calls traced in the same time. Second pass: tax, credits and fees of a provider in proportion to the first. Costs that
several providers' users share (GPUs, gateways, support) follow a key of the settings. Every charge is handed on exactly.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import product
from typing import Any, Literal, NamedTuple

import duckdb
import polars as pl

STEP = Decimal("0.000000000001")
ZERO = Decimal(0)
SharedKey = Literal["cost", "tokens", "requests"]
# What pays for tokens without counting them.
WITHOUT_TOKENS = ("consumption", "provisioned")


class Party(NamedTuple):
    """Who a cost is handed to; None where nothing tells."""

    system: str | None = None
    team: str | None = None
    feature: str | None = None
    tenant: str | None = None
    prompt_version: str | None = None
    cost_center: str | None = None


NOBODY = Party()
Shares = dict[Party, Decimal]
Bucket = tuple[Any, ...]  # day, or None for the month; provider, project, model, service tier, token class
LIST_PRICE = "list_price"

TRACED = """
select t.day, t.provider, t.project, t.model, t.service_tier, t.token_class, t.system, t.team, t.feature, t.tenant, t.prompt_version,
       t.cost_center, cast(sum(t.tokens) as bigint) as tokens, sum(t.list_usd) as list_usd from traced_lines($start, $end) t group by all"""
BILLED = "select b.* from billed_lines($start, $end) b"
REQUESTS = """
select u.system, u.team, cast(sum(u.requests) as bigint) as requests, cast(sum(u.input_tokens + u.output_tokens) as bigint) as tokens
from usage_hour u where u.hour >= $start and u.hour < $end group by all"""
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "period": pl.Date,
    "invoice_issuer_name": pl.String,
    "provider": pl.String,
    "model": pl.String,
    "system": pl.String,
    "team": pl.String,
    "feature": pl.String,
    "tenant": pl.String,
    "prompt_version": pl.String,
    "cost_center": pl.String,
    "usd_cost": pl.Decimal(38, 12),
    "basis": pl.String,
    "charge_category": pl.String,
}


def refresh(cursor: duckdb.DuckDBPyConnection, months: Collection[date], shared: Mapping[str, SharedKey]) -> None:
    """Hand on the charges of these months anew, inside the caller's transaction; `shared` maps a unit class to its key."""
    for month in sorted(months):
        start = datetime(month.year, month.month, 1)
        end = datetime(month.year + month.month // 12, month.month % 12 + 1, 1)
        rows = allocate(cursor, start, end, shared)
        cursor.execute("delete from allocations where period = ?", [start.date()])
        cursor.register("handed_on", pl.DataFrame(rows, SCHEMA, orient="row"))
        cursor.execute("insert into allocations by name select * from handed_on")
        cursor.unregister("handed_on")


def months(cursor: duckdb.DuckDBPyConnection) -> list[date]:
    """Every month that has charges."""
    rows = cursor.execute("select distinct cast(date_trunc('month', c.charge_period_start) as date) from charges c order by 1").fetchall()
    return [row[0] for row in rows]


def allocate(cursor: duckdb.DuckDBPyConnection, start: datetime, end: datetime, shared: Mapping[str, SharedKey]) -> list[tuple[Any, ...]]:
    """The rows of `allocations` for one month; together they are its charges to the last digit."""
    window = {"start": start, "end": end}
    charges = cursor.sql(BILLED, params=window).pl().to_dicts()
    if not charges:  # then nobody has to know what all the calls of the month used
        return []
    for charge in charges:  # what is billed for longer than a day was used on any day of the month
        charge["day"] = None if charge["is_longer_than_a_day"] else charge["day"]
    traced = _by_bucket(cursor.sql(TRACED, params=window).pl().to_dicts(), charges)
    total: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    later = []
    for charge in _with_tokens(charges):
        if charge["unit_class"] in shared or (charge["kind"] in ("tax_credit", "rounding") and charge["system"] is None):
            later.append(charge)
            continue
        for party, (amount, basis) in _first_pass(charge, traced).items():
            total[*_invoice(charge), party, basis] += amount
    first: dict[str | None, Shares] = defaultdict(lambda: defaultdict(Decimal))
    for (_, provider, _, _, party, _), amount in total.items():
        first[provider][party] += amount
    usage = cursor.sql(REQUESTS, params=window).pl().to_dicts() if shared else []
    for charge in later:
        key = shared.get(charge["unit_class"])
        weights = _shared_weights(key, first, usage) if key else first[charge["provider"]]
        for party, amount in split(charge["usd_cost"], weights).items():
            total[*_invoice(charge), party, "shared"] += amount
    return [
        (start.date(), issuer, provider, model, *party, amount, basis, category)
        for (issuer, provider, model, category, party, basis), amount in total.items()
        if amount
    ]


def _invoice(charge: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(charge[name] for name in ("invoice_issuer_name", "provider", "model", "charge_category"))


def split(amount: Decimal, weights: Mapping[Party, Decimal]) -> Shares:
    """An amount in proportion to weights, exactly: each share is the rounded running total less the one before."""
    whole = sum(weights.values(), ZERO)
    if whole <= 0 or min(weights.values()) < 0:
        return {NOBODY: amount}
    shares, running, given = {}, ZERO, ZERO
    for party, weight in sorted(weights.items(), key=lambda item: tuple(name or "" for name in item[0])):
        running += weight
        upto = (amount * running / whole).quantize(STEP) if running < whole else amount
        shares[party], given = upto - given, upto
    return shares


def _by_bucket(rows: Iterable[Mapping[str, Any]], charges: Sequence[Mapping[str, Any]]) -> dict[Bucket, dict[Party, Decimal]]:
    """The weights of each party in the buckets that charges may be of: traced tokens, and as the class LIST_PRICE what they
    cost at list; of a provider whose calls know no project, over all projects."""
    named = {row["provider"] for row in rows if row["project"] is not None} & {c["provider"] for c in charges if c["project"] is not None}
    by_month = {charge["provider"] for charge in charges if charge["day"] is None}
    by_price = {charge["provider"] for charge in charges if charge["unit_class"] in WITHOUT_TOKENS}
    found: dict[Bucket, dict[Party, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for row in rows:
        provider, model = row["provider"], row["model"]
        party = Party(*(row[name] for name in Party._fields))
        days = {row["day"], None} if provider in by_month else {row["day"]}
        for day, project in product(days, {row["project"] if provider in named else None, None}):
            found[day, provider, project, model, row["service_tier"], row["token_class"]][party] += row["tokens"]
            for known in {model, None} if provider in by_price else ():
                found[day, provider, project, known, None, LIST_PRICE][party] += row["list_usd"] or 0
    return found


def _with_tokens(charges: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines that cost something, each with its billed tokens: the usage report's, the bill's, or what its cost implies."""
    reported: dict[Bucket, int] = defaultdict(int)
    lines: dict[Bucket, Decimal] = defaultdict(Decimal)
    for charge in charges:
        reported[_bucket(charge)] += charge["reported_tokens"] or 0
        lines[_bucket(charge)] += charge["usd_cost"] or ZERO
    priced = [charge for charge in charges if charge["usd_cost"]]
    for charge in priced:
        rate, whole = charge["book_usd_per_million"], lines[_bucket(charge)]
        if reported[_bucket(charge)]:  # of several lines of one bucket each has its share of the report
            charge["tokens"] = int(reported[_bucket(charge)] * charge["usd_cost"] / whole) if whole else 0
        elif charge["charged_tokens"] is not None:
            charge["tokens"] = charge["charged_tokens"]
        else:
            charge["tokens"] = int(charge["usd_cost"] * 1_000_000 / rate) if rate else 0
    return priced


def _bucket(charge: Mapping[str, Any]) -> Bucket:
    where = charge["day"], charge["provider"], charge["project"], charge["model"]
    return *where, *((None, LIST_PRICE) if charge["unit_class"] in WITHOUT_TOKENS else (charge["service_tier"], charge["token_class"]))


def _first_pass(charge: Mapping[str, Any], traced: Mapping[Bucket, Mapping[Party, Decimal]]) -> dict[Party, tuple[Decimal, str]]:
    """The shares of one charge, each with its basis: rule, tokens, list_price or unattributed."""
    owner = Party(charge["system"], charge["team"])
    basis = LIST_PRICE if charge["unit_class"] in WITHOUT_TOKENS else "tokens"
    day, provider, project, *kind = _bucket(charge)
    weights: Shares = {}
    if basis == LIST_PRICE or charge["kind"] == "token":
        weights = dict(traced.get((day, provider, project, *kind)) or traced.get((day, provider, None, *kind), {}))
    if charge["system"] is not None:
        weights = {party: weight for party, weight in weights.items() if party.system == charge["system"]}
    if basis == "tokens":
        weights[owner] = weights.get(owner, ZERO) + max(charge["tokens"] - sum(weights.values()), 0)
    shares = split(charge["usd_cost"], weights) if any(weights.values()) else {owner: charge["usd_cost"]}
    if charge["system"] is not None:
        return {owner if party == NOBODY else party: (amount, "rule") for party, amount in shares.items()}
    return {party: (amount, basis if party.system is not None else "unattributed") for party, amount in shares.items()}


def _shared_weights(key: SharedKey, first: Mapping[str | None, Shares], usage: Sequence[Mapping[str, Any]]) -> Shares:
    """What systems used in all, by requests, tokens or the cost that the first pass gave them."""
    weights: Shares = defaultdict(Decimal)
    if key == "cost":
        for shares in first.values():
            for party, amount in shares.items():
                weights[party] += amount
    else:
        for row in usage:
            weights[Party(row["system"], row["team"])] += row[key] or 0
    return weights
