"""Quotes: set by a test, or walking from a seed. One price book for all accounts."""

from dataclasses import dataclass
from decimal import Decimal
from random import Random

from tests.simulator.orders import NOT_PROCESSABLE, Order, Refused

TICK = Decimal("0.01")


@dataclass(frozen=True)
class Quote:
    bid: Decimal
    ask: Decimal

    @property
    def last(self) -> Decimal:
        return (self.bid + self.ask) / 2


class Market:
    """symbol -> quote. A symbol without a quote is one that the broker does not know."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._steps: dict[str, int] = {}
        self.quotes: dict[str, Quote] = {}

    def set(self, symbol: str, bid: Decimal, ask: Decimal) -> None:
        if not 0 < bid <= ask:
            raise ValueError(f"bid {bid} and ask {ask} of {symbol} are no quote")
        self.quotes[symbol] = Quote(bid, ask)

    def quote(self, symbol: str) -> Quote:
        """Raises Refused as Alpaca does for a symbol that it does not know."""
        if symbol not in self.quotes:
            raise Refused(422, NOT_PROCESSABLE, f'asset "{symbol}" not found')
        return self.quotes[symbol]

    def last(self, symbol: str) -> Decimal:
        """For values of positions; 0 for what has no quote."""
        return self.quotes[symbol].last if symbol in self.quotes else Decimal(0)

    def step(self, symbol: str, *, basis_points: int) -> None:
        """One step of a walk: up or down by at most so many hundredths of a percent; never below a cent."""
        number = self._steps[symbol] = self._steps.get(symbol, 0) + 1
        move = Random(f"{self._seed}|walk|{symbol}|{number}").randint(-basis_points, basis_points)
        old = self.quotes[symbol]
        spread = old.ask - old.bid
        bid = max((old.bid * (10_000 + move) / 10_000).quantize(TICK), TICK)
        self.quotes[symbol] = Quote(bid, bid + spread)

    def expected_price(self, order: Order) -> Decimal:
        """What a unit may cost: the limit, else the stop, else the ask now."""
        return order.limit_price or order.stop_price or self.quote(order.symbol).ask

    def fill_price(self, order: Order) -> Decimal | None:
        """The price at which the order would fill now, None when it would not."""
        quote = self.quotes.get(order.symbol)
        if quote is None:
            return None
        if "stop" in order.type and not order.triggered:
            return None
        price = quote.ask if order.side == "buy" else quote.bid
        limit = order.limit_price
        if limit is not None and (price > limit if order.side == "buy" else price < limit):
            return None
        return price

    def watch(self, order: Order) -> None:
        """Let a stop see the price: it may trigger, a trailing stop may follow."""
        if "stop" not in order.type or order.triggered or order.symbol not in self.quotes:
            return
        last = self.quotes[order.symbol].last
        if order.type == "trailing_stop":
            self._trail(order, last)
        assert order.stop_price is not None
        order.triggered = last >= order.stop_price if order.side == "buy" else last <= order.stop_price

    def _trail(self, order: Order, last: Decimal) -> None:
        """The high water mark (low, for a buy) and the stop behind it."""
        mark = order.high_water
        best = last if mark is None else (min(mark, last) if order.side == "buy" else max(mark, last))
        distance = order.trail_price
        if distance is None:
            assert order.trail_percent is not None
            distance = best * order.trail_percent / 100
        order.high_water = best
        order.stop_price = round(best + distance if order.side == "buy" else best - distance, 4)
