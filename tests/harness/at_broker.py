"""Orders of a portfolio whose account is at a real broker, and that broker's words about them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from foundation.clock import database_now
from portfolios.models import BrokerAccount, BrokerCredential
from tests.harness.trading import Desk
from trading.brokers.protocol import BrokerExecution, BrokerOrder
from trading.core.order_states import OrderState
from trading.models import AutoTrade
from trading.services.manual import place_trade
from trading.services.order_reports import apply_report

D = Decimal
AT = datetime(2010, 3, 1, 15, 0, tzinfo=UTC)


def connect(desk: Desk, *, account_number: str = "PA1") -> BrokerAccount:
    """The portfolio's account is at a real broker from now on, with keys that nobody can use."""
    account = BrokerAccount.objects.get(portfolio=desk.portfolio)
    account.broker, account.account_number = BrokerAccount.Broker.ALPACA, account_number
    account.save()
    BrokerCredential.objects.get_or_create(
        account=account,
        defaults={"sealed": b"sealed", "sealing_key": "k1", "hint": "…AB12", "set_at": database_now()},
    )
    return account


def ordered(desk: Desk, *, side: str = "buy", quantity: int = 10, symbol: str = "AAA") -> AutoTrade:
    """A pending trade that the portfolio's owner asked for."""
    return place_trade(
        portfolio_id=desk.portfolio.id, symbol=symbol, side=side, quantity=D(quantity), actor=desk.owner
    )


def order_of(
    trade: AutoTrade, state: str = OrderState.ACCEPTED, filled: int | Decimal = 0, **more: Any
) -> BrokerOrder:
    """The broker's view of it."""
    columns: dict[str, Any] = {
        "client_order_id": trade.client_order_id, "broker_order_id": f"b-{trade.id.hex}", "symbol": trade.symbol,
        "side": trade.trade_type, "quantity": trade.quantity, "filled_quantity": D(filled),
        "state": OrderState(state), "average_price": D(100) if filled else None,
    }  # fmt: skip
    return BrokerOrder(**columns | more)


def execution_of(trade: AutoTrade, quantity: int | Decimal, number: int = 1, **more: Any) -> BrokerExecution:
    columns: dict[str, Any] = {
        "execution_id": f"e-{trade.id.hex}-{number}", "client_order_id": trade.client_order_id,
        "broker_order_id": f"b-{trade.id.hex}", "symbol": trade.symbol, "side": trade.trade_type,
        "quantity": D(quantity), "price": D(100), "fee": D("0.25"), "at": AT,
    }  # fmt: skip
    return BrokerExecution(**columns | more)


def report(
    trade: AutoTrade, state: str = OrderState.ACCEPTED, filled: int = 0, *, fill: int = 0, number: int = 1
) -> AutoTrade:
    """The stream tells of it; with an execution of `fill`, if that is not 0."""
    return apply_report(
        account_id=trade.account_id, order=order_of(trade, state, filled), told_by="stream",
        execution=execution_of(trade, fill, number) if fill else None,
    )  # fmt: skip
