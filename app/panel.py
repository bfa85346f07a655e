"""A chart as pages show it: the finding as its title, a table behind a switch, a download, and words for who cannot see it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from app.theme import Mode

ROW_PX = 30
CONFIG = {"displayModeBar": False, "scrollZoom": False}
DAYS, WEEKLY, ROWS = "chart", "weekly", "rows"
SHOWN_AS = {DAYS: ":material/bar_chart:", WEEKLY: ":material/show_chart: weekly mean", ROWS: ":material/table_rows:"}


def mode() -> Mode:
    """Light or dark, as the reader's browser shows the app."""
    return "dark" if st.context.theme.type == "dark" else "light"


def chart(
    finding: str,
    figure: go.Figure,
    rows: pl.DataFrame,
    key: str,
    note: str = "",
    has_switch: bool = True,
    weekly: go.Figure | None = None,
) -> None:
    """A bordered card with a figure; `finding` is its title and what a screen reader says instead of the picture.

    The switch shows the rows instead, or `weekly`, the same figure as weekly means.
    """
    figures = {DAYS: figure} if weekly is None else {DAYS: figure, WEEKLY: weekly}
    with st.container(border=True, height="stretch", key=f"{key}_card", gap="xsmall"):
        shown = DAYS
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{escape(finding)}**", width="stretch")
            if has_switch:
                shown = _switch([*figures, ROWS], key)
            _download(lambda: rows, key)
        if shown in figures:
            st.plotly_chart(figures[shown], theme=None, config=CONFIG, key=f"{key}_{shown}", alt=finding)
        else:
            st.dataframe(rows, hide_index=True, height=int(figure.layout.height), placeholder="—", key=f"{key}_rows", alt=finding)
        if note:
            st.caption(escape(note))


def _switch(options: list[str], key: str) -> str:
    chosen = st.segmented_control(
        "Show as",
        options,
        default=options[0],
        required=True,
        format_func=SHOWN_AS.__getitem__,
        key=f"{key}_as",
        bind="query-params",
        label_visibility="collapsed",
    )
    return str(chosen or options[0])


@contextmanager
def card(
    finding: str,
    rows: pl.DataFrame,
    key: str,
    height: Literal["content", "stretch"] = "content",
    every: Callable[[], pl.DataFrame] | None = None,
) -> Iterator[None]:
    """A bordered card under its finding, with the rows behind it to download."""
    with st.container(border=True, height=height, key=f"{key}_card", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{escape(finding)}**", width="stretch")
            _download(every or (lambda: rows), key)
        yield


def table(
    finding: str,
    rows: pl.DataFrame,
    key: str,
    columns: Mapping[str, Any],
    most: int = 12,
    note: str = "",
    is_selectable: bool = False,
    every: Callable[[], pl.DataFrame] | None = None,
) -> int | None:
    """A bordered card with a table of as many rows as there are, up to `most` before it scrolls; the row that was chosen.

    `every` fetches what the download holds where the table shows only the first rows.
    """
    with card(finding, rows, key, every=every):
        shown: Any = st.dataframe(
            rows,
            hide_index=True,
            row_height=ROW_PX,
            height=ROW_PX * (min(rows.height, most) + 1) + 2,
            placeholder="—",
            column_config=dict(columns),
            column_order=list(columns),
            key=key,
            alt=finding,
            on_select="rerun" if is_selectable else "ignore",
            selection_mode="single-row",
        )
        if note:
            st.caption(escape(note))
    chosen = shown.selection.rows if is_selectable else []
    return int(chosen[0]) if chosen and chosen[0] < rows.height else None


def metric(grid: Any, label: str, value: str, delta: str | None, words: str, colour: str = "off") -> None:
    """One number of a row of cards: `delta` is the pill beside it (a change, an interval or a status), `words` what it is about."""
    grid.metric(label, value, delta, border=True, height="stretch", delta_arrow="off", delta_color=colour, delta_description=words)


def escape(text: str) -> str:
    """Text that Markdown shows as it is: a dollar would start a formula, a bracket a link."""
    return "".join(f"\\{character}" if character in r"\`*_{}[]()#+!|$~<>:" else character for character in text)


def _download(fetch: Callable[[], pl.DataFrame], key: str) -> None:
    st.download_button(
        "CSV",
        data=lambda: _csv(fetch()),
        file_name=f"{key}.csv",
        mime="text/csv",
        type="tertiary",
        icon=":material/download:",
        on_click="ignore",
        key=f"{key}_csv",
        help="The rows behind this, as CSV",
    )


def _csv(rows: pl.DataFrame) -> str:
    nested = [name for name, kind in rows.schema.items() if kind.is_nested()]
    return rows.drop(nested).write_csv()
