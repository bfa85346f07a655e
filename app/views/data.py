"""Data: how fresh and complete the ledger is, what was loaded, and what was refused and why."""

import polars as pl
import streamlit as st

from app import cards, quantities
from app.filterbar import toolbar
from app.panel import table
from app.session import CachedEngine
from app.views import start
from metrics import coverage

LOADS = """
select l.finished_at as finished_at, l.path as path, l.source as source, l.rows as loaded, l.rejected as rejected,
       l.status as status, l.message as message
from loads l order by l.finished_at desc, l.id desc limit 500
"""
REJECTS = """
select r.path as path, r.position as position, r.reason as reason, r.length as length from rejects r
join loads l on l.id = r.load_id order by l.finished_at desc, r.path, r.position limit 500
"""
TOTALS = """
select (select count(*) from calls) as calls, (select count(*) from spans s where s.role = 'duplicate') as duplicates,
       (select count(*) from ai_charges) as charges, (select count(*) from rejects) as rejects,
       (select max(l.finished_at) from loads l where l.status <> 'failed') as newest
"""
STATUS = {"loaded": "● Loaded", "partial": "▲ In part", "failed": "■ Failed"}


def page() -> None:
    engine = CachedEngine()
    if toolbar("Data", engine) is None:
        start.page()
        return
    totals = engine.query(TOTALS).row(0, named=True)
    found = coverage.checks(engine)
    wrong = [check for check in found if not check["ok"]]
    newest = quantities.moment(totals["newest"]) if totals["newest"] else "never"
    st.caption(f"The whole ledger, whatever the filters · last load {newest} · the same checks as `spanledger doctor`")
    grid = st.grid("auto", min_column_width=240, gap="small")
    for label, value, words in (
        ("Provider calls", quantities.count(totals["calls"]), "each counted once"),
        ("Repeated spans", quantities.count(totals["duplicates"]), "not counted"),
        ("Billing lines", quantities.count(totals["charges"]), "of AI services"),
        ("Rejected rows", quantities.count(totals["rejects"]), "position and reason kept"),
    ):
        grid.metric(label, value, border=True, height="stretch", delta_arrow="off", delta=None, delta_description=words)
    _checks(found, len(wrong))
    loads = engine.query(LOADS).with_columns(pl.col("status").replace_strict(STATUS).map_elements(lambda word: [word], pl.List(pl.String)))
    failed = loads.filter(pl.col("message") != "").height
    table(
        f"{loads.height:,} loads" + (f", {failed} failed" if failed else ", none failed"),
        loads,
        "loads",
        {
            "finished_at": st.column_config.DatetimeColumn("When, UTC", format="D MMM YYYY HH:mm", width=140),
            "path": st.column_config.TextColumn("File or sender", width=360),
            "source": st.column_config.TextColumn("Read as", width=150),
            "loaded": st.column_config.NumberColumn("Rows", format="localized", width=80),
            "rejected": st.column_config.NumberColumn("Rejected", format="localized", width=80),
            "status": st.column_config.MultiselectColumn(
                "Status", options=list(STATUS.values()), color=["blue", "orange", "red"], width=100
            ),
            "message": st.column_config.TextColumn("What to do", width=140),
        },
        most=10,
    )
    rejects = engine.query(REJECTS)
    if rejects.height:
        table(
            f"{totals['rejects']:,} rejected rows, newest first",
            rejects,
            "rejects",
            {
                "path": st.column_config.TextColumn("File", width=360),
                "position": st.column_config.NumberColumn("Position", format="localized", width=90),
                "reason": st.column_config.TextColumn("Why", width=500),
                "length": st.column_config.NumberColumn("Bytes", format="localized", width=80),
            },
            most=8,
        )
    dangling = coverage.rows(engine, "references")
    if dangling.height:
        table(
            f"{dangling.height:,} {'row names' if dangling.height == 1 else 'rows name'} what nothing describes",
            dangling.with_columns(pl.concat_str("kind", "id", separator=" ").alias("missing")),
            "references",
            {
                "path": st.column_config.TextColumn("File", width=360),
                "row_kind": st.column_config.TextColumn("Row", width=130),
                "row_id": st.column_config.TextColumn("Id", width=180),
                "missing": st.column_config.TextColumn("Names", width=360),
            },
            most=8,
        )


def _checks(found: list[dict[str, object]], wrong: int) -> None:
    with st.container(border=True):
        st.markdown(f"**{wrong} of {len(found)} checks need a look**" if wrong else "**Fresh and complete: no check needs a look**")
        rows = "".join(cards.check_row(bool(check["ok"]), str(check["title"]), str(check["finding"])) for check in found)
        st.html(cards.block(rows))
