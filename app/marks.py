"""Small pictures as SVG data URIs: status icons, bullet graphs, sparklines; they follow the theme of the page they are on."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal
from urllib.parse import quote

from app.theme import PALETTES, STATUSES, Palette
from metrics.kpi import Status

BULLET_PX = (128, 20)
SPARK_PX = (72, 22)
ICON_PX = 14
_STEPS = (1, 1.2, 1.5, 1.8, 2, 2.5, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True)
class Bullet:
    """A value against its target on a scale from zero, all in the value's own unit.

    The scale ends at the first round number that leaves room for half the target again and for the value and its interval,
    but not beyond `limit`, the most that the value can be. The shades run from worst to best: where higher is better the
    worst lies below target − margin, the middle up to the target, the best above; where lower is better it is the mirror
    image. Without a target there is one shade, because nothing says what is good.
    """

    value: float
    better: Literal["higher", "lower"]
    target: float | None = None
    margin: float = 0.0
    low: float | None = None
    high: float | None = None
    limit: float | None = None

    @property
    def maximum(self) -> float:
        needed = max(1.5 * (self.target or 0), 1.08 * max(self.value, self.high or 0))
        rounded = _round_up(needed) if needed > 0 else 1.0
        return rounded if self.limit is None else min(rounded, max(self.limit, self.value, self.target or 0))

    def shades(self) -> list[tuple[int, float, float]]:
        """Shade (0 worst, 2 best) with start and end on the scale, without empty ones."""
        if self.target is None:
            return [(1, 0.0, self.maximum)]
        if self.better == "higher":
            ends = [(0, 0.0, self.target - self.margin), (1, self.target - self.margin, self.target), (2, self.target, self.maximum)]
        else:
            ends = [(2, 0.0, self.target), (1, self.target, self.target + self.margin), (0, self.target + self.margin, self.maximum)]
        inside = [(shade, max(start, 0.0), min(end, self.maximum)) for shade, start, end in ends]
        return [(shade, start, end) for shade, start, end in inside if start < end]


def bullet(graph: Bullet, width: int = BULLET_PX[0]) -> str:
    """A bullet graph: shades, bar, target tick, whisker, dot, in this order."""
    scale = width / graph.maximum

    def x(value: float, room: float = 0.0) -> float:
        """Marks at the very ends are moved inside by their own half width, so that they are not cut."""
        return round(min(max(value * scale, room), width - room), 2)

    parts = [
        f'<rect class="s{shade}" x="{x(start)}" y="3" width="{x(end) - x(start):.2f}" height="14"/>' for shade, start, end in graph.shades()
    ]
    parts.append(f'<rect class="bar" y="7.5" width="{x(graph.value)}" height="5"/>')
    if graph.target is not None:
        parts.append(f'<rect class="ink" x="{x(graph.target, 1) - 1:.2f}" y="1" width="2" height="18"/>')
    if graph.low is not None and graph.high is not None:
        low, high = x(graph.low, 0.6), x(graph.high, 0.6)
        parts.append(f'<path class="line" d="M{low} 7v6M{low} 10H{high}M{high} 7v6"/>')
    parts.append(f'<circle class="dot" cx="{x(graph.value, 3.7)}" cy="10" r="3.2"/>')
    return _uri(width, BULLET_PX[1], "".join(parts), _bullet_style)


def sparkline(values: Sequence[float | None], *, open_last: bool) -> str | None:
    """The course of a value, oldest first; gaps stay gaps, and the last dot is hollow while its month is open.

    None when nothing at all is known.
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    low, span = min(known), max(known) - min(known)
    step = 62 / max(len(values) - 1, 1)

    def point(index: int, value: float) -> str:
        return f"{4 + index * step:.1f} {18 - 14 * ((value - low) / span if span else 0.5):.1f}"

    runs = [
        [(index, value) for index, value in run if value is not None]
        for is_known, run in groupby(enumerate(values), key=lambda item: item[1] is not None)
        if is_known
    ]
    parts = [f'<path class="line" d="M{"L".join(point(*place) for place in run)}{"h.01" if len(run) == 1 else ""}"/>' for run in runs]
    if values[-1] is not None:
        x, y = point(len(values) - 1, values[-1]).split()
        parts.append(f'<circle class="{"open" if open_last else "closed"}" cx="{x}" cy="{y}" r="{2.1 if open_last else 2.4}"/>')
    return _uri(*SPARK_PX, "".join(parts), _spark_style)


def icon(status: Status) -> str:
    """The shape of a status."""
    colour = STATUSES[status].colour

    def style(palette: Palette) -> str:
        ink = getattr(palette, colour).ink
        return f".f{{fill:{ink}}}.l{{stroke:{ink}}}.c{{stroke:{palette.page}}}"

    lines = "fill:none;stroke-linecap:round;stroke-linejoin:round"
    return _uri(14, 14, _ICONS[status], style, f".l{{{lines};stroke-width:1.3}}.c{{{lines};stroke-width:1.7}}")


_ICONS: dict[Status, str] = {
    "on target": '<circle class="f" cx="7" cy="7" r="6"/><path class="c" d="M4.3 7.2l1.9 1.9 3.6-4"/>',
    "at risk": '<path class="f" d="M7 1.2a.9.9 0 0 1 .8.45l5.4 9.9a.9.9 0 0 1-.8 1.35H1.6a.9.9 0 0 1-.8-1.35l5.4-9.9A.9.9 0 0 1 7 1.2z"/>'
    '<path class="c" d="M7 5.3v3M7 10.6v.01"/>',
    "off target": '<rect class="f" x="1" y="1" width="12" height="12" rx="1.6"/><path class="c" d="M4.6 4.6l4.8 4.8M9.4 4.6l-4.8 4.8"/>',
    "not measured": '<circle class="l" cx="7" cy="7" r="5.5" stroke-dasharray="2.1 1.9"/>',
    "none": '<circle class="l" cx="7" cy="7" r="5.5"/><path class="l" d="M4.7 7h4.6"/>',
}


def _bullet_style(palette: Palette) -> str:
    shades = "".join(f".s{index}{{fill:{colour}}}" for index, colour in enumerate(palette.shades))
    return (
        f"{shades}.bar{{fill:{palette.bar}}}.ink{{fill:{palette.text}}}.line{{stroke:{palette.text};stroke-width:1.2}}"
        f".dot{{fill:{palette.text};stroke:{palette.page};stroke-width:1}}"
    )


def _spark_style(palette: Palette) -> str:
    return (
        f".line{{fill:none;stroke:{palette.context};stroke-width:1.4;stroke-linecap:round;stroke-linejoin:round}}"
        f".open{{fill:{palette.page};stroke:{palette.accent};stroke-width:1.5}}.closed{{fill:{palette.accent}}}"
    )


def _uri(width: int, height: int, body: str, style: Callable[[Palette], str], shared: str = "") -> str:
    dark = f"@media (prefers-color-scheme: dark){{{style(PALETTES['dark'])}}}"
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"<style>{shared}{style(PALETTES['light'])}{dark}</style>{body}</svg>"
    )
    return "data:image/svg+xml," + quote(svg, safe=" /:;=,.()@")


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _STEPS if step * power >= value * (1 - 1e-9))
