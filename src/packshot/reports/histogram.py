"""Durations by place: each upper bound is 1.4 times the one before, from 50 ms to 20 minutes.

A sum of histograms is the histogram of everything, which is why percentiles come from here: no percentile
of a month can be had from the percentiles of its hours.
"""

from bisect import bisect_right
from collections.abc import Sequence

# Exclusive upper bounds in whole milliseconds. packshot_histogram_bounds_ms() is the same list, and stored
# histograms were counted with it: it cannot change without counting them again.
BOUNDS_MS = (
    50, 70, 98, 137, 192, 269, 376, 527, 738, 1033, 1446, 2025, 2835, 3969, 5556, 7778, 10890, 15246, 21344,
    29882, 41834, 58568, 81995, 114793, 160710, 224994, 314992, 440988, 617383, 864337, 1210072,
)  # fmt: skip
PLACES = len(BOUNDS_MS) + 1  # the last one has no upper bound


def whole_ms(seconds: float) -> int:
    """`seconds` in whole milliseconds, rounded down; a duration below zero counts as none."""
    # By way of the microseconds that the database counted: 0.07 s * 1000 is 70.00000000000001 ms.
    return max(0, round(seconds * 1_000_000) // 1000)


def bucket(seconds: float) -> int:
    """The place, from 0, of a duration in seconds."""
    return bisect_right(BOUNDS_MS, whole_ms(seconds))


def percentile(histogram: Sequence[int], percent: int) -> float | None:
    """The duration in seconds that `percent` of those counted do not exceed; None when none was counted.

    Estimated by its rank within its place, so it lies where the exact value lies. In the last place, which
    has no upper bound, it is the lower one.
    """
    # Whole-number arithmetic: 0.95 * n in floating point can round up to the next rank.
    rank = (percent * sum(histogram) + 99) // 100
    below = 0
    for place, size in enumerate(histogram):
        if size > 0 and rank <= below + size:
            lower = BOUNDS_MS[place - 1] if place else 0
            upper = BOUNDS_MS[place] if place < len(BOUNDS_MS) else lower
            return (lower + (upper - lower) * (rank - below - 0.5) / size) / 1000
        below += size
    return None
