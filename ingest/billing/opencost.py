"""OpenCost's allocation of a cluster's cost, as its CSV export or pages of /allocation: GPUs, idle ones too, and the rest.

What is no GPU is kept beside it without a class, so that the total of the file holds. Pages also tell hours of GPUs: each
whole hour of one becomes a row of gpu_hours. Costs are in dollars unless the cluster prices in another currency, which
OpenCost does not tell.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ingest.collector import Collector
from ingest.errors import SourceError
from ingest.probe import Probe

# Costs carry adjustments beside them; an idle share inside an allocation is part of its cost already.
CHARGES = """
with lines as ({lines}),
parts as (
    select *, gpu_cost as cost, 'gpu' as unit_class, 'AI and Machine Learning' as service_category, 'GPU' as part, gpu_hours as quantity
    from lines where gpu_cost <> 0
    union all
    select *, total_cost - gpu_cost, null, 'Compute', 'CPU, memory, storage and network', null from lines where total_cost <> gpu_cost
)
select cost as billed_cost, cost as effective_cost, 'USD' as billing_currency, date_trunc('month', starts) as billing_period_start,
       date_trunc('month', starts) + interval 1 month as billing_period_end, starts as charge_period_start, ends as charge_period_end,
       'Usage' as charge_category, concat_ws(', ', part, owner) as charge_description, 'Kubernetes' as service_name, service_category,
       'OpenCost' as provider_name, cluster as billing_account_id, namespace as sub_account_id, workload as resource_id,
       cast(quantity as decimal(24,12)) as consumed_quantity, case when quantity is not null then 'GPU hours' end as consumed_unit,
       cast(labels as varchar) as tags, 'kubernetes' as provider, cast(null as varchar) as model, cast(null as varchar) as token_class,
       unit_class, namespace as project
from parts
"""

EXPORTED = """
    select cast("Date" as timestamp) as starts, "Date" + interval 1 day as ends, coalesce(GPUCost, 0) as gpu_cost, TotalCost as total_cost,
           cast(null as decimal(24,12)) as gpu_hours, cast(null as varchar) as cluster, Namespace as namespace,
           concat_ws('/', ControllerKind, ControllerName, Pod, Container) as workload,
           concat_ws('/', Namespace, ControllerName) as owner, Labels as labels
    from source"""

ALLOCATED = """
    select *, "start" as starts, "end" as ends,
           cast(coalesce(gpuCost, 0) + coalesce(gpuCostAdjustment, 0) as decimal(24,12)) as gpu_cost, totalCost as total_cost,
           gpuHours as gpu_hours, "properties.cluster" as cluster, "properties.namespace" as namespace, name as workload,
           coalesce("properties.namespace", name) as owner, "properties.labels" as labels
    from source"""

# Hours are known one by one where a whole number of GPUs was there for whole hours; the last carries what division leaves.
HOURS = f"""
with lines as ({ALLOCATED}),
known as (
    select *, cast(gpu_hours as bigint) as n, date_diff('hour', starts, ends) as wide from lines
    where gpu_hours > 0 and gpu_hours = floor(gpu_hours) and wide > 0 and date_trunc('hour', starts) = starts and n % wide = 0
),
shares as (select *, cast(floor(gpu_cost / n * 1000000) / 1000000 as decimal(24,12)) as share, unnest(range(n)) as i from known)
select starts + cast(i % wide as bigint) * interval 1 hour as hour_start, coalesce("properties.node", '') as node,
       case when n = wide then "gpuAllocation.gpuUUID" end as gpu_id, "gpuAllocation.gpuModel" as gpu_model,
       gpuEfficiency as utilization_ratio, owner,
       cast(case when i = n - 1 then gpu_cost - share * (n - 1) else share end as decimal(24,12)) as cost_usd
from shares
"""

ALLOCATION = {
    "name": "text!", "start": "time!", "end": "time!", "totalCost": "money!", "gpuCost": "money?", "gpuCostAdjustment": "money?",
    "gpuHours": "money?", "gpuEfficiency": "number?", "gpuAllocation.gpuModel": "text?", "gpuAllocation.gpuUUID": "text?",
    "properties.cluster": "text?", "properties.node": "text?", "properties.namespace": "text?", "properties.labels": "json?",
}  # fmt: skip


def allocations(page: Any) -> Iterator[dict[str, Any]]:
    """The allocations of a page: a list of windows, each an object of allocations by name."""
    if not _is_page(page):
        raise SourceError("no answer of /allocation", "Save it as it came, with code and data")
    for window in page["data"]:
        for found in (window or {}).values():
            inner = {name: found.get(name) or {} for name in ("properties", "gpuAllocation")}
            yield {**found, **{f"{name}.{key}": value for name, about in inner.items() for key, value in about.items()}}


def _is_page(page: Any) -> bool:
    windows = page.get("data") if isinstance(page, Mapping) else None
    return isinstance(windows, list) and any(windows) and all(_is_window(window or {}) for window in windows)


def _is_window(window: Any) -> bool:
    return isinstance(window, Mapping) and all(
        isinstance(found, Mapping) and {"name", "start", "end", "totalCost"} <= found.keys() for found in window.values()
    )


def _recognise(probe: Probe) -> bool:
    return _is_page(probe.json)


CLUSTER, PERIOD = ("billing_account_id",), ("charge_period_start", "charge_period_end")
NEGATIVE = "a negative cost"

COLLECTORS = [
    Collector(
        name="opencost_csv",
        title="OpenCost CSV export",
        target="charges",
        columns={
            "Date": "date!", "Namespace": "text", "ControllerKind": "text", "ControllerName": "text", "Pod": "text?", "Container": "text?",
            "GPUs": "number?", "GPUCost": "money?", "TotalCost": "money!", "Labels": "json?",
        },
        checks={"TotalCost < 0 or GPUCost < 0": NEGATIVE},
        sql=CHARGES.format(lines=EXPORTED), total="billed_cost",
        slice=CLUSTER, period=PERIOD, chunked=True, replaces=("opencost_allocation",),
    ),
    Collector(
        name="opencost_allocation",
        title="OpenCost allocation (/allocation)",
        target="charges",
        columns=ALLOCATION, recognise=_recognise, flatten=allocations,
        checks={"totalCost < 0": NEGATIVE, '"end" < "start"': "the window ends before it starts"},
        sql=CHARGES.format(lines=ALLOCATED), total="billed_cost",
        slice=CLUSTER, period=PERIOD, replaces=("opencost_csv",),
        also=(Collector(
            name="opencost_gpu_hours",
            title="OpenCost allocation, hours of GPUs",
            target="gpu_hours",
            columns=ALLOCATION, sql=HOURS, slice=("hour_start", "node", "owner"),
        ),),
    ),
]  # fmt: skip
