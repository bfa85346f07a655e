"""Labels never cover each other, keep their order and move no further than they must."""

from hypothesis import given
from hypothesis import strategies as st

from app.labels import LINE_PX, clear, spread, text_width

PLACES = st.lists(st.tuples(st.floats(-50, 400), st.floats(5, 40)), max_size=15)


@given(PLACES)
def test_spread_labels_never_overlap_and_keep_their_order(places: list[tuple[float, float]]) -> None:
    places = sorted(places)
    sizes = [size for _, size in places]
    centres = spread([centre for centre, _ in places], sizes, 0, 300)
    for index in range(1, len(centres)):
        assert centres[index] - centres[index - 1] >= (sizes[index] + sizes[index - 1]) / 2 - 1e-6


@given(PLACES)
def test_spread_labels_stay_between_the_ends_where_there_is_room(places: list[tuple[float, float]]) -> None:
    places = sorted(places)
    sizes = [size for _, size in places]
    centres = spread([centre for centre, _ in places], sizes, 0, sum(sizes) + 20)
    for centre, size in zip(centres, sizes, strict=True):
        assert size / 2 - 1e-6 <= centre <= sum(sizes) + 20 - size / 2 + 1e-6


def test_labels_that_do_not_touch_stay_where_they_are() -> None:
    assert spread([20, 60, 100], [14, 14, 14], 0, 200) == [20, 60, 100]


def test_two_labels_at_one_place_share_the_shift() -> None:
    assert spread([50, 50], [14, 14], 0, 200) == [43, 57]


@given(st.lists(st.tuples(st.floats(0, 400), st.floats(10, 150), st.floats(0, 200)), max_size=10))
def test_raised_labels_never_overlap_and_never_sink(found: list[tuple[float, float, float]]) -> None:
    boxes = [(left, left + width, bottom) for left, width, bottom in found]
    bottoms = clear(boxes)
    assert all(raised >= bottom for raised, (_, _, bottom) in zip(bottoms, boxes, strict=True))
    for first, (left, right, _) in enumerate(boxes):
        for second in range(first + 1, len(boxes)):
            if boxes[second][0] < right and left < boxes[second][1]:
                assert abs(bottoms[first] - bottoms[second]) >= LINE_PX - 1e-6


def test_a_longer_text_is_wider() -> None:
    assert text_width("Google Vertex AI") > text_width("OpenAI") > text_width("") == 0
