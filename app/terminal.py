"""What commands print: the two consoles, progress, JSON documents, what became of loaded files, and failures in one line."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn

from app.ledger import LocalLedger, RemoteLedger
from ingest.audit import Outcome
from ingest.errors import SpanledgerError
from metrics.filters import PeriodError

FAILED, SOME_REJECTED = 1, 3

out, err = Console(soft_wrap=True, highlight=False), Console(stderr=True, soft_wrap=True, highlight=False)


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Every expected failure becomes one line and exit code 1."""
    try:
        yield
    except (SpanledgerError, PeriodError) as error:
        err.print(f"[bold]spanledger:[/] {escape(str(error))}", markup=True)
        raise typer.Exit(FAILED) from error


@contextmanager
def saying() -> Iterator[Callable[[str], None]]:
    """What is under way: one changing line in a terminal, else a line each on standard error."""
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=err, transient=True, disable=not err.is_terminal) as shown:
        task = shown.add_task("", visible=False)

        def say(words: str) -> None:
            if err.is_terminal:
                shown.update(task, description=escape(words), visible=True)
            else:
                err.print(words, markup=False)

        yield say


def load_with_progress(
    ledger: LocalLedger | RemoteLedger,
    found: list[tuple[Path, str]],
    collector: str | None,
    as_of: datetime | None,
    is_compared: bool = True,
) -> list[Outcome]:
    """Load files while a line tells how far it is; a running server tells at the end."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.completed}/{task.total} files  {task.description}"),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    ) as progress:
        task = progress.add_task("", total=len(found))

        def advance(outcome: Outcome) -> None:
            progress.update(task, advance=1, description=escape(Path(outcome.path).name))

        if isinstance(ledger, RemoteLedger):
            return ledger.load(found, collector, as_of)
        return ledger.loader(is_compared).load(found, collector, as_of, progress=advance)


def say_outcomes(outcomes: list[Outcome], as_json: bool) -> None:
    """Print what became of each file; exit code 1 when one file failed, 3 when some of several, or some rows, did."""
    if as_json:
        print_json([_outcome_json(outcome) for outcome in outcomes])
    else:
        for outcome in outcomes:
            (err if outcome.status == "failed" else out).print(outcome.line(), markup=False)
    if outcomes and all(outcome.status == "failed" for outcome in outcomes):
        raise typer.Exit(FAILED if len(outcomes) == 1 else SOME_REJECTED)
    if any(outcome.status in ("failed", "partial") for outcome in outcomes):
        raise typer.Exit(SOME_REJECTED)


def print_json(document: Any) -> None:
    """One document on standard output."""
    encoded = msgspec.json.Encoder(decimal_format="number").encode(document)
    sys.stdout.buffer.write(msgspec.json.format(encoded, indent=1) + b"\n")


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "path": outcome.path,
        "status": outcome.status,
        "collector": outcome.collector,
        "rows": outcome.rows,
        "rejected": outcome.rejected,
        "total": outcome.total,
        "currency": outcome.currency,
        "message": outcome.message,
        "duplicates_removed": outcome.duplicates_removed,
        "replaced": outcome.replaced,
        "rejects": [{"position": r.position, "reason": r.reason} for r in outcome.rejects[:100]],
    }
