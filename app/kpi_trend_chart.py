"""The course of one KPI and of its systems, a pure function from rows to a plotly figure."""

import math
from collections.abc import Sequence
from datetime import date, datetime
from html import escape
from itertools import groupby
from typing import Any, Literal

import plotly.graph_objects as go
import polars as pl

from app import quantities
from app.figure import (
    PLOT_PX,
    Release,
    SideLabel,
    blank,
    release_lines,
    side_labels,
    side_margin,
    target_line,
    value_axis,
)
from app.theme import PALETTES, Mode, translucent

Better = Literal["higher", "lower"]
Row = dict[str, Any]
MOST_DATES = 7
NAMED_SYSTEMS = 3
BESIDE_PX = 200  # of the narrowest plot that names of systems beside it take


def kpi_trend(
    rows: pl.DataFrame,
    mode: Mode,
    *,
    unit: str,
    better: Better,
    name: str = "All systems",
    target: float | None = None,
    target_words: str = "",
    by_system: pl.DataFrame | None = None,
    releases: Sequence[Release] = (),
    height: int = 300,
) -> go.Figure:
    """A KPI over periods: columns start, end (exclusive), value, low, high (null = unknown), is_open.

    Gaps and missing periods interrupt the line; the last dot is hollow while its period is open. `by_system` has the columns
    name, start, end, value: quiet lines, of which those that end worst are named.
    """
    periods = _periods(rows)
    if not any(row["value"] is not None for row in periods):
        return blank(mode, height)
    systems = _by_system(by_system, better) if by_system is not None else []
    labels = _trend_labels(periods, systems, name, unit, mode)
    figure = blank(mode, height, right=side_margin(labels), top=28 if releases else 12)
    drawn = [row[part] for row in periods for part in ("value", "high")] + [row["value"] for _, points in systems for row in points]
    value_axis(figure, max([value for value in drawn if value is not None] + [1.1 * (target or 0.0)]), unit)
    _period_axis(figure, periods)
    for place, (system, points) in enumerate(systems, NAMED_SYSTEMS - len(systems)):
        _line(figure, points, system, unit, PALETTES[mode].bar if place >= 0 else PALETTES[mode].context, 1)
    _band(figure, periods, mode)
    _line(figure, periods, name, unit, PALETTES[mode].accent, 2)
    _dots(figure, periods, mode)
    first, last = periods[0]["start"], periods[-1]["end"]
    if target is not None:
        target_line(figure, target, f"Target {target_words}", mode, _crossed([periods, *(points for _, points in systems)], first, last))
    release_lines(figure, releases, first.date(), last.date(), mode, PLOT_PX - BESIDE_PX if systems else PLOT_PX)
    side_labels(figure, labels, mode)
    return figure


def _periods(rows: pl.DataFrame) -> list[Row]:
    """The periods in order with the middle of each; one that has no row between others is put in as unknown."""
    found: list[Row] = []
    for row in rows.sort("start").iter_rows(named=True):
        row = {"low": None, "high": None, "is_open": False, **row, "start": _moment(row["start"]), "end": _moment(row["end"])}
        if found and found[-1]["end"] < row["start"]:
            missing: Row = {"start": found[-1]["end"], "end": row["start"], "value": None, "low": None, "high": None, "is_open": False}
            found.append(missing)
        found.append(row)
    return [{**row, "at": row["start"] + (row["end"] - row["start"]) / 2} for row in found]


def _by_system(rows: pl.DataFrame, better: Better) -> list[tuple[str, list[Row]]]:
    """The systems that have a value, those that end best first, so that the worst are drawn over them."""
    found = [(name, _periods(rows.filter(pl.col("name") == name))) for name in rows.get_column("name").unique(maintain_order=True)]
    known = [(name, points) for name, points in found if _last(points) is not None]
    return sorted(known, key=lambda system: _last(system[1]) or 0.0, reverse=better == "higher")


def _last(points: Sequence[Row]) -> float | None:
    return next((row["value"] for row in reversed(points) if row["value"] is not None), None)


def _trend_labels(periods: Sequence[Row], systems: Sequence[tuple[str, list[Row]]], name: str, unit: str, mode: Mode) -> list[SideLabel]:
    ends = [(system, value) for system, points in systems if (value := _last(points)) is not None]
    rest, named = ends[:-NAMED_SYSTEMS], ends[-NAMED_SYSTEMS:]
    labels = [SideLabel(value, "", system) for system, value in named]
    if rest:
        labels.append(SideLabel(sum(value for _, value in rest) / len(rest), "", f"{len(rest)} other system{'s' if len(rest) > 1 else ''}"))
    value = _last(periods)
    if value is not None:
        newest = quantities.quantity(value, unit) if periods[-1]["value"] is not None else ""
        labels.append(SideLabel(value, name, newest, PALETTES[mode].accent))
    return labels


def _line(figure: go.Figure, points: Sequence[Row], name: str, unit: str, colour: str, width: float) -> None:
    """A line that unknown values interrupt; a value between two of them is a dot."""
    figure.add_scatter(
        x=[row["at"] for row in points],
        y=[row["value"] for row in points],
        name=name,
        connectgaps=False,
        mode="lines+markers",
        line={"color": colour, "width": width},
        marker={"color": colour, "size": 2 * width + 1},
        customdata=[hover(row, unit) for row in points],
        hovertemplate=f"{escape(name)} %{{customdata}}<extra></extra>",
    )


def hover(row: Row, unit: str) -> str:
    interval = "" if row["low"] is None or row["high"] is None else f" {quantities.interval(row['low'], row['high'], unit)}"
    return f"<b>{escape(quantities.quantity(row['value'], unit))}</b>" + escape(interval) + (", still open" if row["is_open"] else "")


def _band(figure: go.Figure, periods: Sequence[Row], mode: Mode) -> None:
    """The interval: a band where periods with one follow each other, a whisker where one stands alone."""
    accent = PALETTES[mode].accent
    for has_interval, group in groupby(periods, key=lambda row: None not in (row["value"], row["low"], row["high"])):
        run = list(group)
        if has_interval and len(run) > 1:
            figure.add_scatter(
                x=[row["at"] for row in [*run, *reversed(run)]],
                hoverinfo="skip",
                mode="lines",
                line={"width": 0},
                y=[row["high"] for row in run] + [row["low"] for row in reversed(run)],
                fill="toself",
                fillcolor=translucent(accent, 0.16),
            )
        elif has_interval:
            figure.add_scatter(
                x=[run[0]["at"]] * 2,
                y=[run[0]["low"], run[0]["high"]],
                mode="lines",
                hoverinfo="skip",
                line={"color": translucent(accent, 0.45), "width": 5},
            )


def _dots(figure: go.Figure, periods: Sequence[Row], mode: Mode) -> None:
    """The last known value as a larger dot, hollow while its period is open."""
    palette = PALETTES[mode]
    last = next(row for row in reversed(periods) if row["value"] is not None)
    figure.add_scatter(
        x=[last["at"]],
        y=[last["value"]],
        mode="markers",
        hoverinfo="skip",
        cliponaxis=False,
        marker={"size": 9, "color": palette.page if last["is_open"] else palette.accent, "line": {"color": palette.accent, "width": 2}},
    )


def _period_axis(figure: go.Figure, periods: Sequence[Row]) -> None:
    """One text per period while there are few, with its year where that changes."""
    step = math.ceil(len(periods) / MOST_DATES)
    shown = list(periods)[(len(periods) - 1) % step :: step]
    texts, year = [], None
    for row in shown:
        words = _period_words(row["start"], row["end"])
        texts.append(words if row["start"].year == year else f"{words}<br>{row['start'].year}")
        year = row["start"].year
    figure.update_layout(margin={"b": 40})
    figure.update_xaxes(
        type="date",
        tickvals=[row["at"] for row in shown],
        ticktext=texts,
        tickangle=0,
        hoverformat="%-d %b %Y",
        range=[periods[0]["start"], periods[-1]["end"]],
    )


def _period_words(start: datetime, end: datetime) -> str:
    """The month or quarter where a period is one, else its first day."""
    months = (end.year - start.year) * 12 + end.month - start.month if start.day == end.day == 1 else 0
    if months == 3 and start.month % 3 == 1:
        return f"Q{(start.month + 2) // 3}"
    return f"{start:%b}" if months == 1 else quantities.day(start)


def _crossed(lines: Sequence[Sequence[Row]], first: datetime, last: datetime) -> list[tuple[float, float]]:
    """Points along the lines and the ends of their intervals, close enough that none passes under a text unseen."""
    points = []
    for part in ("value", "low", "high"):
        for line in lines:
            for before, after in zip(line, [*line[1:], line[-1]], strict=True):
                if before[part] is not None and after[part] is not None:
                    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
                        at = before["at"] + (after["at"] - before["at"]) * share
                        points.append(((at - first) / (last - first), before[part] + (after[part] - before[part]) * share))
    return points


def _moment(when: date | datetime) -> datetime:
    return when.replace(tzinfo=None) if isinstance(when, datetime) else datetime(when.year, when.month, when.day)
