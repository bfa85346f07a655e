"""A KPI by system, a pure function from rows to a plotly figure."""

import math
import textwrap
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
import polars as pl

from app import quantities
from app.figure import blank, scale
from app.kpi_trend_chart import Row, hover
from app.labels import LINE_PX, text_width
from app.theme import PALETTES, STATUSES, Mode
from metrics.kpi import Status

NAME_CHARACTERS = 16  # of a system's name on one line
REASON_CHARACTERS = 20
GLYPHS = {"circle": "●", "triangle-up": "▲", "square": "■", "circle-open": "○", "circle-open-dot": "○"}
NARROW_PX = 150  # the narrowest plot of systems that ticks are laid out for


def kpi_by_system(
    rows: pl.DataFrame, mode: Mode, *, unit: str, target: float | None = None, target_words: str = "", height: int = 300
) -> go.Figure:
    """A KPI per system, in the order of the rows: columns name, value, low, high, n, status, note.

    A system that is not measured keeps its place, with the note as the reason. The figure is as high as its rows need.
    """
    palette, found = PALETTES[mode], rows.to_dicts()
    if not found:
        return blank(mode, height)
    names = ["<br>".join(map(escape, textwrap.wrap(row["name"], NAME_CHARACTERS, break_long_words=False))) for row in found]
    reasons = ["<br>".join(map(escape, textwrap.wrap(row["note"] or "not measured", REASON_CHARACTERS))) for row in found]
    lines = max(
        [text.count("<br>") + 1 for text in names]
        + [text.count("<br>") + 1 for text, row in zip(reasons, found, strict=True) if row["value"] is None]
    )
    left = max(text_width(line) for name in names for line in name.split("<br>")) + 16
    counts = [_count_words(row) for row in found]
    values_px = max(text_width(quantities.quantity(row["value"], unit)) for row in found) + 12
    right = values_px + max(map(text_width, counts)) + 14
    needed = 22 + 46 + len(found) * (int(LINE_PX) * lines + 10)
    figure = blank(mode, max(height, needed), left=math.ceil(left), right=right, top=22, bottom=46)
    _system_axes(figure, names, found, unit, target, mode)
    for place, row in enumerate(found):
        if row["value"] is None:
            figure.add_annotation(
                x=0,
                y=place,
                xanchor="left",
                xshift=4,
                text=reasons[place],
                showarrow=False,
                align="left",
                bgcolor=palette.page,
                borderpad=1,
            )
            continue
        _system_dot(figure, row, place, unit, mode)
        figure.add_annotation(
            x=1,
            xref="paper",
            y=place,
            xanchor="right",
            xshift=values_px,
            showarrow=False,
            font={"color": palette.text},
            text=f"<b>{escape(quantities.quantity(row['value'], unit))}</b>",
        )
        figure.add_annotation(x=1, xref="paper", y=place, xanchor="left", xshift=values_px + 8, showarrow=False, text=escape(counts[place]))
    if target is not None:
        _system_target(figure, target, f"Target {target_words}", mode)
    _status_key(figure, found, mode)
    return figure


def _count_words(row: Row) -> str:
    """How many cases a value rests on; what is to be said about it is in the hover, for want of room."""
    return f"n{quantities.NB}{quantities.count(row['n'])}" if row["n"] is not None and row["value"] is not None else ""


def _system_axes(figure: go.Figure, names: Sequence[str], found: Sequence[Row], unit: str, target: float | None, mode: Mode) -> None:
    """The first row on top; the scale starts at zero and has as many ticks as a narrow plot can hold."""
    drawn = [row[part] for row in found for part in ("value", "high") if row["value"] is not None and row[part] is not None]
    scales = [scale(max([*drawn, target or 0.0]), unit, most) for most in (6, 5, 4, 3)]
    chosen = next((fit for fit in scales if sum(text_width(text) + 10 for text in fit.texts) <= NARROW_PX), scales[-1])
    figure.update_xaxes(range=[0, chosen.top], tickvals=chosen.ticks, ticktext=chosen.texts, tickangle=0, showgrid=True, showline=False)
    figure.update_yaxes(
        range=[len(found) - 0.5, -0.5],
        tickvals=list(range(len(found))),
        ticktext=list(names),
        showgrid=False,
        ticklabelstandoff=8,
        tickfont={"color": PALETTES[mode].text},
    )
    figure.update_layout(hovermode="closest")


def _system_dot(figure: go.Figure, row: Row, place: int, unit: str, mode: Mode) -> None:
    status: Status = row["status"]
    look, low, high = STATUSES[status], row["low"], row["high"]
    ink = look.ink(mode)
    if low is not None and high is not None:
        figure.add_scatter(x=[low, high], y=[place, place], mode="lines", line={"color": ink, "width": 1.5}, hoverinfo="skip")
    words = [
        f"<b>{escape(row['name'])}</b>: {look.word}",
        hover({**row, "is_open": False}, unit),
        escape(_count_words(row)),
        escape(row["note"] or ""),
    ]
    figure.add_scatter(
        x=[row["value"]],
        y=[place],
        mode="markers",
        name=row["name"],
        cliponaxis=False,
        marker={"symbol": look.symbol, "color": ink, "size": 10},
        customdata=["<br>".join(filter(None, words))],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _system_target(figure: go.Figure, target: float, words: str, mode: Mode) -> None:
    ink, share = PALETTES[mode].text, target / figure.layout.xaxis.range[1]
    figure.add_vline(x=target, line={"color": ink, "width": 1.2}, layer="below")
    figure.add_annotation(
        x=target,
        y=1,
        yref="paper",
        yanchor="bottom",
        text=escape(words),
        showarrow=False,
        font={"color": ink},
        xanchor="left" if share < 0.3 else "right" if share > 0.7 else "center",
    )


def _status_key(figure: go.Figure, found: Sequence[Row], mode: Mode) -> None:
    """Below the scale each shape that occurs, with its word."""
    seen = {row["status"] for row in found if row["value"] is not None}
    parts = [
        f"<span style='color:{look.ink(mode)}'>{GLYPHS[look.symbol]}</span> {look.word}"
        for status, look in STATUSES.items()
        if status in seen
    ]
    if parts:
        figure.add_annotation(
            x=0,
            xref="paper",
            xanchor="left",
            xshift=10 - figure.layout.margin.l,
            y=0,
            yref="paper",
            yanchor="top",
            yshift=-24,
            showarrow=False,
            text="   ".join(parts),
        )
