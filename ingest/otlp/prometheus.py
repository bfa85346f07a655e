"""Pages of the DCGM exporter in Prometheus text: readings of GPUs, as OTLP would bring them."""

import gzip
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from ingest.otlp import gpu
from ingest.otlp.gpu import GpuPoint
from ingest.otlp.keep import DecodeError
from ingest.otlp.messages import microseconds
from ingest.otlp.signals import Items
from ingest.otlp.span import Reject

SNIFF_BYTES = 4096
GZIP = b"\x1f\x8b"
DCGM = b"DCGM_FI_"
MAX_PAGE_BYTES = 64 * 2**20


def is_page(path: Path) -> bool:
    """Whether a file is a page of the DCGM exporter, told by its content alone."""
    try:
        head = _content(path, SNIFF_BYTES)
    except (OSError, EOFError):
        return False
    return head.lstrip().startswith((b"# HELP", b"# TYPE", DCGM)) and DCGM in head


def read(path: Path) -> Iterator[Items]:
    """The readings of a page. Samples without a time were taken when the page was written, as its file says.

    Raises DecodeError when the page cannot be read.
    """
    written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC).timestamp()
    points: list[GpuPoint] = []
    rejects: list[Reject] = []
    try:
        samples = [s for family in text_string_to_metric_families(_content(path, MAX_PAGE_BYTES).decode()) for s in family.samples]
    except (ValueError, OSError, EOFError) as error:
        raise DecodeError("not a page of Prometheus text") from error
    for position, sample in enumerate(samples):
        if not gpu.keeps(sample.name) or not math.isfinite(sample.value):
            continue
        at_us = microseconds(round((float(sample.timestamp) if sample.timestamp is not None else written_at) * 1e6) * 1000)
        try:
            if at_us is None:
                raise ValueError("a sample without a time between 2000 and 2099")
            found = gpu.point(sample.name, "", sample.labels, sample.value, at_us)
        except ValueError as broken_rule:
            rejects.append(Reject(position, f"sample {position}: {broken_rule}"))
        else:
            points.extend([found] if found is not None else [])
    yield points, rejects


def _content(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        is_gzip = file.read(2) == GZIP
    with gzip.open(path, "rb") if is_gzip else path.open("rb") as content:
        return content.read(limit)
