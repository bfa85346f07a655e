"""The figures of the pages, each a pure function from rows to a plotly figure; what is unknown stays a gap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate

import plotly.graph_objects as go
import polars as pl

from app import quantities, theme
from app.figure import (Anomaly, Release, SideLabel, anomaly_marks, blank, day_axis, plot_height, release_lines, side_labels,
                        side_margin, target_line, value_axis)
from app.labels import LINE_PX
from app.theme import PALETTES, PROVIDERS, STATUSES, TINTS, Mode
from metrics.kpi import Status

MOST_POINTS = 500  # per trace: beyond as many days, a bar is a week
Values = list[float | None]

# Input in tints of the accent, what was written to and read from the cache weaker, output apart.
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


def daily_spend(spend: pl.DataFrame, mode: Mode, *, is_weekly_mean: bool = False, releases: Sequence[Release] = (),
                anomalies: Sequence[Anomaly] = (), height: int = 300) -> go.Figure:
    """Cost per day, stacked by provider and model: columns day, provider, model, cost_usd (null = unknown).

    A day without any row is a gap; a model without a row on a day that has others cost nothing. The weekly mean is the mean
    of the seven days up to each day, and unknown while one of them is.
    """
    days, values = _daily(spend.select("day", pl.struct("provider", "model").alias("key"), value=pl.col("cost_usd").cast(float)))
    layers = _provider_layers({(key["provider"], key["model"]): found for key, found in values}, mode)
    if is_weekly_mean:
        layers = [Layer(layer.group, layer.name, layer.colour, _mean_of_seven(layer.values)) for layer in layers]
    return _stack(days, layers, "usd", mode, height, releases, anomalies)


def daily_tokens(tokens: pl.DataFrame, mode: Mode, *, height: int = 220) -> go.Figure:
    """Tokens per day, stacked by class: columns day, token_class (as in the ledger), tokens (null = unknown)."""
    days, values = _daily(tokens.select("day", key="token_class", value=pl.col("tokens").cast(float)))
    found, palette = dict(values), PALETTES[mode]
    layers = [Layer(title, "", theme.blend(getattr(palette, role), share, palette.page), found[name])
              for name, title, role, share in TOKEN_CLASSES if name in found]
    return _stack(days, layers, "count", mode, height)


def daily_bars(counts: pl.DataFrame, mode: Mode, *, name: str, unit: str = "count", height: int = 180) -> go.Figure:
    """One value per day: columns day, value (null, or a day without a row = unknown)."""
    days, values = _daily(counts.select("day", key=pl.lit(name), value=pl.col("value").cast(float)))
    return _stack(days, [Layer("", name, PALETTES[mode].accent, found) for _, found in values], unit, mode, height)
