"""What a person may change from a page: one transaction each, recorded in the audit trail."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from app import session
from ingest import allocation, drift, rollup
from ingest.audit import event
from ingest.prices import contract


def accept_rate(provider: str, models: Sequence[str], token_classes: Sequence[str], ratio: Decimal, since: date) -> int:
    """Record a rate found on the bill as contract and price, roll up and allocate again what it changes; the price rows added."""
    now, start = datetime.now(UTC).replace(tzinfo=None), datetime(since.year, since.month, since.day)
    with session.store().transaction() as cursor:
        rows = contract.accept_rate(cursor, provider, models, token_classes, ratio, start, now)
        rollup.rebuild(cursor, contract.reprice(cursor, provider, models, start))
        months = [month for month in allocation.months(cursor) if month >= since.replace(day=1)]
        allocation.refresh(cursor, months, session.shared_costs())
        event(
            cursor,
            "reprice",
            now,
            {
                "provider": provider,
                "models": list(models),
                "token_classes": list(token_classes),
                "ratio": str(ratio),
                "since": since.isoformat(),
                "price_rows": rows,
            },
        )
    return rows


def accept_baseline(system: str, day: date, by: str) -> None:
    """Record that a person takes a system's behaviour from a day on as normal; drift of later days is told against it."""
    with session.store().transaction() as cursor:
        drift.accept(cursor, system, day, by, datetime.now(UTC).replace(tzinfo=None))
