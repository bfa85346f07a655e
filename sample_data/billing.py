"""What the providers bill: every real call, and what no trace shows, as items with their token counts and their day."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random

from sample_data.calls import Call, Request, day_of
from sample_data.company import FIRST_DAY, SEED, SHADOW_FROM, SHADOW_MODEL, SHADOW_PROJECT, SYSTEM, WEB_SEARCH_PROJECT
from sample_data.prices import TOKEN_CLASSES, WEB_SEARCH_USD, billed_cost

LAST_DAY = date(2026, 9, 30)
CENT = Decimal("0.01")
SHADOW_TOKENS = {"uncached_input": 700_000, "cache_read": 150_000, "output": 110_000}  # a day of the unregistered project


@dataclass(frozen=True)
class Item:
    """Tokens that a provider counted. `cause` says whether the telemetry tells them, and if not, why."""

    provider: str
    project: str
    response_model: str
    model: str
    started_on: date
    booked_on: date
    tokens: dict[str, int]
    cause: str  # traced | stream_without_usage | aborted_stream | missing_traces | unregistered_project
    requests: int = 1
    is_embedding: bool = False

    @property
    def billed_usd(self) -> Decimal:
        return billed_cost(self.provider, self.model, self.tokens, self.booked_on)


@dataclass(frozen=True)
class Line:
    """A charge that is no tokens, booked on a day."""

    provider: str
    project: str
    kind: str  # web_search | tax | credit
    booked_on: date
    quantity: int
    amount_usd: Decimal


def items(requests: Iterable[Request]) -> list[Item]:
    """Every token of the quarter that a provider charges for, in the order of the requests."""
    found = [item for request in requests for call in request.calls for item in _items(request, call)]
    return found + list(_shadow_project())


def _items(request: Request, call: Call) -> list[Item]:
    """The part of a call that the telemetry tells, and the part that it does not."""
    tokens = call.usage.tokens()
    if not any(tokens.values()):
        return []
    visible = call.visible_tokens() if request.traced else {}
    hidden = {name: n for name, n in tokens.items() if n and name not in visible}
    shown = {name: n for name, n in visible.items() if n}
    cause = "missing_traces" if not request.traced else "aborted_stream" if call.failure == "aborted" else "stream_without_usage"
    parts = [(shown, "traced", 1)] if shown else []
    if hidden:
        parts.append((hidden, cause, 0 if shown else 1))
    project = SYSTEM[request.system_id].project
    return [
        Item(
            call.provider,
            project,
            call.model.response_model,
            call.model.model,
            day_of(call.started_us),
            day_of(call.booked_us),
            {name: part.get(name, 0) for name in TOKEN_CLASSES},
            reason,
            n,
            call.is_embedding,
        )
        for part, reason, n in parts
    ]


def _shadow_project() -> Iterable[Item]:
    """A growth experiment on working days that sends no traces and grows."""
    random = Random(f"{SEED}/shadow")
    for day in _days(SHADOW_FROM, LAST_DAY):
        if day.weekday() < 5:
            size = 1 + (day - SHADOW_FROM).days / 60
            tokens = {name: int(random.uniform(0.7, 1.3) * n * size) for name, n in SHADOW_TOKENS.items()}
            yield Item(
                "openai",
                SHADOW_PROJECT,
                *SHADOW_MODEL,
                day,
                day,
                {name: tokens.get(name, 0) for name in TOKEN_CLASSES},
                "unregistered_project",
                int(120 * size),
            )


def lines(billed: Sequence[Item]) -> list[Line]:
    """Web searches by day, and AWS tax and credit by month."""
    random = Random(f"{SEED}/search")
    found = []
    for day in _days(FIRST_DAY, LAST_DAY):
        searches = random.randrange(8, 30) if day.weekday() < 5 else random.randrange(0, 4)
        if searches:
            found.append(Line("openai", WEB_SEARCH_PROJECT, "web_search", day, searches, searches * WEB_SEARCH_USD))
    account = SYSTEM["document-intake"].project
    for last_day, credit in ((date(2026, 7, 31), None), (date(2026, 8, 31), Decimal("-6.00")), (LAST_DAY, None)):
        usage = sum(
            (
                item.billed_usd
                for item in billed
                if item.provider == "aws.bedrock" and (item.booked_on.year, item.booked_on.month) == (last_day.year, last_day.month)
            ),
            Decimal(0),
        )
        if credit is not None:
            found.append(Line("aws.bedrock", account, "credit", last_day, 1, credit))
        tax = ((usage + (credit or 0)) * Decimal("0.19")).quantize(CENT, ROUND_HALF_EVEN)
        found.append(Line("aws.bedrock", account, "tax", last_day, 1, tax))
    return found


def _days(first: date, last: date) -> Iterable[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))
