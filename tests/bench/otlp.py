"""How fast OTLP bytes become ledger rows, against protobuf's own parse of the same bytes: `python -m tests.bench.otlp`.

Speed is in CPU seconds of all threads, as the median over interleaved pairs of one parse and one load, so that a busy
machine disturbs both alike. A load decodes, resolves calls, prices, inserts, rebuilds rollups and commits.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.attribution import Attribution
from ingest.load import Loader
from ingest.otlp.commit import SpanLedger
from ingest.otlp.protobuf import decode_protobuf
from ingest.store import Store
from ingest.writer import QueueFull, Writer
from tests.bench.bodies import captured, generated
from tests.ingest.otlp_bodies import NOON_NS
from tests.ingest.otlp_spans import CAPTURES

HASH_KEY = b"a key for benchmarks"
DAY_NS = 24 * 3600 * 10**9
GROWTH_SPANS, GROWTH_DAYS = 2_000, 10
SPANS_PER_FILE = 5_000
# The floor reads every byte and a load but few of them, so that the ratio rises with the size of prompts.
CONTENT_BYTES = (200, 2_400, 10_000, 30_000)
FILES = (1, 12, 36, 72)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spans", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak-memory-of", type=int, metavar="FILES", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak_memory_of:
        print(peak_memory(given.peak_memory_of))
        return
    # First, while this process is small: what a child reports as its peak is never less than its parent had.
    for files in FILES:
        command = [sys.executable, "-m", "tests.bench.otlp", "--peak-memory-of", str(files)]
        peak = subprocess.check_output(command, text=True).strip()
        print(f"peak memory, {files} files of {SPANS_PER_FILE:,} spans: {peak} MiB", flush=True)
    corpora = [(f"generated with {size:,} bytes of content", generated(given.spans, content_bytes=size)) for size in CONTENT_BYTES]
    if CAPTURES.is_dir():
        corpora.append(("captures", captured(CAPTURES, given.spans)))
    for name, made in corpora:
        bodies = list(made)
        for way, load in (("files", load_files), ("receiver", receive)):
            report(f"{name}, {way}", bodies, load, given.rounds)
    growth(given.spans)


def report(name: str, bodies: Sequence[bytes], load: Callable[[Store, Path, Sequence[bytes]], None], rounds: int) -> None:
    """Print the speed of one way to load, and how it compares with the parse alone."""
    spans = sum(map(count, bodies))
    pairs = [(cpu_seconds(lambda: parse(bodies)), in_new_ledger(bodies, load)) for _ in range(rounds)]
    floor, whole = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(parsed / loaded for parsed, loaded in pairs)
    print(f"{name}: {spans:,} spans of {sum(map(len, bodies)) / spans / 1000:.1f} kB, {spans / whole:,.0f} spans per CPU second, "
          f"parse alone {spans / floor:,.0f}, ratio {ratio:.3f}", flush=True)


def growth(spans: int) -> None:
    """Print what one batch costs in an empty ledger and behind many days of the same traffic."""
    with tempfile.TemporaryDirectory() as folder:
        store = new_ledger(Path(folder))

        def day(number: int, wanted: int) -> float:
            start_ns = NOON_NS + number * DAY_NS
            bodies = list(generated(wanted, seed=1000 + number, content_bytes=200, start_ns=start_ns))
            return cpu_seconds(lambda: receive(store, Path(folder), bodies))

        day(0, GROWTH_SPANS)  # finds the names of models in the price book, once
        early = [day(number, GROWTH_SPANS) for number in (1, 2, 3)]
        for number in range(4, 4 + GROWTH_DAYS):
            day(number, spans)
        held = store.query("select count(*) as n from spans")["n"].item()
        late = [day(number + GROWTH_DAYS, GROWTH_SPANS) for number in (4, 5, 6)]
        store.close()
    print(f"one batch of {GROWTH_SPANS:,} spans: {statistics.median(early):.3f} CPU seconds in a new ledger, "
          f"{statistics.median(late):.3f} in one of {held:,} spans", flush=True)


def peak_memory(files: int) -> int:
    """MiB that a process of its own needs at most to load so many files."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number in range(files):
            bodies = generated(SPANS_PER_FILE, seed=number, start_ns=NOON_NS + number * DAY_NS)
            paths.append(framed(Path(folder) / f"{number}.otlp", bodies))
        store = new_ledger(Path(folder))
        Loader(store, HASH_KEY).load([(path, path.name) for path in paths])
        store.close()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def parse(bodies: Iterable[bytes]) -> None:
    for body in bodies:
        ExportTraceServiceRequest.FromString(body)


def count(body: bytes) -> int:
    return sum(len(scope.spans) for found in ExportTraceServiceRequest.FromString(body).resource_spans for scope in found.scope_spans)


def load_files(store: Store, folder: Path, bodies: Sequence[bytes]) -> None:
    """One file of messages behind their lengths, as the Collector writes them."""
    [outcome] = Loader(store, HASH_KEY).load([(framed(folder / "spans.otlp", bodies), "spans.otlp")])
    assert outcome.status == "loaded", outcome.line()


def receive(store: Store, folder: Path, bodies: Sequence[bytes]) -> None:
    """Bodies as the receiver gets them, many waiting for each commit."""
    ledger = SpanLedger(HASH_KEY, Attribution())
    writer = Writer(store, ledger)
    writer.start()
    waiting: list[Future[None]] = []
    for body in bodies:
        spans, rejects = decode_protobuf(body, ledger.allow)
        try:
            waiting.append(writer.submit("traces", spans, rejects))
        except QueueFull:  # where a sender would come again
            waiting[-1].result()
            waiting.append(writer.submit("traces", spans, rejects))
    writer.stop()
    for done in waiting:
        done.result()


def framed(path: Path, bodies: Iterable[bytes]) -> Path:
    with path.open("wb") as file:
        for body in bodies:
            file.write(len(body).to_bytes(4, "big") + body)
    return path


def new_ledger(folder: Path) -> Store:
    """A ledger on disk that has its prices."""
    store = Store(folder / "ledger.duckdb")
    Loader(store, HASH_KEY).load([])
    return store


def in_new_ledger(bodies: Sequence[bytes], load: Callable[[Store, Path, Sequence[bytes]], None]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        store = new_ledger(Path(folder))
        seconds = cpu_seconds(lambda: load(store, Path(folder), bodies))
        store.close()
    return seconds


def cpu_seconds(run: Callable[[], None]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


if __name__ == "__main__":
    main()
