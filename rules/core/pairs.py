"""Single pairs of owner and symbol, for what only they can tell."""

import math

import numpy as np

from rules.core.bits import Flags, Places
from rules.core.codes import COLUMNS, LEVELS, NO_COLUMN, WHERE_NOT_HELD, Level, Test
from rules.core.facts import Vector
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
_LEVELS = np.array(LEVELS, dtype=np.intp)


class Pairs:
    """n pairs, as places of owners and of symbols; `positions` is -1 where it is not known yet."""

    def __init__(
        self, checks: Checks, spaces: Spaces, *, owners: Places, symbols: Places, positions: Places
    ) -> None:
        self._checks, self._facts = checks, _Facts(spaces, checks)
        self._spaces, self._owners, self._symbols = spaces, owners, symbols
        unknown = np.flatnonzero(positions < 0)
        if unknown.size:
            positions = positions.copy()
            positions[unknown] = spaces.positions_at(
                owners[unknown], symbols[unknown], awaited=self._facts.where_not_held
            )
        # By Level: the place of a pair in the columns of that level, one after the other.
        self._places = np.concatenate((owners, symbols, positions, np.zeros(len(owners), dtype=np.intp)))

    def holds(self, rules: Places) -> Flags:
        """Whether the postfix code of each pair's rule comes out true: a stack machine, all pairs in step."""
        checks = self._checks
        starts, lengths = checks.starts[rules], checks.lengths[rules]
        longest = int(lengths.max(initial=0))
        everybody = np.arange(len(rules))
        first = self._told(checks.code[starts], everybody)  # code begins with a test
        if longest == 1:
            return first
        stack = np.zeros((longest // 2 + 1, len(rules)), dtype=np.bool_)
        stack[0] = first
        depth = np.ones(len(rules), dtype=np.intp)
        running = everybody
        for step in range(1, longest):
            running = running[lengths[running] > step]
            code = checks.code[starts[running] + step]
            asking = code >= 0
            pushed, joining = running[asking], running[~asking]
            if pushed.size:
                stack[depth[pushed], pushed] = self._told(code[asking], pushed)
                depth[pushed] += 1
            if joining.size:
                under = depth[joining] - 2
                one, other = stack[under, joining], stack[under + 1, joining]
                stack[under, joining] = np.where(code[~asking] == AND, one & other, one | other)
                depth[joining] -= 1
        return stack[0]

    def _told(self, tests: Places, pairs: Places) -> Flags:
        """Whether a test is true of a pair, for each of them."""
        checks = self._checks
        left = self._read(checks.left[tests], pairs)
        right = checks.numbers[tests]
        if self._facts.double:
            double = np.flatnonzero(checks.right[tests] != NO_COLUMN)
            others = self._read(checks.right[tests[double]], pairs[double])
            right[double] = scaled(others, right[double])
        test = checks.test[tests]
        told: Flags = (left > right) & _GREATER[test]
        told |= (left < right) & _LESS[test]
        told |= (left == right) & _EQUAL[test]
        return told

    def _read(self, columns: Places, pairs: Places) -> Vector:
        """The fact of a column for a pair, for each of them."""
        facts, size = self._facts, len(self._owners)
        values = facts.flat[facts.starts[columns] + self._places[_LEVELS[columns] * size + pairs]]
        for column in facts.of_symbols:
            asked = np.flatnonzero(columns == column)
            asked = asked[np.argsort(self._owners[pairs[asked]], kind="stable")]
            chosen = pairs[asked]
            names = self._spaces.names[self._symbols[chosen]].tolist()
            told = self._spaces.owned.of_symbols(COLUMNS[column][0], self._owners[chosen], names)
            values[asked] = np.where(np.isfinite(told), told, np.nan)
        return values


class _Facts:
    """The columns that checks read, one after the other in `flat`."""

    def __init__(self, spaces: Spaces, checks: Checks) -> None:
        self.double = bool((checks.right != NO_COLUMN).any())
        self.where_not_held = any(not math.isnan(WHERE_NOT_HELD[column]) for column in checks.columns)
        self.starts = np.zeros(NO_COLUMN + 1, dtype=np.intp)
        self.of_symbols: list[int] = []  # looked up pair by pair; in `flat` they are unknown
        parts: list[Vector] = [np.full(1, np.nan)]
        taken = 1
        for column in checks.columns:
            part = self._column(spaces, column)
            if part is None:
                self.of_symbols.append(column)
                continue
            # Places of a level count from 0; before the column is what is told at AWAITED and at NOT_HELD.
            self.starts[column] = taken + 2
            parts += [np.array([np.nan, WHERE_NOT_HELD[column]]), part]
            taken += 2 + len(part)
        self.flat = np.concatenate(parts)

    def _column(self, spaces: Spaces, column: int) -> Vector | None:
        match LEVELS[column]:
            case Level.OWNER:
                return spaces.owner_column(column)
            case Level.MARKET:
                return spaces.market_column(column)
            case Level.POSITION:
                return spaces.position_column(column)
        return None
