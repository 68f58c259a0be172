"""The paper broker: the pure paper market on the current snapshot. It has no network, so it cannot be unknown."""

from dataclasses import dataclass

from market.core.snapshot import MarketSnapshot
from market.models import Instrument
from trading.core.paper import PaperFill, match_market
from trading.models import AutoTrade
from trading.services.fresh_state import costs_of


@dataclass(frozen=True)
class Unmatched:
    """Nothing to trade against now; the trade stays pending. The reason is for people."""

    reason: str


def match(trade: AutoTrade, *, instrument: Instrument, snapshot: MarketSnapshot) -> PaperFill | Unmatched:
    """Fill a market order at the touch, if the market is open and quoted."""
    place = snapshot.index(trade.symbol)
    if place is None or not snapshot.is_open[place]:
        return Unmatched("the market is closed")
    bid, ask = snapshot.bid_price(trade.symbol), snapshot.ask_price(trade.symbol)
    if bid is None or ask is None:
        return Unmatched("there is no quote")
    return match_market(
        side=trade.trade_type, quantity=trade.quantity, bid=bid, ask=ask, tick=instrument.tick_size,
        costs=costs_of(trade.account),
    )  # fmt: skip
