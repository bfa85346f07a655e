"""FOCUS 1.0 to 1.4 of any provider, as CSV or Parquet; what it says of tokens is read from the meters of the AI services.

A file replaces what it or a provider's own export told of the same account and billing period: the same money in another
format. A showback that was exported from here is refused, because it hands on money that is here already.
"""

from ingest.billing import cloud
from ingest.collector import Collector

COLUMNS = {
    "BilledCost": "money!",
    "EffectiveCost": "money",
    "ListCost": "money?",
    "ContractedCost": "money?",
    "BillingCurrency": "text!",
    "BillingPeriodStart": "time!",
    "BillingPeriodEnd": "time!",
    "ChargePeriodStart": "time!",
    "ChargePeriodEnd": "time!",
    "ChargeCategory": "text!",
    "ChargeClass": "text?",
    "ChargeDescription": "text?",
    "ServiceName": "text",
    "ServiceCategory": "text",
    "ProviderName": "text?",
    "PublisherName": "text?",
    "ServiceProviderName": "text?",
    "HostProviderName": "text?",
    "InvoiceIssuerName": "text?",
    "InvoiceId": "text?",
    "BillingAccountId": "text!",
    "SubAccountId": "text?",
    "RegionId": "text?",
    "ResourceId": "text?",
    "SkuId": "text?",
    "SkuPriceId": "text?",
    "SkuMeter": "text?",
    "SkuPriceDetails": "text?",
    "PricingQuantity": "money?",
    "PricingUnit": "text?",
    "ConsumedQuantity": "money?",
    "ConsumedUnit": "text?",
    "Tags": "text?",
    "CredentialId": "text?",
    "PricingCurrency": "text?",
    "PricingCurrencyEffectiveCost": "money?",
    "x_ServiceCode": "text?",
    "x_UsageType": "text?",
    "x_SkuMeterName": "text?",
    "x_SkuMeterCategory": "text?",
    "x_SkuMeterSubcategory": "text?",
    "x_SkuDescription": "text?",
    "x_PricingBlockSize": "money?",
    "x_BilledCostInUsd": "money?",
    "x_EffectiveCostInUsd": "money?",
    "x_BillingAccountId": "text?",
    "x_SpanledgerShowback": "text?",
}

# Microsoft writes ids as paths, and names the billing profile where its own export names the account.
ACCOUNT = "regexp_extract(coalesce(x_BillingAccountId, BillingAccountId), '^(/.*/)?(.+)$', 2)"
SUB_ACCOUNT = "nullif(regexp_extract(SubAccountId, '^(/.*/)?(.+)$', 2), '')"

# A period of Google's begins at midnight in California: what is within a day's time zones of a month is that month, so that
# one month is one period in every format.
MONTH = """case when abs(epoch({0}) - epoch(date_trunc('month', {0} + interval 12 hour))) <= 14 * 3600
                then date_trunc('month', {0} + interval 12 hour) else {0} end"""

# Exports keep the text of a meter in different columns. Tags may come without the braces.
LINES = f"""
    select source_row, BilledCost as billed_cost, EffectiveCost as effective_cost, ListCost as list_cost,
           ContractedCost as contracted_cost, upper(BillingCurrency) as billing_currency,
           {MONTH.format("BillingPeriodStart")} as billing_period_start,
           {MONTH.format("BillingPeriodEnd")} as billing_period_end,
           ChargePeriodStart as charge_period_start, ChargePeriodEnd as charge_period_end, ChargeCategory as charge_category,
           ChargeClass as charge_class, ChargeDescription as charge_description, ServiceName as service_name,
           ServiceCategory as service_category,
           coalesce(ServiceProviderName, ProviderName, HostProviderName, PublisherName) as seller,
           InvoiceIssuerName as invoice_issuer_name, InvoiceId as invoice_id, {ACCOUNT} as billing_account_id,
           {SUB_ACCOUNT} as sub_account_id, RegionId as region_id, ResourceId as resource_id, SkuId as sku_id,
           SkuPriceId as sku_price_id, PricingQuantity as pricing_quantity, PricingUnit as pricing_unit,
           ConsumedQuantity as consumed_quantity, ConsumedUnit as consumed_unit, x_PricingBlockSize as unit_size,
           sub_account_id as project, CredentialId as api_key_id,
           case when upper(BillingCurrency) = 'USD' then BilledCost else x_BilledCostInUsd end as usd_billed_cost,
           case when upper(BillingCurrency) = 'USD' then EffectiveCost
                else coalesce(x_EffectiveCostInUsd, case when upper(PricingCurrency) = 'USD' then PricingCurrencyEffectiveCost end)
                end as usd_effective_cost,
           cast(null as varchar) as charge_unit_class,
           lower(concat('provider=', seller, '|code=', x_ServiceCode, '|service=', ServiceName, '|meter=', x_SkuMeterCategory, ' ',
                        x_SkuMeterSubcategory)) as who,
           [x_UsageType, x_SkuMeterName, SkuMeter, x_SkuDescription, ChargeDescription] as meter_texts,
           coalesce(try_cast(Tags as json), try_cast('{{' || Tags || '}}' as json)) as tag_json,
           try_cast(SkuPriceDetails as json) as details
    from source"""

OWN_SHOWBACK = """
select concat('a showback that Spanledger exported of the bills of ', s.InvoiceIssuerName, ', which are here and would count twice'),
       'Load it into a ledger without these bills'
from source s
where s.x_SpanledgerShowback is not null
  and exists (from ai_charges c where coalesce(c.invoice_issuer_name, c.provider_name, c.provider) = s.x_SpanledgerShowback
                and c.charge_period_start >= s.ChargePeriodStart and c.charge_period_start < s.ChargePeriodEnd)
limit 1"""

COLLECTORS = [
    Collector(
        name="focus",
        title="FOCUS cost and usage dataset (1.0 to 1.4)",
        target="charges",
        columns=COLUMNS,
        checks={
            "lower(ChargeCategory) = 'usage' and ChargeClass is null and ChargePeriodStart >= BillingPeriodEnd + interval 1 day":
                "used after its billing period",
            "ChargePeriodEnd < ChargePeriodStart": "the charge ends before it starts",
            "BillingPeriodEnd <= BillingPeriodStart": "the billing period ends before it starts",
            "least(ConsumedQuantity, PricingQuantity) < 0 and BilledCost > 0": "a negative quantity with a positive cost",
        },
        sql=cloud.charges(LINES),
        meters=cloud.METERS,
        total="billed_cost",
        slice=("billing_account_id", "invoice_issuer_name"),
        period=("billing_period_start", "billing_period_end"),
        parts=("sub_account_id",),
        chunked=True,
        refuse=OWN_SHOWBACK,
        replaces=("aws_cur2", "gcp_billing", "azure_actual", "azure_amortized"),
    ),
]  # fmt: skip
