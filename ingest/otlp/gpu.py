"""GPU readings and the hours they make: how busy a GPU was, what it used, and for whom.

Readings stay in `gpu_points`, one per GPU, measure and moment, and an hour is always computed from all readings that bear
on it: any split, order or repetition of the same readings gives the same `gpu_hours`.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import duckdb
import msgspec
import polars as pl

from ingest.otlp.messages import short_text
from ingest.otlp.tables import table

# Who a reading is of, by label in order of precedence. A scrape that keeps its own labels moves the exporter's to exported_*.
NODE = ("Hostname", "k8s.node.name", "host.name", "node", "service.instance.id", "instance")
GPU = ("UUID", "hw.id", "hw.serial_number", "gpu", "device")
MODEL = ("modelName", "hw.model", "hw.name")
OWNER = ("exported_namespace", "namespace")
OWNER_OF_HARDWARE = ("k8s.namespace.name",)  # in DCGM's case this is where the exporter runs
TASK = ("hw.gpu.task", "task")

TOTAL = "_total"  # on its way through Prometheus a counter's name may get it
MAX_RATIO = 1.0
# Beyond these a value is the exporter's mark for "not measured" (DCGM's blank values), or a mistake.
LARGEST = {"engine_ratio": MAX_RATIO, "busy_ratio": MAX_RATIO, "energy_kwh": 1e9, "power_w": 1e5}


class GpuPoint(msgspec.Struct, frozen=True):
    """One reading. `since_us` is set where the value is what was used since then, not a counter's state."""

    node: str | None
    gpu_id: str
    measure: str  # engine_ratio | busy_ratio | energy_kwh | power_w
    at_us: int
    value: float
    gpu_model: str | None
    owner: str | None
    source: str
    since_us: int | None = None


@cache
def _metrics() -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in table("gpu_metrics.csv")}


def keeps(name: str) -> bool:
    """Whether a metric is one of GPUs."""
    return name.removesuffix(TOTAL) in _metrics()


def point(name: str, unit: str, labels: Mapping[str, Any], value: float, at_us: int, since_us: int | None = None) -> GpuPoint | None:
    """The reading, or None for what is of another kind of hardware or of one task only.

    Raises ValueError with the rule that it breaks.
    """
    metric = _metrics()[name.removesuffix(TOTAL)]
    if name in ("hw.energy", "hw.power") and labels.get("hw.type") != "gpu":
        return None
    if (_first(labels, TASK) or "general") != "general":
        return None
    gpu_id = _first(labels, GPU)
    if gpu_id is None:
        raise ValueError("a GPU metric without the id of its GPU")
    measure, is_hardware = metric["measure"], metric["family"] == "hw"
    value *= 0.01 if is_hardware and unit == "%" else float(metric["factor"])
    if not 0 <= value <= LARGEST[measure]:
        raise ValueError(f"{measure} is out of range")
    owner = _first(labels, (*OWNER, *OWNER_OF_HARDWARE) if is_hardware else OWNER)
    since_us = since_us if measure == "energy_kwh" else None
    return GpuPoint(_first(labels, NODE), gpu_id, measure, at_us, value, _first(labels, MODEL), owner, metric["family"], since_us)


def _first(labels: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((text for name in names if (text := short_text(labels.get(name)))), None)


def write(cursor: duckdb.DuckDBPyConnection, points: Sequence[GpuPoint], load_id: int) -> int:
    """Write readings inside the caller's transaction and rebuild the hours they bear on; the number of readings."""
    columns = {name: [getattr(found, name) for found in points] for name in GpuPoint.__struct_fields__}
    schema = {name: pl.Float64 if name == "value" else pl.Int64 if name.endswith("_us") else pl.String for name in columns}
    frame = pl.DataFrame(columns, schema).with_columns(
        pl.col("at_us").cast(pl.Datetime("us")).alias("measured_at"),
        pl.col("since_us").cast(pl.Datetime("us")).alias("since"),
        pl.lit(load_id, pl.Int64).alias("load_id"),
    )
    cursor.register("readings", frame.drop("at_us", "since_us"))
    for statement in STATEMENTS:
        cursor.execute(statement)
    cursor.unregister("readings")
    return len(points)


SAME_GPU = "{0}.gpu_id = {1}.gpu_id and {0}.node is not distinct from {1}.node"
SAME_READING = f"{SAME_GPU} and {{0}}.measure = {{1}}.measure and {{0}}.measured_at = {{1}}.measured_at"
# Two readings further apart say nothing of the time between.
LONGEST_GAP = "interval 24 hours"

STATEMENTS = (
    # Of two values for one moment (one line for each pod that shares a GPU) the greatest stays.
    f"""
create or replace temp table gpu_new as
select * from (select * from readings union all by name
               select p.* from gpu_points p semi join readings r on {SAME_READING.format("p", "r")})
qualify row_number() over (partition by node, gpu_id, measure, measured_at
                           order by value desc, since, gpu_model nulls last, owner nulls last, source, load_id) = 1
""",
    f"delete from gpu_points p using gpu_new n where {SAME_READING.format('p', 'n')}",
    "insert into gpu_points by name select * from gpu_new",
    # A counter's use between two readings belongs to the hours between them: from the reading before to the one after.
    f"""
create or replace temp table gpu_touched as
with own as (
    select node, gpu_id, measure, min(measured_at) as first_at, max(measured_at) as last_at, min(since) as since from gpu_new group by all
), around as (
    select o.node, o.gpu_id, o.measure, any_value(o.first_at) as first_at, any_value(o.last_at) as last_at, any_value(o.since) as since,
           max(p.measured_at) filter (p.measured_at < o.first_at) as before_at,
           min(p.measured_at) filter (p.measured_at > o.last_at) as after_at
    from own o join gpu_points p on {SAME_GPU.format("o", "p")} and o.measure = p.measure
     and p.measured_at >= o.first_at - {LONGEST_GAP} and p.measured_at <= o.last_at + {LONGEST_GAP}
    where p.measured_at >= (select min(first_at) from own) - {LONGEST_GAP}
    group by o.node, o.gpu_id, o.measure
)
select node, gpu_id, date_trunc('hour', min(least(coalesce(before_at, first_at), coalesce(since, first_at)))) as from_hour,
       date_trunc('hour', max(coalesce(after_at, last_at))) as last_hour
from around group by node, gpu_id
""",
    f"""
delete from gpu_hours h using gpu_touched t
where {SAME_GPU.format("h", "t")} and h.hour_start between t.from_hour and t.last_hour and h.source in ('dcgm', 'hw')
""",
    f"""
insert into gpu_hours by name
with near as (
    select p.*, t.from_hour, t.last_hour, lag(p.measured_at) over w as before_at, lag(p.value) over w as before_value
    from gpu_points p join gpu_touched t on {SAME_GPU.format("p", "t")}
     and p.measured_at >= t.from_hour - {LONGEST_GAP} and p.measured_at < t.last_hour + interval 1 hour + {LONGEST_GAP}
    where p.measured_at >= (select min(from_hour) from gpu_touched) - {LONGEST_GAP}
    window w as (partition by p.node, p.gpu_id, p.measure order by p.measured_at)
), stretches as (
    -- A counter that fell was started again, and shows what was used since.
    select n.*, coalesce(n.since, n.before_at) as start_at,
           case when n.measure = 'power_w' then (n.value + n.before_value) / 2000 * epoch(n.measured_at - n.before_at) / 3600
                when n.since is not null or n.value < n.before_value then n.value
                else n.value - n.before_value end as kwh
    from near n
    where n.measure in ('energy_kwh', 'power_w') and coalesce(n.since, n.before_at) < n.measured_at
      and n.measured_at - coalesce(n.since, n.before_at) <= {LONGEST_GAP}
), shares as (
    select s.*, s.kwh * epoch(least(s.measured_at, s.hour + interval 1 hour) - greatest(s.start_at, s.hour))
                / epoch(s.measured_at - s.start_at) as share
    from (select s.*, unnest(generate_series(date_trunc('hour', s.start_at), s.measured_at - interval 1 microsecond,
                                             interval 1 hour)) as hour
          from stretches s) s
), facts as (
    select node, gpu_id, from_hour, last_hour, date_trunc('hour', measured_at) as hour, measure, value, gpu_model, owner, source, load_id
    from near
    union all by name
    select node, gpu_id, from_hour, last_hour, hour, measure || ' used' as measure, share as value, gpu_model, owner, source, load_id
    from shares
), owners as (
    select node, gpu_id, hour, max_by(owner, {{'n': n, 'owner': owner}}) as owner
    from (select node, gpu_id, hour, owner, count(*) as n from facts where owner is not null group by all) group by all
)
select f.node, f.gpu_id, f.hour as hour_start, max(f.gpu_model) as gpu_model, any_value(o.owner) as owner, min(f.source) as source,
       -- The engine's own measure where there is one; "a kernel ran" otherwise. Rounded: sums depend on their order.
       round(coalesce(avg(f.value) filter (f.measure = 'engine_ratio'), avg(f.value) filter (f.measure = 'busy_ratio')), 9)
           as utilization_ratio,
       round(coalesce(sum(f.value) filter (f.measure = 'energy_kwh used'), sum(f.value) filter (f.measure = 'power_w used')), 9)
           as energy_kwh,
       min(f.load_id) as load_id
from facts f left join owners o on {SAME_GPU.format("o", "f")} and o.hour = f.hour
where f.hour between f.from_hour and f.last_hour
group by f.node, f.gpu_id, f.hour
""",
)
