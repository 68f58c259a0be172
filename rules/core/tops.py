"""The conjunctions of rows that rules come down to."""

from collections.abc import Iterator

import numpy as np

from rules.core.bits import WORD_BITS, Bits, Places
from rules.core.segment import Ints

BLOCK_ROWS, LINES_MAX = 4096, 65_536

_NONE: Places = np.empty(0, dtype=np.intp)


class Tops:
    """The conjunctions that rules come down to, made for those that are asked for (places, rising)."""

    def __init__(self, matrices: tuple[Ints, ...], rows: Bits, row_of: Places) -> None:
        self._matrices, self._rows, self._row_of = matrices, rows, row_of

    def rows(self, tops: Places) -> Bits:
        """uint64[n, words]"""
        found = np.empty((len(tops), self._rows.shape[1]), dtype=np.uint64)
        for at, lines in self._blocks(tops, BLOCK_ROWS):
            join_into(found[at : at + lines.shape[1]], self._rows, lines, np.bitwise_and)
        return found

    def nonzero(self, tops: Places) -> tuple[Places, Places, Bits]:
        """Every word in which a bit is left: which of `tops`, which word, and the word.

        Tops stand in the order of their thresholds, so those between two neighbouring
        facts follow each other and have the same rows: they are joined once.
        """
        found: list[tuple[Places, Places, Bits]] = [(_NONE, _NONE, np.empty(0, dtype=np.uint64))]
        for at, lines in self._blocks(tops, LINES_MAX):
            size = lines.shape[1]
            changed = lines[0, 1:] != lines[0, :-1]
            for line in lines[1:]:
                changed |= line[1:] != line[:-1]
            heads = np.append(0, np.flatnonzero(changed) + 1)
            if 2 * len(heads) > size:
                found += self._nonzero(lines, at)
                continue
            lengths = np.diff(heads, append=size)
            for row, words, bits in self._nonzero(lines[:, heads], 0):
                counts = lengths[row]
                source = np.repeat(np.arange(len(row)), counts)
                within = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
                found.append((heads[row[source]] + within + at, words[source], bits[source]))
        rows, places, bits = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return rows, places, bits

    def _nonzero(self, lines: Places, first: int) -> Iterator[tuple[Places, Places, Bits]]:
        """The same for lines, a block of rows at a time, which stays in the cache."""
        width = self._rows.shape[1]
        size = lines.shape[1]
        buffer = np.empty((min(BLOCK_ROWS, size), width), dtype=np.uint64)
        for start in range(0, size, BLOCK_ROWS):
            block = lines[:, start : start + BLOCK_ROWS]
            part = buffer[: block.shape[1]]
            join_into(part, self._rows, block, np.bitwise_and)
            words = part.reshape(-1)
            left = np.flatnonzero(words != 0)
            yield left // width + (start + first), left % width, words[left]

    def _blocks(self, tops: Places, size: int) -> Iterator[tuple[int, Places]]:
        """(first of `tops`, int[k, n]: the rows that they join), at most `size` at once, all of one arity."""
        begin = 0
        for matrix in self._matrices:
            low, high = np.searchsorted(tops, (begin, begin + matrix.shape[1])).tolist()
            for at in range(low, high, size):
                stop = min(at + size, high)
                chosen = tops[at:stop] - begin
                yield at, np.stack([self._row_of.take(line.take(chosen)) for line in matrix])
            begin += matrix.shape[1]


def join_into(target: Bits, rows: Bits, lines: Places, join: np.ufunc) -> None:
    """target[i]: the conjunction or disjunction of the rows lines[:, i] (int[k, n])."""
    for start in range(0, len(target), BLOCK_ROWS):
        part = target[start : start + BLOCK_ROWS]
        first, *others = (line[start : start + BLOCK_ROWS] for line in lines)
        rows.take(first, axis=0, out=part, mode="clip")
        if others:
            buffer = np.empty_like(part)
            for other in others:
                rows.take(other, axis=0, out=buffer, mode="clip")
                join(part, buffer, out=part)


def single_bits(rules: Places, words: Places, bits: Bits) -> tuple[Places, Places]:
    """Rules and symbols of single bits: the lowest bit of every word, then the next, while any is left."""
    found = [(_NONE, _NONE)]
    left = np.flatnonzero(bits != 0)
    while left.size:
        rules, words, bits = rules[left], words[left], bits[left]
        below = bits - np.uint64(1)
        found.append((rules, words * WORD_BITS + np.bitwise_count(below & ~bits)))
        bits = bits & below
        left = np.flatnonzero(bits != 0)
    return np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])
