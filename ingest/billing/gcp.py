"""Google Cloud's standard and detailed billing export: nested JSON lines or Parquet, or CSV flattened with dots.

A line carries its credits, so a charge is its cost with the credits taken off, and the cost before them is the contracted
one. Lines keep arriving after their day: a file replaces what was loaded of its account and invoice month between its
first and last hour of usage, whenever that was exported. Files of one load add up.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ingest.billing import cloud
from ingest.collector import Collector
from ingest.probe import Probe

COLUMNS = {
    "billing_account_id": "text!", "service.description": "text", "sku.description": "text", "usage_start_time": "time!",
    "usage_end_time": "time!", "cost": "money!", "currency": "text!", "invoice.month": "text!", "service.id": "text?", "sku.id": "text?",
    "project.id": "text?", "labels": "json?", "project.labels": "json?", "location.region": "text?", "location.location": "text?",
    "cost_at_list": "money?", "currency_conversion_rate": "money?", "usage.amount": "money?", "usage.unit": "text?",
    "usage.amount_in_pricing_units": "money?", "usage.pricing_unit": "text?", "credits": "json?", "cost_type": "text?",
    "resource.name": "text?", "resource.global_name": "text?", "adjustment_info.id": "text?",
}  # fmt: skip
ALIASES = {name: (name.replace(".", "_"),) for name in COLUMNS if "." in name}

MONTH = "try_strptime(\"invoice.month\", '%Y%m')"

CREDITS = """from_json(case when json_type(credits) = 'ARRAY' then credits end, '[{"amount":"VARCHAR"}]')"""

# The rate is that of one dollar in the currency of the bill.
LINES = f"""
    select f.source_row, cast(cost + coalesce(list_sum(list_transform({CREDITS}, lambda x: cast(x.amount as decimal(24,12)))), 0)
                              as decimal(24,12)) as billed_cost, billed_cost as effective_cost,
           cost_at_list as list_cost, cost as contracted_cost, upper(currency) as billing_currency,
           {MONTH} as billing_period_start, {MONTH} + interval 1 month as billing_period_end,
           usage_start_time as charge_period_start, usage_end_time as charge_period_end,
           case when cost_type is null then 'Usage' else coalesce(k.value, 'Adjustment') end as charge_category,
           case when lower(cost_type) = 'adjustment' or "adjustment_info.id" is not null then 'Correction' end as charge_class,
           case when cost_type is null then null when k.value is null then 'other' else k.unit_class end as charge_unit_class,
           "sku.description" as charge_description, "service.description" as service_name, cast(null as varchar) as service_category,
           'Google Cloud' as seller, 'Google Cloud' as invoice_issuer_name, cast(null as varchar) as invoice_id, billing_account_id,
           "project.id" as sub_account_id, coalesce("location.region", "location.location") as region_id,
           coalesce("resource.global_name", "resource.name") as resource_id, "sku.id" as sku_id, cast(null as varchar) as sku_price_id,
           "usage.amount_in_pricing_units" as pricing_quantity, "usage.pricing_unit" as pricing_unit,
           "usage.amount" as consumed_quantity, "usage.unit" as consumed_unit, cast(null as bigint) as unit_size,
           "project.id" as project, cast(null as varchar) as api_key_id,
           case when upper(currency) = 'USD' then billed_cost
                else cast(billed_cost / nullif(currency_conversion_rate, 0) as decimal(24,12)) end as usd_billed_cost,
           usd_billed_cost as usd_effective_cost,
           lower(concat('provider=google cloud|code=', "service.id", '|service=', "service.description")) as who,
           ["sku.description"] as meter_texts, coalesce(labels, "project.labels") as tag_json, cast(null as json) as details
    from source f left join meters k on k.part = 'charge' and k.provider = 'gcp' and k.text = lower(cost_type)"""

COVERS = f"""
select billing_account_id, {MONTH} as billing_period_start, min(usage_start_time) as charge_period_start,
       max(usage_end_time) as charge_period_end
from source group by 1, 2"""


def flat_rows(document: Any) -> Iterator[dict[str, Any]]:
    """Rows of a document with their records as columns, `service.description`; repeated fields stay what they are."""
    for row in document if isinstance(document, list) else [document]:
        yield dict(_flat(row, ""))


def _flat(record: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _recognise(probe: Probe) -> bool:
    first = probe.json[0] if isinstance(probe.json, list) and probe.json else probe.json
    columns = probe.columns or (tuple(next(flat_rows(first))) if isinstance(first, Mapping) else ())
    return bool(columns) and not EXPORT.missing(columns)


EXPORT = Collector(
    name="gcp_billing",
    title="Google Cloud billing export, standard or detailed",
    target="charges",
    columns=COLUMNS, aliases=ALIASES, recognise=_recognise, flatten=flat_rows,
    checks={
        f"{MONTH} is null": "invoice.month is no month",
        f"json_type(credits) <> 'ARRAY' or len(list_filter({CREDITS}, lambda x: try_cast(x.amount as decimal(24,12)) is null)) > 0":
            "credits are no list of amounts",
        f"coalesce(lower(cost_type), 'regular') = 'regular' and usage_start_time >= {MONTH} + interval 1 month + interval 1 day":
            "used after its invoice month",
        "usage_end_time < usage_start_time": "the usage ends before it starts",
        '"usage.amount" < 0 and cost > 0': "a negative quantity with a positive cost",
    },
    sql=cloud.charges(LINES), meters=cloud.METERS, total="billed_cost",
    slice=("billing_account_id", "billing_period_start"), period=("charge_period_start", "charge_period_end"), covers=COVERS,
    chunked=True, replaces=("focus",),
)  # fmt: skip

COLLECTORS = [EXPORT]
