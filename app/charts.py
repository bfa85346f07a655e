"""The figures of values per day, each a pure function from rows to a plotly figure; what is unknown stays a gap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import plotly.graph_objects as go
import polars as pl

from app import quantities, theme
from app.figure import (Anomaly, Release, SideLabel, anomaly_marks, blank, day_axis, plot_height, release_lines, side_labels,
                        side_margin, value_axis)
from app.labels import LINE_PX
from app.theme import PALETTES, PROVIDERS, TINTS, Mode

HALF_DAY = timedelta(hours=12)
NAMED_SHARE = 0.04  # of the whole: a model below it gets no label of its own
MOST_NAMED = 6
Values = list[float | None]

# Input in tints of the accent, what was written to and read from the cache weaker, output apart; in the order of the stack.
TOKEN_CLASSES = (("output", "Output", "muted", 1.0), ("uncached_input", "Uncached input", "accent", 1.0),
                 ("cache_write_1h", "Cache write, 1 h", "accent", 0.72), ("cache_write_5m", "Cache write, 5 min", "accent", 0.50),
                 ("cache_read", "Cache read", "accent", 0.30))


@dataclass(frozen=True)
class Layer:
    """One colour of a stack: the value of each day, and the group that it is labelled under."""

    group: str
    name: str
    colour: str
    values: Values

    @property
    def known(self) -> float:
        return sum(value for value in self.values if value is not None)


def daily_spend(spend: pl.DataFrame, mode: Mode, *, is_weekly_mean: bool = False, releases: Sequence[Release] = (),
                anomalies: Sequence[Anomaly] = (), height: int = 300) -> go.Figure:
    """Cost per day, stacked by provider and model: columns day, provider, model, cost_usd (null = unknown).

    A day without any row is a gap; a model without a row on a day that has others cost nothing. The weekly mean is the mean
    of the seven days up to each day, and unknown while one of them is.
    """
    days, values = _daily(spend, ["provider", "model"], "cost_usd")
    if is_weekly_mean:
        values = {key: _mean_of_seven(found) for key, found in values.items()}
    return _stack(days, _provider_layers(values, mode), "usd", mode, height, releases, anomalies)


def daily_tokens(tokens: pl.DataFrame, mode: Mode, *, height: int = 220) -> go.Figure:
    """Tokens per day, stacked by class: columns day, token_class (as in the ledger), tokens (null = unknown)."""
    days, values = _daily(tokens, ["token_class"], "tokens")
    palette = PALETTES[mode]
    layers = [Layer(title, "", theme.blend(getattr(palette, role), share, palette.page), values[name,])
              for name, title, role, share in TOKEN_CLASSES if (name,) in values]
    return _stack(days, layers, "count", mode, height)


def daily_bars(counts: pl.DataFrame, mode: Mode, *, name: str, unit: str = "count", height: int = 180) -> go.Figure:
    """One value per day: columns day, value (null, or a day without a row = unknown)."""
    days, values = _daily(counts, [], "value")
    return _stack(days, [Layer("", name, PALETTES[mode].accent, found) for found in values.values()], unit, mode, height)


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
        week = [value for value in values[max(end - 7, 0):end] if value is not None]
        means.append(sum(week) / 7 if len(week) == 7 else None)
    return means


def _known(values: Values) -> float:
    return sum(value for value in values if value is not None)


def _sum(columns: Sequence[Values]) -> Values:
    """The sum per day of what is known; unknown where nothing is."""
    return [sum(known) if (known := [value for value in day if value is not None]) else None for day in zip(*columns, strict=True)]


def _provider_layers(found: Mapping[tuple[str | None, ...], Values], mode: Mode) -> list[Layer]:
    """One layer per model, from the top: providers in their fixed order, their models by cost, the smallest ones together."""
    order = list(PROVIDERS)
    providers = sorted({provider for provider, _ in found},
                       key=lambda name: (order.index(name) if name in order else len(order), name or ""))
    layers = []
    for provider in providers:
        look = theme.provider(provider)
        models = sorted(((model or "Unknown model", values) for (owner, model), values in found.items() if owner == provider),
                        key=lambda model: -_known(model[1]))
        most = len(TINTS)
        if len(models) > most:
            rest = [values for _, values in models[most - 1:]]
            models = [*models[:most - 1], (f"{len(rest)} other models", _sum(rest))]
        layers += [Layer(look.name, name, theme.tint(look.colour(mode), rank, mode), values) for rank, (name, values) in enumerate(models)]
    return layers


def _stack(days: Sequence[date], layers: Sequence[Layer], unit: str, mode: Mode, height: int, releases: Sequence[Release] = (),
           anomalies: Sequence[Anomaly] = ()) -> go.Figure:
    """Bars per day, the first layer on top, each band labelled at the right; the hover gives every value and the total."""
    totals = _sum([layer.values for layer in layers])
    if not any(total is not None for total in totals):
        return blank(mode, height)
    top = 26 if releases else 12
    labels = _labels(layers, unit, int((height - top - 26 + LINE_PX) / LINE_PX))
    figure = blank(mode, height, right=side_margin(labels), top=top)
    for layer in reversed(layers):
        figure.add_bar(x=days, y=layer.values, marker={"color": layer.colour, "line": {"width": 0}}, name=layer.name or layer.group,
                       customdata=[_exact(value, unit) for value in layer.values],
                       hovertemplate=f"{escape(layer.name or layer.group)} %{{customdata}}<extra></extra>")
    if len(layers) > 1:
        _add_totals(figure, days, layers, totals, unit, mode)
    figure.update_layout(barmode="stack", bargap=0.12 if len(days) <= 70 else 0)
    value_axis(figure, max(total for total in totals if total is not None), unit)
    day_axis(figure, days[0], days[-1])
    heights = {day: total for day, total in zip(days, totals, strict=True) if total is not None}
    shown = [anomaly for anomaly in anomalies if anomaly.day in heights]
    if shown:
        anomaly_marks(figure, shown, heights, mode)
    release_lines(figure, releases, days[0], days[-1], mode)
    side_labels(figure, labels, mode)
    return figure
