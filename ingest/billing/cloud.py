"""What the bills of all clouds need alike: which AI service a line is of, what its meter means, how many tokens it counts.

The SQL reads `meters`, the table cloud_meters.csv. Its part `provider` names AI services, `noise`, `tier`, `scope` and
`meter` read the text of a meter, `model` names its model, `unit` says how many tokens a unit of a quantity is, `charge`
what a vendor's line types are in FOCUS, `category` and `details` what FOCUS itself says.
"""

METERS = "cloud_meters.csv"

# A product of the AWS Marketplace names its model.
EDITION = r"^(.+) \(amazon bedrock edition\)$"

# The service of each line of `named` by its text `who`, then its meter by `meter_texts`: the first that reads as one
# counts. A token class without a known model stays NULL: the names of meters are no model ids, and which model is meant
# is never guessed.
CLASSIFIED = f"""
    who as (select n.who, min_by(m.provider, m.rank) as provider
            from (select distinct who from named) n join meters m on m.part = 'provider' and regexp_matches(n.who, m.text) group by 1),
    lines as (select n.*, w.provider as ai_provider, coalesce(w.provider, lower(n.seller)) as provider_key
              from named n left join who w on w.who = n.who),
    candidates as (select source_row, provider_key, lower(service_name) as product,
                          list_transform(list_filter(meter_texts, lambda x: x is not null), lambda x: lower(x)) as texts
                   from lines where ai_provider is not null),
    texts as (select distinct provider_key, unnest(texts) as text from candidates),
    bare as (select t.provider_key, t.text, trim(regexp_replace(regexp_replace(t.text, n.text, '', 'g'), ' +', ' ', 'g')) as bare
             from texts t join meters n on n.part = 'noise' and n.provider = t.provider_key),
    readings as (
        select b.provider_key, b.text, regexp_extract(b.bare, m.text, 1) as name, m.token_class, m.unit_class
        from bare b join meters m on m.part = 'meter' and m.provider = b.provider_key and regexp_matches(b.bare, m.text)
        qualify row_number() over (partition by b.provider_key, b.text order by m.rank) = 1),
    said as (
        select t.provider_key, t.text, min(m.value) filter (m.part = 'tier') as tier,
               min_by(m.value, m.rank) filter (m.part = 'scope') as scope
        from texts t join meters m on m.part in ('tier', 'scope') and m.provider = t.provider_key and regexp_matches(t.text, m.text)
        group by all),
    read as (
        select c.source_row, c.provider_key, r.token_class, r.unit_class, coalesce(s.tier, 'standard') as tier, s.scope,
               coalesce(nullif(r.name, ''), regexp_extract(c.product, '{EDITION}', 1)) as name
        from candidates c join readings r on r.provider_key = c.provider_key and list_contains(c.texts, r.text)
        left join said s on s.provider_key = r.provider_key and s.text = r.text
        qualify row_number() over (partition by c.source_row order by list_position(c.texts, r.text)) = 1),
    classified as (
        select l.*, m.value as meter_model, case when m.value is not null then r.token_class end as meter_token_class,
               r.unit_class as meter_unit_class, case when r.token_class is not null and m.value is not null then r.tier end as meter_tier,
               case when r.token_class is not null and m.value is not null then r.scope end as meter_scope
        from lines l left join read r on r.source_row = l.source_row
        left join meters m on m.part = 'model' and m.provider = r.provider_key and m.text = r.name)"""

# Tags are an object in JSON, or a list of keys and values.
TAGS = """
       cast(case json_type(tag_json)
            when 'OBJECT' then tag_json
            when 'ARRAY' then to_json(map_from_entries(list_transform(
                list_filter(json_transform(tag_json, '[{"key":"VARCHAR","value":"VARCHAR"}]'), lambda x: x.key is not null),
                lambda x: row(x.key, x.value)))) end as varchar) as tags"""

# Columns of `named` that go to `charges` as they are.
KEPT = (
    "billed_cost", "effective_cost", "list_cost", "contracted_cost", "billing_currency", "billing_period_start", "billing_period_end",
    "charge_period_start", "charge_period_end", "charge_category", "charge_class", "charge_description", "invoice_issuer_name",
    "invoice_id", "billing_account_id", "sub_account_id", "region_id", "resource_id", "sku_id", "sku_price_id", "pricing_quantity",
    "pricing_unit", "project", "api_key_id", "usd_billed_cost", "usd_effective_cost",
)  # fmt: skip


def charges(named: str) -> str:
    """SQL for charges from SQL for `named`: a cloud's lines under the names of charges, and how to read them.

    Beside KEPT, `named` has source_row, service_name, service_category, seller, consumed_quantity, consumed_unit;
    who (what tells an AI service), meter_texts, unit_size (tokens in a unit where the units do not say), tag_json,
    details (FOCUS's SkuPriceDetails) and charge_unit_class (of what is no usage, where the vendor tells more than FOCUS).
    """
    return f"""
with named as ({named}),
{CLASSIFIED},
meant as (
    select c.*, coalesce(c.charge_unit_class, k.unit_class) as category_class, c.charge_unit_class is null and k.text is null as is_usage,
           case when is_usage then coalesce(d.token_class, c.meter_token_class) end as token_class,
           case when is_usage then coalesce(c.details->>'ModelId', c.meter_model) end as model
    from classified c
    left join meters k on k.part = 'category' and k.text = lower(c.charge_category)
    left join meters d on d.part = 'details'
                      and d.text = lower(concat_ws(' ', c.details->>'TokenDirection', c.details->>'TokenCacheAction'))
)
select {", ".join(f"l.{name}" for name in KEPT)}, l.service_name as service_name, seller as provider_name,
       case when ai_provider is not null then 'AI and Machine Learning' else l.service_category end as service_category,
       case when l.token_class is null then l.consumed_quantity
            else cast(coalesce(l.consumed_quantity * cast(c.value as bigint), l.pricing_quantity * cast(p.value as bigint),
                               l.pricing_quantity * cast(l.unit_size as bigint)) as decimal(24,12)) end as consumed_quantity,
       case when l.token_class is null then l.consumed_unit
            when coalesce(c.value, p.value) is not null or l.unit_size is not null then 'Tokens' end as consumed_unit,
       {TAGS},
       l.provider_key as provider, l.model as model, l.token_class as token_class,
       case when not is_usage then category_class
            when l.token_class is null then coalesce(
                l.meter_unit_class, case when ai_provider is not null or l.service_category = 'AI and Machine Learning' then 'other' end)
            end as unit_class,
       case when is_usage then l.meter_tier end as service_tier, case when is_usage then l.meter_scope end as region_scope
from meant l
left join meters c on c.part = 'unit' and c.text = lower(l.consumed_unit) and coalesce(c.provider, l.provider_key) = l.provider_key
left join meters p on p.part = 'unit' and p.text = lower(l.pricing_unit) and coalesce(p.provider, l.provider_key) = l.provider_key
"""
