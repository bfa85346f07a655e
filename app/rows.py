"""KPI results as the rows and sentences that readers see; pure functions of results."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app import quantities
from app.cards import ScorecardRow, kpi_href
from app.marks import Bullet
from metrics import census
from metrics.kpi import KpiResult, Status, kpis

LIMITS = {"share": 1.0}
GAPS: tuple[Status, ...] = ("off target", "at risk")


@dataclass(frozen=True)
class Finding:
    """Something that a reader should know, and below it what it rests on."""

    words: str
    detail: str


def scorecard_row(result: KpiResult, trend: Sequence[float | None], is_open: bool, query: Mapping[str, str]) -> ScorecardRow:
    """One KPI for the scorecard."""
    kpi = kpis()[result.metric_id]
    value, unit = quantities.format_value(result.value, result.unit)
    return ScorecardRow(
        title=kpi.title,
        href=kpi_href(kpi.title, query),
        value_text=value,
        unit_text=unit,
        bullet=bullet(result),
        target_text=quantities.target_words(result.target, result.direction, result.unit),
        change_text=change(result),
        spark=trend,
        open_last=is_open,
        evidence_text=evidence(result),
        status=result.status,
        reason=result.note or kpi.no_data,
        fills=kpi.fills if result.state == "NO_DATA" else "",
        interval_text=interval(result),
    )


def bullet(result: KpiResult) -> Bullet | None:
    """The value against a numeric target; None where nothing is measured."""
    if result.value is None:
        return None
    target = result.target if isinstance(result.target, float) else None
    return Bullet(
        result.value,
        kpis()[result.metric_id].better,
        target,
        result.amber_margin or 0.0,
        result.interval_low,
        result.interval_high,
        LIMITS.get(result.unit),
    )


def change(result: KpiResult) -> str:
    """What the value did since the window before."""
    return quantities.change_words(result.previous_value, result.value, result.unit, is_supported=bool(result.is_changed))


def interval(result: KpiResult) -> str:
    if result.interval_low is None:
        return ""
    if result.interval_method == census.RANGE:
        return f"range {quantities.interval(result.interval_low, result.interval_high, result.unit)}"
    return f"95{quantities.NB}%: {quantities.interval(result.interval_low, result.interval_high, result.unit)}"


def evidence(result: KpiResult) -> str:
    """How much stands behind the number, in three words."""
    if result.coverage is not None and result.coverage < 0.995:
        return f"{quantities.percent(result.coverage)} covered"
    if result.metric_id == "unit_cost":
        return f"{quantities.count(result.n)} req."
    if result.metric_id == "incident_rate":
        return f"{result.n} incidents" if result.n != 1 else "1 incident"
    return f"n{quantities.NB}{quantities.count(result.n)}"


def counts(results: Sequence[KpiResult]) -> Mapping[Status, int]:
    return Counter(result.status for result in results)


def headline(results: Sequence[KpiResult]) -> str:
    """The title of the posture page, by rule: how many are on target, what clearly changed, where the main gap is."""
    measured = [result for result in results if result.status not in ("not measured", "none")]
    if not measured:
        return "Nothing is measured yet against a target"
    on_target = sum(result.status == "on target" for result in measured)
    parts = [f"{on_target} of {len(measured)} measured KPIs on target"]
    titles = {result.metric_id: kpis()[result.metric_id].title for result in results}
    gaps = sorted((result for result in measured if result.status in GAPS), key=lambda result: GAPS.index(result.status))
    moved = [result for result in measured if result.is_changed and result not in gaps[:1]]
    if moved:
        first = min(moved, key=lambda result: (result.metric_id != "unit_cost", kpis()[result.metric_id].number))
        parts.append(f"{_lower(titles[first.metric_id])} {change(first)}")
    if gaps and gaps[0].status == "off target":
        parts.append(f"{_lower(titles[gaps[0].metric_id])} is the main gap")
    elif gaps:
        parts.append(f"{_lower(titles[gaps[0].metric_id])} is at risk")
    return "; ".join(parts)


def changed(results: Sequence[KpiResult]) -> list[Finding]:
    """KPIs whose change the evidence supports."""
    found = [result for result in results if result.is_changed]
    return [
        Finding(
            f"{kpis()[result.metric_id].title} {change(result)}",
            f"to {quantities.quantity(result.value, result.unit)} from {quantities.quantity(result.previous_value, result.unit)}",
        )
        for result in found
    ]


def gaps(results: Sequence[KpiResult]) -> list[Finding]:
    """KPIs that miss their target or may: how far, and who set it."""
    found = sorted((result for result in results if result.status in GAPS), key=lambda result: GAPS.index(result.status))
    return [
        Finding(
            f"{kpis()[result.metric_id].title}: {quantities.quantity(result.value, result.unit)}",
            " · ".join(
                filter(
                    None,
                    [
                        f"target {quantities.target_words(result.target, result.direction, result.unit)}",
                        f"set by {result.target_set_by}" if result.target_set_by else "",
                        result.status,
                    ],
                )
            ),
        )
        for result in found
    ]


def facts(result: KpiResult) -> list[tuple[str, str]]:
    """Where a KPI's number comes from, name and value."""
    unit = result.unit
    pairs = [
        (
            "Target",
            quantities.target_words(result.target, result.direction, unit)
            + (f", set by {result.target_set_by}" if result.target_set_by else ""),
        ),
        ("Interval", f"{interval(result)} ({result.interval_method})" if result.interval_low is not None else "none: not a sampled number"),
        ("Before", quantities.quantity(result.previous_value, unit) + (f", {change(result)}" if result.previous_value is not None else "")),
        ("Numerator", _plain(result.numerator, unit)),
        ("Denominator", _plain(result.denominator, "")),
        ("Coverage", quantities.percent(result.coverage)),
        ("Left out", ", ".join(f"{n:,} {reason}" for reason, n in result.exclusions.items()) or "nothing"),
        ("Loaded", quantities.moment(result.freshness) if result.freshness else quantities.UNKNOWN),
        ("Note", result.note or quantities.UNKNOWN),
    ]
    return [(name, text) for name, text in pairs if text != quantities.UNKNOWN]


def _plain(value: float | None, unit: str) -> str:
    if value is None:
        return quantities.UNKNOWN
    return quantities.money_cents(value) if unit == "usd" else f"{value:,.0f}"


def _lower(title: str) -> str:
    """A title inside a sentence: abbreviations keep their capitals."""
    return title if title[:2].isupper() else title[0].lower() + title[1:]
