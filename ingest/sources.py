"""The files of a load: found below what a command line names, told apart by their content, in the order to load them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import UnknownFormat
from ingest.governance import adrs

CONTENT_FOLDER = ".duckdb.content"
OF_A_LEDGER = (".duckdb", ".duckdb.wal", ".duckdb.key", ".duckdb.server", "spanledger.toml")


@dataclass(frozen=True)
class Source:
    """A file to load: where it is, what to call it, and the hash of its bytes."""

    path: Path
    name: str
    sha256: str

    @staticmethod
    def of(path: Path, name: str) -> "Source":
        with path.open("rb") as file:
            return Source(path, name, hashlib.file_digest(file, "sha256").hexdigest())

    @property
    def order(self) -> tuple[int, str]:
        """Small text first: registers name systems and prices before the traces that need them arrive."""
        is_records = self.path.suffix.lower() in (".csv", ".yaml", ".yml", ".md")
        return (0 if is_records else 1, self.name)


def find_files(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """The files that a command line names; folders are walked without hidden files, what a ledger itself leaves there, and
    what lies beside decision records without being one.

    Raises UnknownFormat for a missing path.
    """
    found: list[tuple[Path, str]] = []
    for path in paths:
        if path.is_dir():
            inside = (file for file in sorted(path.rglob("*")) if file.is_file())
            found += [
                (file, str(file))
                for file in inside
                if not file.name.endswith(OF_A_LEDGER)
                and not any(part.startswith(".") or part.endswith(CONTENT_FOLDER) for part in file.relative_to(path).parts)
                and not adrs.is_beside(file)
            ]
        elif path.exists():
            found.append((path, str(path)))
        else:
            raise UnknownFormat(f"{path} does not exist", "Check the path")
    return found
