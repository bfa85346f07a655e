"""Databricks' billable usage (system.billing.usage) at its list prices (system.billing.list_prices), as CSV or Parquet.

List prices are loaded first and kept in the price book under their SKU, so that usage can be priced at its own hour.
Corrections are rows of their own, negative ones too, and are added up. An export holds whole days of usage.
"""

from ingest.collector import Collector

# Prices of the book that this module put there; a withdrawn one has no rate.
PRICED = """
    from source u left join prices p on p.source = 'databricks_list_prices' and p.usd_per_million is not null and p.model = u.sku_name
         and p.token_class = lower(u.usage_unit) and u.usage_start_time >= p.valid_from
         and (p.valid_to is null or u.usage_start_time < p.valid_to)"""

# A rate per million times a quantity is past what a decimal holds: both are cut to what they need first.
CHARGES = f"""
with priced as (
    select u.*, cast(cast(u.usage_quantity as decimal(22,12)) * cast(p.usd_per_million * 0.000001 as decimal(16,12)) as decimal(24,12))
           as cost
    {PRICED}
)
select cost as billed_cost, cost as effective_cost, cost as list_cost, 'USD' as billing_currency,
       date_trunc('month', usage_start_time) as billing_period_start,
       date_trunc('month', usage_start_time) + interval 1 month as billing_period_end,
       usage_start_time as charge_period_start, usage_end_time as charge_period_end, 'Usage' as charge_category,
       case when upper(record_type) <> 'ORIGINAL' then 'Correction' end as charge_class,
       concat_ws(', ', sku_name, usage_metadata->>'endpoint_name') as charge_description,
       coalesce(billing_origin_product, 'Databricks') as service_name, s.service_category as service_category,
       'Databricks' as provider_name, 'Databricks' as invoice_issuer_name, account_id as billing_account_id,
       workspace_id as sub_account_id, coalesce(usage_metadata->>'endpoint_name', usage_metadata->>'endpoint_id') as resource_id,
       sku_name as sku_id, usage_quantity as pricing_quantity, usage_unit as pricing_unit, usage_quantity as consumed_quantity,
       usage_unit as consumed_unit, cast(custom_tags as varchar) as tags, 'databricks' as provider, cast(null as varchar) as model,
       case when s.text is not null then coalesce(t.unit_class, 'other') end as unit_class, workspace_id as project,
       identity_metadata->>'run_as' as api_key_id
from priced
left join meters s on s.part = 'product' and s.text = upper(billing_origin_product)
left join meters t on t.part = 'usage_type' and t.text = upper(usage_type)
"""

UNPRICED = f"""
select concat('no list price of ', u.sku_name, ' per ', u.usage_unit, ' at ', u.usage_start_time),
       'Load system.billing.list_prices first, then this file again'
{PRICED}
where p.model is null order by u.sku_name, u.usage_start_time limit 1
"""

COVERS = """
select account_id as billing_account_id, min(date_trunc('day', usage_start_time)) as charge_period_start,
       max(date_trunc('day', usage_start_time)) + interval 1 day as charge_period_end
from source group by 1"""

PRICE = "try_cast(coalesce(pricing->'effective_list'->>'default', pricing->>'default') as decimal(16,12))"
PRICES = f"""
select source_row, 'databricks' as provider, sku_name as model, 'any' as region_scope, 'standard' as service_tier,
       cast(0 as bigint) as min_context_tokens, lower(usage_unit) as token_class, 'list' as kind,
       cast({PRICE} * 1000000 as decimal(24,12)) as usd_per_million,
       price_start_time as valid_from, price_end_time as valid_to, price_start_time as recorded_at
from source
"""

COLLECTORS = [
    Collector(
        name="databricks_list_prices",
        title="Databricks list prices (system.billing.list_prices)",
        target="prices",
        columns={"price_start_time": "time!", "price_end_time": "time?", "sku_name": "text!", "currency_code": "text!",
                 "usage_unit": "text!", "pricing": "json!"},
        checks={
            "upper(currency_code) <> 'USD'": "a price that is not in USD",
            f"{PRICE} is null": "no price in pricing",
        },
        sql=PRICES, key=("provider", "model", "token_class", "valid_from"),
    ),
    Collector(
        name="databricks_usage",
        title="Databricks usage at list prices (system.billing.usage)",
        target="charges",
        columns={
            "account_id": "text!", "workspace_id": "text", "sku_name": "text!", "usage_start_time": "time!", "usage_end_time": "time!",
            "usage_unit": "text!", "usage_quantity": "money!", "record_type": "text?", "custom_tags": "json?", "usage_metadata": "json?",
            "identity_metadata": "json?", "billing_origin_product": "text?", "usage_type": "text?",
        },
        checks={
            "usage_quantity < 0 and upper(coalesce(record_type, 'ORIGINAL')) = 'ORIGINAL'": "negative usage that retracts nothing",
            "usage_end_time < usage_start_time": "the usage ends before it starts",
        },
        sql=CHARGES, meters="databricks_meters.csv", total="billed_cost", refuse=UNPRICED,
        slice=("billing_account_id",), period=("charge_period_start", "charge_period_end"), covers=COVERS, chunked=True,
    ),
]  # fmt: skip
