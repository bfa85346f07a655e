"""Plain measures of what the AI systems did: calls, requests, tokens, error rate and latency."""

from dataclasses import dataclass
from decimal import Decimal

from metrics import histogram, stats
from metrics.engines import Engine
from metrics.filters import Scope
from metrics.stats import Interval

TOTALS = """
select cast(coalesce(sum(u.calls), 0) as bigint) as calls, cast(coalesce(sum(u.requests), 0) as bigint) as requests,
       cast(coalesce(sum(u.failed_calls), 0) as bigint) as failed_calls,
       cast(coalesce(sum(u.unknown_usage_calls), 0) as bigint) as unknown_usage_calls,
       cast(coalesce(sum(u.unpriced_calls), 0) as bigint) as unpriced_calls, cast(sum(u.input_tokens) as bigint) as input_tokens,
       cast(sum(u.output_tokens) as bigint) as output_tokens, sum(u.cost_usd) as cost_usd
from usage_hour u where {where}
"""


@dataclass(frozen=True)
class Usage:
    """What the calls of a scope add up to; tokens and cost are None while none of them is known."""

    calls: int
    requests: int
    failed_calls: int
    unknown_usage_calls: int
    unpriced_calls: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None
    p95_latency_ms: float | None

    @property
    def error_rate(self) -> float | None:
        return self.failed_calls / self.calls if self.calls else None

    @property
    def error_interval(self) -> Interval | None:
        return stats.wilson(self.failed_calls, self.calls) if self.calls else None


def usage(engine: Engine, scope: Scope) -> Usage:
    """Calls, requests, tokens, list cost, error rate and 95th percentile of the latency."""
    where, params = scope.where("hour", prefix="u.")
    row = engine.query(TOTALS.format(where=where), params).row(0, named=True)
    return Usage(**row, p95_latency_ms=histogram.percentile(engine, scope, "latency_ms", 0.95))
