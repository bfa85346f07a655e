"""The governance KPIs of the sample records, worked out row by row from the registers and from what really happened."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from sample_data.billing import Item
from sample_data.calls import Request, ToolRun, day_of, month_of
from sample_data.company import MONTHS, SYSTEM
from sample_data.governance import CAPABILITIES, INITIATIVES, MODELS, PATTERNS, rows_of, valid_rows
from sample_data.records import REGISTER, RELEASES
from sample_data.reviews import ADRS, DECISIONS, ITEMS, READINESS
from sample_data.truth_reviews import review_pass_rate, satisfaction, time_to_signoff

# Window -> its months, its first day, and the day after its last.
WINDOWS: Mapping[str, tuple[Sequence[str], str, str]] = {
    "2026-07": (("2026-07",), "2026-07-01", "2026-08-01"),
    "2026-08": (("2026-08",), "2026-08-01", "2026-09-01"),
    "2026-09": (("2026-09",), "2026-09-01", "2026-10-01"),
    "2026-Q3": (MONTHS, "2026-07-01", "2026-10-01"),
}
TWO_QUARTERS_START = "2026-04-01"  # the last day of every window lies in the third quarter
# The register writes models as their makers do; bills and traces are read without date, version and vendor.
PLAIN_NAMES = {"gpt-5-mini-2025-08-07": "gpt-5-mini", "amazon.nova-lite-v1:0": "nova-lite"}


def governance(requests: Sequence[Request], items: Sequence[Item]) -> dict[str, Any]:
    return {
        window: {
            "reference_architecture_adoption": _adoption(end),
            "time_to_signoff": time_to_signoff(start, end),
            "production_readiness": _readiness(start, end),
            "inventory_completeness": _inventory(requests, items, months, end),
            "adr_completeness": _decisions(start, end),
            "stakeholder_satisfaction": satisfaction(end),
            "review_pass_rate": review_pass_rate(start, end),
            "platform_reuse": _reuse(requests, months, end),
        }
        for window, (months, start, end) in WINDOWS.items()
    }


def _share(verdicts: Mapping[str, bool | None], is_unknown_left_out: bool = False) -> dict[str, Any]:
    """None is unknown: it counts as missed, or not at all, in the value; the range has it both ways."""
    met = sorted(name for name, verdict in verdicts.items() if verdict)
    unknown = sorted(name for name, verdict in verdicts.items() if verdict is None)
    denominator = len(verdicts) - (len(unknown) if is_unknown_left_out else 0)
    return {
        "value": len(met) / denominator,
        "numerator": len(met),
        "denominator": denominator,
        "low": len(met) / len(verdicts),
        "high": (len(met) + len(unknown)) / len(verdicts),
        "unknown": unknown,
        "missed": sorted(name for name, verdict in verdicts.items() if verdict is False),
    }


def _plus(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def _adoption(end: str) -> dict[str, Any]:
    patterns = {row["pattern_id"]: row for row in rows_of(PATTERNS)}
    verdicts: dict[str, bool | None] = {}
    for row in valid_rows(INITIATIVES, ("initiative_id",), end):
        if TWO_QUARTERS_START <= row["started_on"] < end and row["status"] not in ("cancelled", "sandbox"):
            verdicts[row["initiative_id"]] = _conforms(row, patterns, end)
    return _share(verdicts)


def _conforms(row: Mapping[str, str], patterns: Mapping[str, Mapping[str, str]], end: str) -> bool | None:
    assessed = row["assessed_on"]
    if not assessed or assessed >= end:
        return None
    if row["conformance"] == "exception":
        return row["exception_expires_on"] >= _plus(end, -1) if row["exception_expires_on"] else None
    if row["conformance"] != "full":
        return False
    last_days = []
    for name in row["pattern_id"].split(";"):
        pattern = patterns[name]
        grace = pattern["grace_ends_on"] or (_plus(pattern["retired_on"], 90) if pattern["retired_on"] else "9999-12-31")
        last_days.append(grace if pattern["approved_on"] <= assessed else "")
    return assessed <= max(last_days)


def _readiness(start: str, end: str) -> dict[str, Any]:
    checks: dict[str, dict[str, Mapping[str, str]]] = {}
    for row in rows_of(READINESS):
        checks.setdefault(row["release_id"], {})[row["item"]] = row
    verdicts: dict[str, bool | None] = {}
    for release, _, released, environment, *_ in RELEASES:
        if environment == "production" and start <= released[:10] < end:
            own = checks.get(release, {})
            verdicts[release] = all(item in own and _is_met(own[item], released[:10]) for item in ITEMS)
    return _share(verdicts)


def _is_met(check: Mapping[str, str], released_on: str) -> bool:
    if check["result"] == "waived":
        return check["waiver_expires_on"] >= released_on
    return check["result"] == "pass" or (check["result"] == "na" and bool(check["reason"]))


def _decisions(start: str, end: str) -> dict[str, Any]:
    """Major decisions of tier 1 systems; an ADR dated later than the window was not there yet."""
    adrs = {row["path"]: row for row in rows_of(ADRS) if row["decided_on"] < end}
    verdicts: dict[str, bool | None] = {}
    late = []
    for row in rows_of(DECISIONS):
        if row["major"] == "yes" and SYSTEM[row["system_id"]].tier == 1 and start <= row["decided_on"] < end:
            adr = adrs.get(row["adr_path"].removeprefix("adr/"))
            verdicts[row["decision_id"]] = adr is not None and _stands(adr, adrs)
            if adr and adr["decided_on"] > _plus(row["decided_on"], 30):
                late.append(row["decision_id"])
    return _share(verdicts) | {"late": late}


def _stands(adr: Mapping[str, str], adrs: Mapping[str, Mapping[str, str]]) -> bool | None:
    if adr["parts"] != "cdq":
        return False
    if adr["status"] == "superseded":
        return adrs[adr["superseded_by"]]["status"] == "accepted" if adr["superseded_by"] in adrs else None
    return adr["status"] == "accepted" if adr["status"] else None


def _inventory(requests: Sequence[Request], items: Sequence[Item], months: Sequence[str], end: str) -> dict[str, Any]:
    """Items that are registered, called or billed; what was retired is in order until it is used after its last day."""
    traced, billed = _traced(requests, months), _billed(items, months)
    last_used = {name: max(traced.get(name, ""), billed.get(name, "")) for name in {*traced, *billed}}
    verdicts: dict[str, bool | None] = {}
    retired: dict[str, str] = {}
    for row in valid_rows(MODELS, ("item_id",), end):
        if row["environment"] == "production":
            provider = "" if row["kind"] == "prompt" else f"{row['provider']} "
            name = f"{row['kind']} {provider}{PLAIN_NAMES.get(row['name'], row['name'])}"
            if row["lifecycle"] == "retired":
                retired[name] = row["retired_on"]
            else:
                verdicts[name] = _is_complete(row, end) and verdicts.get(name) in (None, True)
    models = {name for name in verdicts if name.startswith("model")}
    zombie = sorted(name for name, last_day in retired.items() if last_used.get(name, "") > last_day)
    shadow = sorted(last_used.keys() - verdicts.keys() - retired.keys())
    in_order = {name: True for name in retired if name in last_used}
    return _share(verdicts | in_order | dict.fromkeys([*shadow, *zombie], False)) | {
        "shadow": shadow,
        "zombie": zombie,
        "unseen": sorted(models - last_used.keys()),
        "models_to_expect": (len(traced) + 1) * (len(billed) + 1) / (len(traced.keys() & billed.keys()) + 1) - 1,
    }


def _traced(requests: Sequence[Request], months: Sequence[str]) -> dict[str, str]:
    """Models that the traces show answering in production, and the last day of each."""
    found: dict[str, str] = {}
    for request in requests:
        for call in request.calls:
            if request.traced and request.environment == "production" and call.failure is None and month_of(call.started_us) in months:
                name, day = f"model {call.provider} {call.model.model}", day_of(call.started_us).isoformat()
                found[name] = max(found.get(name, ""), day)
    return found


def _billed(items: Sequence[Item], months: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in items:
        if f"{item.booked_on:%Y-%m}" in months:
            name = f"model {item.provider} {item.model}"
            found[name] = max(found.get(name, ""), item.booked_on.isoformat())
    return found


def _is_complete(row: Mapping[str, str], end: str) -> bool:
    days = 180 if SYSTEM[row["system_id"]].tier == 1 else 365
    return bool(row["version"]) and _plus(row["last_reviewed_on"], days) >= _plus(end, -1)


def _reuse(requests: Sequence[Request], months: Sequence[str], end: str) -> dict[str, Any]:
    """A component is shared when two systems use it: those that call it as a tool, or declare it and call no tools themselves."""
    slots = [row for row in valid_rows(CAPABILITIES, ("system_id", "capability"), end) if row["provision"] != "none"]
    in_window = [request for request in requests if request.traced and month_of(request.started_us) in months]
    called = {
        (request.system_id, step.name)
        for request in in_window
        for step in request.steps
        if isinstance(step, ToolRun) and month_of(step.started_us) in months
    }
    declared = {(row["system_id"], row["component_id"]) for row in slots if row["provision"] == "shared" and row["component_id"]}
    declared |= {(system, component) for system, facts in REGISTER.items() for component in facts[5].split(";") if component}
    with_tools, tools = {system for system, _ in called}, {tool for _, tool in called}
    uses = called | {(system, component) for system, component in declared if system not in with_tools or component not in tools}
    verdicts: dict[str, bool | None] = {}
    for row in slots:
        slot, consumers = (
            f"{row['system_id']} {row['capability']}",
            [system for system, component in uses if component == row["component_id"]],
        )
        is_used = len(consumers) >= 2 and row["system_id"] in consumers
        verdicts[slot] = is_used or (None if row["provision"] == "shared" and not row["component_id"] else False)
    return _share(verdicts, is_unknown_left_out=True)
