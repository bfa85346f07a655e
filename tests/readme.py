"""The README's generated tables: what is read and which KPIs are shown. Run as a module to write them anew."""

import re
from pathlib import Path

from ingest.collector import collectors
from metrics.kpi import kpis

README = Path(__file__).parents[1] / "README.md"


def with_tables(text: str) -> str:
    """The README's text with every generated table as the code would have it."""
    for name, table in (("collectors", collectors_table()), ("kpis", kpis_table())):
        text = re.sub(rf"<!-- {name} -->.*?<!-- /{name} -->", f"<!-- {name} -->\n{table}\n<!-- /{name} -->", text, flags=re.DOTALL)
    return text


def collectors_table() -> str:
    rows = [f"| `{collector.name}` | {collector.title} | `{collector.target}` |" for collector in collectors().values()]
    return "\n".join(["| read as | what | into |", "|---|---|---|", *rows])


def kpis_table() -> str:
    rows = [f"| {kpi.number} | {kpi.title} | {kpi.definition} |" for kpi in kpis().values()]
    return "\n".join(["| # | KPI | definition |", "|---|---|---|", *rows])


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text("utf-8")), "utf-8")
