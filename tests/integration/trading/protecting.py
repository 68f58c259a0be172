"""Short words for the tests of protected positions."""

from decimal import Decimal
from typing import Any

from journal.models import Entry
from portfolios.models import PositionMark
from sessions.services.sessions import stop_trading_session
from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from trading.models import AutoTrade
from trading.services.protection_watch import watch_protections
from trading.services.stopping import finish_stopping

# A buy at 100 pays the ask of 100.10 and one basis point of slippage, rounded up to the tick.
COST = Decimal("100.12")


def buying(**percentages: float) -> dict[str, Any]:
    (action,) = STRONG_BUY_ENTRY["actions"]
    return {**STRONG_BUY_ENTRY, "actions": [{**action, **percentages}]}


def protected(market: Market, **percentages: float) -> Desk:
    """50 shares of AAA, bought at 100 by a rule that protects them so; nobody advises to buy any more."""
    market.tick()
    desk = Desk.open(market, rules=(buying(**percentages),))
    market.advise("AAA")
    desk.step()
    market.advise("AAA", "HOLD", 0.5)
    assert desk.held("AAA") == 50
    return desk


def tick(desk: Desk, **prices: float) -> int:
    """The market moves and the watcher looks; no session is evaluated. How many trades it made."""
    desk.market.tick(**prices)
    return watch_protections()


def sells(desk: Desk) -> list[AutoTrade]:
    return [trade for trade in desk.trades() if trade.trade_type == "sell"]


def told(desk: Desk, kind: str) -> list[Entry]:
    return list(Entry.objects.filter(stream_id=desk.portfolio.id, kind=kind).order_by("seq"))


def peak(desk: Desk) -> Decimal:
    return PositionMark.objects.get(position__portfolio=desk.portfolio).peak_price


def stopped(desk: Desk) -> None:
    """Its session ends and keeps what it holds."""
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    assert finish_stopping() == 1
