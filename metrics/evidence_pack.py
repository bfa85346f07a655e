"""The evidence pack of an audit: results, definitions, the rows behind every number, and a manifest of hashes.

The same ledger gives the same bytes: nothing in it depends on the clock, the machine or the order of loading.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import polars as pl

from metrics import scorecard
from metrics.definitions import definitions
from metrics.engines import Engine
from metrics.filters import Scope
from metrics.kpi import KpiResult, kpis

MANIFEST = "manifest.json"


def evidence_pack(engine: Engine, scope: Scope) -> dict[str, bytes]:
    """Every file of the pack by its name: results.json, definitions.json, evidence/METRIC.csv, and the manifest of their
    hashes, with the company's own settings that the numbers follow."""
    results = scorecard.scorecard(engine, scope)
    found = {
        "results.json": _json(scorecard.scorecard_json(scope, results)),
        "definitions.json": _json([_definition(metric_id) for metric_id in kpis()]),
        **{f"evidence/{result.metric_id}.csv": rows for result in results if (rows := _rows(engine, result)) is not None},
    }
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(found.items())}
    about = {"period": scope.period.label, "scope": dict(scope.dimensions), "settings": msgspec.to_builtins(definitions(engine))}
    return {**found, MANIFEST: _json({**about, "sha256": hashes})}


def _definition(metric_id: str) -> dict[str, Any]:
    kpi = kpis()[metric_id]
    return {name: getattr(kpi, name) for name in ("id", "number", "version", "title", "block", "unit", "better", "definition", "needs")}


def _rows(engine: Engine, result: KpiResult) -> bytes | None:
    """The evidence as CSV, in an order of its own: a query's ties may come in any."""
    if result.evidence is None:
        return None
    found = engine.query(result.evidence.sql, result.evidence.params)
    flat = found.with_columns(
        pl.col(name).list.eval(pl.element().cast(pl.String)).list.join(";") for name in found.columns if found[name].dtype == pl.List
    )
    return flat.sort(flat.columns, nulls_last=True).write_csv().encode()


def _json(document: Any) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True, default=_plain, ensure_ascii=False).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    return vars(value)
