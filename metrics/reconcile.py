"""Traces against bills: the bridge from what traces explain at list price to what was billed, bucket by bucket.

A bucket is a provider's day, project, model and service tier; its lines are token classes. Every named term is predicted
from something known independently of the bill's own rate, so a wrong bill cannot explain itself: what no term predicts is
`unexplained`. Tokens are compared first (the state of a bucket), money second (its terms).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

from metrics.bridge import EFFECTS, STEP, ZERO, Basis, Bucket, Key, Line, Reconciliation
from metrics.engines import Engine
from metrics.exports import Exports, exports
from metrics.filters import Scope

DIMENSIONS = ("provider", "model")  # what a bill and the traces can both be filtered by
# What is billed for tokens, by themselves or in units that name no model.
OF_TOKENS = ("token", "consumption")
Lines = dict[tuple[str, str | None, str | None], Line]

TRACED = """
select t.day as day, t.provider as provider, t.project as project, t.model as model, t.service_tier as service_tier,
       t.token_class as token_class, cast(sum(t.tokens) as bigint) as tokens, cast(sum(t.first_tokens) as bigint) as first_tokens,
       cast(sum(t.last_tokens) as bigint) as last_tokens, cast(sum(t.cache_hidden_tokens) as bigint) as cache_hidden_tokens,
       sum(t.list_usd) as list_usd, sum(t.contract_usd) as contract_usd, sum(t.service_tier_usd) as service_tier_usd,
       sum(t.context_tier_usd) as context_tier_usd, sum(t.cache_write_1h_usd) as cache_write_1h_usd, sum(t.predicted_usd) as predicted_usd
from traced_lines($start, $end) t group by 1, 2, 3, 4, 5, 6
"""
BILLED = """
select b.day as day, b.provider as provider, b.project as project, b.model as model, b.service_tier as service_tier,
       b.token_class as token_class, b.kind as kind, b.unit_class as unit_class, sum(b.usd_cost) as usd_cost,
       cast(sum(b.charged_tokens) as bigint) as charged_tokens, cast(sum(b.reported_tokens) as bigint) as reported_tokens,
       max(b.book_usd_per_million) as book_usd_per_million,
       max(case when b.is_longer_than_a_day then 1 else 0 end) as is_long,
       max(case when b.is_provisional then 1 else 0 end) as is_provisional
from billed_lines($start, $end) b group by 1, 2, 3, 4, 5, 6, 7, 8
"""


def reconcile(engine: Engine, scope: Scope) -> Reconciliation:
    """Every bucket of the period, filtered by provider and model only: bills know no other dimension of calls."""
    start, end = scope.period.start, scope.period.end
    margin = timedelta(days=1)
    traced = engine.query(TRACED, {"start": start - margin, "end": end + margin}).to_dicts()
    billed = engine.query(BILLED, {"start": start, "end": end}).to_dicts()
    by_project = _with_projects(traced) & _with_projects(billed)
    by_month = {row["provider"] for row in billed if row["is_long"] and row["kind"] in OF_TOKENS}

    def key(row: Mapping[str, Any]) -> Key:
        day = row["day"].replace(day=1) if row["provider"] in by_month else row["day"]
        return Key(row["provider"] or "", day, project(row), row["model"] or "", row["service_tier"])

    def project(row: Mapping[str, Any]) -> str:
        return (row["project"] if row["provider"] in by_project else None) or ""

    lines: dict[Key, Lines] = defaultdict(dict)
    around: dict[Key, dict[str, tuple[int, int]]] = defaultdict(dict)
    for row in traced:
        first, last = (row[name] or 0 for name in ("first_tokens", "last_tokens"))
        before = around[key(row)].get(row["token_class"], (0, 0))
        around[key(row)][row["token_class"]] = (before[0] + first, before[1] + last)
        if start.date() <= row["day"] < end.date():
            _add_traced(_line(lines[key(row)], "token", row["token_class"], None), row)
    for row in billed:
        unit = None if row["kind"] == "token" else row["unit_class"]
        _add_billed(_line(lines[key(row)], row["kind"], row["token_class"], unit), row)
    _split_consumption(lines)
    _set_uplift(lines)
    provisional = {key(row) for row in billed if row["is_provisional"]}
    provisioned = {
        (row["provider"], None if row["is_long"] else key(row).day, project(row), row["model"] or "")
        for row in billed
        if row["unit_class"] == "provisioned"
    }
    sent = exports(engine)
    chosen = scope.dimensions
    buckets = []
    for found in sorted(name for name in lines if lines[name]):
        if chosen.get("provider", found.provider) == found.provider and chosen.get("model", found.model) == found.model:
            bucket = _bucket(found, list(lines[found].values()), around, sent, found.provider in by_month)
            bucket.is_open = bucket.is_open or found in provisional
            bucket.basis = _basis(bucket, provisioned)
            buckets.append(bucket)
    return Reconciliation(buckets)


def _with_projects(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    return {row["provider"] for row in rows if row["project"] is not None}


def _line(lines: Lines, kind: str, token_class: str | None, unit_class: str | None) -> Line:
    return lines.setdefault((kind, token_class, unit_class), Line(kind, token_class, unit_class))


def _add_traced(line: Line, row: Mapping[str, Any]) -> None:
    line.traced_tokens += row["tokens"]
    line.first_tokens += row["first_tokens"] or 0
    line.last_tokens += row["last_tokens"] or 0
    line.cache_hidden_tokens += row["cache_hidden_tokens"] or 0
    if row["predicted_usd"] is None:  # no price: nothing of it can be predicted
        line.has_unpriced = True
        return
    line.priced_usd += row["list_usd"]
    line.predicted_usd += row["predicted_usd"]
    for name in EFFECTS:
        line.effects[name] += row[f"{name}_usd"]


def _add_billed(line: Line, row: Mapping[str, Any]) -> None:
    for name in ("charged_tokens", "reported_tokens"):
        if row[name] is not None:
            setattr(line, name, (getattr(line, name) or 0) + row[name])
    if row["usd_cost"] is not None:
        line.is_charged = True
        line.billed_usd += row["usd_cost"]
    line.book_usd_per_million = row["book_usd_per_million"] or line.book_usd_per_million


def _split_consumption(lines: Mapping[Key, Lines]) -> None:
    """Share out what is billed in units that name no model, by the list price of the provider's traced tokens of the day
    that the bill does not name; where there are none it stays a line of its own."""
    unnamed: dict[tuple[str, date], list[tuple[str, Line]]] = defaultdict(list)
    for key, found in lines.items():
        unnamed[key.provider, key.day] += [(key.project, line) for line in found.values() if line.priced_usd > 0 and not line.is_charged]
    for key, found in lines.items():
        users = [line for project, line in unnamed[key.provider, key.day] if key.project in ("", project)]
        for name in [name for name, line in found.items() if line.kind == "consumption" and users]:
            usd = _in_proportion(found.pop(name).billed_usd, [line.priced_usd for line in users])
            for line, share in zip(users, usd, strict=True):
                line.billed_usd += share
                line.is_charged = line.is_split = True


def _in_proportion(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """An amount by positive weights, exactly: the last share is what the others leave."""
    whole = sum(weights, ZERO)
    shares = [(amount * weight / whole).quantize(STEP) for weight in weights[:-1]]
    return [*shares, amount - sum(shares, ZERO)]


def _set_uplift(lines: Mapping[Key, Mapping[Any, Line]]) -> None:
    """Bills do not tell the region that a price depends on; the traced calls of the same model and class do."""
    predicted: dict[tuple[str, str, str, str | None], list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
    named = [
        ((key.provider, key.model, key.service_tier, line.token_class), line) for key, found in lines.items() for line in found.values()
    ]
    for name, line in named:
        if line.traced_tokens and line.book_usd_per_million and not line.has_unpriced:
            predicted[name][0] += line.predicted_usd
            predicted[name][1] += line.traced_tokens * line.book_usd_per_million / 1_000_000
    for name, line in named:
        if name in predicted:
            line.uplift = predicted[name][0] / predicted[name][1]


def _bucket(key: Key, lines: list[Line], around: Mapping[Key, Mapping[str, tuple[int, int]]], sent: Exports, is_month: bool) -> Bucket:
    is_exported = sent.covers(key.provider, key.day)
    if is_exported and not any(line.is_charged and line.billed_tokens is None for line in lines):
        for line in lines:  # the day was exported, so what it does not name was not billed
            if line.kind == "token" and line.billed_tokens is None:
                line.charged_tokens = 0
    neighbours: dict[str, int] = defaultdict(int)
    for days, edge in ((-1, 1), (1, 0)):
        beside = Key(key.provider, key.day + timedelta(days=days), key.project, key.model, key.service_tier)
        for token_class, edges in around.get(beside, {}).items():
            neighbours[token_class] += edges[edge]
    bucket = Bucket(key, lines, False, is_exported, dict(neighbours), is_month)
    bucket.is_open = sent.is_open(key.provider, bucket.end - timedelta(days=1))
    return bucket


def _basis(bucket: Bucket, provisioned: set[tuple[str, date | None, str, str]]) -> Basis:
    """How the bill tells the tokens of a bucket; provisioned hours are billed by day or by month, of a project and a model or of all."""
    key = bucket.key
    if any(line.is_split for line in bucket.lines):
        return "list_price"
    is_billed = any(line.kind == "token" and (line.is_charged or line.billed_tokens) for line in bucket.lines)
    hours = {(key.provider, *where) for where in product((key.day, None), (key.project, ""), (key.model, ""))}
    return "provisioned" if not is_billed and hours & provisioned else "tokens"
