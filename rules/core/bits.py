"""Where tests are true, as packed bits over symbols.

Between two neighbouring facts of S symbols every threshold gives the same answer, so
all tests of one fact by one operator have at most S + 1 answers: the *rank rows*. One
sort of the facts makes them all, and a threshold finds its row by its rank among the
facts. The same holds for a fact against another fact times a number, for as the number
grows each symbol's answer flips once; `flip_points` finds where, exactly.

Rows are uint64[…, words], symbol s in bit s % 64 of word s // 64.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rules.core.facts import Vector

Bits = NDArray[np.uint64]
Places = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]

WORD_BITS = 64
_ONE = np.uint64(1)

# Outside these a product can overflow, or lose digits below the smallest normal number, and does not grow step
# by step with the number any more; facts of that size are compared one by one.
_SMALL, _LARGE = 1e-290, 1e290
FACTOR_MIN, FACTOR_MAX = 1e-6, 1e6
_BEYOND = FACTOR_MAX * 10
_STEPS = np.arange(-2, 3)[:, None, None]


def words_for(size: int) -> int:
    """Words that hold `size` bits, at least one."""
    return max(1, -(-size // WORD_BITS))


def packed(flags: Flags) -> Bits:
    """bool[…, n] as rows."""
    size = flags.shape[-1]
    rows = np.zeros((*flags.shape[:-1], words_for(size) * 8), dtype=np.uint8)
    rows[..., : -(-size // 8)] = np.packbits(flags, axis=-1, bitorder="little")
    return rows.view("<u8").astype(np.uint64, copy=False)


def rank_rows(points: Vector) -> tuple[Vector, Bits]:
    """Sorted flip points, and which bits have flipped between them.

    points: float64[A, n], where each symbol's bit flips on axis a, NaN for never.
    Returns float64[A, n] sorted (NaN last) and uint64[A, n + 1, words]: row r has the
    bits of the r first symbols.
    """
    axes, size = points.shape
    order = np.argsort(points, axis=1)
    ordered = np.take_along_axis(points, order, axis=1)
    rows = np.zeros((axes, size + 1, words_for(size)), dtype=np.uint64)
    bits = np.left_shift(_ONE, (order & (WORD_BITS - 1)).astype(np.uint64))
    bits[np.isnan(ordered)] = 0
    rows[np.arange(axes)[:, None], np.arange(1, size + 1), order >> 6] = bits
    np.bitwise_xor.accumulate(rows, axis=1, out=rows)
    return ordered, rows


def ranks(points: Vector, numbers: Vector, *, passed_when_equal: bool) -> Places:
    """How many of the sorted `points` (no NaN) each of the sorted `numbers` has passed.

    By whichever is shorter looked up in the other: with many numbers that is far less work.
    """
    if len(numbers) < 4 * len(points):
        return np.searchsorted(points, numbers, side="right" if passed_when_equal else "left")
    starts = np.searchsorted(numbers, points, side="left" if passed_when_equal else "right")
    edges = np.concatenate(([0], starts, [len(numbers)]))
    return np.repeat(np.arange(len(points) + 1), np.diff(edges))


def flip_points(left: Vector, right: Vector) -> tuple[Vector, Vector, Flags, Flags]:
    """Where `left > right * t` and `left >= right * t` flip as t grows, for 1e-6 <= |t| <= 1e6.

    left, right: float64[A, n], NaN for unknown. Returns the points of the two
    (float64[A, n]: flipped from t = point on; NaN where unknown), whether they are true
    before (bool[A, n]), and which axes can be relied on (bool[A]): on the others a fact
    is so large or small that products do not grow evenly.

    The flip lies within a few floating-point steps of left / right; it is found by
    trying these steps with the very product that a comparison would make.
    """
    slope = np.abs(right)  # right < 0 is the same with t mirrored: left > |right| * (-t)
    with np.errstate(all="ignore"):
        middle = left / slope
        size = np.abs(middle)
        constant = slope == 0
        near = (size > FACTOR_MIN / 10) & (size < _BEYOND) & ~constant
        start = np.where(near, middle, 1.0)
        steps = (start.view(np.int64) + np.where(start < 0, -1, 1) * _STEPS).view(np.float64)
        product = steps * slope
        below = (product < left).sum(axis=0)
        not_above = (product <= left).sum(axis=0)
    found = ~near | ((below > 0) & (not_above < len(_STEPS)))
    last = len(_STEPS) - 1
    strict = np.take_along_axis(steps, np.minimum(below, last)[None], axis=0)[0]  # the first not below
    loose = np.take_along_axis(steps, np.minimum(not_above, last)[None], axis=0)[0]
    far = ~near
    if far.any():
        # Beyond all permitted numbers on either side, or between the negative and the positive ones.
        with np.errstate(invalid="ignore"):
            outside = np.where(size < 1, 0.0, np.copysign(_BEYOND, middle))
        strict[far] = np.where(constant, np.where(left > 0, _BEYOND, -_BEYOND), outside)[far]
        loose[far] = np.where(constant, np.where(left >= 0, _BEYOND, -_BEYOND), outside)[far]
    falling = right < 0
    if falling.any():
        strict[falling] = np.nextafter(-strict[falling], np.inf)
        loose[falling] = np.nextafter(-loose[falling], np.inf)
    unknown = np.isnan(left) | np.isnan(right)
    strict[unknown] = loose[unknown] = np.nan
    reliable = (found & _even(left) & _even(right)) | unknown
    return strict, loose, ~falling & ~unknown, reliable.all(axis=-1)


def _even(facts: Vector) -> Flags:
    size = np.abs(facts)
    even: Flags = ((size > _SMALL) & (size < _LARGE)) | (size == 0)
    return even
