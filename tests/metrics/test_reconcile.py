"""The bridge from traces to the bill adds up in every bucket, names what it can, and leaves the rest unexplained."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.prices.book import ensure_book
from metrics.bridge import Bucket, Key, Line, Reconciliation
from metrics.rate_hints import rate_hints
from metrics.reconcile import reconcile
from metrics.reconcile_report import bucket_rows, by_state, document, rows_of
from metrics.reconcile_states import state
from tests.metrics.ledger import Ledger, ledger, scope

__all__ = ["ledger"]

HEADER = "provider,model,region_scope,service_tier,min_context_tokens,token_class,usd_per_million,kind,valid_from,valid_to\n"
LIST = {"uncached_input": "3", "cache_read": "0.3", "cache_write_5m": "3.75", "cache_write_1h": "6", "output": "15"}
CONTRACT = {"uncached_input": "2.70", "output": "13.50"}
MILLION = 1_000_000
NOON = datetime(2026, 9, 10, 12)
LOADED = datetime(2026, 11, 1)


def book(ledger: Ledger, folder: Path, contract: dict[str, str] | None = None, long_context: bool = True) -> None:
    """A price book of one provider: list prices, a batch tier, a long-context tier unless told not, and maybe a contract."""
    lines = [f"acme,m,any,standard,0,{name},{usd},list,," for name, usd in LIST.items()]
    lines += [f"acme,m,any,batch,0,{name},{Decimal(usd) / 2},list,," for name, usd in LIST.items()]
    if long_context:
        lines += [f"acme,m,any,standard,200000,{name},{Decimal(usd) * 2},list,," for name, usd in LIST.items()]
    lines += [f"acme,m,any,standard,0,{name},{usd},contract,," for name, usd in (contract or {}).items()]
    path = folder / "prices.csv"
    path.write_text(HEADER + "\n".join(lines) + "\n")
    with ledger.transaction() as cursor:
        ensure_book(cursor, path)


def call(ledger: Ledger, at: datetime = NOON, **columns: object) -> None:
    ledger.put(
        "spans",
        {
            "trace_id": "t",
            "span_id": f"s{at.timestamp()}{len(columns)}{columns}"[:60],
            "sent_trace_id": "t",
            "role": "call",
            "started_at": at,
            "provider": "acme",
            "model": "m",
            "region_scope": "any",
            "token_convention": "inclusive",
            "flags": [],
            "input_tokens": 0,
            **columns,
        },
    )


def usage(ledger: Ledger, day: datetime = NOON, **tokens: int) -> None:
    start = day.replace(hour=0, minute=0)
    classes = dict.fromkeys(
        ("uncached_input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "output_tokens"), 0
    )
    ledger.put(
        "billed_usage",
        {
            "bucket_start": start,
            "bucket_end": start + timedelta(days=1),
            "provider": "acme",
            "model": "m",
            "source": "acme_usage",
            "load_id": 1,
            **classes,
            **tokens,
        },
    )


def charge(ledger: Ledger, usd: str, day: datetime = NOON, **columns: object) -> None:
    start = day.replace(hour=0, minute=0)
    ledger.put(
        "charges",
        {
            "charge_period_start": start,
            "charge_period_end": start + timedelta(days=1),
            "charge_category": "Usage",
            "provider": "acme",
            "service_category": "AI and Machine Learning",
            "usd_billed_cost": Decimal(usd),
            "source": "acme_costs",
            "load_id": 1,
            **columns,
        },
    )


def tokens(ledger: Ledger, token_class: str, usd: str, day: datetime = NOON, **columns: object) -> None:
    charge(ledger, usd, day, model="m", token_class=token_class, **columns)


@pytest.fixture
def bill(ledger: Ledger, tmp_path: Path) -> Ledger:
    """The worked example: 9 M of 10 M input tokens traced, a contract of −10 %, search, tax, a credit, and a cent of rounding."""
    ledger.put("loads", {"id": 1, "source": "acme_costs", "status": "loaded", "rows": 1, "finished_at": LOADED})
    for _ in range(9):
        call(ledger, NOON + timedelta(minutes=_), input_tokens=MILLION)
    call(ledger, NOON + timedelta(minutes=30), output_tokens=MILLION, input_tokens=None)
    usage(ledger, uncached_input_tokens=10 * MILLION, output_tokens=MILLION)
    charge(ledger, "1.00", unit_class="search")
    charge(ledger, "2.00", unit_class="tax", charge_category="Tax")
    charge(ledger, "-0.50", unit_class="credit", charge_category="Credit")
    charge(ledger, "0.01", charge_category="Adjustment")
    return ledger


def test_the_worked_example_closes_with_nothing_unexplained(bill: Ledger, tmp_path: Path) -> None:
    book(bill, tmp_path, CONTRACT, long_context=False)
    tokens(bill, "uncached_input", "27.00")
    tokens(bill, "output", "13.50")
    found = reconcile(bill, scope())
    assert found.bridge() == {
        "priced_traces": 42,
        "price_effects": Decimal("-4.20"),
        "untraced_usage": Decimal("2.70"),
        "non_token": 1,
        "tax_credit": Decimal("1.50"),
        "rounding": Decimal("0.01"),
        "unexplained": 0,
    }
    assert found.effects() == {"contract": Decimal("-4.20"), "service_tier": 0, "context_tier": 0, "cache_write_1h": 0}
    assert found.billed_usd == Decimal("43.01")
    assert found.traced_share == 10 / 11


def test_a_bill_above_what_anything_predicts_is_unexplained(bill: Ledger, tmp_path: Path) -> None:
    book(bill, tmp_path, CONTRACT, long_context=False)
    tokens(bill, "uncached_input", "27.24")
    tokens(bill, "output", "13.50")
    found = reconcile(bill, scope())
    assert (found.billed_usd, found.bridge()["unexplained"]) == (Decimal("43.25"), Decimal("0.24"))


def test_without_the_contract_in_the_book_the_discount_is_unexplained_and_never_taken_from_the_bill(bill: Ledger, tmp_path: Path) -> None:
    book(bill, tmp_path, long_context=False)
    tokens(bill, "uncached_input", "27.00")
    tokens(bill, "output", "13.50")
    bridge = reconcile(bill, scope()).bridge()
    assert (bridge["price_effects"], bridge["untraced_usage"], bridge["unexplained"]) == (0, 3, Decimal("-4.50"))


def test_tier_context_and_one_hour_writes_are_effects_of_their_own(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path)
    call(ledger, input_tokens=100_000, output_tokens=1_000, service_tier="batch")
    call(ledger, NOON + timedelta(hours=1), input_tokens=300_000)
    call(ledger, NOON + timedelta(hours=2), input_tokens=10_000, cache_write_tokens=8_000, cache_write_1h_tokens=8_000)
    effects = reconcile(ledger, scope()).effects()
    assert effects == {
        "contract": 0,
        "service_tier": Decimal("-0.1575"),
        "context_tier": Decimal("0.9"),
        "cache_write_1h": Decimal("0.018"),
    }


def test_what_was_traced_and_not_billed_is_negative_untraced_usage(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path, CONTRACT)
    ledger.put("loads", {"id": 1, "source": "acme_usage", "status": "loaded", "rows": 1, "finished_at": LOADED})
    call(ledger, input_tokens=100_000)
    usage(ledger)
    found = reconcile(ledger, scope())
    assert found.bridge()["untraced_usage"] == Decimal("-0.27")
    assert found.bridge()["unexplained"] == found.billed_usd == 0
    assert [state(bucket) for bucket in found.buckets] == ["traced_not_billed"]


def test_cost_without_tokens_is_compared_in_money_and_the_rest_is_unexplained(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path)
    ledger.put("loads", {"id": 1, "source": "acme_costs", "status": "loaded", "rows": 1, "finished_at": LOADED})
    call(ledger, input_tokens=100_000)
    tokens(ledger, "uncached_input", "0.50")
    bridge = reconcile(ledger, scope()).bridge()
    assert (bridge["priced_traces"], bridge["untraced_usage"], bridge["unexplained"]) == (Decimal("0.3"), 0, Decimal("0.2"))


def test_an_unknown_meter_is_unexplained_and_named(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path)
    ledger.put("loads", {"id": 1, "source": "acme_costs", "status": "loaded", "rows": 1, "finished_at": LOADED})
    charge(ledger, "4.20", unit_class="other", charge_description="Quantum tokens")
    found = reconcile(ledger, scope())
    assert found.bridge()["unexplained"] == Decimal("4.20")
    assert by_state(found) == {"mapping_missing": {"buckets": 1, "billed_usd": Decimal("4.20"), "unexplained_usd": Decimal("4.20")}}


def test_units_without_a_model_are_split_by_the_list_price_of_the_traced_calls_and_marked(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path)
    ledger.put("loads", {"id": 1, "source": "acme_costs", "status": "loaded", "rows": 1, "finished_at": LOADED})
    call(ledger, input_tokens=100_000, output_tokens=20_000)
    call(ledger, NOON + timedelta(hours=1), input_tokens=100_000, service_tier="batch")
    charge(ledger, "0.60", unit_class="consumption", charge_description="units")
    found = reconcile(ledger, scope())
    assert [(bucket.key.service_tier, bucket.basis, bucket.billed_usd) for bucket in found.buckets] == [
        ("batch", "list_price", Decimal("0.20")),
        ("standard", "list_price", Decimal("0.40")),
    ]
    bridge = found.bridge()
    assert (bridge["priced_traces"], bridge["price_effects"]) == (Decimal("0.9"), Decimal("-0.15"))
    assert (bridge["untraced_usage"], bridge["unexplained"]) == (0, Decimal("-0.15"))
    assert found.split_usd == Decimal("0.60")
    row = bucket_rows(found).rows(named=True)[0]
    calls, charges = rows_of(ledger, row)
    assert (row["basis"], calls.height, charges["charge_description"].to_list()) == ("list_price", 1, ["units"])


def test_units_of_a_day_without_traced_calls_are_billed_and_not_traced(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path)
    ledger.put("loads", {"id": 1, "source": "acme_costs", "status": "loaded", "rows": 1, "finished_at": LOADED})
    charge(ledger, "0.60", unit_class="consumption")
    found = reconcile(ledger, scope())
    assert [state(bucket) for bucket in found.buckets] == ["billed_not_traced"]
    assert found.bridge()["unexplained"] == found.billed_usd == Decimal("0.60")


def test_calls_on_provisioned_hours_are_not_billed_by_tokens_and_say_so(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path)
    ledger.put("loads", {"id": 1, "source": "acme_costs", "status": "loaded", "rows": 1, "finished_at": LOADED})
    call(ledger, input_tokens=100_000)
    charge(ledger, "7.00", unit_class="provisioned", charge_description="hours")
    found = reconcile(ledger, scope())
    bridge = found.bridge()
    assert (bridge["priced_traces"], bridge["untraced_usage"], bridge["non_token"]) == (Decimal("0.3"), Decimal("-0.3"), 7)
    [row] = bucket_rows(found).filter(pl.col("state").is_not_null()).rows(named=True)
    assert (row["state"], row["basis"]) == ("traced_not_billed", "provisioned")
    assert rows_of(ledger, row)[1]["charge_description"].to_list() == ["hours"]


def test_hours_of_one_model_explain_no_call_of_another(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path)
    call(ledger, input_tokens=100_000)
    charge(ledger, "7.00", unit_class="provisioned", model="another")
    assert {bucket.basis for bucket in reconcile(ledger, scope()).buckets if bucket.key.model == "m"} == {"tokens"}


def test_a_month_billed_in_one_line_is_open_until_its_end_and_leads_to_all_its_calls(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path)
    ledger.put("loads", {"id": 1, "source": "acme_costs", "status": "loaded", "rows": 1, "finished_at": datetime(2026, 9, 15)})
    call(ledger, datetime(2026, 9, 3, 8), input_tokens=100_000)
    call(ledger, datetime(2026, 9, 4, 8), input_tokens=100_000)
    tokens(ledger, "uncached_input", "0.60", datetime(2026, 9, 1), charge_period_end=datetime(2026, 10, 1))
    found = reconcile(ledger, scope())
    assert [state(bucket) for bucket in found.buckets] == ["period_open"]
    calls, charges = rows_of(ledger, bucket_rows(found).row(0, named=True))
    assert (calls.height, charges.height) == (2, 1)


def test_a_bucket_leads_to_the_calls_of_its_own_tier_only(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path)
    call(ledger, input_tokens=100_000)
    call(ledger, NOON + timedelta(hours=1), input_tokens=50_000, service_tier="batch")
    for row in bucket_rows(reconcile(ledger, scope())).rows(named=True):
        assert rows_of(ledger, row)[0]["input_tokens"].to_list() == [50_000 if row["service_tier"] == "batch" else 100_000]


def test_a_month_billed_in_one_line_is_compared_as_a_month(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path)
    ledger.put("loads", {"id": 1, "source": "acme_costs", "status": "loaded", "rows": 1, "finished_at": LOADED})
    call(ledger, datetime(2026, 9, 3, 8), input_tokens=100_000)
    call(ledger, datetime(2026, 9, 20, 8), input_tokens=100_000)
    tokens(
        ledger,
        "uncached_input",
        "0.60",
        datetime(2026, 9, 1),
        charge_period_end=datetime(2026, 10, 1),
        consumed_quantity=200_000,
        consumed_unit="Tokens",
    )
    found = reconcile(ledger, scope())
    assert [(bucket.key.day.day, state(bucket)) for bucket in found.buckets] == [(1, "matched")]
    assert found.bridge()["unexplained"] == 0


def test_projects_count_only_where_both_sides_know_them(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path)
    ledger.put("loads", {"id": 1, "source": "acme_usage", "status": "loaded", "rows": 1, "finished_at": LOADED})
    call(ledger, input_tokens=100_000)
    usage(ledger, uncached_input_tokens=100_000, project="p")
    assert [bucket.key.project for bucket in reconcile(ledger, scope()).buckets] == [""]
    call(ledger, NOON + timedelta(hours=1), input_tokens=50_000, project="p")
    assert {bucket.key.project for bucket in reconcile(ledger, scope()).buckets} == {"", "p"}


def test_estimated_tokens_and_answers_from_a_cache_explain_nothing(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path)
    call(ledger, input_tokens=100_000, tokens_estimated=True)
    call(ledger, NOON + timedelta(hours=1), input_tokens=100_000, response_cached=True)
    assert reconcile(ledger, scope()).buckets == []


# ---------------------------------------------------------------- the eleven states


def bucket(traced: dict[str, int], billed: dict[str, int | None], **options: object) -> Bucket:
    lines = []
    for name in {*traced, *billed}:
        amount = billed.get(name, 0)
        lines.append(
            Line(
                "token",
                name,
                traced_tokens=traced.get(name, 0),
                charged_tokens=amount,
                is_charged=True,
                billed_usd=Decimal(amount or 0) / MILLION,
            )
        )
    return Bucket(Key("acme", NOON.date(), "", "m", "standard"), lines, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (bucket({"output": 100}, {"output": 100_000}, is_open=True), "period_open"),
        (bucket({"output": 100_000}, {"output": 0}, is_exported=False), "export_silent"),
        (bucket({"output": 100_000}, {"output": 100_000_000}), "unit_scale_suspect"),
        (bucket({"output": 99_500_000}, {"output": 100_000}), "unit_scale_suspect"),
        (bucket({"output": 100_000_000_000}, {"output": 100_500}), "unit_scale_suspect"),
        (bucket({}, {"output": 5_000}), "billed_not_traced"),
        (bucket({"output": 5_000}, {"output": 0}), "traced_not_billed"),
        (bucket({"output": 100_000}, {"output": 100_000}), "matched"),
        (bucket({"output": 100_000}, {"output": 100_999}), "matched"),  # within a thousand tokens
        (bucket({"output": 1_000_000}, {"output": 1_004_900}), "matched"),
        (bucket({"output": 1_000_000}, {"output": 1_015_000}), "within_tolerance"),
        (bucket({"output": 1_000_000}, {"output": 1_050_000}), "mismatch"),
        (bucket({"output": 1_000_000, "uncached_input": 100_000_000}, {"output": 1_050_000, "uncached_input": 100_000_000}), "mismatch"),
        (bucket({"output": 1_000_000}, {"output": 1_050_000}, neighbours={"output": 60_000}), "log_edge"),
        (bucket({"output": 1_000_000}, {"output": 1_050_000}, neighbours={"output": 40_000}), "mismatch"),
    ],
)
def test_the_first_state_that_holds(found: Bucket, expected: str) -> None:
    assert state(found) == expected


def test_fewer_billed_than_traced_tokens_may_be_the_day_s_own_edge() -> None:
    found = bucket({"output": 1_000_000}, {"output": 940_000})
    found.lines[0].last_tokens = 70_000
    assert state(found) == "log_edge"


def test_traces_without_a_cache_split_say_so() -> None:
    found = bucket({"uncached_input": 1_000_000}, {"uncached_input": 200_000, "cache_read": 800_000})
    next(line for line in found.lines if line.token_class == "uncached_input").cache_hidden_tokens = 1_000_000
    assert state(found) == "no_cache_split"


def test_a_day_s_tax_has_no_state() -> None:
    assert state(Bucket(Key("acme", NOON.date(), "", "", "standard"), [Line("tax_credit", None, billed_usd=Decimal(2))])) is None


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**9),
            st.none() | st.integers(0, 10**9),
            st.decimals(-100, 10_000, places=12),
            st.decimals(0, 10_000, places=12),
            st.decimals(-100, 100, places=12),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_the_terms_of_every_line_bucket_and_total_add_up_to_the_bill(
    lines: list[tuple[int, int | None, Decimal, Decimal, Decimal]],
) -> None:
    made = [
        Line(
            "token",
            f"c{number}",
            traced_tokens=traced,
            charged_tokens=billed,
            billed_usd=usd,
            priced_usd=priced,
            effects={"contract": effect},
            predicted_usd=priced + effect,
            book_usd_per_million=Decimal("2.5"),
        )
        for number, (traced, billed, usd, priced, effect) in enumerate(lines)
    ]
    found = Reconciliation([Bucket(Key("acme", NOON.date(), "", "m", "standard"), made)])
    assert all(sum(line.terms().values()) == line.billed_usd for line in made)
    assert sum(found.bridge().values()) == found.billed_usd == sum(usd for *_, usd, _, _ in lines)


# ---------------------------------------------------------------- hints


def test_a_rate_below_the_book_since_a_day_is_a_hint(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path)
    ledger.put("loads", {"id": 1, "source": "acme_usage", "status": "loaded", "rows": 1, "finished_at": LOADED})
    for day in range(1, 11):
        at, factor = datetime(2026, 9, day, 12), Decimal("0.9") if day >= 3 else Decimal(1)
        call(ledger, at, input_tokens=100_000, output_tokens=10_000)
        usage(ledger, at, uncached_input_tokens=100_000, output_tokens=10_000)
        tokens(ledger, "uncached_input", str(factor * Decimal("0.3")), at)
        tokens(ledger, "output", "0.15", at)
    [hint] = rate_hints(reconcile(ledger, scope()))
    assert hint.words == "billed uncached input of m is 10.0 % below the price book on all 8 days since 3 Sep 2026"
    assert (hint.ratio, hint.unexplained_usd) == (Decimal("0.9"), Decimal("-0.24"))


def test_fewer_units_than_the_list_price_asks_for_are_a_hint_at_a_discount(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path, long_context=False)
    ledger.put("loads", {"id": 1, "source": "acme_costs", "status": "loaded", "rows": 1, "finished_at": LOADED})
    for day in range(1, 5):
        at = datetime(2026, 9, day, 12)
        call(ledger, at, input_tokens=100_000 * day, output_tokens=10_000)
        charge(ledger, str(Decimal("0.9") * (Decimal("0.3") * day + Decimal("0.15"))), at, unit_class="consumption")
    [hint] = rate_hints(reconcile(ledger, scope()))
    assert (hint.models, hint.token_classes, hint.ratio) == (("m",), (), Decimal("0.9"))


def test_two_days_at_another_rate_are_no_hint(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, tmp_path)
    ledger.put("loads", {"id": 1, "source": "acme_usage", "status": "loaded", "rows": 1, "finished_at": LOADED})
    for day in range(1, 11):
        at = datetime(2026, 9, day, 12)
        call(ledger, at, output_tokens=10_000)
        usage(ledger, at, output_tokens=10_000)
        tokens(ledger, "output", "0.15" if day < 9 else "0.12", at)
    assert rate_hints(reconcile(ledger, scope())) == []


# ---------------------------------------------------------------- the sample company


@pytest.mark.parametrize("month", ["2026-07", "2026-08", "2026-09"])
def test_the_bridge_of_the_sample_is_what_its_generator_knows(sample: Ledger, truth: dict, month: str) -> None:
    found = reconcile(sample, scope(type(scope().period).parse(month)))
    for provider, known in truth["months"][month]["providers"].items():
        bridge = found.bridge(provider)
        assert {name: bridge[name] for name in known["bridge"]} == {name: Decimal(usd) for name, usd in known["bridge"].items()}
        assert abs(bridge["rounding"]) < Decimal("0.01")
        assert sum(bridge.values()) == Decimal(known["billed_usd"])


def test_the_sample_s_undisclosed_discount_is_the_one_hint(sample: Ledger, truth: dict) -> None:
    [hint] = rate_hints(reconcile(sample, scope()))
    planted = sum(
        Decimal(item["amount_usd"]) for item in truth["planted"] if item["name"] == "undisclosed_discount" and item["month"] == "2026-09"
    )
    assert (hint.provider, hint.ratio, hint.since.isoformat(), hint.token_classes) == ("anthropic", Decimal("0.92"), "2026-09-01", ())
    assert hint.unexplained_usd == planted


def test_the_document_adds_up_at_every_level(sample: Ledger) -> None:
    found = document(reconcile(sample, scope()), scope())
    terms = list(found["bridge"])
    assert sum(found["bridge"].values()) == found["billed_usd"]
    assert {term: sum(part["bridge"][term] for part in found["providers"].values()) for term in terms} == found["bridge"]
    assert {term: sum(row[term] for row in found["buckets"]) for term in terms} == found["bridge"]
    for row in found["buckets"]:
        assert sum(row[term] for term in terms) == row["billed_usd"]
        assert {term: sum(line[term] for line in row["lines"]) for term in terms} == {term: row[term] for term in terms}
