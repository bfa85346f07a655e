"""The user's own price file: contracts, and list prices that the packaged data lacks or has wrong. CSV, US dollars."""

import csv
import gzip
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import polars as pl

from ingest.errors import PriceError
from ingest.prices.models import canonical_model
from ingest.prices.rows import OPEN_START, PRICE_KEY, PRICE_SCHEMA, TOKEN_CLASSES

REQUIRED = (
    "provider",
    "model",
    "region_scope",
    "service_tier",
    "min_context_tokens",
    "token_class",
    "usd_per_million",
    "kind",
    "valid_from",
    "valid_to",
)
OPTIONAL = ("recorded_at", "source")
VOCABULARIES = {
    "region_scope": ("any", "regional", "global", "geo", "datazone"),
    "service_tier": ("standard", "batch", "flex", "priority"),
    "token_class": TOKEN_CLASSES,
    "kind": ("contract", "list"),
}
DEFAULTS = {"region_scope": "any", "service_tier": "standard", "min_context_tokens": "0"}
HIGHEST_USD = Decimal(100_000)  # per million tokens; the most expensive model costs less than one percent of this
GZIP = b"\x1f\x8b"


def read_price_file(path: Path) -> bytes:
    """The bytes of a price file. Raises PriceError when there is none."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise PriceError(f"The price file {path} cannot be read ({error.strerror})", "Check `prices` in spanledger.toml") from error


def user_prices(path: Path) -> pl.DataFrame:
    """The rows of a price file in the columns of table `prices`; recorded_at is NULL where the file does not say.

    Raises PriceError with file, row and remedy for a file that cannot be read, is not in dollars or contradicts itself.
    """
    lines = csv.reader(_text(path).splitlines())
    header = [name.strip().lower() for name in next(lines, [])]
    _check_header(path, header)
    rows: list[dict[str, Any]] = []
    first: dict[tuple[Any, ...], tuple[int, Any]] = {}
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        row = _row(path, lines.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=False)))
        key = tuple(row[name] for name in PRICE_KEY)
        said = (row["usd_per_million"], row["valid_to"])
        earlier, before = first.setdefault(key, (lines.line_num, said))
        if before != said:
            raise PriceError(
                f"{path.name}, row {lines.line_num} contradicts row {earlier}: the same {', '.join(PRICE_KEY)} with another price or end",
                "Keep one of the two rows; model names count without date and version",
            )
        if earlier == lines.line_num:
            rows.append(row)
    return pl.DataFrame(rows, schema=PRICE_SCHEMA)


def _text(path: Path) -> str:
    content = read_price_file(path)
    try:
        return (gzip.decompress(content) if content.startswith(GZIP) else content).decode("utf-8-sig")
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise PriceError(f"{path.name} is not UTF-8 text", "Save it as CSV in UTF-8") from error


def _check_header(path: Path, header: list[str]) -> None:
    foreign = [
        match.group(1).upper() for name in header if (match := re.fullmatch(r"([a-z]{3})_per_million", name)) and match.group(1) != "usd"
    ]
    if foreign:
        raise PriceError(
            f"{path.name} has prices in {foreign[0]}", "Prices are US dollars: convert them and name the column usd_per_million"
        )
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise PriceError(f"{path.name}, row 1: no column {', '.join(missing)}", f"The columns are {','.join(REQUIRED)}")
    unknown = [name for name in header if name not in (*REQUIRED, *OPTIONAL, "currency")]
    if unknown:
        raise PriceError(f"{path.name}, row 1: unknown column {', '.join(unknown)}", f"The columns are {','.join((*REQUIRED, *OPTIONAL))}")


def _row(path: Path, number: int, cells: Mapping[str, str]) -> dict[str, Any]:
    where = f"{path.name}, row {number}"
    cells = {name: cells.get(name) or DEFAULTS.get(name, "") for name in (*REQUIRED, *OPTIONAL, "currency")}
    if cells["currency"] and cells["currency"].upper() != "USD":
        raise PriceError(f"{where}: the price is in {cells['currency'].upper()}", "Prices are US dollars: convert it")
    for name in ("provider", "model"):
        if not cells[name]:
            raise PriceError(f"{where}: {name} is empty", "Every row names a provider and a model")
    for name, values in VOCABULARIES.items():
        if cells[name].lower() not in values:
            raise PriceError(f"{where}: {name} is {cells[name] or 'empty'}", f"It is one of {', '.join(values)}")
    if not re.fullmatch(r"[0-9]{1,12}", cells["min_context_tokens"]):
        raise PriceError(
            f"{where}: min_context_tokens is {cells['min_context_tokens']}", "It is a whole number of tokens, 0 for every request"
        )
    provider = cells["provider"].lower()
    valid_from, valid_to = _time(where, "valid_from", cells) or OPEN_START, _time(where, "valid_to", cells)
    if valid_to is not None and valid_to <= valid_from:
        raise PriceError(f"{where}: valid_to {cells['valid_to']} is not after valid_from", "valid_to is the first day without this price")
    return {
        "provider": provider,
        "model": canonical_model(cells["model"], provider),
        **{name: cells[name].lower() for name in VOCABULARIES},
        "min_context_tokens": int(cells["min_context_tokens"]),
        "usd_per_million": _price(where, cells["usd_per_million"]),
        "valid_from": valid_from,
        "valid_to": valid_to,
        "recorded_at": _time(where, "recorded_at", cells),
        "source": f"file {path.name}" + (f": {cells['source']}" if cells["source"] else ""),
    }


def _price(where: str, text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation:
        raise PriceError(f"{where}: usd_per_million is {text or 'empty'}", "It is a plain number of US dollars, such as 2.50") from None
    if not price.is_finite() or not 0 <= price < HIGHEST_USD or price != round(price, 12):
        raise PriceError(f"{where}: usd_per_million is {text}", "It lies between 0 and 100,000 and has at most 12 decimals")
    return price


def _time(where: str, name: str, cells: Mapping[str, str]) -> datetime | None:
    if not cells[name]:
        return None
    try:
        moment = datetime.fromisoformat(cells[name])
    except ValueError:
        raise PriceError(f"{where}: {name} is {cells[name]}", "It is a date such as 2026-08-01, or empty") from None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
