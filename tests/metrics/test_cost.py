"""Unit cost, cache hit rate, spend and percentiles: what is billed, what is traced, what is unknown."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from metrics import coverage, histogram, spend
from metrics.cache import cache_hit_rate
from metrics.unit_cost import unit_cost
from metrics.usage import usage
from tests.metrics.ledger import Ledger, ledger, scope

__all__ = ["ledger"]


def charge(day: int, usd: str, **columns: Any) -> dict[str, Any]:
    amount = Decimal(usd)
    return {
        "charge_period_start": datetime(2026, 9, day),
        "charge_period_end": datetime(2026, 9, day, 23),
        "charge_category": "Usage",
        "provider": "openai",
        "model": "gpt-4o",
        "token_class": "output",
        "service_category": "AI and Machine Learning",
        "usd_billed_cost": amount,
        "usd_effective_cost": amount,
        **columns,
    }


def test_unit_cost_is_the_bill_with_tax_over_requests_of_all_environments(ledger: Ledger) -> None:
    ledger.put_usage(1, requests=600)
    ledger.put_usage(30, requests=400, environment="staging")
    ledger.put(
        "charges", charge(1, "30"), charge(30, "8"), charge(30, "2", charge_category="Tax", model=None, token_class=None, unit_class="tax")
    )
    found = unit_cost(ledger, scope())
    assert (found.value, found.numerator, found.denominator) == (40, 40, 1000)


def test_days_that_a_provider_has_not_billed_yet_are_left_out_on_both_sides(ledger: Ledger) -> None:
    for day in (1, 2, 3):
        ledger.put_usage(day, requests=100)
    ledger.put(
        "charges",
        charge(1, "1"),
        charge(2, "1"),
        charge(3, "1"),
        charge(1, "1", provider="anthropic"),
        charge(2, "1", provider="anthropic"),
    )
    found = unit_cost(ledger, scope())
    assert (found.numerator, found.denominator) == (4, 200)
    assert "closed days up to 2026-09-03" in found.note


def test_a_provider_that_is_no_longer_used_does_not_hold_the_others_up(ledger: Ledger) -> None:
    ledger.put_usage(30, requests=100)
    ledger.put("charges", charge(2, "1", provider="anthropic"), charge(30, "1"))
    assert spend.closed_until(ledger, scope()) == datetime(2026, 10, 1)


def test_without_a_bill_the_price_book_estimates_and_the_note_says_so(ledger: Ledger) -> None:
    ledger.put_usage(1, requests=100, calls=100, cost_usd=Decimal("5"))
    found = unit_cost(ledger, scope())
    assert found.value == 50
    assert "estimated" in found.note


def test_calls_without_a_price_make_an_estimate_partial(ledger: Ledger) -> None:
    ledger.put_usage(1, requests=100, calls=100, cost_usd=Decimal("5"), unpriced_calls=20)
    assert unit_cost(ledger, scope()).coverage == pytest.approx(0.8)


def test_cost_without_requests_is_idle_and_no_ratio(ledger: Ledger) -> None:
    ledger.put("charges", charge(1, "5"))
    found = unit_cost(ledger, scope())
    assert (found.value, found.state) == (None, "NOT_APPLICABLE")
    assert "idle" in found.note


def test_the_cache_hit_rate_leaves_out_embeddings_and_calls_whose_emitter_hides_the_cache(ledger: Ledger) -> None:
    ledger.put_usage(1, input_tokens=1000, cache_read_tokens=400)
    ledger.put_usage(2, input_tokens=1000, cache_read_tokens=0, calls=2, cache_unknown_calls=1, cache_unknown_input_tokens=200)
    ledger.put_usage(3, input_tokens=9000, operation="embeddings")
    ledger.put_usage(4, calls=3, failed_calls=1, unknown_usage_calls=2)
    found = cache_hit_rate(ledger, scope())
    assert (found.numerator, found.denominator) == (400, 1800)
    assert found.exclusions == {"tokens unknown": 2, "cache not told apart": 1}
    assert found.coverage == pytest.approx(2 / 5)


def test_without_tokens_there_is_no_cache_hit_rate(ledger: Ledger) -> None:
    ledger.put_usage(1)
    assert (cache_hit_rate(ledger, scope()).value, cache_hit_rate(ledger, scope()).state) == (None, "NOT_APPLICABLE")


def test_every_breakdown_of_spend_adds_up_to_the_headline(ledger: Ledger) -> None:
    ledger.put(
        "charges",
        charge(1, "1.100000000001", system="a"),
        charge(2, "2.2", provider="anthropic", model="claude"),
        charge(3, "0.3"),
        charge(3, "-0.5", charge_category="Credit", model=None, token_class=None, unit_class="credit"),
    )
    found = spend.spend(ledger, scope())
    assert found.basis == "billed"
    assert found.total_usd == Decimal("3.100000000001")
    for name in ("day", "provider", "model", "system", "team"):
        assert found.by(name)["cost_usd"].sum() == found.total_usd
    assert found.by_day()["cost_usd"].sum() + found.other_usd == found.total_usd


def test_a_filter_that_bills_do_not_know_falls_back_to_traces(ledger: Ledger) -> None:
    ledger.put("charges", charge(1, "9"))
    ledger.put_usage(1, cost_usd=Decimal("4"), environment="staging", provider="openai")
    assert spend.spend(ledger, scope(environment="staging")).total_usd == 4
    assert spend.spend(ledger, scope(provider="openai")).total_usd == 9


def test_unknown_cost_stays_unknown(ledger: Ledger) -> None:
    ledger.put_usage(1, model="m")
    found = spend.spend(ledger, scope())
    assert found.total_usd is None
    assert found.by("model")["cost_usd"].to_list() == [None]


def test_movers_compare_with_the_window_before_on_the_same_basis(ledger: Ledger) -> None:
    ledger.put("charges", charge(1, "30", system="a"), charge(1, "5"))
    ledger.put(
        "charges",
        {**charge(1, "20", system="a"), "charge_period_start": datetime(2026, 8, 5)},
        {**charge(1, "7", system="gone"), "charge_period_start": datetime(2026, 8, 5)},
    )
    found = {row["system"]: row for row in spend.movers(ledger, scope(), spend.spend(ledger, scope()))}
    assert {name: row["change_usd"] for name, row in found.items()} == {"a": 10, "gone": -7, None: 5}
    assert found["a"]["change_share"] == 0.5
    assert sum(row["cost_usd"] or 0 for row in found.values()) == 35


def test_charges_of_other_services_are_not_ai_spend(ledger: Ledger) -> None:
    ledger.put("charges", charge(1, "9", service_category="Storage", model=None, token_class=None, provider="aws"))
    assert spend.basis(ledger, scope()) == "traced"


def test_a_teams_charges_follow_the_register_of_the_day(ledger: Ledger) -> None:
    ledger.put(
        "systems",
        {"system_id": "a", "team": "Red", "valid_from": datetime(1970, 1, 1), "valid_to": datetime(2026, 9, 10)},
        {"system_id": "a", "team": "Blue", "valid_from": datetime(2026, 9, 10)},
    )
    ledger.put("charges", charge(1, "1", system="a"), charge(20, "2", system="a"))
    assert dict(spend.spend(ledger, scope()).by("team").rows()) == {"Blue": 2, "Red": 1}


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_percentile_from_bins_is_within_one_percent(ledger: Ledger, share: float) -> None:
    values = [float(value) for value in range(1, 2001)]
    bins = pl.Series(values).log(1.02).ceil().cast(pl.Int64).cast(pl.String).value_counts()
    ledger.put(
        "signal_day", *[{"day": datetime(2026, 9, 3), "signal": "latency_ms", "bin": row[0], "n": row[1]} for row in bins.iter_rows()]
    )
    assert histogram.percentile(ledger, scope(), "latency_ms", share) == pytest.approx(2000 * share, rel=0.011)
    assert histogram.percentile(ledger, scope(), "ttft_ms", share) is None


def test_the_error_rate_has_an_interval_and_nothing_has_none(ledger: Ledger) -> None:
    assert usage(ledger, scope()).error_rate is None
    ledger.put_usage(1, calls=120, failed_calls=9)
    found = usage(ledger, scope())
    assert found.error_rate == pytest.approx(0.075)
    assert found.error_interval is not None
    assert (found.error_interval.low, found.error_interval.high) == pytest.approx((0.039957, 0.136409), abs=1e-6)


def test_doctor_names_what_is_missing(ledger: Ledger) -> None:
    assert all(check["ok"] for check in coverage.checks(ledger) if check["id"] not in ("loaded", "span"))
    ledger.put_usage(1, provider="openai", service="orphan", calls=10, unknown_usage_calls=3)
    ledger.put("charges", charge(1, "5", provider="anthropic", project="p-1", model=None, unit_class="other"))
    found = {check["id"]: check for check in coverage.checks(ledger)}
    assert [name for name, check in found.items() if not check["ok"]] == [
        "usage",
        "unowned_calls",
        "unowned_charges",
        "unmapped",
        "unbilled",
        "untraced",
        "rollup",
    ]
    assert "orphan" in found["unowned_calls"]["finding"]
    assert "$5.00" in found["unowned_charges"]["finding"]
