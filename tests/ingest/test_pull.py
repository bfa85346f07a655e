"""A billing API on this machine that pages, refuses, stumbles and goes round in circles; what comes of it is loaded whole or not at all."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from app.cli import cli
from ingest import pull_http
from ingest.load import Loader
from ingest.pull import Request, apis, forget, pull, request
from ingest.pull_http import ATTEMPTS, LONGEST_PAUSE_S, Patience, PullError
from ingest.store import Store
from tests.serving import run, serving

KEY = "sk-admin-do-not-tell-0123456789"
SINCE, UNTIL, TODAY = date(2026, 10, 1), date(2026, 10, 4), date(2026, 10, 9)
DAY = 86400
START = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp())

Answer = tuple[int, dict[str, str], bytes] | None  # None: the connection drops
Handler = Callable[[dict[str, list[str]]], Answer]


@dataclass
class Api:
    """What a local billing API answers by path, and what it was asked."""

    url: str
    paths: dict[str, Handler] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = field(default_factory=list)

    def pages(self, path: str, *pages: dict[str, Any]) -> None:
        """Answer with these pages, each under the token that the one before names."""
        by_token = {None: pages[0], **{page["next_page"]: after for page, after in pairwise(pages)}}
        self.paths[path] = lambda query: json_answer(by_token[query.get("page", [None])[0]])

    def first(self, path: str, *answers: Answer) -> None:
        """Before what it answers anyway, answer with these, one a request."""
        left, usual = list(answers), self.paths[path]
        self.paths[path] = lambda query: left.pop(0) if left else usual(query)

    def times_asked(self, path: str) -> int:
        return sum(path == asked for asked, *_ in self.asked)


def json_answer(document: Any, status: int = 200, **headers: str) -> Answer:
    return status, headers, json.dumps(document).encode()


@pytest.fixture
def api() -> Iterator[Api]:
    class Handling(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path, query = parts.path.removeprefix("/v1/"), parse_qs(parts.query)
            known.asked.append((path, query, {name.lower(): text for name, text in self.headers.items()}))
            if KEY not in (self.headers.get("x-api-key", ""), self.headers.get("authorization", "").removeprefix("Bearer ")):
                answer = json_answer({"error": {"message": f"Incorrect API key provided: {self.headers}"}}, 401)
            else:
                answer = known.paths[path](query)
            if answer is None:
                self.connection.close()
                return
            status, headers, body = answer
            self.send_response(status)
            for name, text in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handling)
    known = Api(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield known
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Waits:
    """Patience in no time, which remembers how long it was asked for."""

    seconds: list[float] = field(default_factory=list)

    @property
    def patience(self) -> Patience:
        return Patience(self.seconds.append, lambda: 1.0, lambda: float(START))


def bucket(day: int, *results: dict[str, Any]) -> dict[str, Any]:
    return {"object": "bucket", "start_time": START + day * DAY, "end_time": START + (day + 1) * DAY, "results": list(results)}


def cost(usd: float, line_item: str = "gpt-4o-2024-08-06, input") -> dict[str, Any]:
    return {"object": "organization.costs.result", "amount": {"value": usd, "currency": "usd"}, "line_item": line_item, "project_id": "p"}


def page(*buckets: dict[str, Any], next_page: str | None = None) -> dict[str, Any]:
    return {"object": "page", "data": list(buckets), "has_more": next_page is not None, "next_page": next_page}


@pytest.fixture
def openai(api: Api, fixtures: Path) -> Api:
    """The fixtures' organization: one page of costs, two of usage, no embeddings on any day."""
    bills = fixtures / "billing" / "openai"
    api.pages("organization/costs", json.loads((bills / "costs_by_line_item.json").read_text()))
    usage = [json.loads((bills / f"usage_completions_page_{number}.json").read_text()) for number in (1, 2)]
    api.pages("organization/usage/completions", *usage)
    api.pages("organization/usage/embeddings", page(*(bucket(day) for day in range(4))))
    return api


@pytest.fixture
def anthropic(api: Api, fixtures: Path) -> Api:
    bills = fixtures / "billing" / "anthropic"
    api.pages("organizations/cost_report", json.loads((bills / "cost_report.json").read_text()))
    usage = [json.loads((bills / f"usage_report_messages_page_{number}.json").read_text()) for number in (1, 2)]
    api.pages("organizations/usage_report/messages", *usage)
    return api


def environment(api: Api, **more: str) -> dict[str, str]:
    return {
        "OPENAI_ADMIN_KEY": KEY,
        "ANTHROPIC_ADMIN_KEY": KEY,
        "SPANLEDGER_OPENAI_URL": api.url,
        "SPANLEDGER_ANTHROPIC_URL": api.url,
        **more,
    }


def asked_of(api: Api, provider: str = "openai", **more: str) -> Request:
    return request(provider, SINCE, UNTIL, None, environment(api, **more), TODAY)


def load(loader: Loader, asked: Request, parent: Path, waits: Waits | None = None) -> list[str]:
    """What `spanledger pull` does: the status of each file."""
    folder = asked.folder(parent / "pulled")
    outcomes = loader.load(pull(asked, folder, patience=(waits or Waits()).patience))
    forget(folder)
    return [outcome.status for outcome in outcomes]


def billed(store: Store) -> Decimal:
    return store.query("select coalesce(sum(billed_cost), 0) as usd from charges").item()


def test_openai_s_costs_and_usage_arrive_as_their_files_would(openai: Api, loader: Loader, store: Store, tmp_path: Path) -> None:
    assert load(loader, asked_of(openai), tmp_path) == ["loaded"] * 3
    assert billed(store) == Decimal("0.4905")
    usage = store.query(
        "select sum(requests) as requests, sum(output_tokens) as output, sum(cache_read_tokens) as cached from billed_usage"
    )
    assert usage.row(0) == (80, 90_000, 28_000)
    _, query, headers = next(asked for asked in openai.asked if asked[0] == "organization/usage/completions")
    assert query == {
        "start_time": [str(START)],
        "end_time": [str(START + 4 * DAY)],
        "bucket_width": ["1d"],
        "limit": ["31"],
        "group_by": ["project_id", "model", "batch", "service_tier"],
    }
    assert headers["authorization"] == f"Bearer {KEY}"
    assert not (tmp_path / "pulled").exists()


def test_anthropic_s_reports_arrive_as_their_files_would(anthropic: Api, loader: Loader, store: Store, tmp_path: Path) -> None:
    assert load(loader, asked_of(anthropic, "anthropic"), tmp_path) == ["loaded"] * 2
    assert billed(store) == Decimal("5.265")
    usage = store.query("select sum(uncached_input_tokens) as input, sum(output_tokens) as output from billed_usage").row(0)
    assert usage == (890_000, 197_000)
    assert anthropic.asked[0][1] == {
        "starting_at": ["2026-10-01T00:00:00Z"],
        "ending_at": ["2026-10-05T00:00:00Z"],
        "bucket_width": ["1d"],
        "limit": ["31"],
        "group_by[]": ["workspace_id", "description"],
    }
    assert anthropic.asked[0][2]["anthropic-version"] == "2023-06-01"


def test_pulling_again_changes_nothing_and_a_restatement_replaces(openai: Api, loader: Loader, store: Store, tmp_path: Path) -> None:
    load(loader, asked_of(openai), tmp_path)
    assert load(loader, asked_of(openai), tmp_path) == ["already loaded"] * 3
    openai.pages(
        "organization/costs", page(bucket(0, cost(1.25)), bucket(1, cost(0.5)), next_page="2"), page(bucket(1, cost(0.25)), bucket(2))
    )
    assert load(loader, asked_of(openai), tmp_path) == ["loaded", "already loaded", "already loaded"]
    assert billed(store) == Decimal("2.00")


def test_a_bucket_told_by_two_pages_counts_once_and_one_split_between_them_in_full(
    openai: Api, loader: Loader, store: Store, tmp_path: Path
) -> None:
    openai.pages(
        "organization/costs",
        page(bucket(0, cost(1.0)), bucket(1, cost(0.1)), next_page="2"),
        page(bucket(1, cost(0.2)), bucket(2, cost(0.7)), next_page="3"),
        page(bucket(2, cost(0.7)), bucket(3)),
    )
    load(loader, asked_of(openai), tmp_path)
    assert billed(store) == Decimal("2.0")


def test_an_amount_keeps_every_digit_on_its_way(openai: Api, loader: Loader, store: Store, tmp_path: Path) -> None:
    body = json.dumps(page(bucket(0, cost(0.5)))).replace("0.5", "1234567.123456789012").encode()
    openai.paths["organization/costs"] = lambda query: (200, {}, body)
    load(loader, asked_of(openai), tmp_path)
    assert billed(store) == Decimal("1234567.123456789012")


@pytest.mark.parametrize(
    ("answers", "waits"),
    [
        ([json_answer({}, 429, **{"retry-after": "7"})], [7]),
        ([json_answer({}, 429), json_answer({}, 429)], [1, 2]),
        ([json_answer({}, 429, **{"retry-after": format_datetime(datetime.fromtimestamp(START + 30, UTC), usegmt=True)})], [30]),
        ([json_answer({}, 429, **{"retry-after": "soon"})], [1]),
        ([json_answer({}, 500), json_answer({}, 529)], [1, 2]),
        ([None], [1]),
        ([(200, {}, b'{"object": "page", "data": [{"start_t')], [1]),
        ([(200, {"content-length": "4000"}, b'{"object": "page", "da')], [1]),
        ([(200, {}, b"<html>please sign in</html>")], [1]),
    ],
    ids=["asked to wait", "too many", "until a date", "no time", "server errors", "dropped", "truncated", "cut short", "no JSON"],
)
def test_what_passes_is_waited_out(
    openai: Api, loader: Loader, store: Store, tmp_path: Path, answers: list[Answer], waits: list[float]
) -> None:
    openai.first("organization/costs", *answers)
    slept = Waits()
    assert load(loader, asked_of(openai), tmp_path, slept) == ["loaded"] * 3
    assert slept.seconds == waits
    assert billed(store) == Decimal("0.4905")


def test_pauses_grow_spread_and_are_capped() -> None:
    lucky, unlucky = Patience(chance=lambda: 0.0), Patience(chance=lambda: 1.0)
    assert [unlucky.pause_s(attempt) for attempt in (0, 1, 2, 20)] == [1, 2, 4, LONGEST_PAUSE_S]
    assert [lucky.pause_s(attempt) for attempt in (0, 1, 20)] == [0.5, 1, LONGEST_PAUSE_S / 2]


def test_an_api_that_goes_on_failing_is_given_up_and_nothing_is_loaded(openai: Api, tmp_path: Path) -> None:
    openai.paths["organization/usage/completions"] = lambda query: json_answer({}, 503)
    slept, asked = Waits(), asked_of(openai)
    with pytest.raises(PullError, match=f"it answered 503, {ATTEMPTS} times in a row") as raised:
        pull(asked, asked.folder(tmp_path), patience=slept.patience)
    assert "kept for a day" in str(raised.value)
    assert openai.times_asked("organization/usage/completions") == ATTEMPTS == len(slept.seconds) + 1
    assert not list(tmp_path.rglob("*.json"))


def test_a_wait_of_hours_is_said_instead_of_slept(openai: Api, tmp_path: Path) -> None:
    openai.first("organization/costs", json_answer({}, 429, **{"retry-after": "3600"}))
    slept, asked = Waits(), asked_of(openai)
    with pytest.raises(PullError, match="asks to wait 3,600 seconds"):
        pull(asked, asked.folder(tmp_path), patience=slept.patience)
    assert slept.seconds == []


def test_an_interrupted_pull_goes_on_where_it_broke_off(openai: Api, loader: Loader, store: Store, tmp_path: Path) -> None:
    whole = openai.paths["organization/usage/completions"]
    openai.paths["organization/usage/completions"] = lambda query: json_answer({}, 400) if "page" in query else whole(query)
    with pytest.raises(PullError, match="it answered 400"):
        load(loader, asked_of(openai), tmp_path)
    assert store.query("select count(*) as n from loads").item() == 0
    before = [path for path, *_ in openai.asked]
    openai.paths["organization/usage/completions"] = whole
    assert load(loader, asked_of(openai), tmp_path) == ["loaded"] * 3
    assert [path for path, *_ in openai.asked[len(before) :]] == ["organization/usage/completions", "organization/usage/embeddings"]
    assert billed(store) == Decimal("0.4905")
    assert store.query("select sum(requests) as n from billed_usage").item() == 80


def test_pages_of_another_key_or_of_other_days_are_not_taken(openai: Api) -> None:
    asked = asked_of(openai)
    folders = {
        asked.folder(Path()),
        asked_of(openai, OPENAI_ADMIN_KEY="sk-admin-other").folder(Path()),
        request("openai", SINCE, date(2026, 10, 3), None, environment(openai), TODAY).folder(Path()),
    }
    assert len(folders) == 3
    assert not any(KEY in str(folder) for folder in folders)


def test_a_page_that_was_cut_short_on_disk_is_asked_for_again(openai: Api, loader: Loader, store: Store, tmp_path: Path) -> None:
    asked = asked_of(openai)
    folder = asked.folder(tmp_path / "pulled")
    folder.mkdir(parents=True)
    (folder / "openai-costs-0001.page").write_text('{"object": "page", "data": [')
    load(loader, asked, tmp_path)
    assert billed(store) == Decimal("0.4905")


@pytest.mark.parametrize("token", ["again", "another"])
def test_an_api_that_goes_round_in_circles_is_noticed(openai: Api, tmp_path: Path, token: str) -> None:
    def circling(query: dict[str, list[str]]) -> Answer:
        number = openai.times_asked("organization/costs")
        return json_answer(page(bucket(0, cost(1.0)), next_page="again" if token == "again" else f"another {number}"))

    openai.paths["organization/costs"] = circling
    asked = asked_of(openai)
    with pytest.raises(PullError, match="repeats the page it names" if token == "again" else "more than 56 pages for 4 days"):
        pull(asked, asked.folder(tmp_path), patience=Waits().patience)
    assert not list(tmp_path.rglob("*.json"))


def test_more_pages_without_a_name_are_an_error(openai: Api, tmp_path: Path) -> None:
    openai.paths["organization/costs"] = lambda query: json_answer({**page(bucket(0)), "has_more": True})
    asked = asked_of(openai)
    with pytest.raises(PullError, match="says that there is more, but not where"):
        pull(asked, asked.folder(tmp_path), patience=Waits().patience)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (json_answer({"error": {"message": "no scope"}}, 403), "may not read this \\(403\\). It has to be an admin key"),
        (json_answer({"error": {"message": f"limit is wrong for {KEY}"}}, 400), "it answered 400 \\(limit is wrong for \\[key\\]\\)"),
        ((302, {"location": "https://elsewhere.example/"}, b""), "it answered 302, a redirect"),
        ((404, {}, b"not found"), "it answered 404. Check the days"),
    ],
)
def test_a_refusal_is_said_at_once(openai: Api, tmp_path: Path, answer: Answer, words: str) -> None:
    openai.first("organization/costs", answer)
    asked = asked_of(openai)
    with pytest.raises(PullError, match=words):
        pull(asked, asked.folder(tmp_path), patience=Waits().patience)
    assert len(openai.asked) == 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"OPENAI_ADMIN_KEY": ""}, "OPENAI_ADMIN_KEY is not set"),
        ({"OPENAI_ADMIN_KEY": f"{KEY}\nx"}, "holds characters that no key has"),
        ({"OPENAI_ADMIN_KEY": f"“{KEY}”"}, "holds characters that no key has"),
        ({"SPANLEDGER_OPENAI_URL": "http://proxy.example/v1"}, "would send the admin key unencrypted"),
        ({"SPANLEDGER_OPENAI_URL": "proxy"}, "SPANLEDGER_OPENAI_URL is no address"),
    ],
)
def test_a_wrong_setting_is_named_without_its_content(api: Api, more: dict[str, str], words: str) -> None:
    with pytest.raises(PullError, match=words) as raised:
        asked_of(api, **more)
    assert KEY not in str(raised.value)


def test_days_that_cannot_be_asked_for_are_refused(api: Api) -> None:
    for since, until in ((date(2026, 10, 9), None), (SINCE, date(2026, 9, 30)), (SINCE, date(2026, 10, 10))):
        with pytest.raises(PullError, match="days are UTC"):
            request("openai", since, until, None, environment(api), TODAY)
    with pytest.raises(PullError, match="no billing API of acme"):
        request("acme", SINCE, UNTIL, None, environment(api), TODAY)
    assert request("openai", SINCE, None, None, environment(api), TODAY).until == date(2026, 10, 8)


def test_two_organizations_do_not_replace_each_other(openai: Api, loader: Loader, store: Store, tmp_path: Path) -> None:
    for account in ("org-a", "org-b"):
        load(loader, request("openai", SINCE, UNTIL, account, environment(openai), TODAY), tmp_path)
    assert billed(store) == 2 * Decimal("0.4905")
    assert store.query("select distinct billing_account_id as account from charges order by 1")["account"].to_list() == ["org-a", "org-b"]


def test_the_key_is_in_no_output_no_log_and_no_file(
    openai: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pull_http.Patience, "pause_s", lambda self, attempt: 0.0)
    for name, text in environment(openai).items():
        monkeypatch.setenv(name, text)
    openai.first("organization/costs", json_answer({}, 429), None, (200, {}, b"{"))
    texts = []
    with caplog.at_level(logging.DEBUG):
        for since, key in (("2026-10-01", KEY), ("2026-10-01", KEY + "x"), ("2026-10-02", KEY)):
            monkeypatch.setenv("OPENAI_ADMIN_KEY", key)
            if since == "2026-10-02":
                openai.paths["organization/costs"] = lambda query: json_answer({"error": {"message": KEY}}, 400)
            done = CliRunner().invoke(cli, ["pull", "openai", "--since", since, "--until", "2026-10-04"])
            assert done.exit_code == (0 if (since, key) == ("2026-10-01", KEY) else 1), done.output
            texts += [done.stdout, done.stderr, repr(done.exception)]
    assert "0.4905" in texts[0]
    assert "trying again" in texts[1]
    assert "is not accepted (401)" in texts[4]
    assert "[key]" in texts[7]
    texts += [record.getMessage() for record in caplog.records] + [str(record.args) for record in caplog.records]
    texts += [file.read_bytes().decode(errors="replace") for file in tmp_path.rglob("*") if file.is_file()]
    texts += [str(file) for file in tmp_path.rglob("*")] + [repr(asked_of(openai))]
    assert not [text for text in texts if KEY in text]


def test_a_pull_reaches_the_ledger_that_a_server_has_open(openai: Api, tmp_path: Path) -> None:
    with serving(tmp_path / "ledger.duckdb") as server:
        arguments = ("pull", "openai", "--since", "2026-10-01", "--until", "2026-10-04", "--json", "--db", server.db)
        done = run(*arguments, cwd=tmp_path, env=environment(openai))
        assert done.returncode == 0, done.stderr
        assert [outcome["status"] for outcome in json.loads(done.stdout)] == ["loaded"] * 3
        assert KEY not in done.stdout + done.stderr
        told = run("sql", "--db", server.db, "--json", "select sum(billed_cost) as usd from charges", cwd=tmp_path)
        assert json.loads(told.stdout) == [{"usd": 0.4905}]
    assert {path.name for path in tmp_path.iterdir()} <= {"ledger.duckdb", "ledger.duckdb.key", "ledger.duckdb.wal"}


def test_every_report_asks_for_whole_days_in_the_largest_pages() -> None:
    for provider, known in apis().items():
        assert provider == known.title.lower()
        for report in known.reports:
            assert report.parameters["bucket_width"] == "1d"
            assert int(report.parameters["limit"]) >= 31
