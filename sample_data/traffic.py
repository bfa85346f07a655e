"""Requests over time: weekday and office-hour cycles, growth, failures, caching, prompt versions, and what went wrong."""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import TypeVar

from sample_data.calls import MICROSECOND, Call, Request, Retrieval, Step, ToolRun, Usage
from sample_data.company import (
    EVENTS,
    FAILURE_KINDS,
    FAILURE_SHARE,
    FIRST_DAY,
    GROWTH_PER_MONTH,
    MISSING_TRACES,
    SEED,
    STAGING_SHARE,
    Caching,
    Event,
    Model,
    Prompt,
    System,
)

Version = TypeVar("Version", Caching, Prompt)
DAY_US = 86_400 * MICROSECOND
TICK_US = 100  # the clock's resolution; finer times would only make the files larger
STOP = {"anthropic": "end_turn", "aws.bedrock": "end_turn", "openai": "stop"}
TOOL_STOP = {"anthropic": "tool_use", "aws.bedrock": "tool_use", "openai": "tool_calls"}


def requests_of(system: System, month: str) -> list[Request]:
    """All requests of a system that start in a month, in order of their start."""
    return Traffic(system, month).requests()


class Traffic:
    """One system's month; every random number comes from one seeded generator, in one order."""

    def __init__(self, system: System, month: str) -> None:
        self.system = system
        self.month = month
        self.random = Random(f"{SEED}/{system.system_id}/{month}")
        self.conversations: list[tuple[str, str]] = []
        self.events = [event for event in EVENTS if event.system_id == system.system_id]

    def requests(self) -> list[Request]:
        starts = [start for day in _days(self.month) for start in self._starts(day)]
        return [self._request(start) for start in starts]

    def _starts(self, day: date) -> list[int]:
        random, system = self.random, self.system
        growth = (1 + GROWTH_PER_MONTH) ** ((day - FIRST_DAY).days / 30.5)
        expected = system.requests_per_weekday * system.weekdays[day.weekday()] * growth
        midnight = int(datetime.combine(day, time(), UTC).timestamp()) * MICROSECOND
        starts = [midnight + self._time_of_day() for _ in range(_poisson(random, expected))]
        if system.night_batch and day.weekday() < 5:
            starts += [midnight + DAY_US - _ticks(random.uniform(1, 300) * MICROSECOND) for _ in range(system.night_batch)]
        return sorted(starts)

    def _time_of_day(self) -> int:
        """Two of a hundred requests come at any hour, the others around the middle of the working day."""
        random, (opens, closes) = self.random, self.system.hours
        hour = random.uniform(0, 24) if random.random() < 0.02 else opens + (closes - opens) * random.betavariate(2, 2)
        return _ticks(hour * 3600 * MICROSECOND)

    def _request(self, start: int) -> Request:
        random, system = self.random, self.system
        at = datetime.fromtimestamp(start // MICROSECOND, UTC)
        environment = "staging" if random.random() < STAGING_SHARE else "production"
        conversation, user = self._conversation()
        prompt = _current(system.prompts, at.date())
        names = list(random.choices([names for _, names in system.shapes], [weight for weight, _ in system.shapes])[0])
        retries = self._event("retries", at)
        if retries is not None and random.random() < retries.share:
            names = ["chat", "tool:crm_lookup"] * random.randint(*retries.calls) + ["chat"]
        steps = self._steps(names, start, prompt, retries is not None)
        end = max(_end(step) for step in steps) + _ticks(random.uniform(800, 4_000))
        return Request(
            system.system_id,
            environment,
            random.randbytes(16),
            start,
            end,
            tuple(steps),
            conversation,
            user,
            random.choice(system.tenants) if system.tenants else None,
            prompt.version if prompt else None,
            traced=(system.system_id, at.date()) not in MISSING_TRACES,
        )

    def _event(self, kind: str, at: datetime) -> Event | None:
        return next((event for event in self.events if event.kind == kind and event.start <= at < event.end), None)

    def _conversation(self) -> tuple[str, str]:
        random = self.random
        if self.conversations and random.random() < 0.35:
            return random.choice(self.conversations[-20:])
        self.conversations.append((f"conv-{random.getrandbits(24):06x}", f"u-{random.randrange(1, 140):04d}"))
        return self.conversations[-1]

    def _steps(self, names: list[str], start: int, prompt: Prompt | None, tools_fail: bool) -> list[Step]:
        random = self.random
        steps: list[Step] = []
        clock = start + _ticks(random.uniform(2_000, 12_000))
        for position, name in enumerate(names):
            if name.startswith("tool:"):
                duration = 5_000_000 if tools_fail else _duration(random, 180_000, 0.5)
                steps.append(ToolRun(name.removeprefix("tool:"), f"call_{random.getrandbits(24):06x}", clock, duration, tools_fail))
            elif name == "retrieve":
                steps.append(Retrieval(clock, _duration(random, 45_000, 0.4), self._documents()))
            else:
                calls_tool = position + 1 < len(names) and names[position + 1].startswith("tool:")
                steps.append(self._call(name, clock, prompt, calls_tool))
            clock = _end(steps[-1]) + _ticks(random.uniform(1_000, 9_000))
            if isinstance(steps[-1], Call) and steps[-1].failure:
                break
        return steps

    def _documents(self) -> tuple[tuple[str, float], ...]:
        """Up to five documents by falling similarity; now and then nothing is found."""
        random = self.random
        found = 0 if random.random() < 0.02 else random.randint(3, 5)
        scores = sorted((round(random.betavariate(8, 3), 4) for _ in range(found)), reverse=True)
        return tuple((f"doc-{random.randrange(1, 900):04d}", score) for score in scores)

    def _call(self, name: str, start: int, prompt: Prompt | None, calls_tool: bool) -> Call:
        random, system = self.random, self.system
        model = system.models[name]
        at = datetime.fromtimestamp(start // MICROSECOND, UTC)
        usage = self._usage(model, at.date(), prompt, calls_tool)
        stream = random.random() < model.stream_share
        failure = self._failure(at, stream)
        sent = "all"
        if failure == "aborted":
            usage = _shortened(usage, random.uniform(0.1, 0.8))
            sent = "input" if system.provider == "anthropic" else "none"
        elif failure is not None:
            usage, sent = Usage(), "none"
        elif stream and random.random() < system.no_usage_share:
            sent = "none"
        ttft, duration = self._times(model, usage, failure)
        finish = TOOL_STOP[system.provider] if calls_tool else STOP[system.provider]
        prefix = "msg_" if system.provider == "anthropic" else "chatcmpl-"
        return Call(
            name,
            system.provider,
            model,
            start,
            duration,
            usage,
            sent,
            f"{prefix}{random.getrandbits(40):010x}",
            finish,
            failure,
            stream,
            ttft if stream and failure in (None, "aborted") else None,
        )

    def _failure(self, at: datetime, stream: bool) -> str | None:
        random = self.random
        errors = self._event("errors", at)
        if errors is not None and random.random() < errors.share:
            return "rate_limit"
        if random.random() < FAILURE_SHARE:
            return random.choices([kind for kind, _ in FAILURE_KINDS], [weight for _, weight in FAILURE_KINDS])[0]
        return "aborted" if stream and random.random() < self.system.abort_share else None

    def _usage(self, model: Model, on: date, prompt: Prompt | None, calls_tool: bool) -> Usage:
        random = self.random
        total = min(_lognormal(random, model.input_tokens, model.spread), 120_000)
        if model.operation == "embeddings":
            return Usage(uncached_input=total)
        median = 45 if calls_tool else model.output_tokens * (prompt.output_factor if prompt else 1.0)
        output = max(_lognormal(random, median, model.spread), 5)
        reasoning = int(output * random.uniform(0.5, 1.5) * model.reasoning_share)
        caching = _current(self.system.caching, on)
        read, write = self._cached(model, caching, total) if caching else (0, 0)
        one_hour = write if caching and caching.ttl == "1h" else 0
        return Usage(total - read - write, read, write - one_hour, one_hour, output, reasoning)

    def _cached(self, model: Model, caching: Caching, total: int) -> tuple[int, int]:
        """Tokens read from and written to the cache; a prompt that is shorter than the prefix has nothing to share."""
        luck = self.random.random()
        if total <= caching.prefix_tokens or model.model == "nova-lite":
            return 0, 0
        if luck < caching.read_share:
            return caching.prefix_tokens, 0
        return 0, caching.prefix_tokens if luck < caching.read_share + caching.write_share else 0

    def _times(self, model: Model, usage: Usage, failure: str | None) -> tuple[int, int]:
        """Time to the first token and to the end, in microseconds."""
        random = self.random
        first = _duration(random, model.base_ms * 1_000, 0.35)
        if failure == "timeout":
            return first, 30_000_000 + _ticks(random.uniform(2_000, 90_000))
        if failure is not None and failure != "aborted":
            return first, _duration(random, 240_000, 0.5)
        return first, first + _duration(random, max(usage.output, 1) * model.ms_per_token * 1_000, 0.2)


def _shortened(usage: Usage, share: float) -> Usage:
    """A stream that broke: the whole input, a part of the output."""
    return Usage(
        usage.uncached_input,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        max(int(usage.output * share), 1),
        int(usage.reasoning * share),
    )


def _end(step: Step) -> int:
    return step.started_us + step.duration_us


def _current(versions: tuple[Version, ...], on: date) -> Version | None:
    return next((version for version in reversed(versions) if version.since <= on), None)


def _days(month: str) -> Iterator[date]:
    day = date.fromisoformat(f"{month}-01")
    while f"{day:%Y-%m}" == month:
        yield day
        day += timedelta(days=1)


def _lognormal(random: Random, median: float, spread: float) -> int:
    return max(int(median * math.exp(random.gauss(0, spread))), 1)


def _duration(random: Random, median_us: float, spread: float) -> int:
    return max(_ticks(_lognormal(random, median_us, spread)), 10 * TICK_US)


def _ticks(us: float) -> int:
    return int(us) // TICK_US * TICK_US


def _poisson(random: Random, mean: float) -> int:
    """Knuth's method."""
    limit, product, count = math.exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count
