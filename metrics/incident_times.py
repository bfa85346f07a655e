"""How long incidents take to be acknowledged and to be resolved: medians of what has ended, the rest censored."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from metrics import survival

# From, to, and which incidents without the later time are still running: tools often do not tell an acknowledgement, so
# only an open incident waits for it; what is mitigated and not resolved is still to be resolved.
STEPS = {
    "acknowledge": ("detected_at", "acknowledged_at", pl.col("is_open")),
    "resolve": ("started_at", "resolved_at", pl.lit(True)),
}


@dataclass(frozen=True)
class Times:
    """Hours; the median is None where nothing has ended or half is still running."""

    median: float | None
    n: int
    running: int
    unknown: int  # ended, and nobody noted when


def times(found: pl.DataFrame, step: str, as_of: datetime) -> Times:
    """One step of the incidents of a timeline as it stood at a moment; what happened later was still running then."""
    since, until, is_running = STEPS[step]
    is_over = (pl.col(until) <= as_of).fill_null(False)
    known = found.filter(pl.col(since).is_not_null())
    ended = known.filter(is_over)
    running = known.filter(~is_over & (pl.col(until).is_not_null() | is_running))
    events, censored = (
        [
            (end - start).total_seconds() / 3600
            for start, end in rows.select(since, pl.col(until).fill_null(as_of).clip(upper_bound=as_of)).rows()
        ]
        for rows in (ended, running)
    )
    median = survival.kaplan_meier(events, censored) if events and censored else survival.median(events)
    return Times(median.value, ended.height + running.height, running.height, found.height - ended.height - running.height)
