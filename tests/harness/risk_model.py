"""What books, limits and halts should say after each step, in plain Python.

Nothing here asks the code that it is compared with: the questions stand in the order of the table of controls, and
the states and their moves are written out once more.
"""

import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

D, ZERO = Decimal, Decimal(0)
EIGHT, TICK = D("0.00000001"), D("0.01")
FEE, SLIPPAGE, CUSHION = D("0.0001"), D("0.0001"), D("0.02")
FINAL = frozenset({"filled", "cancelled", "rejected", "expired"})
WORKING = frozenset({"accepted", "partially_filled"})
IN_DOUBT = frozenset({"submitting", "unknown", "quarantined"})
IN_FLIGHT = frozenset({"submitting", "cancelling", "unknown"})
DOUBTFUL = frozenset({"unknown", "quarantined"})
MESSAGES_SECONDS = 60
# Between the clocks of this process and of the database, and for a step's own time.
CLOCK_SECONDS = 2
LATE = "partially_filled filled cancelling"
LEGAL = {
    old: frozenset(new.split())
    for old, new in {
        "pending": "submitting cancelled expired rejected",
        "submitting": "accepted partially_filled filled rejected unknown cancelled expired pending",
        "accepted": "partially_filled filled cancelling cancelled rejected expired",
        "partially_filled": "filled cancelling cancelled expired unknown",
        "cancelling": "cancelled partially_filled filled rejected expired unknown",
        "unknown": "submitting accepted partially_filled filled cancelled rejected expired quarantined",
        "quarantined": "accepted partially_filled filled cancelled rejected expired",
        "cancelled": LATE, "expired": LATE, "rejected": LATE, "filled": "",
    }.items()
}  # fmt: skip
# The only codes that may hold up a sell of what is free: nothing that limits size, exposure, loss or number.
MAY_REFUSE_A_SELL = frozenset(
    {"HALTED", "NOT_PERMITTED", "MARKET_CLOSED", "STALE_DATA", "PRICE_COLLAR", "MAX_MESSAGES", "DUPLICATE_ORDER",
     "INSUFFICIENT_POSITION", "WASH_TRADE", "UNKNOWN_OUTSTANDING"}
)  # fmt: skip


@dataclass(frozen=True)
class Quote:
    """Currency per unit; `close` is the last completed bar's."""

    price: Decimal
    bid: Decimal
    ask: Decimal
    close: Decimal


@dataclass
class World:
    """The market as it was published last."""

    quotes: Mapping[str, Quote]
    as_of: datetime
    is_open: bool = True
    stale: bool = False


@dataclass(frozen=True)
class Wanted:
    side: str
    symbol: str
    quantity: Decimal
    by_rule: bool = False
    protective: bool = False


@dataclass
class Order:
    """`cash` and `units` are what it still has reserved; `made` tells which of several is the older."""

    id: uuid.UUID
    wanted: Wanted
    at: datetime
    ask: Decimal
    cash: Decimal
    units: Decimal
    made: datetime | None = None
    state: str = "pending"
    filled: Decimal = ZERO
    executions: list[str] = field(default_factory=list)
    wish: bool = False  # to cancel it, as soon as it is known where it is

    @property
    def rest(self) -> Decimal:
        return self.wanted.quantity - self.filled

    @property
    def day(self) -> date:
        return self.at.date()


@dataclass
class HaltModel:
    """`sent` are the orders in its scope that had left when it was drained; None: it is not drained."""

    id: uuid.UUID
    scope: str
    scope_id: str
    mode: str
    sent: frozenset[uuid.UUID] | None = None


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(EIGHT, rounding=ROUND_HALF_EVEN)


def paper_price(side: str, quote: Quote) -> Decimal:
    """The touch and slippage, against the order to the tick."""
    if side == "buy":
        return (quote.ask * (1 + SLIPPAGE)).quantize(TICK, rounding=ROUND_CEILING)
    return (quote.bid * (1 - SLIPPAGE)).quantize(TICK, rounding=ROUND_FLOOR)


@dataclass
class BookModel:
    """One portfolio: its money, what it holds, its orders. `ids` are its scopes: portfolio, account, session, rule."""

    ids: Mapping[str, str]
    limits: Mapping[str, Decimal]
    cash: Decimal
    units: dict[str, Decimal] = field(default_factory=dict)
    orders: dict[uuid.UUID, Order] = field(default_factory=dict)
    restricted: set[str] = field(default_factory=set)
    messages: list[float] = field(default_factory=list)
    late: set[str] = field(default_factory=set)  # symbols that a venue filled after their order was given up

    def open(self) -> list[Order]:
        return [order for order in self.orders.values() if order.state not in FINAL]

    def reserved(self) -> Decimal:
        return sum((order.cash for order in self.orders.values()), ZERO)

    def free_cash(self) -> Decimal:
        return self.cash - self.reserved()

    def held(self, symbol: str) -> Decimal:
        return self.units.get(symbol, ZERO)

    def promised(self, symbol: str) -> Decimal:
        return sum((o.units for o in self.orders.values() if o.wanted.symbol == symbol), ZERO)

    def free_units(self, symbol: str) -> Decimal:
        return self.held(symbol) - self.promised(symbol)

    def exposures(self, world: World) -> dict[str, Decimal]:
        found = {symbol: units * world.quotes[symbol].price for symbol, units in self.units.items() if units}
        for order in self.orders.values():
            if order.cash > 0:
                found[order.wanted.symbol] = found.get(order.wanted.symbol, ZERO) + order.cash
        return found

    def equity(self, world: World) -> Decimal:
        return self.cash + sum((units * world.quotes[s].price for s, units in self.units.items()), ZERO)

    # --- may it? ---------------------------------------------------------------------------------

    def forbidden(self, wanted: Wanted, halts: list[HaltModel]) -> bool:
        modes = {halt.mode for halt in halts if self.covered(wanted, halt)}
        return "halt" in modes or ("reduce_only" in modes and wanted.side == "buy")

    def covered(self, wanted: Wanted, halt: HaltModel) -> bool:
        if halt.scope == "platform":
            return True
        if halt.scope == "symbol":
            return halt.scope_id == wanted.symbol
        if halt.scope == "rule" and not wanted.by_rule:
            return False
        return halt.scope_id == self.ids[halt.scope]

    def possible(self, wanted: Wanted, world: World, halts: list[HaltModel]) -> set[str | None]:
        """The code that refuses, or None; more than one where a number is too near its limit to call."""
        found: set[str | None] = set()
        for code, refuses in self._questions(wanted, world, halts):
            if refuses is not False:
                found.add(code)
            if refuses is True:
                return found
        return found | {None}

    def largest(self, wanted: Wanted, world: World, halts: list[HaltModel], *, most: int) -> int:
        """The largest quantity that passes, by bisection; 1 when none does."""
        low, high = 1, most + 1
        while high - low > 1:
            middle = (low + high) // 2
            asked = Wanted(wanted.side, wanted.symbol, D(middle), wanted.by_rule, wanted.protective)
            low, high = (middle, high) if self.possible(asked, world, halts) == {None} else (low, middle)
        return low

    def _questions(
        self, w: Wanted, world: World, halts: list[HaltModel]
    ) -> Iterator[tuple[str, bool | None]]:
        """(code, whether it refuses or None for too near to call), in the order of the table of controls."""
        quote, buys, limit = world.quotes[w.symbol], w.side == "buy", self.limits
        yield "HALTED", self.forbidden(w, halts)
        yield "NOT_PERMITTED", buys and w.symbol in self.restricted
        yield "MARKET_CLOSED", not world.is_open
        yield "STALE_DATA", world.stale and not w.protective
        yield "PRICE_COLLAR", abs(quote.price - quote.close) / quote.close * 100 > 50 and not w.protective
        if buys:
            yield "MAX_ORDER_VALUE", w.quantity * quote.price > limit["max_order_value"]
            yield "MAX_ORDER_QUANTITY", w.quantity > limit["max_order_quantity"]
        yield "MAX_MESSAGES", self._too_many_messages(buys)
        yield (
            "DUPLICATE_ORDER",
            any(self._twin(order, w, world) or self._own_working(order, w) for order in self.orders.values()),
        )
        if buys:
            yield from self._questions_to_a_buy(w, world)
        else:
            yield "INSUFFICIENT_POSITION", w.quantity > self.free_units(w.symbol)
        mine = [order for order in self.open() if order.wanted.symbol == w.symbol]
        yield "WASH_TRADE", any(order.wanted.side != w.side for order in mine)
        yield "UNKNOWN_OUTSTANDING", self.waits_for_doubt(w)

    def waits_for_doubt(self, w: Wanted) -> bool:
        """For an order of unknown outcome its symbol waits, and what its rule would enter elsewhere."""
        in_doubt = [order.wanted for order in self.open() if order.state in DOUBTFUL]
        enters = w.by_rule and w.side == "buy"
        return any(one.symbol == w.symbol or (enters and one.by_rule) for one in in_doubt)

    def _questions_to_a_buy(self, w: Wanted, world: World) -> Iterator[tuple[str, bool | None]]:
        quote, limit = world.quotes[w.symbol], self.limits
        value, exposures, equity = w.quantity * quote.price, self.exposures(world), self.equity(world)
        mine, gross = exposures.get(w.symbol, ZERO) + value, sum(exposures.values(), ZERO) + value
        yield "INSUFFICIENT_CASH", self.cost(w, world) > self.free_cash()
        yield "MAX_POSITION_SIZE", _more_than(mine, equity, limit["max_position_percentage"])
        yield "MAX_POSITION_VALUE", mine > limit["max_position_value"]
        yield "MAX_OPEN_POSITIONS", len(exposures | {w.symbol: ZERO}) > limit["max_open_positions"]
        yield "MAX_GROSS_EXPOSURE", _more_than(gross, equity, limit["max_gross_exposure_percentage"])
        yield "MAX_LEVERAGE", _more_than(gross, equity, D(100))
        yield "MAX_SECTOR_EXPOSURE", _more_than(gross, equity, D(100))  # all are of one sector
        counted = [o.wanted for o in self.orders.values() if o.day == world.as_of.date()]
        counted = [wanted for wanted in counted if not wanted.protective]
        of_symbol = sum(wanted.symbol == w.symbol for wanted in counted)
        of_rule = sum(wanted.by_rule for wanted in counted) if w.by_rule else 0
        yield (
            "MAX_DAILY_TRADES",
            len(counted) >= limit["max_daily_trades"]
            or of_symbol >= limit["max_daily_trades_per_symbol"]
            or (w.by_rule and of_rule >= limit["max_daily_trades_per_rule"]),
        )

    def _too_many_messages(self, buys: bool) -> bool | None:
        allowed = self.limits["max_messages_per_minute"]
        if buys:  # a fifth is kept for what reduces
            allowed -= (allowed / 5).to_integral_value(ROUND_FLOOR)
        ages = [time.monotonic() - sent for sent in self.messages]
        surely = sum(age < MESSAGES_SECONDS - CLOCK_SECONDS for age in ages)
        perhaps = sum(age < MESSAGES_SECONDS + CLOCK_SECONDS for age in ages)
        if surely + 1 > allowed:
            return True
        return None if perhaps + 1 > allowed else False

    def _twin(self, order: Order, w: Wanted, world: World) -> bool:
        o = order.wanted
        alike = (o.symbol, o.side, o.quantity, o.by_rule) == (w.symbol, w.side, w.quantity, w.by_rule)
        if w.protective:  # it sells what is free, so only its like may be one order sent twice
            return alike and o.protective and order.at > world.as_of - timedelta(seconds=5)
        return alike and order.at > world.as_of - timedelta(seconds=30)

    def _own_working(self, order: Order, w: Wanted) -> bool:
        o = order.wanted
        works = order.state not in FINAL | {"pending", "submitting"}
        return works and w.by_rule and (o.symbol, o.side, o.by_rule) == (w.symbol, w.side, True)

    def cost(self, w: Wanted, world: World) -> Decimal:
        """Cash that a buy reserves."""
        value = w.quantity * world.quotes[w.symbol].ask * (1 + SLIPPAGE + CUSHION)
        return rounded(value) + rounded(value * FEE)

    # --- what happens ----------------------------------------------------------------------------

    def place(self, order_id: uuid.UUID, w: Wanted, world: World) -> Order:
        buys = w.side == "buy"
        order = Order(
            order_id, w, world.as_of, world.quotes[w.symbol].ask,
            cash=self.cost(w, world) if buys else ZERO, units=ZERO if buys else w.quantity,
        )  # fmt: skip
        self.orders[order_id] = order
        self.messages.append(time.monotonic())
        return order

    def end(self, order: Order, state: str) -> None:
        order.state, order.cash, order.units = state, ZERO, ZERO

    def ask_to_cancel(self, order: Order) -> bool:
        """On paper what is open ends at once, and what is in doubt is remembered; False: it is over, or on its way.
        What reaches a broker is a message too."""
        if order.state in IN_DOUBT and not order.wish:
            order.wish = True
        elif order.state == "pending":
            self.end(order, "cancelled")
            return True
        elif order.state in WORKING:
            self.end(order, "cancelled")
        else:
            return False
        self.messages.append(time.monotonic())
        return True

    def stopped_by(self, halt: HaltModel, order: Order) -> bool:
        """Whether the halt ends it while it is pending: in reduce_only a sell goes on."""
        return self.covered(order.wanted, halt) and (halt.mode == "halt" or order.wanted.side == "buy")

    def fill(self, order: Order, execution_id: str, quantity: Decimal, price: Decimal, state: str) -> None:
        """Booked once for each execution id; what stays reserved is the share that still works."""
        if execution_id in order.executions:
            return
        w, share = order.wanted, (order.rest - quantity) / order.rest
        order.executions.append(execution_id)
        order.filled += quantity
        value = rounded(quantity * price)
        self.cash += (-value if w.side == "buy" else value) - rounded(value * FEE)
        self.units[w.symbol] = self.held(w.symbol) + (quantity if w.side == "buy" else -quantity)
        order.cash, order.units = rounded(order.cash * share), rounded(order.units * share)
        order.state = state
        if state in FINAL:
            self.end(order, state)

    def execute(self, world: World, halts: list[HaltModel]) -> None:
        """A paper batch: what is halted ends, what has a market is filled, unless nobody can pay for it."""
        free, spent = self.free_cash(), ZERO
        pending = [order for order in self.orders.values() if order.state == "pending"]
        ended: list[tuple[Order, str]] = []
        fills: list[tuple[Order, Decimal]] = []
        for order in sorted(pending, key=lambda each: (each.made, each.id)):
            w = order.wanted
            if self.forbidden(w, halts):
                ended.append((order, "cancelled"))
            elif world.is_open:
                price = paper_price(w.side, world.quotes[w.symbol])
                value = w.quantity * price
                beyond = value + rounded(value * FEE) - order.cash if w.side == "buy" else ZERO
                if beyond > 0 and beyond > free - spent:
                    ended.append((order, "rejected"))
                    continue
                spent += max(beyond, ZERO)
                fills.append((order, price))
        for order, state in ended:
            self.end(order, state)
        for order, price in fills:
            self.fill(order, f"paper-{order.id.hex}", order.wanted.quantity, price, "filled")


def _more_than(part: Decimal, whole: Decimal, percentage: Decimal) -> bool | None:
    if whole <= 0:
        return True
    used = part / whole * 100
    return None if abs(used - percentage) < D("1e-9") else used > percentage
