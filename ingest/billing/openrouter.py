"""OpenRouter's activity: dollars and tokens by day, model and upstream provider (GET /api/v1/activity).

What was paid to an upstream provider with the customer's own key is on that provider's bill and not counted here.
Reasoning is part of the completion; which prompt tokens were cached is not told.
"""

from collections.abc import Mapping

from ingest.collector import Collector
from ingest.probe import Probe

COLUMNS = {
    "date": "date!", "model": "text!", "usage": "money!", "requests": "count!", "prompt_tokens": "count!", "completion_tokens": "count!",
    "model_permaslug": "text?", "endpoint_id": "text?", "provider_name": "text?", "byok_usage_inference": "money?",
    "reasoning_tokens": "count?",
}  # fmt: skip

CHARGES = """
select usage as billed_cost, usage as effective_cost, 'USD' as billing_currency,
       date_trunc('month', cast(date as timestamp)) as billing_period_start,
       date_trunc('month', cast(date as timestamp)) + interval 1 month as billing_period_end,
       cast(date as timestamp) as charge_period_start, date + interval 1 day as charge_period_end, 'Usage' as charge_category,
       concat_ws(', ', coalesce(model_permaslug, model), provider_name) as charge_description, 'OpenRouter' as service_name,
       'AI and Machine Learning' as service_category, 'OpenRouter' as provider_name, 'OpenRouter' as invoice_issuer_name,
       endpoint_id as resource_id, cast(prompt_tokens + completion_tokens as decimal(24,12)) as consumed_quantity,
       'Tokens' as consumed_unit, 'openrouter' as provider, model, cast(null as varchar) as token_class
from source
"""

USAGE = """
select cast(date as timestamp) as bucket_start, date + interval 1 day as bucket_end, 'openrouter' as provider, model,
       cast(sum(requests) as bigint) as requests, cast(sum(prompt_tokens) as bigint) as uncached_input_tokens,
       cast(sum(completion_tokens) as bigint) as output_tokens
from source group by all
"""


def _recognise(probe: Probe) -> bool:
    rows = probe.json.get("data") if isinstance(probe.json, Mapping) else None
    return isinstance(rows, list) and bool(rows) and isinstance(rows[0], Mapping) and not ACTIVITY.missing(tuple(rows[0]))


ACTIVITY = Collector(
    name="openrouter_activity",
    title="OpenRouter activity (/api/v1/activity)",
    target="charges",
    columns=COLUMNS, recognise=_recognise,
    checks={
        "usage < 0": "negative usage",
        "prompt_tokens < 0 or completion_tokens < 0": "negative tokens",
        "reasoning_tokens > completion_tokens": "more reasoning than completion",
    },
    sql=CHARGES, total="billed_cost",
    period=("charge_period_start", "charge_period_end"),
    also=(Collector(
        name="openrouter_usage",
        title="OpenRouter activity, its tokens",
        target="billed_usage",
        columns=COLUMNS, sql=USAGE,
        period=("bucket_start", "bucket_end"),
    ),),
)  # fmt: skip

COLLECTORS = [ACTIVITY]
