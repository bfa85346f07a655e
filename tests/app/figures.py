"""What tests ask of a figure: its texts with the boxes that they fill, and its lines."""

import re
from html import unescape
from typing import Any

import plotly.graph_objects as go

from app.figure import plot_height
from app.labels import text_width


def plain(text: str) -> str:
    """A label without its markup."""
    return unescape(re.sub(r"<[^>]+>", "", text.replace("<br>", " ")))


def texts(figure: go.Figure) -> list[str]:
    return [plain(annotation.text) for annotation in figure.layout.annotations]


def side_places(figure: go.Figure) -> list[float]:
    """Where the labels right of the plot stand, in pixels above its floor, lowest first."""
    found = [
        annotation for annotation in figure.layout.annotations if (annotation.x, annotation.yref) == (1, "paper") and annotation.y < 1.5
    ]
    return sorted(annotation.y * plot_height(figure) for annotation in found if annotation.yanchor == "middle")


def side_texts(figure: go.Figure) -> list[str]:
    return [plain(annotation.text) for annotation in figure.layout.annotations if annotation.yanchor == "middle"]


def total(figure: go.Figure) -> Any:
    """The trace that holds the sum of each day."""
    [found] = [trace for trace in figure.data if trace.name == "Total"]
    return found


def bars(figure: go.Figure) -> list[Any]:
    return [trace for trace in figure.data if trace.type == "bar"]


def levels(figure: go.Figure) -> list[float]:
    """The values at which horizontal lines run across the plot."""
    return [shape.y0 for shape in figure.layout.shapes if shape.y0 == shape.y1]


def widest(words: list[str]) -> float:
    return max(map(text_width, words))
