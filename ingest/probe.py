"""What detection may look at: the first kilobytes of a file, its header, or the top of its JSON."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.errors import SourceError

HEAD_BYTES = 65536
# The largest JSON document that is read whole; longer ones come as JSON lines from every known exporter.
MAX_JSON_BYTES = 512 * 1024 * 1024

Form = Literal["csv", "parquet", "json", "jsonl", "yaml", "markdown", "other"]


@dataclass(frozen=True)
class Probe:
    """One file as detection sees it. `columns` is a CSV header or a Parquet schema, `json` the document or first line.

    The fields of a struct in Parquet are columns, too: `service.description`.
    """

    path: Path
    head: bytes
    form: Form
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    json: Any = field(default=None, repr=False)
    name: str = ""  # what the file is called where it came from; `path` may be a copy

    @property
    def is_gzip(self) -> bool:
        return is_gzip(self.path)


def is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def read_bytes(path: Path, limit: int = MAX_JSON_BYTES) -> bytes:
    """The content after gzip. Raises SourceError when it is longer than the limit or the compression is broken."""
    try:
        with gzip.open(path, "rb") if is_gzip(path) else path.open("rb") as file:
            content = file.read(limit + 1)
    except (EOFError, gzip.BadGzipFile) as error:
        raise SourceError(f"the gzip stream is broken ({error})", "Copy the file again") from error
    if len(content) > limit:
        raise SourceError(f"longer than {limit // 2**20} MiB as one JSON document", "Export it as JSON lines")
    return content


def probe(path: Path, name: str = "") -> Probe:
    """Look at a file, which is called `name` where it came from. Raises SourceError for an empty or unreadable one."""
    return replace(_probe(path), name=name or str(path))


def _probe(path: Path) -> Probe:
    try:
        head = _head(path)
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror or error})", "Check the path and its permissions") from error
    if not head.strip():
        raise SourceError("the file is empty", "Export it again, or remove it")
    if head.startswith(b"PAR1"):
        return Probe(path, head, "parquet", _parquet_columns(path))
    if path.suffix.lower() in (".md", ".markdown"):
        return Probe(path, head, "markdown")
    text = head.decode("utf-8-sig", errors="replace")
    if text.lstrip()[:1] in ("{", "["):
        return _probe_json(path, head, text)
    if path.suffix.lower() in (".yaml", ".yml"):
        return Probe(path, head, "yaml")
    if b"\x00" in head:
        return Probe(path, head, "other")
    delimiter, columns = _csv_header(text)
    return Probe(path, head, "csv" if len(columns) > 1 else "other", columns, delimiter)


def _head(path: Path) -> bytes:
    try:
        with gzip.open(path, "rb") if is_gzip(path) else path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except (EOFError, gzip.BadGzipFile) as error:
        raise SourceError(f"the gzip stream is broken ({error})", "Copy the file again") from error


def _parquet_columns(path: Path) -> tuple[str, ...]:
    try:
        return tuple(name for field in pq.read_schema(path) for name in _with_fields(field.name, field.type))
    except (OSError, ValueError) as error:
        raise SourceError("a truncated or damaged Parquet file", "Copy the file again") from error


def _with_fields(name: str, kind: pa.DataType) -> Iterator[str]:
    yield name
    if pa.types.is_struct(kind):
        for field in kind:
            yield from _with_fields(f"{name}.{field.name}", field.type)


def _probe_json(path: Path, head: bytes, text: str) -> Probe:
    first_line = text.lstrip().split("\n", 1)[0]
    try:
        return Probe(path, head, "jsonl" if "\n" in text.strip() else "json", json=parse_json(first_line))
    except ValueError:
        pass  # the first line is no document by itself: the whole file has to be one
    try:
        return Probe(path, head, "json", json=parse_json(read_bytes(path).decode("utf-8-sig")))
    except ValueError as error:
        raise SourceError(f"broken JSON ({error})", "Export it again") from error


def parse_json(text: str) -> Any:
    """Numbers stay the text they were written as, so that money never becomes a float."""
    return json.loads(text, parse_float=str, parse_int=str)


def _csv_header(text: str) -> tuple[str, tuple[str, ...]]:
    line = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t|", key=line.count)
    return delimiter, tuple(name.strip() for name in next(csv.reader(io.StringIO(line), delimiter=delimiter), []))
