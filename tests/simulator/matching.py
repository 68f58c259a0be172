"""Which orders fill, when and in how many parts: by a policy, and from the seed and the client's id alone.

So the same order is filled in the same parts after the same delays in every run, whatever else happens around it.
"""

import asyncio
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any

from tests.simulator.book import Book
from tests.simulator.orders import Order


@dataclass(frozen=True)
class Policy:
    """Ranges in seconds, or of counts; each order draws its own from the seed.

    delay: from the moment an order can fill until it does. part_delay: between its parts. hold: never by itself.
    cancel_delay: how long a cancel is pending; what fills until then, fills.
    """

    delay: tuple[float, float] = (0.005, 0.03)
    parts: tuple[int, int] = (1, 1)
    part_delay: tuple[float, float] = (0.005, 0.03)
    hold: bool = False
    cancel_delay: tuple[float, float] = (0.0, 0.0)
    answer_status: str = "pending_new"
    """what the answer to a new order says: pending_new (as Alpaca's paper API does), accepted or new"""

    def changed(self, changes: dict[str, Any]) -> "Policy":
        plain: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in changes.items()}
        return replace(self, **plain)


@dataclass
class _Plan:
    draws: Random
    parts: list[Decimal]
    timer: asyncio.TimerHandle | None = None


class Matching:
    """Watches the quotes and fills; one timer an order."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.default = Policy()
        self.special: dict[tuple[str, str], dict[str, Any]] = {}
        """("account" | "symbol" | "client_order_id", name) -> what differs"""
        self._plans: dict[str, _Plan] = {}

    def policy(self, order: Order) -> Policy:
        """The general one, changed by the account's, the symbol's and the order's own."""
        policy = self.default
        for kind, name in (
            ("account", order.account),
            ("symbol", order.symbol),
            ("client_order_id", order.client_order_id),
        ):
            if changes := self.special.get((kind, name)):
                policy = policy.changed(changes)
        return policy

    def begin(self, order: Order, *, after: float | None = None) -> None:
        """The order works from now on; `after` seconds instead of the policy's delay."""
        draws = Random(f"{self.book.seed}|fills|{order.account}|{order.client_order_id}")
        self._plans[order.id] = _Plan(draws, _parts(order.remaining, self.policy(order).parts, draws))
        self.consider(order, after=after)

    def consider(self, order: Order, *, after: float | None = None) -> None:
        """Set the timer of its next part if it could fill now."""
        plan = self._plans.get(order.id)
        if plan is None:
            return
        if not order.is_open:
            self._drop(order)
            return
        self.book.market.watch(order)
        policy = self.policy(order)
        if policy.hold or plan.timer or self.book.market.fill_price(order) is None:
            return
        span = policy.part_delay if order.executions else policy.delay
        delay = plan.draws.uniform(*span) if after is None else after
        plan.timer = asyncio.get_running_loop().call_later(delay, self._next_part, order)

    def quotes_changed(self, symbol: str) -> None:
        for order in list(self.book.by_symbol.get(symbol, {}).values()):
            self.consider(order)

    def policy_changed(self) -> None:
        for symbol in list(self.book.by_symbol):
            self.quotes_changed(symbol)

    def begin_cancel(self, order: Order) -> None:
        """Cancel it once its cancel has been pending for long enough."""
        draws = Random(f"{self.book.seed}|cancel|{order.account}|{order.client_order_id}")
        delay = draws.uniform(*self.policy(order).cancel_delay)
        if delay:
            asyncio.get_running_loop().call_later(delay, self.book.cancel, order)
        else:
            self.book.cancel(order)

    def _next_part(self, order: Order) -> None:
        plan = self._plans.get(order.id)
        if plan is None:
            return
        plan.timer = None
        price = self.book.market.fill_price(order)
        if price is not None and not self.policy(order).hold:
            part = plan.parts.pop(0) if len(plan.parts) > 1 else order.remaining
            self.book.fill(order, part, price)
        self.consider(order)

    def _drop(self, order: Order) -> None:
        plan = self._plans.pop(order.id)
        if plan.timer:
            plan.timer.cancel()


def _parts(quantity: Decimal, counts: tuple[int, int], draws: Random) -> list[Decimal]:
    """The quantity cut into so many parts, whole units where it is whole."""
    unit = Decimal(1) if quantity % 1 == 0 else Decimal(1).scaleb(-9)
    units = int(quantity / unit)
    count = min(draws.randint(*counts), units)
    cuts = [0, *sorted(draws.sample(range(1, units), count - 1)), units]
    return [(high - low) * unit for low, high in pairwise(cuts)]
