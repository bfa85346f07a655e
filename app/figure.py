"""The ground of every figure: template by mode, scales from zero, target line, release lines, labels that never overlap."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import escape

import plotly.graph_objects as go

from app import quantities
from app.labels import LINE_PX, clear, spread, text_width
from app.theme import FONT, PALETTES, Mode, translucent

_CLOCK_STEPS = (1, 2, 3, 5, 10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 43200)  # seconds

PLOT_PX = 420  # the narrowest plot that labels beside each other are laid out for; on a wider one they only stand further apart


@dataclass(frozen=True)
class Release:
    """A release on a time axis; an emphasised one keeps its name where there is no room for all."""

    at: date | datetime
    name: str
    is_emphasised: bool = False


@dataclass(frozen=True)
class Anomaly:
    """A day that cost more or less than expected: a bold text, and its cause."""

    day: date
    text: str
    cause: str = ""


@dataclass(frozen=True)
class SideLabel:
    """A label right of the plot, at the height of what it names: a bold part, and a quieter one."""

    at: float
    bold: str
    plain: str = ""
    colour: str = ""
    swatch: str = ""

    @property
    def width(self) -> float:
        return text_width(f"{'■ ' if self.swatch else ''}{self.bold} {self.plain}".strip())


@dataclass(frozen=True)
class Scale:
    """A value axis from zero: its end, its ticks and their texts."""

    top: float
    ticks: list[float]
    texts: list[str]


def template(mode: Mode) -> go.layout.Template:
    """What all figures of a mode share; there is no legend, because things are labelled where they are."""
    palette = PALETTES[mode]
    axis = {
        "zeroline": False,
        "ticks": "",
        "fixedrange": True,
        "linecolor": palette.axis,
        "linewidth": 1,
        "gridcolor": palette.grid,
        "gridwidth": 1,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 12, "color": palette.muted},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "showlegend": False,
            "dragmode": False,
            "hovermode": "x unified",
            "hoverlabel": {
                "bgcolor": palette.page,
                "bordercolor": palette.border,
                "font": {"family": FONT, "size": 12, "color": palette.text},
            },
            "xaxis": {
                **axis,
                "showgrid": False,
                "showline": True,
                "spikecolor": palette.context,
                "spikethickness": 1,
                "spikedash": "solid",
            },
            "yaxis": {**axis, "showline": False},
        }
    )


def blank(mode: Mode, height: int, *, left: int = 52, right: float = 12, top: int = 12, bottom: int = 26) -> go.Figure:
    """An empty figure of a fixed height, so that a value's place in pixels is known."""
    return go.Figure(
        layout={"template": template(mode), "height": height, "margin": {"l": left, "r": math.ceil(right), "t": top, "b": bottom}}
    )


def plot_height(figure: go.Figure) -> float:
    """The height of the plot in pixels, without its margins."""
    return float(figure.layout.height - figure.layout.margin.t - figure.layout.margin.b)


def scale(largest: float, unit: str, most: int = 6) -> Scale:
    """A scale from zero that holds the largest value with a little room; steps of a round size, four to six ticks if six may be."""
    if largest <= 0:
        return Scale(1.0, [0.0], [_tick(0.0, 1.0, unit)])
    top = largest * 1.06
    if unit == "hours":
        step = next((seconds / 3600 for seconds in _CLOCK_STEPS if top * 3600 / seconds < most), 24 * _step(top / 24, most))
    else:
        step = _step(top, most)
    ticks = [step * index for index in range(math.floor(top / step + 1e-9) + 1)]
    return Scale(top, ticks, [_tick(tick, step, unit) for tick in ticks])


def value_axis(figure: go.Figure, largest: float, unit: str) -> None:
    """Put a scale from zero on the y axis."""
    chosen = scale(largest, unit)
    figure.update_yaxes(range=[0, chosen.top], tickvals=chosen.ticks, ticktext=chosen.texts)


def day_axis(figure: go.Figure, first: date, last: date) -> None:
    """A time axis with at most six dates as people write them: days, Mondays or first days of a month."""
    ticks = date_ticks(first, last)
    texts = [quantities.day(tick) if (last - first).days <= 150 else f"{tick:%b %Y}" for tick in ticks]
    figure.update_xaxes(type="date", tickvals=ticks, ticktext=texts, tickangle=0, hoverformat="%a %-d %b %Y")


def date_ticks(first: date, last: date) -> list[date]:
    """The dates to write on a time axis."""
    span = (last - first).days
    if span > 150:
        months = [date(month // 12, month % 12 + 1, 1) for month in range(first.year * 12 + first.month, last.year * 12 + last.month)]
        return months[:: next(step for step in (1, 2, 3, 6, 12, 24, 60, 120) if len(months) / step <= 6)]
    step = next(step for step in (1, 2, 3, 5, 7, 14, 28) if span / step < 7)
    start = first if step < 7 else first + timedelta(days=-first.weekday() % 7)
    return [start + timedelta(days=number) for number in range(0, (last - start).days + 1, step)]


def target_line(figure: go.Figure, target: float, words: str, mode: Mode, crossed: Sequence[tuple[float, float]] = ()) -> None:
    """A target across the plot with its words on the line, at that end and side which what is drawn leaves most free.

    `crossed` are the points (share of the width, value) of what the words should keep clear of.
    """
    palette, room = PALETTES[mode], plot_height(figure)
    px = room / float(figure.layout.yaxis.range[1])
    share = text_width(words) / PLOT_PX + 0.05

    def clearance(end: float, side: int) -> float:
        middle = target * px + side * LINE_PX / 2
        return min([abs(value * px - middle) for at, value in crossed if abs(at - end) <= share] + [room - middle, middle, 24.0])

    end, side = max(((end, side) for end in (0.0, 1.0) for side in (1, -1)), key=lambda place: clearance(*place))
    figure.add_hline(y=target, line={"color": palette.text, "width": 1.2})
    figure.add_annotation(
        x=end,
        xref="paper",
        y=target,
        text=escape(words),
        showarrow=False,
        xanchor="right" if end else "left",
        yanchor="bottom" if side > 0 else "top",
        xshift=-4 if end else 4,
        font={"color": palette.text},
        bgcolor=translucent(palette.page, 0.75),
        borderpad=0,
    )


def release_lines(figure: go.Figure, releases: Sequence[Release], first: date, last: date, mode: Mode, plot_px: float = PLOT_PX) -> None:
    """Dotted verticals with names above a plot that is at least so wide; where names would overlap they move apart, where they
    don't fit the line stays."""
    palette = PALETTES[mode]
    shown = sorted((release for release in releases if first <= _as_date(release.at) <= last), key=lambda release: _as_date(release.at))
    named = fitting([release.name for release in shown], [release.is_emphasised for release in shown], plot_px)
    span = max((last - first).days, 1)
    places = [(_as_date(release.at) - first).days / span * plot_px for release in shown]
    sizes = [text_width(shown[index].name) + 8 for index in named]
    moved = dict(zip(named, spread([places[index] for index in named], sizes, -20, plot_px + 20), strict=True))
    for index, release in enumerate(shown):
        colour = palette.red.ink if release.is_emphasised else palette.context
        figure.add_vline(x=_as_date(release.at), line={"color": colour, "width": 1, "dash": "dot"})
        if index in moved:
            name = escape(release.name)
            text = f"<b>{name}</b>" if release.is_emphasised else name
            figure.add_annotation(
                x=_as_date(release.at),
                y=1,
                yref="paper",
                text=text,
                showarrow=False,
                yanchor="bottom",
                xshift=moved[index] - places[index],
                font={"color": colour if release.is_emphasised else palette.muted},
            )


def fitting(names: Sequence[str], is_first: Sequence[bool], room: float) -> list[int]:
    """Which names fit beside each other: those that come first, then the latest; in their own order."""
    kept: list[int] = []
    for index in sorted(range(len(names)), key=lambda index: (not is_first[index], -index)):
        room -= text_width(names[index]) + 8
        if room < 0:
            break
        kept.append(index)
    return sorted(kept)


def anomaly_marks(figure: go.Figure, anomalies: Sequence[Anomaly], heights: Mapping[date, float], mode: Mode) -> None:
    """A triangle above each anomalous day and its text over whatever stands there; raises the end of the y axis to hold them."""
    palette, room = PALETTES[mode], plot_height(figure)
    first, span = min(heights), max((max(heights) - min(heights)).days, 1)
    places = {day: (day - first).days / span * PLOT_PX for day in heights}
    boxes = [_lowest(places[anomaly.day], text_width(f"{anomaly.text} · {anomaly.cause}"), places, heights) for anomaly in anomalies]

    def bottoms(px_per_value: float) -> list[float]:
        return clear([(left, right, below * px_per_value + 12) for left, right, below in boxes])

    top = figure.layout.yaxis.range[1]
    missing = max(bottoms(room / top)) + LINE_PX - room
    if missing > 0:
        top *= room / (room - missing)
        figure.update_yaxes(range=[0, top])
    for anomaly, (left, right, _), bottom in zip(anomalies, boxes, bottoms(room / top), strict=True):
        height = heights[anomaly.day]
        cause = f" · {escape(anomaly.cause)}" if anomaly.cause else ""
        figure.add_annotation(
            x=anomaly.day, y=height, text="▼", showarrow=False, yanchor="bottom", yshift=-2, font={"color": palette.anomaly, "size": 10}
        )
        figure.add_annotation(
            x=anomaly.day,
            y=height,
            text=f"<b>{escape(anomaly.text)}</b>{cause}",
            showarrow=False,
            yanchor="bottom",
            xanchor="center",
            xshift=(left + right) / 2 - places[anomaly.day],
            yshift=bottom - height * room / top - 2,
            font={"color": palette.orange.ink},
            bgcolor=translucent(palette.page, 0.85),
            borderpad=0,
        )


def _lowest(at: float, width: float, places: Mapping[date, float], heights: Mapping[date, float]) -> tuple[float, float, float]:
    """Where a text over a day stands lowest: its left and right end, and the largest value below it."""
    boxes = []
    for left in (at - 6, at - width / 2, at + 6 - width):
        left = max(min(left, PLOT_PX + 28 - width), -6)
        below = max(height for day, height in heights.items() if left - 4 <= places[day] <= left + width + 4)
        boxes.append((left, left + width, below))
    return min(boxes, key=lambda box: box[2])


def side_labels(figure: go.Figure, labels: Sequence[SideLabel], mode: Mode) -> None:
    """Labels right of the plot, in the order of what they name and never closer than a line."""
    palette, height = PALETTES[mode], plot_height(figure)
    top = figure.layout.yaxis.range[1]
    ordered = sorted(labels, key=lambda label: label.at)
    places = spread([label.at / top * height for label in ordered], [LINE_PX] * len(ordered), -LINE_PX / 2, height + LINE_PX)
    for label, place in zip(ordered, places, strict=True):
        swatch = f"<span style='color:{label.swatch}'>■</span> " if label.swatch else ""
        bold = f"<b>{escape(label.bold)}</b>" if label.bold else ""
        figure.add_annotation(
            x=1,
            xref="paper",
            xanchor="left",
            xshift=7,
            y=place / height,
            yref="paper",
            yanchor="middle",
            align="left",
            showarrow=False,
            text=f"{swatch}{bold}{' ' if bold and label.plain else ''}{escape(label.plain)}",
            font={"color": label.colour or palette.muted},
        )


def side_margin(labels: Sequence[SideLabel]) -> float:
    """The right margin that holds every label whole."""
    return max((label.width for label in labels), default=0) + 12


def _step(top: float, most: int) -> float:
    power = 10.0 ** math.floor(math.log10(top / 5))
    return next(step * power for step in (1, 2, 2.5, 5, 10, 20, 25, 50) if top / (step * power) < most)


def _tick(value: float, step: float, unit: str) -> str:
    if value == 0:
        return "$0" if unit == "usd" else "0"
    if unit == "usd":
        return f"${value / 1000:,.4g}k" if step >= 5000 else f"${value:,.0f}" if step >= 1 else f"${value:,.{_decimals(step)}f}"
    if unit == "share":
        return f"{value * 100:.{_decimals(step * 100)}f}{quantities.NB}%"
    if unit == "hours":
        return quantities.duration(value)
    if unit == "count":
        return quantities.count(round(value))
    return f"{value:,.{_decimals(step)}f}"


def _decimals(step: float) -> int:
    return next((digits for digits in range(9) if math.isclose(step, round(step, digits), rel_tol=1e-9)), 9)


def _as_date(moment: date | datetime) -> date:
    return moment.date() if isinstance(moment, datetime) else moment
