"""Which spans are provider calls: each call once, with all that its spans know.

A call has one row whatever its spans: an SDK's own span, an instrumentation's, a framework's and a gateway's may all
report it. Rules, in order: one version per span; wrappers and agents never count while something below them carries
usage; equal response ids are one call across traces; an inference span inside another is the same call; spans of
different scopes without ids pair one to one by time, model and tokens. The result depends on the set of spans only.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from ingest.otlp import pairs
from ingest.otlp.facts import Facts
from ingest.otlp.merge import by_maker, inherit, merge, one_version, with_rollup
from ingest.otlp.tokens import EMBEDDINGS
from ingest.otlp.trees import Node, plant, within_locality

MIN_STRONG_ID = 16  # shorter response ids, such as counters of local servers, come back by chance
MAX_ANSWERS = 8
ROLLUPS = ("wrapper", "agent")  # roles whose usage sums up what is below them
ALONE = {"inference": "wrapper", "evidence": "other"}  # what is left of a role without a call
CONFIDENCE = {
    "response_id": 1.0, "raw_request": 1.0, "nested": 0.95, "stream_end": 0.9, pairs.EQUAL_TOKENS: 0.9,
    pairs.UNKNOWN_TOKENS: 0.7}


class Resolved(msgspec.Struct, gc=False):
    """One span and its role among all. `facts` are merged on a call and the span's `own` on every other role; `trace_id`
    and `parent_span_id` are where it belongs, which for a call may be its application's trace."""

    own: Facts
    facts: Facts
    role: str
    trace_id: str
    parent_span_id: str | None
    duplicate_of: str | None = None
    dedupe_rule: str | None = None
    confidence: float | None = None
    starts_request: bool | None = None


class _Clusters:
    """Inference spans that are one call, and the rule that joined each span; most are alone and not kept here."""

    def __init__(self) -> None:
        self._members: dict[int, list[Node]] = {}  # the spans of one call share one list
        self.rule: dict[int, str] = {}

    def of(self, node: Node) -> list[Node]:
        return self._members.get(id(node)) or [node]

    def same(self, a: Node, b: Node) -> bool:
        return a is b or (id(a) in self._members and self._members[id(a)] is self._members.get(id(b)))

    def join(self, a: Node, b: Node, rule: str) -> None:
        if self.same(a, b):
            return
        for node in (a, b):
            self.rule.setdefault(id(node), rule)
        members, moved = self._members.setdefault(id(a), [a]), self.of(b)
        members += moved
        for node in moved:
            self._members[id(node)] = members


class _Call(msgspec.Struct, eq=False):
    """One provider call: what is known of it, its best witness, its spans, and the span in whose place it belongs."""

    facts: Facts
    primary: Node
    members: Sequence[Node]
    home: Node


def resolve(spans: Sequence[Facts]) -> list[Resolved]:
    """The role of every span of a closed set, one entry per (trace_id, span_id)."""
    unique = one_version(spans)
    traces: list[list[Node]] = []
    by_role: dict[str, list[Node]] = defaultdict(list)
    for trace in plant([facts for facts in unique if facts.genai]):
        traces.append(trace)
        for node in trace:
            by_role[node.facts.role].append(node)
    inference = by_role["inference"]
    clusters = _Clusters()
    replayed = _join_ids(inference, clusters)
    for request, end in pairs.stream_ends(inference):
        clusters.join(request, end, "stream_end")
    _join_pairs(inference, clusters)
    wrappers = _join_nested(inference, clusters)
    evidence = _evidence(by_role["evidence"], clusters)
    calls = []
    for node in inference:
        members = clusters.of(node)
        if members[0] is node and id(node) not in wrappers:
            calls.append(_call(members, evidence.get(id(node), ()), replayed, traces))
    calls += _bill_rollups([node for role in ROLLUPS for node in by_role[role]] + list(wrappers.values()), calls)
    return _entries(traces, calls, clusters.rule) + [_no_call(facts, "other") for facts in unique if not facts.genai]


def _join_ids(inference: Sequence[Node], clusters: _Clusters) -> set[int]:
    """Equal response ids are one call. The same id again later, complete and from the same scope, is an answer out of
    a response cache: those spans are returned."""
    first: dict[str, Node] = {}
    repeated: dict[str, dict[int, Node]] = {}
    for node in inference:
        if (own := node.facts.response_id) is None or len({lower.facts.response_id for lower in node.below} - {None}) > 1:
            continue  # of the answers below it, it has the last one's id and the usage of all
        if (seen := first.setdefault(own, node)) is not node:
            repeated.setdefault(own, {id(seen.facts): seen})[id(node.facts)] = node
    replayed: set[int] = set()
    for response_id, group in repeated.items():
        for near in within_locality([node.facts for node in group.values()]):
            answers: list[list[Node]] = []
            for facts in near:
                node = group[id(facts)]
                same = next((answer for answer in reversed(answers) if _belongs(facts, answer)), None)
                if same is None:
                    if answers and facts.has_usage and len(response_id) >= MIN_STRONG_ID:
                        replayed.add(id(node))
                    answers.append([node])
                else:
                    clusters.join(same[0], node, "response_id")
                    same.append(node)
                    answers = answers[-MAX_ANSWERS:]
    return replayed


def _belongs(facts: Facts, answer: Sequence[Node]) -> bool:
    return any(_same_answer(seen.facts, facts) for seen in answer)


def _same_answer(a: Facts, b: Facts) -> bool:
    overlap = a.started_us <= b.ended_us and b.started_us <= a.ended_us
    if len(a.response_id or "") < MIN_STRONG_ID:
        return overlap and a.model == b.model and a.service == b.service
    return overlap or a.scope_name != b.scope_name or not (a.has_usage and b.has_usage)


def _join_pairs(inference: Sequence[Node], clusters: _Clusters) -> None:
    """Pairs without ids, the likeliest first; a call has at most one span per scope and one id of the provider."""
    leaves = [node for node in inference if not node.below and node.facts.stream_us is None]
    for _, a, b, rule in pairs.candidates(leaves):
        if clusters.same(a, b):
            continue
        both = clusters.of(a), clusters.of(b)
        scopes = [{node.facts.scope_name for node in members} for members in both]
        ids = {node.facts.response_id for members in both for node in members if pairs.has_foreign_id(node.facts)}
        if scopes[0].isdisjoint(scopes[1]) and len(ids) <= 1:
            clusters.join(a, b, rule)


def _join_nested(inference: Sequence[Node], clusters: _Clusters) -> dict[int, Node]:
    """An inference span over one call is that call; over several it only wraps them: those are returned."""
    wrappers: dict[int, Node] = {}
    for node in sorted((node for node in inference if node.below), key=lambda node: (-node.depth, node.order)):
        below = [lower for lower in node.below if id(lower) not in wrappers]
        if below and all(clusters.same(below[0], lower) for lower in below):
            clusters.join(below[0], node, "nested")
        elif len(clusters.of(node)) == 1:
            wrappers[id(node)] = node
    return wrappers


def _evidence(requests: Sequence[Node], clusters: _Clusters) -> dict[int, list[Node]]:
    """The raw requests below the spans of each call, by the first span of its cluster."""
    found: dict[int, list[Node]] = defaultdict(list)
    for node in requests:
        if node.parent is not None and node.parent.facts.role == "inference":
            found[id(clusters.of(node.parent)[0])].append(node)
    return found


def _call(members: Sequence[Node], raw: Sequence[Node], replayed: set[int], traces: Sequence[Sequence[Node]]) -> _Call:
    """Several spans of one call as one row, in the trace where it belongs."""
    inner = outer = members
    if len(members) > 1:
        inner = sorted(members, key=lambda node: _innermost(node, members))
        outer = _outermost(inner, traces)
    primary, home = inner[0], outer[0]
    facts = primary.facts
    if len(members) > 1 or raw:
        facts = merge([node.facts for node in (*inner, *raw)], [node.facts for node in outer])
    if home.parent is not None:
        facts = inherit(facts, [node.facts for node in home.ancestors()])
    if replayed and any(id(node) in replayed for node in members):
        facts = msgspec.structs.replace(facts, response_cached=True)
    return _Call(facts, primary, [*members, *raw] if raw else members, home)


def _innermost(node: Node, members: Sequence[Node]) -> tuple[bool, bool, int, tuple[int, str, str]]:
    """Sorts the best witness first: the provider's own SDK, then the span inside most of the others."""
    facts = node.facts
    around = sum(1 for other in members if other is not node and (
        other in node.ancestors() if other.segment == node.segment else pairs.around(other.facts, facts)))
    return facts.stream_us is not None, not facts.emitter.native, -around, node.order


def _outermost(inner: Sequence[Node], traces: Sequence[Sequence[Node]]) -> list[Node]:
    """The spans of a call from outside in, beginning with the trace that holds most besides them: the application's."""
    own: dict[int, list[Node]] = defaultdict(list)
    for node in inner:
        own[node.segment].append(node)
    home = max(own, key=lambda number: (
        len(traces[number]) - len(own[number]), number == inner[0].segment, own[number][0].facts.trace_id))
    return sorted(inner, key=lambda node: (node.segment != home, node.depth, node.order))


def _bill_rollups(above: Sequence[Node], calls: Sequence[_Call]) -> list[_Call]:
    """Usage that only a wrapper or an agent carries goes to the first call below it, else the wrapper is the call, unless
    calls beside it are what it sums up: two instrumentations of one framework may each open a branch of their own."""
    rollups = [node for node in above if node.facts.has_usage]
    below: dict[int, list[_Call]] = {id(node): [] for node in rollups}
    for call in calls if rollups else ():
        for node in _above(call, below):
            if call.facts.operation not in EMBEDDINGS or not node.facts.output_tokens:  # embeddings explain no output
                below[id(node)].append(call)
    beside: dict[int, list[_Call]] = {node.segment: [] for node in rollups}
    for call in calls if rollups else ():
        for segment in {node.segment for node in call.members} & beside.keys():
            beside[segment].append(call)
    billed: list[_Call] = []
    for node in sorted(rollups, key=lambda node: (-node.depth, node.order)):
        known = below[id(node)]
        if any(call.facts.has_usage for call in known):
            continue
        if known:
            first = min(known, key=lambda call: (call.facts.error_type is not None, call.primary.order))
            first.facts = with_rollup(first.facts, node.facts)
            continue
        if _sums_up(node.facts, [call.facts for call in beside[node.segment]]):
            continue
        facts = msgspec.structs.replace(node.facts, flags=(*node.facts.flags, "rollup_billed"))
        call = _Call(inherit(facts, [over.facts for over in node.ancestors()]), node, [node], node)
        billed.append(call)
        for over in _above(call, below):
            below[id(over)].append(call)
    return billed


def _sums_up(rollup: Facts, calls: Sequence[Facts]) -> bool:
    """Whether the usage is that of one of these calls in its time, or of all of them."""
    counted = [(facts.input_tokens, facts.output_tokens) for facts in calls if facts.has_usage and pairs.around(rollup, facts)]
    total = tuple([sum(count or 0 for count in counts) for counts in zip(*counted, strict=True)])
    return (rollup.input_tokens, rollup.output_tokens) in (*counted, total)


def _above(call: _Call, rollups: Mapping[int, Sequence[_Call]]) -> list[Node]:
    """The spans over a call that sum up usage."""
    found: dict[int, Node] = {}
    for node in call.members:
        if node.parent is not None:
            found |= {id(above): above for above in node.ancestors() if id(above) in rollups}
    return list(found.values())


def _entries(traces: Sequence[Sequence[Node]], calls: Sequence[_Call], rules: Mapping[int, str]) -> list[Resolved]:
    found: dict[int, Resolved] = {}
    starts: dict[int, Resolved] = {}  # the earliest call of each trace: a request is a trace with at least one call
    for call in calls:
        facts, primary, home = by_maker(call.facts), call.primary, call.home
        entry = found[id(primary)] = Resolved(
            primary.facts, facts, "call", home.facts.trace_id, home.facts.parent_span_id, starts_request=False)
        first = starts.setdefault(home.segment, entry)
        if (facts.started_us, facts.span_id) < (first.facts.started_us, first.facts.span_id):
            starts[home.segment] = entry
        for node in call.members if len(call.members) > 1 else ():
            if node is not primary:
                rule = "raw_request" if node.facts.role == "evidence" else rules[id(node)]
                found[id(node)] = _no_call(node.facts, "duplicate", primary.facts.span_id, rule, CONFIDENCE[rule])
    for entry in starts.values():
        entry.starts_request = True
    return [found.get(id(node)) or _no_call(node.facts, ALONE.get(node.facts.role, node.facts.role))
            for trace in traces for node in trace]


def _no_call(own: Facts, role: str, duplicate_of: str | None = None, rule: str | None = None, confidence: float | None = None) -> Resolved:
    return Resolved(own, own, role, own.trace_id, own.parent_span_id, duplicate_of, rule, confidence)
