"""Drift as figures: which signal of which system moved, and one signal's distribution against its reference."""

import math
from collections import defaultdict
from collections.abc import Mapping
from html import escape
from typing import Any

import plotly.graph_objects as go
import polars as pl

from app.figure import blank
from app.theme import PALETTES, Mode, translucent

GLYPHS = {"moderate": "▲ ", "major": "■ "}
WORDS = {"none": "no drift", "moderate": "▲ moderate, PSI ≥ 0.10", "major": "■ major, PSI ≥ 0.25", "few": "too few calls"}
LOG_STEP = math.log(1.02)
LOWEST_BIN = -100_000  # of values that are zero
BAR_BINS = 12  # log bins of 2 % that one drawn step holds
MOST_TEXTS = 8


def heat_map(cells: pl.DataFrame, chosen: tuple[str, str] | None = None) -> str:
    """An HTML table of systems by signals; columns system, signal, psi, size (none, moderate, major, few), words for the pointer.

    Only comparisons that are drift beyond noise and days carry a strong colour; shape and number say the same. The cell `chosen`,
    a system and its signal, has a frame. Where there is little room, only the shapes stay.
    """
    found = {(row["system"], row["signal"]): row for row in cells.iter_rows(named=True)}
    systems, signals = (cells[name].unique(maintain_order=True).to_list() for name in ("system", "signal"))
    head = "".join(f"<th scope='col'><span>{escape(title(signal))}</span></th>" for signal in signals)
    body = "".join(
        f"<tr><th scope='row'>{escape(system)}</th>"
        + "".join(_cell(found.get((system, signal)), (system, signal) == chosen) for signal in signals)
        + "</tr>"
        for system in systems
    )
    key = " · ".join([*(WORDS[size] for size in WORDS if size in cells["size"].to_list()), "blank: no such signal"])
    return f"<table class='sl-map'><tr><td></td>{head}</tr>{body}</table><div class='sl-key sl-quiet'>{escape(key)}</div>"


def _cell(row: Mapping[str, Any] | None, is_chosen: bool) -> str:
    if row is None:
        return "<td></td>"
    number = "few" if row["size"] == "few" else f"{row['psi']:.2f}"
    look = f"sl-{row['size']}{' sl-chosen' if is_chosen else ''}"
    return f"<td class='{look}' title='{escape(row['words'])}'>{GLYPHS.get(row['size'], '')}<span>{number}</span></td>"


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
    _key(figure, words, palette.accent)
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
    _key(figure, words, palette.accent)
    return figure


def _key(figure: go.Figure, words: str, colour: str) -> None:
    """Which window is which, above the plot: both may peak at the same place."""
    figure.add_annotation(
        x=1,
        xref="paper",
        y=1,
        yref="paper",
        xanchor="right",
        yanchor="bottom",
        showarrow=False,
        text=f"Grey: reference · <b>{escape(words)}</b>",
        font={"color": colour},
    )


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
