"""Bills and usage reports from the providers' admin APIs: page after page into a folder, then one file a report to load.

A report becomes a file once its last page is there, and files are handed over once all reports are: what breaks off loads
nothing. The pages that came stay in the folder, so that the same command a little later goes on where it broke off.
"""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from ingest.errors import SpanledgerError
from ingest.pull_http import Access, Http, Patience, PullError

KEPT_FOR = timedelta(days=1)  # pages that are older might tell of another state than those that follow
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Report(msgspec.Struct, frozen=True):
    """One report of an API: the file it becomes, and what to ask for."""

    name: str
    path: str
    parameters: dict[str, str | int | list[str]]


class Api(msgspec.Struct, frozen=True):
    """A provider's billing API, as pull_apis.toml describes it."""

    title: str
    url: str
    url_variable: str
    key_variable: str
    key_hint: str
    headers: dict[str, str]
    since: str
    until: str
    times: Literal["unix", "rfc3339"]
    reports: list[Report]

    def time(self, day: date) -> str:
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return str(int(moment.timestamp())) if self.times == "unix" else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


class Page(msgspec.Struct):
    """A page of buckets; what is in a bucket stays the text that came, so that no amount becomes a float."""

    data: list[msgspec.Raw]
    has_more: bool = False
    next_page: str | None = None


@dataclass(frozen=True)
class Request:
    """What one command asks for: an API, the first and the last day, and the account to book its figures under."""

    api: Api
    access: Access
    since: date
    until: date
    account: str | None = None

    def folder(self, parent: Path) -> Path:
        """Where the pages of this request are kept. Two keys may be of two organizations, so the key counts, as a hash."""
        asked = f"{self.access.url}\n{self.access.key}\n{self.since}\n{self.until}\n{self.api.reports}"
        return parent / f"{self.api.title.lower()}-{self.since}-{self.until}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}"

    def parameters(self, report: Report, next_page: str | None) -> dict[str, Any]:
        times = {self.api.since: self.api.time(self.since), self.api.until: self.api.time(self.until + timedelta(days=1))}
        return {**times, **report.parameters, **({"page": next_page} if next_page else {})}

    @property
    def most_pages(self) -> int:
        """A page brings many days; an API that goes on much longer than a page a day is in a loop."""
        return 50 + 2 * (self.until - self.since).days


@cache
def apis() -> dict[str, Api]:
    """The billing APIs that can be pulled from, by the name of the provider."""
    return msgspec.toml.decode((files("ingest") / "pull_apis.toml").read_bytes(), type=dict[str, Api])


def request(provider: str, since: date, until: date | None, account: str | None, environment: Mapping[str, str], today: date) -> Request:
    """What to ask of a provider; the key comes from the environment. Raises PullError for what cannot be asked."""
    if provider not in apis():
        raise PullError(f"There is no billing API of {provider} to pull from", f"Use one of {', '.join(apis())}")
    api = apis()[provider]
    last = until or today - timedelta(days=1)
    if last < since:
        raise PullError(f"{last} is before {since}", "Choose an earlier --since or a later --until; days are UTC")
    if last > today:
        raise PullError(f"{last} is not over yet", f"Choose {today} or an earlier day; days are UTC")
    key = environment.get(api.key_variable, "").strip()
    if not key:
        raise PullError(f"{api.key_variable} is not set", api.key_hint)
    if not re.fullmatch(r"[!-~]+", key):  # anything else would end up in the message of an encoding error
        raise PullError(f"{api.key_variable} holds characters that no key has", "Set it anew, without quotes or line breaks")
    url = _address(environment.get(api.url_variable) or api.url, api.url_variable)
    headers = {name: text.replace("{key}", key) for name, text in api.headers.items()}
    return Request(api, Access(api.title, url, headers, api.key_variable, api.key_hint, key), since, last, account)


def pull(
    asked: Request, folder: Path, say: Callable[[str], None] = lambda words: None, patience: Patience | None = None
) -> list[tuple[Path, str]]:
    """Every report as a file in `folder`, each with the name to load it by; a report without any day gives none.

    Raises PullError; the pages that came until then stay in the folder.
    """
    try:
        _tidy(folder.parent)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with Http(asked.access, patience or Patience(), say) as http:
            pages = {report.name: list(_pages(asked, report, folder, http, say)) for report in asked.api.reports}
        found = []
        for report in asked.api.reports:
            path = folder / f"{report.name}.json"
            if _join(pages[report.name], path, asked.account):
                found.append((path, f"{asked.api.title.lower()} {report.path} {asked.since}..{asked.until}"))
            else:
                say(f"{report.path}: no days")
        return found
    except OSError as error:
        raise SpanledgerError(f"{folder} cannot be written ({error.strerror or error})", "Check the folder of the ledger") from error


def forget(folder: Path) -> None:
    """Remove the pages of a request that was loaded."""
    shutil.rmtree(folder, ignore_errors=True)
    _tidy(folder.parent)


def _pages(asked: Request, report: Report, folder: Path, http: Http, say: Callable[[str], None]) -> Iterator[Path]:
    """The pages of a report as files, asked for unless an earlier attempt left them here."""
    next_page, seen = None, set[str]()
    for number in range(1, asked.most_pages + 1):
        path = folder / f"{report.name}-{number:04}.page"
        page = _kept(path)
        if page is None:
            page, content = http.get(report.path, asked.parameters(report, next_page), lambda body: (_decode(body), body))
            _write(path, content)
        say(f"{report.path}: page {number}")
        yield path
        if not page.has_more:
            return
        next_page = page.next_page
        if not next_page or next_page in seen:
            what = "repeats the page it names as the next" if next_page else "says that there is more, but not where"
            raise PullError(f"{asked.api.title} {report.path}: page {number} {what}", "Nothing was loaded; try a shorter time")
        seen.add(next_page)
    raise PullError(
        f"{asked.api.title} {report.path}: more than {asked.most_pages} pages for {(asked.until - asked.since).days + 1} days",
        "The API goes round in circles; nothing was loaded",
    )


def _kept(path: Path) -> Page | None:
    try:
        return _decode(path.read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _decode(content: bytes) -> Page:
    return msgspec.json.decode(content, type=Page)


def _join(pages: list[Path], path: Path, account: str | None) -> bool:
    """Write the buckets of all pages as one page; whether there are any. A bucket told twice in the same words counts once."""
    head = msgspec.json.encode({"object": "page", "organization_id": account, "has_more": False, "next_page": None})
    told: set[bytes] = set()
    with path.open("wb") as file:
        file.write(head[:-1] + b',"data":[')
        for page in pages:
            for bucket in map(bytes, _decode(page.read_bytes()).data):
                digest = hashlib.sha256(bucket).digest()
                if digest not in told:
                    file.write((b",\n" if told else b"\n") + bucket)
                    told.add(digest)
        file.write(b"]}")
    return bool(told)


def _write(path: Path, content: bytes) -> None:
    """A page is there whole or not at all."""
    part = path.with_suffix(".part")
    part.write_bytes(content)
    os.replace(part, path)


def _tidy(parent: Path) -> None:
    """Drop what is too old to go on with, and the folder of requests when it is empty."""
    if not parent.is_dir():
        return
    for folder in parent.iterdir():
        if folder.stat().st_mtime < time.time() - KEPT_FOR.total_seconds():
            shutil.rmtree(folder, ignore_errors=True)
    if not any(parent.iterdir()):
        parent.rmdir()


def _address(url: str, variable: str) -> str:
    """The address of an API. A key that reads all bills goes over an encrypted connection, or stays on this machine."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PullError(f"{variable} is no address", "It begins with https://")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise PullError(f"{variable} would send the admin key unencrypted", "Use https://, or http:// to this machine only")
    return url.rstrip("/")
