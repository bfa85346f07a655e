"""Patient requests to a billing API: they wait as it asks, try again with growing pauses, and never show the key."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, TypeVar

import httpx2
import msgspec

from ingest.errors import SpanledgerError

T = TypeVar("T")

TIMEOUT = httpx2.Timeout(120, connect=15)
ATTEMPTS = 8
LONGEST_PAUSE_S = 60.0
# What a person still waits for at a prompt; the pages that are there are kept for a later run.
LONGEST_WAIT_S = 300.0
TOO_MANY_REQUESTS = 429
WORDS_SHOWN = 200


class PullError(SpanledgerError):
    """A billing API that cannot be read: which request, what it answered, and what to do."""


@dataclass(frozen=True)
class Patience:
    """How to wait between attempts; tests wait in no time and without chance."""

    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    clock: Callable[[], float] = time.time

    def pause_s(self, attempt: int) -> float:
        """Twice as long after each attempt, capped, and somewhere between half and all of it: clients spread out."""
        return min(2.0**attempt, LONGEST_PAUSE_S) * (0.5 + 0.5 * self.chance())


@dataclass(frozen=True)
class Access:
    """Whom to ask and as whom. The key is in no text that this makes of itself."""

    title: str
    url: str
    headers: Mapping[str, str]
    key_variable: str
    key_hint: str
    key: str

    def __repr__(self) -> str:
        return f"Access({self.title})"


class Http:
    """One connection to a billing API."""

    def __init__(self, access: Access, patience: Patience, say: Callable[[str], None]) -> None:
        self._access, self._patience, self._say = access, patience, say
        # A redirect would carry the key to wherever it points.
        self._client = httpx2.Client(
            base_url=access.url, headers={**access.headers, "user-agent": "spanledger"}, timeout=TIMEOUT, follow_redirects=False
        )

    def __enter__(self) -> "Http":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def get(self, path: str, parameters: Mapping[str, Any], read: Callable[[bytes], T]) -> T:
        """What `read` makes of the answer; an answer that it cannot decode is asked for again, like one that broke off.

        Raises PullError when the API refuses, or goes on failing.
        """
        wrong = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._say(f"{path}: {wrong}, trying again")
            pause_s = self._patience.pause_s(attempt)
            try:
                response = self._client.get(path, params=dict(parameters))
                if response.status_code == httpx2.codes.OK:
                    return read(response.content)
            except httpx2.TransportError as error:
                wrong = f"the connection failed ({type(error).__name__})"
            except msgspec.DecodeError as error:
                wrong = f"the answer is no page of a report ({error})"
            else:
                wrong = f"it answered {response.status_code}"
                if response.status_code != TOO_MANY_REQUESTS and response.status_code < httpx2.codes.INTERNAL_SERVER_ERROR:
                    raise self._refusal(path, response)
                pause_s = self._asked_for_s(path, response, pause_s)
            if attempt < ATTEMPTS - 1:
                self._patience.sleep(pause_s)
        raise PullError(
            f"{self._access.title} {path}: {wrong}, {ATTEMPTS} times in a row",
            "Run the same command again later; the pages that came are kept for a day",
        )

    def _asked_for_s(self, path: str, response: httpx2.Response, pause_s: float) -> float:
        """How long the answer asks to wait, in seconds or up to a date; else the pause given."""
        text = response.headers.get("retry-after", "")
        try:
            wait_s = float(text) if text.replace(".", "", 1).isdigit() else parsedate_to_datetime(text).timestamp() - self._patience.clock()
        except (ValueError, OverflowError):
            return pause_s
        if wait_s > LONGEST_WAIT_S:
            raise PullError(
                f"{self._access.title} {path}: it answered {response.status_code} and asks to wait {wait_s:,.0f} seconds",
                "Run the same command again after that; the pages that came are kept for a day",
            )
        return max(wait_s, 0.0)

    def _refusal(self, path: str, response: httpx2.Response) -> PullError:
        where = f"{self._access.title} {path}"
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            return PullError(f"{where}: the key in {self._access.key_variable} is not accepted (401)", self._access.key_hint)
        if response.status_code == httpx2.codes.FORBIDDEN:
            return PullError(f"{where}: the key in {self._access.key_variable} may not read this (403)", self._access.key_hint)
        if response.is_redirect:
            return PullError(f"{where}: it answered {response.status_code}, a redirect", "Check the address of the API")
        return PullError(
            f"{where}: it answered {response.status_code}{self._reason(response)}", "Check the days and the address of the API"
        )

    def _reason(self, response: httpx2.Response) -> str:
        """What the API says of a wrong request, in one line; should it repeat the key, the key is left out."""
        try:
            message = str(msgspec.json.decode(response.content)["error"]["message"])
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
            return ""
        words = " ".join(message.replace(self._access.key, "[key]").split()).rstrip(".")
        return f" ({words[:WORDS_SHOWN]})"
