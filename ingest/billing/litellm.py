"""LiteLLM's spend logs: what the gateway saw, by hour; its spend is an estimate and no bill, so only usage is kept.

Prompt tokens include cached ones, which only the usage object in the metadata tells; where it is missing, all count as
uncached, and where more was cached than prompted, both stand side by side. What a response cache answered reached no
provider. The sum of spend is shown for comparison.
"""

from ingest.collector import Collector

# The parts of the usage object, where LiteLLM puts them for one provider or another.
TOKENS = """
    with requests as (
        select *, metadata->'usage_object' as said, said->'prompt_tokens_details' as details,
               coalesce(said->>'cache_read_input_tokens', details->>'cached_tokens') as read_text,
               coalesce(said->>'cache_creation_input_tokens', details->>'cache_creation_tokens') as write_text,
               coalesce(said->'cache_creation'->>'ephemeral_1h_input_tokens',
                        details->'cache_creation_token_details'->>'ephemeral_1h_input_tokens') as write_1h_text
        from source qualify row_number() over (partition by request_id order by source_row desc) = 1
    ), tokens as (
        select *, try_cast(read_text as bigint) as read, try_cast(write_text as bigint) as written,
               try_cast(write_1h_text as bigint) as written_1h, coalesce(read, 0) + coalesce(written, 0) as cached
        from requests where coalesce(lower(cache_hit), '') <> 'true'
    )"""

USAGE = f"""
{TOKENS}
select date_trunc('hour', startTime) as bucket_start, date_trunc('hour', startTime) + interval 1 hour as bucket_end,
       coalesce(m.provider, lower(t.custom_llm_provider)) as provider, t.model as model, cast(null as varchar) as service_tier,
       t.team_id as project, t.api_key as api_key_id, count(*) as requests,
       cast(sum(case when cached > prompt_tokens then prompt_tokens else prompt_tokens - cached end) as bigint) as uncached_input_tokens,
       cast(sum(read) as bigint) as cache_read_tokens, cast(sum(written - coalesce(written_1h, 0)) as bigint) as cache_write_5m_tokens,
       cast(sum(written_1h) as bigint) as cache_write_1h_tokens, cast(sum(completion_tokens) as bigint) as output_tokens,
       t.organization_id as billing_account_id, sum(spend) as spend_usd, 'USD' as billing_currency
from tokens t left join meters m on m.alias = lower(t.custom_llm_provider)
group by all
"""

COVERS = """
select organization_id as billing_account_id, date_trunc('hour', min(startTime)) as bucket_start,
       date_trunc('hour', max(startTime)) + interval 1 hour as bucket_end
from source group by 1"""

COLLECTORS = [
    Collector(
        name="litellm_spend_logs",
        title="LiteLLM spend logs (estimated spend, not billed)",
        target="billed_usage",
        columns={
            "request_id": "text!", "spend": "money!", "prompt_tokens": "count!", "completion_tokens": "count!", "startTime": "time!",
            "model": "text", "custom_llm_provider": "text?", "api_key": "text?", "metadata": "json?", "cache_hit": "text?",
            "team_id": "text?", "organization_id": "text?", "status": "text?",
        },
        checks={
            "prompt_tokens < 0 or completion_tokens < 0": "negative tokens",
            "spend < 0": "negative spend",
        },
        sql=USAGE, meters="providers.csv", package="ingest.otlp", total="spend_usd",
        slice=("billing_account_id",), period=("bucket_start", "bucket_end"), covers=COVERS, chunked=True,
    ),
]  # fmt: skip
