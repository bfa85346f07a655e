"""A KPI's course and its systems: gaps stay gaps, the target is drawn at its value, every text has room."""

from datetime import datetime
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.figure import Release
from app.kpi_systems_chart import kpi_by_system
from app.kpi_trend_chart import kpi_trend
from app.labels import LINE_PX
from app.theme import MODES, PALETTES, STATUSES, Mode
from tests.app.figures import levels, plain, side_places, side_texts, texts

few = settings(max_examples=25, deadline=None)  # plotly takes its time for a figure
COURSE = {"start": pl.Datetime, "end": pl.Datetime, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "is_open": pl.Boolean}
SYSTEMS = {
    "name": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n": pl.Int64,
    "status": pl.String,
    "note": pl.String,
}
CARD_PX = 390  # what the card beside the evidence leaves for a figure on a page of 1440 pixels


def months(*values: float | None, low: float | None = None, high: float | None = None, is_open: bool = False) -> pl.DataFrame:
    """One row per month from January 2026 on; `is_open` is said of the last."""
    rows = [
        (datetime(2026, month, 1), datetime(2026, month + 1, 1), value, low, high, is_open and month == len(values))
        for month, value in enumerate(values, 1)
    ]
    return pl.DataFrame(rows, schema=COURSE, orient="row")


def trend(rows: pl.DataFrame, mode: Mode = "light", **options: Any) -> Any:
    return kpi_trend(rows, mode, **{"unit": "share", "better": "higher", "name": "All systems", **options})


def course(figure: Any) -> list[float | None]:
    [line] = [trace for trace in figure.data if trace.name == "All systems"]
    assert line.connectgaps is False
    return list(line.y)


def test_an_unknown_month_interrupts_the_line() -> None:
    assert course(trend(months(0.2, None, 0.4))) == [0.2, None, 0.4]


def test_a_month_without_a_row_interrupts_the_line_too() -> None:
    assert course(trend(months(0.2, 0.3, 0.4).filter(pl.col("value") != 0.3))) == [0.2, None, 0.4]


def test_nothing_known_is_an_empty_figure() -> None:
    figure = trend(months(None, None), height=310)
    assert (len(figure.data), figure.layout.height) == (0, 310)


@pytest.mark.parametrize("mode", MODES)
def test_the_target_is_a_line_at_its_value_with_its_words_on_it(mode: Mode) -> None:
    figure = trend(months(0.2, 0.4), mode, target=0.9, target_words="≥ 90 %")
    assert levels(figure) == [0.9]
    [words] = [annotation for annotation in figure.layout.annotations if plain(annotation.text) == "Target ≥ 90 %"]
    assert (words.y, words.font.color) == (0.9, PALETTES[mode].text)
    assert figure.layout.yaxis.range[1] > 0.9
    assert figure.layout.yaxis.range[0] == 0


@pytest.mark.parametrize("mode", MODES)
def test_the_last_dot_is_hollow_while_its_month_is_open(mode: Mode) -> None:
    palette = PALETTES[mode]
    for is_open, fill in ((True, palette.page), (False, palette.accent)):
        [dot] = [trace for trace in trend(months(0.2, 0.4, is_open=is_open), mode).data if trace.marker.size == 9]
        assert (dot.marker.color, list(dot.y)) == (fill, [0.4])


def test_the_interval_is_a_band_and_alone_a_whisker() -> None:
    [band] = [trace for trace in trend(months(0.2, 0.4, low=0.1, high=0.5)).data if trace.fill == "toself"]
    assert list(band.y) == [0.5, 0.5, 0.1, 0.1]
    [whisker] = [trace for trace in trend(months(0.3, low=0.1, high=0.5)).data if trace.line.width == 5]
    assert list(whisker.y) == [0.1, 0.5]


def test_systems_that_end_worst_are_named_and_the_others_counted() -> None:
    names = ("best", "good", "fair", "poor", "worst")
    rows = pl.concat([months(0.5, 0.9 - 0.1 * place).with_columns(name=pl.lit(name)) for place, name in enumerate(names)])
    labels = side_texts(trend(months(0.5, 0.6), by_system=rows))
    assert [name for name in names if any(name in label for label in labels)] == ["fair", "poor", "worst"]
    assert "2 other systems" in labels


@few
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.one_of(st.none(), st.floats(0, 1)))
def test_labels_beside_the_course_never_overlap(ends: list[float], target: float | None) -> None:
    rows = pl.concat([months(0.5, end).with_columns(name=pl.lit(f"System {place}")) for place, end in enumerate(ends)])
    figure = trend(months(0.5, 0.6), by_system=rows, target=target, target_words="≥ 1 %")
    assert all(above - below >= LINE_PX - 1e-6 for below, above in pairwise(side_places(figure)))


def test_releases_are_lines_with_their_names_above_the_plot() -> None:
    figure = trend(months(0.2, 0.4, 0.3), releases=[Release(datetime(2026, 2, 9), "REL-110")])
    [name] = [annotation for annotation in figure.layout.annotations if plain(annotation.text) == "REL-110"]
    assert (name.yref, name.y) == ("paper", 1)


def by_system(*rows: tuple[Any, ...], mode: Mode = "light", **options: Any) -> Any:
    return kpi_by_system(pl.DataFrame(rows, schema=SYSTEMS, orient="row"), mode, **{"unit": "share", **options})


def test_a_system_that_is_not_measured_keeps_its_place_and_says_why() -> None:
    figure = by_system(
        ("Claims", 0.4, None, None, 12, "at risk", ""), ("Drafts", None, None, None, None, "not measured", "No traces loaded")
    )
    assert list(figure.layout.yaxis.ticktext) == ["Claims", "Drafts"]
    [reason] = [annotation for annotation in figure.layout.annotations if annotation.text == "No traces loaded"]
    assert (reason.x, reason.y) == (0, 1)
    assert [list(trace.y) for trace in figure.data] == [[0]], "no dot where nothing is known"


@pytest.mark.parametrize("mode", MODES)
def test_a_status_is_drawn_as_its_shape_and_named_below(mode: Mode) -> None:
    measured = [status for status in STATUSES if status != "not measured"]
    figure = by_system(*((status, 0.5, 0.4, 0.6, 3, status, "") for status in measured), mode=mode)
    dots = {trace.name: trace.marker for trace in figure.data if trace.name}
    assert {status: (dot.symbol, dot.color) for status, dot in dots.items()} == {
        status: (STATUSES[status].symbol, STATUSES[status].ink(mode)) for status in measured
    }
    assert all(any(STATUSES[status].word in text for text in texts(figure)) for status in measured)


def test_the_target_of_systems_is_drawn_at_its_value() -> None:
    figure = by_system(("Claims", 0.4, 0.3, 0.5, 12, "off target", ""), target=0.7, target_words="≥ 70 %")
    [line] = figure.layout.shapes
    assert line.x0 == line.x1 == 0.7
    assert figure.layout.xaxis.range[1] > 0.7


def test_names_of_systems_stay_text() -> None:
    figure = by_system(("<script>alert(1)</script>", 0.4, None, None, 12, "at risk", "<i>n</i>"))
    said = [*figure.layout.yaxis.ticktext, *(annotation.text for annotation in figure.layout.annotations)]
    assert not any("<script" in text or "<i>" in text for text in [*said, *figure.data[0].customdata])


def test_long_names_and_notes_leave_room_for_the_plot_itself() -> None:
    figure = by_system(
        ("Contact Centre Assist", 44.28, None, None, 1843, "off target", "estimated from traces and the price book"), unit="usd"
    )
    margin = figure.layout.margin
    assert margin.l + margin.r <= CARD_PX - 100
