"""KPI 9, unsupported claims: a judge's verdicts on a sample of answers, corrected by what people say of some of them."""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from metrics import quality, stats
from metrics.engines import Engine
from metrics.filters import DIMENSIONS, Period, Scope
from metrics.kpi import Kpi, Measurement
from metrics.stats import Interval

ENOUGH_LABELS = 100
CALIBRATION_DAYS = 180
UNCORRECTED = "uncorrected judge rate"


@dataclass(frozen=True)
class Rate:
    """A rate as it was found: with an interval, and the size of a plain sample that would say as much."""

    value: float
    interval: Interval | None
    n_eff: float
    method: str
    note: str
    is_corrected: bool = True


def unsupported_claim_rate(engine: Engine, scope: Scope) -> Measurement:
    """The share of answers with an unsupported claim: PPI++ with enough random human labels, else Rogan-Gladen with a
    calibrated judge, else the judge's own rate, which no target may be held against."""
    every = quality.delivered(quality.verdicts(engine, scope, quality.UNSUPPORTED))
    answered = quality.answers(engine, scope)
    newest = quality.newest_series(every)
    rows, excluded = quality.sound(newest)
    if every.height > newest.height:
        excluded["earlier judge versions"] = every.height - newest.height
    judged, people = (quality.by_item(rows.filter(is_human)) for is_human in (pl.col("kind") != "human", pl.col("kind") == "human"))
    evidence = quality.evidence(engine, scope, quality.UNSUPPORTED)
    if judged.is_empty() and people.is_empty():
        total = sum(answered.values())
        note = f"Not sampled: 0 of {total:,} responses evaluated" if total else "No answers"
        return Measurement(None, n=0, exclusions=excluded, state="NO_DATA" if total else "NOT_APPLICABLE", note=note, evidence=evidence)
    rate = _rate(engine, scope, judged, people)
    n = judged.height or people.height
    is_random = (judged if judged.height else people)["probability"].null_count() == 0
    notes = [rate.note, "" if is_random else "convenience sample: its probabilities are unknown", quality.needed(rate.value)]
    return Measurement(
        rate.value,
        n=n,
        interval=(rate.interval.low, rate.interval.high) if rate.interval else None,
        interval_method=rate.method,
        coverage=quality.coverage(answered, [*judged["system"], *people["system"]]),
        exclusions=excluded,
        state=None if is_random and rate.is_corrected and n >= quality.MINIMUM_N else "LOW_CONFIDENCE",
        note=" · ".join(note for note in notes if note),
        samples={"n_eff": [rate.n_eff], "series": quality.series(rows)},
        is_judgeable=rate.is_corrected,
        evidence=evidence,
    )


def _rate(engine: Engine, scope: Scope, judged: pl.DataFrame, people: pl.DataFrame) -> Rate:
    both = judged.join(people.select("item", human="is_bad", chosen="probability"), on="item")
    rest = judged.join(people, on="item", how="anti")
    if judged.height and both["chosen"].count() >= ENOUGH_LABELS and rest.height > 1:
        return _ppi(both.filter(pl.col("chosen").is_not_null()), rest)
    if people.height and (judged.is_empty() or rest.is_empty()):
        return _sampled(people, "human labels")
    raw = _sampled(judged, UNCORRECTED)
    return _calibrated(engine, scope, raw) or _uncorrected(raw)


def _ppi(both: pl.DataFrame, rest: pl.DataFrame) -> Rate:
    found = stats.ppi(
        both["human"].cast(int).to_list(),
        both["is_bad"].cast(int).to_list(),
        rest["is_bad"].cast(int).to_list(),
        _weights(both["chosen"]),
        _weights(rest["probability"]),
    )
    assert found is not None
    judge = _share(pl.concat([both["is_bad"], rest["is_bad"]]))
    note = f"people found {int(both['human'].sum())} in {both.height}, the judge {judge:.1%} of {both.height + rest.height:,}"
    size = _size(found.value, found.standard_error, found.interval)
    return Rate(found.value, found.interval, size, found.interval.method if found.interval else "PPI++", note)


def _sampled(rows: pl.DataFrame, what: str) -> Rate:
    found = stats.hajek(rows["is_bad"].cast(float).to_list(), [1 / weight for weight in _weights(rows["probability"])])
    assert found is not None
    bad = int(rows["is_bad"].sum())
    note = f"{what}: {bad} of {rows.height:,}"
    if not bad and found.interval:
        note += f"; up to {found.interval.high:.1%} is compatible"
    return Rate(found.value, found.interval, found.n_eff, found.interval.method if found.interval else what, note)


def _calibrated(engine: Engine, scope: Scope, raw: Rate) -> Rate | None:
    """The judge's rate corrected by labels of other items that people and this version of the judge both saw."""
    before = Scope(Period(scope.period.end - timedelta(days=CALIBRATION_DAYS), scope.period.end))
    rows, _ = quality.sound(quality.newest_series(quality.verdicts(engine, before, quality.UNSUPPORTED)))
    judge, people = (quality.by_item(rows.filter(is_human)) for is_human in (pl.col("kind") != "human", pl.col("kind") == "human"))
    pairs = judge.join(people.select("item", human="is_bad"), on="item")
    wrong, right = pairs.filter(pl.col("human")), pairs.filter(~pl.col("human"))
    hits, passes = int(wrong["is_bad"].sum()), int((~right["is_bad"]).sum())
    found = stats.rogan_gladen(raw.value * raw.n_eff, raw.n_eff, hits, wrong.height, passes, right.height)
    if found is None:
        return None
    note = f"{raw.value:.1%} by the judge, who finds {hits} of {wrong.height} and clears {passes} of {right.height}"
    return Rate(found.value, found.interval, _size(found.value, found.standard_error, found.interval), "Rogan-Gladen", note)


def _uncorrected(raw: Rate) -> Rate:
    """The judge's own rate. Its interval would only tell how often the judge says so, not how often it is so."""
    note = f"{raw.note}; {ENOUGH_LABELS} answers drawn at random and labelled by people would correct it"
    return Rate(raw.value, None, 0.0, UNCORRECTED, note, is_corrected=False)


def _size(value: float, error: float | None, interval: Interval | None) -> float:
    """The plain sample whose rate would be as uncertain; at 0 and 1 the one whose Wilson interval ends where this one does."""
    if 0 < value < 1:
        return value * (1 - value) / error**2 if error else 0.0
    if interval is None:
        return 0.0
    end = interval.high if value == 0 else 1 - interval.low
    return stats.Z**2 * (1 - end) / end if end else 0.0


def _weights(probabilities: pl.Series) -> list[float]:
    """What each item stands for; without any probability all alike."""
    return [1 / (probability or 1.0) for probability in probabilities]


def _share(bad: pl.Series) -> float:
    return int(bad.sum()) / len(bad)


KPIS = (
    Kpi(
        id="unsupported_claim_rate",
        number=9,
        title="Unsupported claim rate",
        block="Quality and safety",
        unit="share",
        better="lower",
        needs=("evaluations",),
        no_data="Not sampled: no evaluations loaded",
        fills="evaluations.csv, or evaluations in OTLP traces",
        definition="Answers with at least one unsupported claim, weighted by what each sampled answer stands for (Hajek). A judge's "
        "verdicts are corrected by 100 or more random human labels (PPI++), else by a calibration (Rogan-Gladen), else shown as "
        "uncorrected and never held against a target. Another judge or version starts a new series; evaluator errors are left out.",
        dimensions=DIMENSIONS,
        measure=unsupported_claim_rate,
        is_changed=quality.is_rate_changed,
    ),
)
