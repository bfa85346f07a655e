"""Every cent of the invoice reaches somebody, once."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.allocation import NOBODY, Party, allocate, split
from ingest.prices.book import ensure_book
from metrics.filters import Period
from metrics.showback import PARTY, showback, to_cents
from tests.metrics.ledger import Ledger, ledger

__all__ = ["ledger"]

A, B, C = Party("a", "red"), Party("b", "blue"), Party("c", "blue")


@pytest.mark.parametrize(
    ("total", "weights", "expected"),
    [
        ("100.00", [1, 1, 1], ["33.34", "33.33", "33.33"]),
        ("37.50", [300, 150, 75, 80], ["18.59", "9.30", "4.65", "4.96"]),
        ("-10.01", [2, 3, 5], ["-2.00", "-3.00", "-5.01"]),
    ],
)
def test_largest_remainder_as_worked_out(total: str, weights: list[int], expected: list[str]) -> None:
    exact = {number: Decimal(total) * weight / sum(weights) for number, weight in enumerate(weights)}
    assert list(to_cents(Decimal(total), exact).values()) == [Decimal(usd) for usd in expected]


@given(st.lists(st.decimals(-10_000, 10_000, places=12), min_size=1, max_size=30))
def test_cents_always_add_up_to_the_rounded_total(amounts: list[Decimal]) -> None:
    total = sum(amounts, Decimal(0)).quantize(Decimal("0.01"))
    cents = to_cents(total, dict(enumerate(amounts)))
    assert sum(cents.values()) == total
    assert all(abs(cents[number] - amount) < Decimal("0.01") for number, amount in enumerate(amounts))


@given(st.decimals(-10_000, 10_000, places=12), st.lists(st.integers(0, 10**12), min_size=1, max_size=20))
def test_a_split_is_exact_and_in_proportion(amount: Decimal, weights: list[int]) -> None:
    named = {Party(f"s{number}"): Decimal(weight) for number, weight in enumerate(weights)}
    shares = split(amount, named)
    assert sum(shares.values()) == amount
    if sum(weights):
        assert all(abs(share - amount * named[party] / sum(weights)) <= Decimal("1e-12") for party, share in shares.items())
    else:
        assert shares == {NOBODY: amount}


def charge(ledger: Ledger, usd: str, **columns: object) -> None:
    ledger.put(
        "charges",
        {
            "charge_period_start": datetime(2026, 9, 10),
            "charge_period_end": datetime(2026, 9, 11),
            "charge_category": "Usage",
            "provider": "acme",
            "service_category": "AI and Machine Learning",
            "usd_billed_cost": Decimal(usd),
            "load_id": 1,
            **columns,
        },
    )


def call(ledger: Ledger, system: str, input_tokens: int, output_tokens: int = 0, **columns: object) -> None:
    ledger.put(
        "spans",
        {
            "trace_id": "t",
            "span_id": f"{system}{input_tokens}{columns}"[:60],
            "sent_trace_id": "t",
            "role": "call",
            "started_at": datetime(2026, 9, 10, 12),
            "provider": "acme",
            "model": "m",
            "region_scope": "any",
            "token_convention": "inclusive",
            "flags": [],
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "system": system,
            **columns,
        },
    )


def handed_on(ledger: Ledger, shared: dict | None = None) -> dict[tuple[str | None, str], Decimal]:
    with ledger.cursor() as cursor:
        rows = allocate(cursor, datetime(2026, 9, 1), datetime(2026, 10, 1), shared or {})
    found: dict[tuple[str | None, str], Decimal] = {}
    for _, _, _, _, system, *_, amount, basis, _ in rows:
        found[system, basis] = found.get((system, basis), Decimal(0)) + amount
    return found


@pytest.fixture
def traced(ledger: Ledger) -> Ledger:
    """The worked example: three systems, and a million billed input tokens that no trace shows."""
    call(ledger, "a", 4_000_000)
    call(ledger, "b", 3_000_000, 600_000)
    call(ledger, "c", 2_000_000, 400_000)
    tokens = {"model": "m", "consumed_unit": "Tokens"}
    charge(ledger, "27.00", token_class="uncached_input", consumed_quantity=10_000_000, **tokens)
    charge(ledger, "13.50", token_class="output", consumed_quantity=1_000_000, **tokens)
    return ledger


def test_the_worked_example_hands_on_by_cost_weighted_tokens(traced: Ledger) -> None:
    assert handed_on(traced) == {
        ("a", "tokens"): Decimal("10.80"),
        ("b", "tokens"): Decimal("16.20"),
        ("c", "tokens"): Decimal("10.80"),
        (None, "unattributed"): Decimal("2.70"),
    }


def test_tax_and_credits_follow_in_proportion_unattributed_included(traced: Ledger) -> None:
    charge(traced, "4.05", unit_class="tax", charge_category="Tax")
    shared = {system: usd for (system, basis), usd in handed_on(traced).items() if basis == "shared"}
    assert shared == {"a": Decimal("1.08"), "b": Decimal("1.62"), "c": Decimal("1.08"), None: Decimal("0.27")}


def test_a_charge_that_a_rule_names_goes_whole_to_its_system_traced_or_not(traced: Ledger) -> None:
    charge(
        traced,
        "7.00",
        token_class="output",
        model="m",
        consumed_quantity=500_000,
        consumed_unit="Tokens",
        project="p",
        system="c",
        team="blue",
    )
    charge(traced, "3.00", unit_class="search", system="b")
    found = handed_on(traced)
    assert (found["c", "rule"], found["b", "rule"]) == (7, 3)


def test_web_search_without_a_rule_is_unattributed(traced: Ledger) -> None:
    charge(traced, "1.00", unit_class="search")
    assert handed_on(traced)[None, "unattributed"] == Decimal("3.70")


LIST_PRICES = """provider,model,region_scope,service_tier,min_context_tokens,token_class,usd_per_million,kind,valid_from,valid_to
acme,m,any,standard,0,uncached_input,3,list,,
acme,m,any,standard,0,output,15,list,,
"""


@pytest.fixture
def listed(traced: Ledger, tmp_path: Path) -> Ledger:
    """The worked example at list price: a 12, b 18 and c 12 dollars of one day; and a call of another day."""
    path = tmp_path / "prices.csv"
    path.write_text(LIST_PRICES)
    with traced.transaction() as cursor:
        ensure_book(cursor, path)
    call(traced, "d", 14_000_000, started_at=datetime(2026, 9, 20, 12))
    return traced


@pytest.mark.parametrize("unit_class", ["consumption", "provisioned"])
def test_a_bill_without_a_model_is_split_by_the_list_price_of_the_traced_calls_of_its_day(listed: Ledger, unit_class: str) -> None:
    charge(listed, "42.00", unit_class=unit_class)
    shares = {system: usd for (system, basis), usd in handed_on(listed).items() if basis == "list_price"}
    assert shares == {"a": 12, "b": 18, "c": 12}


def test_hours_bought_by_the_month_are_split_by_the_calls_of_the_month(listed: Ledger) -> None:
    charge(listed, "84.00", unit_class="provisioned", charge_period_start=datetime(2026, 9, 1), charge_period_end=datetime(2026, 10, 1))
    shares = {system: usd for (system, basis), usd in handed_on(listed).items() if basis == "list_price"}
    assert shares == {"a": 12, "b": 18, "c": 12, "d": 42}


def test_hours_of_a_named_model_are_split_by_the_calls_of_that_model(listed: Ledger) -> None:
    charge(listed, "42.00", unit_class="provisioned", model="another")
    assert handed_on(listed)[None, "unattributed"] == Decimal("44.70")


def test_units_of_a_day_without_a_traced_call_are_unattributed(listed: Ledger) -> None:
    charge(listed, "1.00", unit_class="consumption", charge_period_start=datetime(2026, 9, 11), charge_period_end=datetime(2026, 9, 12))
    assert handed_on(listed)[None, "unattributed"] == Decimal("3.70")


def test_units_that_a_rule_names_stay_with_its_system(listed: Ledger) -> None:
    charge(listed, "5.00", unit_class="consumption", system="b")
    assert handed_on(listed)["b", "rule"] == 5


def test_a_month_billed_in_one_line_was_split_by_the_tokens_of_its_first_day_only(ledger: Ledger) -> None:
    call(ledger, "a", 1_000_000, started_at=datetime(2026, 9, 1, 12))
    call(ledger, "b", 3_000_000, started_at=datetime(2026, 9, 20, 12))
    charge(
        ledger,
        "8.00",
        token_class="uncached_input",
        model="m",
        consumed_quantity=4_000_000,
        consumed_unit="Tokens",
        charge_period_start=datetime(2026, 9, 1),
        charge_period_end=datetime(2026, 10, 1),
    )
    assert handed_on(ledger) == {("a", "tokens"): 2, ("b", "tokens"): 6}


def test_shared_costs_follow_the_key_of_the_settings(traced: Ledger) -> None:
    charge(traced, "40.50", unit_class="gpu")
    assert handed_on(traced)[None, "unattributed"] == Decimal("43.20")
    by_cost = {system: usd for (system, basis), usd in handed_on(traced, {"gpu": "cost"}).items() if basis == "shared"}
    assert by_cost == {"a": Decimal("10.80"), "b": Decimal("16.20"), "c": Decimal("10.80"), None: Decimal("2.70")}


def test_features_tenants_and_prompt_versions_share_their_system_s_cost(ledger: Ledger) -> None:
    call(ledger, "a", 3_000_000, tenant="x", prompt_version="1")
    call(ledger, "a", 1_000_000, tenant="y", prompt_version="2")
    charge(
        ledger,
        "8.00",
        token_class="uncached_input",
        model="m",
        consumed_quantity=4_000_000,
        consumed_unit="Tokens",
        system="a",
        project="p",
    )
    with ledger.cursor() as cursor:
        rows = allocate(cursor, datetime(2026, 9, 1), datetime(2026, 10, 1), {})
    assert {(row[7], row[8]): row[10] for row in rows} == {("x", "1"): 6, ("y", "2"): 2}


def test_an_issuer_that_the_bill_does_not_name_is_its_provider(ledger: Ledger) -> None:
    charge(ledger, "1.00", provider_name="Acme Inc.")
    charge(ledger, "1.00", provider_name="Acme Inc.", invoice_issuer_name="A reseller")
    with ledger.cursor() as cursor:
        rows = allocate(cursor, datetime(2026, 9, 1), datetime(2026, 10, 1), {})
    assert {row[1] for row in rows} == {"Acme Inc.", "A reseller"}


def test_a_credit_larger_than_everything_else_is_nobody_s(ledger: Ledger) -> None:
    charge(ledger, "-5.00", unit_class="credit", charge_category="Credit")
    assert handed_on(ledger) == {(None, "shared"): Decimal("-5.00")}


PARTIES = st.fixed_dictionaries(
    {
        "system": st.sampled_from([None, "a", "b"]),
        "team": st.sampled_from([None, "red", "blue"]),
        "tenant": st.sampled_from([None, "x", "y"]),
    }
)


@pytest.fixture(scope="module")
def allocated() -> Iterator[Ledger]:
    """A ledger for many examples, each of which begins without allocations."""
    ledger = Ledger()
    yield ledger
    ledger.close()


@given(st.lists(st.tuples(PARTIES, st.decimals(-100, 10_000, places=12), st.sampled_from(["Acme", "Apex"])), min_size=1, max_size=25))
def test_every_breakdown_ties_to_the_invoice_to_the_cent(allocated: Ledger, lines: list[tuple[dict, Decimal, str]]) -> None:
    ledger = allocated
    with ledger.transaction() as cursor:
        cursor.execute("delete from allocations")
    ledger.put(
        "allocations",
        *(
            {"period": date(2026, 9, 1), "invoice_issuer_name": issuer, "usd_cost": usd, "basis": "tokens", **party}
            for party, usd, issuer in lines
        ),
    )
    found = showback(ledger, Period.parse("2026-09"))
    for issuer in {issuer for *_, issuer in lines}:
        billed = sum((usd for _, usd, name in lines if name == issuer), Decimal(0))
        shares = sum((share.usd_cost for share in found.shares if share.issuer == issuer), Decimal(0))
        assert shares == billed.quantize(Decimal("0.01"))
        assert shares + found.rounding_usd[date(2026, 9, 1), issuer] == billed
    for names in (("team",), ("system", "tenant"), PARTY, ("issuer",)):
        assert sum(row["usd_cost"] for row in found.by(*names)) == found.total_usd


def test_the_sample_s_invoice_reaches_its_systems_as_the_generator_knows(sample: Ledger, truth: dict) -> None:
    for month, known in truth["months"].items():
        period = Period.parse(month)
        rows = sample.query(
            "select a.system as system, sum(a.usd_cost) as usd from allocations a where a.period = $p group by 1",
            {"p": period.start.date()},
        ).rows()
        exact = dict(rows)
        assert {system: exact[system] for system in known["systems"]} == {
            system: Decimal(facts["allocated_usd"]) for system, facts in known["systems"].items()
        }
        billed = sum(Decimal(provider["billed_usd"]) for provider in known["providers"].values())
        found = showback(sample, period)
        assert found.total_usd + sum(found.rounding_usd.values()) == billed
