"""The books of some portfolios, opened under lock, changed in memory, written in a handful of statements.

The only writer of cash, reservations, positions and ledger. Open the books, act, `save()`, all in one
transaction; the caller journals afterwards. Locks follow the house order: portfolios by id, then positions.
"""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from foundation.arrays import array_text
from foundation.asking import Steps, asking, together
from foundation.copying import copy_values
from foundation.core.money import ZERO, round_money
from foundation.core.quick import quick_init
from foundation.errors import Conflict, NotFound
from foundation.loading import Row, carried_out, load_where, new, rows_of, where
from portfolios.core.positions import PositionState, after_buy, after_sell
from portfolios.models import LedgerTransfer, Portfolio, Position, Reservation
from portfolios.services.book_rows import (
    NewTransfer,
    delete_reservations,
    look_again_for_entitlements,
    save_portfolios,
    save_positions,
)

Account = LedgerTransfer.Account
Kind = LedgerTransfer.Kind


@quick_init
@dataclass(frozen=True)
class Fill:
    """One execution to book. side is buy or sell; price and fee in the portfolio's currency."""

    portfolio_id: uuid.UUID
    instrument_id: int
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    owner_id: uuid.UUID
    execution_id: str
    market_at: datetime


_RESERVATION = ("owner_id", "portfolio_id", "instrument_id", "cash", "quantity")


@dataclass
class Books:
    """Locked rows and what is to be written. Make it with `open_books`."""

    portfolios: dict[uuid.UUID, Portfolio]
    positions: dict[tuple[uuid.UUID, int], Position]
    reservations: dict[uuid.UUID, Reservation]
    changes: int = 0  # raised by every change, so that whoever derives something knows when to do it again
    settled: int = 0  # raised by those only that change what is held, not what is promised
    _positions_of: dict[uuid.UUID, dict[int, Position]] = field(default_factory=dict)
    _reservations_of: dict[uuid.UUID, dict[uuid.UUID, Reservation]] = field(default_factory=dict)
    _transfers: list[NewTransfer] = field(default_factory=list)
    _new_reservations: dict[uuid.UUID, Reservation] = field(default_factory=dict)
    _gone_reservations: set[uuid.UUID] = field(default_factory=set)
    _changed_reservations: dict[uuid.UUID, Reservation] = field(default_factory=dict)
    _changed_positions: set[tuple[uuid.UUID, int]] = field(default_factory=set)
    _changed_portfolios: set[uuid.UUID] = field(default_factory=set)

    def __post_init__(self) -> None:
        for (portfolio_id, instrument_id), position in self.positions.items():
            self._positions_of.setdefault(portfolio_id, {})[instrument_id] = position
        for row in self.reservations.values():
            self._reservations_of.setdefault(row.portfolio_id, {})[row.owner_id] = row

    def positions_of(self, portfolio_id: uuid.UUID) -> list[Position]:
        return list(self._positions_of.get(portfolio_id, {}).values())

    def reservations_of(self, portfolio_id: uuid.UUID) -> list[Reservation]:
        return list(self._reservations_of.get(portfolio_id, {}).values())

    def position(self, portfolio_id: uuid.UUID, instrument_id: int) -> Position:
        mine = self._positions_of.setdefault(portfolio_id, {})
        found = mine.get(instrument_id)
        if found is None:
            found = new(
                Position, portfolio_id=portfolio_id, instrument_id=instrument_id, realised_pnl=Decimal(0)
            )
            self.positions[portfolio_id, instrument_id] = mine[instrument_id] = found
        return found

    def transfer(
        self,
        entry_id: uuid.UUID,
        portfolio_id: uuid.UUID,
        kind: str,
        debit: str,
        credit: str,
        amount: Decimal,
        **more: Any,
    ) -> None:
        """One line of an entry; an amount of zero is none. `more` is further columns of the transfer.

        For the services of this room that know what else an event changes; others call what stands below.
        """
        if amount == 0:
            return
        portfolio = self.portfolios[portfolio_id]
        more.setdefault("asset", portfolio.base_currency)
        self._transfers.append(
            NewTransfer(
                entry_id=entry_id, portfolio_id=portfolio_id, kind=kind, debit_account=debit,
                credit_account=credit, amount=amount, **more,
            )
        )  # fmt: skip
        if Account.CASH in (debit, credit):
            portfolio.cash += amount if debit == Account.CASH else -amount
            self._changed_portfolios.add(portfolio_id)
        if Account.CAPITAL in (debit, credit):
            portfolio.paid_in += amount if credit == Account.CAPITAL else -amount
            self._changed_portfolios.add(portfolio_id)

    def deposit(self, portfolio_id: uuid.UUID, *, amount: Decimal, memo: str = "") -> uuid.UUID:
        entry_id = uuid.uuid4()
        self.transfer(entry_id, portfolio_id, Kind.DEPOSIT, Account.CASH, Account.CAPITAL, amount, memo=memo)
        return entry_id

    def withdraw(self, portfolio_id: uuid.UUID, *, amount: Decimal, memo: str = "") -> uuid.UUID:
        """Raises Conflict when the free cash does not suffice: what is promised to orders stays."""
        portfolio = self.portfolios[portfolio_id]
        free = portfolio.cash - portfolio.reserved_cash
        if amount > free:
            message = (
                f"{amount:f} is more than the free cash of {free:f}: cash of {portfolio.cash:f}, of which open orders "
                f"have reserved {portfolio.reserved_cash:f}"
            )
            raise Conflict(f"amount: {message}.", errors=[{"path": "amount", "message": message}])
        entry_id = uuid.uuid4()
        self.transfer(
            entry_id, portfolio_id, Kind.WITHDRAWAL, Account.CAPITAL, Account.CASH, amount, memo=memo
        )
        return entry_id

    def reserve(
        self, *, owner_id: uuid.UUID, portfolio_id: uuid.UUID, instrument_id: int, cash: Decimal = ZERO,
        quantity: Decimal = ZERO,
    ) -> None:  # fmt: skip
        """Promise cash (a buy) or quantity (a sell) to an order that is to be sent."""
        assert owner_id not in self.reservations
        row = new(
            Reservation, owner_id=owner_id, portfolio_id=portfolio_id, instrument_id=instrument_id, cash=cash,
            quantity=quantity,
        )  # fmt: skip
        self.reservations[owner_id] = self._new_reservations[owner_id] = row
        self._reservations_of.setdefault(portfolio_id, {})[owner_id] = row
        self._promise(row, cash=cash, quantity=quantity)

    def _promise(self, row: Reservation, *, cash: Decimal, quantity: Decimal) -> None:
        self.changes += 1
        if cash:
            self.portfolios[row.portfolio_id].reserved_cash += cash
            self._changed_portfolios.add(row.portfolio_id)
        if quantity:
            self.position(row.portfolio_id, row.instrument_id).reserved_quantity += quantity
            self._changed_positions.add((row.portfolio_id, row.instrument_id))

    def release(self, owner_id: uuid.UUID, *, keep: Decimal = ZERO, cash: Decimal | None = None) -> None:
        """Give back what is promised but for the share `keep` (0..1) that still works at the broker; of the cash, but
        for `cash` where that is given."""
        row = self.reservations.get(owner_id)
        if row is None:
            return
        kept = round_money(row.cash * keep) if cash is None or keep == 0 else cash
        self._keep(row, cash=kept, quantity=round_money(row.quantity * keep))
        if keep == 0:
            del self.reservations[owner_id]
            del self._reservations_of[row.portfolio_id][owner_id]
            if self._new_reservations.pop(owner_id, None) is None:
                self._gone_reservations.add(owner_id)
                self._changed_reservations.pop(owner_id, None)
        elif owner_id not in self._new_reservations:
            self._changed_reservations[owner_id] = row

    def release_sold(self, owner_id: uuid.UUID, *, units: Decimal, rest: Decimal) -> None:
        """Give back the units that a fill has taken; `rest` still works at the broker, and no more stays promised.

        Not a share, as of cash: an order for which not everything was free has promised less than it may sell.
        """
        row = self.reservations.get(owner_id)
        if row is None:
            return
        self._keep(row, cash=row.cash, quantity=max(min(row.quantity - units, rest), ZERO))
        if owner_id not in self._new_reservations:
            self._changed_reservations[owner_id] = row

    def _keep(self, row: Reservation, *, cash: Decimal, quantity: Decimal) -> None:
        self._promise(row, cash=cash - row.cash, quantity=quantity - row.quantity)
        row.cash, row.quantity = cash, quantity

    def book_fill(self, fill: Fill) -> Decimal:
        """Two transfers, cash against instrument, and one for the fee. Returns the realised profit before the fee."""
        key = (fill.portfolio_id, fill.instrument_id)
        state = self.state(*key)
        entry_id, amount = uuid.uuid4(), round_money(fill.quantity * fill.price)
        common: dict[str, Any] = {
            "owner_id": fill.owner_id, "execution_id": fill.execution_id, "market_at": fill.market_at,
        }  # fmt: skip
        units = {**common, "asset": fill.symbol, "instrument_id": fill.instrument_id}
        args = (entry_id, fill.portfolio_id)
        if fill.side == "buy":
            after = after_buy(state, quantity=fill.quantity, amount=amount, at=fill.market_at)
            self.transfer(*args, Kind.FILL, Account.MARKET, Account.CASH, amount, **common)
            self.transfer(*args, Kind.FILL, Account.HOLDINGS, Account.MARKET, fill.quantity, **units)
        else:
            after = after_sell(state, quantity=fill.quantity, amount=amount)
            self.transfer(*args, Kind.FILL, Account.CASH, Account.MARKET, amount, **common)
            self.transfer(*args, Kind.FILL, Account.MARKET, Account.HOLDINGS, fill.quantity, **units)
        self.transfer(*args, Kind.FEE, Account.FEES, Account.CASH, fill.fee, **common)
        self.earn(fill.portfolio_id, -fill.fee)
        return self.settle(*key, after)

    def state(self, portfolio_id: uuid.UUID, instrument_id: int) -> PositionState:
        """The position as arithmetic knows it."""
        row = self.position(portfolio_id, instrument_id)
        return PositionState(
            quantity=row.quantity, cost=row.cost, realised_pnl=row.realised_pnl, opened_at=row.opened_at
        )

    def settle(self, portfolio_id: uuid.UUID, instrument_id: int, after: PositionState) -> Decimal:
        """The position becomes `after`, its average cost with it. Returns what that realised."""
        row = self.position(portfolio_id, instrument_id)
        realised = after.realised_pnl - row.realised_pnl
        row.quantity, row.cost, row.average_cost = after.quantity, after.cost, after.average_cost
        row.realised_pnl, row.opened_at = after.realised_pnl, after.opened_at
        self.changes += 1
        self.settled += 1
        self._changed_positions.add((portfolio_id, instrument_id))
        self.earn(portfolio_id, realised)
        return realised

    def earn(self, portfolio_id: uuid.UUID, amount: Decimal) -> None:
        """Realised profit of the portfolio: of positions, of income, less fees."""
        self.portfolios[portfolio_id].realised_pnl += amount
        self._changed_portfolios.add(portfolio_id)

    def save(self) -> None:
        """Write everything; a handful of statements whatever the number of portfolios."""
        # Whoever keeps positions in his process learns from the portfolio's revision that they have changed.
        changed = self._changed_portfolios | {key for key, _ in self._changed_positions}
        positions = [self.positions[key] for key in sorted(self._changed_positions)]
        known = [row for row in positions if row.pk is not None]
        Position.objects.bulk_create([row for row in positions if row.pk is None])  # they get their ids
        carried_out(
            [
                *save_portfolios([self.portfolios[key] for key in sorted(changed)]),
                *save_positions(known),
                *look_again_for_entitlements(self._transfers),
                *delete_reservations(self._gone_reservations),
            ]
        )
        copy_values(LedgerTransfer, NewTransfer._fields, self._transfers)
        copy_values(
            Reservation,
            _RESERVATION,
            [
                (row.owner_id, row.portfolio_id, row.instrument_id, row.cash, row.quantity)
                for row in self._new_reservations.values()
            ],
        )
        Reservation.objects.bulk_update(self._changed_reservations.values(), ["cash", "quantity"])


def open_books(portfolio_ids: Collection[uuid.UUID], *, skip_locked: bool = False) -> Books:
    """Lock the portfolios in id order and load their positions and reservations. Raises NotFound.

    `skip_locked`: without those that somebody else has locked, and those that there are not.
    """
    wanted = array_text(set(portfolio_ids))
    lock = f"t.id = ANY(%s::uuid[]) ORDER BY t.id FOR NO KEY UPDATE{' SKIP LOCKED' if skip_locked else ''}"
    portfolios = {row.id: row for row in load_where(Portfolio, lock, [wanted])}
    if not skip_locked:
        missing = [key for key in sorted(set(portfolio_ids)) if key not in portfolios]
        if missing:
            raise NotFound(f"There is no portfolio {missing[0]}.")
    positions, reservations = together(
        _of_portfolios.steps(Position, portfolios), _of_portfolios.steps(Reservation, portfolios)
    )
    return Books(
        portfolios=portfolios,
        positions={(p.portfolio_id, p.instrument_id): p for p in positions},
        reservations={r.owner_id: r for r in reservations},
    )


@asking
def _of_portfolios(model: type[Row], portfolio_ids: Iterable[uuid.UUID]) -> Steps[list[Row]]:
    (found,) = yield [where(model, "t.portfolio_id = ANY(%s::uuid[])", [array_text(portfolio_ids)])]
    return rows_of(model, found)
