"""Azure's cost exports, actual and amortized, under the headers of every kind of agreement and language.

An amortized export spreads purchases of commitments over the days that used them, so its rows replace actual ones of the
same account and days, and an actual export is refused where amortized costs are loaded: both together count twice. Both
have the same header; what tells them apart is usage under a commitment with a cost of its own.
"""

import duckdb

from ingest.billing import cloud
from ingest.collector import Collector
from ingest.probe import Probe
from ingest.table import stage

COLUMNS = {
    "Date": "us_date!", "Cost": "money!", "BillingCurrency": "text!", "SubscriptionId": "text", "MeterCategory": "text",
    "BillingAccountId": "text?", "BillingPeriodStartDate": "us_date?", "BillingPeriodEndDate": "us_date?", "MeterSubCategory": "text?",
    "MeterName": "text?", "MeterId": "text?", "PartNumber": "text?", "Product": "text?", "Quantity": "money?", "UnitOfMeasure": "text?",
    "PayGPrice": "money?", "ServiceFamily": "text?", "ConsumedService": "text?", "ResourceId": "text?", "ResourceLocation": "text?",
    "Tags": "text?", "ChargeType": "text?", "PricingModel": "text?", "PublisherType": "text?", "PublisherName": "text?",
    "InvoiceId": "text?", "CostInUsd": "money?", "PricingCurrency": "text?", "CostInPricingCurrency": "money?",
}  # fmt: skip
ALIASES = {
    "Date": ("UsageDateTime", "UsageDate"), "Cost": ("CostInBillingCurrency", "PreTaxCost"),
    "BillingCurrency": ("BillingCurrencyCode", "Currency"), "SubscriptionId": ("SubscriptionGuid",), "Product": ("ProductName",),
    "Quantity": ("UsageQuantity",), "ResourceId": ("InstanceId", "InstanceName"),
}  # fmt: skip

# Under a commitment usage costs nothing in an actual export, and what was not used has no row.
AMORTIZED = """
    lower(ChargeType) like 'unused%'
    or lower(PricingModel) in ('reservation', 'savingsplan') and lower(ChargeType) = 'usage' and Cost <> 0"""

# A meter says per how many tokens it counts only where the unit of measure does not.
LINES = r"""
    select f.source_row, Cost as billed_cost, Cost as effective_cost,
           try_cast(try_cast(Quantity as decimal(19,8)) * try_cast(PayGPrice as decimal(19,8)) as decimal(24,12)) as list_cost,
           cast(null as decimal(24,12)) as contracted_cost, upper(BillingCurrency) as billing_currency,
           cast(coalesce(BillingPeriodStartDate, date_trunc('month', f."Date")) as timestamp) as billing_period_start,
           coalesce(BillingPeriodEndDate + interval 1 day, date_trunc('month', f."Date") + interval 1 month) as billing_period_end,
           cast(f."Date" as timestamp) as charge_period_start, f."Date" + interval 1 day as charge_period_end,
           case when ChargeType is null then 'Usage' else coalesce(k.value, 'Adjustment') end as charge_category,
           case when lower(ChargeType) = 'refund' then 'Correction' end as charge_class,
           case when ChargeType is null then null when k.value is null then 'other' else k.unit_class end as charge_unit_class,
           coalesce(Product, MeterName) as charge_description, MeterCategory as service_name,
           case when ServiceFamily = 'AI + Machine Learning' then 'AI and Machine Learning' else ServiceFamily end as service_category,
           case when lower(PublisherType) = 'marketplace' then coalesce(PublisherName, 'Microsoft') else 'Microsoft' end as seller,
           'Microsoft' as invoice_issuer_name, InvoiceId as invoice_id, BillingAccountId as billing_account_id,
           SubscriptionId as sub_account_id, lower(ResourceLocation) as region_id, ResourceId as resource_id, MeterId as sku_id,
           PartNumber as sku_price_id, Quantity as pricing_quantity, UnitOfMeasure as pricing_unit,
           Quantity as consumed_quantity, UnitOfMeasure as consumed_unit,
           case when UnitOfMeasure is not null then null when regexp_matches(lower(MeterName), '\b1m\b') then 1000000 else 1000 end
               as unit_size,
           SubscriptionId as project, cast(null as varchar) as api_key_id,
           case when upper(BillingCurrency) = 'USD' then Cost
                else coalesce(CostInUsd, case when upper(PricingCurrency) = 'USD' then CostInPricingCurrency end) end as usd_billed_cost,
           usd_billed_cost as usd_effective_cost,
           lower(concat('provider=microsoft|code=', ConsumedService, '|service=azure|meter=',
                        concat_ws(' ', MeterCategory, MeterSubCategory, MeterName))) as who,
           [MeterName] as meter_texts,
           coalesce(try_cast(Tags as json), try_cast('{' || Tags || '}' as json)) as tag_json, cast(null as json) as details
    from source f left join meters k on k.part = 'charge' and k.provider = 'azure' and k.text = lower(ChargeType)"""

# What a file replaces: all days between its first and its last, of each subscription that it has.
COVERED = """
select a.billing_account_id, {sub_account_id} as sub_account_id, a.charge_period_start, a.charge_period_end
from (select BillingAccountId as billing_account_id, cast(min("Date") as timestamp) as charge_period_start,
             max("Date") + interval 1 day as charge_period_end from source group by 1) a"""
SUBSCRIPTIONS = """
join (select distinct BillingAccountId, SubscriptionId from source) s on s.BillingAccountId is not distinct from a.billing_account_id"""
COVERS = COVERED.format(sub_account_id="s.SubscriptionId") + SUBSCRIPTIONS
# Purchases may stand under a subscription that did not use them, so amortized costs take the place of all subscriptions.
COVERS_ACCOUNT = f"{COVERS} union all {COVERED.format(sub_account_id='cast(null as varchar)')}"

REFUSE = """
select concat('amortized costs', ' of account ' || f.billing_account_id, ' are loaded for ', cast(f.charge_period_start as date), ' to ',
              cast(f.charge_period_end - interval 1 day as date), ', actual ones would count them twice'),
       'Load the amortized export of these days instead'
from ({covered}) f
where exists (from charges c where c.source = 'azure_amortized' and c.billing_account_id is not distinct from f.billing_account_id
                and c.charge_period_start < f.charge_period_end and c.charge_period_end > f.charge_period_start)
""".format(covered=COVERED.format(sub_account_id="null"))

CHECKS = {
    'lower(ChargeType) = \'usage\' and "Date" > BillingPeriodEndDate': "used after its billing period",
    "BillingPeriodEndDate < BillingPeriodStartDate": "the billing period ends before it starts",
    "Quantity < 0 and Cost > 0": "a negative quantity with a positive cost",
}


def is_amortized(probe: Probe) -> bool:
    """Whether a cost export holds what only amortized ones do; the whole file is read."""
    if not ACTUAL.matches(probe):
        return False
    with duckdb.connect() as database:
        stage(database, probe, ACTUAL)
        return bool(database.execute(f"select count(*) from source where {AMORTIZED}").fetchall()[0][0])


ACTUAL = Collector(
    name="azure_actual",
    title="Azure cost export, actual cost",
    target="charges",
    columns=COLUMNS, aliases=ALIASES, checks=CHECKS,
    sql=cloud.charges(LINES), meters=cloud.METERS, total="billed_cost",
    slice=("billing_account_id", "sub_account_id"), period=("charge_period_start", "charge_period_end"), covers=COVERS,
    chunked=True, refuse=REFUSE, replaces=("focus",),
)  # fmt: skip

COLLECTORS = [
    ACTUAL,
    Collector(
        name="azure_amortized",
        title="Azure cost export, amortized cost",
        target="charges",
        columns=COLUMNS, aliases=ALIASES, checks=CHECKS, recognise=is_amortized,
        sql=cloud.charges(LINES), meters=cloud.METERS, total="billed_cost",
        slice=("billing_account_id", "sub_account_id"), period=("charge_period_start", "charge_period_end"), covers=COVERS_ACCOUNT,
        chunked=True, replaces=("azure_actual", "focus"),
    ),
]  # fmt: skip
