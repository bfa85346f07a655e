"""Plain record files of every kind: declared in records.toml, recognised by their columns, each a collector."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from importlib.resources import files
from typing import Any

import msgspec
import yaml

from ingest.collector import Collector
from ingest.errors import SourceError
from ingest.probe import HEAD_BYTES, Probe

# Records of a JSON document that show which columns there are: any one of them may leave an optional key out.
RECORDS_LOOKED_AT = 100


class RecordKind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of records.toml; the file itself says what each field means."""

    title: str
    table: str
    key: tuple[str, ...]
    columns: dict[str, str]
    register: bool = False
    stored_as: dict[str, str] = {}
    allowed: dict[str, tuple[str, ...]] = {}
    spellings: dict[str, str] = {}
    patterns: dict[str, tuple[str, str]] = {}
    ranges: dict[str, tuple[int, int]] = {}
    order: tuple[tuple[str, str], ...] = ()
    defaults: dict[str, str] = {}
    checks: dict[str, str] = {}
    header_any: tuple[str, ...] = ()
    common_columns: bool = False

    def needed(self) -> set[str]:
        return {name for name, spec in self.columns.items() if not spec.endswith("?")}

    def fits(self, columns: set[str]) -> bool:
        """Whether a table with these columns holds all that this kind needs."""
        return self.needed() <= columns and (not self.header_any or not columns.isdisjoint(self.header_any))


KINDS = msgspec.toml.decode((files(__package__) / "records.toml").read_bytes(), type=dict[str, RecordKind])


def kind_of(probe: Probe) -> str | None:
    """The kind of records in a file: what its list is called, else the kind that knows most of its columns.

    The file's name decides between equals, and names the kind whose column is missing when no kind fits.
    """
    if probe.form == "other":
        return None
    document = _yaml_document(probe.head) if probe.form == "yaml" else probe.json
    lists = _lists(document)
    if lists:
        return lists[0] if len(lists) == 1 else None
    records = document if isinstance(document, list) else [document]
    columns = {name.strip().lower() for name in probe.columns} or _keys(records)
    first_word = re.split(r"[^a-z]", probe.path.name.lower())[0]
    fitting = {
        name: kind
        for name, kind in KINDS.items()
        if kind.fits(columns) and (not kind.common_columns or name == first_word or columns <= kind.columns.keys())
    }
    if fitting:
        return max(fitting, key=lambda name: (len(columns & fitting[name].columns.keys()), len(fitting[name].needed()), name == first_word))
    named = KINDS.get(first_word)
    return first_word if named is not None and named.needed() & set(named.key) <= columns else None


def records_of(kind: str, document: Any) -> Iterator[Mapping[str, Any]]:
    """The records of a JSON or YAML document: of the list that has the kind's name, of a list, or one by itself."""
    records = document[kind] if kind in _lists(document) else document if isinstance(document, list) else [document]
    for record in records:
        if not isinstance(record, Mapping):
            raise SourceError("neither a list of objects nor an object with one", f"Expected a {KINDS[kind].title}")
        yield record


def _lists(document: Any) -> list[str]:
    """The kinds that an object holds lists of. Foreign documents use the same words: the rows have to have the kind's key."""
    if not isinstance(document, Mapping):
        return []
    held = {name: document[name] for name in KINDS if isinstance(document.get(name), list)}
    return [
        name for name, rows in held.items() if (KINDS[name].needed() & set(KINDS[name].key) <= _keys(rows) if rows else len(document) == 1)
    ]


def _keys(records: list[Any]) -> set[str]:
    return {name.strip().lower() for record in records[:RECORDS_LOOKED_AT] if isinstance(record, Mapping) for name in record}


@lru_cache(maxsize=1)
def _yaml_document(head: bytes) -> Any:
    """The document as far as the head shows it, which is cut at a line; None where that is no YAML."""
    text = head.decode("utf-8-sig", errors="replace")
    try:
        return yaml.load(text[: text.rfind("\n")] if len(head) == HEAD_BYTES else text, Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        return None


def _collector(name: str, kind: RecordKind) -> Collector:
    values = [f'{_value(kind, column)} as "{kind.stored_as.get(column, column)}"' for column in kind.columns]
    return Collector(
        name=name,
        title=kind.title,
        target=kind.table,
        key=kind.key,
        register=kind.register,
        checks=_checks(kind),
        columns={column: spec.replace("word", "text") for column, spec in kind.columns.items()},
        sql=f"select source_row, {', '.join(values)}, source_extra as extra from source",
        recognise=lambda probe: kind_of(probe) == name,
        flatten=partial(records_of, name),
    )


def _value(kind: RecordKind, column: str) -> str:
    """SQL for what the ledger keeps of a typed column."""
    value = f'"{column}"'
    if column in kind.allowed:
        value = _spelled(kind, column)
    elif column in kind.patterns:
        value = f"try_cast(regexp_extract({value}, {_quoted(kind.patterns[column][0])}, 1, 'i') as bigint)"
    elif kind.columns[column].startswith("word"):
        value = f"lower({value})"
    return f"coalesce({value}, {kind.defaults[column]})" if column in kind.defaults else value


def _spelled(kind: RecordKind, column: str) -> str:
    """SQL for a value of an enumeration as it is written in records.toml."""
    value = f"""regexp_replace(lower("{column}"), '[ -]+', '_', 'g')"""
    cases = " ".join(f"when {_quoted(other)} then {_quoted(meant)}" for other, meant in kind.spellings.items())
    return f"case {value} {cases} else {value} end" if cases else value


def _checks(kind: RecordKind) -> dict[str, str]:
    checks = {
        f"{_spelled(kind, column)} not in ({', '.join(map(_quoted, values))})": f"{column} is none of {', '.join(values)}"
        for column, values in kind.allowed.items()
    }
    checks |= {
        f"not regexp_matches(\"{column}\", {_quoted(pattern)}, 'i')": f"{column} is not {words}"
        for column, (pattern, words) in kind.patterns.items()
    }
    checks |= {
        f'"{column}" not between {low} and {high}': f"{column} is not within {low} to {high}" for column, (low, high) in kind.ranges.items()
    }
    checks |= {f'"{later}" < "{earlier}"': f"{later} is before {earlier}" for earlier, later in kind.order}
    return checks | kind.checks


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


COLLECTORS = [_collector(name, kind) for name, kind in KINDS.items()]
