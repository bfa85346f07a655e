"""Bills as tests handle them: text into a ledger, sums of it, and what the sample company's truth says."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from ingest.audit import Outcome
from ingest.load import Loader
from ingest.sources import find_files
from ingest.store import Store

ROOT = Path(__file__).parents[2]
BILLS = ROOT / "sample_data" / "data" / "bills"
MONTHS = json.loads((ROOT / "sample_data" / "truth.json").read_text())["months"]
TOKEN_CLASSES = ("uncached_input", "cache_read", "cache_write_5m", "cache_write_1h", "output")


def load_text(loader: Loader, path: Path, text: str, **options: Any) -> Outcome:
    path.write_text(text)
    [outcome] = loader.load(find_files([path]), **options)
    return outcome


def load_page(loader: Loader, path: Path, page: dict[str, Any]) -> Outcome:
    return load_text(loader, path, json.dumps(page))


def billed(store: Store, where: str = "true") -> Decimal:
    """The sum of billed_cost, zero when there is no such line."""
    return store.query(f"select coalesce(sum(billed_cost), 0) as billed from charges where {where}").item()


def by_month(store: Store, dimension: str) -> dict[tuple[str, str], Decimal]:
    """Billed cost by month and a dimension of the lines."""
    return {(month, name): amount for month, name, amount in store.query(
        f"select strftime(charge_period_start, '%Y-%m') as month, {dimension} as name, sum(billed_cost) as billed from charges "
        "group by 1, 2").rows()}


def true_by_month(provider: str, what: str) -> dict[tuple[str, str], Decimal]:
    """The truth for `by_month`: `by_project_usd`, or `by_model` without what has no model."""
    return {(month, name): Decimal(figure if isinstance(figure, str) else figure["billed_usd"])
            for month, truth in MONTHS.items() for name, figure in truth["providers"][provider][what].items()}


def reported_tokens(store: Store) -> dict[tuple[str, str], int]:
    """Tokens of the usage reports by month and class, classes without any left out."""
    sums = ", ".join(f"sum({name}_tokens) as {name}" for name in TOKEN_CLASSES)
    rows = store.query(f"select strftime(bucket_start, '%Y-%m') as month, {sums} from billed_usage group by 1").rows(named=True)
    return {(row["month"], name): int(row[name]) for row in rows for name in TOKEN_CLASSES if row[name]}


def true_tokens(provider: str, what: str) -> dict[tuple[str, str], int]:
    return {(month, name): tokens for month, truth in MONTHS.items()
            for name, tokens in truth["providers"][provider][what].items() if tokens}
