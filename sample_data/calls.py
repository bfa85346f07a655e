"""What really happened, before any client library or provider wrote it down: requests, their calls, tools, retrievals."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from sample_data.company import METERING_LAG_S, Model
from sample_data.prices import TOKEN_CLASSES

MICROSECOND = 1_000_000


def moment(us: int) -> datetime:
    return datetime.fromtimestamp(us // MICROSECOND, UTC)


def day_of(us: int) -> date:
    return moment(us).date()


def month_of(us: int) -> str:
    return f"{moment(us):%Y-%m}"


@dataclass(frozen=True)
class Usage:
    """Five disjoint token classes; reasoning is a part of the output."""

    uncached_input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def cache_write(self) -> int:
        return self.cache_write_5m + self.cache_write_1h

    @property
    def input(self) -> int:
        return self.uncached_input + self.cache_read + self.cache_write

    def tokens(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in TOKEN_CLASSES}


@dataclass(frozen=True)
class Call:
    """One call to a provider. `failure` is None, a kind of error, or `aborted` (the stream broke after it began)."""

    step: str
    provider: str
    model: Model
    started_us: int
    duration_us: int
    usage: Usage  # what the provider counted; all zero when it refused the call
    usage_sent: str  # all | none | input: what reaches the client, and so the telemetry
    response_id: str
    finish_reason: str
    failure: str | None = None
    stream: bool = False
    ttft_us: int | None = None

    @property
    def ended_us(self) -> int:
        return self.started_us + self.duration_us

    @property
    def booked_us(self) -> int:
        """When the provider's meter counts it."""
        return self.ended_us + METERING_LAG_S[self.provider] * MICROSECOND

    @property
    def is_embedding(self) -> bool:
        return self.model.operation == "embeddings"

    def visible_tokens(self) -> dict[str, int]:
        """The token classes that the telemetry tells; what it does not tell is absent."""
        if self.usage_sent == "all":
            return self.usage.tokens()
        if self.usage_sent == "input":
            return {name: n for name, n in self.usage.tokens().items() if name != "output"}
        return {}


@dataclass(frozen=True)
class ToolRun:
    name: str
    call_id: str
    started_us: int
    duration_us: int
    failed: bool = False


@dataclass(frozen=True)
class Retrieval:
    started_us: int
    duration_us: int
    documents: tuple[tuple[str, float], ...]


Step = Call | ToolRun | Retrieval


@dataclass(frozen=True)
class Request:
    """One root request of an application."""

    system_id: str
    environment: str
    trace_id: bytes
    started_us: int
    ended_us: int
    steps: tuple[Step, ...]
    conversation: str
    user: str
    tenant: str | None
    prompt_version: str | None
    traced: bool = True
    calls: tuple[Call, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "calls", tuple(step for step in self.steps if isinstance(step, Call)))
