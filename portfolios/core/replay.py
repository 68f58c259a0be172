"""The books of one portfolio, recomputed from its ledger entry by entry. Pure; memory for positions only.

It shares the arithmetic of positions with booking and nothing else: what an entry is, is read from its transfers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from foundation.core.money import ZERO
from portfolios.core.positions import (
    Oversold,
    PositionState,
    after_buy,
    after_reversal,
    after_sell,
    after_split,
)


@dataclass(frozen=True)
class Line:
    """One transfer. instrument_id is set where the amount is units. kind: of a reversal, what it reverses."""

    kind: str
    debit: str
    credit: str
    amount: Decimal
    instrument_id: int | None = None
    market_at: datetime | None = None

    def into(self, account: str) -> Decimal:
        """What this adds to an account; negative for what it takes."""
        return {self.debit: self.amount, self.credit: -self.amount}.get(account, ZERO)


@dataclass(frozen=True)
class Entry:
    """One business event. `name` names it to people; `realised` is what the books recorded for it (an execution,
    a corporate action), and `reversal`, of a reversing entry, what they recorded for the reversal."""

    name: str
    lines: Sequence[Line]
    reverses: bool = False
    realised: Decimal = ZERO
    reversal: Decimal = ZERO


@dataclass
class Replayed:
    """What the entries so far say."""

    cash: Decimal = ZERO
    paid_in: Decimal = ZERO  # deposits less withdrawals
    fees: Decimal = ZERO
    income: Decimal = ZERO
    positions: dict[int, PositionState] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    @property
    def realised_pnl(self) -> Decimal:
        """After fees, income included."""
        return sum((each.realised_pnl for each in self.positions.values()), self.income - self.fees)

    @property
    def cost(self) -> Decimal:
        return sum((each.cost for each in self.positions.values()), ZERO)

    @property
    def imbalance(self) -> Decimal:
        """cash + Σ cost - (paid in + realised profit): always 0."""
        return self.cash + self.cost - self.paid_in - self.realised_pnl


def replay(entries: Iterable[Entry]) -> Replayed:
    """Fold the entries of one portfolio, in the order of booking."""
    books = Replayed()
    for entry in entries:
        _add(books, entry)
    return books


def _add(books: Replayed, entry: Entry) -> None:
    money = [line for line in entry.lines if line.instrument_id is None]
    books.cash += sum((line.into("cash") for line in money), ZERO)
    books.paid_in -= sum((line.into("capital") for line in money), ZERO)
    books.fees += sum((line.into("fees") for line in money), ZERO)
    books.income -= sum((line.into("income") for line in money), ZERO)
    instruments = {line.instrument_id for line in entry.lines if line.instrument_id is not None}
    market = -sum((line.into("market") for line in money), ZERO)
    if not instruments:
        if market:
            books.differences.append(f"{entry.name}: moved {market} of cash with the market, and no units")
        return
    if len(instruments) > 1:
        books.differences.append(f"{entry.name}: has units of {len(instruments)} instruments")
        return
    (instrument_id,) = instruments
    before = books.positions.get(instrument_id, PositionState())
    try:
        after = _reversed(before, entry, market) if entry.reverses else _booked(before, entry, market)
    except Oversold as error:
        books.differences.append(f"{entry.name}: instrument {instrument_id}: {error}")
        return
    books.positions[instrument_id] = after
    told, found = (
        entry.reversal if entry.reverses else entry.realised,
        after.realised_pnl - before.realised_pnl,
    )
    if told != found:
        books.differences.append(f"{entry.name}: recorded as realising {told}, the entries say {found}")


def _at(entry: Entry) -> datetime | None:
    return next((line.market_at for line in entry.lines if line.market_at is not None), None)


def _units(entry: Entry, *kinds: str) -> Decimal:
    lines = [line for line in entry.lines if line.instrument_id is not None and line.kind in kinds]
    return sum((line.into("holdings") for line in lines), ZERO)


def _booked(state: PositionState, entry: Entry, market: Decimal) -> PositionState:
    """market: cash that came from the market; negative for what was paid."""
    filled, split, fraction = _units(entry, "fill"), _units(entry, "split"), _units(entry, "cash_in_lieu")
    if filled > 0:
        return after_buy(state, quantity=filled, amount=max(-market, ZERO), at=_at(entry))
    if filled < 0:
        return after_sell(state, quantity=-filled, amount=max(market, ZERO))
    state = after_split(state, added=split, at=_at(entry))
    return after_sell(state, quantity=-fraction, amount=max(market, ZERO)) if fraction < 0 else state


def _reversed(state: PositionState, entry: Entry, market: Decimal) -> PositionState:
    units = _units(entry, "fill", "split", "cash_in_lieu")
    return after_reversal(state, quantity=-units, cash=-market, realised=entry.realised, at=_at(entry))
