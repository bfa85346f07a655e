"""The known truth of the sample data: what a reader of its files must find, computed from what really happened."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from statistics import median
from typing import Any

from sample_data import incidents
from sample_data.billing import Item, Line
from sample_data.calls import Request, day_of
from sample_data.company import EVENTS, MARKER, MISSING_TRACES, MONTHS, PROVIDERS, SEED, SHADOW_PROJECT, SYSTEMS
from sample_data.prices import book_cost
from sample_data.records import actions
from sample_data.truth_bills import planted, provider_month
from sample_data.truth_governance import governance
from sample_data.truth_objectives import error_budgets
from sample_data.truth_quality import quality
from sample_data.truth_usage import Cells, cache_hit_rate, plain, tallies, total

LABEL = "SYNTHETIC DATA of a fictional company (Nordwind Insurance). No figure describes a real company, person or contract."
DEFINITIONS = {
    "requests": "traces with at least one call, in the month of their first call; failed calls and embeddings count",
    "calls": "provider calls that the traces show, duplicates and wrappers removed, in the month in which they started",
    "failed_calls": "calls with an error; an aborted stream is one",
    "unknown_tokens_calls": "successful calls whose traces tell no tokens",
    "partial_tokens_calls": "aborted streams whose traces tell the input only; that input is in tokens and costs",
    "tokens": "five disjoint classes over all calls, embeddings in uncached_input",
    "list_cost_usd": "known tokens at list price, cache writes of one hour at their own rate",
    "priced_traces_usd": "the same with every cache write at the 5-minute rate: the first term of the bridge",
    "book_cost_usd": "known tokens at the price of a book with list prices and prices.csv",
    "billed_usd": "what the provider's export says for the days of the month",
    "allocated_usd": "billed cost of the project, workspace or account of the system, tax and credit included",
    "planted": "billed_usd = bridge.priced_traces + the planted amounts of the same provider and month",
}
AS_OF = {
    "2026-07": datetime(2026, 8, 1, tzinfo=UTC),
    "2026-08": datetime(2026, 9, 1, tzinfo=UTC),
    "2026-09": datetime(2026, 10, 1, tzinfo=UTC),
    "2026-Q3": datetime(2026, 10, 1, tzinfo=UTC),
}


def truth(requests: Sequence[Request], items: Sequence[Item], lines: Sequence[Line], spans: int) -> dict[str, Any]:
    cells = tallies(requests)
    months = {month: _month(month, cells, requests, items, lines) for month in MONTHS}
    return {
        "label": LABEL,
        "seed": SEED,
        "marker": MARKER,
        "period": {"start": "2026-07-01", "end": "2026-10-01"},
        "spans": spans,
        "definitions": DEFINITIONS,
        "systems": {
            system.system_id: {
                "service_name": system.service_name,
                "team": system.team,
                "tier": system.tier,
                "provider": system.provider,
                "project": system.project,
            }
            for system in SYSTEMS
        },
        "unregistered_project": SHADOW_PROJECT,
        "months": months,
        "quarter": {"company": _both(cells, MONTHS), "kpis": _kpis("2026-Q3", MONTHS, cells, months)},
        "governance": governance(requests, items),
        "evaluations": quality(requests),
        "error_budgets": error_budgets(requests),
        "planted": planted(MONTHS, items, lines),
        "events": _events(requests),
    }


def _both(cells: Cells, months: Sequence[str], system: str | None = None) -> dict[str, Any]:
    return {"all": total(cells, months, system).published(), "production": total(cells, months, system, "production").published()}


def _month(month: str, cells: Cells, requests: Sequence[Request], items: Sequence[Item], lines: Sequence[Line]) -> dict[str, Any]:
    providers = {name: provider_month(name, month, items, lines) for name in PROVIDERS}
    found: dict[str, Any] = {
        "systems": {system.system_id: _both(cells, [month], system.system_id) for system in SYSTEMS},
        "company": _both(cells, [month]),
        "providers": providers,
    }
    for system in SYSTEMS:
        block = found["systems"][system.system_id]
        allocated = Decimal(providers[system.provider]["by_project_usd"][system.project])
        block["allocated_usd"] = plain(allocated)
        block["unit_cost"] = float(1000 * allocated / block["all"]["requests"])
    found["actions"] = _action_outcomes(month, requests)
    return found | {"kpis": _kpis(month, [month], cells, {month: found})}


def _action_outcomes(month: str, requests: Sequence[Request]) -> dict[str, int]:
    outcomes = Counter(str(row[3]) for row in actions(requests) if str(row[1]).startswith(month))
    return dict(sorted(outcomes.items()))


def _kpis(period: str, names: Sequence[str], cells: Cells, months: dict[str, Any]) -> dict[str, Any]:
    every, production = total(cells, names), total(cells, names, environment="production")
    requests = every.counts["requests"]
    effective = sum((Decimal(block["effective_usd"]) for name in names for block in months[name]["providers"].values()), Decimal(0))
    return {
        "incident_rate": incidents.rates(names, production.counts["requests"]),
        "time_to_mitigate": incidents.time_to_mitigate(names, AS_OF[period]),
        "unit_cost": {"value": float(1000 * effective / requests), "numerator": plain(effective), "denominator": requests},
        "cache_hit_rate": cache_hit_rate(every),
        "cache_hit_rate_production": cache_hit_rate(production),
    }


def _events(requests: Sequence[Request]) -> dict[str, Any]:
    """What happened to the traffic, with the figures that a detector should come close to."""
    errors, retries = EVENTS
    return {
        "error_burst": {"system": errors.system_id, "start": errors.start.isoformat(), "end": errors.end.isoformat()},
        "retry_storm": {
            "system": retries.system_id,
            "start": retries.start.isoformat(),
            "end": retries.end.isoformat(),
            **_storm_cost(requests, retries.system_id, retries.start.date()),
        },
        "missing_traces": [{"system": system, "day": day.isoformat()} for system, day in sorted(MISSING_TRACES)],
        "drift": _drift(requests),
    }


def _storm_cost(requests: Sequence[Request], system: str, day: date) -> dict[str, Any]:
    costs: dict[date, Decimal] = {}
    for request in requests:
        if request.system_id == system:
            on = day_of(request.started_us)
            spent = sum((book_cost(call.provider, call.model.model, call.visible_tokens(), on) for call in request.calls), Decimal(0))
            costs[on] = costs.get(on, Decimal(0)) + spent
    usual = sorted(cost for on, cost in costs.items() if on.weekday() == day.weekday() and on < day)
    return {"day": day.isoformat(), "book_cost_usd": plain(costs[day]), "usual_weekday_usd": plain(usual[len(usual) // 2])}


def _drift(requests: Sequence[Request]) -> dict[str, Any]:
    """Output tokens of successful production calls of Claims Copilot by prompt version."""
    outputs: dict[str, list[int]] = {}
    for request in requests:
        if request.system_id == "claims-copilot" and request.environment == "production" and request.traced:
            known = [call.usage.output for call in request.calls if call.failure is None]
            outputs.setdefault(str(request.prompt_version), []).extend(known)
    return {
        "system": "claims-copilot",
        "signal": "output_tokens",
        "moves_too": ["latency_ms"],  # longer answers take longer; nothing else drifts
        "prompt_version": "v8",
        "since": "2026-09-10",
        "median_by_prompt_version": {version: median(values) for version, values in sorted(outputs.items())},
    }
