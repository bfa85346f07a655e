"""What a KPI is, what it returns with its evidence, and the states and statuses that a result can have."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Literal

from metrics.engines import Engine
from metrics.filters import Scope

State = Literal["OK", "LOW_CONFIDENCE", "PARTIAL", "NO_DATA", "NOT_APPLICABLE", "ERROR"]
Status = Literal["on target", "at risk", "off target", "none", "not measured"]
BLOCKS = ("Delivery and reuse", "Reliability and cost", "Quality and safety", "Governance and trust")


@dataclass(frozen=True)
class Evidence:
    """The query that lists the rows behind a number, and its parameters."""

    sql: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Measurement:
    """What a KPI's own function finds for one scope, before targets and status."""

    value: float | None
    numerator: float | None = None
    denominator: float | None = None
    n: int | None = None
    interval: tuple[float, float] | None = None
    interval_method: str | None = None
    is_census_range: bool = False  # the interval is a range of what is not known, not of sampling
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)  # what a comparison of two windows needs
    coverage: float | None = None
    exclusions: Mapping[str, int] = field(default_factory=dict)
    state: State | None = None  # set where the data say more than the general rules do
    is_judgeable: bool = True  # whether a target may colour it; an uncorrected judge's rate says too little
    note: str = ""
    evidence: Evidence | None = None


@dataclass(frozen=True)
class Kpi:
    """One KPI, declared in one place; the scorecard, its page, the README row and the tests follow from it."""

    id: str
    number: int
    title: str
    block: str
    unit: Literal["share", "hours", "days", "usd", "per_million", "score"]
    better: Literal["higher", "lower"]
    needs: tuple[str, ...]  # tables; NO_DATA while one of them was never filled
    no_data: str  # why it is not measured, in words
    fills: str  # the file or source that would fill it
    definition: str
    dimensions: tuple[str, ...]  # what it can be filtered and broken down by
    measure: Callable[[Engine, Scope], Measurement]
    is_changed: Callable[[Measurement, Measurement], bool]  # whether the window before and this one truly differ
    trend_by: Literal["week", "month"] = "month"
    without: Callable[[Engine, Scope], str] | None = None  # why it is not measured, with what the ledger knows all the same
    version: int = 1


@dataclass(frozen=True)
class Target:
    """A target as the register had it at the end of the period: a number, or `improve` against the period before."""

    value: float | None  # None: improve
    direction: Literal["at_least", "at_most"]
    amber_margin: float
    set_by: str | None = None
    valid_from: datetime | None = None


@dataclass(frozen=True)
class KpiResult:
    """One KPI for one scope and window, with everything that a reader needs to trust it."""

    metric_id: str
    metric_version: int
    scope: Mapping[str, str]
    window_start: datetime
    window_end: datetime
    as_of: datetime
    value: float | None
    unit: str
    numerator: float | None
    denominator: float | None
    n: int | None
    interval_low: float | None
    interval_high: float | None
    interval_method: str | None
    coverage: float | None
    exclusions: Mapping[str, int]
    evidence: Evidence | None
    target: float | str | None
    direction: str | None
    amber_margin: float | None
    status: Status
    state: State
    freshness: datetime | None
    note: str
    target_set_by: str | None = None
    previous_value: float | None = None
    is_changed: bool | None = None  # whether the evidence supports a change; None when there is nothing to compare


@cache
def kpis() -> dict[str, Kpi]:
    """Every declared KPI by id, in the order of their numbers: each module of metrics lists its own in `KPIS`."""
    package = importlib.import_module("metrics")
    found = [
        kpi
        for info in pkgutil.iter_modules(package.__path__)
        for kpi in getattr(importlib.import_module(f"metrics.{info.name}"), "KPIS", ())
    ]
    return {kpi.id: kpi for kpi in sorted(found, key=lambda kpi: kpi.number)}
