"""Anthropic's bills and usage reports: pages of the admin API, and the exports of the console.

Both formats tell the same, so a file replaces what the other format said about the same days. A page that breaks off
inside a bucket and the page that begins with it add up when they are loaded together; loaded apart, the later one is
taken as a restatement of that bucket, because a page does not say which page it follows.
"""

from collections.abc import Callable, Iterator
from typing import Any

from ingest.billing import pages
from ingest.collector import Collector
from ingest.probe import Probe

TIMES = {"starting_at": "time!", "ending_at": "time!"}
DEFAULT_WORKSPACE = "Default"

CHECKS = {"ending_at < starting_at": "the bucket ends before it starts"}
COST_CHECKS = {**CHECKS, "amount is not null and currency is null": "an amount without a currency"}
USED_TOKENS = ("uncached_input_tokens", "cache_read_input_tokens", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens",
               "output_tokens")  # fmt: skip
USAGE_CHECKS = {**CHECKS, f"least({', '.join(USED_TOKENS)}) < 0": "negative usage"}

CHARGES = """
with lines as ({lines})
select billed_cost, billed_cost as effective_cost, list_cost, billing_currency, date_trunc('month', starts) as billing_period_start,
       date_trunc('month', starts) + interval 1 month as billing_period_end, starts as charge_period_start, ends as charge_period_end,
       'Usage' as charge_category, description as charge_description, 'Claude API' as service_name,
       'AI and Machine Learning' as service_category, 'Anthropic' as provider_name, 'Anthropic' as invoice_issuer_name,
       organization_id as billing_account_id, 'anthropic' as provider, lines.model as model, m.token_class as token_class,
       case when m.text is null then 'other' else m.unit_class end as unit_class,
       coalesce(t.service_tier, lines.tier) as service_tier, project, api_key_id
from lines
left join meters m on m.part = 'type' and m.text = lines.type
left join meters t on t.part = 'tier' and t.text = lines.tier
"""

# Amounts of the API are cents.
REPORTED_COSTS = """
    select cast(amount * 0.01 as decimal(24,12)) as billed_cost, cast(null as decimal(24,12)) as list_cost,
           upper(currency) as billing_currency, starting_at as starts, ending_at as ends, description, organization_id, model,
           coalesce(token_type, cost_type) as type, lower(service_tier) as tier, workspace_id as project,
           cast(null as varchar) as api_key_id
    from source where amount is not null"""

# The console has days, names instead of ids, and no priority tier among the costs.
CONSOLE_COSTS = f"""
    select cost_usd as billed_cost, list_price_usd as list_cost, 'USD' as billing_currency, cast(usage_date_utc as timestamp) as starts,
           cast(usage_date_utc as timestamp) + interval 1 day as ends, concat_ws(', ', model, token_type) as description,
           cast(null as varchar) as organization_id, replace(replace(lower(model), ' ', '-'), '.', '-') as model,
           coalesce(token_type, cost_type) as type, lower(usage_type) as tier,
           nullif(workspace, '{DEFAULT_WORKSPACE}') as project, api_key_id
    from source where cost_usd is not null"""

REPORTED_USAGE = """
select starting_at as bucket_start, ending_at as bucket_end, 'anthropic' as provider, lines.model as model,
       coalesce(t.service_tier, lower(lines.service_tier)) as service_tier, workspace_id as project, api_key_id,
       uncached_input_tokens, cache_read_input_tokens as cache_read_tokens, ephemeral_5m_input_tokens as cache_write_5m_tokens,
       ephemeral_1h_input_tokens as cache_write_1h_tokens, output_tokens, organization_id as billing_account_id
from source lines left join meters t on t.part = 'tier' and t.text = lower(lines.service_tier)
where uncached_input_tokens is not null or output_tokens is not null
"""

# A message may have been of any tier but batch: the export does not tell.
CONSOLE_USAGE = f"""
select cast(usage_date_utc as timestamp) as bucket_start, cast(usage_date_utc as timestamp) + interval 1 day as bucket_end,
       'anthropic' as provider, model_version as model, case when usage_type = 'batch' then 'batch' end as service_tier,
       nullif(workspace, '{DEFAULT_WORKSPACE}') as project, api_key as api_key_id, usage_input_tokens_no_cache as uncached_input_tokens,
       usage_input_tokens_cache_read as cache_read_tokens, usage_input_tokens_cache_write_5m as cache_write_5m_tokens,
       usage_input_tokens_cache_write_1h as cache_write_1h_tokens, usage_output_tokens as output_tokens,
       cast(null as varchar) as billing_account_id
from source
"""

BUCKETS = """
select organization_id as billing_account_id, starting_at as {start}, ending_at as {end}
from source"""
UNFINISHED = f"{BUCKETS} where has_more and starting_at = (select max(starting_at) from source)"
CHARGED = {"start": "charge_period_start", "end": "charge_period_end"}
USED = {"start": "bucket_start", "end": "bucket_end"}


def results(page: Any) -> Iterator[dict[str, Any]]:
    """The results of a page, cache writes by how long they last beside them."""
    for result in pages.results(page, TIMES):
        yield {**result, **(result.get("cache_creation") or {})}


def page_with(keys: set[str], word: str) -> Callable[[Probe], bool]:
    """Recognises pages whose results have these keys."""
    return pages.recogniser(TIMES, lambda result: keys <= result.keys(), word)


COLLECTORS = [
    Collector(
        name="anthropic_cost_report",
        title="Anthropic cost report (organizations/cost_report)",
        target="charges",
        columns={**TIMES, **pages.PAGE, "amount": "money?", "currency": "text?", "description": "text?", "cost_type": "text?",
                 "token_type": "text?", "model": "text?", "service_tier": "text?", "workspace_id": "text?"},
        recognise=page_with({"amount", "currency"}, "cost"),
        flatten=results,
        checks=COST_CHECKS,
        sql=CHARGES.format(lines=REPORTED_COSTS), meters="anthropic_meters.csv", total="billed_cost",
        slice=("billing_account_id",), period=(CHARGED["start"], CHARGED["end"]),
        covers=BUCKETS.format(**CHARGED), unfinished=UNFINISHED.format(**CHARGED), replaces=("anthropic_cost_csv",),
    ),
    Collector(
        name="anthropic_usage_report",
        title="Anthropic usage report (organizations/usage_report/messages)",
        target="billed_usage",
        columns={**TIMES, **pages.PAGE, "uncached_input_tokens": "count?", "cache_read_input_tokens": "count?",
                 "ephemeral_5m_input_tokens": "count?", "ephemeral_1h_input_tokens": "count?", "output_tokens": "count?",
                 "model": "text?", "service_tier": "text?", "workspace_id": "text?", "api_key_id": "text?"},
        recognise=page_with({"uncached_input_tokens", "output_tokens"}, "usage"),
        flatten=results,
        checks=USAGE_CHECKS,
        sql=REPORTED_USAGE, meters="anthropic_meters.csv",
        slice=("billing_account_id",), period=(USED["start"], USED["end"]),
        covers=BUCKETS.format(**USED), unfinished=UNFINISHED.format(**USED), replaces=("anthropic_usage_csv",),
    ),
    Collector(
        name="anthropic_cost_csv",
        title="Anthropic console cost export",
        target="charges",
        columns={"usage_date_utc": "date!", "model": "text", "workspace": "text", "usage_type": "text", "token_type": "text",
                 "cost_usd": "money", "list_price_usd": "money?", "cost_type": "text?", "api_key_id": "text?"},
        sql=CHARGES.format(lines=CONSOLE_COSTS), meters="anthropic_meters.csv", total="billed_cost",
        slice=("billing_account_id",), period=(CHARGED["start"], CHARGED["end"]), replaces=("anthropic_cost_report",),
    ),
    Collector(
        name="anthropic_usage_csv",
        title="Anthropic console token export",
        target="billed_usage",
        columns={"usage_date_utc": "date!", "model_version": "text!", "api_key": "text", "workspace": "text", "usage_type": "text",
                 "usage_input_tokens_no_cache": "count!", "usage_input_tokens_cache_write_5m": "count",
                 "usage_input_tokens_cache_write_1h": "count", "usage_input_tokens_cache_read": "count", "usage_output_tokens": "count!"},
        checks={
            "least(usage_input_tokens_no_cache, usage_input_tokens_cache_write_5m, usage_input_tokens_cache_write_1h, "
            "usage_input_tokens_cache_read, usage_output_tokens) < 0": "negative usage",
        },
        sql=CONSOLE_USAGE,
        slice=("billing_account_id",), period=(USED["start"], USED["end"]), replaces=("anthropic_usage_report",),
    ),
]
