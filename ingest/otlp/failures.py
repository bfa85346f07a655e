"""Errors in one vocabulary, whatever class or status a library calls them."""

import re
from functools import cache, lru_cache

from ingest.otlp.tables import table

OTHER = "other"
CLASS_REPR = re.compile(r"<class '([^']+)'>")


@cache
def _rules() -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """Status -> error, and the parts of class names in their order."""
    rows = [(row["match"], row["error_type"]) for row in table("errors.csv")]
    statuses = {match: name for match, name in rows if match[0].isdigit()}
    return statuses, tuple(row for row in rows if row[0] not in statuses)


@lru_cache(4096)
def error_of_text(text: str) -> str | None:
    """The error of an exception class, an error code or a status; None where the text names none that is known."""
    named = CLASS_REPR.match(text)
    last = (named.group(1) if named else text).rsplit(".", 1)[-1]
    if last.isdecimal():
        return error_of_status(int(last))
    letters = re.sub(r"[^a-z]", "", last.lower())
    return next((name for match, name in _rules()[1] if match in letters), None)


def error_of_message(text: str) -> str:
    """Which error a whole message tells; OTHER where it names none that is known."""
    letters = re.sub(r"[^a-z]", "", text.lower())
    return next((name for match, name in _rules()[1] if match in letters), OTHER)


@lru_cache(1024)
def error_of_status(status: int) -> str | None:
    statuses, _ = _rules()
    return statuses.get(str(status)) or statuses.get(f"{status // 100}xx")
