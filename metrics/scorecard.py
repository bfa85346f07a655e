"""The scorecard: every KPI of a scope with its state, its target, its status and its change against the window before."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from metrics.engines import Engine
from metrics.filters import Scope
from metrics.kpi import Kpi, KpiResult, Measurement, State, Status, Target, kpis
from metrics.registers import REGISTERS, valid
from metrics.rejected import REASON, rejected

log = logging.getLogger(__name__)

MEASURED: tuple[State, ...] = ("OK", "LOW_CONFIDENCE", "PARTIAL")
ENOUGH_COVERAGE = 0.9
IMPROVE = "improve"

# When what a KPI is computed from was last loaded.
FRESHNESS = {"usage_hour": "select max(l.finished_at) as at from loads l where l.source in ('otlp', 'otlp/http') and l.rows > 0"}
FRESHNESS_OF_TABLE = "select max(l.finished_at) as at from loads l where l.id in (select t.load_id from {rows})"

TARGETS = """
select t.scope as scope, t.target as target, t.direction as direction, t.amber_margin as amber_margin, t.set_by as set_by,
       t.valid_from as valid_from
from targets t where t.metric_id = $metric_id and t.valid_from < $as_of and (t.valid_to is null or $as_of <= t.valid_to)
order by t.valid_from desc
"""


def scorecard(engine: Engine, scope: Scope) -> list[KpiResult]:
    """Every KPI in the order of its number."""
    return [evaluate(engine, kpi, scope) for kpi in kpis().values()]


def evaluate(engine: Engine, kpi: Kpi, scope: Scope, is_compared: bool = True) -> KpiResult:
    """One KPI of one scope; `is_compared` also measures the window before."""
    found, state = _measure(engine, kpi, scope)
    measured = state in MEASURED
    before, state_before = _measure(engine, kpi, scope.with_period(scope.period.previous())) if measured and is_compared else (None, None)
    is_changed = kpi.is_changed(before, found) if before is not None and state_before in MEASURED else None
    target = target_of(engine, kpi.id, scope)
    improved = None if is_changed is None or before is None else is_changed and _better(kpi, found, before)
    low, high = found.interval or (None, None)
    return KpiResult(
        metric_id=kpi.id,
        metric_version=kpi.version,
        scope=dict(scope.dimensions),
        window_start=scope.period.start,
        window_end=scope.period.end,
        as_of=scope.period.end,
        value=found.value if measured else None,
        unit=kpi.unit,
        numerator=found.numerator,
        denominator=found.denominator,
        n=found.n,
        interval_low=low,
        interval_high=high,
        interval_method=found.interval_method,
        coverage=found.coverage,
        exclusions=_exclusions(engine, kpi, scope, found),
        evidence=found.evidence,
        target=None if target is None else IMPROVE if target.value is None else target.value,
        direction=target.direction if target else None,
        amber_margin=target.amber_margin if target else None,
        status=status(found, state, target, improved),
        state=state,
        freshness=_freshness(engine, kpi, scope),
        note=found.note,
        target_set_by=target.set_by if target else None,
        previous_value=before.value if before is not None and state_before in MEASURED else None,
        is_changed=is_changed,
    )


def status(found: Measurement, state: State, target: Target | None, improved: bool | None) -> Status:
    """Off target: the whole interval misses, or without one the value by more than the margin. On target: value and whole
    interval meet. Else at risk. PARTIAL and LOW_CONFIDENCE are at best at risk."""
    if state not in MEASURED or found.value is None:
        return "not measured"
    if target is None or not found.is_judgeable:
        return "none"
    if target.value is None:
        judged: Status = "on target" if improved else "at risk"
    else:
        judged = _against(found, _meets(target))
    return "at risk" if judged == "on target" and state != "OK" else judged


def target_of(engine: Engine, metric_id: str, scope: Scope) -> Target | None:
    """The target that held at the end of the window, for the scope's own system or team before the whole company's."""
    rows = engine.query(TARGETS, {"metric_id": metric_id, "as_of": scope.period.end}).to_dicts()
    own = {f"{name}={value}" for name, value in scope.dimensions.items()}
    fitting = [row for row in rows if row["scope"] in own] or [row for row in rows if row["scope"] in (None, "", "company")]
    if not fitting:
        return None
    row = fitting[0]
    try:
        value = None if row["target"] == IMPROVE else float(row["target"])
    except ValueError:
        log.warning("target %r of %s is neither a number nor %r", row["target"], metric_id, IMPROVE)
        return None
    return Target(value, row["direction"], row["amber_margin"] or 0.0, row["set_by"], row["valid_from"])


def scorecard_json(scope: Scope, results: Sequence[KpiResult]) -> dict[str, Any]:
    """The document of `spanledger kpis --json`."""
    period = scope.period
    return {
        "period": {"start": period.start, "end": period.end, "as_of": period.end},
        "scope": dict(scope.dimensions),
        "kpis": [asdict(result) for result in results],
    }


def _measure(engine: Engine, kpi: Kpi, scope: Scope) -> tuple[Measurement, State]:
    """The measurement and its state. A KPI that fails is an ERROR with its reason and never counts as a miss."""
    if any(_is_empty(engine, table, scope) for table in kpi.needs):
        return Measurement(None, note=_without(engine, kpi, scope)), "NO_DATA"
    if unsupported := scope.unsupported(kpi.dimensions):
        return Measurement(None, note=f"Not kept by {' or '.join(unsupported)}"), "NOT_APPLICABLE"
    try:
        found = kpi.measure(engine, scope)
    except Exception as error:
        log.exception("KPI %s failed", kpi.id)
        return Measurement(None, note=f"Could not be computed: {error}"), "ERROR"
    return found, found.state or ("PARTIAL" if found.coverage is not None and found.coverage < ENOUGH_COVERAGE else "OK")


def _meets(target: Target) -> Callable[[float, bool], bool]:
    """(value, with margin) -> whether it meets the target."""
    assert target.value is not None
    goal, margin = target.value, target.amber_margin

    def meets(value: float, with_margin: bool) -> bool:
        slack = margin if with_margin else 0.0
        return value >= goal - slack if target.direction == "at_least" else value <= goal + slack

    return meets


def _against(found: Measurement, meets: Callable[[float, bool], bool]) -> Status:
    assert found.value is not None
    if found.interval is not None:
        inside = [meets(end, False) for end in found.interval]
        return "off target" if not any(inside) else "on target" if all(inside) and meets(found.value, False) else "at risk"
    return "on target" if meets(found.value, False) else "at risk" if meets(found.value, True) else "off target"


def _better(kpi: Kpi, after: Measurement, before: Measurement) -> bool:
    if after.value is None or before.value is None:
        return False
    return after.value > before.value if kpi.better == "higher" else after.value < before.value


def _is_empty(engine: Engine, table: str, scope: Scope) -> bool:
    rows, params = _rows(table, scope)
    return bool(engine.query(f"select count(*) as n from {rows}", params)["n"][0] == 0)


def _without(engine: Engine, kpi: Kpi, scope: Scope) -> str:
    """Why a KPI without its source is not measured."""
    if kpi.without is None:
        return kpi.no_data
    try:
        return kpi.without(engine, scope)
    except Exception:
        log.exception("KPI %s could not say more about its missing source", kpi.id)
        return kpi.no_data


def _rows(table: str, scope: Scope) -> tuple[str, dict[str, datetime]]:
    """A table as the end of the window knows it, as `t`: of a register the versions that held then."""
    if table not in REGISTERS:
        return f"{table} t", {}
    return f"{table} t where {valid('t')}", {"end": scope.period.end}


def _exclusions(engine: Engine, kpi: Kpi, scope: Scope, found: Measurement) -> Mapping[str, int]:
    refused = sum(rejected(engine, table, scope) for table in kpi.needs)
    return {**found.exclusions, REASON: refused} if refused else found.exclusions


def _freshness(engine: Engine, kpi: Kpi, scope: Scope) -> datetime | None:
    """The oldest of the newest loads of what the KPI needs."""
    found: list[datetime | None] = []
    for table in kpi.needs:
        rows, params = _rows(table, scope)
        own = FRESHNESS.get(table)
        found.append(engine.query(own or FRESHNESS_OF_TABLE.format(rows=rows), {} if own else params)["at"][0])
    return min((at for at in found if at is not None), default=None)


def trend(engine: Engine, kpi: Kpi, scopes: Sequence[Scope]) -> list[KpiResult]:
    """The KPI in several windows, without comparisons."""
    return [evaluate(engine, kpi, scope, is_compared=False) for scope in scopes]


def value(engine: Engine, kpi: Kpi, scope: Scope) -> float | None:
    """Only the number of one scope, for a line among many; None where it is not measured."""
    found, state = _measure(engine, kpi, scope)
    return found.value if state in MEASURED else None


def breakdown(engine: Engine, kpi: Kpi, scope: Scope, dimension: str, values: Sequence[str]) -> Mapping[str, KpiResult]:
    """The KPI of each value of a dimension."""
    return {
        value: evaluate(engine, kpi, scope.with_dimensions({**scope.dimensions, dimension: value}), is_compared=False) for value in values
    }
