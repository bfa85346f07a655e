"""The checks of the ledger: each is fine while nothing is wrong, and says what is when it is."""

import tomllib
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest

from metrics import coverage
from metrics.kpi import kpis
from tests.metrics.ledger import Ledger, ledger

__all__ = ["ledger"]
DECLARED = tomllib.loads((files("metrics") / "coverage.toml").read_text("utf-8"))
AT = datetime(2026, 9, 3, 12)
LOAD: dict[str, Any] = {
    "id": 1,
    "source": "otlp",
    "path": "traces.pb",
    "content_hash": "h",
    "finished_at": AT,
    "rows": 1234,
    "rejected": 0,
    "status": "loaded",
}
CALL: dict[str, Any] = {
    "trace_id": "t",
    "span_id": "s",
    "sent_trace_id": "t",
    "started_at": AT,
    "role": "call",
    "provider": "openai",
    "model": "gpt-4o",
    "cost_status": "priced",
}
CHARGE: dict[str, Any] = {
    "charge_period_start": AT,
    "charge_category": "Usage",
    "provider": "openai",
    "model": "gpt-4o",
    "token_class": "output",
    "system": "claims",
    "usd_billed_cost": Decimal("12.34"),
}


def usage(ledger: Ledger, **columns: Any) -> None:
    ledger.put_usage(3, **{"system": "claims", "provider": "openai", **columns})


# How each check is provoked, and words that it must then say.
PROVOKED: dict[str, tuple[Callable[[Ledger], None], tuple[str, ...]]] = {
    "loaded": (lambda ledger: ledger.put("loads", LOAD), ("1,234 rows in 1 loads", "2026-09-03 12:00")),
    "span": (lambda ledger: ledger.put("spans", CALL), ("1 calls from 2026-09-03",)),
    "duplicates": (lambda ledger: ledger.put("spans", {**CALL, "role": "duplicate"}), ("1 spans repeat a call",)),
    "failed": (
        lambda ledger: ledger.put("loads", {**LOAD, "status": "failed", "path": "bill.csv", "message": "column amount is missing"}),
        ("bill.csv: column amount is missing",),
    ),
    "rejects": (
        lambda ledger: (
            ledger.put("loads", {**LOAD, "status": "partial"}),
            ledger.put("rejects", {"load_id": 1, "path": "traces.pb", "position": 7, "reason": "the message is cut off"}),
        )[0],
        ("traces.pb: 1", "the message is cut off"),
    ),
    "references": (
        lambda ledger: (
            ledger.put("systems", {"system_id": "claims"}),
            ledger.put("releases", {"release_id": "R1", "system_id": "claims"}, {"release_id": "R2", "system_id": "ghost"}),
        )[0],
        ("1 rows", "the release R2: no system ghost"),
    ),
    "targets": (
        lambda ledger: (
            ledger.put("loads", LOAD),
            ledger.put("targets", {"metric_id": "cost_per_requst", "load_id": 1}, {"metric_id": next(iter(kpis()))}),
        )[0],
        ("1, first cost_per_requst in traces.pb",),
    ),
    "unpriced": (
        lambda ledger: ledger.put("spans", {**CALL, "model": "new-1", "cost_status": "unpriced_model", "input_tokens": 4321}),
        ("new-1 (openai)", "4,321 input tokens", "add it to a price file"),
    ),
    "usage": (lambda ledger: usage(ledger, calls=200, unknown_usage_calls=3), ("3 of 200 (1.50 %)",)),
    "unowned_calls": (
        lambda ledger: usage(ledger, system=None, service="orphan", calls=10),
        ("orphan: 10", "name it in service_names of a system"),
    ),
    "unowned_charges": (
        lambda ledger: ledger.put("charges", {**CHARGE, "system": None, "project": "proj_x"}),
        ("proj_x (openai): $12.34", "add an [[attribution]] rule"),
    ),
    "unmapped": (
        lambda ledger: ledger.put("charges", {**CHARGE, "token_class": None, "unit_class": "other", "charge_description": "Mystery meter"}),
        ("Mystery meter (openai): $12.34",),
    ),
    "unbilled": (lambda ledger: usage(ledger, calls=10), ("openai in 2026-09: 10 calls",)),
    "untraced": (lambda ledger: ledger.put("charges", CHARGE), ("openai in 2026-09: $12.34",)),
    "rollup": (lambda ledger: ledger.put("spans", CALL), ("0 calls in the rollup, 1 in the ledger", "run spanledger rebuild")),
}


def check(ledger: Ledger, name: str) -> dict[str, Any]:
    [found] = [check for check in coverage.checks(ledger) if check["id"] == name]
    return found


@pytest.mark.parametrize("name", list(DECLARED))
def test_a_check_is_fine_until_something_is_wrong_and_then_says_what(ledger: Ledger, name: str) -> None:
    declared, (provoke, words) = DECLARED[name], PROVOKED[name]
    before = check(ledger, name)
    assert (before["ok"], before["title"], before["finding"]) == (True, declared["title"], declared["fine"])
    provoke(ledger)
    after = check(ledger, name)
    assert after["ok"] is declared.get("is_information", False)
    for part in words:
        assert part in after["finding"]


def test_checks_come_in_the_order_in_which_they_are_declared(ledger: Ledger) -> None:
    assert [found["id"] for found in coverage.checks(ledger)] == list(DECLARED)


def test_a_failed_file_that_was_loaded_later_needs_no_look(ledger: Ledger) -> None:
    ledger.put("loads", {**LOAD, "status": "failed"}, {**LOAD, "id": 2})
    assert check(ledger, "failed")["ok"]


def test_rejects_of_a_file_that_failed_as_a_whole_are_named_once(ledger: Ledger) -> None:
    ledger.put("loads", {**LOAD, "status": "failed"})
    ledger.put("rejects", {"load_id": 1, "path": "bill.csv", "position": 0, "reason": "no collector"})
    assert check(ledger, "rejects")["ok"]
    assert not check(ledger, "failed")["ok"]


def test_what_is_wrong_most_is_named(ledger: Ledger) -> None:
    ledger.put("spans", *({**CALL, "span_id": name, "model": name, "cost_status": "unpriced_model", "input_tokens": tokens}
                          for name, tokens in (("small", 10), ("large", 9000), ("middle", 100))))  # fmt: skip
    assert check(ledger, "unpriced")["finding"].startswith("3, most tokens large")


def test_a_name_that_is_unknown_is_called_so(ledger: Ledger) -> None:
    usage(ledger, system=None, service=None, calls=4)
    assert "unknown: 4" in check(ledger, "unowned_calls")["finding"]
