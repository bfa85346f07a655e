"""Whether a table keeps the rules of FOCUS 1.2 that can be told from its columns and rows; the rules are data."""

import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import msgspec
import polars as pl

Test = Callable[[str, Sequence[str]], pl.Expr]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule: what `check` asks of `column`, in the rows where every test of `when` holds."""

    column: str
    check: str
    values: list[str] = []
    when: list[list[str]] = []


@dataclass(frozen=True)
class Violation:
    """A rule that is broken, and in how many rows; None where it is about the column itself."""

    rule: str
    column: str
    check: str
    rows: int | None

    def __str__(self) -> str:
        where = "the column" if self.rows is None else f"{self.rows:,} rows"
        return f"{self.column} is not {self.check.replace('_', ' ')} ({self.rule}, {where})"


# What a rule may ask of a column as a whole.
TYPES: dict[str, Callable[[pl.DataType], bool]] = {
    "string": lambda dtype: dtype == pl.String,
    "decimal": lambda dtype: dtype.is_decimal(),
    "datetime": lambda dtype: dtype == pl.Datetime,
    "utc": lambda dtype: isinstance(dtype, pl.Datetime) and dtype.time_zone == "UTC",
}

# What a rule may ask of every row; a format is asked of what is there, and null is the matter of other rules.
ROWS: dict[str, Test] = {
    "null": lambda column, values: pl.col(column).is_null(),
    "not_null": lambda column, values: pl.col(column).is_not_null(),
    "one_of": lambda column, values: pl.col(column).is_in(values).fill_null(value=False),
    "none_of": lambda column, values: pl.col(column).is_in(values).fill_null(value=False).not_(),
    "zero": lambda column, values: (pl.col(column) == 0).fill_null(value=False),
    "differs": lambda column, values: pl.col(column).ne_missing(pl.col(values[0])),
    "one_each": lambda column, values: pl.col(values[0]).n_unique().over(column) == 1,
    "text": lambda column, values: pl.col(column).str.contains(r"\S").fill_null(value=True),
    "numeric": lambda column, values: pl.col(column).cast(pl.Float64).is_finite().fill_null(value=True),
    "currency": lambda column, values: pl.col(column).str.contains("^[A-Z]{3}$").fill_null(value=True),
    "key_value": lambda column, values: pl.col(column).map_elements(_is_key_value, pl.Boolean, skip_nulls=False),
}


@cache
def rules() -> dict[str, Rule]:
    """Every rule by its published id."""
    return msgspec.convert(tomllib.loads((files("metrics") / "focus_rules.toml").read_text("utf-8")), dict[str, Rule])


def violations(frame: pl.DataFrame) -> list[Violation]:
    """The rules that a table breaks; what cannot be asked because a column is missing or of another type is not repeated."""
    found, broken = [], set[str]()
    for name, rule in sorted(rules().items(), key=_order):
        if rule.check != "present" and {rule.column, *(test[1] for test in rule.when)} & broken:
            continue
        if rule.check == "present" or rule.check in TYPES:
            if rule.column not in frame.columns or (rule.check in TYPES and not TYPES[rule.check](frame.schema[rule.column])):
                found.append(Violation(name, rule.column, rule.check, None))
                broken.add(rule.column)
        elif rows := frame.filter(_applies(rule), ROWS[rule.check](rule.column, rule.values).not_()).height:
            found.append(Violation(name, rule.column, rule.check, rows))
    return found


def _order(item: tuple[str, Rule]) -> int:
    """Whether a column is there, then its type, then its rows."""
    check = item[1].check
    return 0 if check == "present" else 1 if check in TYPES else 2


def _applies(rule: Rule) -> pl.Expr:
    return pl.all_horizontal([pl.lit(value=True), *(ROWS[check](column, values) for check, column, *values in rule.when)])


def _is_key_value(text: object) -> bool:
    """An object of JSON whose values are no objects and no lists, and whose keys differ."""
    if text is None:
        return True
    try:
        pairs = json.loads(str(text), object_pairs_hook=tuple)  # a nested object becomes a tuple, too
    except ValueError:
        return False
    return isinstance(pairs, tuple) and len(dict(pairs)) == len(pairs) and not any(isinstance(value, list | tuple) for _, value in pairs)
