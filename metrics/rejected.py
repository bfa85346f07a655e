"""Rows that were refused when they were read, counted with what a KPI leaves out."""

from metrics.engines import Engine
from metrics.filters import Scope
from metrics.registers import REGISTERS, valid

REASON = "rejected when loaded"

# A refused row may not even tell its date: it belongs to the windows that other rows of its file belong to.
IN_WINDOW = {
    "incidents": "coalesce(t.started_at, t.detected_at) >= $start and coalesce(t.started_at, t.detected_at) < $end",
    "reviews": "coalesce(t.decided_at, t.submitted_at) >= $start and t.submitted_at < $end",
    "releases": "t.released_at >= $start and t.released_at < $end",
    "release_checks": "t.release_id in (select r.release_id from releases r where r.released_at >= $start and r.released_at < $end)",
    "decisions": "t.decided_on >= $start and t.decided_on < $end",
    "evaluations": "t.evaluated_at >= $start and t.evaluated_at < $end",
}
COUNT = "select count(*) as n from rejects x where x.load_id in (select t.load_id from {table} t where {condition})"


def rejected(engine: Engine, table: str, scope: Scope) -> int:
    """The refused rows of the files that a table has rows of: a register as the end of the window knows it, records of the window."""
    if table in REGISTERS:
        return int(engine.query(COUNT.format(table=table, condition=valid("t")), {"end": scope.period.end})["n"][0])
    if table in IN_WINDOW:
        window = {"start": scope.period.start, "end": scope.period.end}
        return int(engine.query(COUNT.format(table=table, condition=IN_WINDOW[table]), window)["n"][0])
    return 0
