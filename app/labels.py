"""Where labels go, so that none covers another: the least shift that keeps their order and a distance."""

from collections.abc import Sequence
from itertools import pairwise

LINE_PX = 14.0  # the least distance of two labels below each other
_CHARACTER_PX = 6.7  # at 12 px, on the wide side of the font's average


def text_width(text: str) -> float:
    """An upper estimate of a label's width in pixels at 12 px."""
    return len(text) * _CHARACTER_PX


def spread(centres: Sequence[float], sizes: Sequence[float], low: float, high: float) -> list[float]:
    """New centres for labels of these sizes, given in ascending order, between low and high.

    The sum of squared shifts is the least that leaves no overlap. When the labels need more room than there is, they
    still do not overlap and run over `high`.
    """
    offsets = [0.0]
    for before, after in pairwise(sizes):
        offsets.append(offsets[-1] + (before + after) / 2)
    blocks: list[tuple[float, int]] = []  # mean and number: equal after the offsets are taken off means side by side
    for centre, offset in zip(centres, offsets, strict=False):
        mean, number = centre - offset, 1
        while blocks and blocks[-1][0] >= mean:
            other, others = blocks.pop()
            mean, number = (mean * number + other * others) / (number + others), number + others
        blocks.append((mean, number))
    if not blocks:
        return []
    first, last = low + sizes[0] / 2, high - sizes[-1] / 2 - offsets[-1]
    bases = [max(min(mean, last), first) for mean, number in blocks for _ in range(number)]
    return [base + offset for base, offset in zip(bases, offsets, strict=True)]


def clear(boxes: Sequence[tuple[float, float, float]]) -> list[float]:
    """The bottom of each label (left, right, bottom), raised by as much as it takes to be clear of the ones placed before.

    The lowest are placed first, so that what stays where it is stays close to what it names.
    """
    bottoms = [bottom for _, _, bottom in boxes]
    placed: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda index: boxes[index][2]):
        left, right, _ = boxes[index]
        beside = sorted(bottoms[other] for other in placed if boxes[other][0] < right and left < boxes[other][1])
        for bottom in beside:
            if abs(bottom - bottoms[index]) < LINE_PX:
                bottoms[index] = bottom + LINE_PX
        placed.append(index)
    return bottoms
