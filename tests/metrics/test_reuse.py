"""Platform reuse: who uses a component, by declaration and by trace, and what that makes of each capability."""

from datetime import datetime
from typing import Any

import pytest

from metrics.filters import Period
from metrics.kpi import kpis
from metrics.reuse import platform_reuse
from metrics.scorecard import evaluate
from tests.metrics.ledger import Ledger, ledger, scope

__all__ = ["ledger"]
ALWAYS = {"valid_from": datetime(1970, 1, 1)}


def slot(system: str, provision: str | None, component: str | None = None, capability: str = "search", **columns: Any) -> dict[str, Any]:
    return {"system_id": system, "capability": capability, "provision": provision, "component_id": component, **ALWAYS, **columns}


def tool(ledger: Ledger, system: str, name: str) -> None:
    given = {"trace_id": "t", "sent_trace_id": "t", "span_id": f"{system} {name}", "started_at": datetime(2026, 9, 5), "role": "tool"}
    ledger.put("spans", {**given, "system": system, "tool_name": name})


def verdicts(ledger: Ledger) -> dict[str, int]:
    evidence = platform_reuse(ledger, scope()).evidence
    assert evidence is not None
    rows = ledger.query(evidence.sql, evidence.params)
    return dict(zip((f"{system} {capability}" for system, capability in rows["system", "capability"].rows()), rows["verdict"], strict=True))


def test_a_component_is_shared_when_two_systems_use_it(ledger: Ledger) -> None:
    ledger.put("capabilities", slot("a", "shared", "index"), slot("b", "shared", "index"), slot("c", "shared", "own"))
    ledger.put("capabilities", slot("d", "bespoke"), slot("e", "bought"), slot("f", "none"))
    found = platform_reuse(ledger, scope())
    assert (found.value, found.numerator, found.denominator, found.interval) == (0.4, 2, 5, None)
    assert "1 declared shared with one user" in found.note


def test_an_unknown_provision_stands_only_in_the_range(ledger: Ledger) -> None:
    ledger.put("capabilities", slot("a", "shared", "index"), slot("b", "shared", "index"), slot("c", "bespoke"), slot("d", "shared"))
    found = platform_reuse(ledger, scope())
    assert (found.value, found.denominator, found.interval) == (2 / 3, 3, (0.5, 0.75))
    ledger.put("capabilities", slot("e", None))
    assert platform_reuse(ledger, scope()).interval == (0.4, 0.8)


def test_calls_in_traces_beat_what_is_declared(ledger: Ledger) -> None:
    ledger.put("capabilities", slot("a", "shared", "crm"), slot("b", "shared", "crm"), slot("c", "bespoke", "score"), slot("d", "bespoke"))
    tool(ledger, "a", "crm")
    tool(ledger, "b", "other")  # b shows its tools, and the CRM is none of them
    tool(ledger, "c", "score")
    tool(ledger, "d", "score")
    assert verdicts(ledger) == {"a search": 0, "b search": 0, "c search": 2, "d search": 0}


def test_a_system_without_traces_of_tools_is_believed(ledger: Ledger) -> None:
    ledger.put("capabilities", slot("a", "shared", "crm"), slot("b", "shared", "crm"))
    tool(ledger, "a", "crm")
    assert platform_reuse(ledger, scope()).value == 1


def test_what_the_catalogue_says_a_system_depends_on_is_use(ledger: Ledger) -> None:
    ledger.put("systems", {"system_id": "b", "depends_on": ["index", "mail"], **ALWAYS})
    ledger.put("capabilities", slot("a", "shared", "index"))
    assert platform_reuse(ledger, scope()).value == 1


def test_the_second_line_weighs_every_capability_by_requests(ledger: Ledger) -> None:
    ledger.put(
        "capabilities", slot("a", "shared", "x"), slot("b", "shared", "x"), slot("c", "bespoke"), slot("c", "bespoke", capability="mail")
    )
    for system, requests in (("a", 30), ("b", 10), ("c", 20)):
        ledger.put_usage(1, system=system, requests=requests)
    ledger.put_usage(1, system="c", requests=900, environment="staging")
    assert platform_reuse(ledger, scope()).note.startswith("50.0% weighted by requests")


def test_systems_in_production_without_a_map_make_it_partial(ledger: Ledger) -> None:
    ledger.put("capabilities", slot("a", "bespoke"))
    ledger.put("systems", *({"system_id": name, "lifecycle": "production", **ALWAYS} for name in "ab"))
    result = evaluate(ledger, kpis()["platform_reuse"], scope())
    assert (result.state, result.coverage) == ("PARTIAL", 0.5)
    assert "1 system without a map" in result.note


@pytest.mark.parametrize(
    ("provision", "note"), [("none", "No capabilities needed"), (None, "No capability of known provision (1 unknown)")]
)
def test_a_map_without_known_needs_does_not_apply(ledger: Ledger, provision: str | None, note: str) -> None:
    ledger.put("capabilities", slot("a", provision))
    found = platform_reuse(ledger, scope())
    assert (found.state, found.note) == ("NOT_APPLICABLE", note)


def test_an_upward_target_is_met_only_when_the_ranges_part(ledger: Ledger) -> None:
    ledger.put("targets", {"metric_id": "platform_reuse", "target": "improve", "direction": "at_least", **ALWAYS})
    september = datetime(2026, 9, 9)
    ledger.put("capabilities", slot("a", "bespoke", valid_to=september), slot("b", "shared", "x"), slot("c", "bespoke"))
    ledger.put("capabilities", slot("a", "shared", "x", valid_from=september))
    kpi = kpis()["platform_reuse"]
    result = evaluate(ledger, kpi, scope())
    assert (result.previous_value, result.value, result.is_changed, result.status) == (0, 2 / 3, True, "on target")
    ledger.put("capabilities", *(slot("d", "shared", capability=name) for name in "1234"))
    result = evaluate(ledger, kpi, scope())
    assert (result.is_changed, result.status) == (False, "at risk")
    assert evaluate(ledger, kpi, scope(Period.parse("2026-10"))).status == "at risk"
