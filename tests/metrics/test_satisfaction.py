"""The survey KPI: the worked example, other scales, which survey counts, and what few answers may not show."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_ind

from metrics.filters import Period
from metrics.satisfaction import is_changed, stakeholder_satisfaction
from tests.metrics.ledger import Ledger, ledger, scope

__all__ = ["ledger"]
WORKED = (5, 4, 4, 5, 3, 4, 5, 4, 2, 5, 4, 4)


def answer(ledger: Ledger, period: str, scores: Sequence[float], **columns: Any) -> None:
    for number, score in enumerate(scores):
        ledger.put("survey_responses", {"response_id": f"{period} {number}", "period": period, "score": score, **columns})


def test_the_worked_example_has_a_t_interval_with_the_finite_population_factor(ledger: Ledger) -> None:
    answer(ledger, "2026-Q2", WORKED, invited_n=30)
    found = stakeholder_satisfaction(ledger, scope(Period.parse("2026-08")))
    assert found.value == pytest.approx(4.0833, abs=5e-5)
    assert found.interval == pytest.approx((3.6327, 4.5340), abs=1e-4)
    expected = "survey 2026-Q2, ended 2026-06-30, 62 days before · 12 of 30 answered · 83.3% satisfied (4 or more; 55.2% to 95.3%)"
    assert (found.n, found.note) == (12, expected)


def test_the_latest_survey_that_had_ended_counts(ledger: Ledger) -> None:
    answer(ledger, "2026-Q2", [3] * 5)
    answer(ledger, "2026-09", [4] * 5)
    answer(ledger, "2026-Q4", [5] * 5)
    assert [stakeholder_satisfaction(ledger, scope(Period.parse(month))).value for month in ("2026-08", "2026-09", "2026-12")] == [3, 4, 5]
    early = stakeholder_satisfaction(ledger, scope(Period.parse("2026-05")))
    assert (early.state, early.note) == ("NOT_APPLICABLE", "No survey had ended by 2026-05-31")


def test_fewer_than_five_answers_are_suppressed_with_their_rows(ledger: Ledger) -> None:
    answer(ledger, "2026-09", [5, 5, 1, 2])
    found = stakeholder_satisfaction(ledger, scope())
    assert (found.value, found.numerator, found.interval, found.evidence, found.state) == (None, None, None, None, "LOW_CONFIDENCE")
    assert found.note == "survey 2026-09, ended 2026-09-30; 4 answered, fewer than 5 are not shown"


def test_the_evidence_counts_scores_and_names_nobody(ledger: Ledger) -> None:
    answer(ledger, "2026-09", [5, 5, 4, 4, 4])
    evidence = stakeholder_satisfaction(ledger, scope()).evidence
    assert evidence is not None
    assert ledger.query(evidence.sql, evidence.params).select("score", "answers").rows() == [(4, 3), (5, 2)]


def test_other_scales_are_brought_to_one_to_five_and_a_person_counts_once(ledger: Ledger) -> None:
    answer(ledger, "2026-09", [10, 0, 5], scale_min=0, scale_max=10)
    ledger.put("survey_responses", {"response_id": "x", "period": "2026-09", "score": 2, "question_id": "a"})
    ledger.put("survey_responses", {"response_id": "x", "period": "2026-09", "score": 4, "question_id": "b"})
    ledger.put("survey_responses", {"response_id": "y", "period": "2026-09", "score": 3, "question_id": "a"})
    found = stakeholder_satisfaction(ledger, scope())
    assert (found.value, found.n) == (3, 5)


def test_audiences_with_their_own_numbers_add_up_and_an_impossible_number_is_not_used(ledger: Ledger) -> None:
    answer(ledger, "2026-09", [4, 5, 4], invited_n=10, audience="clerks")
    ledger.put(
        "survey_responses", *({"response_id": f"b{n}", "period": "2026-09", "score": 3, "invited_n": 4, "audience": "board"} for n in "12")
    )
    assert "5 of 14 answered" in stakeholder_satisfaction(ledger, scope()).note
    answer(ledger, "2026-10", [4, 5, 4, 3, 3], invited_n=4)
    found = stakeholder_satisfaction(ledger, scope(Period.parse("2026-10")))
    assert found.interval_method == "t"
    assert "answered" not in found.note


def test_when_everybody_answered_there_is_no_doubt_and_without_spread_and_numbers_no_interval(ledger: Ledger) -> None:
    answer(ledger, "2026-09", [4, 5, 4, 3, 4], invited_n=5)
    assert stakeholder_satisfaction(ledger, scope()).interval == (4, 4)
    answer(ledger, "2026-10", [4] * 6, invited_n=30)
    assert stakeholder_satisfaction(ledger, scope(Period.parse("2026-10"))).interval is None


def test_answers_of_an_unreadable_period_are_counted(ledger: Ledger) -> None:
    answer(ledger, "2026-09", [4] * 5)
    answer(ledger, "last spring", [1] * 7)
    found = stakeholder_satisfaction(ledger, scope())
    assert (found.value, found.exclusions) == (4, {"answers of an unreadable period": 7})


@pytest.mark.parametrize("shift", [0.2, 0.5, 0.9, 1.4])
def test_a_change_is_welchs_and_needs_another_survey_with_the_same_questions(ledger: Ledger, shift: float) -> None:
    first = np.array(WORKED) - 1.0
    second = np.clip(first + shift, 1, 5)
    answer(ledger, "2026-08", list(first), question_id="a")
    answer(ledger, "2026-09", list(second), question_id="a")
    answer(ledger, "2026-10", [5] * 9 + [4], question_id="b")
    august, september, october = (stakeholder_satisfaction(ledger, scope(Period.parse(f"2026-{month}"))) for month in ("08", "09", "10"))
    assert is_changed(august, september) == (ttest_ind(first, second, equal_var=False).pvalue < 0.05)
    assert not is_changed(august, october)
    assert not is_changed(august, august)
    assert september.samples["ended"] == [datetime(2026, 10, 1).timestamp()]
