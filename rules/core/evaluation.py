"""One run of compiled rules on one market: which (rule, symbol) are true.

Symbols go in chunks, whose rank rows stay in the processor's cache, so time grows with
rules × symbols and no faster. Of a rule whose own tests fail nothing is looked at; of
the others whole words of bits are joined; only where a bit is left over, and the rule
asks for what pairs of owner and symbol alone can tell, single pairs are looked at.
"""

from collections.abc import Callable, Hashable
from functools import partial
from operator import attrgetter

import numpy as np

from rules.core.bits import WORD_BITS, Bits, Flags, Places
from rules.core.pairs import Pairs
from rules.core.rows import ONES, ZERO, literal_rows, scaled, tested
from rules.core.segment import OwnerTests, Segment
from rules.core.source import Triggered
from rules.core.spaces import Spaces

CHUNK_WORDS = 8  # of 64 symbols: rank rows of a fact are then 32 kB
BLOCK_ROWS = 4096

_Words = tuple[Places, Places, Bits]  # rules, places of words in a row, bits


def evaluate_segment(segment: Segment, spaces: Spaces, *, removed: Flags | None) -> list[Triggered]:
    """Every verdict that is true, in the order of the rules, then of the symbols."""
    owners = spaces.places_of(segment.owners)
    alive = _alive(segment, spaces, owners)
    if removed is not None:
        alive &= ~removed
    if not alive.any():
        return []
    run = _Run(segment, spaces, owners, alive)
    words: list[_Words] = []
    for first in range(0, spaces.words, CHUNK_WORDS):
        words += run.chunk(first, min(first + CHUNK_WORDS, spaces.words))
    rules, places, bits = (np.concatenate(parts) for parts in zip(*words, strict=True)) if words else _NONE
    return run.told(rules, places, bits)


_NONE: _Words = (np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.uint64))


def _alive(segment: Segment, spaces: Spaces, owners: Places) -> Flags:
    """Rules whose owner is there and whose own tests hold."""
    owner = owners[segment.owner]
    alive: Flags = owner >= 0
    for rules, holds in _owner_tests(segment.own, spaces, owner):
        alive[rules[~holds]] = False
    return alive


def _owner_tests(tests: OwnerTests, spaces: Spaces, owners: Places) -> list[tuple[Places, Flags]]:
    """For each family of tests: who is asked (`of`), and where it holds; owners[of] may be -1 for absent."""
    told = []
    for code, start, stop in zip(tests.codes, tests.bounds, tests.bounds[1:], strict=False):
        asked = tests.of[start:stop]
        test, left, right = spaces.owner_columns(code)
        places = owners[asked]
        numbers = tests.numbers[start:stop]
        threshold = numbers if right is None else scaled(right[places], numbers)
        told.append((asked, tested(test, left[places], threshold)))
    return told


class _Run:
    def __init__(self, segment: Segment, spaces: Spaces, owners: Places, alive: Flags) -> None:
        self.segment, self.spaces, self.owners, self.alive = segment, spaces, owners, alive
        self.all_alive = bool(alive.all())
        tops = sum(len(matrix) for matrix in segment.tops)
        self.single = tops == len(segment.rules)  # each rule has a top of its own
        order = segment.by_top
        if self.single:
            self.rule_of_top = order
            self.needed = alive[order]
        else:
            order = order[alive[order]]
            self.rules_by_top = order
            counts = np.bincount(segment.top[order], minlength=tops)
            self.until = np.concatenate(([0], np.cumsum(counts)))
            self.needed = counts > 0
        self.bound = spaces.bounds(owners[segment.owner], segment.bound)
        self.inner = np.full(len(segment.inner.of), ZERO, dtype=np.intp)
        start = 0
        for asked, holds in _owner_tests(segment.inner, spaces, owners):
            self.inner[start : start + len(asked)] = np.where(holds, ONES, ZERO)
            start += len(asked)

    def chunk(self, first: int, last: int) -> list[_Words]:
        """The words first … last of every row: what is left of the rules there."""
        segment = self.segment
        facts = self.spaces.market(segment.rows.columns, first, last)
        sizes = [len(group.children) for group in segment.groups]
        rows, row_of_literal, spare = literal_rows(segment.rows, facts, spare=sum(sizes))
        row_of = np.concatenate((row_of_literal, self.inner, [ONES], np.arange(spare, spare + sum(sizes))))
        for group in segment.groups:
            start = spare + group.first - segment.ones - 1
            for at in range(0, len(group.children), BLOCK_ROWS):
                block = group.children[at : at + BLOCK_ROWS]
                join = np.bitwise_and if group.is_and else np.bitwise_or
                rows[start + at : start + at + len(block)] = _joined(rows, row_of, block, join)
        words: list[_Words] = []
        top = 0
        for matrix in segment.tops:
            needed = self.needed[top : top + len(matrix)]
            chosen = None if needed.all() else np.flatnonzero(needed)
            count = len(matrix) if chosen is None else len(chosen)
            for at in range(0, count, BLOCK_ROWS):
                if chosen is None:
                    block, tops = matrix[at : at + BLOCK_ROWS], None
                else:
                    tops = chosen[at : at + BLOCK_ROWS]
                    block = matrix[tops]
                found = _joined(rows, row_of, block, np.bitwise_and)
                words.append(self._rules(found, top + at if tops is None else top + tops, first))
            top += len(matrix)
        return words

    def _rules(self, found: Bits, tops: Places | int, first: int) -> _Words:
        """Rows of tops as words of the rules that have them, within the rules' bounds."""
        width = found.shape[1]
        at = np.flatnonzero(found.ravel() != 0)
        rows, words = np.divmod(at, width)
        bits = found.ravel()[at]
        tops = rows + tops if isinstance(tops, int) else tops[rows]
        if self.single:
            rules = self.rule_of_top[tops]
        else:
            counts = self.until[tops + 1] - self.until[tops]
            source = np.repeat(np.arange(len(tops)), counts)
            within = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
            rules = self.rules_by_top[self.until[tops[source]] + within]
            words, bits = words[source], bits[source]
        words = words + first
        bits = bits & self.spaces.bound_rows[self.bound[rules], words]
        kept = np.flatnonzero(bits != 0)
        return rules[kept], words[kept], bits[kept]

    def told(self, rules: Places, words: Places, bits: Bits) -> list[Triggered]:
        segment, sources = self.segment, self.segment.rules
        whole = segment.whole[rules]
        fired = np.unique(rules[whole])
        rules, words, bits = rules[~whole], words[~whole], bits[~whole]
        pair_rules, places = _single_bits(rules, words, bits)
        checked = np.diff(segment.checks.starts)[pair_rules] > 0
        if checked.any():
            asked = np.flatnonzero(checked)
            asked = asked[np.argsort(self.owners[segment.owner[pair_rules[asked]]], kind="stable")]
            pairs = Pairs(self.spaces, self.owners[segment.owner[pair_rules[asked]]], places[asked])
            holds = pairs.check(segment.checks, pair_rules[asked])
            kept = np.ones(len(pair_rules), dtype=np.bool_)
            kept[asked[~holds]] = False
            pair_rules, places = pair_rules[kept], places[kept]
        pair_rules = np.concatenate((pair_rules, fired))
        places = np.concatenate((places, np.full(len(fired), -1)))
        order = np.lexsort((places, pair_rules))
        names = self.spaces.names  # the last, found at -1, is None: the portfolio
        found = [sources[rule] for rule in pair_rules[order].tolist()]
        symbols = map(names.__getitem__, places[order].tolist())
        keys, owners = map(_KEY, found), map(_OWNER, found)
        return list(map(_TRIGGERED, zip(keys, symbols, owners, strict=True)))


# Half the time of calling Triggered, of which there may be many thousands.
_TRIGGERED: Callable[[tuple[Hashable, str | None, Hashable]], Triggered] = partial(tuple.__new__, Triggered)
_KEY, _OWNER = attrgetter("key"), attrgetter("owner")


def _single_bits(rules: Places, words: Places, bits: Bits) -> tuple[Places, Places]:
    """Rules and symbols of single bits: the lowest bit of every word, then the next, while any is left."""
    found: list[tuple[Places, Places]] = [_NONE[:2]]
    while bits.size:
        below = bits - np.uint64(1)
        lowest = np.bitwise_count(below & ~bits)
        found.append((rules, words * WORD_BITS + lowest))
        bits = bits & below
        left = np.flatnonzero(bits)
        rules, words, bits = rules[left], words[left], bits[left]
    return np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])


def _joined(rows: Bits, row_of: Places, block: Places, join: np.ufunc) -> Bits:
    """The conjunction or disjunction of the rows of each line of `block` (int[n, k])."""
    found: Bits = rows.take(row_of[block[:, 0]], axis=0, mode="clip")
    if block.shape[1] > 1:
        buffer = np.empty_like(found)
        for column in range(1, block.shape[1]):
            rows.take(row_of[block[:, column]], axis=0, out=buffer, mode="clip")
            join(found, buffer, out=found)
    return found
