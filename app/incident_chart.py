"""Every incident as a dot on a log axis of its duration, with releases and prompt changes on the same days."""

import math
from collections.abc import Sequence
from datetime import date
from html import escape

import plotly.graph_objects as go
import polars as pl

from app import quantities
from app.figure import Release, blank, date_ticks, release_lines
from app.labels import LINE_PX, spread, text_width
from app.theme import PALETTES, Mode, translucent

# Symbol, glyph and colour role by severity; 4 and 5 are hollow.
LOOKS = {
    1: ("square", "■", "red"),
    2: ("triangle-up", "▲", "orange"),
    3: ("circle", "●", "muted"),
    4: ("circle-open", "○", "muted"),
    5: ("circle-open", "○", "muted"),
}
TICKS_H = (1 / 60, 5 / 60, 10 / 60, 20 / 60, 1, 2, 4, 8, 24, 72, 168, 720)
SHORTEST_H = 1 / 60
NAMED = 2  # of the longest; every dot tells its own on hover


def incident_dots(
    rows: pl.DataFrame,
    mode: Mode,
    *,
    first: date,
    last: date,
    median: float | None = None,
    interval: tuple[float, float] | None = None,
    target: float | None = None,
    releases: Sequence[Release] = (),
    height: int = 312,
) -> go.Figure:
    """Columns started_at, hours (until mitigated, or so far where is_open), is_open, severity, name, title; durations in hours.

    The median with its interval is a line with a band, the target a line of its own.
    """
    if rows.is_empty():
        return blank(mode, height)
    palette = PALETTES[mode]
    low = min(min(rows["hours"]), SHORTEST_H * 5 if target is None else target) / 1.5
    high = max(*rows["hours"], target or 0.0) * 1.8
    lines = _lines(median, target, palette.text, palette.accent)
    right = max((text_width(words) for _, words, _ in lines), default=0) + 14
    figure = blank(mode, height, left=58, right=right, top=28 if releases else 12)
    figure.update_layout(hovermode="closest")
    ticks = [tick for tick in TICKS_H if low <= tick <= high]
    figure.update_yaxes(
        type="log", range=[math.log10(low), math.log10(high)], tickvals=ticks, ticktext=[quantities.duration(tick) for tick in ticks]
    )
    days = date_ticks(first, last)
    figure.update_xaxes(type="date", range=[first, last], tickvals=days, ticktext=[quantities.day(day) for day in days], tickangle=0)
    if interval is not None:
        figure.add_hrect(
            y0=max(interval[0], low), y1=max(interval[1], low), fillcolor=translucent(palette.accent, 0.12), line_width=0, layer="below"
        )
    for hours, _, colour in lines:
        figure.add_hline(y=hours, line={"color": colour, "width": 2 if colour == palette.accent else 1.2})
    release_lines(figure, releases, first, last, mode)
    _dots(figure, rows, mode)
    _line_labels(figure, lines, low, high, height - figure.layout.margin.t - figure.layout.margin.b)
    return figure


def key(rows: pl.DataFrame) -> str:
    """The severities that are drawn, in words."""
    shown = sorted(
        {LOOKS.get(severity or 3, LOOKS[3])[1] + f" severity {severity}" for severity in rows["severity"] if severity is not None}
    )
    return "   ".join([*shown, *(["▷ still open"] if rows["is_open"].any() else [])])


def _lines(median: float | None, target: float | None, ink: str, accent: str) -> list[tuple[float, str, str]]:
    found = []
    if target is not None:
        found.append((target, f"Target {quantities.duration(target)}", ink))
    if median is not None:
        found.append((median, f"Median {quantities.duration(median)}", accent))
    return found


def _dots(figure: go.Figure, rows: pl.DataFrame, mode: Mode) -> None:
    palette = PALETTES[mode]
    inks = {"red": palette.red.ink, "orange": palette.orange.ink, "muted": palette.muted}
    longest = set(rows.sort("hours", descending=True)["title"].head(NAMED))
    for row in rows.iter_rows(named=True):
        symbol, _, role = LOOKS.get(row["severity"] or 3, LOOKS[3])
        duration = quantities.duration(row["hours"])
        words = f"{row['name']}: {row['title']}, {'open for ' if row['is_open'] else ''}{duration}"
        figure.add_scatter(
            x=[row["started_at"]],
            y=[row["hours"]],
            mode="markers",
            name=words,
            marker={"symbol": "triangle-right-open" if row["is_open"] else symbol, "size": 10, "color": inks[role], "line": {"width": 1.5}},
            hovertemplate=f"{escape(words)}<br>%{{x|%-d %b %H:%M}} UTC<extra></extra>",
        )
        if row["title"] in longest:
            figure.add_annotation(
                x=row["started_at"],
                y=math.log10(row["hours"]),
                text=f"{escape(row['name'])}, {duration}",
                showarrow=False,
                xanchor="left" if row["started_at"].date() < _middle(rows) else "right",
                xshift=9 if row["started_at"].date() < _middle(rows) else -9,
                font={"color": palette.text},
                bgcolor=translucent(palette.page, 0.7),
                borderpad=0,
            )


def _middle(rows: pl.DataFrame) -> date:
    starts = rows["started_at"].to_list()
    middle: date = (min(starts) + (max(starts) - min(starts)) * 0.6).date()
    return middle


def _line_labels(figure: go.Figure, lines: Sequence[tuple[float, str, str]], low: float, high: float, room: float) -> None:
    """What each line is, right of the plot and never closer than a line of text."""
    ordered = sorted(lines)
    span = math.log10(high / low)
    places = spread([math.log10(hours / low) / span * room for hours, *_ in ordered], [LINE_PX] * len(ordered), 0, room)
    for (_, words, colour), place in zip(ordered, places, strict=True):
        figure.add_annotation(
            x=1,
            xref="paper",
            xanchor="left",
            xshift=7,
            y=place / room,
            yref="paper",
            yanchor="middle",
            text=escape(words),
            showarrow=False,
            font={"color": colour},
        )
