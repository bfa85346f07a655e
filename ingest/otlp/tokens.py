"""What token counts mean: one inclusive total per call, whatever the emitter counted, and which rule decided."""

import re
from fnmatch import fnmatchcase
from functools import lru_cache

import msgspec

from ingest.otlp.tables import table

EMBEDDINGS = ("embeddings", "rerank")  # operations that have no output tokens
VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}")


class Emitter(msgspec.Struct, frozen=True):
    """How one instrumentation counts and names; the empty text where nobody knows."""

    scope: str = ""  # a pattern, followed by `<` and a version where it holds for what is older
    provider: str = ""
    input: str = ""  # inclusive | exclusive: whether input tokens contain the cached ones
    cache: str = ""  # always | omits_zero | partly | chat_partly | never: whether cached tokens are told
    total: str = ""  # own_sum: the emitter's own addition, which proves nothing; whole: it knows cached tokens that nothing else tells
    output: str = ""  # excludes_reasoning: reasoning is only in the total
    estimate: str = ""  # always | streams | streams_without_cache: which counts are a local estimate
    ids: str = ""  # uuid: a response id of this shape is the emitter's own, not the provider's
    native: str = ""  # yes: the provider's own SDK, which knows best
    streams: str = ""  # end_later: a second span tells the usage of a read stream; ends_early: nothing does


@lru_cache(4096)
def emitter(scope: str, version: str, provider: str | None) -> Emitter:
    """The first row of the table that fits the scope and, where the row names them, its version and the provider."""
    for row in table("emitters.csv"):
        pattern, _, bound = row["scope"].lower().partition("<")
        if fnmatchcase(scope.lower(), pattern) and row["provider"] in ("", provider) and (not bound or _older(version, bound)):
            return Emitter(**row)
    return Emitter()


def _older(version: str, bound: str) -> bool:
    """Whether a version comes before another; one that is not told is taken for a new one."""
    numbers = VERSION.match(version)
    return numbers is not None and [int(part) for part in numbers[0].split(".")] < [int(part) for part in bound.split(".")]


class Counts(msgspec.Struct, gc=False):
    """Token counts as they were sent; None where the span does not say."""

    input: int | None = None
    output: int | None = None
    total: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    uncached: int | None = None
    shape: str | None = None  # the convention that the form of a provider's usage object tells


class Tokens(msgspec.Struct, gc=False):
    """Token counts in the ledger's meaning: input with cache, output with reasoning, writes with the 1-hour part."""

    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    convention: str | None = None
    rule: str | None = None
    flags: tuple[str, ...] = ()


def tokens(counts: Counts, source: Emitter, operation: str | None) -> Tokens:
    """Normalise the counts of one span."""
    write, write_1h = _cache_write(counts)
    read, given = counts.cache_read, counts.input
    if given is None:
        return Tokens(None, read, write, write_1h, _output(counts, None, source), counts.reasoning)
    cached = (read or 0) + (write or 0)
    output = counts.output
    if given == 0 and not cached:  # an answered call cannot have no input: the counts were not measured
        output = output or None
        reasoning = counts.reasoning if output else None
        return Tokens(output_tokens=output, reasoning_tokens=reasoning, flags=("zero_usage",))
    convention, rule, flags = _convention(counts, read or 0, write or 0, source)
    inclusive = given + cached if convention == "exclusive" else given
    if source.total == "whole" and counts.total is not None and counts.total - (output or 0) > inclusive:
        inclusive, convention, rule = counts.total - (output or 0), "inclusive", "identity"
    if operation not in EMBEDDINGS:
        output = _output(counts, inclusive, source)
    return Tokens(inclusive, read, write, write_1h, output, counts.reasoning, convention, rule, flags)


def _convention(counts: Counts, read: int, write: int, source: Emitter) -> tuple[str, str, tuple[str, ...]]:
    """Whether `input` contains the cached tokens, the rule that says so, and whether rules disagree."""
    told = counts.shape if counts.shape in ("inclusive", "exclusive") else _stated(counts, read + write) or source.input
    if not read + write:
        return (told, "known", ()) if told else ("inclusive", "agree", ())
    proof, rule = _identity(counts, read, write, source), "identity"
    if proof is None and counts.input is not None and read + write > counts.input:
        proof, rule = "exclusive", "tripwire"
    if told and (proof is None or proof == told):
        return told, "known", ()
    if proof:
        return proof, rule, ("convention_conflict",) if told else ()
    return "unknown", "none", ()


def _stated(counts: Counts, cached: int) -> str | None:
    """What the count of uncached tokens says, where the emitter tells it beside the input."""
    if counts.uncached is None or counts.input is None:
        return None
    return {counts.uncached: "exclusive", counts.uncached + cached: "inclusive"}.get(counts.input)


def _identity(counts: Counts, read: int, write: int, source: Emitter) -> str | None:
    """What the parts add up to, where the emitter passed on a total that it did not add up itself."""
    given, cached = counts.input, read + write
    assert given is not None
    if stated := _stated(counts, cached):
        return stated
    if counts.total is None or source.total == "own_sum":
        return None
    for reasoning in {0, counts.reasoning or 0}:
        rest = counts.total - given - (counts.output or 0) - reasoning
        if rest == 0 and cached <= given:
            return "inclusive"
        if rest == cached or (read and rest == read):
            return "exclusive"
    return None


def _output(counts: Counts, inclusive: int | None, source: Emitter) -> int | None:
    """Output with reasoning: some emitters leave it outside, and only the total or its size tells."""
    output, reasoning, total = counts.output, counts.reasoning or 0, counts.total
    if output is None:
        return None
    if inclusive is not None and total is not None and source.total != "own_sum":
        outside = total - inclusive - output
        if outside > 0 and (outside == reasoning or source.output == "excludes_reasoning"):
            return output + outside
        if outside == 0 and reasoning <= output:
            return output
    return output + reasoning if reasoning > output or source.output == "excludes_reasoning" else output


def _cache_write(counts: Counts) -> tuple[int | None, int | None]:
    """Tokens written to the cache in total, and for one hour."""
    short, long = counts.cache_write_5m, counts.cache_write_1h
    write = counts.cache_write
    if write is None:
        return (None, None) if short is None and long is None else ((short or 0) + (long or 0), long)
    if long is None and short is not None and short <= write:
        long = write - short
    return write, None if long is not None and long > write else long


def usage_flags(found: Tokens, source: Emitter, estimated: bool, operation: str | None) -> tuple[str, ...]:
    """What a reader of these counts has to know."""
    flags: tuple[str, ...] = ()
    if found.cache_write_tokens and found.cache_write_1h_tokens is None:
        flags += ("ttl_assumed",)
    cache_told = found.cache_read_tokens is not None or (found.cache_write_tokens is not None and found.convention != "exclusive")
    untold = ("", "never", "partly") if operation in EMBEDDINGS else ("", "never", "partly", "chat_partly")
    if found.input_tokens is not None and not cache_told and source.cache in untold:
        flags += ("cache_unknown",)
    if not estimated and operation not in EMBEDDINGS and (found.input_tokens is None) != (found.output_tokens is None):
        flags += ("partial_usage",)
    return flags
