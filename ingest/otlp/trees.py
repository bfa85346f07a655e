"""Spans of a batch as trees: who is below whom, also where a span in between never arrived."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from operator import attrgetter

import msgspec

from ingest.otlp.facts import Facts
from ingest.otlp.tokens import EMBEDDINGS

LOCALITY_US = 24 * 3600 * 1_000_000  # spans further apart than this, without others between, are never linked
# Between two inference spans these start work of their own: the lower one is another call, not the same one again.
BARRIERS = frozenset(("tool", "agent", "retrieval", "guardrail", "evaluator"))
CALLS = frozenset(("inference", "evidence"))
ORDER = attrgetter("started_us", "trace_id", "span_id")


class Node(msgspec.Struct, eq=False):
    """One span and its place: `parent` is the span above it, found by id or, for an orphan, by time."""

    facts: Facts
    segment: int
    parent: "Node | None" = None
    orphan: bool = True  # no span above it by id
    below: list["Node"] = msgspec.field(default_factory=list)  # inference spans that repeat this one, if it is one

    @property
    def order(self) -> tuple[int, str, str]:
        return ORDER(self.facts)

    @property
    def depth(self) -> int:
        return sum(1 for _ in self.ancestors()) if self.parent is not None else 0

    def ancestors(self) -> Iterator["Node"]:
        seen = {id(self)}
        node = self.parent
        while node is not None and id(node) not in seen:
            seen.add(id(node))
            yield node
            node = node.parent


def plant(spans: Iterable[Facts]) -> Iterator[list[Node]]:
    """The trees of every trace, one list per trace; a trace with a gap of more than a day falls into two."""
    by_trace: dict[str, list[Facts]] = defaultdict(list)
    for facts in spans:
        by_trace[facts.trace_id].append(facts)
    segments = chain.from_iterable(map(within_locality, by_trace.values()))
    for number, segment in enumerate(segments):
        nodes = [Node(facts, number) for facts in segment]
        if len(nodes) > 1:
            _link(nodes)
        yield nodes


def within_locality(spans: list[Facts]) -> list[list[Facts]]:
    """In order of their start, split where neighbours are more than a day apart."""
    if len(spans) > 1:
        spans.sort(key=ORDER)
    if spans[-1].started_us - spans[0].started_us <= LOCALITY_US:
        return [spans]
    found = [spans[:1]]
    for before, facts in pairwise(spans):
        if facts.started_us - before.started_us > LOCALITY_US:
            found.append([])
        found[-1].append(facts)
    return found


def _link(segment: Sequence[Node]) -> None:
    by_id = {node.facts.span_id: node for node in segment}
    strays = []
    for node in segment:
        if node.facts.parent_span_id:
            parent = by_id.get(node.facts.parent_span_id)
            if parent is None or parent is node:
                strays.append(node)
            else:
                node.parent, node.orphan = parent, False
    if strays:
        containers = [node for node in segment if node.facts.role not in CALLS]  # in order of their start
        for node in strays:
            node.parent = _container(node, containers)
    for node in segment:
        if node.parent is not None and node.facts.role == "inference":
            above = _inference_above(node)
            if above is not None:
                above.below.append(node)


def _container(orphan: Node, containers: Sequence[Node]) -> Node | None:
    """The last span to start around an orphan; never an inference span, whose time parallel calls share."""
    own = orphan.facts
    for node in reversed(containers):
        facts = node.facts
        if facts.started_us > own.started_us or facts.ended_us < own.ended_us or node is orphan:
            continue
        if all(above is not orphan for above in node.ancestors()):
            return node
    return None


def _inference_above(node: Node) -> Node | None:
    """The inference span that this one repeats: the next above it, unless other work lies between them."""
    for above in node.ancestors():
        if above.facts.role == "inference":
            same_kind = (above.facts.operation in EMBEDDINGS) == (node.facts.operation in EMBEDDINGS)
            return above if same_kind else None
        if above.facts.role in BARRIERS:
            return None
    return None
