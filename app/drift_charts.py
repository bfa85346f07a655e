"""Drift as figures: which signal of which system moved, and one signal's distribution against its reference."""

import math
from collections import defaultdict
from collections.abc import Mapping
from html import escape
from textwrap import wrap

import plotly.graph_objects as go
import polars as pl

from app.figure import blank
from app.labels import text_width
from app.theme import PALETTES, Mode, translucent

ROW_PX = 28
GLYPHS = {"moderate": "▲ ", "major": "■ "}
WORDS = {"none": "no drift", "moderate": "▲ moderate, PSI ≥ 0.10", "major": "■ major, PSI ≥ 0.25", "few": "too few calls"}
LOG_STEP = math.log(1.02)
LOWEST_BIN = -100_000  # of values that are zero
BAR_BINS = 12  # log bins of 2 % that one drawn step holds
MOST_TEXTS = 8
TITLE_CHARACTERS, TITLE_LINES = 9, 3


def heat_map(cells: pl.DataFrame, mode: Mode) -> go.Figure:
    """Columns system, signal, psi (null = not measured), size (none, moderate, major, few), words: one cell each, the word in it.

    Only comparisons that are drift beyond noise and days carry a colour; shape and number say the same as the colour.
    """
    systems, signals = (cells[name].unique(maintain_order=True).to_list() for name in ("system", "signal"))
    if not systems:
        return blank(mode, 120)
    palette = PALETTES[mode]
    fills = {"none": palette.blue.fill, "moderate": palette.orange.fill, "major": palette.red.fill, "few": palette.gray.fill}
    inks = {"none": palette.text, "moderate": palette.orange.ink, "major": palette.red.ink, "few": palette.muted}
    left = max(text_width(name) for name in systems) + 14
    titles = [wrap(title(name), TITLE_CHARACTERS, break_long_words=True)[:TITLE_LINES] for name in signals]
    top = 12 + 14 * max(map(len, titles))
    figure = blank(mode, ROW_PX * len(systems) + top + 22, left=math.ceil(left), right=6, top=top, bottom=18)
    figure.update_layout(hovermode="closest")
    for row in cells.iter_rows(named=True):
        x, y = signals.index(row["signal"]), systems.index(row["system"])
        figure.add_shape(
            type="rect", x0=x - 0.48, x1=x + 0.48, y0=y - 0.46, y1=y + 0.46, line_width=0, layer="below", fillcolor=fills[row["size"]]
        )
        number = "few" if row["size"] == "few" else f"{GLYPHS.get(row['size'], '')}{row['psi']:.2f}"
        figure.add_annotation(x=x, y=y, text=number, showarrow=False, font={"color": inks[row["size"]]})
    figure.add_scatter(
        x=[signals.index(name) for name in cells["signal"]],
        y=[systems.index(name) for name in cells["system"]],
        mode="markers",
        marker={"size": 22, "opacity": 0},
        customdata=[escape(words) for words in cells["words"]],
        hovertemplate="%{customdata}<extra></extra>",
    )
    figure.update_xaxes(
        side="top",
        tickvals=list(range(len(signals))),
        ticktext=["<br>".join(map(escape, lines)) for lines in titles],
        range=[-0.5, len(signals) - 0.5],
        showline=False,
        tickangle=0,
    )
    figure.update_yaxes(
        tickvals=list(range(len(systems))), ticktext=[escape(name) for name in systems], range=[len(systems) - 0.5, -0.5], showgrid=False
    )
    key = " · ".join(WORDS[size] for size in WORDS if size in cells["size"].to_list())
    figure.add_annotation(x=0, xref="paper", y=0, yref="paper", yanchor="top", xanchor="left", yshift=-2, text=key, showarrow=False)
    return figure


def distribution(
    signal: str, kind: str, reference: Mapping[str, int], current: Mapping[str, int], mode: Mode, *, words: str, height: int = 214
) -> go.Figure:
    """Both windows' shares by bin of the ledger's histograms: numbers on a log axis, texts as bars beside each other."""
    if not reference or not current:
        return blank(mode, height)
    if kind == "text":
        return _texts(reference, current, mode, words, height)
    palette = PALETTES[mode]
    figure = blank(mode, height, left=44, right=12, top=18, bottom=38)
    steps = [_steps(counts, kind) for counts in (reference, current)]
    low, high = min(min(step) for step in steps), max(max(step) for step in steps)
    places = range(low, high + 1)
    shares = [[step.get(place, 0) / sum(step.values()) for place in places] for step in steps]
    edges = [_value(place, kind) for place in places]
    figure.add_scatter(
        x=edges,
        y=shares[0],
        mode="lines",
        line={"width": 0, "shape": "hvh"},
        fill="tozeroy",
        fillcolor=translucent(palette.bar, 0.35),
        name="Reference",
        hovertemplate="Reference %{y:.1%}<extra></extra>",
    )
    figure.add_scatter(
        x=edges,
        y=shares[1],
        mode="lines",
        line={"width": 2, "color": palette.accent, "shape": "hvh"},
        name=words,
        hovertemplate=f"{escape(words)} %{{y:.1%}}<extra></extra>",
    )
    figure.update_yaxes(tickformat=".0%", nticks=5, range=[0, max(map(max, shares)) * 1.15])
    figure.update_xaxes(title={"text": title(signal), "font": {"size": 12}, "standoff": 4})
    if kind != "score":
        ticks = [base * 10.0**power for power in range(-3, 9) for base in (1, 2, 5) if edges[0] <= base * 10.0**power <= edges[-1]]
        every = max(1, math.ceil(len(ticks) / 6))
        figure.update_xaxes(type="log", tickvals=ticks[::every], ticktext=[f"{tick:,.4g}" for tick in ticks[::every]])
    peak = edges[shares[1].index(max(shares[1]))]
    figure.add_annotation(
        x=peak if kind == "score" else math.log10(max(peak, 1e-9)),
        y=max(shares[1]),
        text=f"<b>{escape(words)}</b>",
        showarrow=False,
        yanchor="bottom",
        font={"color": palette.accent},
    )
    top = edges[shares[0].index(max(shares[0]))]
    figure.add_annotation(x=top if kind == "score" else math.log10(max(top, 1e-9)), y=max(shares[0]) / 2, text="Reference", showarrow=False)
    return figure


def _texts(reference: Mapping[str, int], current: Mapping[str, int], mode: Mode, words: str, height: int) -> go.Figure:
    palette = PALETTES[mode]
    total = [sum(counts.values()) for counts in (reference, current)]
    names = sorted({*reference, *current}, key=lambda name: -reference.get(name, 0) - current.get(name, 0))[:MOST_TEXTS]
    figure = blank(mode, height, left=44, right=12, top=18, bottom=38)
    for title, counts, whole, colour in (("Reference", reference, total[0], palette.context), (words, current, total[1], palette.accent)):
        figure.add_bar(
            x=names,
            y=[counts.get(name, 0) / whole for name in names],
            name=title,
            marker={"color": colour},
            hovertemplate=f"{escape(title)} %{{y:.1%}}<extra></extra>",
        )
    figure.update_layout(barmode="group")
    figure.update_yaxes(tickformat=".0%", nticks=5)
    figure.add_annotation(
        x=1,
        xref="paper",
        y=1,
        yref="paper",
        xanchor="right",
        yanchor="bottom",
        showarrow=False,
        text=f"Grey: reference · <b>{escape(words)}</b>",
        font={"color": palette.accent},
    )
    return figure


def _steps(counts: Mapping[str, int], kind: str) -> dict[int, int]:
    """Counts by drawn step; numbers in steps of several log bins, scores as they are."""
    found: dict[int, int] = defaultdict(int)
    for name, n in counts.items():
        place = int(name)
        if kind == "score":
            found[place // 5] += n
        elif place > LOWEST_BIN:
            found[place // BAR_BINS] += n
    return found or {0: 0}


def _value(place: int, kind: str) -> float:
    return (place * 5 + 2.5) / 200 if kind == "score" else math.exp((place * BAR_BINS + BAR_BINS / 2) * LOG_STEP)


def title(signal: str) -> str:
    """How a signal is called on pages."""
    name, _, rest = signal.partition(":")
    words = {"latency_ms": "Latency, ms", "ttft_ms": "First token, ms", "error": "Error class", "tool": "Tool mix"}
    plain = rest.replace("_", " ").replace("@", " ") if name == "evaluation" else signal.replace("_", " ")
    return words.get(signal) or plain.capitalize()
