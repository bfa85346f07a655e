"""The bridge from traced to billed as a figure: every step from the traces' list price, at its true size."""

import math
from collections.abc import Mapping
from decimal import Decimal

import plotly.graph_objects as go

from app import quantities
from app.figure import blank
from app.theme import PALETTES, Mode

STEPS = {
    "price_effects": "Price<br>effects",
    "untraced_usage": "Untraced<br>usage",
    "non_token": "Not tokens",
    "tax_credit": "Tax and<br>credits",
    "rounding": "Rounding",
    "unexplained": "Unexplained",
}
COLOURS = {"price_effects": "accent", "tax_credit": "accent", "unexplained": "anomaly"}
BAR_WIDTH = 0.58


def bridge(terms: Mapping[str, Decimal], mode: Mode, *, height: int = 262) -> go.Figure:
    """The terms of a reconciliation in USD as steps from the traces at list price, which is the zero line, to the bill.

    Only differences are drawn, so no axis has to be cut for small steps to be seen beside large totals.
    """
    palette = PALETTES[mode]
    figure = blank(mode, height, left=58, top=26, bottom=40)
    places, level, levels = list(STEPS), Decimal(0), [Decimal(0)]
    for place, name in enumerate(places):
        amount = terms[name]
        _bar(figure, place, level, amount, getattr(palette, COLOURS.get(name, "context")), STEPS[name])
        _label(figure, place, max(level, level + amount), quantities.money_cents(amount, signed=True), palette.text)
        level += amount
        levels.append(level)
        figure.add_shape(
            type="line",
            x0=place + BAR_WIDTH / 2,
            x1=place + 1 - BAR_WIDTH / 2,
            y0=float(level),
            y1=float(level),
            line={"color": palette.axis, "width": 1},
        )
    total = sum(terms.values(), Decimal(0))
    _bar(figure, len(places), Decimal(0), level, palette.muted, "Billed less traced")
    _label(figure, len(places), max(level, Decimal(0)), quantities.money_cents(level, signed=True), palette.text)
    low, high = float(min(levels)), float(max(levels))
    room = (high - low or 1.0) * 0.16
    step = _step(high - low or 1.0)
    ticks = [step * number for number in range(math.floor(low / step), math.ceil(high / step) + 1)]
    figure.update_yaxes(
        range=[low - room * 0.4, high + room],
        tickvals=ticks,
        ticktext=[quantities.money(Decimal(str(tick)).quantize(Decimal("0.01")), signed=True) for tick in ticks],
    )
    figure.update_xaxes(
        tickvals=list(range(len(places) + 1)),
        tickangle=0,
        range=[-0.6, len(places) + 0.6],
        ticktext=[*STEPS.values(), f"Billed<br>{quantities.money_cents(total)}"],
    )
    figure.add_hline(y=0, line={"color": palette.text, "width": 1.2})
    figure.add_annotation(
        x=0,
        xref="paper",
        y=1,
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        yshift=8,
        showarrow=False,
        text=f"0 = traced at list price, {quantities.money_cents(terms['priced_traces'])}",
    )
    figure.update_layout(hovermode="closest", bargap=0)
    return figure


def _bar(figure: go.Figure, place: int, start: Decimal, amount: Decimal, colour: str, name: str) -> None:
    words = f"{name.replace('<br>', ' ')} {quantities.money_cents(amount, signed=True)}"
    figure.add_bar(
        x=[place],
        y=[float(amount)],
        base=[float(start)],
        width=BAR_WIDTH,
        marker={"color": colour},
        name=words,
        hovertemplate=f"{words}<extra></extra>",
    )


def _label(figure: go.Figure, place: int, top: Decimal, text: str, colour: str) -> None:
    figure.add_annotation(x=place, y=float(top), text=f"<b>{text}</b>", showarrow=False, yanchor="bottom", yshift=2, font={"color": colour})


def _step(size: float) -> float:
    """A round distance between ticks, of which three to five span the size."""
    magnitude = 10.0 ** math.floor(math.log10(size / 3))
    return next(magnitude * factor for factor in (1, 2, 2.5, 5, 10) if size / (magnitude * factor) <= 5)
