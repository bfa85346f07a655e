"""Small pictures: well-formed SVG in both modes, with every mark inside the picture."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import marks
from app.marks import BULLET_PX, SPARK_PX, Bullet
from app.theme import PALETTES, STATUSES

SVG = "{http://www.w3.org/2000/svg}"
AMOUNTS = st.floats(0, 1e6, allow_subnormal=False).map(lambda value: round(value, 6))


def picture(uri: str | None) -> ElementTree.Element:
    assert uri is not None
    head, _, body = uri.partition(",")
    assert head == "data:image/svg+xml"
    assert "'" not in body
    assert '"' not in body
    assert "#" not in body
    return ElementTree.fromstring(unquote(body))


def style(svg: ElementTree.Element) -> str:
    return svg.findtext(f"{SVG}style") or ""


def shapes(svg: ElementTree.Element, kind: str, name: str = "") -> list[dict[str, str]]:
    return [shape.attrib for shape in svg.iter(f"{SVG}{kind}") if name in shape.get("class", "")]


@st.composite
def bullets(draw: Any) -> Bullet:
    low, value, high = sorted(draw(st.tuples(AMOUNTS, AMOUNTS, AMOUNTS)))
    has_interval = draw(st.booleans())
    return Bullet(
        value,
        draw(st.sampled_from(["higher", "lower"])),
        draw(st.one_of(st.none(), AMOUNTS)),
        draw(AMOUNTS),
        low if has_interval else None,
        high if has_interval else None,
        draw(st.sampled_from([None, 1.0])),
    )


@given(bullets())
def test_every_mark_of_a_bullet_is_inside_the_picture(graph: Bullet) -> None:
    svg = picture(marks.bullet(graph))
    width = BULLET_PX[0]
    assert svg.attrib["viewBox"] == f"0 0 {width} {BULLET_PX[1]}"
    for box in shapes(svg, "rect"):
        left = float(box.get("x", 0))
        assert 0 <= left <= left + float(box["width"]) <= width + 0.02
    [dot] = shapes(svg, "circle")
    assert float(dot["r"]) <= float(dot["cx"]) <= width - float(dot["r"])
    for whisker in shapes(svg, "path", "line"):
        ends = [float(number) for number in re.findall(r"[MH](-?[\d.e+-]+)", whisker["d"])]
        assert all(0 <= end <= width for end in ends)


@given(bullets())
def test_the_scale_holds_value_interval_and_target_and_the_shades_cover_it_once(graph: Bullet) -> None:
    assert graph.maximum >= max(graph.value, graph.target or 0)
    spans = sorted((start, end) for _, start, end in graph.shades())
    assert spans[0][0] == 0
    assert spans[-1][1] == pytest.approx(graph.maximum)
    assert all(before[1] == pytest.approx(after[0]) for before, after in pairwise(spans))


def test_a_bullet_draws_the_target_at_its_place_and_the_dot_on_the_value() -> None:
    svg = picture(marks.bullet(Bullet(0.5, "higher", 0.75, 0.05, limit=1.0)))
    [tick] = shapes(svg, "rect", "ink")
    [dot] = shapes(svg, "circle")
    assert float(tick["x"]) + 1 == 96
    assert float(dot["cx"]) == 64
    assert not shapes(svg, "path", "line"), "no whisker without an interval"


def test_the_best_shade_lies_where_better_is() -> None:
    assert [shade for shade, *_ in Bullet(0.5, "higher", 0.6, 0.1, limit=1.0).shades()] == [0, 1, 2]
    assert [shade for shade, *_ in Bullet(5, "lower", 6, 1).shades()] == [2, 1, 0]
    assert [shade for shade, *_ in Bullet(5, "lower").shades()] == [1], "without a target nothing says what is good"


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=14), st.booleans())
def test_a_sparkline_stays_inside_and_interrupts_its_line_at_gaps(values: list[float | None], is_open: bool) -> None:
    uri = marks.sparkline(values, open_last=is_open)
    if all(value is None for value in values):
        assert uri is None
        return
    svg = picture(uri)
    lines = shapes(svg, "path", "line")
    runs = "".join("x" if value is not None else " " for value in values).split()
    assert [line["d"].count("L") + 1 for line in lines] == [len(run) for run in runs]
    for x, y in (point.split() for line in lines for point in re.split("[ML]", line["d"].replace("h.01", "")) if point):
        assert 2 <= float(x) <= SPARK_PX[0] - 2
        assert 2 <= float(y) <= SPARK_PX[1] - 2
    dots = shapes(svg, "circle")
    assert [dot["class"] for dot in dots] == ([] if values[-1] is None else ["open" if is_open else "closed"])


@pytest.mark.parametrize("status", list(STATUSES))
def test_an_icon_has_the_colour_of_its_status_in_both_modes(status: Any) -> None:
    css = style(picture(marks.icon(status)))
    for mode, palette in PALETTES.items():
        part = css.partition("@media (prefers-color-scheme: dark)")[0 if mode == "light" else 2]
        assert STATUSES[status].ink(mode) in part
        assert palette.page in part


@pytest.mark.parametrize("uri", [marks.bullet(Bullet(0.5, "higher", 0.7)), marks.sparkline([1, None, 2], open_last=True)])
def test_a_picture_follows_the_mode_of_the_page(uri: str) -> None:
    light, _, dark = style(picture(uri)).partition("@media (prefers-color-scheme: dark)")
    assert PALETTES["light"].page in light
    assert PALETTES["dark"].page in dark


def test_icons_differ_in_shape_and_not_only_in_colour() -> None:
    drawn = set()
    for status in STATUSES:
        svg = picture(marks.icon(status))
        drawn.add("".join(f"{shape.tag}{sorted(shape.attrib.items())}" for shape in svg if not shape.tag.endswith("style")))
    assert len(drawn) == len(STATUSES)
