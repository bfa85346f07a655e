"""Sentences about KPIs, word for word: nothing rose or fell that the evidence does not support."""

from datetime import datetime
from typing import Any

import pytest

from app import rows
from app.quantities import NB
from metrics.kpi import KpiResult, kpis
from tests.app.results import result

ON = {"target": 0.25, "direction": "at_least", "status": "on target"}
RISK = {"target": 0.35, "direction": "at_least", "status": "at risk"}
OFF = {"target": 0.9, "direction": "at_least", "status": "off target"}
ROSE = {"previous_value": 0.2, "is_changed": True}
MAYBE = {"previous_value": 0.2, "is_changed": False}
FELL = {"target": 50.0, "direction": "at_most", "status": "on target", "previous_value": 40.0, "is_changed": True}


def cache(**facts: Any) -> KpiResult:
    return result("cache_hit_rate", 0.3, **facts)


def cost(**facts: Any) -> KpiResult:
    return result("unit_cost", 36.0, **facts)


NOTHING = result("incident_rate", None, note="No incidents loaded")


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ([NOTHING], "Nothing is measured yet against a target"),
        ([cache(), NOTHING], "Nothing is measured yet against a target"),
        ([cache(**ON), NOTHING], "1 of 1 measured KPIs on target"),
        ([cache(**ON, **ROSE)], "1 of 1 measured KPIs on target; prompt cache hit rate rose 10 pp"),
        ([cache(**ON, **MAYBE)], "1 of 1 measured KPIs on target"),
        ([cache(**RISK)], "0 of 1 measured KPIs on target; prompt cache hit rate is at risk"),
        ([cache(**OFF)], "0 of 1 measured KPIs on target; prompt cache hit rate is the main gap"),
        ([cost(**FELL), cache(**ON, **ROSE)], "2 of 2 measured KPIs on target; cost per 1k requests fell 10 %"),
        ([cache(**OFF), cost(**{**FELL, "status": "at risk"})], "0 of 2 measured KPIs on target; cost per 1k requests fell 10 %; "
         "prompt cache hit rate is the main gap"),
        ([result("incident_rate", 900.0, target=500.0, direction="at_most", status="off target")], "0 of 1 measured KPIs on target; "
         "AI incidents per 1 M requests is the main gap"),
    ],
)  # fmt: skip
def test_the_headline_of_the_posture_page(results: list[KpiResult], words: str) -> None:
    assert rows.headline(results).replace(NB, " ") == words


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (cache(**ROSE), "rose 10 pp"),
        (cache(**MAYBE), "no clear change"),
        (cache(previous_value=0.2, is_changed=None), "no clear change"),
        (cache(previous_value=0.3, is_changed=True), "no change"),
        (cache(), ""),
        (cost(previous_value=40.0, is_changed=True), "fell 10 %"),
        (result("unit_cost", None, previous_value=40.0), ""),
    ],
)
def test_a_change_is_a_rise_or_a_fall_only_where_it_is_supported(found: KpiResult, words: str) -> None:
    assert rows.change(found).replace(NB, " ") == words


def test_what_changed_lists_supported_changes_with_both_values() -> None:
    found = rows.changed([cache(**ROSE), cost(previous_value=40.0, is_changed=False), NOTHING])
    assert [(finding.words.replace(NB, " "), finding.detail.replace(NB, " ")) for finding in found] == [
        ("Prompt cache hit rate rose 10 pp", "to 30.0 % from 20.0 %")
    ]


def test_gaps_name_value_target_and_who_set_it_and_the_worst_comes_first() -> None:
    found = rows.gaps([cache(**RISK), cost(target=30.0, direction="at_most", status="off target", target_set_by="FinOps"), cache(**ON)])
    assert [(finding.words.replace(NB, " "), finding.detail.replace(NB, " ")) for finding in found] == [
        ("Cost per 1k requests: $36.00", "target ≤ $30 · set by FinOps · off target"),
        ("Prompt cache hit rate: 30.0 %", "target ≥ 35 % · at risk"),
    ]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (cache(), "n 8,542"),
        (cache(n=None), "n —"),
        (cache(coverage=0.818), "81.8 % covered"),
        (cache(coverage=1.0), "n 8,542"),
        (cost(n=6859), "6,859 req."),
        (result("incident_rate", 900.0, n=7), "7 incidents"),
        (result("incident_rate", 900.0, n=1), "1 incident"),
    ],
)
def test_evidence_in_three_words(found: KpiResult, words: str) -> None:
    assert rows.evidence(found).replace(NB, " ") == words


def test_a_kpi_without_data_keeps_its_row_with_the_reason_and_the_file_that_fills_it() -> None:
    row = rows.scorecard_row(NOTHING, [None, None], False, {})
    kpi = kpis()["incident_rate"]
    assert (row.title, row.status, row.value_text, row.bullet) == (kpi.title, "not measured", "—", None)
    assert (row.reason, row.fills) == ("No incidents loaded", kpi.fills)


def test_a_filter_that_does_not_apply_is_not_answered_with_a_file_to_load() -> None:
    row = rows.scorecard_row(result("incident_rate", None, state="NOT_APPLICABLE", note="Not kept by provider"), [], False, {})
    assert (row.reason, row.fills) == ("Not kept by provider", "")


def test_a_row_says_value_target_interval_and_keeps_what_was_filtered() -> None:
    found = cache(**ON, interval_low=0.28, interval_high=0.32, interval_method="Wilson", amber_margin=0.02)
    row = rows.scorecard_row(found, [0.2, 0.3], True, {"system": "Claims Copilot", "kpi": "other"})
    assert (row.value_text, row.unit_text, row.target_text.replace(NB, " ")) == ("30.0", "%", "≥ 25 %")
    assert row.interval_text.replace(NB, " ") == "95 %: 28.0 to 32.0 %"
    assert row.href == "kpis?kpi=Prompt+cache+hit+rate&system=Claims+Copilot"
    assert row.bullet is not None
    assert (row.bullet.value, row.bullet.target, row.bullet.margin, row.bullet.low, row.bullet.high) == (0.3, 0.25, 0.02, 0.28, 0.32)


def test_a_target_to_improve_has_no_tick_but_words() -> None:
    row = rows.scorecard_row(cost(target="improve", direction="at_most", status="at risk"), [], False, {})
    assert row.bullet is not None
    assert (row.bullet.target, row.target_text) == (None, "downward")


def test_statuses_are_counted() -> None:
    assert rows.counts([cache(**ON), cost(**FELL), NOTHING]) == {"on target": 2, "not measured": 1}


def test_facts_say_where_a_number_comes_from_and_leave_out_what_is_unknown() -> None:
    facts = dict(
        rows.facts(
            cost(
                numerator=244.06,
                denominator=6859,
                coverage=0.818,
                exclusions={"calls without a price": 1200},
                freshness=datetime(2026, 10, 2, 6, 10),
                target=30.0,
                direction="at_most",
                target_set_by="FinOps",
                previous_value=40.0,
                is_changed=True,
            )
        )
    )
    assert {name: text.replace(NB, " ") for name, text in facts.items()} == {
        "Target": "≤ $30, set by FinOps",
        "Interval": "none: not a sampled number",
        "Before": "$40.00, fell 10 %",
        "Numerator": "$244.06",
        "Denominator": "6,859",
        "Coverage": "81.8 %",
        "Left out": "1,200 calls without a price",
        "Loaded": "2 Oct 2026, 06:10 UTC",
    }
    assert "Before" not in dict(rows.facts(cost()))
