"""Write the sample data: `python -m sample_data.generate [OUT]` fills OUT (default: data/ beside this file)."""

import json
import sys
from pathlib import Path

from sample_data.billing import items, lines
from sample_data.bills_anthropic import pages
from sample_data.bills_aws import focus_parquet
from sample_data.bills_openai import cost_csv, usage_csv
from sample_data.calls import Request
from sample_data.company import MONTHS, SYSTEMS
from sample_data.evaluations import evaluations_csv
from sample_data.otlp import compressed
from sample_data.prices import contract_csv
from sample_data.records import governance_files, record_files
from sample_data.reviews import adr_files
from sample_data.traces import trace_file
from sample_data.traffic import requests_of
from sample_data.truth import truth

DEFAULT_OUT = Path(__file__).parent / "data"


def generate(out: Path) -> None:
    """Fill `out` with traces, bills, records and ADRs, and the folder above it with truth.json and prices.csv."""
    requests: list[Request] = []
    spans = 0
    for month in MONTHS:
        for system in SYSTEMS:
            started = requests_of(system, month)
            name, content, count = trace_file(system, month, started)
            _write(out / "traces" / name, content)
            requests += started
            spans += count
    billed = items(requests)
    charged = lines(billed)
    openai, anthropic, aws = ([item for item in billed if item.provider == name] for name in ("openai", "anthropic", "aws.bedrock"))
    for month in MONTHS:
        searches = [line for line in charged if line.provider == "openai"]
        _write(out / "bills/openai" / f"cost_by_line_item_{month}.csv.gz", compressed(cost_csv(month, openai, searches).encode()))
        _write(out / "bills/openai" / f"completions_usage_{month}.csv", usage_csv(month, openai).encode())
        for name, text in pages(month, anthropic).items():
            _write(out / "bills/anthropic" / f"{name}.gz", compressed(text.encode()))
        taxes = [line for line in charged if line.provider == "aws.bedrock"]
        _write(out / "bills/aws" / f"focus_1_2_bedrock_{month}.parquet", focus_parquet(month, aws, taxes))
    for name, text in (record_files(requests) | governance_files()).items():
        _write(out / "records" / name, text.encode())
    _write(out / "records" / "evaluations.csv.gz", compressed(evaluations_csv(requests).encode()))
    for name, text in adr_files().items():
        _write(out / "adr" / name, text.encode())
    _write(out.parent / "prices.csv", contract_csv().encode())
    _write(out.parent / "truth.json", (json.dumps(truth(requests, billed, charged, spans), indent=1) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_OUT)
