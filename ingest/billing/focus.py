"""FOCUS 1.0 to 1.4 of any provider, as CSV or Parquet; what it says of tokens is read from the meters of the AI services."""

from ingest.billing import cloud
from ingest.collector import Collector

COLUMNS = {
    "BilledCost": "money!", "EffectiveCost": "money", "ListCost": "money?", "ContractedCost": "money?", "BillingCurrency": "text!",
    "BillingPeriodStart": "time!", "BillingPeriodEnd": "time!", "ChargePeriodStart": "time!", "ChargePeriodEnd": "time!",
    "ChargeCategory": "text!", "ChargeClass": "text?", "ChargeDescription": "text?", "ServiceName": "text", "ServiceCategory": "text",
    "ProviderName": "text?", "PublisherName": "text?", "ServiceProviderName": "text?", "HostProviderName": "text?",
    "InvoiceIssuerName": "text?", "InvoiceId": "text?", "BillingAccountId": "text!", "SubAccountId": "text?", "RegionId": "text?",
    "ResourceId": "text?", "SkuId": "text?", "SkuPriceId": "text?", "SkuMeter": "text?", "SkuPriceDetails": "text?",
    "PricingQuantity": "money?", "PricingUnit": "text?", "ConsumedQuantity": "money?", "ConsumedUnit": "text?", "Tags": "text?",
    "CredentialId": "text?", "PricingCurrency": "text?", "PricingCurrencyEffectiveCost": "money?",
    "x_ServiceCode": "text?", "x_UsageType": "text?", "x_SkuMeterName": "text?", "x_SkuMeterCategory": "text?",
    "x_SkuMeterSubcategory": "text?", "x_SkuDescription": "text?", "x_PricingBlockSize": "money?",
    "x_BilledCostInUsd": "money?", "x_EffectiveCostInUsd": "money?",
}

# Exports keep the text of a meter in different columns. Tags may come without the braces.
LINES = """
    select source_row, BilledCost as billed_cost, EffectiveCost as effective_cost, ListCost as list_cost,
           ContractedCost as contracted_cost, upper(BillingCurrency) as billing_currency,
           BillingPeriodStart as billing_period_start, BillingPeriodEnd as billing_period_end,
           ChargePeriodStart as charge_period_start, ChargePeriodEnd as charge_period_end, ChargeCategory as charge_category,
           ChargeClass as charge_class, ChargeDescription as charge_description, ServiceName as service_name,
           ServiceCategory as service_category,
           coalesce(ServiceProviderName, ProviderName, HostProviderName, PublisherName) as seller,
           InvoiceIssuerName as invoice_issuer_name, InvoiceId as invoice_id, BillingAccountId as billing_account_id,
           SubAccountId as sub_account_id, RegionId as region_id, ResourceId as resource_id, SkuId as sku_id,
           SkuPriceId as sku_price_id, PricingQuantity as pricing_quantity, PricingUnit as pricing_unit,
           ConsumedQuantity as consumed_quantity, ConsumedUnit as consumed_unit, x_PricingBlockSize as unit_size,
           SubAccountId as project, CredentialId as api_key_id,
           case when upper(BillingCurrency) = 'USD' then BilledCost else x_BilledCostInUsd end as usd_billed_cost,
           case when upper(BillingCurrency) = 'USD' then EffectiveCost
                else coalesce(x_EffectiveCostInUsd, case when upper(PricingCurrency) = 'USD' then PricingCurrencyEffectiveCost end)
                end as usd_effective_cost,
           cast(null as varchar) as charge_unit_class,
           lower(concat('provider=', seller, '|code=', x_ServiceCode, '|service=', ServiceName, '|meter=', x_SkuMeterCategory, ' ',
                        x_SkuMeterSubcategory)) as who,
           [x_UsageType, x_SkuMeterName, SkuMeter, x_SkuDescription, ChargeDescription] as meter_texts,
           coalesce(try_cast(Tags as json), try_cast('{' || Tags || '}' as json)) as tag_json,
           try_cast(SkuPriceDetails as json) as details
    from source"""

COLLECTORS = [
    Collector(
        name="focus",
        title="FOCUS cost and usage dataset (1.0 to 1.4)",
        target="charges",
        columns=COLUMNS,
        sql=cloud.charges(LINES), meters=cloud.METERS, total="billed_cost",
        slice=("billing_account_id", "billing_period_start", "invoice_issuer_name"), chunked=True, replaces=("aws_cur2", "gcp_billing"),
    ),
]
