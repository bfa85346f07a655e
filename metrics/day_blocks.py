"""Whether a difference between two windows is more than what days differ by: whole days shuffled between the windows."""

from functools import lru_cache

import numpy as np

from metrics.drift import Counts, psi
from metrics.stats import ROUNDING, SEED

SHUFFLES = 19_999


def p_value(reference: Counts, current: Counts) -> float:
    """The share of shuffles of whole days whose PSI is at least that of the two windows, given as days × parts.

    The parts may not depend on which window a day is in, else days could not be exchanged.
    """
    days = np.concatenate([reference, current])
    total = days.sum(axis=0)
    observed = psi(reference.sum(axis=0), current.sum(axis=0))
    drawn = _shuffles(len(days), len(current)) @ days
    return float(1 + (psi(total - drawn, drawn) >= observed - ROUNDING).sum()) / (SHUFFLES + 1)


@lru_cache(maxsize=4)
def _shuffles(days: int, current: int) -> Counts:
    """Which days stand in the current window, one row a shuffle; the same on every run."""
    order = np.random.default_rng([SEED, days, current]).random((SHUFFLES, days)).argsort(axis=1)
    return (order < current).astype(float)
