"""OpenAI's bills and usage reports: pages of the organization API, and the exports of the dashboard.

Both formats tell the same, so a file replaces what the other format said about the same buckets. A page that breaks
off inside a bucket and the page that begins with it add up when they are loaded together; loaded apart, the later one is
taken as a restatement of that bucket, because a page does not say which page it follows.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ingest.billing import pages
from ingest.collector import Collector
from ingest.probe import Probe

TIMES = {"start_time": "unix!", "end_time": "unix!"}
DASHBOARD_TIMES = ("start_time", "end_time", "start_time_iso", "end_time_iso")

# Reports of usage by the name in the result's object. A search is no model request of its own: those are in completions.
USAGE_REPORTS = {
    "completions": "num_model_requests", "embeddings": "num_model_requests", "moderations": "num_model_requests",
    "images": "num_model_requests", "audio_speeches": "num_model_requests", "audio_transcriptions": "num_model_requests",
    "vector_stores": "null", "code_interpreter_sessions": "null", "file_searches": "null", "web_searches": "null",
}

# A line item reads `[priority | ]model[ modality], class[, long context]`; tools have a name without a comma.
LINE_ITEM = r"^(?:(priority|flex|batch) \| )?([^\s,]+)(?: (text|audio|image))?, ([a-z_ ]+?)(, long context)?$"

COSTS = rf"""
with lines as (
    select *, regexp_extract(lower(trim(line_item)), '{LINE_ITEM}', ['tier', 'model', 'modality', 'class', 'context']) as item
    from source where amount_value is not null or line_item is not null
)
select amount_value as billed_cost, amount_value as effective_cost, upper(amount_currency) as billing_currency,
       date_trunc('month', start_time) as billing_period_start, date_trunc('month', start_time) + interval 1 month as billing_period_end,
       start_time as charge_period_start, end_time as charge_period_end, 'Usage' as charge_category,
       line_item as charge_description, 'OpenAI API' as service_name, 'AI and Machine Learning' as service_category,
       'OpenAI' as provider_name, 'OpenAI' as invoice_issuer_name, organization_id as billing_account_id,
       quantity as pricing_quantity, quantity_unit as pricing_unit,
       case when m.token_class is null then quantity
            when quantity_unit = 'tokens' then quantity
            when quantity_unit = '1000_tokens' then cast(quantity * 1000 as decimal(24,12)) end as consumed_quantity,
       case when m.token_class is null then quantity_unit
            when quantity_unit in ('tokens', '1000_tokens') then 'Tokens' end as consumed_unit,
       'openai' as provider, nullif(item.model, '') as model, m.token_class as token_class,
       case when m.text is null then 'other' else m.unit_class end as unit_class,
       case when item.class <> '' then coalesce(nullif(item.tier, ''), 'standard') end as service_tier,
       project_id as project, api_key_id as api_key_id
from lines
left join meters m on (m.part = 'class' and m.text = item.class) or (m.part = 'line' and m.text = lower(trim(line_item)))
"""

# A blank bucket proves that the day was exported, for every organization of the file.
COSTS_COVER = """
select o.organization_id as billing_account_id, s.start_time as charge_period_start, s.end_time as charge_period_end
from source s left join (select distinct organization_id from source where amount_value is not null or line_item is not null) o on true
"""

USAGE = """
select start_time as bucket_start, end_time as bucket_end, 'openai' as provider, model,
       case when batch then 'batch' when service_tier = 'default' then 'standard' else lower(service_tier) end as service_tier,
       project_id as project, api_key_id as api_key_id, {requests} as requests,
       coalesce(input_uncached_tokens, input_tokens - coalesce(input_cached_tokens, 0) - coalesce(input_cache_write_tokens, 0))
           as uncached_input_tokens,
       input_cached_tokens as cache_read_tokens,
       coalesce(input_cache_write_tokens, input_tokens - input_cached_tokens - input_uncached_tokens) as cache_write_5m_tokens,
       output_tokens, organization_id as billing_account_id
from source where {present}
"""

USAGE_COLUMNS = {
    "project_id": "text?", "api_key_id": "text?", "model": "text?", "batch": "bool?", "service_tier": "text?",
    "num_model_requests": "count?", "input_tokens": "count?", "input_uncached_tokens": "count?", "input_cached_tokens": "count?",
    "input_cache_write_tokens": "count?", "output_tokens": "count?",
}

CHECKS = {"end_time < start_time": "the bucket ends before it starts"}
COST_CHECKS = {**CHECKS, "amount_value is not null and amount_currency is null": "an amount without a currency"}
USAGE_CHECKS = {
    **CHECKS,
    "least(num_model_requests, input_tokens, input_uncached_tokens, input_cached_tokens, input_cache_write_tokens, output_tokens) < 0":
        "negative usage",
}  # fmt: skip

BUCKETS = """
select organization_id as billing_account_id, start_time as {start}, end_time as {end}
from source"""
UNFINISHED = f"{BUCKETS} where has_more and start_time = (select max(start_time) from source)"
CHARGED = {"start": "charge_period_start", "end": "charge_period_end"}
USED = {"start": "bucket_start", "end": "bucket_end"}


def results(page: Any) -> Iterator[dict[str, Any]]:
    """The results of a page, the amount beside them."""
    for result in pages.results(page, TIMES):
        amount = result.get("amount")
        yield {**result, **({f"amount_{name}": amount.get(name) for name in ("value", "currency")} if isinstance(amount, Mapping) else {})}


def page_of(kind: str, word: str) -> Callable[[Probe], bool]:
    """Recognises pages with results of this kind."""
    names = (f"organization.{kind}.result", f"organization.usage.{kind}.result")
    return pages.recogniser(TIMES, lambda result: result.get("object") in names, word)


def _usage_csv(probe: Probe) -> bool:
    """An export without any usage has the four columns of time only."""
    columns = {name.lower() for name in probe.columns}
    return columns == set(DASHBOARD_TIMES) or {*DASHBOARD_TIMES, "num_model_requests", "input_tokens", "output_tokens"} <= columns


def _usage_pages(kind: str, requests: str) -> Collector:
    is_chat = kind == "completions"
    return Collector(
        name="openai_usage" if is_chat else f"openai_usage_{kind}",
        title=f"OpenAI usage of {kind.replace('_', ' ')} (organization/usage/{kind})",
        target="billed_usage",
        columns={**TIMES, **pages.PAGE, **USAGE_COLUMNS, "object": "text?"},
        recognise=page_of(kind, "usage" if is_chat else kind),
        flatten=results,
        checks=USAGE_CHECKS, sql=USAGE.format(requests=requests, present="object is not null"),
        slice=("billing_account_id",), period=(USED["start"], USED["end"]),
        covers=BUCKETS.format(**USED), unfinished=UNFINISHED.format(**USED),
        replaces=("openai_usage_csv",) if is_chat else (),
    )


COLLECTORS = [
    Collector(
        name="openai_cost_csv",
        title="OpenAI cost export (cost_<from>_<to>.csv)",
        target="charges",
        columns={**TIMES, "amount_value": "money", "amount_currency": "text", "line_item": "text", "project_id": "text",
                 "organization_id": "text", "api_key_id": "text?", "quantity": "money?", "quantity_unit": "text?"},
        checks=COST_CHECKS, sql=COSTS, meters="openai_meters.csv", total="billed_cost",
        slice=("billing_account_id",), period=(CHARGED["start"], CHARGED["end"]), covers=COSTS_COVER, replaces=("openai_costs",),
    ),
    Collector(
        name="openai_costs",
        title="OpenAI costs (organization/costs)",
        target="charges",
        columns={**TIMES, **pages.PAGE, "amount_value": "money?", "amount_currency": "text?", "line_item": "text?", "project_id": "text?",
                 "api_key_id": "text?", "quantity": "money?", "quantity_unit": "text?"},
        recognise=page_of("costs", "cost"),
        flatten=results,
        checks=COST_CHECKS, sql=COSTS, meters="openai_meters.csv", total="billed_cost",
        slice=("billing_account_id",), period=(CHARGED["start"], CHARGED["end"]),
        covers=BUCKETS.format(**CHARGED), unfinished=UNFINISHED.format(**CHARGED), replaces=("openai_cost_csv",),
    ),
    *(_usage_pages(kind, requests) for kind, requests in USAGE_REPORTS.items()),
    Collector(
        name="openai_usage_csv",
        title="OpenAI completions usage export (completions_usage_<from>_<to>.csv)",
        target="billed_usage",
        columns={**TIMES, **USAGE_COLUMNS, "organization_id": "text?"},
        recognise=_usage_csv,
        checks=USAGE_CHECKS,
        sql=USAGE.format(requests="num_model_requests", present="coalesce(num_model_requests, input_tokens, output_tokens) is not null"),
        slice=("billing_account_id",), period=(USED["start"], USED["end"]), covers=BUCKETS.format(**USED), replaces=("openai_usage",),
    ),
]
