-- The ledger: every table and view, the contract between ingest/, metrics/ and app/ and of tools outside.
-- Times are UTC TIMESTAMP, money is DECIMAL(24,12), tokens BIGINT; NULL means unknown, never zero.
-- Every statement can run again on a ledger that has it already.

create sequence if not exists load_ids;

-- ---------------------------------------------------------------- what the AI systems did

-- One row per GenAI span kept as evidence. The columns of a call hold the merged facts on role 'call', the span's
-- own facts on every other role. `attributes` are the allow-listed attributes, from which both can be derived again.
create table if not exists spans (
    trace_id varchar not null,
    span_id varchar not null,
    parent_span_id varchar,
    started_at timestamp not null,
    duration_ms double,
    ttft_ms double,
    service varchar,
    environment varchar,
    system varchar,                     -- systems.system_id; NULL = unattributed
    team varchar,
    feature varchar,
    tenant varchar,
    cost_center varchar,
    project varchar,
    user_key varchar,                   -- keyed hash, never the id itself
    conversation_id varchar,
    prompt_name varchar,
    prompt_version varchar,
    operation varchar,
    provider varchar,                   -- OpenTelemetry values: openai, anthropic, aws.bedrock ...
    region_scope varchar,
    request_model varchar,
    response_model varchar,
    model varchar,                      -- canonical: no vendor or region prefix, no date or version suffix
    service_tier varchar,
    response_id varchar,
    input_tokens bigint,                -- total, cache read and cache write included
    cache_read_tokens bigint,
    cache_write_tokens bigint,          -- total, the 1-hour part included
    cache_write_1h_tokens bigint,
    output_tokens bigint,               -- reasoning included
    reasoning_tokens bigint,
    tokens_estimated boolean,
    token_convention varchar,           -- inclusive | exclusive | unknown
    token_rule varchar,                 -- known | identity | tripwire | agree | none
    finish_reason varchar,
    error_type varchar,                 -- normalised; NULL = success
    streaming boolean,
    response_cached boolean,            -- answered from a response cache, no provider behind it
    starts_request boolean,             -- true on exactly one call per trace
    reported_cost_usd decimal(24,12),   -- what the client library says it cost
    cost_usd decimal(24,12),
    cost_status varchar,                -- priced | reported_only | unpriced_model | no_usage | estimated | convention_unknown | non_billable
    cost_low_usd decimal(24,12),
    cost_high_usd decimal(24,12),
    price_source varchar,
    flags varchar[],
    load_id bigint,
    scope_name varchar,
    scope_version varchar,
    name varchar,
    role varchar not null,              -- call | duplicate | wrapper | agent | tool | retrieval | guardrail | evaluator | other
    duplicate_of varchar,               -- span_id of the call that this one repeats
    dedupe_rule varchar,
    tool_name varchar,
    sent_trace_id varchar not null,     -- as sent; differs from trace_id where a call moved to its application's trace
    sent_parent_span_id varchar,
    sent_duration_ms double,            -- differs from duration_ms where other spans tell when a stream was read
    span_kind smallint,
    status_code smallint,
    attributes json
);
alter table spans add column if not exists sent_duration_ms double; -- ledgers of before had none

create or replace view calls as
select trace_id, span_id, started_at, duration_ms, ttft_ms, service, environment, system, team, feature, tenant,
       cost_center, project, user_key, conversation_id, prompt_name, prompt_version, operation, provider, region_scope,
       request_model, response_model, model, service_tier, response_id, input_tokens, cache_read_tokens,
       cache_write_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens, tokens_estimated, token_convention,
       token_rule, finish_reason, error_type, streaming, response_cached, starts_request, reported_cost_usd, cost_usd,
       cost_status, cost_low_usd, cost_high_usd, price_source, flags, load_id
from spans
where role = 'call';

create table if not exists evaluations (
    evaluation_id varchar, evaluated_at timestamp, name varchar,
    evaluator_kind varchar,             -- human | llm | code
    evaluator_version varchar, score double, label varchar, is_bad boolean, sampling_probability double, stratum varchar,
    trace_id varchar, span_id varchar, response_id varchar, dataset varchar, error varchar, load_id bigint
);

-- Evaluations with the span that they judge: by its ids, else the call with their response id; NULL where neither is known.
create or replace view evaluated as
with answered as (
    select response_id, max_by({'trace_id': trace_id, 'span_id': span_id}, started_at) as call
    from spans where role = 'call' and response_id is not null group by response_id
)
select e.* exclude (trace_id, span_id), s.trace_id, coalesce(s.duplicate_of, s.span_id) as span_id, s.started_at, s.system, s.team,
       s.environment, s.provider, s.model, s.prompt_version
from evaluations e
left join spans own on own.sent_trace_id = e.trace_id and own.span_id = e.span_id
left join answered a on own.span_id is null and a.response_id = e.response_id
left join spans s on s.trace_id = coalesce(own.trace_id, a.call.trace_id) and s.span_id = coalesce(own.span_id, a.call.span_id)
                 and (own.span_id is null or s.sent_trace_id = own.sent_trace_id);

create table if not exists retrievals (
    trace_id varchar, span_id varchar, retrieved_at timestamp, system varchar, rank bigint, document_id varchar,
    score double, load_id bigint
);

create table if not exists actions (
    action_id varchar, "at" timestamp, name varchar,
    outcome varchar,                    -- success | failure | abandoned
    trace_id varchar, system varchar, tenant varchar, load_id bigint
);

create table if not exists gpu_hours (
    hour_start timestamp, node varchar, gpu_id varchar, gpu_model varchar, utilization_ratio double, energy_kwh double,
    cost_usd decimal(24,12), owner varchar, source varchar, load_id bigint
);

-- Readings of GPUs, one per GPU, measure and moment; gpu_hours with source dcgm or hw is computed from them.
create table if not exists gpu_points (
    node varchar, gpu_id varchar,
    measure varchar,                    -- engine_ratio | busy_ratio | energy_kwh | power_w
    measured_at timestamp,
    since timestamp,                    -- set where the value was used since then; else it is a state
    value double, gpu_model varchar, owner varchar, source varchar, load_id bigint
);

-- What clients counted themselves: of a cumulative series the last state of each hour, of a delta series each interval.
create table if not exists client_metric_points (
    series varchar, metric varchar, service varchar, provider varchar, model varchar, operation varchar, token_type varchar,
    is_delta boolean, started_at timestamp, measured_at timestamp,
    bucket timestamp,                   -- the hour of a state, the end of an interval
    operations bigint, tokens double, load_id bigint
);

-- The clients' own count by hour: a check on `calls`, which repeats them; the two are never added up.
create or replace view client_metrics_hour as
with steps as (
    select p.*, lag(p.operations) over series as operations_before, lag(p.tokens) over series as tokens_before
    from client_metric_points p
    window series as (partition by p.series, p.started_at, p.is_delta order by p.bucket)
), counted as (
    -- A series begins at zero when its start is known; without one its first state only says where it stands. A state
    -- that fell was counted from zero again.
    select s.* exclude (operations, tokens),
           case when s.is_delta or s.operations < s.operations_before then s.operations
                else s.operations - coalesce(s.operations_before, case when s.started_at is not null then 0 end) end as operations,
           case when s.is_delta or s.tokens < s.tokens_before then s.tokens
                else s.tokens - coalesce(s.tokens_before, case when s.started_at is not null then 0 end) end as tokens
    from steps s
)
select date_trunc('hour', c.bucket) as hour, c.service, c.provider, c.model, c.operation, c.metric, c.token_type,
       cast(sum(c.operations) as bigint) as operations, cast(round(sum(c.tokens)) as bigint) as tokens
from counted c
group by all;

-- ---------------------------------------------------------------- what it cost

-- Billing lines under FOCUS names in snake case, and what AI bills need beside them.
create table if not exists charges (
    billed_cost decimal(24,12), effective_cost decimal(24,12), list_cost decimal(24,12), contracted_cost decimal(24,12),
    billing_currency varchar, billing_period_start timestamp, billing_period_end timestamp,
    charge_period_start timestamp, charge_period_end timestamp,
    charge_category varchar,            -- Usage | Purchase | Tax | Credit | Adjustment
    charge_class varchar,               -- Correction or NULL
    charge_description varchar, service_name varchar, service_category varchar, provider_name varchar,
    invoice_issuer_name varchar, invoice_id varchar, billing_account_id varchar, sub_account_id varchar,
    region_id varchar, resource_id varchar, sku_id varchar, sku_price_id varchar,
    pricing_quantity decimal(24,12), pricing_unit varchar, consumed_quantity decimal(24,12), consumed_unit varchar,
    tags json,
    provider varchar, model varchar,
    token_class varchar,                -- uncached_input | cache_read | cache_write_5m | cache_write_1h | output; NULL = no tokens
    -- What else it is: search, code, image, audio, storage, provisioned, consumption (tokens as units without a model), gpu, tax,
    -- credit, fee, other.
    unit_class varchar,
    service_tier varchar, project varchar, api_key_id varchar,
    region_scope varchar,               -- where the tokens were processed, as in prices; NULL = the bill does not tell
    system varchar, team varchar,       -- by attribution rules; NULL = to be allocated
    usd_billed_cost decimal(24,12), usd_effective_cost decimal(24,12), provisional boolean,
    source varchar, load_id bigint
);

-- Provider usage reports: tokens, not money.
create table if not exists billed_usage (
    bucket_start timestamp, bucket_end timestamp, provider varchar, model varchar, service_tier varchar, project varchar,
    api_key_id varchar, requests bigint, uncached_input_tokens bigint, cache_read_tokens bigint,
    cache_write_5m_tokens bigint, cache_write_1h_tokens bigint, output_tokens bigint,
    billing_account_id varchar, source varchar, load_id bigint
);

create table if not exists allocations (
    period date, provider varchar, model varchar, system varchar, team varchar, feature varchar, tenant varchar,
    prompt_version varchar, cost_center varchar, usd_cost decimal(24,12),
    basis varchar,                      -- rule | tokens | list_price (bills without a model) | unattributed | shared
    invoice_issuer_name varchar,
    charge_category varchar             -- of the charges that were handed on, as in charges
);
alter table allocations add column if not exists charge_category varchar; -- ledgers of before had none

-- The price book: append-only, valid time and recorded time.
create table if not exists prices (
    provider varchar, model varchar, region_scope varchar, service_tier varchar, min_context_tokens bigint,
    token_class varchar, usd_per_million decimal(24,12),
    kind varchar,                       -- contract | observed | list
    valid_from timestamp, valid_to timestamp, recorded_at timestamp, source varchar
);

-- ---------------------------------------------------------------- how it is governed: registers with valid time

create table if not exists systems (
    system_id varchar, name varchar, owner varchar, lifecycle varchar, risk_tier bigint, depends_on varchar[],
    team varchar, business_unit varchar, cost_center varchar, intended_purpose varchar, personal_data varchar,
    eu_ai_act_class varchar, started_on date, in_service_on date, last_reviewed_on date, service_names varchar[],
    extra json, valid_from timestamp, valid_to timestamp, load_id bigint
);

create table if not exists inventory_items (
    item_id varchar, kind varchar, system_id varchar, provider varchar, name varchar, version varchar, owner varchar,
    environment varchar, data_classification varchar, evaluation_ref varchar, approval_ref varchar,
    last_reviewed_on date, lifecycle varchar, retired_on date, base_model varchar, depends_on varchar[],
    extra json, valid_from timestamp, valid_to timestamp, load_id bigint
);

create table if not exists patterns (
    pattern_id varchar, name varchar, version varchar, status varchar, approved_on date, retired_on date,
    grace_ends_on date, extra json, valid_from timestamp, valid_to timestamp, load_id bigint
);

create table if not exists initiatives (
    initiative_id varchar, name varchar, started_on date, status varchar, system_id varchar, pattern_id varchar,
    conformance varchar, exception_expires_on date, assessed_on date,
    extra json, valid_from timestamp, valid_to timestamp, load_id bigint
);

create table if not exists capabilities (
    system_id varchar, capability varchar, provision varchar, component_id varchar,
    extra json, valid_from timestamp, valid_to timestamp, load_id bigint
);

create table if not exists targets (
    metric_id varchar, scope varchar, target varchar, direction varchar, amber_margin double, set_by varchar,
    extra json, valid_from timestamp, valid_to timestamp, load_id bigint
);

create table if not exists objectives (
    objective_id varchar, system_id varchar, kind varchar, objective double, threshold_ms double, window_days bigint,
    extra json, valid_from timestamp, valid_to timestamp, load_id bigint
);

create table if not exists budgets (
    budget_id varchar, scope varchar, period varchar, amount decimal(24,12), unit varchar, warn_at double, owner varchar,
    extra json, valid_from timestamp, valid_to timestamp, load_id bigint
);

create table if not exists risks (
    risk_id varchar, title varchar, owner varchar, severity varchar, system_id varchar, due_on date, status varchar,
    decision_needed varchar, extra json, valid_from timestamp, valid_to timestamp, load_id bigint
);

-- ---------------------------------------------------------------- records: things that happened, keyed by their id

create table if not exists incidents (
    incident_id varchar, title varchar, severity bigint, started_at timestamp, detected_at timestamp,
    acknowledged_at timestamp, mitigated_at timestamp, resolved_at timestamp, status varchar, system_id varchar,
    ai_attributed varchar, ai_cause varchar, parent_incident varchar, mitigated_source varchar, url varchar,
    extra json, source varchar, load_id bigint
);

create table if not exists reviews (
    review_id varchar, subject_id varchar, type varchar, submitted_at timestamp, decided_at timestamp, outcome varchar,
    round bigint, pattern_class varchar, on_hold_days double, extra json, source varchar, load_id bigint
);

create table if not exists releases (
    release_id varchar, system_id varchar, released_at timestamp, environment varchar, hotfix boolean,
    extra json, source varchar, load_id bigint
);

create table if not exists release_checks (
    release_id varchar, item varchar, result varchar, reason varchar, evidence_url varchar, waiver_expires_on date,
    extra json, source varchar, load_id bigint
);

create table if not exists decisions (
    decision_id varchar, system_id varchar, title varchar, decided_on date, major boolean, adr_path varchar,
    extra json, source varchar, load_id bigint
);

create table if not exists adrs (
    path varchar, title varchar, status varchar, decided_on date, has_context boolean, has_decision boolean,
    has_consequences boolean, superseded_by varchar, extra json, source varchar, load_id bigint
);

create table if not exists survey_responses (
    response_id varchar, period varchar, score double, audience varchar, question_id varchar, invited_n bigint,
    scale_min double, scale_max double, extra json, source varchar, load_id bigint
);

create table if not exists holidays ("date" date, name varchar, extra json, source varchar, load_id bigint);

-- ---------------------------------------------------------------- rollups, always equal to a sum over `calls`

create table if not exists usage_hour (
    hour timestamp, system varchar, team varchar, environment varchar, provider varchar, model varchar,
    prompt_version varchar, service varchar, feature varchar, tenant varchar, cost_center varchar, operation varchar,
    calls bigint, requests bigint, failed_calls bigint,
    unknown_usage_calls bigint,         -- successful calls whose tokens are unknown or estimated
    input_tokens bigint, uncached_input_tokens bigint, cache_read_tokens bigint, cache_write_5m_tokens bigint,
    cache_write_1h_tokens bigint, output_tokens bigint, reasoning_tokens bigint,
    cache_unknown_calls bigint,         -- known tokens, but the emitter does not tell cached ones apart
    cache_unknown_input_tokens bigint,  -- their input, counted in uncached_input_tokens
    cost_usd decimal(38,12), unpriced_calls bigint, response_cache_hits bigint, response_cache_misses bigint
);

-- Daily histograms that merge over any dimension: bin = ceil(ln x / ln 1.02), see metrics/histogram.py.
create table if not exists signal_day (
    day date, system varchar, team varchar, environment varchar, provider varchar, model varchar, prompt_version varchar,
    signal varchar, bin varchar, n bigint
);

-- ---------------------------------------------------------------- what ran, what it said, what went wrong

create table if not exists drift_results (
    run_id varchar, as_of timestamp, system varchar, signal varchar, reference_start date, reference_end date,
    current_start date, current_end date, n_reference bigint, n_current bigint, psi double, js double, ks double, w1 double,
    noise_floor double, p_value double, q_value double, state varchar, baseline varchar, detail json
);

create table if not exists findings (
    finding_id varchar, found_at timestamp, kind varchar, severity varchar, scope json, title varchar, detail json,
    impact_usd decimal(24,12), feedback varchar, delivered_at timestamp
);

create table if not exists loads (
    id bigint, source varchar,          -- name of the collector
    path varchar, content_hash varchar, started_at timestamp, finished_at timestamp, rows bigint, rejected bigint,
    status varchar,                     -- loaded | partial | failed
    message varchar,
    slice json                          -- what the file replaced: account and period of a bill, or the register's date
);

create table if not exists rejects (
    load_id bigint, path varchar,
    position bigint,                    -- line of a text file, ordinal or byte offset of a binary one
    length bigint, content_hash varchar, reason varchar
);

create table if not exists events (
    event_id varchar, "at" timestamp,
    kind varchar,                       -- load | rebuild | reprice | purge | report | sign_in | target ...
    detail json
);

create table if not exists ledger_meta (key varchar primary key, value varchar);

-- ---------------------------------------------------------------- finding a price

-- Under which name of the price book the model of a call is priced; NULL where nothing knows it.
create table if not exists price_names (provider varchar, model varchar, priced_as varchar);

-- The newest record of each key of a source; a key that its source withdrew has no price.
create or replace macro newest_prices(records) as table (
    select p.*, starts_with(p.source, 'genai-prices ') as packaged
    from query_table(records) p
    qualify row_number() over (partition by p.provider, p.model, p.region_scope, p.service_tier, p.min_context_tokens, p.token_class,
                                            p.kind, p.valid_from, starts_with(p.source, 'genai-prices ') order by p.recorded_at desc) = 1
        and p.usd_per_million is not null
);

create or replace view price_book as select * from newest_prices('prices');

-- The prices of every class in USD per million tokens, as a struct, for rows (id, at, provider, model, region_scope,
-- service_tier, context_tokens, list_only): the exact row of the user's file, the exact packaged row, then any region, then
-- the standard tier; contract before list, or no contract at all where list_only. A row with min_context_tokens holds for
-- requests with more input than that.
create or replace macro price_of(wanted) as table (
    with asked as (
        select w.id, w.at, w.provider, coalesce(n.priced_as, w.model) as model, coalesce(w.region_scope, 'any') as region_scope,
               case when w.service_tier in ('batch', 'flex', 'priority') then w.service_tier else 'standard' end as service_tier,
               coalesce(w.context_tokens, 0) as context_tokens, w.list_only
        from query_table(wanted) w left join price_names n on n.provider = w.provider and n.model = w.model
    ), asked_prices as materialized (
        select p.* from prices p semi join asked a on a.provider = p.provider and a.model = p.model
    ), cards as materialized (
        select k.provider as asked_provider, k.model as asked_model, k.region_scope as asked_region, k.service_tier as asked_tier,
               k.list_only as asked_list_only, b.*,
               b.service_tier <> k.service_tier as is_tier_fallback,
               row_number() over (partition by k.provider, k.model, k.region_scope, k.service_tier, k.list_only
                                  order by b.service_tier <> k.service_tier, b.region_scope <> k.region_scope, b.kind <> 'contract', b.packaged,
                                           b.min_context_tokens desc, b.recorded_at desc, b.valid_from desc) as preference
        from (select distinct a.provider, a.model, a.region_scope, a.service_tier, a.list_only from asked a) k
        join newest_prices('asked_prices') b on b.provider = k.provider and b.model = k.model and b.region_scope in (k.region_scope, 'any')
                         and b.service_tier in (k.service_tier, 'standard')
                         and (b.kind = 'list' or b.kind = 'contract' and not k.list_only)
    )
    select a.id,
           {'uncached_input': min_by(c.usd_per_million, c.preference) filter (c.token_class = 'uncached_input'),
            'cache_read': min_by(c.usd_per_million, c.preference) filter (c.token_class = 'cache_read'),
            'cache_write_5m': min_by(c.usd_per_million, c.preference) filter (c.token_class = 'cache_write_5m'),
            'cache_write_1h': min_by(c.usd_per_million, c.preference) filter (c.token_class = 'cache_write_1h'),
            'output': min_by(c.usd_per_million, c.preference) filter (c.token_class = 'output')} as price,
           min_by(c.is_tier_fallback, c.preference) filter (c.token_class = 'uncached_input') as is_tier_fallback,
           min_by(concat(c.kind, ': ', c.source), c.preference) filter (c.token_class = 'uncached_input') as price_source
    from asked a
    join cards c on c.asked_provider = a.provider and c.asked_model = a.model and c.asked_region = a.region_scope
                and c.asked_tier = a.service_tier and c.asked_list_only = a.list_only and c.valid_from <= a.at and (c.valid_to is null or a.at < c.valid_to)
                and (c.min_context_tokens = 0 or a.context_tokens > c.min_context_tokens)
    group by a.id
);

-- What tokens of known classes cost: USD at 12 decimals, NULL where a needed price is missing. A provider without a
-- price of its own for cached tokens bills them as input, one without a price for 1-hour writes as 5-minute writes.
create or replace macro cost_usd(uncached, cache_read, write_5m, write_1h, output, price) as
    cast((coalesce(uncached, 0) * price.uncached_input
        + case when coalesce(cache_read, 0) = 0 then 0 else cache_read * coalesce(price.cache_read, price.uncached_input) end
        + case when coalesce(write_5m, 0) = 0 then 0 else write_5m * coalesce(price.cache_write_5m, price.uncached_input) end
        + case when coalesce(write_1h, 0) = 0 then 0
               else write_1h * coalesce(price.cache_write_1h, price.cache_write_5m, price.uncached_input) end
        + case when coalesce(output, 0) = 0 then 0 else output * price.output end) * 0.000001 as decimal(24,12));

-- The cost of calls: `batch` names a table with an id and those columns of `spans` that are read here. Where nobody knows whether the
-- input contains the cached tokens, a call costs something between the one reading and the other.
create or replace macro price_calls(batch) as table (
    with wanted as (
        select b.id, b.started_at as at, b.provider, b.model, b.region_scope, b.service_tier, b.input_tokens as context_tokens,
               false as list_only
        from query_table(batch) b
    ), c as (
        select b.id, b.response_cached, b.error_type, b.reported_cost_usd, b.token_convention, b.tokens_estimated, b.scope_name,
               b.input_tokens, b.output_tokens, p.price, p.is_tier_fallback, p.price_source as found_source,
               b.input_tokens is not null or b.output_tokens is not null as has_usage,
               coalesce(b.cache_read_tokens, 0) as read, coalesce(b.cache_write_tokens, 0) as written,
               coalesce(b.cache_write_1h_tokens, 0) as write_1h
        from query_table(batch) b left join price_of('wanted') p on p.id = b.id
    ), estimate as (
        select c.*, cost_usd(c.input_tokens - c.read - c.written, c.read, c.written - c.write_1h, c.write_1h, c.output_tokens, c.price) as low
        from c
    ), judged as (
        select e.*, case
                   when e.response_cached then 'non_billable'
                   when not e.has_usage and e.error_type is not null and e.error_type not in ('cancelled', 'timeout', 'connection')
                       then 'non_billable'
                   when (not e.has_usage or e.low is null) and e.reported_cost_usd is not null then 'reported_only'
                   when not e.has_usage then 'no_usage'
                   when e.low is null then 'unpriced_model'
                   when e.token_convention = 'unknown' and e.read + e.written > 0 then 'convention_unknown'
                   when e.tokens_estimated then 'estimated'
                   else 'priced' end as status
        from estimate e
    )
    select j.id, j.status as cost_status,
           case j.status when 'non_billable' then 0 when 'reported_only' then j.reported_cost_usd
                         when 'priced' then j.low when 'estimated' then j.low end as cost_usd,
           case when j.status = 'convention_unknown' then greatest(j.low, 0) end as cost_low_usd,
           case when j.status = 'convention_unknown' -- only there, as most of a batch's price is arithmetic
                then cost_usd(j.input_tokens, j.read, j.written - j.write_1h, j.write_1h, j.output_tokens, j.price) end as cost_high_usd,
           case when j.status in ('priced', 'estimated', 'convention_unknown') then j.found_source
                when j.status = 'reported_only' then concat('reported: ', j.scope_name) end as price_source,
           case when j.is_tier_fallback and j.status in ('priced', 'estimated', 'convention_unknown') then ['tier_fallback'] else [] end as price_flags
    from judged j
);

-- ---------------------------------------------------------------- billing lines as pages and KPIs read them

-- The lines of AI services, with the team of the system that a rule named: the register knows it where the rule does not.
create or replace view ai_charges as
select c.* exclude (team), coalesce(c.team, s.team) as team
from charges c
left join systems s on s.system_id = c.system and s.valid_from <= c.charge_period_start
                   and (s.valid_to is null or c.charge_period_start < s.valid_to)
where c.service_category = 'AI and Machine Learning' or c.token_class is not null or c.model is not null;
