"""AWS's FOCUS 1.2 export for Bedrock, as Parquet: usage by day, model and token class, a tax line and a credit."""

import io
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sample_data.billing import Item, Line
from sample_data.prices import TOKEN_CLASSES, billed_rate

# Usage type: where, the billing name of the model, the token class, the routing.
USAGE_TYPES = {
    ("claude-haiku-4-5", "uncached_input"): "USE1-Claude4.5Haiku-input-tokens-cross-region-geo",
    ("claude-haiku-4-5", "cache_read"): "USE1-Claude4.5Haiku-cache-read-input-token-count-cross-region-geo",
    ("claude-haiku-4-5", "cache_write_5m"): "USE1-Claude4.5Haiku-cache-write-input-token-count-cross-region-geo",
    ("claude-haiku-4-5", "output"): "USE1-Claude4.5Haiku-output-tokens-cross-region-geo",
    ("nova-lite", "uncached_input"): "USE1-NovaLite-input-tokens",
    ("nova-lite", "output"): "USE1-NovaLite-output-tokens",
}
PAYER = "111122223333"
_TEXT, _NUMBER, _TIME, _MAP = pa.string(), pa.float64(), pa.timestamp("ms", tz="UTC"), pa.map_(pa.string(), pa.string())
_NUMBERS = (
    "BilledCost",
    "CommitmentDiscountQuantity",
    "ConsumedQuantity",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "ListCost",
    "ListUnitPrice",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
)
_MAPS = ("SkuPriceDetails", "Tags", "x_CostCategories", "x_Discounts")
_NAMES = """AvailabilityZone BilledCost BillingAccountId BillingAccountName BillingAccountType BillingCurrency BillingPeriodEnd
    BillingPeriodStart CapacityReservationId CapacityReservationStatus ChargeCategory ChargeClass ChargeDescription ChargeFrequency
    ChargePeriodEnd ChargePeriodStart CommitmentDiscountCategory CommitmentDiscountId CommitmentDiscountName
    CommitmentDiscountQuantity CommitmentDiscountStatus CommitmentDiscountType CommitmentDiscountUnit ConsumedQuantity ConsumedUnit
    ContractedCost ContractedUnitPrice EffectiveCost InvoiceId InvoiceIssuerName ListCost ListUnitPrice PricingCategory
    PricingCurrency PricingCurrencyContractedUnitPrice PricingCurrencyEffectiveCost PricingCurrencyListUnitPrice PricingQuantity
    PricingUnit ProviderName PublisherName RegionId RegionName ResourceId ResourceName ResourceType ServiceCategory ServiceName
    ServiceSubcategory SkuId SkuMeter SkuPriceDetails SkuPriceId SubAccountId SubAccountName SubAccountType Tags
    x_CostCategories x_Discounts x_Operation x_ServiceCode x_UsageType"""
SCHEMA = pa.schema(
    [
        (name, _NUMBER if name in _NUMBERS else _MAP if name in _MAPS else _TIME if name.endswith(("PeriodStart", "PeriodEnd")) else _TEXT)
        for name in _NAMES.split()
    ]
)


def focus_parquet(month: str, items: Iterable[Item], lines: Iterable[Line]) -> bytes:
    totals: defaultdict[tuple[date, str, str], Counter[str]] = defaultdict(Counter)
    for item in items:
        totals[item.booked_on, item.project, item.model].update(item.tokens)
    rows = [
        _usage(day, account, model, name, tokens[name])
        for (day, account, model), tokens in sorted(totals.items())
        for name in TOKEN_CLASSES
        if tokens[name]
    ]
    rows += [_line(line) for line in lines]
    inside = [row for row in rows if f"{row['ChargePeriodStart']:%Y-%m}" == month]
    table = pa.Table.from_pylist(inside, schema=SCHEMA)
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd", write_statistics=False)
    return content.getvalue()


def _usage(day: date, account: str, model: str, name: str, count: int) -> dict[str, Any]:
    """Quantities and prices per thousand tokens, as Bedrock bills them."""
    usage_type = USAGE_TYPES[model, name]
    price = billed_rate("aws.bedrock", model, name, day) / 1_000
    thousands = Decimal(count) / 1_000
    return _row(day, account, thousands * price) | {
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{price.normalize():f} per 1K tokens {usage_type}",
        "ChargeFrequency": "Usage-Based",
        "ConsumedQuantity": _float(thousands),
        "ConsumedUnit": "1K tokens",
        "PricingQuantity": _float(thousands),
        "PricingUnit": "1K tokens",
        "PricingCategory": "Standard",
        "Tags": {"user_system": "document-intake", "user_team": "Operations"},
        "x_UsageType": usage_type,
        "x_Operation": "InvokeModelInference",
    }


def _line(line: Line) -> dict[str, Any]:
    described = {"tax": ("Tax", "Tax for product code AmazonBedrock"), "credit": ("Credit", "AWS Promotional Credits")}
    category, description = described[line.kind]
    return _row(line.booked_on, line.project, line.amount_usd) | {
        "ChargeCategory": category,
        "ChargeDescription": description,
        "ChargeFrequency": "One-Time",
        "Tags": {},
    }


def _row(day: date, account: str, cost: Decimal) -> dict[str, Any]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    first = start.replace(day=1)
    amount = _float(cost)
    return {
        "BilledCost": amount,
        "EffectiveCost": amount,
        "ListCost": amount,
        "ContractedCost": amount,
        "BillingCurrency": "USD",
        "BillingAccountId": PAYER,
        "BillingAccountName": "Nordwind Insurance (synthetic)",
        "BillingAccountType": "Payer",
        "BillingPeriodStart": first,
        "BillingPeriodEnd": (first + timedelta(days=32)).replace(day=1),
        "ChargePeriodStart": start,
        "ChargePeriodEnd": start + timedelta(days=1),
        "InvoiceId": f"EUINDE26-{first:%m}01",
        "InvoiceIssuerName": "Amazon Web Services EMEA SARL",
        "ProviderName": "AWS",
        "PublisherName": "Amazon Web Services, Inc.",
        "RegionId": "us-east-1",
        "RegionName": "US East (N. Virginia)",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "Amazon Bedrock",
        "ServiceSubcategory": "Generative AI",
        "SubAccountId": account,
        "SubAccountName": "nordwind-document-intake",
        "SubAccountType": "Linked",
        "x_ServiceCode": "AmazonBedrock",
    }


def _float(amount: Decimal) -> float:
    """The export has doubles; each must say exactly what was charged when read through its shortest text."""
    number = float(amount)
    if Decimal(repr(number)) != amount:
        raise ValueError(f"{amount} does not survive as a double")
    return number
