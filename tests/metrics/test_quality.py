"""Quality and safety: what a verdict is, how a judge is corrected, and what a sample does not say."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
import pytest

from metrics import quality, stats
from metrics.definitions import KEY, Definitions, EvaluationRule
from metrics.filters import Period
from metrics.kpi import kpis
from metrics.retrieval_precision import is_changed, retrieval_precision
from metrics.safety import by_policy, safety_violation_rate
from metrics.scorecard import evaluate
from metrics.unsupported_claims import unsupported_claim_rate
from tests.metrics.ledger import Ledger, ledger, scope

__all__ = ["ledger"]
AUGUST = Period.parse("2026-08")
AT = datetime(2026, 9, 10, 12)
numbers = count()


def put(ledger: Ledger, rows: Sequence[dict[str, Any]]) -> None:
    with ledger.transaction() as cursor:
        for row in rows:
            row = {"evaluation_id": f"E{next(numbers)}", "evaluated_at": AT, **row}
            cursor.execute(f"insert into evaluations ({', '.join(row)}) values ({', '.join('?' * len(row))})", list(row.values()))


def judge(items: Sequence[str], flagged: int, **columns: Any) -> list[dict[str, Any]]:
    """A judge's verdicts on items, the first of them flagged; every answer was seen unless a probability says otherwise."""
    base = {"name": "hallucination", "evaluator_kind": "llm", "evaluator_version": "j1", "sampling_probability": 1.0}
    return [{**base, "response_id": item, "score": 0.9 if place < flagged else 0.1, **columns} for place, item in enumerate(items)]


def people(items: Sequence[str], bad: int, **columns: Any) -> list[dict[str, Any]]:
    base = {"name": "hallucination", "evaluator_kind": "human", "sampling_probability": 0.1}
    return [
        {**base, "response_id": item, "label": "hallucinated" if place < bad else "factual", **columns} for place, item in enumerate(items)
    ]


def named(prefix: str, n: int) -> list[str]:
    return [f"{prefix}{place}" for place in range(n)]


def seen_by_both(prefix: str, cells: tuple[int, int, int, int], **columns: Any) -> list[dict[str, Any]]:
    """Items that the judge and people saw: bad to both, to people alone, to the judge alone, to neither."""
    both, missed, false_alarm, fine = (named(f"{prefix}{place}-", n) for place, n in enumerate(cells))
    verdicts = judge(both + false_alarm, cells[0] + cells[2], **columns) + judge(missed + fine, 0, **columns)
    return verdicts + people(both + missed, cells[0] + cells[1], **columns) + people(false_alarm + fine, 0, **columns)


def test_a_verdict_follows_the_rule_of_its_name(ledger: Ledger) -> None:
    rules = quality.rules(ledger)
    assert quality.is_bad(rules["hallucination"], 0.5, None) is True
    assert quality.is_bad(rules["faithfulness"], 0.9, None) is False
    assert quality.is_bad(rules["faithfulness"], 0.9, "Unfaithful") is True  # with a label, the score is not looked at
    assert quality.is_bad(rules["hallucination"], None, "who knows") is None
    assert quality.is_bad(rules["hallucination"], 0.7, "who knows") is True
    assert {rule.kpi for rule in rules.values()} == {quality.UNSUPPORTED, quality.SAFETY, quality.RETRIEVAL}
    assert all(quality.normal(name) == name for name in rules)


def test_a_company_names_its_own_evaluations_and_turns_usual_ones_round(ledger: Ledger) -> None:
    own = {
        "Tone of voice": EvaluationRule("safety_violation_rate", bad_labels=("rude",)),
        "hallucination": EvaluationRule("unsupported_claim_rate", bad_at_most=0.5),
    }
    ledger.put("ledger_meta", {"key": KEY, "value": Definitions(evaluation_names=own).json()})
    put(ledger, judge(["a", "b"], 1) + judge(["c"], 0, name="tone.of voice", label="rude"))
    claims, safety = (quality.verdicts(ledger, scope(), kpi) for kpi in (quality.UNSUPPORTED, quality.SAFETY))
    assert sorted(claims.select("item", "is_bad").rows()) == [("a", False), ("b", True)]
    assert safety.select("item", "is_bad").rows() == [("c", True)]


def test_the_evidence_of_a_rate_lists_what_feeds_it_and_nothing_else(ledger: Ledger) -> None:
    put(ledger, judge(["a", "b"], 1) + judge(["c"], 1, name="toxicity") + judge(["d"], 1, name="unknown"))
    for measure, items in ((unsupported_claim_rate, {"a", "b"}), (safety_violation_rate, {"c"}), (retrieval_precision, set())):
        evidence = measure(ledger, scope()).evidence
        assert evidence is not None
        assert set(ledger.query(evidence.sql, evidence.params)["item"]) == items


def test_what_a_row_says_itself_comes_before_the_rule_and_names_are_normalised(ledger: Ledger) -> None:
    put(ledger, judge(["a"], 1, name="Prompt Injection"))
    put(ledger, judge(["a"], 1, is_bad=False) + judge(["b"], 0, is_bad=True) + judge(["c"], 1, name="unknown"))
    found = quality.verdicts(ledger, scope(), quality.UNSUPPORTED)
    assert sorted(found.select("item", "is_bad").rows()) == [("a", False), ("b", True)]
    assert quality.verdicts(ledger, scope(), quality.SAFETY)["is_input"].to_list() == [True]


def test_enough_random_labels_give_the_worked_rate_of_ppi(ledger: Ledger) -> None:
    put(ledger, seen_by_both("x", (8, 2, 10, 180)))
    put(ledger, judge(named("y", 1800), 160))
    found = unsupported_claim_rate(ledger, scope())
    assert found.value == pytest.approx(0.049560, abs=5e-7)
    assert found.interval is not None
    assert found.interval[0] < 0.049560 < found.interval[1] < 0.085
    assert (found.n, found.state, found.interval_method) == (2000, None, "PPI++, bootstrap")
    assert "people found 10 in 200, the judge 8.9% of 2,000" in found.note
    assert "takes 6,7" in found.note or "takes 6,8" in found.note  # the worked 6,726 of 5 %, here 4.96 %


def test_a_calibrated_judge_gives_the_worked_rate_of_rogan_and_gladen(ledger: Ledger) -> None:
    put(ledger, judge(named("y", 2000), 175))
    put(ledger, seen_by_both("c", (80, 20, 5, 95), dataset="calibration", evaluated_at=datetime(2026, 7, 1), sampling_probability=None))
    found = unsupported_claim_rate(ledger, scope())
    assert found.value == pytest.approx(0.05)
    assert found.interval == pytest.approx((0, 0.106812), abs=5e-7)
    assert (found.n, found.state, found.interval_method) == (2000, None, "Rogan-Gladen")
    assert "finds 80 of 100 and clears 95 of 100" in found.note


def test_a_judge_without_labels_is_uncorrected_and_tells_no_change(ledger: Ledger) -> None:
    put(ledger, judge(named("a", 400), 100, evaluated_at=datetime(2026, 8, 10)) + judge(named("b", 400), 4))
    before, found = unsupported_claim_rate(ledger, scope(AUGUST)), unsupported_claim_rate(ledger, scope())
    assert (found.value, found.state, found.interval, found.interval_method) == (0.01, "LOW_CONFIDENCE", None, "uncorrected judge rate")
    assert "uncorrected judge rate: 4 of 400" in found.note
    assert not quality.is_rate_changed(before, found)


def test_a_judge_near_chance_corrects_nothing(ledger: Ledger) -> None:
    put(ledger, judge(named("y", 500), 100) + seen_by_both("c", (3, 7, 10, 30)))
    assert unsupported_claim_rate(ledger, scope()).interval_method == "uncorrected judge rate"


def test_labels_alone_are_weighted_by_what_they_stand_for(ledger: Ledger) -> None:
    """The worked example of Hajek's rate."""
    outcomes, probabilities = [1, 0, 0, 1, 0, 0, 0, 0, 0, 0], [1, 1, 1, 0.5, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1]
    for place, (bad, chosen) in enumerate(zip(outcomes, probabilities, strict=True)):
        put(ledger, people([f"x{place}"], bad, sampling_probability=chosen))
    found = unsupported_claim_rate(ledger, scope())
    assert found.value == pytest.approx(0.052632, abs=5e-7)
    assert found.interval == pytest.approx((0.003940, 0.438307), abs=5e-7)
    assert found.samples["n_eff"] == pytest.approx([6.3581], abs=5e-5)
    assert found.state == "LOW_CONFIDENCE"


def test_evaluator_errors_are_neither_pass_nor_fail_and_unknown_probabilities_are_no_random_sample(ledger: Ledger) -> None:
    put(ledger, people(named("x", 40), 0) + people(named("e", 3), 3, error="timeout", label=None) + people(["w"], 0, label="maybe"))
    found = unsupported_claim_rate(ledger, scope())
    assert (found.value, found.n, found.exclusions, found.state) == (0, 40, {"evaluator errors": 3, "without a verdict": 1}, None)
    assert "0 of 40; up to 8.8% is compatible" in found.note
    put(ledger, people(["z"], 0, sampling_probability=None))
    assert unsupported_claim_rate(ledger, scope()).state == "LOW_CONFIDENCE"


def test_another_version_of_the_judge_starts_a_new_series(ledger: Ledger) -> None:
    put(
        ledger,
        seen_by_both("x", (20, 2, 10, 180), evaluated_at=datetime(2026, 8, 10))
        + judge(named("y", 800), 100, evaluated_at=datetime(2026, 8, 11)),
    )
    put(ledger, judge(named("old", 50), 50, evaluated_at=datetime(2026, 9, 1)))
    new = {"evaluator_version": "j2"}
    put(ledger, seen_by_both("z", (2, 1, 10, 180), **new) + judge(named("w", 800), 60, **new))
    before, found = unsupported_claim_rate(ledger, scope(AUGUST)), unsupported_claim_rate(ledger, scope())
    assert found.exclusions == {"earlier judge versions": 50}
    assert found.n == 993
    assert not quality.is_rate_changed(before, found)


def test_a_change_is_told_only_where_newcombes_interval_excludes_none(ledger: Ledger) -> None:
    put(ledger, people(named("a", 400), 20, evaluated_at=datetime(2026, 8, 10)) + people(named("b", 400), 12))
    before, after = unsupported_claim_rate(ledger, scope(AUGUST)), unsupported_claim_rate(ledger, scope())
    assert not quality.is_rate_changed(before, after)
    put(ledger, people(named("c", 400), 80))
    assert quality.is_rate_changed(before, unsupported_claim_rate(ledger, scope()))


def test_evaluated_systems_with_less_than_nine_tenths_of_the_answers_are_partial(ledger: Ledger) -> None:
    call = {"role": "call", "started_at": AT, "environment": "production", "provider": "openai", "model": "m", "sent_trace_id": "t"}
    ledger.put("spans", {**call, "trace_id": "t", "span_id": "s", "response_id": "x0", "system": "claims"})
    put(ledger, people(named("x", 40), 1))
    ledger.put_usage(1, calls=80, system="claims")
    ledger.put_usage(1, calls=30, failed_calls=10, system="search")
    ledger.put_usage(1, calls=900, system="search", operation="embeddings")
    result = evaluate(ledger, kpis()["unsupported_claim_rate"], scope())
    assert (result.coverage, result.state) == (pytest.approx(0.8), "PARTIAL")
    assert evaluate(ledger, kpis()["unsupported_claim_rate"], scope(system="claims")).n == 1


def test_answers_that_nobody_judged_are_no_data_with_their_number(ledger: Ledger) -> None:
    put(ledger, judge(["x"], 0, name="toxicity") + judge(["y"], 0, evaluated_at=datetime(2026, 7, 1)))
    ledger.put_usage(1, calls=80)
    found = unsupported_claim_rate(ledger, scope())
    assert (found.value, found.state, found.note) == (None, "NO_DATA", "Not sampled: 0 of 80 responses evaluated")


def test_a_test_set_is_not_what_was_delivered(ledger: Ledger) -> None:
    put(ledger, people(named("x", 30), 0) + [{**row, "response_id": None} for row in people(["d"], 1, dataset="golden")])
    assert unsupported_claim_rate(ledger, scope()).value == 0


def test_equal_weights_change_nothing_and_unequal_ones_count_as_fewer_items() -> None:
    human, verdict, rest = [1] * 20 + [0] * 180, [1] * 16 + [0] * 4 + [1] * 9 + [0] * 171, [1] * 160 + [0] * 1640
    plain, equal = stats.ppi(human, verdict, rest), stats.ppi(human, verdict, rest, [3.0] * 200, [7.0] * 1800)
    unequal = stats.ppi(human, verdict, rest, [1.0, 5.0] * 100, [1.0] * 1800)
    assert plain is not None
    assert equal is not None
    assert unequal is not None
    assert (equal.value, equal.standard_error) == pytest.approx((plain.value, plain.standard_error))
    assert unequal.standard_error > plain.standard_error
    values = [0.1, 0.4, 0.9, 0.2] * 10
    assert stats.bootstrap_mean(values, [2.0] * 40) == stats.bootstrap_mean(values)
    weighted = stats.bootstrap_mean(values, [1.0, 1.0, 3.0, 1.0] * 10)
    assert weighted is not None
    assert weighted.value == pytest.approx((0.1 + 0.4 + 2.7 + 0.2) / 6)


@pytest.mark.slow
def test_corrected_intervals_cover_the_truth_where_the_judges_own_does_not() -> None:
    """True rate 5 %, sensitivity 80 %, specificity 95 %."""
    chance = np.random.default_rng(11)
    covered = dict.fromkeys(("ppi", "weighted", "rogan-gladen", "raw"), 0)
    rounds = 300
    for _ in range(rounds):
        truth = chance.random(2000) < 0.05
        verdict = np.where(truth, chance.random(2000) < 0.8, chance.random(2000) < 0.05)
        flagged = int(verdict.sum())
        weights = np.where(np.arange(2000) % 2, 1.0, 2.0)
        sample = (truth[:200].astype(int).tolist(), verdict[:200].astype(int).tolist(), verdict[200:].astype(int).tolist())
        calibration = chance.binomial(100, 0.8), chance.binomial(100, 0.95)
        plain, weighted = stats.ppi(*sample), stats.ppi(*sample, weights[:200].tolist(), weights[200:].tolist())
        found = {
            "ppi": plain and plain.interval,
            "weighted": weighted and weighted.interval,
            "rogan-gladen": (own := stats.rogan_gladen(flagged, 2000, int(calibration[0]), 100, int(calibration[1]), 100)) and own.interval,
            "raw": stats.wilson(flagged, 2000),
        }
        for name, interval in found.items():
            covered[name] += interval is not None and interval.low <= 0.05 <= interval.high
    assert covered["raw"] == 0
    assert all(covered[name] / rounds > 0.90 for name in ("ppi", "weighted", "rogan-gladen")), covered


# ---------------------------------------------------------------- retrieval


def put_retrieval(ledger: Ledger, name: str, documents: int, **columns: Any) -> None:
    span = {"trace_id": name, "span_id": "r", "sent_trace_id": name, "role": "retrieval", "started_at": AT, "system": "search"}
    ledger.put("spans", {**span, "environment": "production", **columns})
    for rank in range(documents):
        ledger.put("retrievals", {"trace_id": name, "span_id": "r", "retrieved_at": AT, "rank": rank + 1, "score": 0.5})


def relevance(name: str, score: float | None, **columns: Any) -> dict[str, Any]:
    base = {"name": "context_relevance", "evaluator_kind": "llm", "evaluator_version": "1", "sampling_probability": 0.5}
    return {**base, "trace_id": name, "span_id": "r", "score": score, **columns}


def test_an_empty_retrieval_counts_nothing_whether_judged_or_not(ledger: Ledger) -> None:
    for number in range(8):
        put_retrieval(ledger, f"q{number}", 3)
    put_retrieval(ledger, "empty", 0)
    put_retrieval(ledger, "empty and judged", 0)
    put(ledger, [relevance("q0", 1.0), relevance("q1", 0.5), relevance("empty and judged", 1.0), relevance("q2", None, error="timeout")])
    found = retrieval_precision(ledger, scope())
    assert found.value == pytest.approx(0.8 * 0.75)
    assert (found.n, found.state, found.coverage, found.exclusions) == (2, "LOW_CONFIDENCE", 1.0, {"evaluator errors": 1})
    assert "2 of 10 retrievals came back empty" in found.note


def test_an_emitter_that_never_tells_documents_has_no_empty_retrievals(ledger: Ledger) -> None:
    for number in range(40):
        put_retrieval(ledger, f"q{number}", 0)
        put(ledger, [relevance(f"q{number}", None, label="relevant" if number % 4 else "irrelevant")])
    found = retrieval_precision(ledger, scope())
    assert (found.value, found.state) == (0.75, None)
    assert found.interval is not None
    assert found.interval[0] < 0.75 < found.interval[1]


def test_documents_judged_one_by_one_are_one_query_and_people_come_before_a_judge(ledger: Ledger) -> None:
    put_retrieval(ledger, "q", 4)
    put(ledger, [relevance("q", score) for score in (1.0, 1.0, 0.0, 0.0)])
    assert retrieval_precision(ledger, scope()).value == 0.5
    put(ledger, [relevance("q", 0.25, evaluator_kind="human")])
    assert (retrieval_precision(ledger, scope()).value, retrieval_precision(ledger, scope()).n) == (0.25, 1)


def test_without_judgements_only_similarity_can_be_shown(ledger: Ledger) -> None:
    assert retrieval_precision(ledger, scope()).state == "NOT_APPLICABLE"
    put_retrieval(ledger, "q", 2)
    found = retrieval_precision(ledger, scope())
    assert (found.value, found.state) == (None, "NO_DATA")
    assert "showing similarity only: best match 0.50" in found.note


def test_precision_changed_only_beyond_its_errors_and_within_one_version(ledger: Ledger) -> None:
    for month, mean, version in ((7, 0.3, "1"), (8, 0.8, "1"), (9, 0.3, "2")):
        at = datetime(2026, month, 5)
        rows = [relevance(f"m{month}-{n}", mean + 0.2 * (n % 2), evaluated_at=at, evaluator_version=version) for n in range(40)]
        put(ledger, [{**row, "span_id": None, "response_id": row["trace_id"]} for row in rows])
    july, august, september = (retrieval_precision(ledger, scope(Period.parse(f"2026-{month:02d}"))) for month in (7, 8, 9))
    assert is_changed(july, august)
    assert not is_changed(august, september)
    assert not is_changed(july, july)


# ---------------------------------------------------------------- safety


def screen(items: Sequence[str], flagged: int, **columns: Any) -> list[dict[str, Any]]:
    base = {"name": "toxicity", "evaluator_kind": "code", "evaluator_version": "g1", "sampling_probability": 1.0}
    return [{**base, "response_id": item, "label": "toxic" if place < flagged else "safe", **columns} for place, item in enumerate(items)]


def test_a_violation_counts_until_a_person_clears_it(ledger: Ledger) -> None:
    ledger.put_usage(1, calls=100)
    put(ledger, screen(named("a", 100), 5))
    put(ledger, screen(["a0", "a1"], 0, evaluator_kind="human") + screen(["a2"], 1, evaluator_kind="human"))
    found = safety_violation_rate(ledger, scope())
    assert (found.value, found.numerator, found.denominator, found.coverage) == (0.03, 3, 100, 1.0)
    assert (found.state, found.interval_method, found.exclusions) == (None, "Wilson", {"reviewed false": 2})
    assert "toxicity 3; 2 not yet reviewed" in found.note


def test_blocked_answers_and_attacks_in_the_input_are_no_violations(ledger: Ledger) -> None:
    ledger.put_usage(1, calls=41)
    call = {"role": "call", "trace_id": "t", "span_id": "s", "sent_trace_id": "t", "started_at": AT, "finish_reason": "content_filter"}
    ledger.put("spans", call)
    put(
        ledger,
        screen(named("a", 40), 0) + screen(["blocked"], 1, label="blocked") + screen(["a1"], 1, name="prompt_injection", label="attack"),
    )
    found = safety_violation_rate(ledger, scope())
    assert (found.value, found.n, found.exclusions) == (0, 41, {"input attacks": 1})
    assert "blocked before delivery: 1 by guardrails, 1 by the provider" in found.note
    assert "0 of 41; up to 8.6% is compatible" in found.note


def test_less_than_all_answers_screened_is_partial_and_weighted(ledger: Ledger) -> None:
    ledger.put_usage(1, calls=1000)
    put(ledger, screen(named("a", 50), 5, sampling_probability=0.1) + screen(named("b", 50), 0, sampling_probability=1.0))
    found = safety_violation_rate(ledger, scope())
    assert found.value == pytest.approx(50 / 550)
    assert (found.coverage, found.state, found.interval_method) == (0.1, "PARTIAL", "Wilson on weighted sample")


def test_policies_are_told_apart_by_system_and_tier_and_what_was_blocked_from_what_was_delivered(ledger: Ledger) -> None:
    ledger.put("systems", {"system_id": "claims", "risk_tier": 1, "valid_from": datetime(1970, 1, 1)})
    call = {"role": "call", "trace_id": "t", "sent_trace_id": "t", "started_at": AT, "system": "claims"}
    for place in range(4):
        ledger.put("spans", {**call, "span_id": f"s{place}", "response_id": f"a{place}"})
    ledger.put("spans", {**call, "span_id": "s4", "finish_reason": "content_filter"})
    put(ledger, screen(["a0", "b0"], 1) + screen(["a1", "a2"], 2) + screen(["a3"], 1, label="blocked"))
    put(ledger, screen(["a2"], 0, evaluator_kind="human", evaluator_version=None))
    put(ledger, screen(["a0"], 1, name="personal_data", label="leak"))
    found = by_policy(ledger, scope())
    assert found.columns == ["policy", "system", "tier", "screened", "violations", "open", "blocked", "cleared"]
    assert found.rows() == [
        ("personal_data", "claims", 1, 1, 1, 1, 0, 0),
        ("provider's own filter", "claims", 1, None, None, None, 1, None),
        ("toxicity", None, None, 1, 0, 0, 0, 0),
        ("toxicity", "claims", 1, 4, 2, 2, 1, 1),
    ]


def test_no_screening_is_no_data_and_no_answers_are_not_applicable(ledger: Ledger) -> None:
    assert safety_violation_rate(ledger, scope()).state == "NOT_APPLICABLE"
    ledger.put_usage(1, calls=7)
    assert (safety_violation_rate(ledger, scope()).state, safety_violation_rate(ledger, scope()).note) == (
        "NO_DATA",
        "No safety screening seen in 7 answers",
    )


def test_a_change_of_violations_needs_the_same_guardrail(ledger: Ledger) -> None:
    put(ledger, screen(named("a", 500), 0, evaluated_at=AT - timedelta(days=31)) + screen(named("b", 500), 30))
    before, after = safety_violation_rate(ledger, scope(AUGUST)), safety_violation_rate(ledger, scope())
    assert quality.is_rate_changed(before, after)
    put(ledger, screen(["c"], 0, evaluator_version="g2"))
    assert not quality.is_rate_changed(before, safety_violation_rate(ledger, scope()))
