"""The command line as a person or a pipeline uses it: exit codes, one JSON document or plain lines, and words for every failure."""

import gc
import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import cli
from ingest.load import Loader
from ingest.store import Store
from sample_data.generate import MONTHS
from tests.conftest import SAMPLE
from tests.serving import run

TRUTH = json.loads((SAMPLE.parent / "truth.json").read_text())
COSTS = """start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,organization_id
1790812800,1790899200,2026-10-01T00:00:00+00:00,2026-10-02T00:00:00+00:00,0.10,usd,"gpt-5-mini-2025-08-07, input",proj_a,org-1
"""
SPAN = {
    "traceId": "0af7651916cd43dd8448eb211c80319c",
    "spanId": "b7ad6b7169203331",
    "name": "chat",
    "kind": 3,
    "startTimeUnixNano": "1790000000000000000",
    "endTimeUnixNano": "1790000001000000000",
    "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
    ],
}


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """The one line that a failure is."""
        assert "Traceback" not in self.err
        [line] = self.err.strip().splitlines()
        return line


Command = Callable[..., Done]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("SPANLEDGER_DB", raising=False)

    def invoke(*arguments: str | Path) -> Done:
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        done = Done(result.exit_code, result.stdout, result.stderr)
        unexpected = result.exception if not isinstance(result.exception, SystemExit) else None
        if unexpected is not None:
            raise unexpected
        del result
        gc.collect()  # a command ends with its process, and so does its hold on the ledger
        return done

    return invoke


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty ledger, and with one that holds a bill of one line."""
    folder = tmp_path_factory.mktemp("made")
    Store(folder / "empty.duckdb").close()
    (folder / "cost.csv").write_text(COSTS)
    store = Store(folder / "bill.duckdb")
    Loader(store, b"a key for tests only").load([(folder / "cost.csv", "cost.csv")])
    store.close()
    return folder


@pytest.fixture
def empty_ledger(made: Path, tmp_path: Path) -> Path:
    """The ledger that commands in this folder use without --db; it holds nothing."""
    return Path(shutil.copy(made / "empty.duckdb", tmp_path / "spanledger.duckdb"))


@pytest.fixture
def bill(made: Path, tmp_path: Path) -> Path:
    """The same with a bill of one line."""
    return Path(shutil.copy(made / "bill.duckdb", tmp_path / "spanledger.duckdb"))


@pytest.fixture
def sample_db(sample_path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sample_path, tmp_path / "sample.duckdb"))


def trace_lines(count: int) -> list[str]:
    """As many trace documents, one call each."""
    return [json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{**SPAN, "spanId": f"{n:016x}"}]}]}]}) for n in range(1, count + 1)]


def test_the_installed_command_prints_one_json_document_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "cost.csv").write_text(COSTS)
    done = run("load", "cost.csv", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [
        {
            "path": "cost.csv",
            "status": "loaded",
            "collector": "openai_cost_csv",
            "rows": 1,
            "rejected": 0,
            "total": 0.1,
            "currency": "USD",
            "message": "",
            "duplicates_removed": 0,
            "replaced": {},
            "rejects": [],
        }
    ]


@pytest.mark.parametrize("name", sorted(str(info.name or info.callback.__name__) for info in cli.registered_commands if info.callback))
def test_every_command_says_what_it_does_and_what_its_options_mean(command: Command, name: str) -> None:
    done = command(name, "--help")
    assert done.code == 0
    assert "--db" in done.out, "the ledger can be named on every command"
    said = [line.strip(" │") for line in done.out.splitlines() if line.strip(" │").startswith("--")]
    assert all(len(line.split(maxsplit=2)) > 1 for line in said)


def test_without_a_command_the_help_lists_all(command: Command) -> None:
    done = command()
    for info in cli.registered_commands:
        assert info.callback is not None
        assert (info.name or info.callback.__name__) in done.out


def test_a_mixed_folder_loads_what_is_good_and_says_where_and_why_of_the_rest(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "cost.csv").write_text(COSTS)
    first, second, third = trace_lines(3)
    (folder / "broken.jsonl").write_text("\n".join([first, '{"resourceSpans": [oops', second, third]) + "\n")
    (folder / "empty.json").write_text("")
    (folder / "notes.txt").write_text("not data\n")
    wrong = COSTS.replace("amount_value", "amount").replace("line_item", "item")
    (folder / "wrong.csv").write_text(wrong)
    done = command("load", "in", "--json")
    assert done.code == 3, "done, but some input was rejected"
    found = {Path(outcome["path"]).name: outcome for outcome in done.json}
    assert {name: outcome["status"] for name, outcome in found.items()} == {
        "cost.csv": "loaded",
        "broken.jsonl": "partial",
        "empty.json": "failed",
        "notes.txt": "failed",
        "wrong.csv": "failed",
    }
    assert (found["broken.jsonl"]["rows"], found["broken.jsonl"]["rejected"]) == (3, 1)
    [reject] = found["broken.jsonl"]["rejects"]
    assert reject["position"] == 2
    assert reject["reason"]
    assert all(outcome["message"] for outcome in found.values() if outcome["status"] == "failed")
    [kept] = command("sql", "select path, position, length, reason from rejects where path like '%broken.jsonl'", "--json").json
    assert kept == {"path": "in/broken.jsonl", "position": 2, "length": 23, "reason": reject["reason"]}
    assert command("sql", "select count(*) as n from calls", "--json").json == [{"n": 3}]
    assert "oops" not in done.out, "a reason holds where and why, not what"


def test_lines_for_people_name_file_position_and_reason_and_failures_go_to_the_other_stream(command: Command, tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text("\n".join([trace_lines(1)[0], "{oops"]) + "\n")
    (tmp_path / "notes.txt").write_text("not data\n")
    done = command("load", "lines.jsonl", "notes.txt")
    assert done.code == 3
    [good] = done.out.strip().splitlines()
    assert good.startswith("lines.jsonl: 1 rows as otlp, 1 rejected, first at 2: ")
    assert done.line.startswith("notes.txt: ")


def test_traces_that_end_too_early_keep_what_came_before(command: Command, tmp_path: Path) -> None:
    whole = gzip.decompress((SAMPLE / "traces" / "underwriting-notes-2026-07.pb.gz").read_bytes())
    (tmp_path / "cut.pb").write_bytes(whole[: len(whole) // 3])
    done = command("load", "cut.pb", "--json")
    [outcome] = done.json
    assert (done.code, outcome["status"], outcome["rejected"]) == (3, "partial", 1)
    assert outcome["rows"] > 100
    [reject] = outcome["rejects"]
    assert "cut off" in reject["reason"]
    assert 0 < reject["position"] <= len(whole) // 3
    [kept] = command("sql", "select position, length, content_hash, reason from rejects", "--json").json
    assert kept["reason"] == reject["reason"]
    assert None not in kept.values(), "a reject says how long the piece was and what its hash is, so that it can be found again"


def test_the_same_file_again_changes_nothing_and_says_so(command: Command, tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text("\n".join(trace_lines(2)))
    command("load", "lines.jsonl")
    counts = "select (select count(*) from spans) as spans, (select count(*) from loads) as loads, (select count(*) from events) as events"
    before = command("sql", counts, "--json").json
    done = command("load", "lines.jsonl")
    assert (done.code, done.out) == (0, "lines.jsonl: already loaded, nothing changed\n")
    assert command("load", "lines.jsonl", "--json").json[0]["status"] == "already loaded"
    assert command("sql", counts, "--json").json == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["load", "nowhere.csv"], "nowhere.csv does not exist"),
        (["load", "empty"], "No files in empty"),
        (["load", "cost.csv", "--as", "nonsense"], "nonsense"),
        (["kpis"], "no calls and no charges yet"),
        (["kpis", "--period", "nonsense"], "'nonsense' is no period; use 2026-09, 2026-Q3, 2026-W41 or 2026-09-01..2026-09-21"),
        (["kpis", "--period", "2026-13"], "'2026-13' is no period"),
        (["kpis", "--period", "[/2026]"], "'[/2026]' is no period"),
        (["kpis", "--period", "2026-09", "--filter", "colour=red"], "Use one of system, team, provider, model, environment"),
        (["kpis", "--db", "none.duckdb"], "There is no ledger at none.duckdb"),
        (["doctor", "--db", "none.duckdb"], "There is no ledger at none.duckdb"),
        (["sql", "select 1", "--db", "none.duckdb"], "name one with --db"),
        (["doctor", "--db", "cost.csv"], "cost.csv"),
        (["sql", "select nothing from loads"], '"nothing" not found'),
        (["sql", "selec 1"], "syntax error"),
    ],
)
def test_a_failure_is_one_line_that_says_what_to_do_and_the_exit_code_is_one(
    command: Command, empty_ledger: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "cost.csv").write_text(COSTS)
    done = command(*arguments)
    assert (done.code, done.out) == (1, "")
    assert words in done.line
    assert not (tmp_path / "none.duckdb").exists(), "a command that reads makes no ledger"


def test_a_file_that_fails_alone_is_exit_code_one_and_nothing_changed(command: Command, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not data\n")
    done = command("load", "notes.txt")
    assert (done.code, done.out) == (1, "")
    assert done.line.startswith("notes.txt: ")
    assert command("load", "notes.txt", "--json").json[0]["status"] == "failed"


@pytest.mark.parametrize("month", MONTHS)
def test_kpis_are_what_the_truth_of_the_sample_says(command: Command, sample_db: Path, month: str) -> None:
    document = command("kpis", "--period", month, "--json", "--db", sample_db).json
    assert document["period"]["start"] == f"{month}-01T00:00:00"
    found = {record["metric_id"]: record for record in document["kpis"]}
    truth = {name: said for name, said in TRUTH["months"][month]["kpis"].items() if name in found and "value" in said}
    assert {"unit_cost", "incident_rate", "time_to_mitigate"} <= truth.keys()
    # The truth counts every input token; the KPI leaves out calls whose emitter hides the cache, and says so by its coverage.
    hidden = truth.pop("cache_hit_rate")
    assert found["cache_hit_rate"]["numerator"] == hidden["numerator"]
    assert found["cache_hit_rate"]["denominator"] <= hidden["denominator"]
    assert (found["cache_hit_rate"]["coverage"] == 1) == (found["cache_hit_rate"]["denominator"] == hidden["denominator"])
    for name, said in truth.items():
        assert found[name]["value"] == pytest.approx(said["value"], rel=1e-9), name
        for part in ("numerator", "denominator"):
            if part in said:
                assert found[name][part] == pytest.approx(float(said[part]), rel=1e-9), (name, part)


def test_the_default_period_is_the_last_complete_month(command: Command, sample_db: Path) -> None:
    assert command("kpis", "--json", "--db", sample_db).json["period"]["start"] == "2026-09-01T00:00:00"


def test_a_filter_narrows_the_kpis(command: Command, sample_db: Path) -> None:
    document = command("kpis", "--filter", "system=claims-copilot", "--period", "2026-09", "--json", "--db", sample_db).json
    assert document["scope"] == {"system": "claims-copilot"}
    [found] = [record for record in document["kpis"] if record["metric_id"] == "unit_cost"]
    assert found["denominator"] == TRUTH["months"]["2026-09"]["systems"]["claims-copilot"]["all"]["requests"]


def test_the_scorecard_in_the_terminal_names_every_kpi_with_its_status(command: Command, sample_db: Path) -> None:
    done = command("kpis", "--period", "2026-09", "--db", sample_db)
    for record in command("kpis", "--period", "2026-09", "--json", "--db", sample_db).json["kpis"]:
        assert record["status"] in done.out
    assert "Cost per 1k requests" in done.out
    assert "$35.58" in done.out


@pytest.mark.parametrize(
    "statement",
    [
        "drop table loads",
        "delete from loads",
        "insert into loads (id) values (1)",
        "update loads set path = 'x'",
        "create table mine as select 1",
        "copy loads to 'stolen.csv'",
        "attach 'other.duckdb'",
        "export database 'copy'",
        "install httpfs",
        "set memory_limit = '1GB'",
        "select 1; drop table loads",
    ],
)
def test_a_query_can_change_nothing(command: Command, bill: Path, tmp_path: Path, statement: str) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    done = command("sql", statement)
    assert (done.code, done.out) == (1, "")
    assert "Only one SELECT" in done.line
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert command("sql", "select count(*) as n, min(path) as path from loads", "--json").json == [{"n": 1, "path": "cost.csv"}]


def test_a_query_prints_decimals_and_times_as_json_understands_them(command: Command, bill: Path) -> None:
    assert command("sql", "select usd_billed_cost as usd, charge_period_start as at, null as nothing from charges", "--json").json == [
        {"usd": 0.1, "at": "2026-10-01T00:00:00", "nothing": None}
    ]


def test_a_long_result_says_that_there_is_more(command: Command, sample_db: Path) -> None:
    done = command("sql", "select trace_id from calls", "--db", sample_db)
    assert "--json prints all of them" in done.out


def test_doctor_says_of_every_check_whether_it_is_fine_and_what_was_found(command: Command, sample_db: Path) -> None:
    checks = command("doctor", "--json", "--db", sample_db).json
    assert all(check.keys() == {"id", "ok", "title", "finding"} for check in checks)
    found = {check["id"]: check for check in checks}
    assert found["rollup"]["ok"]
    assert not found["unowned_charges"]["ok"]
    assert TRUTH["unregistered_project"] in found["unowned_charges"]["finding"]
    lines = command("doctor", "--db", sample_db).out.strip().splitlines()
    assert [line[:3] for line in lines] == ["ok " if check["ok"] else "!! " for check in checks]


def test_the_ledger_is_the_option_then_the_environment_then_the_file(
    command: Command, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def charges(*arguments: str) -> int:
        return int(command("sql", "select count(*) as n from charges", "--json", *arguments).json[0]["n"])

    shutil.copy(made / "empty.duckdb", tmp_path / "spanledger.duckdb")
    assert charges() == 0
    (tmp_path / "spanledger.toml").write_text(f"db = '{made / 'bill.duckdb'}'\n")
    assert charges() == 1
    monkeypatch.setenv("SPANLEDGER_DB", str(made / "empty.duckdb"))
    assert charges() == 0
    assert charges("--db", str(made / "bill.duckdb")) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('colour = "red"', "colour"),
        ("db = 5", "db"),
        ("[[attribution]]\nset = { planet = 'x' }", "'planet' is no dimension"),
        ("db = ", "spanledger.toml"),
    ],
)
def test_a_setting_that_is_not_understood_is_named_with_its_file(command: Command, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "spanledger.toml").write_text(text + "\n")
    done = command("doctor")
    assert done.code == 1
    assert "spanledger.toml" in done.line
    assert words in done.line


def test_rebuild_says_how_many_spans_it_read_again_and_changes_no_number(command: Command, tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text("\n".join(trace_lines(3)))
    command("load", "lines.jsonl")
    totals = "select sum(calls) as calls, sum(requests) as requests, sum(cost_usd) as cost from usage_hour"
    before = command("sql", totals, "--json").json
    done = command("rebuild")
    assert (done.code, done.out) == (0, "3 spans rebuilt\n")
    assert command("sql", totals, "--json").json == before
