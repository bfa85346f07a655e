"""What a collector is: a declaration of the files it recognises, their columns, and the SQL into one table."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ingest.errors import SourceError, UnknownFormat
from ingest.probe import Probe

# What a typed column may be called, and how its text is read. `try_cast` makes a bad text NULL, which the loader rejects.
COLUMN_TYPES = {
    "text": "{0}",
    "money": "try_cast({0} as decimal(24,12))",
    "count": "case when try_cast({0} as double) = floor(try_cast({0} as double)) then try_cast(try_cast({0} as double) as bigint) end",
    "number": "try_cast({0} as double)",
    "time": "try_cast(try_cast({0} as timestamptz) as timestamp)",
    "unix": "try_cast(to_timestamp(try_cast({0} as double)) as timestamp)",
    "date": "try_cast(try_cast({0} as timestamp) as date)",
    "us_date": "try_cast(try_strptime({0}, ['%m/%d/%Y', '%Y-%m-%d', '%Y%m%d', '%Y-%m-%d %H:%M:%S', '%Y-%m-%d %H:%M:%S+00',"
    " '%Y-%m-%dT%H:%M:%SZ']) as date)",
    "bool": "case when lower({0}) in ('true','t','yes','y','1') then true when lower({0}) in ('false','f','no','n','0') then false end",
    "list": "list_filter(list_transform(string_split({0}, ';'), lambda x: trim(x)), lambda x: x <> '')",
    "json": "try_cast({0} as json)",
}


@dataclass(frozen=True)
class Column:
    """A source column: its type, whether the header must have it, and whether every row must have a value."""

    kind: str
    in_header: bool
    in_row: bool

    @staticmethod
    def parse(spec: str) -> "Column":
        """'money' must be in the header, 'money!' also in every row, 'money?' may be absent."""
        return Column(spec.rstrip("!?"), in_header=not spec.endswith("?"), in_row=spec.endswith("!"))


@dataclass(frozen=True)
class Collector:
    """One file format: the loader reads it as text, types `columns`, and runs `sql` over it into `target`.

    `sql` selects from `source` (the typed columns, plus `source_row`) and, when `meters` names a CSV beside the
    collector's module, from `meters`. It yields columns of `target` by name; missing ones stay NULL. `flatten` turns a
    parsed JSON document into rows; numbers arrive as the text they were written as. `aliases` are further names by
    which a header may call a column; the English name in brackets after a translation counts as the name itself.
    `slice` names the target columns which together name what a file replaces (account and billing period, say), `period`
    the two columns of the time that it replaces: stored rows whose time overlaps go, whatever the width of the buckets.
    `parts` are columns that name the parts of a slice (the subscriptions of an account): another format may tell some only.
    `covers` is SQL over `source` for what the file covers although it has no row for it (an empty bucket, or the key of a
    record that it withdraws); `unfinished`
    is SQL over `source` for the bucket in which a page breaks off, and which a page that begins with it continues.
    Files of a `chunked` format in one load add up; of any other format a later file replaces what it covers, also where
    it was read by one of the collectors that it `replaces`: the same figures in another format. `refuse` is SQL over
    `source` and the ledger that gives (what is wrong, what to do) where a file must not be loaded at all.
    `also` are collectors of the same columns for what else the file tells: they fill further tables with it.
    `read` gives the documents of a file with the line at which each begins, where they are no JSON and no single YAML;
    with `nested`, the lines of a CSV file are documents, too, and pass through `flatten`.
    """

    name: str
    title: str
    target: str
    columns: Mapping[str, str]
    sql: str
    recognise: Callable[[Probe], bool] | None = None  # default: all columns that must be in the header are
    flatten: Callable[[Any], Iterable[Mapping[str, Any]]] | None = None
    read: Callable[[Probe], Iterable[tuple[int, Any]]] | None = None
    nested: bool = False
    meters: str | None = None
    slice: tuple[str, ...] = ()
    period: tuple[str, str] | None = None
    parts: tuple[str, ...] = ()
    covers: str | None = None
    unfinished: str | None = None
    replaces: tuple[str, ...] = ()
    refuse: str | None = None
    also: tuple["Collector", ...] = ()
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    chunked: bool = False
    key: tuple[str, ...] = ()  # records: a later row of the same key replaces the earlier one
    register: bool = False  # registers: rows of one key are versions with valid_from and valid_to
    checks: Mapping[str, str] = field(default_factory=dict)  # SQL over the typed columns that is true of a wrong row -> why
    total: str | None = None  # column of the SQL whose sum a person can compare with the invoice
    package: str = "ingest.billing"  # where `meters` lies

    def typed_columns(self) -> dict[str, Column]:
        return {name: Column.parse(spec) for name, spec in self.columns.items()}

    def matches(self, probe: Probe) -> bool:
        if self.recognise is not None:
            return self.recognise(probe)
        return bool(probe.columns) and not self.missing(probe.columns)

    def header(self, names: Sequence[str]) -> dict[str, str]:
        """For each column that a header has, what the header calls it."""
        said = {name.strip().lower(): name for name in reversed(names)}
        for name in names:
            if bracketed := re.search(r"\((\w+)\)$", name.strip()):
                said.setdefault(bracketed[1].lower(), name)
        known = {column: (column, *self.aliases.get(column, ())) for column in self.columns}
        found = {column: next((said[name.lower()] for name in names if name.lower() in said), None) for column, names in known.items()}
        return {column: name for column, name in found.items() if name is not None}

    def missing(self, names: Sequence[str]) -> list[str]:
        """The columns that a header lacks."""
        found = self.header(names)
        return [name for name, column in self.typed_columns().items() if column.in_header and name not in found]


PACKAGES = ("ingest.billing", "ingest.governance")


@cache
def collectors() -> dict[str, Collector]:
    """Every declared collector by name: each module of the collector packages lists its own in `COLLECTORS`."""
    found: dict[str, Collector] = {}
    for package_name in PACKAGES:
        package = importlib.import_module(package_name)
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
            module = importlib.import_module(f"{package_name}.{info.name}")
            for collector in getattr(module, "COLLECTORS", ()):
                if collector.name in found:
                    raise SourceError(f"Two collectors are called {collector.name}")
                found[collector.name] = collector
    return found


def detect(probe: Probe, name: str | None = None) -> Collector:
    """The collector for a file: the one asked for, else the one that recognises most of its columns.

    Raises UnknownFormat when none does, naming what was found instead.
    """
    if name is not None:
        if name not in collectors():
            raise UnknownFormat(f"No collector is called {name}", f"Known: {', '.join(sorted(collectors()))}")
        return collectors()[name]
    matching = [c for c in collectors().values() if c.matches(probe)]
    if not matching:
        raise UnknownFormat(_what_was_found(probe),
                            "Name its kind with --as, or see the README for what is read")
    return max(matching, key=lambda c: (sum(column.in_header for column in c.typed_columns().values()), c.name))


def _what_was_found(probe: Probe) -> str:
    if probe.form in ("csv", "parquet"):
        names = sorted(probe.columns)
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        return f"no collector knows a table with the columns {', '.join(names[:8])}{more}{_what_is_missing(probe)}"
    if isinstance(probe.json, dict):
        return f"no collector knows a JSON document with the keys {', '.join(sorted(probe.json)[:8])}"
    return "no collector recognises the content"


def _what_is_missing(probe: Probe) -> str:
    """What the table lacks to be what it looks most like, when that is one or two columns of at least four."""
    lacking = [(c.missing(probe.columns), c) for c in collectors().values() if c.recognise is None]
    near = [(missing, c) for missing, c in lacking
            if len(missing) <= 2 and sum(column.in_header for column in c.typed_columns().values()) >= 4]
    if not near:
        return ""
    missing, nearest = min(near, key=lambda found: (len(found[0]), found[1].name))
    return f"; for {nearest.title} {' and '.join(missing)} is missing"
