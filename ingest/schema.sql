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
    span_kind smallint,
    status_code smallint,
    attributes json
);

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
    unit_class varchar,                 -- what else it is: search, code, image, audio, storage, provisioned, gpu, tax, credit, fee, other
    service_tier varchar, project varchar, api_key_id varchar,
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
    prompt_version varchar, cost_center varchar, usd_cost decimal(24,12), basis varchar, load_id bigint
);

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
