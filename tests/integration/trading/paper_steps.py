"""What the tests of the paper market do again and again."""

from decimal import Decimal

from tests.harness.paper import fresh
from tests.harness.trading import Market
from trading.models import AutoTrade
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences


def tick(market: Market, **prices: float) -> int:
    """One tick, executed; returns how many trades it did something to. The books are right after it."""
    market.tick(**prices)
    done = execute_pending()
    assert book_differences() == []
    return done


def state(trade: AutoTrade) -> tuple[str, Decimal]:
    now = fresh(trade)
    return now.status, now.filled_quantity
