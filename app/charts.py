"""The figures of values per day, each a pure function from rows to a plotly figure; what is unknown stays a gap."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import escape
from itertools import accumulate, groupby

import plotly.graph_objects as go
import polars as pl

from app import quantities, theme
from app.figure import Anomaly, Release, SideLabel, anomaly_marks, blank, day_axis, release_lines, side_labels, side_margin, value_axis
from app.labels import LINE_PX
from app.theme import PALETTES, PROVIDERS, TINTS, Mode

NAMED_SHARE = 0.04  # of the whole: a model below it gets no label of its own
MOST_NAMED = 6
MOST_BARS = 92  # with more days, an area is easier to read
HALF_DAY = timedelta(hours=12)
Values = list[float | None]

# Input in tints of the accent, what was written to and read from the cache weaker, output apart; in the order of the stack.
TOKEN_CLASSES = (
    ("output", "Output", "muted", 1.0),
    ("uncached_input", "Uncached input", "accent", 1.0),
    ("cache_write_1h", "Cache write, 1 h", "accent", 0.72),
    ("cache_write_5m", "Cache write, 5 min", "accent", 0.50),
    ("cache_read", "Cache read", "accent", 0.30),
)


@dataclass(frozen=True, eq=False)
class Layer:
    """One colour of a stack: the value of each day, and the group that it is labelled under."""

    group: str
    name: str
    colour: str
    values: Values


def daily_spend(
    spend: pl.DataFrame,
    mode: Mode,
    *,
    is_weekly_mean: bool = False,
    releases: Sequence[Release] = (),
    anomalies: Sequence[Anomaly] = (),
    height: int = 300,
) -> go.Figure:
    """Cost per day, stacked by provider and model: columns day, provider, model, cost_usd (null = unknown).

    A day without any row is a gap; a model without a row on a day that has others cost nothing. The weekly mean is the mean
    of the seven days up to each day, and unknown while one of them is.
    """
    days, values = _daily(spend, ["provider", "model"], "cost_usd")
    if is_weekly_mean:
        values = {key: _mean_of_seven(found) for key, found in values.items()}
    return _stack(days, _provider_layers(values, mode), _unknown(values.values()), "usd", mode, height, releases, anomalies, is_weekly_mean)


def daily_tokens(tokens: pl.DataFrame, mode: Mode, *, height: int = 220) -> go.Figure:
    """Tokens per day, stacked by class: columns day, token_class (as in the ledger), tokens (null = unknown)."""
    days, values = _daily(tokens, ["token_class"], "tokens")
    palette = PALETTES[mode]
    layers = [
        Layer(title, "", theme.blend(getattr(palette, role), share, palette.page), values[name,])
        for name, title, role, share in TOKEN_CLASSES
        if (name,) in values
    ]
    return _stack(days, layers, _unknown(values.values()), "count", mode, height)


def daily_bars(counts: pl.DataFrame, mode: Mode, *, name: str, unit: str = "count", height: int = 180) -> go.Figure:
    """One value per day: columns day, value (null, or a day without a row = unknown)."""
    days, values = _daily(counts, [], "value")
    layers = [Layer("", name, PALETTES[mode].accent, found) for found in values.values()]
    return _stack(days, layers, _unknown(values.values()), unit, mode, height)


def _daily(rows: pl.DataFrame, keys: list[str], value: str) -> tuple[list[date], dict[tuple[str | None, ...], Values]]:
    """Every day from the first to the last, and what each key had on each.

    A day that has no row at all is unknown for every key; on a day that has rows, a key without one is 0.
    """
    if rows.is_empty():
        return [], {}
    amount = pl.col(value).cast(pl.Float64)
    sums = rows.group_by("day", *keys).agg(pl.when(amount.is_null().any()).then(None).otherwise(amount.sum()).alias("sum"))
    found: dict[tuple[str | None, ...], dict[date, float | None]] = {}
    for day, *key, total in sums.sort(*keys, "day").iter_rows():
        found.setdefault(tuple(key), {})[day] = total
    seen = set(rows.get_column("day"))
    days = [min(seen) + timedelta(days=number) for number in range((max(seen) - min(seen)).days + 1)]
    return days, {key: [by_day.get(day, 0.0) if day in seen else None for day in days] for key, by_day in found.items()}


def _mean_of_seven(values: Values) -> Values:
    means: Values = []
    for end in range(1, len(values) + 1):
        week = [value for value in values[max(end - 7, 0) : end] if value is not None]
        means.append(sum(week) / 7 if len(week) == 7 else None)
    return means


def _known(values: Values) -> float:
    return sum(value for value in values if value is not None)


def _sum(columns: Sequence[Values]) -> Values:
    """The sum per day of what is known; unknown where nothing is."""
    return [sum(known) if (known := [value for value in day if value is not None]) else None for day in zip(*columns, strict=True)]


def _unknown(columns: Collection[Values]) -> list[int]:
    """How many of the values of each day are unknown."""
    return [sum(value is None for value in day) for day in zip(*columns, strict=True)]


def _provider_layers(found: Mapping[tuple[str | None, ...], Values], mode: Mode) -> list[Layer]:
    """One layer per model, from the top: providers in their fixed order, their models by cost, the smallest ones together."""
    order = list(PROVIDERS)
    providers = sorted(
        {provider for provider, _ in found}, key=lambda name: (order.index(name) if name in order else len(order), name or "")
    )
    layers = []
    for provider in providers:
        look = theme.provider(provider)
        models = sorted(
            ((model or "Unknown model", values) for (owner, model), values in found.items() if owner == provider),
            key=lambda model: -_known(model[1]),
        )
        most = len(TINTS)
        if len(models) > most:
            rest = [values for _, values in models[most - 1 :]]
            models = [*models[: most - 1], (f"{len(rest)} other models", _sum(rest))]
        layers += [Layer(look.name, name, theme.tint(look.colour(mode), rank, mode), values) for rank, (name, values) in enumerate(models)]
    return layers


def _stack(
    days: Sequence[date],
    layers: Sequence[Layer],
    unknown: Sequence[int],
    unit: str,
    mode: Mode,
    height: int,
    releases: Sequence[Release] = (),
    anomalies: Sequence[Anomaly] = (),
    is_mean: bool = False,
) -> go.Figure:
    """Bars per day, or areas, the first layer on top and each band labelled at the right; the hover gives every value."""
    totals = _sum([layer.values for layer in layers])
    heights = {day: total for day, total in zip(days, totals, strict=True) if total is not None}
    if not heights:
        return blank(mode, height)
    top = 28 if releases else 12
    labels = _labels(layers, mode, room=int((height - top - 12) / LINE_PX))
    figure = blank(mode, height, right=side_margin(labels), top=top)
    if is_mean or len(days) > MOST_BARS:
        _areas(figure, days, layers, totals, PALETTES[mode].page)
    else:
        for layer in reversed(layers):
            figure.add_bar(
                x=days,
                y=layer.values,
                name=layer.name or layer.group,
                marker={"color": layer.colour, "line": {"width": 0}},
                hoverinfo="skip",
            )
        figure.update_layout(barmode="stack", bargap=max(0.12, 1 - 0.12 * len(days)))
    _hover(figure, days, layers, totals, unknown, unit, mode)
    value_axis(figure, max(heights.values()), unit)
    day_axis(figure, days[0], days[-1])
    figure.update_xaxes(range=[_midnight(days[0]) - HALF_DAY, _midnight(days[-1]) + HALF_DAY])
    shown = [anomaly for anomaly in anomalies if anomaly.day in heights]
    if shown:
        anomaly_marks(figure, shown, heights, mode)
    release_lines(figure, releases, days[0], days[-1], mode)
    side_labels(figure, labels, mode)
    return figure


def _areas(figure: go.Figure, days: Sequence[date], layers: Sequence[Layer], totals: Values, page: str) -> None:
    """Areas over each run of days that follow each other, so that a gap stays one; a day alone is as wide as a bar."""
    for number, (is_known, group) in enumerate(groupby(range(len(days)), key=lambda index: totals[index] is not None)):
        run = list(group)
        if not is_known:
            continue
        edges = [days[index] for index in run] if len(run) > 1 else [_midnight(days[run[0]]) + HALF_DAY * side for side in (-0.9, 0.9)]
        for layer in reversed(layers):
            values = [layer.values[index] for index in run]
            figure.add_scatter(
                x=edges,
                y=values if len(run) > 1 else values * 2,
                name=layer.name or layer.group,
                mode="lines",
                stackgroup=str(number),
                line={"color": page, "width": 0.6 if len(days) <= MOST_BARS else 0},
                fillcolor=layer.colour,
                hoverinfo="skip",
            )


def _hover(
    figure: go.Figure, days: Sequence[date], layers: Sequence[Layer], totals: Values, unknown: Sequence[int], unit: str, mode: Mode
) -> None:
    """One text per day: the total, then each layer from the top; where a part is unknown, "at least" and a question mark above."""
    texts = []
    for index, (total, missing) in enumerate(zip(totals, unknown, strict=True)):
        lines = [f"<b>{'at least ' if missing else ''}{_exact(total, unit)}</b>"] if len(layers) > 1 else []
        lines += [
            f"<span style='color:{layer.colour}'>■</span> {escape(layer.name or layer.group)} <b>{_exact(layer.values[index], unit)}</b>"
            for layer in layers
        ]
        texts.append("<br>".join(lines))
    figure.add_scatter(
        x=days,
        y=totals,
        name="Total",
        mode="markers",
        marker={"opacity": 0},
        customdata=texts,
        hovertemplate="%{customdata}<extra></extra>",
    )
    if any(missing and total is not None for total, missing in zip(totals, unknown, strict=True)):
        figure.add_scatter(
            x=days,
            y=totals,
            mode="text",
            text=["<b>?</b>" if missing else "" for missing in unknown],
            textposition="top center",
            textfont={"color": PALETTES[mode].orange.ink},
            name="Partly unknown",
            hoverinfo="skip",
        )


def _labels(layers: Sequence[Layer], mode: Mode, room: int) -> list[SideLabel]:
    """A label for each group with its share, and for the largest models as far as there is room; from the bottom."""
    palette = PALETTES[mode]
    last = max(index for layer in layers for index, value in enumerate(layer.values) if value is not None)
    edges = [0.0, *accumulate(layer.values[last] or 0.0 for layer in reversed(layers))]
    bands = {layer: (low, high) for layer, low, high in zip(reversed(layers), edges, edges[1:], strict=False)}
    known = {layer: sum(value for value in layer.values if value is not None) for layer in layers}
    whole = sum(known.values())
    groups = list(dict.fromkeys(layer.group for layer in reversed(layers) if layer.group))
    large = [layer for layer in sorted(layers, key=lambda layer: -known[layer]) if layer.name and known[layer] >= NAMED_SHARE * whole]
    named = set(large[: max(min(MOST_NAMED, room - len(groups)), 0)])
    labels = []
    for group in groups:
        members = [layer for layer in bands if layer.group == group]
        models = [layer for layer in members if layer in named]
        labels += [SideLabel(sum(bands[layer]) / 2, "", layer.name, swatch=layer.colour) for layer in models]
        low, high = bands[members[0]][0], bands[members[-1]][1]
        share = quantities.percent(sum(known[layer] for layer in members) / whole) if whole else ""
        labels.append(SideLabel(high if models else (low + high) / 2, group, share, colour=palette.text, swatch=members[-1].colour))
    return labels


def _exact(value: float | None, unit: str) -> str:
    if value is None:
        return quantities.UNKNOWN
    if unit == "usd":
        return quantities.money_cents(value)
    return quantities.count(round(value)) if unit == "count" else quantities.quantity(value, unit)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)
