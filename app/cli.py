"""The command line: demo, up, load, kpis, reconcile, showback, sql, doctor, rebuild."""

import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any

import msgspec
import polars as pl
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from app import quantities, settings
from app.ledger import LocalLedger, RemoteLedger, open_ledger
from ingest.errors import SpanledgerError
from ingest.load import Outcome, find_files
from metrics import coverage, reconcile_report, scorecard
from metrics import reconcile as metrics_reconcile
from metrics import showback as metrics_showback
from metrics.filters import DIMENSIONS, Period, PeriodError, Scope, default_period
from metrics.kpi import KpiResult
from metrics.kpi import kpis as kpis_by_id
from metrics.rate_hints import rate_hints
from metrics.reconcile import DIMENSIONS as BILL_FILTERS
from metrics.showback import PARTY

FAILED, SOME_REJECTED = 1, 3
DEMO_LEDGER = "spanledger-demo.duckdb"

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="What AI systems did, what they cost and how they are governed, in one ledger.",
)
out, err = Console(soft_wrap=True, highlight=False), Console(stderr=True, soft_wrap=True, highlight=False)

Db = Annotated[
    Path | None,
    typer.Option("--db", help="The ledger file [default: SPANLEDGER_DB, spanledger.toml, spanledger.duckdb]", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output and nothing else.")]
PeriodText = Annotated[
    str | None,
    typer.Option(
        "--period", help="2026-09, 2026-Q3, 2026-W41 or 2026-09-01..2026-09-21 [default: the last complete month]", show_default=False
    ),
]
Port = Annotated[int | None, typer.Option("--port", help="The port of pages and receiver [default: 4318]", show_default=False)]


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Every expected failure becomes one line and exit code 1."""
    try:
        yield
    except (SpanledgerError, PeriodError) as error:
        err.print(f"[bold]spanledger:[/] {error}", markup=True)
        raise typer.Exit(FAILED) from error


@cli.command()
def demo(
    port: Port = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the dashboard in the browser.")] = True,
    db: Db = None,
) -> None:
    """Load the sample company's quarter into a ledger of its own and show it in the browser."""
    with errors_in_words(), as_file(files("sample_data")) as company:  # with its own prices and attribution rules
        chosen = _server_settings(db or Path(DEMO_LEDGER), None, port, company)
        out.print("A synthetic company's quarter: six AI systems, three providers.")
        ledger = LocalLedger(chosen, read_only=False)
        try:
            outcomes = _load_with_progress(ledger, find_files([company / "data"]), None, None)
        finally:
            ledger.store.close()
        for outcome in outcomes:
            if outcome.status in ("failed", "partial"):
                err.print(outcome.line(), markup=False)
        known = all(outcome.status == "already loaded" for outcome in outcomes)
        out.print(
            f"{chosen.db} has it already"
            if known
            else f"{sum(outcome.rows for outcome in outcomes):,} rows from {len(outcomes)} files in {chosen.db}"
        )
        _serve(chosen, open_browser)


@cli.command()
def up(
    host: Annotated[str | None, typer.Option("--host", help="The address to bind [default: 127.0.0.1]", show_default=False)] = None,
    port: Port = None,
    db: Db = None,
) -> None:
    """Serve the dashboard and the OTLP/HTTP receiver on one port."""
    with errors_in_words():
        _serve(_server_settings(db, host, port), open_browser=False)


@cli.command()
def load(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders: OTLP traces, provider bills, FOCUS, records.")],
    collector: Annotated[
        str | None, typer.Option("--as", metavar="COLLECTOR", help="What the files are, if detection cannot tell.")
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="From when on a register's changes hold [default: today]", show_default=False),
    ] = None,
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Load files or folders of anything supported; the kind is detected, and loading twice changes nothing."""
    with errors_in_words():
        ledger = open_ledger(settings.read(db))
        found = find_files(paths)
        if not found:
            raise SpanledgerError(f"No files in {', '.join(map(str, paths))}")
        outcomes = _load_with_progress(ledger, found, collector, as_of)
    if as_json:
        _print_json([_outcome_json(outcome) for outcome in outcomes])
    else:
        for outcome in outcomes:
            (err if outcome.status == "failed" else out).print(outcome.line(), markup=False)
    if all(outcome.status == "failed" for outcome in outcomes):
        raise typer.Exit(FAILED if len(outcomes) == 1 else SOME_REJECTED)
    if any(outcome.status in ("failed", "partial") for outcome in outcomes):
        raise typer.Exit(SOME_REJECTED)


@cli.command()
def kpis(
    period: PeriodText = None,
    filters: Annotated[list[str] | None, typer.Option("--filter", help="dimension=value, e.g. system=claims-copilot; repeatable.")] = None,
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Print the KPI scorecard of a period."""
    with errors_in_words():
        ledger = open_ledger(settings.read(db), read_only=True)
        scope = Scope(_period(ledger, period), _dimensions(filters or []))
        results = scorecard.scorecard(ledger, scope)
    if as_json:
        _print_json(scorecard.scorecard_json(scope, results))
        return
    table = Table(title=f"KPIs, {scope.period.label}", title_justify="left", box=None, pad_edge=False)
    for heading in ("KPI", "Value", "Interval", "Target", "Change", "Evidence", "Status"):
        table.add_column(heading, justify="right" if heading == "Value" else "left", overflow="fold")
    for result in results:
        table.add_row(*_words(result))
    out.print(table)


@cli.command()
def reconcile(
    period: PeriodText = None,
    filters: Annotated[list[str] | None, typer.Option("--filter", help="provider=value or model=value; repeatable.")] = None,
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Explain the bill by the traces: the bridge between them, and every difference by name."""
    with errors_in_words():
        ledger = open_ledger(settings.read(db), read_only=True)
        scope = Scope(_period(ledger, period), _dimensions(filters or [], BILL_FILTERS))
        found = metrics_reconcile.reconcile(ledger, scope)
    if as_json:
        _print_json(reconcile_report.document(found, scope))
        return
    table = Table(title=f"Traced to billed in USD, {scope.period.label}", title_justify="left", box=None, pad_edge=False)
    columns = [*found.providers, None]
    for heading in ("", *(provider or "all" for provider in columns)):
        table.add_column(heading, justify="right" if heading else "left")
    bridges = [found.bridge(provider) for provider in columns]
    for term in metrics_reconcile.TERMS:
        table.add_row(term.replace("_", " "), *(quantities.money_cents(bridge[term]) for bridge in bridges))
    table.add_row("billed", *(quantities.money_cents(sum(bridge.values())) for bridge in bridges))
    out.print(table)
    for name, row in reconcile_report.by_state(found).items():
        out.print(f"{row['buckets']:>5} buckets {name.replace('_', ' ')}, billed {quantities.money_cents(row['billed_usd'])}", markup=False)
    for hint in rate_hints(found):
        out.print(f"{hint.provider}: {hint.words}", markup=False)


@cli.command()
def showback(
    by: Annotated[
        list[str] | None, typer.Option("--by", help="team, system, feature, tenant, prompt_version, cost_center, issuer.")
    ] = None,
    period: PeriodText = None,
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Hand the invoice on, to the cent: what each team or system bears of the billed cost."""
    names = by or ["team"]
    with errors_in_words():
        if unknown := sorted(set(names) - {*PARTY, "issuer"}):
            raise SpanledgerError(f"{', '.join(unknown)} cannot be shown", f"Use {', '.join((*PARTY, 'issuer'))}")
        ledger = open_ledger(settings.read(db), read_only=True)
        chosen = _period(ledger, period)
        found = metrics_showback.showback(ledger, chosen)
    rows = found.by(*names)
    if as_json:
        rounding = sum(found.rounding_usd.values())
        _print_json(
            {"period": {"start": chosen.start, "end": chosen.end}, "rows": rows, "total_usd": found.total_usd, "rounding_usd": rounding}
        )
        return
    table = Table(title=f"Billed cost in USD, {chosen.label}", title_justify="left", box=None, pad_edge=False)
    for name in (*names, "USD"):
        table.add_column(name.replace("_", " "), justify="right" if name == "USD" else "left", overflow="fold")
    for row in rows:
        table.add_row(*(row[name] or "unattributed" for name in names), f"{row['usd_cost']:,.2f}")
    table.add_row("total", *[""] * (len(names) - 1), f"{found.total_usd:,.2f}")
    out.print(table)


@cli.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over the ledger's tables and views.")], as_json: Json = False, db: Db = None
) -> None:
    """Run a read-only query of the ledger."""
    with errors_in_words():
        ledger = open_ledger(settings.read(db), read_only=True)
        frame = ledger.query_only(query)
    if as_json:
        _print_json(frame.to_dicts())
        return
    with pl.Config(tbl_rows=50, tbl_cols=-1, tbl_width_chars=out.width, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        out.print(str(frame), markup=False)
    if frame.height > 50:
        out.print(f"{frame.height:,} rows; --json prints all of them")


@cli.command()
def doctor(as_json: Json = False, db: Db = None) -> None:
    """Say how fresh and complete the ledger is: coverage, rejects, unpriced models, unattributed spend."""
    with errors_in_words():
        ledger = open_ledger(settings.read(db), read_only=True)
        checks = coverage.checks(ledger)
    if as_json:
        _print_json(checks)
        return
    for check in checks:
        out.print(f"{'ok ' if check['ok'] else '!! '} {check['title']}: {check['finding']}", markup=False)


@cli.command()
def rebuild(db: Db = None) -> None:
    """Apply the current rules, roles and prices to every span that is already in the ledger."""
    with errors_in_words():
        ledger = open_ledger(settings.read(db))
        rows = ledger.rebuild() if isinstance(ledger, RemoteLedger) else ledger.loader().rebuild()
    out.print(f"{rows:,} spans rebuilt")


def _server_settings(db: Path | None, host: str | None, port: int | None, folder: Path | None = None) -> settings.Settings:
    chosen = settings.read(db, folder)
    return settings.replace(chosen, host=host or chosen.host, port=port or chosen.port)


def _serve(chosen: settings.Settings, open_browser: bool) -> None:
    from app import server  # streamlit takes a second to import, which no other command should pay

    def started(url: str) -> None:
        out.print(f"Spanledger on {url} · OTLP/HTTP on the same port · Ctrl+C stops")
        if open_browser:
            webbrowser.open(url)

    server.serve(chosen, started)


def _load_with_progress(
    ledger: LocalLedger | RemoteLedger, found: list[tuple[Path, str]], collector: str | None, as_of: datetime | None
) -> list[Outcome]:
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.completed}/{task.total} files  {task.description}"),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    ) as progress:
        task = progress.add_task("", total=len(found))

        def advance(outcome: Outcome) -> None:
            progress.update(task, advance=1, description=Path(outcome.path).name)

        if isinstance(ledger, RemoteLedger):
            return ledger.load(found, collector, as_of)
        return ledger.loader().load(found, collector, as_of, progress=advance)


def _period(ledger: LocalLedger | RemoteLedger, text: str | None) -> Period:
    if text is not None:
        return Period.parse(text)
    period = default_period(ledger)
    if period is None:
        raise SpanledgerError("The ledger holds no calls and no charges yet", "Load some, or name a --period")
    return period


def _dimensions(texts: list[str], known: tuple[str, ...] = DIMENSIONS) -> dict[str, str]:
    chosen = dict(text.partition("=")[::2] for text in texts)
    if unknown := sorted(set(chosen) - set(known)):
        raise SpanledgerError(f"{', '.join(unknown)} is no dimension of this", f"Use one of {', '.join(known)}")
    return chosen


def _words(result: KpiResult) -> tuple[str, ...]:
    """Title, value, interval, target, change, evidence and status of one KPI."""
    title = kpis_by_id()[result.metric_id].title
    if result.value is None:
        return title, quantities.UNKNOWN, "", "", "", result.note, result.status
    interval = quantities.interval(result.interval_low, result.interval_high, result.unit) if result.interval_low is not None else ""
    return (
        title,
        quantities.quantity(result.value, result.unit),
        interval,
        quantities.target_words(result.target, result.direction, result.unit),
        quantities.change_words(result.previous_value, result.value, result.unit, is_supported=bool(result.is_changed)),
        " · ".join(filter(None, [f"n {result.n:,}" if result.n is not None else "", result.note])),
        result.status,
    )


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
        "rejects": [{"position": r.position, "reason": r.reason} for r in outcome.rejects[:100]],
    }


def _print_json(document: Any) -> None:
    encoded = msgspec.json.Encoder(decimal_format="number").encode(document)
    sys.stdout.buffer.write(msgspec.json.format(encoded, indent=1) + b"\n")


def main() -> None:
    """The console script."""
    cli()
