"""What a portfolio's orders were before this one, as the controls count it. Pure; grows as a batch orders."""

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from portfolios.core.limits import EffectiveLimits
from trading.core.opposites import OfSide, are_rejected_by_type
from trading.core.orders import OrderType

INFINITY = Decimal("Infinity")
# A limit may be any number; nobody looks further back than this, and no date lies before the calendar's first.
LOOK_BACK_MAX = timedelta(days=3_660)
# So that a broker which rejects a protective sale is not sent it again on each snapshot.
PROTECTIVE_TWIN_SECONDS = Decimal(5)


@lru_cache(maxsize=1_024)  # each order asks for the same few
def window(limit: Decimal | None, *, minutes: bool = False) -> timedelta:
    """A limit that is a length of time, in seconds or minutes; none when it is not set."""
    unit = 60 if minutes else 1
    seconds = float(limit or 0) * unit
    return timedelta(seconds=min(seconds, LOOK_BACK_MAX.total_seconds()))


def twin_seconds(limits: EffectiveLimits, *, protective: bool) -> Decimal | None:
    """How long an equal order is taken for its twin, in market time; None where nobody has set it."""
    limit = limits.get("duplicate_order_seconds")
    return min(limit, PROTECTIVE_TWIN_SECONDS) if protective and limit is not None else limit


class PastOrder(NamedTuple):
    """counts: among the day's trades, if nobody has counted it there before; what flattens and protects is not held
    against anybody.

    judged: a risk officer has released its rule since, which fired too often. protective: it flattens or protects.
    """

    instrument_id: int
    side: str
    quantity: Decimal
    rule_id: uuid.UUID | None
    market_at: datetime
    market_day: date
    counts: bool
    judged: bool = False
    protective: bool = False


class OpenOrder(NamedTuple):
    id: uuid.UUID
    instrument_id: int
    side: str
    session_id: uuid.UUID | None
    doubtful: bool
    """nobody knows what became of it, or less is reserved for it than may still be filled"""
    limit_price: Decimal | None = None
    """of an order that gets this price or a better one; None: whatever the market gives"""
    rule_id: uuid.UUID | None = None
    works: bool = False
    """it waits for a price, or for more to fill"""
    order_type: str = OrderType.MARKET
    leaves: bool = False
    """its cancel is under way: a sale is sent once it is over"""

    def may_meet(self, *, side: str, price: Decimal) -> bool:
        """Whether an order on this side that gets `price` at worst (NaN: nobody knows) might be filled by it."""
        if self.side == side:
            return False
        if self.limit_price is None or price.is_nan():
            return True
        return price >= self.limit_price if side == "buy" else price <= self.limit_price

    @property
    def of_side(self) -> OfSide:
        return OfSide(self.side, self.order_type, self.limit_price)


class Traded(NamedTuple):
    """Units of an instrument that a session bought (positive) or sold, or what a split made of one (factor)."""

    at: datetime
    units: Decimal
    factor: Decimal = Decimal(1)


def still_held(trades: Iterable[Traded]) -> Decimal:
    """Units that a session bought and has not sold. What it sold beyond was there before it, and is not its own."""
    held = Decimal(0)
    for trade in sorted(trades, key=lambda trade: trade.at):
        held = max(held * trade.factor + trade.units, Decimal(0))
    return held


@dataclass
class History:
    """Of one portfolio. Times are market time, but for the messages, which are counted in database time."""

    as_of: datetime
    messages_last_second: int = 0
    messages_last_minute: int = 0
    losing_streak: int = 0
    sold_at: Mapping[int, datetime] = field(default_factory=dict)
    open_orders: list[OpenOrder] = field(default_factory=list)
    session_bought: Mapping[int, Decimal] = field(default_factory=dict)
    """units of each instrument that the session has bought and not sold"""
    _twins: dict[tuple[int, str, Decimal, uuid.UUID | None], list[PastOrder]] = field(default_factory=dict)
    _of_rule: dict[uuid.UUID, list[datetime]] = field(default_factory=dict)
    _today: Counter[object] = field(default_factory=Counter)

    def add(self, orders: Iterable[PastOrder]) -> None:
        today = self.as_of.date()
        for order in orders:
            fingerprint = (order.instrument_id, order.side, order.quantity, order.rule_id)
            self._twins.setdefault(fingerprint, []).append(order)
            if order.rule_id is not None and not order.judged:
                self._of_rule.setdefault(order.rule_id, []).append(order.market_at)
            if order.counts and order.market_day == today:
                self.count_today(instrument_id=order.instrument_id, rule_id=order.rule_id)

    def count_today(self, *, instrument_id: int, rule_id: uuid.UUID | None, orders: int = 1) -> None:
        """So many more among the trades of the market day."""
        self._today[None] += orders
        self._today[instrument_id] += orders
        if rule_id is not None:
            self._today[rule_id] += orders

    def ordered(self, order: PastOrder, open_order: OpenOrder) -> None:
        """One more order of this batch: the next is checked against it."""
        self.add([order])
        self.open_orders.append(open_order)
        self.messages_last_second += 1
        self.messages_last_minute += 1

    def twins(
        self, *, instrument_id: int, side: str, quantity: Decimal, rule_id: uuid.UUID | None, limits: EffectiveLimits,
        protective: bool = False,
    ) -> int:  # fmt: skip
        """Orders with this fingerprint within `twin_seconds`; one exactly so long ago is none.

        What flattens or protects sells what no other order has reserved, so whatever was ordered before, filled or come
        to nothing, it sells nothing twice, and only its like is its twin.
        """
        orders = self._twins.get((instrument_id, side, quantity, rule_id), [])
        times = (order.market_at for order in orders if order.protective or not protective)
        return self._since(times, window(twin_seconds(limits, protective=protective)))

    def rule_executions(self, rule_id: uuid.UUID | None, limits: EffectiveLimits) -> int:
        """Trades of the rule within `rule_execution_window_minutes`, since it was last released."""
        times = self._of_rule.get(rule_id, []) if rule_id is not None else []
        return self._since(times, window(limits.get("rule_execution_window_minutes"), minutes=True))

    def _since(self, times: Iterable[datetime], length: timedelta) -> int:
        after = self.as_of - length
        return sum(time > after for time in times)

    @property
    def daily_trades(self) -> int:
        return self._today[None]

    def daily_trades_of_rule(self, rule_id: uuid.UUID | None) -> int:
        """0 for an order of no rule: those are the portfolio's, and the symbol's."""
        return self._today[rule_id] if rule_id is not None else 0

    def daily_trades_of_symbol(self, instrument_id: int) -> int:
        return self._today[instrument_id]

    def opposite_orders(
        self, *, instrument_id: int, side: str, price: Decimal, at_strict: OrderType | None = None
    ) -> list[OpenOrder]:
        """Open orders that an order which gets `price` at worst might trade against.

        at_strict: the order's type, where its broker goes by the types, too (`Capabilities.rejects_opposites`). What
        leaves there is not in a sale's way: the sale is sent once that is over.
        """
        mine = OfSide(side, at_strict or OrderType.MARKET, None)
        return [
            order
            for order in self.open_orders
            if order.instrument_id == instrument_id
            and order.side != side
            and not (at_strict and order.leaves and side == "sell")
            and (
                order.may_meet(side=side, price=price)
                or (at_strict is not None and are_rejected_by_type(mine, order.of_side))
            )
        ]

    def own_working(self, *, instrument_id: int, side: str, rule_id: uuid.UUID | None) -> int:
        """Orders of the rule that still work on this side; 0 for an order of no rule."""
        if rule_id is None:
            return 0
        return sum(
            order.works
            and order.rule_id == rule_id
            and order.instrument_id == instrument_id
            and order.side == side
            for order in self.open_orders
        )

    def without(self, order_ids: Collection[uuid.UUID]) -> "History":
        """A look at what it would be once these orders had ended; what becomes of one in doubt, nobody knows."""
        left = [order for order in self.open_orders if order.doubtful or order.id not in order_ids]
        return replace(self, open_orders=left)

    def gone(self, order_ids: Collection[uuid.UUID]) -> None:
        """Orders that were ended just now, to make way: what comes in their place does not meet them."""
        self.open_orders = [order for order in self.open_orders if order.id not in order_ids]

    def leave(self, order_ids: Collection[uuid.UUID]) -> None:
        """The cancel of these is under way."""
        self.open_orders = [
            order._replace(leaves=True) if order.id in order_ids else order for order in self.open_orders
        ]

    def unknown_before(self, *, instrument_id: int, side: str, rule_id: uuid.UUID | None) -> int:
        """Orders in doubt for which this one has to wait: those on its symbol and, where a rule enters, those of the
        rule: while its broker does not answer, it would leave one on each symbol. An exit waits for no other symbol's.
        """
        entering = rule_id if side == "buy" else None
        return sum(
            order.doubtful
            and (order.instrument_id == instrument_id or (entering is not None and order.rule_id == entering))
            for order in self.open_orders
        )

    def minutes_since_sold(self, instrument_id: int) -> Decimal:
        sold_at = self.sold_at.get(instrument_id)
        if sold_at is None:
            return INFINITY
        return Decimal(repr((self.as_of - sold_at).total_seconds())) / 60
