"""The CSV tables beside this module: names, aliases and emitters as data."""

import csv
from functools import cache
from pathlib import Path


@cache
def table(name: str) -> list[dict[str, str]]:
    """The rows of one table, in file order, which is the order of precedence."""
    with (Path(__file__).parent / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
