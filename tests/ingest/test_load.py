"""Loading files: once, whole or in part, and in words when something is wrong."""

import gzip
import shutil
from datetime import datetime
from decimal import Decimal
from itertools import permutations
from pathlib import Path

import pytest

from ingest.load import Loader
from ingest.sources import find_files
from ingest.store import Store

COSTS = """start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,organization_id
1790812800,1790899200,2026-10-01T00:00:00+00:00,2026-10-02T00:00:00+00:00,{first},usd,"gpt-5-mini-2025-08-07, input",proj_a,org-1
1790899200,1790985600,2026-10-02T00:00:00+00:00,2026-10-03T00:00:00+00:00,0.30,usd,"gpt-5-mini-2025-08-07, output",proj_a,org-1
"""
SYSTEMS = (
    "system_id,name,owner,lifecycle,risk_tier,team,service_names\n"
    "claims,Claims Copilot,A. Brandt,production,1,Claims,claims-api;claims-worker\n"
)


def load_text(loader: Loader, path: Path, text: str | bytes, **options: object) -> list:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return loader.load(find_files([path]), **options)


def content(store: Store, table: str) -> list[tuple]:
    return store.query(f"select * from {table} order by all").rows()


def test_loading_a_file_twice_changes_nothing_and_says_so(loader: Loader, store: Store, tmp_path: Path) -> None:
    [first] = load_text(loader, tmp_path / "cost.csv", COSTS.format(first="0.10"))
    assert (first.status, first.rows, first.total, first.currency) == ("loaded", 2, Decimal("0.40"), "USD")
    before = content(store, "charges"), content(store, "loads")
    shutil.copy(tmp_path / "cost.csv", tmp_path / "other name.csv")
    outcomes = loader.load(find_files([tmp_path]))
    assert {outcome.status for outcome in outcomes} == {"already loaded"}
    assert "already loaded" in outcomes[0].line()
    assert (content(store, "charges"), content(store, "loads")) == before


def test_a_restated_export_replaces_the_days_it_covers_and_is_not_added(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(loader, tmp_path / "cost.csv", COSTS.format(first="0.10"))
    load_text(loader, tmp_path / "cost.csv", COSTS.format(first="0.25"))
    assert store.query("select sum(billed_cost) as billed from charges").item() == Decimal("0.55")


def test_one_bad_row_is_rejected_with_its_row_and_reason_and_the_rest_is_loaded(loader: Loader, store: Store, tmp_path: Path) -> None:
    [outcome] = load_text(loader, tmp_path / "cost.csv", COSTS.format(first="ten"))
    assert (outcome.status, outcome.rows, outcome.rejected) == ("partial", 1, 1)
    assert "amount_value is not an amount" in outcome.line()
    rejects = store.query("select position, reason, path from rejects")
    assert rejects["position"].to_list() == [2]
    assert "ten" not in str(rejects.rows()), "a reject holds where and why, not what"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("empty.csv", "", "the file is empty"),
        ("blank.csv", " \n\n", "the file is empty"),
        ("notes.txt", "meeting notes\nnothing else\n", "no collector recognises the content"),
        ("unknown.csv", "colour,shape\nred,round\n", "no collector knows a table with the columns colour, shape"),
        ("unknown.json", '{"weather": "fine"}', "no collector knows a JSON document with the keys weather"),
        ("broken.json", '{"object": "page", ', "broken JSON"),
        ("cut.csv.gz", gzip.compress(COSTS.encode(), mtime=0)[:40], "the gzip stream is broken"),
        ("cut.parquet", b"PAR1 and nothing of use", "Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_gives_one_clear_line_and_changes_nothing(
    loader: Loader, store: Store, tmp_path: Path, name: str, text: str | bytes, said: str
) -> None:
    [outcome] = load_text(loader, tmp_path / name, text)
    assert outcome.status == "failed"
    assert said in outcome.line()
    assert outcome.line().startswith(str(tmp_path / name))
    assert "\n" not in outcome.line()
    assert content(store, "charges") == content(store, "spans") == []
    assert store.query("select status from loads").item() == "failed", "a failure is visible later, too"


def test_a_bill_without_a_needed_column_names_the_column_and_what_was_found(loader: Loader, tmp_path: Path) -> None:
    text = COSTS.format(first="0.10").replace("amount_value", "amount")
    [outcome] = load_text(loader, tmp_path / "cost.csv", text, collector="openai_cost_csv")
    assert outcome.status == "failed"
    assert "column amount_value is missing" in outcome.line()
    assert "line_item" in outcome.line()


def test_a_mixed_folder_loads_what_is_good_and_names_the_rest(loader: Loader, store: Store, tmp_path: Path) -> None:
    (tmp_path / "cost.csv").write_text(COSTS.format(first="0.10"))
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / ".hidden.csv").write_text("never looked at")
    (tmp_path / "ledger.duckdb.key").write_text("of the ledger")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "systems.csv").write_text(SYSTEMS)
    outcomes = {Path(outcome.path).name: outcome.status for outcome in loader.load(find_files([tmp_path]))}
    assert outcomes == {"cost.csv": "loaded", "notes.txt": "failed", "systems.csv": "loaded"}


def test_a_failed_file_can_be_loaded_after_it_was_mended(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(loader, tmp_path / "cost.csv", "start_time,nonsense\n1,2\n")
    [outcome] = load_text(loader, tmp_path / "cost.csv", COSTS.format(first="0.10"))
    assert outcome.status == "loaded"


def test_a_later_register_adds_a_version_and_leaves_the_earlier_months_as_they_were(loader: Loader, store: Store, tmp_path: Path) -> None:
    load_text(loader, tmp_path / "systems.csv", SYSTEMS, as_of=datetime(2026, 7, 1))
    load_text(loader, tmp_path / "systems.csv", SYSTEMS.replace("A. Brandt", "M. Okafor"), as_of=datetime(2026, 9, 1))
    load_text(loader, tmp_path / "systems.csv", SYSTEMS.replace("A. Brandt", "M. Okafor") + "\n", as_of=datetime(2026, 10, 1))
    versions = store.query("select owner, valid_from, valid_to from systems order by valid_from").rows()
    assert versions == [("A. Brandt", datetime(1970, 1, 1), datetime(2026, 9, 1)), ("M. Okafor", datetime(2026, 9, 1), None)]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_value_that_comes_back_stays_in_the_history_whatever_the_order_of_loading(
    loader: Loader, store: Store, tmp_path: Path, order: tuple[int, ...]
) -> None:
    days = [("2026-01-01", "x"), ("2026-02-01", "y"), ("2026-03-01", "x")]
    header, row = SYSTEMS.splitlines()
    for number in order:
        valid_from, owner = days[number]
        load_text(loader, tmp_path / "systems.csv", f"{header},valid_from\n{row.replace('A. Brandt', owner)},{valid_from}\n")
    assert store.query("select owner from systems order by valid_from")["owner"].to_list() == ["x", "y", "x"]
    assert store.query("select count(*) as n from systems where valid_to is null")["n"].item() == 1


def test_two_rows_with_one_key_keep_the_first_and_reject_the_second(loader: Loader, store: Store, tmp_path: Path) -> None:
    text = SYSTEMS + "claims,Claims again,B,production,2,Claims,\n"
    [outcome] = load_text(loader, tmp_path / "systems.csv", text)
    assert (outcome.rows, outcome.rejected) == (1, 1)
    assert "a second row with the same system_id" in outcome.line()
    assert store.query("select name from systems").item() == "Claims Copilot"


def test_another_currency_without_a_rate_is_refused_by_name(loader: Loader, store: Store, tmp_path: Path) -> None:
    [outcome] = load_text(loader, tmp_path / "cost.csv", COSTS.format(first="0.10").replace(",usd,", ",eur,"))
    assert outcome.status == "failed"
    assert "EUR" in outcome.line()
    assert content(store, "charges") == []
