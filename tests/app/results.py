"""KPI results for tests of what is written about them; what is not given is unknown."""

from datetime import datetime
from typing import Any

from metrics.kpi import KpiResult, kpis

START, END = datetime(2026, 9, 1), datetime(2026, 10, 1)


def result(metric_id: str = "cache_hit_rate", value: float | None = 0.3, **facts: Any) -> KpiResult:
    """September's result of a KPI: measured, without target, interval or comparison."""
    given: dict[str, Any] = {
        "metric_version": 1,
        "scope": {},
        "window_start": START,
        "window_end": END,
        "as_of": END,
        "unit": kpis()[metric_id].unit,
        "numerator": None,
        "denominator": None,
        "n": 8542,
        "interval_low": None,
        "interval_high": None,
        "interval_method": None,
        "coverage": None,
        "exclusions": {},
        "evidence": None,
        "target": None,
        "direction": None,
        "amber_margin": None,
        "status": "none" if value is not None else "not measured",
        "state": "OK" if value is not None else "NO_DATA",
        "freshness": None,
        "note": "",
    }
    return KpiResult(metric_id=metric_id, value=value, **given | facts)
