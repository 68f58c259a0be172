"""Paper orders as one worker process makes and executes them: nothing is left out and nothing is rolled back.

A batch is 200 orders of 100 portfolios. `place` does for them what an evaluation does for what its rules want (fresh
state under lock, every control, decision, trade, reservation, journal; one transaction), and `execute_pending`, the
function of the production task, fills them (execution, ledger, position, reservation, trade, session, journal).
"""

import random
import time
import uuid
from dataclasses import dataclass, field
from decimal import Decimal

from benchmarks.trading_world import Market, Orders, Sessions, open_portfolios, place, user, widen_rates, wish
from portfolios.models import Position
from trading.services.facts import MarketView
from trading.services.trade_execution import execute_pending

PORTFOLIOS = 200
AT_ONCE = 100
ORDERS_OF_EACH = 2
BATCH = AT_ONCE * ORDERS_OF_EACH
CASH = Decimal(1_000_000)
SYMBOLS = tuple(f"S{number:03}" for number in range(96))
KNOWN = 8  # symbols that a portfolio trades


@dataclass
class Flow:
    """A world in which orders flow. `seconds` of each batch, the market's own work left out."""

    market: Market
    sessions: Sessions
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    seconds: list[float] = field(default_factory=list)

    @classmethod
    def make(cls) -> "Flow":
        market = Market.make(SYMBOLS, seed=20_260_301)
        widen_rates()
        return cls(market, open_portfolios(PORTFOLIOS, cash=CASH, owner=user("alice")))

    def run(self, batches: int) -> float:
        """So many batches; returns the seconds that they took."""
        taken = 0.0
        for number in range(batches):
            view = self.market.publish()
            orders = self._orders(view, half=number % 2)
            start = time.perf_counter()
            placed = place(orders, sessions=self.sessions, view=view)
            filled = execute_pending()
            self.seconds.append(time.perf_counter() - start)
            taken += self.seconds[-1]
            assert placed == filled == BATCH, f"{placed} placed, {filled} filled of {BATCH}"
        return taken

    def _orders(self, view: MarketView, *, half: int) -> Orders:
        """Each portfolio sells what it holds of its symbols now and then, and buys the others."""
        chosen = list(self.sessions)[half * AT_ONCE : (half + 1) * AT_ONCE]
        held: dict[uuid.UUID, dict[int, Decimal]] = {}
        for owner, instrument, quantity in Position.objects.filter(
            portfolio_id__in=chosen, quantity__gt=0
        ).values_list("portfolio_id", "instrument_id", "quantity"):
            held.setdefault(owner, {})[instrument] = quantity
        orders = {}
        for number, key in enumerate(chosen):
            mine = self.rng.sample(range(KNOWN), ORDERS_OF_EACH)
            orders[key] = [self._order(view, number * KNOWN + place_, held.get(key, {})) for place_ in mine]
        return orders

    def _order(self, view: MarketView, number: int, held: dict[int, Decimal]):  # type: ignore[no-untyped-def]
        instrument = view.by_symbol[SYMBOLS[number % len(SYMBOLS)]]
        quantity = held.get(instrument.id)
        if quantity is not None:
            return wish(view, "sell", instrument, quantity)
        return wish(view, "buy", instrument, self.rng.randrange(5, 60))
