"""The command line: demo, up, load, pull, kpis, reconcile, showback, report, sql, doctor, rebuild."""

import os
import webbrowser
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.table import Table

from app import quantities, settings
from app.ledger import LocalLedger, RemoteLedger, open_ledger
from app.terminal import err, errors_in_words, load_with_progress, out, print_json, say_outcomes, saying
from ingest import pull as billing_apis
from ingest.errors import SpanledgerError
from ingest.remote import local_files
from ingest.sources import find_files
from metrics import coverage, focus_out, focus_rules, reconcile_report, scorecard
from metrics import showback as metrics_showback
from metrics.bridge import TERMS
from metrics.evidence_pack import evidence_pack
from metrics.filters import DIMENSIONS, Period, Scope, default_period
from metrics.kpi import KpiResult
from metrics.kpi import kpis as kpis_by_id
from metrics.rate_hints import rate_hints
from metrics.reconcile import DIMENSIONS as BILL_FILTERS
from metrics.reconcile import reconcile as reconcile_bills
from metrics.showback import PARTY

WIDE_TERMINAL = 120  # columns, from which on interval, change and evidence have room beside the rest
DEMO_LEDGER = "spanledger-demo.duckdb"

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="What AI systems did, what they cost and how they are governed, in one ledger.",
)

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
        try:  # the server compares the days for drift when it has started
            outcomes = load_with_progress(
                ledger,
                [(path, str(path.relative_to(company.parent))) for path, _ in find_files([company / "data"])],
                None,
                None,
                is_compared=False,
            )
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
    paths: Annotated[
        list[str],
        typer.Argument(help="Files or folders: OTLP traces, provider bills, FOCUS, records; also s3://, gs:// and az:// addresses."),
    ],
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
    with errors_in_words(), saying() as say, local_files(paths, say) as found:
        ledger = open_ledger(settings.read(db))
        if not found:
            raise SpanledgerError(f"No files in {', '.join(paths)}")
        outcomes = load_with_progress(ledger, found, collector, as_of)
    say_outcomes(outcomes, as_json)


@cli.command()
def pull(
    provider: Annotated[str, typer.Argument(help="openai or anthropic; the admin key is OPENAI_ADMIN_KEY or ANTHROPIC_ADMIN_KEY.")],
    since: Annotated[datetime, typer.Option("--since", formats=["%Y-%m-%d"], help="The first day, UTC.")],
    until: Annotated[
        datetime | None,
        typer.Option("--until", formats=["%Y-%m-%d"], help="The last day, UTC [default: yesterday]", show_default=False),
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", help="The organization to book this under, where a ledger holds several of one provider.")
    ] = None,
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Fetch costs and usage from a provider's billing API and load them; what was fetched before an interruption is kept."""
    with errors_in_words(), saying() as say:
        chosen, today = settings.read(db), datetime.now(UTC).date()
        asked = billing_apis.request(provider, since.date(), until.date() if until else None, account, os.environ, today)
        folder = asked.folder(chosen.db.with_name(f".{chosen.db.name}.pull"))
        found = billing_apis.pull(asked, folder, say)
        outcomes = load_with_progress(open_ledger(chosen), found, None, None)
        billing_apis.forget(folder)
    say_outcomes(outcomes, as_json)


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
        print_json(scorecard.scorecard_json(scope, results))
        return
    table = Table(title=f"KPIs, {scope.period.label}", title_justify="left", box=None, pad_edge=False)
    columns = [*enumerate(("KPI", "Value", "Interval", "Target", "Change", "Evidence", "Status"))]
    if out.width < WIDE_TERMINAL:
        columns = [columns[place] for place in (0, 1, 3, 6)]
    for _, heading in columns:
        table.add_column(
            heading, justify="right" if heading == "Value" else "left", overflow="fold", no_wrap=heading in ("KPI", "Value", "Status")
        )
    for result in results:
        words = _words(result)
        table.add_row(*(words[place] for place, _ in columns))
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
        found = reconcile_bills(ledger, scope)
    if as_json:
        print_json(reconcile_report.document(found, scope))
        return
    table = Table(title=f"Traced to billed in USD, {scope.period.label}", title_justify="left", box=None, pad_edge=False)
    columns = [*found.providers, None]
    for heading in ("", *(provider or "all" for provider in columns)):
        table.add_column(heading, justify="right" if heading else "left")
    bridges = [found.bridge(provider) for provider in columns]
    for term in TERMS:
        table.add_row(term.replace("_", " "), *(quantities.money_cents(bridge[term]) for bridge in bridges))
    table.add_row("billed", *(quantities.money_cents(sum(bridge.values())) for bridge in bridges))
    out.print(table)
    for name, row in reconcile_report.by_state(found).items():
        out.print(f"{row['buckets']:>5} buckets {name.replace('_', ' ')}, billed {quantities.money_cents(row['billed_usd'])}", markup=False)
    if found.split_usd:
        out.print(f"{quantities.money_cents(found.split_usd)} is billed in units without a model, split by the traces' list price")
    for hint in rate_hints(found):
        out.print(f"{hint.provider}: {hint.words}", markup=False)


@cli.command()
def showback(
    by: Annotated[
        list[str] | None, typer.Option("--by", help="team, system, feature, tenant, prompt_version, cost_center, issuer.")
    ] = None,
    period: PeriodText = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write all shares as FOCUS 1.2, to FILE.csv or FILE.parquet.", metavar="FILE")
    ] = None,
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
        if output is not None:
            _write_focus(ledger, chosen, found, output)
    rows = found.by(*names)
    if as_json:
        rounding = sum(found.rounding_usd.values())
        print_json(
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
def report(
    evidence: Annotated[Path, typer.Option("--evidence", metavar="DIR", help="The folder of the pack; it is made.")],
    period: PeriodText = None,
    filters: Annotated[list[str] | None, typer.Option("--filter", help="dimension=value, e.g. system=claims-copilot; repeatable.")] = None,
    db: Db = None,
) -> None:
    """Write the evidence pack for an audit: results, definitions, the rows behind every number, a manifest of hashes."""
    with errors_in_words():
        ledger = open_ledger(settings.read(db), read_only=True)
        scope = Scope(_period(ledger, period), _dimensions(filters or []))
        pack = evidence_pack(ledger, scope)
        for name, content in pack.items():
            path = evidence / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    out.print(f"{len(pack)} files for {scope.period.label} in {evidence}")


@cli.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over the ledger's tables and views.")], as_json: Json = False, db: Db = None
) -> None:
    """Run a read-only query of the ledger."""
    with errors_in_words():
        ledger = open_ledger(settings.read(db), read_only=True)
        frame = ledger.query_only(query)
    if as_json:
        print_json(frame.to_dicts())
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
        print_json(checks)
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


def _write_focus(ledger: LocalLedger | RemoteLedger, period: Period, found: metrics_showback.Showback, path: Path) -> None:
    if path.suffix.lower() not in focus_out.SUFFIXES:
        raise SpanledgerError(f"{path} names no kind of file", f"End it in {' or '.join(focus_out.SUFFIXES)}")
    if not period.is_whole_months or not found.shares:
        raise SpanledgerError(f"Nothing is handed on for {period.label}", "Choose whole months that the ledger has bills of")
    frame = focus_out.focus(ledger, found)
    if broken := focus_rules.violations(frame):
        raise SpanledgerError(f"The shares break FOCUS 1.2: {'; '.join(map(str, broken[:5]))}", "Nothing was written")
    try:
        focus_out.write(frame, path)
    except OSError as error:
        raise SpanledgerError(f"{path} cannot be written ({error.strerror or error})", "Choose another place") from error
    err.print(f"{path}: {frame.height:,} rows, {found.total_usd:,.2f} USD", markup=False)


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


def main() -> None:
    """The console script."""
    cli()
