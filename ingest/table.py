"""A table-like file as typed rows: read as text, checked against a collector's columns, what does not fit rejected."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import duckdb
import msgspec
import polars as pl
import yaml

from ingest.collector import COLUMN_TYPES, Collector
from ingest.errors import SourceError
from ingest.probe import Probe, parse_json, read_bytes

KIND_WORDS = {"money": "an amount", "count": "a whole number", "number": "a number", "time": "a time", "unix": "a time in seconds",
              "date": "a date", "us_date": "a date", "bool": "true or false", "json": "JSON"}


class YamlText(yaml.BaseLoader):
    """Scalars stay the text they were written as, like those of other files; only null is None."""


YamlText.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^(?:~|null|Null|NULL)$"), ["~", "n", "N"])
YamlText.add_constructor("tag:yaml.org,2002:null", lambda loader, node: None)


class RowReject(msgspec.Struct):
    """A row or line that was not loaded: where it stands and why; never its content."""

    position: int
    reason: str
    length: int | None = None
    sha256: str | None = None


def stage(cursor: duckdb.DuckDBPyConnection, probe: Probe, collector: Collector) -> list[RowReject]:
    """Make the temporary table `source` (typed columns and source_row) and, if it has one, `meters` on the cursor.

    Raises SourceError when the file as a whole does not fit the collector.
    """
    rejects = _read_raw(cursor, probe, collector)
    found = [row[0] for row in cursor.execute("select column_name from (describe raw)").fetchall()]
    by_name = collector.header(found)
    columns = collector.typed_columns()
    if missing := collector.missing(found):
        have = ", ".join(name for name in found if name != "source_row")
        raise SourceError(f"column {', '.join(missing)} is missing; found: {have[:300]}", f"Expected a {collector.title}")
    selected, problems = ["source_row"], []
    for name, column in columns.items():
        source = by_name.get(name)
        text = "cast(null as varchar)" if source is None else _clean(source)
        typed = COLUMN_TYPES[column.kind].format(text)
        selected.append(f'{typed} as "{name}"')
        if column.kind not in ("text", "list"):
            problems.append(f"case when {text} is not null and ({typed}) is null then '{name} is not {KIND_WORDS[column.kind]}' end")
        if column.in_row:
            problems.append(f"case when {text} is null then '{name} is empty' end")
    known = {name.lower() for name in (*columns, *by_name.values())} | {"source_row"}
    extra = [name for name in found if name.strip().lower() not in known]
    selected.append(_extra_json(extra) + " as source_extra")
    problem = f"concat_ws('; ', {', '.join(problems)})" if problems else "''"
    failed = [f"case when {condition} then '{reason.replace(chr(39), chr(39) * 2)}' end" for condition, reason in collector.checks.items()]
    every = ", ".join(["nullif(source_problem, '')", *failed])
    cursor.execute(f"""create or replace temp table typed as select * replace (concat_ws('; ', {every}) as source_problem)
                       from (select {', '.join(selected)}, {problem} as source_problem from raw)""")
    rejects += [RowReject(position, reason) for position, reason in cursor.execute(
        "select source_row, source_problem from typed where source_problem <> '' order by 1").fetchall()]
    cursor.execute("create or replace temp table source as select * exclude (source_problem) from typed where source_problem = ''")
    if collector.meters is not None:
        meters = (files(collector.package) / collector.meters).read_bytes()
        cursor.register("meters", pl.read_csv(meters, infer_schema=False))
    return rejects


def _clean(name: str) -> str:
    return f"""nullif(nullif(trim("{name.replace('"', '""')}"), ''), 'NULL')"""


def _extra_json(names: Sequence[str]) -> str:
    if not names:
        return "cast(null as json)"
    pairs = ", ".join(f"'{name.replace(chr(39), chr(39) * 2)}', {_clean(name)}" for name in names)
    return f"json_object({pairs})"


def _read_raw(cursor: duckdb.DuckDBPyConnection, probe: Probe, collector: Collector) -> list[RowReject]:
    if probe.form == "csv" and not collector.nested and collector.read is None:
        return _read_csv(cursor, probe)
    if probe.form == "parquet":
        return _read_parquet(cursor, probe)
    rows, rejects = _read_documents(cursor, probe, collector)
    names = dict.fromkeys(name for row in rows for name in row if name != "source_row")
    # Of a document without rows the columns are still known.
    schema: dict[str, Any] = {"source_row": pl.Int64} | dict.fromkeys(names or collector.columns, pl.String)
    frame = pl.DataFrame(rows, schema=schema)
    cursor.register("documents", frame)
    cursor.execute("create or replace temp table raw as select * from documents")
    cursor.unregister("documents")
    return rejects


def _read_csv(cursor: duckdb.DuckDBPyConnection, probe: Probe) -> list[RowReject]:
    for leftover in ("reject_errors", "reject_scans"):
        cursor.execute(f"drop table if exists {leftover}")
    try:
        cursor.execute(
            """create or replace temp table raw as
               select row_number() over () + 1 as source_row, * from read_csv($path, header = true, auto_detect = false,
                 columns = $columns, delim = $delimiter, quote = '"', escape = '"', compression = $compression, store_rejects = true,
                 null_padding = false, max_line_size = 16000000)""",
            {"path": str(probe.path), "columns": dict.fromkeys(_unique(probe.columns), "VARCHAR"), "delimiter": probe.delimiter,
             "compression": "gzip" if probe.is_gzip else "none"})
    except duckdb.Error as error:
        raise SourceError(f"not a readable CSV file ({str(error).splitlines()[0]})", "Export it again as UTF-8") from error
    broken = cursor.execute(
        "select line, any_value(error_message), any_value(csv_line) from reject_errors group by 1 order by 1").fetchall()
    return [RowReject(line, f"broken CSV line: {message.splitlines()[0]}", len(text.encode()), hashlib.sha256(text.encode()).hexdigest())
            for line, message, text in broken]


def _unique(names: Sequence[str]) -> Iterator[str]:
    """Headers do repeat names; only the first can be meant by a collector."""
    seen: set[str] = set()
    for position, name in enumerate(names):
        unique = name if name and name.lower() not in seen else f"{name or 'column'}_{position}"
        seen.add(unique.lower())
        yield unique


def _read_parquet(cursor: duckdb.DuckDBPyConnection, probe: Probe) -> list[RowReject]:
    nested = ("STRUCT", "MAP", "UNION")
    try:
        described = cursor.execute(
            "select column_name, column_type from (describe select * from read_parquet(?))", [str(probe.path)]).fetchall()
        columns = ", ".join(
            f'cast({"to_json" if kind.startswith(nested) or kind.endswith("]") else ""}("{name}") as varchar) as "{name}"'
            for name, kind in described)
        columns += "".join(f', {_struct_field(name)} as "{name}"' for name in set(probe.columns) - {name for name, _ in described})
        cursor.execute(f"create or replace temp table raw as select row_number() over () as source_row, {columns} from read_parquet(?)",
                       [str(probe.path)])
    except duckdb.Error as error:
        raise SourceError(f"a truncated or damaged Parquet file ({str(error).splitlines()[0]})", "Copy the file again") from error
    return []


def _struct_field(path: str) -> str:
    """SQL for the text of a field inside nested structs, `service.description`."""
    first, *inner = path.split(".")
    field = f'"{first}"'
    for name in inner:
        field = f"struct_extract({field}, '{name.replace(chr(39), chr(39) * 2)}')"
    return f"to_json({field}) ->> '$'"


def _read_documents(
    cursor: duckdb.DuckDBPyConnection, probe: Probe, collector: Collector
) -> tuple[list[dict[str, Any]], list[RowReject]]:
    rows: list[dict[str, Any]] = []
    rejects: list[RowReject] = []
    if collector.read is not None:
        documents: Iterable[tuple[int, Any]] = collector.read(probe)
    elif probe.form == "csv":
        rejects = _read_csv(cursor, probe)
        lines = cursor.sql("select * from raw").pl().rows(named=True)
        documents = ((line.pop("source_row"), line) for line in lines)
    else:
        documents = _documents(probe, rejects)
    is_by_line = probe.form in ("csv", "jsonl") or collector.read is not None
    for position, document in documents:
        for row in collector.flatten(document) if collector.flatten else _records(document):
            number = position if is_by_line else len(rows) + 1
            rows.append({"source_row": number} | {name: _text(value) for name, value in row.items()})
    return rows, rejects


def _documents(probe: Probe, rejects: list[RowReject]) -> Iterator[tuple[int, Any]]:
    if probe.form == "json":
        yield 1, probe.json
    elif probe.form == "yaml":
        try:
            yield 1, yaml.load(read_bytes(probe.path), Loader=YamlText)
        except yaml.YAMLError as error:
            raise SourceError(f"broken YAML ({str(error).splitlines()[0]})", "Mend the file") from error
    else:
        for number, line in enumerate(read_bytes(probe.path).splitlines(), start=1):
            if not line.strip():
                continue
            try:
                yield number, parse_json(line.decode("utf-8-sig"))
            except ValueError as error:
                rejects.append(RowReject(number, f"broken JSON ({error.args[0] if error.args else error})", len(line),
                                         hashlib.sha256(line).hexdigest()))


def _records(document: Any) -> list[Mapping[str, Any]]:
    """A list of objects, an object that holds one such list, or one object by itself."""
    if isinstance(document, Mapping):
        lists = [value for value in document.values() if isinstance(value, list) and value and isinstance(value[0], Mapping)]
        document = lists[0] if len(lists) == 1 else [document]
    if not isinstance(document, list) or not all(isinstance(row, Mapping) for row in document):
        raise SourceError("neither a list of objects nor an object with one", "See the README for the keys")
    return document


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ";".join(value)
    return json.dumps(value)
