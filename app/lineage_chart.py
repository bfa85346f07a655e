"""The lineage of a system as a figure: what it uses, and what that is made from, left to right."""

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
import polars as pl

from app.figure import blank
from app.labels import text_width
from app.theme import PALETTES, Mode

ROW_PX = 34


def lineage(name: str, items: pl.DataFrame, mode: Mode) -> go.Figure:
    """Columns item, kind, name, base_model, depends_on (list): three ranks, with a line for every dependency."""
    direct = [(row["item"], f"{row['name']} · {row['kind']}") for row in items.iter_rows(named=True)]
    known = {item for item, _ in direct}
    sources: list[str] = []
    links: list[tuple[int, int]] = []
    for place, row in enumerate(items.iter_rows(named=True)):
        made_from = [source for source in [row["base_model"], *(row["depends_on"] or [])] if source and source not in known]
        for source in made_from:
            if source not in sources:
                sources.append(source)
            links.append((place, sources.index(source)))
    height = max(len(direct), len(sources), 1) * ROW_PX + 20
    figure = blank(mode, height, left=12, right=12, top=6, bottom=6)
    figure.update_xaxes(visible=False, range=[-0.02, 1.02])
    figure.update_yaxes(visible=False, range=[0, 1])
    middle, last = _places(len(direct)), _places(len(sources))
    root_end = 0.02 + text_width(name) / 1000
    item_end = 0.36 + max((text_width(words) for _, words in direct), default=0) / 1000
    for at in middle:
        _link(figure, root_end, 0.5, 0.35, at, mode)
    for place, source in links:
        _link(figure, item_end, middle[place], 0.73, last[source], mode)
    palette = PALETTES[mode]
    _text(figure, 0.0, 0.5, f"<b>{escape(name)}</b>", palette.text)
    for at, (_, words) in zip(middle, direct, strict=True):
        _text(figure, 0.36, at, escape(words), palette.text)
    for at, source in zip(last, sources, strict=True):
        _text(figure, 0.74, at, escape(source), palette.muted)
    return figure


def _places(count: int) -> Sequence[float]:
    return [1 - (number + 0.5) / count for number in range(count)]


def _link(figure: go.Figure, x0: float, y0: float, x1: float, y1: float, mode: Mode) -> None:
    bend = (x0 + x1) / 2
    figure.add_shape(
        type="path", path=f"M {x0},{y0} C {bend},{y0} {bend},{y1} {x1},{y1}", line={"color": PALETTES[mode].context, "width": 1.2}
    )


def _text(figure: go.Figure, x: float, y: float, words: str, colour: str) -> None:
    figure.add_annotation(x=x, y=y, text=words, showarrow=False, xanchor="left", yanchor="middle", font={"color": colour}, bgcolor=None)
