"""What fills cost and realised at average cost, for the migrations that put it into books kept before costs were.

A copy of the arithmetic of that day, so that a migration does the same for ever. Pure.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any

PLACES, ZERO = Decimal("0.00000001"), Decimal(0)
FETCH_ROWS = 2_000
# The fills of all portfolios in the order of booking; the cash of each beside its units.
FILLS = """
    SELECT units.portfolio_id, units.instrument_id, units.execution_id, units.debit_account = 'holdings',
           units.amount, coalesce(money.amount, 0), units.market_at
    FROM ledger_transfers units
    LEFT JOIN ledger_transfers money
        ON money.entry_id = units.entry_id AND money.kind = 'fill' AND money.instrument_id IS NULL
    WHERE units.kind = 'fill' AND units.instrument_id IS NOT NULL
    ORDER BY units.portfolio_id, units.id"""


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(PLACES, rounding=ROUND_HALF_EVEN)


@dataclass
class Held:
    """Of one instrument."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realised: Decimal = ZERO
    opened_at: datetime | None = None

    @property
    def average_cost(self) -> Decimal:
        return rounded(self.cost / self.quantity) if self.quantity else ZERO

    def fill(self, *, is_buy: bool, quantity: Decimal, amount: Decimal, at: datetime | None) -> Decimal:
        """What it realised, before fees."""
        if is_buy:
            self.opened_at = self.opened_at if self.quantity else at
            self.quantity, self.cost = self.quantity + quantity, self.cost + amount
            return ZERO
        rest = self.quantity - quantity
        taken = rounded(self.cost * quantity / self.quantity) if rest > 0 else self.cost
        self.quantity, self.cost, self.realised = rest, self.cost - taken, self.realised + amount - taken
        if rest <= 0:
            self.opened_at = None
        return amount - taken


@dataclass
class OfPortfolio:
    """`fills`: (execution_id, what it realised) of each fill."""

    portfolio_id: Any
    positions: dict[int, Held] = field(default_factory=dict)
    fills: list[tuple[str, Decimal]] = field(default_factory=list)


def portfolios_with_fills(cursor: Any) -> Iterator[OfPortfolio]:
    """One after the other, through a cursor of the server's: never all rows at once."""
    cursor.execute(FILLS)
    for portfolio_id, rows in groupby(_fetched(cursor), key=itemgetter(0)):
        found = OfPortfolio(portfolio_id)
        for _, instrument_id, execution_id, is_buy, quantity, amount, at in rows:
            held = found.positions.setdefault(instrument_id, Held())
            realised = held.fill(is_buy=is_buy, quantity=quantity, amount=amount, at=at)
            found.fills.append((execution_id, realised))
        yield found


def _fetched(cursor: Any) -> Iterable[Any]:
    while rows := cursor.fetchmany(FETCH_ROWS):
        yield from rows
