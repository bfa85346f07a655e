"""AWS Cost and Usage Report 2.0, as CSV or Parquet, with the lines of Bedrock and of its models on the Marketplace.

Ids of lines change from export to export, so a file replaces what was loaded of its payer and billing period.
"""

from ingest.billing import cloud
from ingest.collector import Collector

COLUMNS = {
    "bill_payer_account_id": "text!", "bill_billing_period_start_date": "time!", "bill_billing_period_end_date": "time!",
    "line_item_usage_account_id": "text", "line_item_line_item_type": "text!", "line_item_usage_start_date": "time!",
    "line_item_usage_end_date": "time!", "line_item_product_code": "text", "line_item_usage_type": "text",
    "line_item_usage_amount": "money", "line_item_currency_code": "text!", "line_item_unblended_cost": "money!",
    "line_item_net_unblended_cost": "money?", "line_item_line_item_description": "text?", "line_item_operation": "text?",
    "line_item_resource_id": "text?", "line_item_iam_principal": "text?", "bill_invoice_id": "text?", "bill_billing_entity": "text?",
    "bill_invoicing_entity": "text?", "pricing_unit": "text?", "pricing_public_on_demand_cost": "money?", "pricing_rate_id": "text?",
    "product": "json?", "product_sku": "text?", "product_region_code": "text?", "product_product_name": "text?", "resource_tags": "json?",
}  # fmt: skip

LINES = """
    select f.source_row, line_item_unblended_cost as billed_cost,
           coalesce(line_item_net_unblended_cost, line_item_unblended_cost) as effective_cost,
           pricing_public_on_demand_cost as list_cost, cast(null as decimal(24,12)) as contracted_cost,
           upper(line_item_currency_code) as billing_currency, bill_billing_period_start_date as billing_period_start,
           bill_billing_period_end_date as billing_period_end, line_item_usage_start_date as charge_period_start,
           line_item_usage_end_date as charge_period_end, coalesce(k.value, 'Adjustment') as charge_category,
           case when lower(line_item_line_item_type) = 'refund' then 'Correction' end as charge_class,
           case when k.value is null then 'other' else k.unit_class end as charge_unit_class,
           line_item_line_item_description as charge_description,
           coalesce(product->>'product_name', product_product_name, line_item_product_code) as service_name,
           cast(null as varchar) as service_category, 'AWS' as seller,
           coalesce(bill_invoicing_entity, bill_billing_entity) as invoice_issuer_name, bill_invoice_id as invoice_id,
           bill_payer_account_id as billing_account_id, line_item_usage_account_id as sub_account_id,
           coalesce(product_region_code, product->>'region') as region_id, line_item_resource_id as resource_id,
           product_sku as sku_id, pricing_rate_id as sku_price_id, line_item_usage_amount as pricing_quantity, pricing_unit,
           line_item_usage_amount as consumed_quantity, pricing_unit as consumed_unit, cast(null as bigint) as unit_size,
           line_item_usage_account_id as project, line_item_iam_principal as api_key_id,
           case when upper(line_item_currency_code) = 'USD' then billed_cost end as usd_billed_cost,
           case when upper(line_item_currency_code) = 'USD' then effective_cost end as usd_effective_cost,
           lower(concat('provider=aws|code=', line_item_product_code, '|service=', service_name)) as who,
           [line_item_usage_type] as meter_texts, resource_tags as tag_json, cast(null as json) as details
    from source f left join meters k on k.part = 'charge' and k.provider = 'aws' and k.text = lower(line_item_line_item_type)"""

COLLECTORS = [
    Collector(
        name="aws_cur2",
        title="AWS Cost and Usage Report 2.0",
        target="charges",
        columns=COLUMNS,
        checks={
            "lower(line_item_line_item_type) = 'usage' and line_item_usage_start_date >= bill_billing_period_end_date":
                "used after its billing period",
            "line_item_usage_end_date < line_item_usage_start_date": "the usage ends before it starts",
            "line_item_usage_amount < 0 and line_item_unblended_cost > 0": "a negative quantity with a positive cost",
        },
        sql=cloud.charges(LINES), meters=cloud.METERS, total="billed_cost",
        slice=("billing_account_id", "billing_period_start"), chunked=True, replaces=("focus",),
    ),
]  # fmt: skip
