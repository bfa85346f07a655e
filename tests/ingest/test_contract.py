"""A rate found on the bill becomes a contract: new prices from its day on, calls priced again, and nobody withdraws it."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path

from ingest.prices.book import ensure_book, name_models
from ingest.prices.contract import accept_rate, reprice
from ingest.store import Store

HEADER = "provider,model,region_scope,service_tier,min_context_tokens,token_class,usd_per_million,kind,valid_from,valid_to\n"
LIST = """acme,m,any,standard,0,output,10,list,,
acme,m,any,standard,0,uncached_input,2,list,,
acme,other,any,standard,0,output,5,list,,
acme,other,any,standard,0,uncached_input,1,list,,
"""
SINCE, NOW = datetime(2026, 9, 3), datetime(2026, 10, 1)


def ledger_with_calls(store: Store, path: Path) -> None:
    path.write_text(HEADER + LIST)
    with store.transaction() as cursor:
        ensure_book(cursor, path)
        for day, model in ((1, "m"), (5, "m"), (5, "other")):
            cursor.execute(
                """insert into spans by name
                select ? as trace_id, 's' as span_id, ? as sent_trace_id, 'call' as role, ? as started_at, 'acme' as provider, ? as model,
                       'any' as region_scope, 1000000 as output_tokens, 0 as input_tokens, ['x'] as flags,
                       'inclusive' as token_convention""",
                [f"t{day}{model}", f"t{day}{model}", datetime(2026, 9, day, 12), model],
            )
        cursor.execute("create temp table c as select * from spans")
        name_models(cursor, "c")


def accepted(store: Store, classes: tuple[str, ...] = (), at: datetime = NOW) -> int:
    with store.transaction() as cursor:
        rows = accept_rate(cursor, "acme", ["m"], classes, Decimal("0.92"), SINCE, at)
        reprice(cursor, "acme", ["m", "other"], datetime(2026, 1, 1))
    return rows


def costs(store: Store) -> dict[str, Decimal]:
    return dict(store.query("select trace_id, cost_usd from calls").rows())


def test_calls_from_the_day_on_cost_the_contract_rate_and_no_others(store: Store, tmp_path: Path) -> None:
    ledger_with_calls(store, tmp_path / "prices.csv")
    assert accepted(store) == 2
    assert costs(store) == {"t1m": Decimal(10), "t5m": Decimal("9.2"), "t5other": Decimal(5)}
    sources = store.query("select price_source, flags from calls where trace_id = 't5m'").row(0)
    assert sources[0].startswith("contract: accepted from the bill on 2026-10-01")
    assert sources[1] == ["x"]


def test_only_the_classes_that_the_hint_names_change(store: Store, tmp_path: Path) -> None:
    ledger_with_calls(store, tmp_path / "prices.csv")
    assert accepted(store, ("uncached_input",)) == 1
    assert costs(store)["t5m"] == Decimal(10)


def test_a_second_rate_is_of_the_first_contract_and_not_of_the_list(store: Store, tmp_path: Path) -> None:
    ledger_with_calls(store, tmp_path / "prices.csv")
    accepted(store)
    accepted(store, at=NOW.replace(day=2))
    assert costs(store)["t5m"] == Decimal("8.464")


def test_a_changed_price_file_does_not_withdraw_an_accepted_rate(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    ledger_with_calls(store, path)
    accepted(store)
    path.write_text(HEADER + LIST.replace("other,any,standard,0,output,5", "other,any,standard,0,output,6"))
    with store.transaction() as cursor:
        ensure_book(cursor, path)
        name_models(cursor, "spans")
        reprice(cursor, "acme", ["m", "other"], datetime(2026, 1, 1))
    assert costs(store) == {"t1m": Decimal(10), "t5m": Decimal("9.2"), "t5other": Decimal(6)}
