"""Orders of every type at the paper market, of a desk that a test moves by hand."""

from decimal import ROUND_DOWN, Decimal
from typing import Any

from portfolios.services.limits import set_limits
from portfolios.services.paper_market import set_paper_market
from portfolios.services.portfolios import withdraw
from tests.harness.orders import WIDE
from tests.harness.trading import Desk
from trading.models import AutoTrade
from trading.services.manual import place_trade


def wide_limits() -> None:
    """The platform's ceilings out of the way."""
    set_limits(scope="platform", values=WIDE, actor=None)


def paper_market(desk: Desk, **values: Any) -> None:
    wanted = {name: value if isinstance(value, int) else Decimal(value) for name, value in values.items()}
    set_paper_market(portfolio_id=desk.portfolio.id, values=wanted, actor=desk.owner)


def order(
    desk: Desk, side: str = "buy", quantity: int = 10, symbol: str = "AAA", order_type: str = "market", **terms: Any
) -> AutoTrade:  # fmt: skip
    """A pending trade through every control, of these terms (prices as text)."""
    trade = place_trade(
        portfolio_id=desk.portfolio.id, symbol=symbol, side=side, quantity=Decimal(quantity), actor=desk.owner
    )  # fmt: skip
    columns = {"time_in_force": "gtc", "order_type": order_type, "expires_at": None, **terms}
    AutoTrade.objects.filter(pk=trade.pk).update(**columns)
    return fresh(trade)


def fresh(trade: AutoTrade) -> AutoTrade:
    return AutoTrade.objects.get(pk=trade.pk)


def holding(desk: Desk, quantity: int, symbol: str = "AAA") -> None:
    """So much of it, bought at the market."""
    order(desk, "buy", quantity, symbol)
    desk.step()
    assert desk.held(symbol) == quantity


def withdraw_what_is_free(desk: Desk) -> None:
    desk.refresh()
    free = (desk.portfolio.cash - desk.portfolio.reserved_cash).quantize(Decimal("0.01"), ROUND_DOWN)
    withdraw(portfolio_id=desk.portfolio.id, amount=free, actor=desk.owner)
