"""Shares of everything there is: no sampling error, but a range where the verdict on some items is unknown."""

from collections.abc import Mapping, Sequence

from metrics import stats
from metrics.kpi import Evidence, Measurement, State

MET, UNKNOWN, MISSED = 2, 1, 0  # the verdict on one item
RANGE = "assessment range"
FEW = 30  # fewer items say little about the next ones, and the note says how little


def share(
    verdicts: Sequence[int],
    notes: Sequence[str] = (),
    exclusions: Mapping[str, int] | None = None,
    evidence: Evidence | None = None,
    is_unknown_left_out: bool = False,
    coverage: float | None = None,
    state: State | None = None,
    seen: int | None = None,
) -> Measurement:
    """The share of items that met; the unknown count as missed, or are left out of the value. The range counts them as
    missed at its low end and as met at its high end. `verdicts` has at least one that is known or counts; `seen` is how much of it
    traces and bills bear out."""
    items, met, unknown = len(verdicts), verdicts.count(MET), verdicts.count(UNKNOWN)
    counted = items - unknown if is_unknown_left_out else items
    ends = (met / items, (met + unknown) / items)
    said = [note for note in notes if note]
    if unknown:
        said.append(f"{unknown} of {items} unknown")
    hint = stats.wilson(met, counted) if counted < FEW else None
    if hint:
        said.append(f"as a sample of {counted}: {hint.low:.1%} to {hint.high:.1%} (Wilson)")
    return Measurement(
        met / counted,
        met,
        counted,
        counted,
        interval=ends if unknown else None,
        interval_method=RANGE if unknown else None,
        is_census_range=bool(unknown),
        coverage=coverage,
        exclusions={reason: n for reason, n in (exclusions or {}).items() if n},
        state=state,
        samples={} if seen is None else {"seen": [seen]},
        note=" · ".join(said),
        evidence=evidence,
    )


def is_changed(before: Measurement, after: Measurement) -> bool:
    """Whether the two shares differ whatever the unknown items are. Where one window has traces or bills to compare with and the
    other has none, the difference says nothing."""
    if before.value is None or after.value is None:
        return False
    if len({found.samples.get("seen") == [0] for found in (before, after)}) > 1:
        return False
    (low1, high1), (low2, high2) = (found.interval or (found.value or 0.0, found.value or 0.0) for found in (before, after))
    return high1 < low2 or high2 < low1


def counted(number: int, one: str, many: str | None = None) -> str:
    """'2 reviews expired', or nothing for none: the parts of a note."""
    return f"{number:,} {one if number == 1 else many or one}" if number else ""
