"""Everything that happens to orders, positions and cash. Each thing is logged first, then done, then told."""

from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from typing import Any

from tests.simulator.accounts import CENT, Account
from tests.simulator.clock import SECOND, Clock, new_york_day, new_york_millis
from tests.simulator.log import EventLog
from tests.simulator.market import Market
from tests.simulator.orders import (
    NOT_PROCESSABLE,
    WRONG_REQUEST,
    Execution,
    Order,
    Refused,
    seeded_id,
)

Listener = Callable[[Account, str, Order, Execution | None], None]
"""told of each event of an order, by Alpaca's name for it"""


class Book:
    """All accounts. `listeners` hear what the stream would tell."""

    def __init__(self, *, seed: int, clock: Clock, log: EventLog, market: Market) -> None:
        self.seed = seed
        self.clock = clock
        self.log = log
        self.market = market
        self.accounts: dict[str, Account] = {}
        self.listeners: list[Listener] = []
        self.by_symbol: dict[str, dict[str, Order]] = {}
        """open orders of all accounts, for the quotes"""

    # accounts

    def open_account(self, *, key: str, secret: str, cash: Decimal, number: str, **more: Any) -> Account:
        assert key not in self.accounts, f"there is an account {key} already"
        self.log.write("account", account=key, number=number, cash=cash)
        account = Account(key, secret, number, cash, self.clock.now(), **more)
        self.accounts[key] = account
        return account

    def change_cash(self, account: Account, amount: Decimal) -> None:
        """A deposit or withdrawal that no client of ours made."""
        self.log.write("foreign_cash", account=account.key, amount=amount)
        account.cash += amount

    def add_activity(
        self, account: Account, told: dict[str, Any], *, in_cash: bool, listed: bool, listed_after: float
    ) -> str:
        """Money that the broker moves outside of orders, and its id. `told`: as Alpaca names its facts. It may be in
        the cash alone, in the list alone, or be listed only after so many seconds."""
        at = self.clock.now()
        name = (
            told.get("id")
            or f"{new_york_millis(at)}::{seeded_id('nta', account.key, len(account.activities))}"
        )
        moved = Decimal(told["net_amount"]) if in_cash else Decimal(0)
        self.log.write("activity", account=account.key, id=name, type=told["activity_type"], amount=moved)
        account.cash += moved
        if listed:
            row = {"date": new_york_day(at), "status": "executed", **told, "id": name}
            account.activities.append(row | {"listed_from": at + int(listed_after * SECOND)})
        return name

    def charge_fees(self, account: Account) -> str:
        """What the day has accrued, in whole cents; the id of the activity. At Alpaca it is the end of the day."""
        fees = account.accrued.quantize(CENT, rounding=ROUND_CEILING)
        account.accrued = Decimal(0)
        told = {"activity_type": "FEE", "activity_sub_type": "TAF", "net_amount": str(-fees)}
        return self.add_activity(account, told, in_cash=True, listed=True, listed_after=0)

    def change_position(self, account: Account, symbol: str, quantity: Decimal) -> None:
        """A transfer of shares that no client of ours made."""
        self.log.write("foreign_position", account=account.key, symbol=symbol, quantity=quantity)
        account.positions[symbol] += quantity
        account.costs[symbol] += quantity * self.market.last(symbol)

    # an order begins

    def submit(self, account: Account, wanted: dict[str, Any], *, foreign: bool = False) -> Order:
        """A new order in state pending_new, or Refused; `wanted` as `orders.read_order` gives it."""
        order = self._make(account, wanted, foreign=foreign)
        facts = {"account": account.key, "client_order_id": order.client_order_id}
        try:
            self._check_unique(account, order.client_order_id)
            account.check_may_trade()
            self.market.quote(order.symbol)
            account.check_wash_trade(order)
            account.check_can_afford(order, self.market)
        except Refused as refusal:
            self.log.write("refused", **facts, status=refusal.status, message=str(refusal))
            raise
        self._accept(account, order)
        return order

    def _make(self, account: Account, wanted: dict[str, Any], *, foreign: bool) -> Order:
        number = len(account.orders)
        client_order_id = wanted["client_order_id"] or seeded_id(self.seed, "client id", account.key, number)
        closes = (
            account.positions.get(wanted["symbol"], Decimal(0)) * (1 if wanted["side"] == "sell" else -1) > 0
        )
        return Order(
            id=seeded_id(self.seed, "order", account.key, client_order_id),
            account=account.key,
            submitted_at=self.clock.now(),
            foreign=foreign,
            position_intent=f"{wanted['side']}_to_{'close' if closes else 'open'}",
            **(wanted | {"client_order_id": client_order_id}),
        )

    def _check_unique(self, account: Account, client_order_id: str) -> None:
        if client_order_id in account.by_client_id:
            self.log.write("duplicate", account=account.key, client_order_id=client_order_id)
            raise Refused(422, WRONG_REQUEST, "client_order_id must be unique")

    def _accept(self, account: Account, order: Order) -> None:
        self.log.write(
            "accepted",
            account=account.key,
            client_order_id=order.client_order_id,
            order_id=order.id,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            type=order.type,
            foreign=order.foreign,
            replaces=order.replaces,
        )
        account.orders[order.id] = order
        account.in_order.append(order)
        account.by_client_id[order.client_order_id] = order
        account.open[order.id] = order
        self.by_symbol.setdefault(order.symbol, {})[order.id] = order

    def work(self, order: Order) -> None:
        """It has reached the exchange: pending_new → new."""
        if order.status == "pending_new":
            self._move(order, "new")
            self._tell("new", order)

    # an order is filled

    def fill(self, order: Order, quantity: Decimal, price: Decimal) -> None:
        """One execution. At most what is left, whatever is asked; nothing when it is over."""
        quantity = min(quantity, order.remaining)
        if not order.is_open or quantity <= 0:
            return
        account = self.accounts[order.account]
        number = len(order.executions)
        position = account.positions[order.symbol] + order.sign * quantity
        execution = Execution(
            execution_id=seeded_id(self.seed, "execution", order.account, order.client_order_id, number),
            number=number,
            quantity=quantity,
            price=price,
            cumulative=order.filled + quantity,
            position=position,
            at=self.clock.now(),
        )
        self.log.write(
            "fill",
            **self._names(order),
            execution_id=execution.execution_id,
            symbol=order.symbol,
            side=order.side,
            quantity=quantity,
            price=price,
            cumulative=execution.cumulative,
        )
        self._book(account, order, execution)
        whole = not order.remaining
        if whole:
            self._move(order, "filled", ended="filled_at", at=execution.at)
        elif order.status not in ("pending_cancel", "pending_replace"):
            self._move(order, "partially_filled", at=execution.at)
        self._tell("fill" if whole else "partial_fill", order, execution)

    def _book(self, account: Account, order: Order, execution: Execution) -> None:
        """Cash and position; the cost of a position falls with it, and begins anew where it changes its side."""
        held = account.positions[order.symbol]
        moved = order.sign * execution.quantity
        account.cash -= moved * execution.price
        account.accrued += account.fee_per_unit * max(-moved, Decimal(0))
        account.positions[order.symbol] = held + moved
        if held * moved >= 0:
            account.costs[order.symbol] += moved * execution.price
        elif abs(moved) <= abs(held):
            account.costs[order.symbol] *= (held + moved) / held
        else:
            account.costs[order.symbol] = (held + moved) * execution.price
        order.filled += execution.quantity
        order.spent += execution.quantity * execution.price
        order.executions.append(execution)
        account.fills.append((order, execution))

    # an order ends otherwise

    def ask_cancel(self, order: Order) -> None:
        """A client wants it cancelled: pending_cancel; or Refused because it is too late."""
        if order.status == "pending_cancel" or not order.is_open:
            raise Refused(422, NOT_PROCESSABLE, f'order is already in "{order.status}" state')
        self.log.write("cancel_asked", **self._names(order))
        self._move(order, "pending_cancel")

    def cancel(self, order: Order) -> None:
        self._end(order, "canceled", "canceled_at")

    def expire(self, order: Order) -> None:
        self._end(order, "expired", "expired_at")

    def reject(self, order: Order) -> None:
        """The exchange did not want it after all."""
        self._end(order, "rejected", "failed_at")

    def replace(self, order: Order, changes: dict[str, Any]) -> Order:
        """A new order in the place of the old; or Refused. Of one partly filled, what is left is replaced."""
        if order.status not in ("new", "partially_filled"):
            state = order.status if order.is_open else f'already in "{order.status}" state'
            raise Refused(
                422,
                NOT_PROCESSABLE,
                f"order is {state}" if not order.is_open else f"cannot replace order in {state} status",
            )
        account = self.accounts[order.account]
        kept = (
            "symbol",
            "side",
            "type",
            "time_in_force",
            "extended_hours",
            "limit_price",
            "stop_price",
            "trail_percent",
            "trail_price",
        )
        wanted = {name: getattr(order, name) for name in kept} | {"quantity": order.remaining} | changes
        new = self._make(
            account, wanted | {"client_order_id": changes.get("client_order_id")}, foreign=order.foreign
        )
        self._check_unique(account, new.client_order_id)
        account.check_wash_trade(new, instead_of=order)
        account.check_can_afford(new, self.market, instead_of=order)
        new.replaces, order.replaced_by = order.id, new.id
        self._accept(account, new)
        self._end(order, "replaced", "replaced_at")
        return new

    def _end(self, order: Order, status: str, field: str) -> None:
        if not order.is_open:
            return
        self.log.write(status, **self._names(order), filled=order.filled)
        self._move(order, status, ended=field)
        self._tell(status, order)

    # in common

    def _move(self, order: Order, status: str, *, ended: str = "", at: int = 0) -> None:
        order.status = status
        order.updated_at = at or self.clock.now()
        if ended:
            order.ended[ended] = order.updated_at
            self.accounts[order.account].open.pop(order.id, None)
            self.by_symbol[order.symbol].pop(order.id, None)

    def _tell(self, event: str, order: Order, execution: Execution | None = None) -> None:
        account = self.accounts[order.account]
        for listener in self.listeners:
            listener(account, event, order, execution)

    def _names(self, order: Order) -> dict[str, Any]:
        return {"account": order.account, "client_order_id": order.client_order_id, "order_id": order.id}
