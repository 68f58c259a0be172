"""One run of compiled rules on one market: which (rule, symbol) are true.

Symbols go in chunks, whose rank rows stay in the processor's cache, so time grows with
rules × symbols and no faster. Of a rule whose own tests fail nothing is looked at; of
the others whole words of bits are joined. A rule that looks at held symbols only asks
the joined row for these; of the others every bit that is left is a symbol. A rule that
is told of all symbols without a position alike does both. What then
remains to be told of single pairs of owner and symbol is told last.
"""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from rules.core.bits import WORD_BITS, Bits, Flags, Places
from rules.core.pairs import Pairs
from rules.core.rows import ONES, ZERO, literal_rows, scaled, tested
from rules.core.segment import Bound, OwnerTests, Segment
from rules.core.source import TooManyTriggered, Triggered
from rules.core.spaces import Spaces, is_set
from rules.core.tops import Tops, join_into, single_bits

CHUNK_WORDS = 8  # of 64 symbols: rank rows of a fact are then 32 kB
PAIRS_MAX = 2**18  # looked at one by one at once

_NONE: Places = np.empty(0, dtype=np.intp)
_Verdicts = tuple[Places, Places]  # rules, and symbols; -1 is the portfolio as a whole


def evaluate_segment(
    segment: Segment, spaces: Spaces, *, removed: Flags | None, count: "Count"
) -> list[Triggered]:
    """Every verdict that is true, in the order of the rules, then of the symbols."""
    run = _Run(segment, spaces, removed, count)
    if not run.alive.any():
        return []
    size = spaces.size + 1  # a verdict as one number; place -1 is the portfolio as a whole
    found = [_NONE]
    for first in range(0, spaces.words, CHUNK_WORDS):
        for rules, places in run.chunk(first, min(first + CHUNK_WORDS, spaces.words)):
            found.append(rules * size + places + 1)
    verdicts = np.sort(np.concatenate(found))
    once = np.ones(len(verdicts), dtype=np.bool_)  # as a whole a rule may have fired in several chunks
    once[1:] = verdicts[1:] != verdicts[:-1]
    rules, places = np.divmod(verdicts[once], size)
    keys, owners = segment.keys[rules].tolist(), segment.owner_names[rules].tolist()
    symbols = spaces.names[places - 1].tolist()
    return list(zip(keys, symbols, owners, strict=True))


class Count:
    """How many verdicts each owner has, so that nobody's mistake fills the memory of all."""

    def __init__(self, owners: Sequence[Hashable], limit: int | None) -> None:
        self._owners, self._limit = owners, limit
        self._found = np.zeros(len(owners), dtype=np.int64)

    def add(self, owners: Places, counts: Places | None = None) -> None:
        """Places of owners, each with so many verdicts (one if not given). Raises TooManyTriggered."""
        if self._limit is None or not len(owners):
            return
        self._found += np.bincount(owners, counts, len(self._found)).astype(np.int64)
        most = int(self._found.argmax())
        if self._found[most] > self._limit:
            raise TooManyTriggered(self._owners[most], int(self._found[most]), self._limit)


class _Run:
    def __init__(self, segment: Segment, spaces: Spaces, removed: Flags | None, count: Count) -> None:
        self.segment, self.spaces, self.count = segment, spaces, count
        owners = spaces.places_of(segment.owners)
        self.owner = owners[segment.owner]
        self.alive = self.owner >= 0
        if removed is not None:
            self.alive &= ~removed
        for rules, holds in _owner_tests(segment.own, spaces, self.owner):
            self.alive[rules[~holds]] = False
        held, apart = segment.bound >= Bound.HELD, segment.bound == Bound.UNHELD_TOO
        self.apart = apart if apart.any() else None
        self.checked = (segment.checks.lengths > 0) & ~apart  # of wide rules, pair by pair
        self._wide_rules(self.alive & (~held | apart))
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

    def chunk(self, first: int, last: int) -> Iterator[_Verdicts]:
        """The verdicts on the symbols of the words first … last."""
        segment = self.segment
        facts = self.spaces.market(segment.rows.columns, first, last)
        sizes = sum(group.children.shape[1] for group in segment.groups)
        rows, row_of_literal, spare = literal_rows(segment.rows, facts, spare=sizes)
        row_of = np.concatenate((row_of_literal, self.inner, [ONES], np.arange(spare, spare + sizes)))
        for group in segment.groups:
            join = np.bitwise_and if group.is_and else np.bitwise_or
            start = spare + group.first - segment.ones - 1
            join_into(rows[start : start + group.children.shape[1]], rows, row_of[group.children], join)
        tops = Tops(segment.tops, rows, row_of)
        yield from self._wide(tops, first)
        yield self._held(tops, first, last)

    def _wide(self, tops: Tops, first: int) -> Iterator[_Verdicts]:
        """Of rules that look at all eligible symbols: every bit that is left within where the rule may look."""
        segment = self.segment
        rules, words, bits = self._wide_words(tops, first)
        whole = segment.whole[rules]
        if whole.any():
            fired = np.unique(rules[whole & (bits != 0)])
            self.count.add(self.owner[fired])
            yield fired, np.full(len(fired), -1)
            rules, words, bits = rules[~whole], words[~whole], bits[~whole]
        checked = self.checked[rules]
        if not checked.any():
            self.count.add(self.owner[rules], np.bitwise_count(bits))
            yield single_bits(rules, words, bits)
            return
        plain = ~checked
        self.count.add(self.owner[rules[plain]], np.bitwise_count(bits[plain]))
        yield single_bits(rules[plain], words[plain], bits[plain])
        rules, words, bits = rules[checked], words[checked], bits[checked]
        blocks = np.cumsum(np.bitwise_count(bits), dtype=np.int64) // PAIRS_MAX
        for block in range(int(blocks[-1]) + 1):
            part = slice(*np.searchsorted(blocks, (block, block + 1)))
            asked, places = single_bits(rules[part], words[part], bits[part])
            yield self._checked(asked, places, np.full(len(asked), -1))

    def _wide_words(self, tops: Tops, first: int) -> tuple[Places, Places, Bits]:
        """(rule, place of a word, the word) wherever a bit may be left."""
        row, words, bits = tops.nonzero(self.wide_tops)
        words = words + first
        starts, counts = self.wide_starts[row], self.wide_counts[row]
        rules: Places
        if self.segment.single:
            rules = self.wide[starts]
        else:
            source = np.repeat(np.arange(len(row)), counts)
            rules = self.wide[np.arange(len(source)) + np.repeat(starts - np.cumsum(counts) + counts, counts)]
            words, bits = words[source], bits[source]
        rules = rules.astype(np.intp)
        bound = self.spaces.eligible_row(self.owner[rules], self.segment.bound[rules])
        bits &= self.spaces.eligible[bound, words]
        if self.apart is not None:
            apart = np.flatnonzero(self.apart[rules])
            bits[apart] &= self.spaces.untouched(self.owner[rules[apart]], words[apart])
        return rules, words, bits

    def _held(self, tops: Tops, first: int, last: int) -> _Verdicts:
        """Of rules that look at held symbols: those whose bit is left in the top of the rule."""
        within = (self.held_places >= first * WORD_BITS) & (self.held_places < last * WORD_BITS)
        pairs = slice(None) if within.all() else within
        rules, places, positions = self.held_rules[pairs], self.held_places[pairs], self.held_positions[pairs]
        row = self.row_of_held_top[self.segment.top[rules]]
        left = is_set(tops.rows(self.held_tops), places - first * WORD_BITS, row)
        return self._checked(rules[left], places[left], positions[left])

    def _checked(self, rules: Places, places: Places, positions: Places) -> _Verdicts:
        """Those of single pairs that are true; a position is -1 where it is not known yet."""
        asked = np.flatnonzero(self.segment.checks.lengths[rules])
        if asked.size:
            pairs = Pairs(
                self.segment.checks,
                self.spaces,
                owners=self.owner[rules[asked]],
                symbols=places[asked],
                positions=positions[asked],
            )
            kept = np.ones(len(rules), dtype=np.bool_)
            kept[asked] = pairs.holds(rules[asked])
            rules, places = rules[kept], places[kept]
        self.count.add(self.owner[rules])
        return rules, places


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
