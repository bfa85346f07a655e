"""What has to be resolved again when spans arrive: everything that may be linked to them, and nothing else."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from ingest.otlp import pairs
from ingest.otlp.facts import Facts
from ingest.otlp.trees import LOCALITY_US


class Window(msgspec.Struct, frozen=True, gc=False):
    """A stretch of time in which a span of the same service may belong to the same call."""

    service: str | None
    started_us: int
    ended_us: int


class ClosureKeys(msgspec.Struct, frozen=True):
    """Where links can lead: stored spans of these traces or with these response ids that started between `from_us` and
    `until_us`, and inference spans whose time overlaps a window of their service."""

    trace_ids: frozenset[str]
    response_ids: frozenset[str]
    windows: tuple[Window, ...]
    from_us: int
    until_us: int


def closure_keys(spans: Sequence[Facts]) -> ClosureKeys:
    """Which stored spans could change the result for these."""
    kept = [facts for facts in spans if facts.genai]
    starts = [facts.started_us for facts in kept] or [0]
    return ClosureKeys(
        frozenset(facts.trace_id for facts in kept),
        frozenset(facts.response_id for facts in kept if facts.response_id is not None and facts.role == "inference"),
        tuple([_window(facts) for facts in kept if facts.role == "inference"]),
        min(starts) - LOCALITY_US, max(starts) + LOCALITY_US)


def _window(facts: Facts) -> Window:
    before = pairs.LATE_US if facts.stream_us is None else facts.stream_us + pairs.MAX_STREAM_WAIT_US
    after = 2 * pairs.MAX_STREAM_WAIT_US if pairs.awaits_end(facts) else pairs.LATE_US
    return Window(facts.service, facts.started_us - before, facts.ended_us + after)


def closure(spans: Sequence[Facts], stored: Callable[[ClosureKeys], Iterable[Facts]]) -> list[Facts]:
    """The closed set around `spans`: `stored` answers keys with stored spans, and only those that are truly linked to
    what is known lead further, so that busy services with one instrumentation stay small."""
    known, frontier = list(spans), list(spans)
    seen: set[tuple[str, str]] = set()
    while frontier:
        fresh = {(facts.trace_id, facts.span_id): facts for facts in stored(closure_keys(frontier))}
        frontier = linked(frontier, [facts for key, facts in fresh.items() if key not in seen])
        seen.update((facts.trace_id, facts.span_id) for facts in frontier)
        known += frontier
    return known


def linked(known: Sequence[Facts], fetched: Sequence[Facts]) -> list[Facts]:
    """The fetched spans that share a trace, a response id or possibly a call with the known ones."""
    if not fetched:
        return []
    found: set[int] = set()
    for name in ("trace_id", "response_id"):
        groups: dict[str | None, list[tuple[bool, Facts]]] = {getattr(facts, name): [] for facts in fetched}
        groups.pop(None, None)
        for is_known, spans in ((True, known), (False, fetched)):
            for facts in spans:
                if (group := groups.get(getattr(facts, name))) is not None and facts.genai:
                    group.append((is_known, facts))
        for group in groups.values():
            found.update(id(facts) for facts in _near(group))
    found |= _of_one_call(known, fetched)
    return [facts for facts in fetched if id(facts) in found]


def _near(group: list[tuple[bool, Facts]]) -> list[Facts]:
    """The fetched spans of a group within a day of a known one, directly or over others between."""
    group.sort(key=lambda item: item[1].started_us)
    found: list[Facts] = []
    run: list[tuple[bool, Facts]] = []
    for item in group:
        if run and item[1].started_us - run[-1][1].started_us > LOCALITY_US:
            found += _fetched_beside_known(run)
            run = []
        run.append(item)
    return found + _fetched_beside_known(run)


def _fetched_beside_known(run: Sequence[tuple[bool, Facts]]) -> list[Facts]:
    return [facts for is_known, facts in run if not is_known] if any(is_known for is_known, _ in run) else []


def _of_one_call(known: Sequence[Facts], fetched: Sequence[Facts]) -> set[int]:
    calls = [facts for facts in known if facts.role == "inference"]
    fresh = {id(facts): facts for facts in fetched if facts.role == "inference"}
    streams = _Streams(calls)
    found = {key for key, facts in fresh.items() if streams.waiting(facts)}
    for a, b in pairs.lookalikes([*calls, *fresh.values()], lambda facts: id(facts) in fresh):
        key = id(a) if id(a) in fresh else id(b)
        if key not in found and pairs.alike(a, b) is not None:
            found.add(key)
    return found


class _Streams:
    """Requests that wait for the end of their stream, and such ends, by the time at which the request's span ended."""

    def __init__(self, spans: Iterable[Facts]) -> None:
        self._requests: dict[tuple[str | None, str], list[tuple[int, Facts]]] = defaultdict(list)
        self._ends: dict[tuple[str | None, str], list[tuple[int, Facts]]] = defaultdict(list)
        for facts in spans:
            if facts.stream_us is not None:
                self._ends[facts.service, facts.scope_name].append((facts.started_us - facts.stream_us, facts))
            elif pairs.awaits_end(facts):
                self._requests[facts.service, facts.scope_name].append((facts.ended_us, facts))
        for found in (*self._requests.values(), *self._ends.values()):
            found.sort(key=_at)

    def waiting(self, facts: Facts) -> bool:
        """Whether this span is the end of a known request's stream, or the request of a known end."""
        key = facts.service, facts.scope_name
        if facts.stream_us is not None:
            opened_us = facts.started_us - facts.stream_us
            near = _between(self._requests.get(key, []), opened_us - pairs.MAX_STREAM_WAIT_US, opened_us + pairs.STREAM_SLACK_US)
            return any(pairs.waited_us(request, facts) is not None for request in near)
        if not pairs.awaits_end(facts):
            return False
        near = _between(self._ends.get(key, []), facts.ended_us - pairs.STREAM_SLACK_US, facts.ended_us + pairs.MAX_STREAM_WAIT_US)
        return any(pairs.waited_us(facts, end) is not None for end in near)


def _at(item: tuple[int, Facts]) -> int:
    return item[0]


def _between(ordered: Sequence[tuple[int, Facts]], from_us: int, until_us: int) -> Iterator[Facts]:
    for at in range(bisect_left(ordered, from_us, key=_at), len(ordered)):
        if ordered[at][0] > until_us:
            return
        yield ordered[at][1]
