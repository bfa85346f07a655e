"""Spans of one call that share no response id: two instrumentations side by side, or a stream's request and its end."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter

from ingest.otlp.facts import Facts
from ingest.otlp.trees import LOCALITY_US, ORDER, Node

SLACK_US = 1_000  # some emitters have clocks of one millisecond
MAX_LATE_US, LATE_SHARE = 20_000, 50  # a wrapper may end its span a little before the stream it wraps
LATE_US = SLACK_US + MAX_LATE_US
MAX_START_TOKENS = 8  # Anthropic's first event tells a few output tokens, its last event all; some clients add the two up
STREAM_SLACK_US = 50_000
MAX_STREAM_WAIT_US = 3600 * 1_000_000  # how long a program may leave a stream unread

EQUAL_TOKENS, UNKNOWN_TOKENS = "pair_equal_tokens", "pair_unknown_tokens"


def has_foreign_id(facts: Facts) -> bool:
    """Whether the response id is the provider's; some emitters make up one of their own."""
    return facts.response_id is not None and not (facts.emitter.ids == "uuid" and _is_uuid(facts.response_id))


def _is_uuid(text: str) -> bool:
    last = text[-36:]
    return len(last) == 36 and last[8] == last[13] == last[18] == last[23] == "-"


def _contains(outer: Facts, inner: Facts) -> bool:
    """Whether one time window lies in another, give or take what clocks and callbacks are late."""
    slack = SLACK_US + min(MAX_LATE_US, (outer.ended_us - outer.started_us) // LATE_SHARE)
    if outer.emitter.streams == "ends_early" and not outer.has_usage and inner.started_us <= outer.ended_us:
        return outer.started_us <= inner.started_us + slack  # it ended when the stream was handed over, not when it was read
    return outer.started_us <= inner.started_us + slack and inner.ended_us <= outer.ended_us + slack


def around(outer: Facts, inner: Facts) -> bool:
    """Whether one time window contains the other; of two that contain each other, the one that starts first does."""
    return _contains(outer, inner) and (not _contains(inner, outer) or _extent(outer) <= _extent(inner))


def _extent(facts: Facts) -> tuple[int, int, str]:
    return facts.started_us, -facts.ended_us, facts.span_id


def ordered(a: Facts, b: Facts) -> tuple[Facts, Facts] | None:
    """(outer, inner) when one time window contains the other."""
    return (a, b) if around(a, b) else (b, a) if around(b, a) else None


def _family(model: str | None) -> str | None:
    """The model without the alias of its newest version: the answer names the version, the request often the alias."""
    return model and model.removesuffix("-latest")


def alike(a: Facts, b: Facts) -> str | None:
    """Whether two spans can be one call by what they say themselves, and how well their tokens agree."""
    across = a.service != b.service
    if a.scope_name == b.scope_name or (across and a.trace_id != b.trace_id) or abs(a.started_us - b.started_us) > LOCALITY_US:
        return None
    if a.response_id != b.response_id and has_foreign_id(a) and has_foreign_id(b):
        return None
    window = ordered(a, b)
    if window is None:
        return None
    outer, inner = window
    both_failed = bool(a.error_type and b.error_type)
    if _family(a.model) != _family(b.model) and not ((both_failed or across) and (a.model is None or b.model is None)):
        return None
    if inner.error_type and outer.error_type is None and (outer.answered or outer.has_usage):
        return None  # a failed attempt inside a call that worked in the end
    if not (_counts_agree(a, b) and _counts_agree(b, a)):
        return None
    exact = a.input_tokens is not None and a.input_tokens == b.input_tokens and a.output_tokens == b.output_tokens
    if exact and not (a.tokens_estimated or b.tokens_estimated):
        return EQUAL_TOKENS
    return None if across and not both_failed else UNKNOWN_TOKENS


def _counts_agree(a: Facts, b: Facts) -> bool:
    """Equal or unknown; an exclusive count without its cached part may be below the other's."""
    if a.tokens_estimated or b.tokens_estimated:
        return True
    if a.output_tokens is not None and b.output_tokens is not None and a.output_tokens != b.output_tokens \
            and not _differ_by_start(a, b):
        return False
    if a.input_tokens is None or b.input_tokens is None or a.input_tokens == b.input_tokens:
        return True
    part, whole = (a, b) if a.input_tokens < b.input_tokens else (b, a)
    return part.token_convention == "exclusive" and part.cache_read_tokens is None and whole.input_tokens is not None


def _adds_start(facts: Facts) -> bool:
    return "claude" in (facts.model or "")


def _differ_by_start(a: Facts, b: Facts) -> bool:
    """Whether one of two spans of a stream may have added the output that the start of the stream announces."""
    apart = abs((a.output_tokens or 0) - (b.output_tokens or 0))
    return apart <= MAX_START_TOKENS and _adds_start(a) and bool(a.streaming or b.streaming) \
        and a.input_tokens is not None and a.input_tokens == b.input_tokens


def _nested_context(a: Node, b: Node) -> bool:
    """Whether the inner span ran in the outer's context: at the top of a trace, or below what the outer is below."""
    window = ordered(a.facts, b.facts)
    inner, outer = (b, a) if window is not None and window[1] is b.facts else (a, b)
    for above in inner.ancestors():
        if all(repeat is not inner for repeat in above.below):
            break
        inner = above  # the span above it is the same call
    return inner.orphan or any(above is inner.parent for above in outer.ancestors())


Side = Callable[[Facts], str | bool]
Outputs = dict[int | None, dict[str | bool, list[Facts]]]  # by measured output, by side


def lookalikes(spans: Iterable[Facts], side: Side) -> Iterator[tuple[Facts, Facts]]:
    """Pairs of spans, the earlier first, that are of different sides and agree in what `alike` wants equal."""
    services: dict[str | None, dict[str | bool, list[Facts]]] = {}
    for facts in spans:
        services.setdefault(facts.service, {}).setdefault(side(facts), []).append(facts)
    for sides in services.values():
        if len(sides) > 1:
            yield from _running_together(sorted(chain.from_iterable(sides.values()), key=ORDER), side)
    if len(services) > 1:
        for trace in _shared_traces([facts for sides in services.values() for facts in chain.from_iterable(sides.values())]):
            together = _running_together(sorted(trace, key=ORDER), side, unnamed=True)
            yield from ((first, second) for first, second in together if first.service != second.service)


def _shared_traces(spans: Sequence[Facts]) -> Iterable[list[Facts]]:
    """The spans of every trace that several services share: a gateway or a model server goes on with its client's trace."""
    service = {facts.trace_id: facts.service for facts in spans}
    shared: dict[str, list[Facts]] = {facts.trace_id: [] for facts in spans if facts.service != service[facts.trace_id]}
    for facts in spans if shared else ():
        if facts.trace_id in shared:
            shared[facts.trace_id].append(facts)
    return shared.values()


def _running_together(spans: Iterable[Facts], side: Side, unnamed: bool = False) -> Iterator[tuple[Facts, Facts]]:
    """What still runs when the next span starts is kept by model and output: a busy service is not compared pair by pair.
    A span that failed may not know its model, nor may any where `unnamed`."""
    running: dict[str | None, Outputs] = {}
    for facts in spans:
        family, output, here = _family(facts.model), None if facts.tokens_estimated else facts.output_tokens, side(facts)
        own = running.setdefault(family, {})
        near = [own]
        if facts.error_type or unnamed:
            near = [outputs for model, outputs in running.items() if model == family or model is None or family is None]
        for outputs in near:
            for sides in outputs.values() if output is None else _near_outputs(outputs, output, facts):
                for there, earlier in sides.items() if sides else ():
                    if there != here:
                        earlier[:] = [other for other in earlier if other.ended_us + LATE_US >= facts.started_us]
                        for other in earlier:
                            if other.started_us <= facts.ended_us + LATE_US:  # false where clocks let it end before it starts
                                yield other, facts
        own.setdefault(output, {}).setdefault(here, []).append(facts)


def _near_outputs(outputs: Outputs, output: int, facts: Facts) -> list[dict[str | bool, list[Facts]] | None]:
    """The spans whose measured output agrees with this one, by side."""
    slack = MAX_START_TOKENS if _adds_start(facts) else 0
    return [outputs.get(near) for near in (None, *range(output - slack, output + slack + 1))]


def candidates(leaves: Sequence[Node]) -> list[tuple[tuple[int, int, int, str, str], Node, Node, str]]:
    """All pairs of leaves that can be one call, the likeliest first; the order depends on nothing but the spans."""
    nodes = {id(node.facts): node for node in leaves}
    found = []
    for first, second in lookalikes((node.facts for node in leaves), attrgetter("scope_name")):
        rule = alike(first, second)
        if rule == EQUAL_TOKENS or (rule is not None and _nested_context(nodes[id(first)], nodes[id(second)])):
            found.append((_distance(first, second, rule), nodes[id(first)], nodes[id(second)], rule))
    return sorted(found, key=lambda pair: pair[0])


def _distance(a: Facts, b: Facts, rule: str) -> tuple[int, int, int, str, str]:
    apart = abs(a.started_us - b.started_us) + abs(a.ended_us - b.ended_us)
    low, high = sorted((f"{a.trace_id}{a.span_id}", f"{b.trace_id}{b.span_id}"))
    return (rule != EQUAL_TOKENS, (a.error_type is None) != (b.error_type is None), apart, low, high)


def stream_ends(nodes: Sequence[Node]) -> list[tuple[Node, Node]]:
    """(request, end) one to one, for emitters that end the request's span when the stream object is returned."""
    ends = [node for node in nodes if node.facts.stream_us is not None]
    if not ends:
        return []
    requests: dict[tuple[str | None, str, str | None], list[Node]] = defaultdict(list)
    for node in nodes:
        if awaits_end(node.facts):
            requests[_stream_key(node.facts)].append(node)
    found = []
    for end in ends:
        for request in requests[_stream_key(end.facts)]:
            wait = waited_us(request.facts, end.facts)
            if wait is not None:
                other_trace = request.facts.trace_id != end.facts.trace_id
                found.append((other_trace, wait, request.facts.span_id, end.facts.span_id, request, end))
    return _one_to_one(sorted(found, key=lambda pair: pair[:4]))


def _one_to_one(ranked: Iterable[tuple[bool, int, str, str, Node, Node]]) -> list[tuple[Node, Node]]:
    taken: set[int] = set()
    found = []
    for *_, request, end in ranked:
        if id(request) not in taken and id(end) not in taken:
            taken |= {id(request), id(end)}
            found.append((request, end))
    return found


def awaits_end(facts: Facts) -> bool:
    """Whether another span may still tell the usage of this stream."""
    return facts.emitter.streams == "end_later" and facts.stream_us is None and not facts.has_usage and facts.error_type is None


def _stream_key(facts: Facts) -> tuple[str | None, str, str | None]:
    return facts.service, facts.scope_name, _family(facts.model)


def waited_us(request: Facts, end: Facts) -> int | None:
    """How long after the request's span the stream was read; None when the two cannot be one call."""
    wait = end.started_us - (end.stream_us or 0) - request.ended_us
    possible = -STREAM_SLACK_US <= wait <= MAX_STREAM_WAIT_US and end.started_us >= request.started_us
    return abs(wait) if possible else None
