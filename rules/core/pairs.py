"""Single pairs of owner and symbol, for what only they can tell."""

from collections.abc import Iterable

import numpy as np

from rules.core.bits import Flags, Places
from rules.core.facts import Vector
from rules.core.normal_form import COLUMNS, LEVELS, NO_COLUMN, TESTS, Level, Test
from rules.core.rows import scaled
from rules.core.segment import AND, Checks
from rules.core.spaces import Spaces

# Which of "greater", "less" and "equal" make a test true, by test.
_WHEN = {
    Test.GREATER: (True, False, False),
    Test.LESS_OR_EQUAL: (False, True, True),
    Test.GREATER_OR_EQUAL: (True, False, True),
    Test.LESS: (False, True, False),
    Test.EQUAL: (False, False, True),
    Test.NOT_EQUAL: (True, True, False),
}
_GREATER, _LESS, _EQUAL = np.array([_WHEN[test] for test in Test], dtype=np.bool_).T
_LEVELS = np.array([*LEVELS, -1])


class Pairs:
    """n pairs, as places of owners (never falling) and of symbols."""

    def __init__(self, spaces: Spaces, owners: Places, symbols: Places) -> None:
        self._spaces, self._owners, self._symbols = spaces, owners, symbols
        # By Level: the place of a pair in the columns of that level.
        self._places = np.stack(
            (owners, symbols, spaces.positions_at(owners, symbols), np.zeros(len(owners), dtype=np.intp))
        )

    def check(self, checks: Checks, rules: Places) -> Flags:
        """Whether the postfix code of each pair's rule comes out true: a stack machine, all pairs in step."""
        starts = checks.starts[rules].astype(np.intp)
        lengths = checks.starts[rules + 1] - starts
        longest = int(lengths.max(initial=0))
        stack = np.zeros((longest // 2 + 1, len(rules)), dtype=np.bool_)
        depth = np.zeros(len(rules), dtype=np.intp)
        facts = _Facts(self._spaces, checks)
        for step in range(longest):
            running = np.arange(len(rules)) if step == 0 else np.flatnonzero(lengths > step)
            code = checks.code[starts[running] + step]
            asking = code >= 0
            pushed, joining = running[asking], running[~asking]
            stack[depth[pushed], pushed] = self._told(facts, code[asking], pushed)
            depth[pushed] += 1
            if joining.size:
                under = depth[joining] - 2
                first, second = stack[under, joining], stack[under + 1, joining]
                both = code[~asking] == AND
                stack[under, joining] = np.where(both, first & second, first | second)
                depth[joining] -= 1
        return stack[0]

    def _told(self, facts: "_Facts", tests: Places, pairs: Places) -> Flags:
        """Whether a test is true of a pair, for each of them."""
        left = self._read(facts, facts.left[tests], pairs)
        right = facts.numbers[tests]
        double = np.flatnonzero(facts.right[tests] != NO_COLUMN)
        if double.size:
            others = self._read(facts, facts.right[tests[double]], pairs[double])
            right[double] = scaled(others, right[double])
        test = facts.test[tests]
        greater, less, equal = left > right, left < right, left == right
        told: Flags = (greater & _GREATER[test]) | (less & _LESS[test]) | (equal & _EQUAL[test])
        return told

    def _read(self, facts: "_Facts", columns: Places, pairs: Places) -> Vector:
        """The fact of a column for a pair, for each of them."""
        levels = _LEVELS[columns]
        values = facts.flat[facts.starts[columns] + self._places[levels, pairs]]
        for column in np.unique(columns[levels == Level.SYMBOL]).tolist():
            asked = np.flatnonzero(columns == column)
            chosen = pairs[asked]
            names = [self._spaces.names[place] or "" for place in self._symbols[chosen].tolist()]
            told = self._spaces.owned.of_symbols(COLUMNS[column][0], self._owners[chosen], names)
            values[asked] = np.where(np.isfinite(told), told, np.nan)
        return values


class _Facts:
    """The tests of checks taken apart, and the columns that they read, one after the other in `flat`."""

    def __init__(self, spaces: Spaces, checks: Checks) -> None:
        columns, self.test = np.divmod(checks.tests, TESTS)
        self.left, self.right = np.divmod(columns, NO_COLUMN + 1)
        self.numbers = checks.numbers
        self.starts = np.zeros(NO_COLUMN + 1, dtype=np.intp)
        parts: list[Vector] = [np.full(1, np.nan)]  # what is read at the level SYMBOL is put in later
        taken = 1
        for column in self._used():
            part = self._column(spaces, column)
            if part is not None:
                # Places of a level count from 0; what is not held is at -1, before the column.
                self.starts[column] = taken + 1
                parts += [np.full(1, np.nan), part]
                taken += 1 + len(part)
        self.flat = np.concatenate(parts)

    def _used(self) -> Iterable[int]:
        used = np.union1d(self.left, self.right)
        return [column for column in used.tolist() if column != NO_COLUMN]

    def _column(self, spaces: Spaces, column: int) -> Vector | None:
        match LEVELS[column]:
            case Level.OWNER:
                return spaces.owner_column(column)
            case Level.MARKET:
                return spaces.market_column(column)
            case Level.POSITION:
                return spaces.position_column(column)
        return None
