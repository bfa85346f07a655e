"""Anthropic's Claude Code analytics: tokens and estimated cost of a day by actor and model, a page of records.

An estimate and no bill: what the API was used for is in the usage report, too, and a subscription is not billed by tokens.
So the tokens stand beside the usage report and never count into it. Who a person is, is not kept; the name of a key is.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ingest.collector import Collector
from ingest.errors import SourceError
from ingest.probe import Probe

COLUMNS = {
    "date": "time!", "organization_id": "text?", "api_key_name": "text?", "model": "text?", "input": "count?", "output": "count?",
    "cache_read": "count?", "cache_creation": "count?", "currency": "text?", "amount": "money?",
}  # fmt: skip

# Amounts are cents. How long a cache write lasts is not told.
USAGE = """
select date_trunc('day', date) as bucket_start, date_trunc('day', date) + interval 1 day as bucket_end, 'anthropic' as provider, model,
       api_key_name as api_key_id, input as uncached_input_tokens, cache_read as cache_read_tokens,
       cache_creation as cache_write_5m_tokens, output as output_tokens, organization_id as billing_account_id,
       cast(amount * 0.01 as decimal(24,12)) as spend_usd, upper(currency) as billing_currency
from source where model is not null
"""

COVERS = """
select organization_id as billing_account_id, date_trunc('day', date) as bucket_start,
       date_trunc('day', date) + interval 1 day as bucket_end
from source"""


def usage(page: Any) -> Iterator[dict[str, Any]]:
    """A row for each model of a record; a record without any gives a row with its date only.

    Raises SourceError for a document of another shape.
    """
    if not _is_page(page):
        raise SourceError("no page of Claude Code records", "Save the answers of the API as they came")
    for record in page["data"]:
        about = {name: record.get(name) for name in ("date", "organization_id")}
        about["api_key_name"] = (record.get("actor") or {}).get("api_key_name")
        for part in record["model_breakdown"] or [{}]:
            yield {**about, "model": part.get("model"), **(part.get("tokens") or {}), **(part.get("estimated_cost") or {})}


def _is_page(page: Any) -> bool:
    records = page.get("data") if isinstance(page, Mapping) else None
    return isinstance(records, list) and bool(records) and all(_is_record(record) for record in records)


def _is_record(record: Any) -> bool:
    has_keys = isinstance(record, Mapping) and {"date", "actor", "core_metrics"} <= record.keys()
    return has_keys and isinstance(record.get("model_breakdown"), list)


def _recognise(probe: Probe) -> bool:
    return _is_page(probe.json)


COLLECTORS = [
    Collector(
        name="anthropic_claude_code",
        title="Anthropic Claude Code analytics (estimated spend, not billed)",
        target="billed_usage",
        columns=COLUMNS, recognise=_recognise, flatten=usage,
        checks={"least(input, output, cache_read, cache_creation) < 0": "negative usage", "amount < 0": "negative spend"},
        sql=USAGE, total="spend_usd",
        slice=("billing_account_id",), period=("bucket_start", "bucket_end"), covers=COVERS, chunked=True,
    ),
]  # fmt: skip
