"""The ground of figures: scales hold their values, dates are few, and the words of lines keep clear of each other."""

from datetime import date, timedelta
from itertools import pairwise

import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import figure as figures
from app.figure import PLOT_PX, Anomaly, Release, SideLabel
from app.labels import LINE_PX, text_width
from app.theme import MODES, PALETTES, Mode
from tests.app.figures import levels, plain, side_places

few = settings(max_examples=25, deadline=None)  # plotly takes its time for a figure
UNITS = ("share", "hours", "days", "usd", "per_million", "score", "count")
FIRST = date(2026, 9, 1)


@given(st.floats(1e-3, 1e7), st.sampled_from(UNITS))
def test_a_scale_begins_at_zero_holds_the_largest_value_and_names_each_tick_once(largest: float, unit: str) -> None:
    found = figures.scale(largest, unit)
    assert found.top > largest
    assert found.ticks[0] == 0
    assert found.ticks[-1] <= found.top
    assert 2 <= len(found.ticks) <= 6
    steps = [after - before for before, after in pairwise(found.ticks)]
    assert steps == pytest.approx([steps[0]] * len(steps))
    if unit not in ("hours", "count") or largest > 10:
        assert len(set(found.texts)) == len(found.texts)


def test_a_scale_of_nothing_is_not_divided() -> None:
    assert figures.scale(0, "usd").texts == ["$0"]


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(0, 2000))
def test_a_time_axis_has_at_most_seven_dates_all_of_them_inside(first: date, days: int) -> None:
    last = first + timedelta(days=days)
    found = figures.date_ticks(first, last)
    assert len(found) <= 7
    assert found == sorted(set(found))
    assert all(first - timedelta(days=31) <= day <= last for day in found)


def plot(mode: Mode = "light", top: float = 100.0) -> go.Figure:
    found = figures.blank(mode, 300)
    found.update_yaxes(range=[0, top])
    return found


@pytest.mark.parametrize("mode", MODES)
def test_a_figure_has_no_legend_and_the_colours_of_its_mode(mode: Mode) -> None:
    layout = figures.blank(mode, 300).layout.template.layout
    assert layout.showlegend is False
    assert layout.font.color == PALETTES[mode].muted
    assert layout.hoverlabel.bgcolor == PALETTES[mode].page


@few
@given(st.floats(5, 95), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 100)), max_size=8))
def test_a_target_is_drawn_at_its_value_and_its_words_stay_inside_the_plot(target: float, crossed: list[tuple[float, float]]) -> None:
    found = plot()
    figures.target_line(found, target, "Target ≤ 10 days", "light", crossed)
    assert levels(found) == [target]
    [words] = found.layout.annotations
    assert words.y == target
    assert (words.x, words.xanchor) in ((0, "left"), (1, "right"))
    bottom = target / 100 * figures.plot_height(found) - (LINE_PX if words.yanchor == "top" else 0)
    assert -LINE_PX / 2 <= bottom <= figures.plot_height(found) - LINE_PX / 2


@few
@given(st.lists(st.integers(0, 29), min_size=1, max_size=20), st.integers(0, 19))
def test_names_of_releases_never_overlap_and_an_emphasised_one_is_kept(days: list[int], emphasised: int) -> None:
    releases = [Release(FIRST + timedelta(days=day), f"REL-{place:03}", place == emphasised) for place, day in enumerate(days)]
    found = plot()
    figures.release_lines(found, releases, FIRST, FIRST + timedelta(days=29), "light")
    assert len(found.layout.shapes) == len(releases), "a release without room for its name keeps its line"
    centres = sorted((name.x - FIRST).days / 29 * PLOT_PX + name.xshift for name in found.layout.annotations)
    assert all(after - before >= text_width("REL-000") - 1e-6 for before, after in pairwise(centres))
    if emphasised < len(days):
        assert f"REL-{emphasised:03}" in {plain(name.text) for name in found.layout.annotations}


def test_a_release_outside_the_window_is_not_drawn() -> None:
    found = plot()
    figures.release_lines(found, [Release(FIRST - timedelta(days=1), "REL-1")], FIRST, FIRST + timedelta(days=9), "light")
    assert not found.layout.shapes


@few
@given(st.lists(st.floats(0, 100), min_size=1, max_size=16))
def test_side_labels_keep_their_order_and_a_lines_distance(values: list[float]) -> None:
    found = plot()
    figures.side_labels(found, [SideLabel(value, f"S{place}") for place, value in enumerate(values)], "light")
    places = side_places(found)
    assert all(after - before >= LINE_PX - 1e-6 for before, after in pairwise(places))
    named = sorted(found.layout.annotations, key=lambda label: label.y)
    assert [values[int(plain(label.text)[1:])] for label in named] == sorted(values)


@few
@given(st.lists(st.integers(0, 27), min_size=1, max_size=5, unique=True))
def test_texts_of_anomalies_stand_above_their_day_and_clear_of_each_other(days: list[int]) -> None:
    heights = {FIRST + timedelta(days=day): 40.0 + 60.0 * (day in days) for day in range(28)}
    found = plot(top=106.0)
    figures.anomaly_marks(found, [Anomaly(FIRST + timedelta(days=day), "+$60", "retry storm") for day in days], heights, "light")
    px = figures.plot_height(found) / found.layout.yaxis.range[1]
    boxes = []
    for mark in found.layout.annotations:
        if mark.text != "▼":
            centre, bottom = (mark.x - FIRST).days / 27 * PLOT_PX + mark.xshift, mark.y * px + mark.yshift
            assert bottom + LINE_PX <= figures.plot_height(found) + found.layout.margin.t
            boxes.append((centre, bottom))
    width = text_width("+$60 · retry storm")
    for place, (centre, bottom) in enumerate(boxes):
        for other, other_bottom in boxes[:place]:
            assert abs(centre - other) >= width - 1e-6 or abs(bottom - other_bottom) >= LINE_PX - 1e-6


def test_of_many_names_those_that_matter_fit_first() -> None:
    room = text_width("abcdef") + 8
    assert figures.fitting(["abcdef", "ghijkl"], [True, False], room) == [0]
    assert figures.fitting(["abcdef", "ghijkl"], [False, False], room) == [1]
    assert figures.fitting(["abcdef", "ghijkl"], [False, False], 2 * room) == [0, 1]
