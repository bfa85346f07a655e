"""Values per day: every bar is the rows that it stands for, what is unknown stays a gap, and labels never overlap."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import charts, theme
from app.figure import Anomaly, Release
from app.labels import LINE_PX
from app.theme import MODES, PALETTES, Mode
from tests.app.figures import bars, plain, side_places, side_texts, texts, total, widest

few = settings(max_examples=25, deadline=None)  # plotly takes its time for a figure
FIRST = date(2026, 9, 1)
SCHEMA = {"day": pl.Date, "provider": pl.String, "model": pl.String, "cost_usd": pl.Decimal(24, 12)}


def spend(*rows: tuple[int, str | None, str | None, str | float | None]) -> pl.DataFrame:
    """Rows of day of September, provider, model, cost."""
    found = [
        (FIRST + timedelta(days=day - 1), provider, model, None if usd is None else Decimal(str(usd))) for day, provider, model, usd in rows
    ]
    return pl.DataFrame(found, schema=SCHEMA, orient="row")


ROWS = st.lists(
    st.tuples(
        st.integers(1, 28),
        st.sampled_from(["openai", "anthropic", "aws.bedrock", "somebody-new", None]),
        st.sampled_from([*(f"model-{number}" for number in range(7)), None]),
        st.integers(0, 10_000),
    ),
    min_size=1,
    max_size=60,
)


@few
@given(ROWS, st.sampled_from(MODES))
def test_bars_of_a_day_add_up_to_its_rows_and_to_its_total(rows: list[tuple[int, str | None, str | None, int]], mode: Mode) -> None:
    frame = spend(*rows)
    figure = charts.daily_spend(frame, mode)
    expected = {day: float(cost) for day, cost in frame.group_by("day").agg(pl.col("cost_usd").sum()).iter_rows()}
    shown = total(figure)
    found = dict(zip(shown.x, shown.y, strict=True))
    assert {day: value for day, value in found.items() if value is not None} == pytest.approx(expected)
    for place, day in enumerate(shown.x):
        drawn = [bar.y[place] for bar in bars(figure)]
        if day in expected:
            assert sum(drawn) == pytest.approx(expected[day])
        else:
            assert set(drawn) == {None}, "a day without rows is a gap"


@few
@given(ROWS)
def test_labels_beside_the_stack_never_overlap_and_fit_their_margin(rows: list[tuple[int, str | None, str | None, int]]) -> None:
    figure = charts.daily_spend(spend(*rows), "light", height=300)
    assert all(above - below >= LINE_PX - 1e-6 for below, above in pairwise(side_places(figure)))
    assert widest(side_texts(figure)) <= figure.layout.margin.r


def test_a_day_without_rows_is_a_gap_and_a_model_without_a_row_on_another_days_is_nothing() -> None:
    figure = charts.daily_spend(spend((1, "openai", "a", 1), (1, "openai", "b", 2), (3, "openai", "a", 4)), "light")
    assert {bar.name: list(bar.y) for bar in bars(figure)} == {"a": [1, None, 4], "b": [2, None, 0]}


def test_a_cost_that_is_not_known_makes_its_day_at_least_what_is() -> None:
    figure = charts.daily_spend(
        spend((1, "openai", "a", 1), (1, "openai", "b", None), (2, "openai", "a", 1), (2, "openai", "b", 3)), "light"
    )
    first, second = (plain(words) for words in total(figure).customdata)
    assert first.startswith("at least $1.00")
    assert second.startswith("$4.00")
    assert "b —" in first
    [marks] = [trace for trace in figure.data if trace.name == "Partly unknown"]
    assert [plain(mark) for mark in marks.text] == ["?", ""]


def test_nothing_known_is_an_empty_figure_of_the_same_height() -> None:
    for rows in ((), ((1, "openai", "a", None),)):
        figure = charts.daily_spend(spend(*rows), "light", height=280)
        assert (len(figure.data), figure.layout.height) == (0, 280)


def test_models_beyond_the_tints_are_pooled_and_lose_nothing() -> None:
    figure = charts.daily_spend(spend(*((1, "openai", f"m{number}", 10 - number) for number in range(7))), "light")
    names = [bar.name for bar in bars(figure)]
    assert len(names) == len(theme.TINTS)
    assert "4 other models" in names
    assert sum(bar.y[0] for bar in bars(figure)) == sum(range(4, 11))


def test_a_provider_keeps_its_colour_whatever_it_costs() -> None:
    for anthropic, openai in ((1, 9), (9, 1)):
        figure = charts.daily_spend(spend((1, "anthropic", "a", anthropic), (1, "openai", "o", openai)), "dark")
        assert {bar.name: bar.marker.color for bar in bars(figure)} == {
            "a": theme.provider("anthropic").dark,
            "o": theme.provider("openai").dark,
        }


def test_a_weekly_mean_begins_with_the_seventh_day_and_is_unknown_while_one_of_seven_is() -> None:
    days = [day for day in range(1, 22) if day != 10]
    figure = charts.daily_spend(spend(*((day, "openai", "a", day) for day in days)), "light", is_weekly_mean=True)
    means = list(total(figure).y)
    assert means[:6] == [None] * 6
    assert means[6:9] == pytest.approx([4, 5, 6])
    assert means[9:16] == [None] * 7
    assert means[16:] == pytest.approx([14, 15, 16, 17, 18])


def test_what_a_source_calls_itself_stays_text() -> None:
    figure = charts.daily_spend(spend((1, "<script>alert(1)</script>", "<b>m</b>", 5)), "light")
    for text in [*(annotation.text for annotation in figure.layout.annotations), *total(figure).customdata]:
        assert "<script" not in text
        assert "<b>m</b>" not in text


def test_releases_and_anomalies_stand_at_their_days() -> None:
    frame = spend(*((day, "openai", "a", 50 if day == 9 else 10) for day in range(1, 22)))
    figure = charts.daily_spend(
        frame, "light", releases=[Release(date(2026, 9, 9), "REL-114", True)], anomalies=[Anomaly(date(2026, 9, 9), "+$40", "retry storm")]
    )
    assert [shape.x0 for shape in figure.layout.shapes] == [date(2026, 9, 9)]
    assert "REL-114" in texts(figure)
    [mark] = [annotation for annotation in figure.layout.annotations if "retry storm" in annotation.text]
    assert (mark.x, mark.y) == (date(2026, 9, 9), 50)
    assert figure.layout.yaxis.range[1] > 50


def test_token_classes_are_stacked_in_one_order_and_add_up() -> None:
    rows = [(FIRST, "cache_read", 30), (FIRST, "uncached_input", 20), (FIRST, "output", 5)]
    figure = charts.daily_tokens(
        pl.DataFrame(rows, schema={"day": pl.Date, "token_class": pl.String, "tokens": pl.Int64}, orient="row"), "light"
    )
    assert [bar.name for bar in reversed(bars(figure))] == ["Output", "Uncached input", "Cache read"]
    assert list(total(figure).y) == [55]


@pytest.mark.parametrize("mode", MODES)
def test_one_value_a_day_is_drawn_in_the_accent_of_the_mode(mode: Mode) -> None:
    frame = pl.DataFrame({"day": [FIRST, FIRST + timedelta(days=2)], "value": [3, None]}, schema={"day": pl.Date, "value": pl.Int64})
    [bar] = bars(charts.daily_bars(frame, mode, name="Rejected rows"))
    assert (list(bar.y), bar.marker.color) == ([3, None, None], PALETTES[mode].accent)


def test_many_days_become_areas_that_keep_gaps() -> None:
    days = [day for day in range(1, 200) if day != 100]
    figure = charts.daily_spend(spend(*((day, "openai", "a", 1) for day in days)), "light")
    areas = [trace for trace in figure.data if trace.stackgroup]
    assert bars(figure) == []
    assert [len(area.x) for area in areas] == [99, 99]
    assert FIRST + timedelta(days=99) not in {day for area in areas for day in area.x}
