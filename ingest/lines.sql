-- Traces and bills as lines that compare and share out: per day, project, model, tier and token class.

-- A provider without a price of its own for cached tokens bills them as input, one without a price for 1-hour writes as
-- 5-minute writes: the price of every class, as `cost_usd` applies it.
create or replace macro class_prices(price) as {
    'uncached_input': price.uncached_input, 'cache_read': coalesce(price.cache_read, price.uncached_input),
    'cache_write_5m': coalesce(price.cache_write_5m, price.uncached_input),
    'cache_write_1h': coalesce(price.cache_write_1h, price.cache_write_5m, price.uncached_input), 'output': price.output};

create or replace macro known_tier(tier) as case when tier in ('batch', 'flex', 'priority') then tier else 'standard' end;

create or replace macro usd(tokens, usd_per_million) as cast(tokens * usd_per_million * 0.000001 as decimal(38,12));

-- What the traces explain between two times. Known tokens of calls that reached a provider, priced at list (standard tier,
-- no context tier, cache writes at the 5-minute rate) and at what the price book predicts, with the steps between them:
-- list_usd + cache_write_1h_usd + context_tier_usd + service_tier_usd + contract_usd = predicted_usd. A model that only a
-- contract names is at list what the contract says. `edge_tokens` are those within 10 minutes of midnight: 'first' or 'last'.
-- Prices are looked up by the hour: they change at hours, if not at days.
create or replace macro traced_lines(since, until) as table (
    with thresholds as materialized (
        select coalesce(list(distinct p.min_context_tokens), []) as over from prices p
    ), known as (
        select date_trunc('hour', c.started_at) as hour, c.provider, c.project, c.model, c.region_scope, known_tier(c.service_tier) as service_tier,
               c.system, c.team, c.feature, c.tenant, c.prompt_version, c.cost_center,
               coalesce(list_max(list_filter(h.over, lambda tokens: tokens < c.input_tokens)), 0) as over_tokens,
               case when c.started_at < date_trunc('day', c.started_at) + interval 10 minutes then 'first'
                    when c.started_at >= date_trunc('day', c.started_at) + interval '23 hours 50 minutes' then 'last' end as edge,
               c.input_tokens, coalesce(c.cache_read_tokens, 0) as read, coalesce(c.cache_write_tokens, 0) as written,
               coalesce(c.cache_write_1h_tokens, 0) as written_1h, c.output_tokens,
               c.token_convention = 'unknown' or list_contains(c.flags, 'cache_unknown') as is_cache_hidden
        from calls c cross join thresholds h
        where c.started_at >= since and c.started_at < until and c.tokens_estimated is not true and c.response_cached is not true
          and (c.input_tokens is not null or c.output_tokens is not null)
    ), grouped as (
        select hour, provider, project, model, region_scope, service_tier, system, team, feature, tenant, prompt_version, cost_center,
               over_tokens, edge, coalesce(is_cache_hidden, false) as is_cache_hidden, count(*) as calls,
               sum(input_tokens - read - written) as uncached_input, sum(read) as cache_read, sum(written - written_1h) as cache_write_5m,
               sum(written_1h) as cache_write_1h, sum(output_tokens) as output
        from known group by all
    ), asked as (
        select row_number() over () as key, * from (select distinct hour, provider, model, region_scope, service_tier, over_tokens from grouped)
    ), wanted as (
        select 4 * key + step as id, hour as at, provider, model, region_scope, step < 3 as list_only,
               case when step >= 2 then service_tier else 'standard' end as service_tier,
               case when step >= 1 then over_tokens + 1 else 0 end as context_tokens
        from asked cross join range(4) as steps(step)
    ), found as materialized (
        select p.id, class_prices(p.price) as price from price_of('wanted') p
    ), priced as (
        select a.*, coalesce(list.price, book.price) as list_price, coalesce(context.price, list.price, book.price) as context_price,
               coalesce(tier.price, context.price, list.price, book.price) as tier_price, book.price as book_price
        from asked a
        left join found list on list.id = 4 * a.key
        left join found context on context.id = 4 * a.key + 1
        left join found tier on tier.id = 4 * a.key + 2
        left join found book on book.id = 4 * a.key + 3
    ), classed as (
        select g.* exclude (uncached_input, cache_read, cache_write_5m, cache_write_1h, output), unnest([
            {'token_class': 'uncached_input', 'tokens': g.uncached_input, 'list': p.list_price.uncached_input, 'term': p.list_price.uncached_input,
             'context': p.context_price.uncached_input, 'tier': p.tier_price.uncached_input, 'book': p.book_price.uncached_input},
            {'token_class': 'cache_read', 'tokens': g.cache_read, 'list': p.list_price.cache_read, 'term': p.list_price.cache_read,
             'context': p.context_price.cache_read, 'tier': p.tier_price.cache_read, 'book': p.book_price.cache_read},
            {'token_class': 'cache_write_5m', 'tokens': g.cache_write_5m, 'list': p.list_price.cache_write_5m,
             'term': p.list_price.cache_write_5m, 'context': p.context_price.cache_write_5m, 'tier': p.tier_price.cache_write_5m,
             'book': p.book_price.cache_write_5m},
            {'token_class': 'cache_write_1h', 'tokens': g.cache_write_1h, 'list': p.list_price.cache_write_5m,
             'term': p.list_price.cache_write_1h, 'context': p.context_price.cache_write_1h, 'tier': p.tier_price.cache_write_1h,
             'book': p.book_price.cache_write_1h},
            {'token_class': 'output', 'tokens': g.output, 'list': p.list_price.output, 'term': p.list_price.output,
             'context': p.context_price.output, 'tier': p.tier_price.output, 'book': p.book_price.output}], recursive := true)
        from grouped g
        join priced p on p.hour = g.hour and p.provider is not distinct from g.provider and p.model is not distinct from g.model
                     and p.region_scope is not distinct from g.region_scope and p.service_tier = g.service_tier and p.over_tokens = g.over_tokens
    )
    select cast(c.hour as date) as day, c.provider, c.project, c.model, c.service_tier, c.token_class, c.system, c.team, c.feature, c.tenant,
           c.prompt_version, c.cost_center, cast(sum(c.tokens) as bigint) as tokens,
           cast(sum(case when c.edge = 'first' then c.tokens end) as bigint) as first_tokens,
           cast(sum(case when c.edge = 'last' then c.tokens end) as bigint) as last_tokens,
           cast(sum(case when c.is_cache_hidden then c.tokens end) as bigint) as cache_hidden_tokens,
           sum(usd(c.tokens, c.list)) as list_usd, sum(usd(c.tokens, c.term - c.list)) as cache_write_1h_usd,
           sum(usd(c.tokens, c.context - c.term)) as context_tier_usd, sum(usd(c.tokens, c.tier - c.context)) as service_tier_usd,
           sum(usd(c.tokens, c.book - c.tier)) as contract_usd, sum(usd(c.tokens, c.book)) as predicted_usd
    from classed c where c.tokens > 0 group by all
);

-- What providers report of usage, without what others count of the same calls: a gateway, and the estimate of a client.
create or replace view reported_usage as
select u.* from billed_usage u where coalesce(u.source, '') not in ('litellm_spend_logs', 'anthropic_claude_code');

-- What bills and usage reports say of the same time. `kind` is token, consumption (tokens sold as units that name no model),
-- non_token, tax_credit, rounding, or unmapped where nobody knows what a line is for; `book_usd_per_million` is what the price book predicts for a token line without a context tier.
create or replace macro billed_lines(since, until) as table (
    with charged as (
        select cast(c.charge_period_start as date) as day, c.provider, c.project, c.model, known_tier(c.service_tier) as service_tier,
               c.token_class, c.unit_class, c.charge_category, coalesce(c.region_scope, 'any') as region_scope, c.system, c.team,
               coalesce(c.invoice_issuer_name, c.provider_name) as invoice_issuer_name, c.usd_billed_cost as usd_cost,
               case when c.token_class is not null and c.model is not null then 'token'
                    when c.charge_category in ('Tax', 'Credit', 'Refund') or c.unit_class in ('tax', 'credit', 'fee') then 'tax_credit'
                    when c.charge_category = 'Adjustment' and abs(c.usd_billed_cost) <= 0.01 then 'rounding'
                    when c.unit_class = 'consumption' then 'consumption'
                    when coalesce(c.unit_class, 'other') <> 'other' then 'non_token'
                    else 'unmapped' end as kind,
               case when lower(c.consumed_unit) like '%token%' then cast(round(c.consumed_quantity) as bigint) end as charged_tokens,
               cast(null as bigint) as reported_tokens,
               c.charge_period_end > c.charge_period_start + interval 1 day as is_longer_than_a_day, c.provisional
        from ai_charges c where c.charge_period_start >= since and c.charge_period_start < until
    ), reported as (
        select cast(u.bucket_start as date) as day, u.provider, u.project, u.model, known_tier(u.service_tier) as service_tier,
               unnest([{'token_class': 'uncached_input', 'tokens': u.uncached_input_tokens},
                       {'token_class': 'cache_read', 'tokens': u.cache_read_tokens},
                       {'token_class': 'cache_write_5m', 'tokens': u.cache_write_5m_tokens},
                       {'token_class': 'cache_write_1h', 'tokens': u.cache_write_1h_tokens},
                       {'token_class': 'output', 'tokens': u.output_tokens}], recursive := true)
        from reported_usage u
        where u.bucket_start >= since and u.bucket_start < until
    ), told as (
        select * from charged
        union all by name
        select day, provider, project, model, service_tier, token_class, 'Usage' as charge_category, 'token' as kind, 'any' as region_scope, tokens as reported_tokens
        from reported where tokens is not null and model is not null
    ), wanted as (
        select row_number() over () as id, * from (
            select distinct day as at, provider, model, region_scope, service_tier, 0 as context_tokens, false as list_only
            from told where kind = 'token')
    )
    select t.day, t.provider, t.project, t.model, t.service_tier, t.token_class, t.unit_class, t.kind, t.system, t.team, t.invoice_issuer_name, t.charge_category,
           sum(t.usd_cost) as usd_cost, cast(sum(t.charged_tokens) as bigint) as charged_tokens,
           cast(sum(t.reported_tokens) as bigint) as reported_tokens,
           coalesce(t.is_longer_than_a_day, false) as is_longer_than_a_day, coalesce(bool_or(t.provisional), false) as is_provisional,
           case t.token_class when 'uncached_input' then any_value(class_prices(p.price).uncached_input)
                              when 'cache_read' then any_value(class_prices(p.price).cache_read)
                              when 'cache_write_5m' then any_value(class_prices(p.price).cache_write_5m)
                              when 'cache_write_1h' then any_value(class_prices(p.price).cache_write_1h)
                              when 'output' then any_value(class_prices(p.price).output) end as book_usd_per_million
    from told t
    left join wanted w on t.kind = 'token' and w.at = t.day and w.provider is not distinct from t.provider and w.model = t.model
                      and w.service_tier = t.service_tier and w.region_scope = t.region_scope
    left join price_of('wanted') p on p.id = w.id
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16
);
