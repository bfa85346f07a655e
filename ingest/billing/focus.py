"""FOCUS 1.0 to 1.4 of any provider, as CSV or Parquet; what it says of tokens is read from the meters of the AI services."""

from collections.abc import Sequence

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

# Where exports keep the text of a meter; the first one that reads as a meter counts.
METER_TEXTS = ("x_UsageType", "x_SkuMeterName", "SkuMeter", "x_SkuDescription", "ChargeDescription")

# A product of the AWS Marketplace names its model.
EDITION = r"^(.+) \(amazon bedrock edition\)$"


def classified(lines: str, texts: Sequence[str]) -> str:
    """SQL that reads meters: the rows of table `lines` (with provider_key, service_name, source_row) and what `meters` says.

    Adds meter_model, meter_token_class, meter_unit_class and meter_tier. A token class without a known model stays
    NULL: the names of meters are no model ids, and which model is meant is never guessed.
    """
    candidates = ", ".join(f"lower({text})" for text in texts)
    return f"""
    candidates as (select source_row, provider_key, lower(service_name) as product,
                          list_filter([{candidates}], lambda x: x is not null) as texts
                   from {lines} where ai_provider is not null),
    texts as (select distinct provider_key, unnest(texts) as text from candidates),
    bare as (select t.provider_key, t.text, trim(regexp_replace(regexp_replace(t.text, n.text, '', 'g'), ' +', ' ', 'g')) as bare
             from texts t join meters n on n.part = 'noise' and n.provider = t.provider_key),
    readings as (
        select b.provider_key, b.text, regexp_extract(b.bare, m.text, 1) as name, m.token_class, m.unit_class
        from bare b join meters m on m.part = 'meter' and m.provider = b.provider_key and regexp_matches(b.bare, m.text)
        qualify row_number() over (partition by b.provider_key, b.text order by m.rank) = 1),
    tiers as (select t.provider_key, t.text, min(m.value) as tier
              from texts t join meters m on m.part = 'tier' and m.provider = t.provider_key and regexp_matches(t.text, m.text)
              group by all),
    read as (
        select c.source_row, c.provider_key, r.token_class, r.unit_class, coalesce(t.tier, 'standard') as tier,
               coalesce(nullif(r.name, ''), regexp_extract(c.product, '{EDITION}', 1)) as name
        from candidates c join readings r on r.provider_key = c.provider_key and list_contains(c.texts, r.text)
        left join tiers t on t.provider_key = r.provider_key and t.text = r.text
        qualify row_number() over (partition by c.source_row order by list_position(c.texts, r.text)) = 1),
    classified as (
        select l.*, m.value as meter_model, case when m.value is not null then r.token_class end as meter_token_class,
               r.unit_class as meter_unit_class, case when r.token_class is not null and m.value is not null then r.tier end as meter_tier
        from {lines} l left join read r on r.source_row = l.source_row
        left join meters m on m.part = 'model' and m.provider = r.provider_key and m.text = r.name)"""


# Tags are an object in JSON, a list of keys and values, or pairs without the braces.
CHARGES = f"""
with named as (
    select *, coalesce(ServiceProviderName, ProviderName, HostProviderName, PublisherName) as seller, ServiceName as service_name,
           lower(concat('provider=', coalesce(ServiceProviderName, ProviderName, HostProviderName, PublisherName), '|code=', x_ServiceCode,
                        '|service=', ServiceName, '|meter=', x_SkuMeterCategory, ' ', x_SkuMeterSubcategory)) as who,
           coalesce(try_cast(Tags as json), try_cast('{{' || Tags || '}}' as json)) as tag_json,
           try_cast(SkuPriceDetails as json) as details
    from source
),
who as (select n.who, min_by(m.provider, m.rank) as provider
        from (select distinct who from named) n join meters m on m.part = 'provider' and regexp_matches(n.who, m.text) group by 1),
lines as (select n.*, w.provider as ai_provider, coalesce(w.provider, lower(n.seller)) as provider_key
          from named n left join who w on w.who = n.who),
{classified("lines", METER_TEXTS)},
meant as (
    select c.*, k.unit_class as category_class, k.text is null as is_usage,
           case when k.text is null then coalesce(d.token_class, c.meter_token_class) end as token_class,
           case when k.text is null then coalesce(c.details->>'ModelId', c.meter_model) end as model
    from classified c
    left join meters k on k.part = 'category' and k.text = lower(c.ChargeCategory)
    left join meters d on d.part = 'details'
                      and d.text = lower(concat_ws(' ', c.details->>'TokenDirection', c.details->>'TokenCacheAction'))
)
select BilledCost as billed_cost, EffectiveCost as effective_cost, ListCost as list_cost, ContractedCost as contracted_cost,
       upper(BillingCurrency) as billing_currency, BillingPeriodStart as billing_period_start, BillingPeriodEnd as billing_period_end,
       ChargePeriodStart as charge_period_start, ChargePeriodEnd as charge_period_end, ChargeCategory as charge_category,
       ChargeClass as charge_class, ChargeDescription as charge_description, l.service_name as service_name,
       ServiceCategory as service_category, seller as provider_name, InvoiceIssuerName as invoice_issuer_name, InvoiceId as invoice_id,
       BillingAccountId as billing_account_id, SubAccountId as sub_account_id, RegionId as region_id, ResourceId as resource_id,
       SkuId as sku_id, SkuPriceId as sku_price_id, PricingQuantity as pricing_quantity, PricingUnit as pricing_unit,
       case when l.token_class is null then ConsumedQuantity
            else cast(coalesce(ConsumedQuantity * cast(c.value as bigint), PricingQuantity * cast(p.value as bigint),
                               PricingQuantity * cast(x_PricingBlockSize as bigint)) as decimal(24,12)) end as consumed_quantity,
       case when l.token_class is null then ConsumedUnit
            when coalesce(c.value, p.value) is not null or x_PricingBlockSize is not null then 'Tokens' end as consumed_unit,
       cast(case json_type(tag_json)
            when 'OBJECT' then tag_json
            when 'ARRAY' then to_json(map_from_entries(list_transform(
                list_filter(json_transform(tag_json, '[{{"key":"VARCHAR","value":"VARCHAR"}}]'), lambda x: x.key is not null),
                lambda x: row(x.key, x.value)))) end as varchar) as tags,
       l.provider_key as provider, l.model as model, l.token_class as token_class,
       case when not is_usage then category_class
            when l.token_class is null then coalesce(
                l.meter_unit_class, case when ai_provider is not null or ServiceCategory = 'AI and Machine Learning' then 'other' end)
            end as unit_class,
       case when is_usage then l.meter_tier end as service_tier, SubAccountId as project, CredentialId as api_key_id,
       case when upper(BillingCurrency) = 'USD' then BilledCost else x_BilledCostInUsd end as usd_billed_cost,
       case when upper(BillingCurrency) = 'USD' then EffectiveCost
            else coalesce(x_EffectiveCostInUsd, case when upper(PricingCurrency) = 'USD' then PricingCurrencyEffectiveCost end)
            end as usd_effective_cost
from meant l
left join meters c on c.part = 'unit' and c.text = lower(ConsumedUnit) and coalesce(c.provider, l.provider_key) = l.provider_key
left join meters p on p.part = 'unit' and p.text = lower(PricingUnit) and coalesce(p.provider, l.provider_key) = l.provider_key
"""

COLLECTORS = [
    Collector(
        name="focus",
        title="FOCUS cost and usage dataset (1.0 to 1.4)",
        target="charges",
        columns=COLUMNS,
        sql=CHARGES, meters="cloud_meters.csv", total="billed_cost",
        slice=("billing_account_id", "billing_period_start", "invoice_issuer_name"), chunked=True,
    ),
]
