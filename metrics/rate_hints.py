"""What a bill's rates suggest: where a provider bills a model at another rate than the price book predicts, and since when."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from statistics import median

from metrics.bridge import ZERO, Reconciliation

CHANGED = Decimal("0.005")  # a rate this far from the book's is another rate
SAME = Decimal("0.005")  # rates this close to each other are one rate
MIN_DAYS = 3
RATIO_STEP = Decimal("0.0001")

Days = Mapping[date, tuple[Decimal, Decimal]]


@dataclass(frozen=True)
class RateHint:
    """A provider bills these models at `ratio` times the predicted price, every day from `since` on."""

    provider: str
    models: tuple[str, ...]
    token_classes: tuple[str, ...]  # empty: all that were billed
    ratio: Decimal
    since: date
    days: int
    unexplained_usd: Decimal

    @property
    def words(self) -> str:
        way = "below" if self.ratio < 1 else "above"
        what = f"{' and '.join(name.replace('_', ' ') for name in self.token_classes)} of " if self.token_classes else ""
        verb = "is" if len(self.models) == 1 else "are"
        return (
            f"billed {what}{' and '.join(self.models)} {verb} {abs(1 - self.ratio) * 100:.1f} % {way} the price book "
            f"on all {self.days} days since {self.since.day} {self.since:%b %Y}"
        )


@dataclass(frozen=True)
class _Run:
    ratio: Decimal
    since: date
    days: int
    unexplained_usd: Decimal


def rate_hints(found: Reconciliation) -> list[RateHint]:
    """Every rate that differs from the price book on at least three days up to the last, the costliest first."""
    series: dict[tuple[str, str, str], dict[date, tuple[Decimal, Decimal]]] = defaultdict(dict)
    for bucket in found.buckets:
        for line in bucket.lines:
            predicted = line.billed_usd - line.terms()["unexplained"] - line.terms()["rounding"]
            if line.kind == "token" and line.is_charged and (line.billed_tokens or line.is_split) and predicted > 0:
                days = series[bucket.key.provider, bucket.key.model, line.token_class or ""]
                billed, expected = days.get(bucket.key.day, (ZERO, ZERO))
                days[bucket.key.day] = billed + line.billed_usd, expected + predicted
    runs = {name: run for name, days in series.items() if (run := _run(days)) is not None}
    return sorted(_joined(runs, series), key=lambda hint: -abs(hint.unexplained_usd))


def _run(days: Days) -> _Run | None:
    """The days up to the last on which one and the same rate was billed, if it is not the predicted one."""
    ordered = sorted(days, reverse=True)
    ratios: list[Decimal] = []
    for day in ordered:
        billed, expected = days[day]
        ratio = billed / expected
        if abs(ratio - 1) <= CHANGED or (ratios and abs(ratio / median(ratios) - 1) > SAME):
            break
        ratios.append(ratio)
    if len(ratios) < MIN_DAYS:
        return None
    covered = ordered[: len(ratios)]
    billed, expected = (sum((days[day][part] for day in covered), ZERO) for part in (0, 1))
    return _Run((billed / expected).quantize(RATIO_STEP), covered[-1], len(covered), billed - expected)


def _joined(runs: Mapping[tuple[str, str, str], _Run], series: Iterable[tuple[str, str, str]]) -> list[RateHint]:
    """Classes of a model, then models of a provider, whose rate changed alike on the same day become one hint."""
    billed: dict[tuple[str, str], set[str]] = defaultdict(set)
    for provider, model, token_class in series:
        billed[provider, model].add(token_class)
    by_model: dict[tuple[str, str, Decimal], list[str]] = defaultdict(list)
    for (provider, model, token_class), run in sorted(runs.items()):
        by_model[provider, model, run.ratio].append(token_class)
    groups: dict[tuple[str, Decimal, tuple[str, ...]], list[tuple[str, Sequence[str]]]] = defaultdict(list)
    for (provider, model, ratio), found in by_model.items():
        is_whole = set(found) == billed[provider, model]
        groups[provider, ratio, () if is_whole else tuple(found)].append((model, found))
    hints = []
    for (provider, ratio, classes), models in groups.items():
        own = [runs[provider, model, token_class] for model, found in models for token_class in found]
        hints.append(
            RateHint(
                provider,
                tuple(model for model, _ in models),
                classes,
                ratio,
                min(run.since for run in own),
                max(run.days for run in own),
                sum((run.unexplained_usd for run in own), ZERO),
            )
        )
    return hints
