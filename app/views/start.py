"""What an empty ledger shows: how to connect the first source, and what each page needs."""

from urllib.parse import urlsplit

import polars as pl
import streamlit as st

from app import cards
from app.panel import table

NEEDS = (
    ("Posture", "Any one source", "Sixteen KPIs; what is missing keeps its row and says why"),
    ("Spend", "A bill, or traces for an estimate", "Cost by provider, model, system and team"),
    ("KPIs", "targets.csv", "Status against targets; without targets the value only"),
    ("Data", "Any file", "Freshness, coverage, what was refused and why"),
)


def page() -> None:
    st.title("Connect the first source")
    st.caption("The ledger is empty · every page fills as soon as its first source arrives · nothing leaves this machine")
    traces, files, sample = st.columns([1.5, 1.25, 1.05], gap="small")
    with traces, st.container(border=True, height="stretch"):
        st.markdown("**1 Send traces**")
        st.caption("Point any OpenTelemetry exporter here. GenAI spans are kept, prompt text is not.")
        here = urlsplit(st.context.url or "")
        st.code(
            f"OTEL_EXPORTER_OTLP_ENDPOINT={here.scheme}://{here.netloc}\nOTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            language=None,
            wrap_lines=True,
        )
        st.html(cards.block(cards.chip("not measured", "Waiting for the first span")))
    with files, st.container(border=True, height="stretch"):
        st.markdown("**2 Load bills and records**")
        st.caption("Provider exports, FOCUS files, traces as JSON lines, CSV records. The kind is detected.")
        st.code("spanledger load FILES", language=None)
    with sample, st.container(border=True, height="stretch"):
        st.markdown("**3 Or look around first**")
        st.caption("A small company's quarter: three providers, six systems, bills and incidents, all synthetic.")
        st.code("spanledger demo", language=None)
    rows = pl.DataFrame(
        [(name, needs, ["○ Waiting"], then) for name, needs, then in NEEDS], orient="row", schema=["page", "needs", "state", "then"]
    )
    table(
        "What each page needs",
        rows,
        "needs",
        {
            "page": st.column_config.TextColumn("Page", width=140),
            "needs": st.column_config.TextColumn("Needs", width=260),
            "state": st.column_config.MultiselectColumn("State", options=["○ Waiting"], color=["gray"], width=110),
            "then": st.column_config.TextColumn("Then shows", width=500),
        },
    )
