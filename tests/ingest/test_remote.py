"""Files of an object store load under their address; what a store does not give is said in words."""

import importlib
import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import cli
from ingest.errors import SourceError, UnknownFormat
from ingest.load import Loader
from ingest.remote import is_remote, local_files
from ingest.store import Store

COSTS = """start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,organization_id
1790812800,1790899200,2026-10-01T00:00:00+00:00,2026-10-02T00:00:00+00:00,{usd},usd,"gpt-4o-2024-08-06, input",p,{account}
"""


@pytest.fixture
def bucket() -> Iterator[Any]:
    """An object store in memory."""
    fsspec = pytest.importorskip("fsspec", reason="the cloud extra is not installed")
    store = fsspec.filesystem("memory")
    store.store.clear()
    yield store
    store.store.clear()


def put(bucket: Any, name: str, text: str) -> None:
    bucket.pipe_file(f"/{name}", text.encode())


def test_a_folder_of_a_store_loads_under_its_addresses(bucket: Any, loader: Loader, store: Store) -> None:
    put(bucket, "bills/2026/costs.csv", COSTS.format(usd="1.50", account="a"))
    put(bucket, "bills/more/costs.csv", COSTS.format(usd="0.75", account="b"))
    put(bucket, "bills/.hidden/costs.csv", COSTS.format(usd="9", account="c"))
    put(bucket, "bills/adr/0001-a-choice.md", "# A choice\n\nStatus: accepted\n")
    put(bucket, "bills/adr/README.md", "# Index of records\n")
    said: list[str] = []
    with local_files(["memory://bills"], said.append) as found:
        outcomes = loader.load(found)
        copies = [path for path, _ in found]
    assert {outcome.path: outcome.status for outcome in outcomes} == {
        "memory://bills/2026/costs.csv": "loaded",
        "memory://bills/more/costs.csv": "loaded",
        "memory://bills/adr/0001-a-choice.md": "loaded",
    }
    assert store.query("select sum(billed_cost) as usd from charges").item() == Decimal("2.25")
    assert "copying memory://bills/2026/costs.csv" in said
    assert not any(path.exists() for path in copies)


def test_one_object_loads_from_the_command_line_and_only_once(bucket: Any, tmp_path: Path) -> None:
    put(bucket, "exports/costs.csv", COSTS.format(usd="1.50", account="a"))
    (tmp_path / "local.csv").write_text(COSTS.format(usd="0.25", account="b"))
    arguments = ["load", "memory://exports/costs.csv", str(tmp_path / "local.csv"), "--json", "--db", str(tmp_path / "ledger.duckdb")]
    for statuses in (["loaded", "loaded"], ["already loaded", "already loaded"]):
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 0, done.output
        outcomes = json.loads(done.stdout)
        assert [outcome["status"] for outcome in outcomes] == statuses
        assert {outcome["path"] for outcome in outcomes} == {"memory://exports/costs.csv", str(tmp_path / "local.csv")}
    with_total = CliRunner().invoke(cli, ["sql", "select sum(billed_cost) as usd from charges", "--json", *arguments[-2:]])
    assert json.loads(with_total.stdout) == [{"usd": 1.75}]


def test_two_addresses_with_objects_of_one_name_are_two_files(bucket: Any, loader: Loader) -> None:
    put(bucket, "a/costs.csv", COSTS.format(usd="1.50", account="a"))
    put(bucket, "b/costs.csv", COSTS.format(usd="0.50", account="b"))
    with local_files(["memory://a/", "memory://b/costs.csv"]) as found:
        assert [name for _, name in found] == ["memory://a/costs.csv", "memory://b/costs.csv"]
        assert len({path for path, _ in found}) == 2
        assert {outcome.status for outcome in loader.load(found)} == {"loaded"}


def test_an_address_without_objects_is_said(bucket: Any) -> None:
    with pytest.raises(UnknownFormat, match="memory://nothing/here does not exist or is empty"), local_files(["memory://nothing/here"]):
        pass


@pytest.mark.parametrize("address", ["https://example.com/bill.csv", "ftp://host/bill.csv", "s3://bucket/a::memory://b"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(UnknownFormat, match="is no address that is read"), local_files([address]):
        pass


def test_without_the_extra_the_way_to_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)  # as if it were not installed
    done = CliRunner().invoke(cli, ["load", "s3://bucket/bills", "--db", str(tmp_path / "ledger.duckdb")])
    assert done.exit_code == 1
    assert "s3://bucket/bills needs a driver that is not installed. Install it: pip install 'spanledger[cloud]'" in done.stderr
    assert not (tmp_path / "ledger.duckdb").exists()


def test_without_the_driver_of_a_store_the_way_to_it_is_said(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = importlib.import_module("fsspec")

    def no_driver(address: str) -> Any:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", no_driver)
    with pytest.raises(SourceError, match=r"pip install 'spanledger\[cloud\]'"), local_files(["s3://bucket/bills"]):
        pass


def test_a_store_that_refuses_is_quoted_and_nothing_is_loaded(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoCredentialsError(Exception):
        """As drivers have them: no OSError."""

    put(bucket, "bills/a.csv", COSTS.format(usd="1.50", account="a"))
    put(bucket, "bills/b.csv", COSTS.format(usd="1.50", account="b"))
    copy = bucket.get_file

    def refuse(path: str, local: str) -> None:
        if path.endswith("b.csv"):
            raise NoCredentialsError("Unable to locate credentials")
        copy(path, local)

    monkeypatch.setattr(bucket, "get_file", refuse)
    words = r"memory://bills/b.csv cannot be read \(NoCredentialsError: Unable to locate credentials\)"
    with pytest.raises(SourceError, match=words), local_files(["memory://bills"]):
        pass


def test_a_name_that_leads_out_of_the_folder_is_refused(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(bucket, "bills/a.csv", "x")
    monkeypatch.setattr(bucket, "find", lambda root: ["/bills/../../outside.csv"])
    with pytest.raises(SourceError, match="no file on this machine can have"), local_files(["memory://bills"]):
        pass


def test_paths_of_this_machine_are_no_addresses() -> None:
    assert is_remote("s3://bucket/x")
    assert is_remote("AZ://container/x")
    for path in ("bills/", "./s3:/x", "C:\\bills", "a:b", "s3://"):
        assert not is_remote(path)
