"""Plain record files: every kind in every form, what is rejected and why, and registers that keep their history."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ingest.audit import Outcome
from ingest.governance.records import KINDS, kind_of
from ingest.load import Loader
from ingest.probe import Probe
from ingest.sources import find_files
from ingest.store import Store

# The smallest good row of every kind: what it needs and no more.
GOOD: dict[str, dict[str, str]] = {
    "systems": {"system_id": "claims", "name": "Claims", "owner": "A. Brandt", "lifecycle": "production", "risk_tier": "1"},
    "models": {"item_id": "m1", "kind": "model", "system_id": "claims", "provider": "openai", "name": "gpt-5", "version": "2025-08-07"},
    "patterns": {"pattern_id": "rag", "name": "RAG", "version": "2", "status": "approved"},
    "initiatives": {"initiative_id": "i1", "name": "Notes", "started_on": "2026-07-06", "status": "active"},
    "capabilities": {"system_id": "claims", "capability": "retrieval", "provision": "shared"},
    "targets": {"metric_id": "cache_hit_rate", "target": "0.3"},
    "objectives": {"objective_id": "o1", "system_id": "claims", "kind": "latency", "objective": "0.95", "threshold_ms": "900"},
    "budgets": {"budget_id": "b1", "scope": "team = Claims", "period": "month", "amount": "1200.50", "unit": "usd"},
    "risks": {"risk_id": "r1", "title": "One provider only", "owner": "A. Brandt"},
    "reviews": {"review_id": "v1", "subject_id": "i1", "type": "security", "submitted_at": "2026-07-06T09:00:00Z"},
    "releases": {"release_id": "l1", "system_id": "claims", "released_at": "2026-07-06T09:00:00Z", "environment": "production"},
    "readiness": {"release_id": "l1", "item": "eval", "result": "pass"},
    "decisions": {"decision_id": "d1", "system_id": "claims", "title": "Use RAG", "decided_on": "2026-07-06", "major": "yes"},
    "surveys": {"response_id": "s1", "period": "2026-Q3", "score": "4"},
    "incidents": {"incident_id": "n1", "title": "Slow answers", "started_at": "2026-07-06T09:00:00Z"},
    "evaluations": {"evaluation_id": "e1", "evaluated_at": "2026-07-06T09:00:00Z", "name": "faithfulness", "evaluator_kind": "human"},
    "actions": {"action_id": "a1", "at": "2026-07-06T09:00:00Z", "name": "note_filed", "outcome": "success"},
    "holidays": {"date": "2026-12-25", "name": "Christmas"},
}


def as_csv(kind: str, rows: Sequence[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


FORMS = {
    "csv": as_csv,
    "list.json": lambda kind, rows: json.dumps(rows),
    "named.json": lambda kind, rows: json.dumps({"as_of": "2026-09-30", kind: rows}, indent=1),
    "jsonl": lambda kind, rows: "".join(json.dumps(row) + "\n" for row in rows),
    "list.yaml": lambda kind, rows: yaml.safe_dump(rows),
    "named.yml": lambda kind, rows: yaml.safe_dump({kind: rows}),
}


def load(
    loader: Loader, folder: Path, kind: str, *rows: dict[str, str], form: str = "csv", name: str = "export", **options: Any
) -> Outcome:
    path = folder / f"{name}.{form}"
    path.write_text(FORMS[form](kind, rows))
    [outcome] = loader.load(find_files([path]), **options)
    return outcome


def rejects(outcome: Outcome) -> list[tuple[int, str]]:
    return [(reject.position, reject.reason) for reject in outcome.rejects]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loader]:
    """A loader whose ledger many tests fill, where only the outcome of each file matters."""
    store = Store(tmp_path_factory.mktemp("shared") / "ledger.duckdb")
    yield Loader(store, b"a key for tests only")
    store.close()


def test_every_kind_has_an_example_here() -> None:
    assert GOOD.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("form", FORMS)
def test_the_smallest_good_file_of_every_kind_loads_in_every_form_whatever_its_name(
    shared: Loader, tmp_path: Path, kind: str, form: str
) -> None:
    second = GOOD[kind] | {KINDS[kind].key[0]: "2026-12-26" if kind == "holidays" else "another"}
    outcome = load(shared, tmp_path, kind, GOOD[kind], second, form=form)
    assert (outcome.status, outcome.collector, outcome.rows) == ("loaded", kind, 2), outcome.line()
    kept = shared.store.query(
        f'select * from {KINDS[kind].table} where cast("{KINDS[kind].key[0]}" as varchar) = $key', {"key": second[KINDS[kind].key[0]]}
    ).row(-1, named=True)
    assert [name for name in second if kept[KINDS[kind].stored_as.get(name, name)] is None] == []


@given(data=st.data())
def test_a_file_with_any_columns_of_a_kind_is_recognised_as_this_kind(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    optional = sorted(KINDS[kind].columns.keys() - KINDS[kind].needed())
    columns = [*GOOD[kind], *(data.draw(st.lists(st.sampled_from(optional), unique=True)) if optional else [])]
    name = data.draw(st.sampled_from([*sorted(KINDS), "export"]))
    probe = Probe(Path(f"{name}.csv"), b"", "csv", tuple(data.draw(st.permutations(list(dict.fromkeys(columns))))))
    assert kind_of(probe) == kind


@pytest.mark.parametrize(
    "columns",
    [
        ("date", "name", "amount"),
        ("incident_id", "title"),
        ("id", "title", "status", "owner"),
        ("system_id", "name"),
    ],
)
def test_a_table_of_something_else_is_no_record_file(columns: tuple[str, ...]) -> None:
    assert kind_of(Probe(Path("export.csv"), b"", "csv", columns)) is None


@pytest.mark.parametrize(
    "document",
    [
        {"actions": [], "id": "x", "message": "a foreign incident"},
        {"incidents": [{"id": "x", "title": "of a tool"}]},
        {"systems": [GOOD["systems"]], "models": [GOOD["models"]]},
    ],
)
def test_a_document_that_only_shares_a_word_or_holds_two_kinds_is_not_taken_for_one(document: dict[str, Any]) -> None:
    assert kind_of(Probe(Path("export.json"), b"", "json", json=document)) is None


def test_a_text_whose_first_line_is_a_column_name_is_no_record_file(loader: Loader, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("date\n2026-07-06\n")
    [outcome] = loader.load(find_files([tmp_path / "notes.txt"]))
    assert outcome.status == "failed"


def test_holidays_with_further_columns_need_the_name_of_the_file(loader: Loader, store: Store, tmp_path: Path) -> None:
    row = GOOD["holidays"] | {"region": "BE"}
    assert load(loader, tmp_path, "holidays", row).status == "failed"
    assert load(loader, tmp_path, "holidays", row, name="holidays_2026").status == "loaded"
    assert json.loads(store.query("select extra from holidays").item()) == {"region": "BE"}


def test_a_long_yaml_file_is_recognised_by_its_beginning(loader: Loader, tmp_path: Path) -> None:
    rows = [GOOD["risks"] | {"risk_id": f"r{number}", "decision_needed": "Accept, or\nbuy a second one: today"} for number in range(1000)]
    outcome = load(loader, tmp_path, "risks", *rows, form="list.yaml")
    assert (outcome.collector, outcome.rows) == ("risks", 1000)


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_an_empty_list_of_a_kind_is_a_file_without_rows(loader: Loader, tmp_path: Path, form: str) -> None:
    (tmp_path / f"none.{form}").write_text('{"incidents": []}')
    [outcome] = loader.load(find_files([tmp_path / f"none.{form}"]))
    assert (outcome.status, outcome.collector, outcome.rows) == ("loaded", "incidents", 0)


@pytest.mark.parametrize("kind", [kind for kind in GOOD if kind != "holidays"])
def test_a_missing_column_is_named_when_the_kind_is_known(shared: Loader, tmp_path: Path, kind: str) -> None:
    missing = [name for name, spec in KINDS[kind].columns.items() if spec.endswith("!") and name not in KINDS[kind].key]
    missing = missing[-1:] or list(KINDS[kind].key[-1:])
    row = {name: text for name, text in GOOD[kind].items() if name not in missing} | {"note": "x"}
    outcome = load(shared, tmp_path, kind, row, collector=kind)
    assert outcome.status == "failed"
    assert f"column {missing[0]} is missing" in outcome.line()


def test_a_missing_column_is_named_when_the_file_is_called_like_its_kind(loader: Loader, tmp_path: Path) -> None:
    row = {name: text for name, text in GOOD["systems"].items() if name != "owner"}
    assert "column owner is missing" in load(loader, tmp_path, "systems", row, name="systems-2026-09").line()


@pytest.mark.parametrize("kind", GOOD)
def test_an_empty_required_cell_rejects_its_row_and_no_other(shared: Loader, tmp_path: Path, kind: str) -> None:
    needed = [name for name, spec in KINDS[kind].columns.items() if spec.endswith("!")]
    for number, name in enumerate(needed):
        outcome = load(shared, tmp_path, kind, GOOD[kind], GOOD[kind] | {name: " "}, name=f"{number}")
        assert (outcome.status, outcome.rows, outcome.rejected) == ("partial", 1, 1), name
        assert f"first at 3: {name} is empty" in outcome.line()


WRONG = [
    ("systems", {"risk_tier": "4"}, "risk_tier is not within 1 to 3"),
    ("systems", {"risk_tier": "high"}, "risk_tier is not a whole number"),
    ("systems", {"personal_data": "some"}, "personal_data is none of yes, no"),
    ("systems", {"started_on": "2026-05-01", "in_service_on": "2026-04-01"}, "in_service_on is before started_on"),
    ("models", {"kind": "robot"}, "kind is none of model, prompt, endpoint, dataset, tool"),
    ("patterns", {"status": "draft"}, "status is none of approved, retired"),
    ("patterns", {"approved_on": "2026-05-01", "retired_on": "2026-04-01"}, "retired_on is before approved_on"),
    ("patterns", {"retired_on": "2026-05-01", "grace_ends_on": "2026-04-01"}, "grace_ends_on is before retired_on"),
    ("initiatives", {"conformance": "partly"}, "conformance is none of full, exception, none"),
    ("initiatives", {"started_on": "2026-02-30"}, "started_on is not a date"),
    ("capabilities", {"provision": "rented"}, "provision is none of shared, bespoke, bought, none"),
    ("targets", {"target": "high"}, "target is neither a number nor improve"),
    ("targets", {"target": "improve"}, "target improve needs a direction (at_least, at_most)"),
    ("targets", {"direction": "up"}, "direction is none of at_least, at_most"),
    ("targets", {"amber_margin": "-0.1"}, "amber_margin is below 0"),
    ("objectives", {"kind": "beauty"}, "kind is none of latency, errors, quality"),
    ("objectives", {"threshold_ms": ""}, "an objective of latency needs threshold_ms"),
    ("objectives", {"objective": "99.9"}, "objective is not a share between 0 and 1"),
    ("budgets", {"unit": "eur"}, "unit is none of usd, tokens, gpu_hours"),
    ("budgets", {"amount": "a lot"}, "amount is not an amount"),
    ("budgets", {"period": "week"}, "period is none of month, quarter, year"),
    ("budgets", {"warn_at": "80"}, "warn_at is not a share above 0 and up to 1"),
    ("risks", {"due_on": "soon"}, "due_on is not a date"),
    ("reviews", {"type": "style"}, "type is none of architecture, security, privacy"),
    ("reviews", {"outcome": "maybe"}, "outcome is none of approved, conditions_minor, rework_major, rejected, withdrawn"),
    ("reviews", {"decided_at": "2026-07-06T08:59:59Z"}, "decided_at is before submitted_at"),
    ("reviews", {"round": "0"}, "round is below 1"),
    ("reviews", {"round": "1.5"}, "round is not a whole number"),
    ("reviews", {"on_hold_days": "-1"}, "on_hold_days is below 0"),
    ("releases", {"hotfix": "perhaps"}, "hotfix is not true or false"),
    ("releases", {"released_at": "yesterday"}, "released_at is not a time"),
    ("readiness", {"result": "ok"}, "result is none of pass, fail, na, waived"),
    ("decisions", {"major": "very"}, "major is not true or false"),
    ("surveys", {"score": "6"}, "score is outside its scale (1 to 5 unless scale_min and scale_max say otherwise)"),
    ("surveys", {"score": "0"}, "score is outside its scale (1 to 5 unless scale_min and scale_max say otherwise)"),
    (
        "surveys",
        {"score": "11", "scale_min": "0", "scale_max": "10"},
        "score is outside its scale (1 to 5 unless scale_min and scale_max say otherwise)",
    ),
    ("surveys", {"score": "5", "scale_min": "5"}, "scale_min is not below scale_max"),
    ("surveys", {"invited_n": "0"}, "invited_n is below 1"),
    ("incidents", {"severity": "6"}, "severity is not 1 to 5 (as 3, SEV3, P3 or 3 - Moderate)"),
    ("incidents", {"severity": "P0"}, "severity is not 1 to 5 (as 3, SEV3, P3 or 3 - Moderate)"),
    ("incidents", {"severity": "12"}, "severity is not 1 to 5 (as 3, SEV3, P3 or 3 - Moderate)"),
    ("incidents", {"ai_attributed": "probably"}, "ai_attributed is none of yes, no, unknown"),
    ("incidents", {"mitigated_source": "guess"}, "mitigated_source is none of native, status, resolved_proxy"),
    ("incidents", {"mitigated_at": "2026-07-06T08:59:59Z"}, "mitigated_at is before started_at"),
    ("incidents", {"resolved_at": "2026-07-05"}, "resolved_at is before started_at"),
    ("incidents", {"started_at": "", "detected_at": ""}, "started_at and detected_at are both empty"),
    (
        "incidents",
        {"started_at": "", "detected_at": "2026-07-06", "mitigated_at": "2026-07-05"},
        "mitigated_at is before detected_at, and started_at is empty",
    ),
    (
        "incidents",
        {"detected_at": "2026-07-06T09:10:00Z", "acknowledged_at": "2026-07-06T09:05:00Z"},
        "acknowledged_at is before detected_at",
    ),
    ("evaluations", {"evaluator_kind": "dice"}, "evaluator_kind is none of human, llm, code"),
    ("evaluations", {"sampling_probability": "0"}, "sampling_probability is not above 0 and up to 1"),
    ("evaluations", {"sampling_probability": "5"}, "sampling_probability is not above 0 and up to 1"),
    ("evaluations", {"is_bad": "rather"}, "is_bad is not true or false"),
    ("actions", {"outcome": "fine"}, "outcome is none of success, failure, abandoned"),
    ("holidays", {"date": "25.12."}, "date is not a date"),
]


@pytest.mark.parametrize(("kind", "wrong", "reason"), WRONG)
def test_a_wrong_value_rejects_its_row_with_the_reason_and_keeps_the_others(
    shared: Loader, tmp_path: Path, kind: str, wrong: dict[str, str], reason: str
) -> None:
    other = GOOD[kind] | {KINDS[kind].key[0]: "2026-12-24" if kind == "holidays" else "other"}
    outcome = load(shared, tmp_path, kind, other, GOOD[kind] | wrong)
    assert (outcome.status, outcome.rows) == ("partial", 1)
    assert rejects(outcome) == [(3, reason)]


def test_a_row_with_several_mistakes_names_all_of_them(loader: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load(loader, tmp_path, "reviews", GOOD["reviews"] | {"subject_id": "", "type": "style", "round": "first"})
    said = store.query("select position, reason from rejects").rows()
    assert (
        said
        == rejects(outcome)
        == [(2, "subject_id is empty; round is not a whole number; type is none of architecture, security, privacy")]
    )


def test_values_are_kept_as_the_ledger_writes_them(loader: Loader, store: Store, tmp_path: Path) -> None:
    load(
        loader,
        tmp_path,
        "reviews",
        GOOD["reviews"] | {"type": "Security", "outcome": "Rework-Major", "decided_at": "2026-07-06T11:00:00+02:00"},
    )
    assert store.query("select type, outcome, decided_at, round from reviews").row(0) == (
        "security",
        "rework_major",
        datetime(2026, 7, 6, 9),
        1,
    )
    load(loader, tmp_path, "readiness", GOOD["readiness"] | {"result": "N/A", "item": "Eval"})
    assert store.query("select result, item from release_checks").row(0) == ("na", "eval")
    load(
        loader,
        tmp_path,
        "systems",
        GOOD["systems"] | {"lifecycle": "Production", "personal_data": "TRUE", "depends_on": "crm; search;", "in_service_on": "2026-04-01"},
    )
    assert store.query("select lifecycle, personal_data, depends_on, in_service_on, service_names from systems").row(0) == (
        "production",
        "yes",
        ["crm", "search"],
        date(2026, 4, 1),
        None,
    )


def test_lists_booleans_numbers_and_nulls_of_documents_are_read_like_cells(loader: Loader, store: Store, tmp_path: Path) -> None:
    json_row: dict[str, Any] = GOOD["systems"] | {
        "risk_tier": 2,
        "service_names": ["claims-api", "claims-worker"],
        "personal_data": True,
        "team": None,
    }
    load(loader, tmp_path, "systems", json_row, form="list.json")
    assert store.query("select risk_tier, service_names, personal_data, team from systems").row(0) == (
        2,
        ["claims-api", "claims-worker"],
        "yes",
        None,
    )
    (tmp_path / "incidents.yaml").write_text(
        "- {incident_id: n1, title: Slow, started_at: 2026-07-06 09:00:00, severity: 2, mitigated_at: null, status: ~, url: 'null'}\n"
    )
    loader.load(find_files([tmp_path / "incidents.yaml"]))
    assert store.query("select started_at, severity, mitigated_at, status, url from incidents").row(0) == (
        datetime(2026, 7, 6, 9),
        2,
        None,
        None,
        "null",
    )


def test_the_system_of_an_action_is_its_system_id(loader: Loader, store: Store, tmp_path: Path) -> None:
    load(loader, tmp_path, "actions", GOOD["actions"] | {"system_id": "claims"})
    assert store.query("select system from actions").item() == "claims"


def test_unknown_columns_are_kept(loader: Loader, store: Store, tmp_path: Path) -> None:
    load(loader, tmp_path, "releases", GOOD["releases"] | {"Version": "4.2.0", "pipeline's": ""})
    assert json.loads(store.query("select extra from releases").item()) == {"Version": "4.2.0", "pipeline's": None}


@pytest.mark.parametrize(
    ("written", "severity"),
    [("3", 3), ("3 - Moderate", 3), ("SEV2", 2), ("sev-2", 2), ("P1", 1), ("Severity 4", 4), ("5: info", 5), ("", None)],
)
def test_a_severity_is_read_however_a_tool_writes_it(shared: Loader, tmp_path: Path, written: str, severity: int | None) -> None:
    load(shared, tmp_path, "incidents", GOOD["incidents"] | {"incident_id": written or "none", "severity": written})
    assert shared.store.query("select severity from incidents where incident_id = $id", {"id": written or "none"}).item() == severity


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"mitigated_at": "2026-07-06T09:00:00Z"}, (datetime(2026, 7, 6, 9), "native", None)),
        (
            {"mitigated_at": "2026-07-06T10:00:00Z", "mitigated_source": "Resolved proxy"},
            (datetime(2026, 7, 6, 10), "resolved_proxy", None),
        ),
        ({"resolved_at": "2026-07-06T12:00:00Z", "ai_attributed": "No"}, (None, None, "no")),
        ({"ai_attributed": "Unknown", "mitigated_source": "", "mitigated_at": ""}, (None, None, "unknown")),
        ({"started_at": "", "detected_at": "2026-07-06T09:05:00Z"}, (None, None, None)),
    ],
)
def test_what_an_incident_does_not_say_stays_unknown_and_a_mitigation_time_is_native_unless_it_says_so(
    shared: Loader, tmp_path: Path, given: dict[str, str], kept: tuple[Any, ...]
) -> None:
    assert load(shared, tmp_path, "incidents", GOOD["incidents"] | given | {"incident_id": "unsaid"}).status == "loaded"
    found = shared.store.query("select mitigated_at, mitigated_source, ai_attributed from incidents where incident_id = 'unsaid'")
    assert found.row(0) == kept


def test_a_survey_answers_on_the_scale_it_names_and_on_five_points_otherwise(loader: Loader, store: Store, tmp_path: Path) -> None:
    ten = GOOD["surveys"] | {"response_id": "s2", "score": "9", "scale_min": "0", "scale_max": "10"}
    load(loader, tmp_path, "surveys", GOOD["surveys"], ten)
    assert store.query("select score, scale_min, scale_max from survey_responses order by 1").rows() == [(4, 1, 5), (9, 0, 10)]


def test_a_later_file_updates_a_record_and_leaves_the_others(loader: Loader, store: Store, tmp_path: Path) -> None:
    load(loader, tmp_path, "incidents", GOOD["incidents"], GOOD["incidents"] | {"incident_id": "n2"})
    load(loader, tmp_path, "incidents", GOOD["incidents"] | {"status": "Resolved", "resolved_at": "2026-07-06T10:00:00Z"})
    assert store.query("select incident_id, status from incidents order by 1").rows() == [("n1", "resolved"), ("n2", None)]


REGISTERS = [kind for kind in GOOD if KINDS[kind].register]


def versions(store: Store, kind: str) -> list[tuple[Any, ...]]:
    return store.query(f"select * exclude (load_id) from {KINDS[kind].table} order by all").rows()


@pytest.mark.parametrize("kind", REGISTERS)
def test_a_register_loaded_as_of_a_day_leaves_the_time_before_as_it_was(loader: Loader, store: Store, tmp_path: Path, kind: str) -> None:
    changed = next(
        name
        for name, spec in KINDS[kind].columns.items()
        if spec.startswith(("text", "word")) and name not in (*KINDS[kind].key, *KINDS[kind].allowed) and name != "target"
    )
    for day, text in ((datetime(2026, 7, 1), "old"), (datetime(2026, 9, 1, 15, 30), "new")):
        load(loader, tmp_path, kind, GOOD[kind] | {changed: text}, as_of=day)
    assert store.query(f'select "{changed}", valid_from, valid_to from {KINDS[kind].table} order by valid_from').rows() == [
        ("old", datetime(1970, 1, 1), datetime(2026, 9, 1)),
        ("new", datetime(2026, 9, 1), None),
    ]


@pytest.mark.parametrize("kind", REGISTERS)
def test_a_row_says_itself_from_when_it_holds(loader: Loader, store: Store, tmp_path: Path, kind: str) -> None:
    load(loader, tmp_path, kind, GOOD[kind] | {"valid_from": "2026-03-01"}, as_of=datetime(2026, 9, 1))
    assert store.query(f"select valid_from, valid_to from {KINDS[kind].table}").row(0) == (datetime(2026, 3, 1), None)


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_registers_with_their_own_dates_load_to_the_same_history_in_any_order(
    shared: Loader, tmp_path: Path, order: tuple[int, ...]
) -> None:
    for month in order:
        row = GOOD["risks"] | {"risk_id": f"order {order}", "owner": f"owner {month}", "valid_from": f"2026-{month:02}-01"}
        assert load(shared, tmp_path, "risks", row, name=str(month)).status == "loaded"
    history = shared.store.query("select owner, valid_from, valid_to from risks where risk_id = $id order by 2", {"id": f"order {order}"})
    starts = [datetime(2026, month, 1) for month in (1, 2, 3)]
    assert history.rows() == [("owner 1", starts[0], starts[1]), ("owner 2", starts[1], starts[2]), ("owner 3", starts[2], None)]


def test_two_register_files_of_one_command_load_alike_in_either_order(tmp_path: Path) -> None:
    early, late = tmp_path / "a.csv", tmp_path / "b.csv"
    early.write_text(as_csv("systems", [GOOD["systems"] | {"valid_from": ""}]))
    late.write_text(as_csv("systems", [GOOD["systems"] | {"owner": "M. Okafor", "valid_from": "2026-09-01"}]))
    history = []
    for order in ([early, late], [late, early]):
        store = Store(tmp_path / f"{order[0].stem}.duckdb")
        Loader(store, b"key").load(find_files(order), as_of=datetime(2026, 10, 1))
        history.append(versions(store, "systems"))
        store.close()
    assert history[0] == history[1]
    assert len(history[0]) == 2


def test_the_records_of_the_sample_company_load_without_a_reject(loader: Loader, store: Store) -> None:
    outcomes = loader.load(find_files([Path(__file__).parents[2] / "sample_data" / "data" / "records"]))
    assert outcomes
    assert {outcome.status for outcome in outcomes} == {"loaded"}, [outcome.line() for outcome in outcomes]
    names = {outcome.path: Path(outcome.path).name.partition(".")[0] for outcome in outcomes}
    assert {outcome.path: outcome.collector for outcome in outcomes} == names


def test_exports_of_tools_are_not_taken_for_plain_records(loader: Loader, fixtures: Path) -> None:
    files = [path for path in sorted((fixtures / "governance").rglob("*")) if path.suffix in (".csv", ".json", ".yaml")]
    outcomes = loader.load([(path, path.name) for path in files])
    assert [outcome.path for outcome in outcomes if outcome.collector in KINDS] == []
