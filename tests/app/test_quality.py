"""Quality & drift: what a person does about a drift, and how often which policy was broken."""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import session
from ingest.drift import baselines
from metrics.drift_verdicts import baselines as shown_baselines
from tests.metrics.ledger import Ledger

DAY = date(2026, 9, 20)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A ledger in which one signal of one system drifted."""
    found = Ledger()
    found.put_usage(20, system="claims")
    detail = {"segments": [{"words": "prompt version v8", "first_day": "2026-09-14"}]}
    found.put(
        "drift_results",
        {
            "as_of": datetime(2026, 9, 21), "system": "claims", "signal": "output_tokens", "state": "DRIFT", "psi": 0.4, "n_current": 300,
            "n_reference": 900, "noise_floor": 0.1, "q_value": 0.01, "reference_start": date(2026, 7, 1), "baseline": "first 2026-07-01",
            "reference_end": date(2026, 7, 28), "current_start": DAY - timedelta(days=6), "current_end": DAY, "detail": json.dumps(detail),
        },
    )  # fmt: skip
    session.use(found)
    st.cache_data.clear()
    yield found
    session._store = None
    found.close()


def page() -> AppTest:
    return AppTest.from_string("from app.views import quality\nquality.page()", default_timeout=60).run()


def test_a_drift_is_accepted_as_new_baseline_by_a_person_with_a_name(ledger: Ledger) -> None:
    found = page()
    assert not found.exception
    assert found.date_input(key="baseline_day_claims_output_tokens").value == date(2026, 9, 14)
    assert found.button(key="baseline_accept").disabled
    found.text_input(key="baseline_by").set_value("Jonas").run()
    found.button(key="baseline_accept").click().run()
    assert not found.exception
    accepted = shown_baselines(ledger)["claims"]
    assert (accepted.day, accepted.by) == (date(2026, 9, 14), "Jonas")
    assert any("accepted by Jonas" in str(element.proto.body) for element in found.get("html"))
    with ledger.transaction() as cursor:
        assert baselines(cursor, accepted.at.date()) == {"claims": date(2026, 9, 14)}
        assert baselines(cursor, DAY) == {}, "what was judged before keeps its reference"


def test_violations_are_shown_by_policy_and_system(ledger: Ledger) -> None:
    at = {"evaluated_at": datetime(2026, 9, 20, 12), "evaluator_kind": "code", "sampling_probability": 1.0, "name": "toxicity"}
    ledger.put("evaluations", {**at, "evaluation_id": "1", "response_id": "a", "label": "toxic"})
    ledger.put("evaluations", {**at, "evaluation_id": "2", "response_id": "b", "label": "blocked"})
    st.cache_data.clear()
    found = page()
    assert any("1 policy violation delivered, 1 blocked before delivery" in text.value for text in found.markdown)
