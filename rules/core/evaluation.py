"""One run of compiled rules on one market: which (rule, symbol) are true.

Symbols go in chunks, whose rank rows stay in the processor's cache, so time grows with
rules × symbols and no faster. Of a rule whose own tests fail nothing is looked at; of
the others whole words of bits are joined. A rule that looks at held symbols only asks
the joined row for these; of the others every bit that is left is a symbol. What then
remains to be told of single pairs of owner and symbol is told last.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rules.core.bits import WORD_BITS, Bits, Flags, Places
from rules.core.pairs import Pairs
from rules.core.rows import ONES, ZERO, literal_rows, scaled, tested
from rules.core.segment import Bound, Ints, OwnerTests, Segment
from rules.core.source import Triggered
from rules.core.spaces import Spaces, is_set

CHUNK_WORDS = 8  # of 64 symbols: rank rows of a fact are then 32 kB
BLOCK_ROWS, LINES_MAX = 4096, 65_536

_NONE: Places = np.empty(0, dtype=np.intp)


def evaluate_segment(segment: Segment, spaces: Spaces, *, removed: Flags | None) -> list[Triggered]:
    """Every verdict that is true, in the order of the rules, then of the symbols."""
    run = _Run(segment, spaces, removed)
    if not run.alive.any():
        return []
    found = [
        run.chunk(first, min(first + CHUNK_WORDS, spaces.words))
        for first in range(0, spaces.words, CHUNK_WORDS)
    ]
    return run.told(_Found(*(np.concatenate(parts) for parts in zip(*map(_Found.parts, found), strict=True))))


@dataclass(frozen=True, slots=True)
class _Found:
    """What is left after the rows: rules and symbols (-1: the portfolio as a whole), and the position there
    where that is known already, else -1."""

    rules: Places
    places: Places
    positions: Places

    def parts(self) -> tuple[Places, Places, Places]:
        return self.rules, self.places, self.positions


class _Run:
    def __init__(self, segment: Segment, spaces: Spaces, removed: Flags | None) -> None:
        self.segment, self.spaces = segment, spaces
        owners = spaces.places_of(segment.owners)
        self.owner = owners[segment.owner]
        self.alive = self.owner >= 0
        if removed is not None:
            self.alive &= ~removed
        for rules, holds in _owner_tests(segment.own, spaces, self.owner):
            self.alive[rules[~holds]] = False
        held = segment.bound >= Bound.HELD
        self._wide_rules(self.alive & ~held)
        self._held_pairs(np.flatnonzero(self.alive & held))
        inner = [holds for _, holds in _owner_tests(segment.inner, spaces, owners)]
        self.inner = np.where(np.concatenate([_NONE.astype(np.bool_), *inner]), ONES, ZERO)

    def _wide_rules(self, wanted: Flags) -> None:
        """Rules that look at all eligible symbols: their tops, and which rules have each of these."""
        segment = self.segment
        chosen = np.flatnonzero(wanted[segment.by_top])
        self.wide = segment.by_top[chosen]
        self.wide_tops: Places = chosen
        self.wide_starts: Places = np.arange(len(chosen))
        if not segment.single:
            tops = segment.top[self.wide]
            self.wide_starts = np.flatnonzero(np.diff(tops, prepend=-1))
            self.wide_tops = tops[self.wide_starts]
        self.wide_counts = np.diff(self.wide_starts, append=len(self.wide))

    def _held_pairs(self, rules: Places) -> None:
        """Rules that look at held symbols, each with each of these, and their tops."""
        asked, self.held_positions = self.spaces.positions_of(self.owner[rules], self.segment.bound[rules])
        self.held_rules = rules[asked]
        self.held_places = self.spaces.position_places[self.held_positions]
        needed = np.zeros(self.segment.top_count, dtype=np.bool_)
        needed[self.segment.top[self.held_rules]] = True
        self.held_tops = np.flatnonzero(needed)
        self.row_of_held_top = np.cumsum(needed) - 1

    def chunk(self, first: int, last: int) -> _Found:
        """What is left in the words first … last of the rules' rows."""
        segment = self.segment
        facts = self.spaces.market(segment.rows.columns, first, last)
        sizes = sum(group.children.shape[1] for group in segment.groups)
        rows, row_of_literal, spare = literal_rows(segment.rows, facts, spare=sizes)
        row_of = np.concatenate((row_of_literal, self.inner, [ONES], np.arange(spare, spare + sizes)))
        for group in segment.groups:
            join = np.bitwise_and if group.is_and else np.bitwise_or
            start = spare + group.first - segment.ones - 1
            _join_into(rows[start : start + group.children.shape[1]], rows, row_of[group.children], join)
        tops = _Tops(segment.tops, rows, row_of)
        wide = self._wide_bits(tops, first)
        held = self._held_bits(tops, first, last)
        return _Found(*(np.concatenate(parts) for parts in zip(wide, held, strict=True)))

    def _wide_bits(self, tops: "_Tops", first: int) -> tuple[Places, Places, Places]:
        """The bits left of the tops of wide rules, within where each of them may look."""
        segment = self.segment
        row, words, bits = tops.nonzero(self.wide_tops)
        words = words + first
        starts, counts = self.wide_starts[row], self.wide_counts[row]
        rules: Places
        if segment.single:
            rules = self.wide[starts]
        else:
            source = np.repeat(np.arange(len(row)), counts)
            rules = self.wide[np.arange(len(source)) + np.repeat(starts - np.cumsum(counts) + counts, counts)]
            words, bits = words[source], bits[source]
        bound = self.spaces.eligible_row(self.owner[rules], segment.bound[rules])
        bits = bits & self.spaces.eligible[bound, words]
        whole = segment.whole[rules]
        if not whole.any():
            rules, places = _single_bits(rules, words, bits)
        else:
            fired = np.unique(rules[whole & (bits != 0)])
            rules, places = _single_bits(rules[~whole], words[~whole], bits[~whole])
            rules, places = np.append(rules, fired), np.append(places, np.full(len(fired), -1))
        return rules, places, np.full(len(rules), -1)

    def _held_bits(self, tops: "_Tops", first: int, last: int) -> tuple[Places, Places, Places]:
        """Held pairs whose bit is left in the top of the rule."""
        within = (self.held_places >= first * WORD_BITS) & (self.held_places < last * WORD_BITS)
        pairs = slice(None) if within.all() else within
        rules, places, positions = self.held_rules[pairs], self.held_places[pairs], self.held_positions[pairs]
        row = self.row_of_held_top[self.segment.top[rules]]
        left = is_set(tops.rows(self.held_tops), places - first * WORD_BITS, row)
        return rules[left], places[left], positions[left]

    def told(self, found: _Found) -> list[Triggered]:
        """The verdicts, after what only single pairs can tell."""
        rules, places, positions = found.parts()
        checked = np.flatnonzero(self.segment.checks.lengths[rules])
        if checked.size:
            pairs = Pairs(
                self.segment.checks,
                self.spaces,
                owners=self.owner[rules[checked]],
                symbols=places[checked],
                positions=positions[checked],
            )
            kept = np.ones(len(rules), dtype=np.bool_)
            kept[checked] = pairs.holds(rules[checked])
            rules, places = rules[kept], places[kept]
        size = self.spaces.size + 1
        verdicts = np.sort(rules * size + places + 1)
        once = np.ones(len(verdicts), dtype=np.bool_)  # as a whole a rule may have fired in several chunks
        once[1:] = verdicts[1:] != verdicts[:-1]
        rules, places = np.divmod(verdicts[once], size)
        keys, owners = self.segment.keys[rules].tolist(), self.segment.owner_names[rules].tolist()
        symbols = self.spaces.names[places - 1].tolist()
        return list(zip(keys, symbols, owners, strict=True))


def _owner_tests(tests: OwnerTests, spaces: Spaces, owners: Places) -> list[tuple[Places, Flags]]:
    """For each family of tests: who is asked (`of`), and where it holds; owners[of] may be -1 for absent."""
    told: list[tuple[Places, Flags]] = []
    for code, start, stop in zip(tests.codes, tests.bounds, tests.bounds[1:], strict=False):
        asked = tests.of[start:stop]
        test, left, right = spaces.owner_columns(code)
        places = owners[asked]
        numbers = tests.numbers[start:stop]
        threshold = numbers if right is None else scaled(right[places], numbers)
        told.append((asked, tested(test, left[places], threshold)))
    return told


class _Tops:
    """The conjunctions that rules come down to, made for those that are asked for (places, rising)."""

    def __init__(self, matrices: tuple[Ints, ...], rows: Bits, row_of: Places) -> None:
        self._matrices, self._rows, self._row_of = matrices, rows, row_of

    def rows(self, tops: Places) -> Bits:
        """uint64[n, words]"""
        found = np.empty((len(tops), self._rows.shape[1]), dtype=np.uint64)
        for at, lines in self._blocks(tops, BLOCK_ROWS):
            _join_into(found[at : at + lines.shape[1]], self._rows, lines, np.bitwise_and)
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
            _join_into(part, self._rows, block, np.bitwise_and)
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


def _join_into(target: Bits, rows: Bits, lines: Places, join: np.ufunc) -> None:
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


def _single_bits(rules: Places, words: Places, bits: Bits) -> tuple[Places, Places]:
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
