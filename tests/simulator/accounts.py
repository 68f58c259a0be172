"""An account: what it has, what it may do, and how Alpaca tells it."""

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.simulator.clock import to_text
from tests.simulator.market import Market
from tests.simulator.orders import (
    NOT_ALLOWED,
    Execution,
    Order,
    Refused,
    asset_id,
    plain,
    seeded_id,
)

CENT = Decimal("0.01")


@dataclass
class Account:
    """One pair of keys. cash is exact here, and what was really charged; it is told in cents, as Alpaca does."""

    key: str
    secret: str
    number: str
    cash: Decimal
    opened_at: int
    currency: str = "USD"
    status: str = "ACTIVE"
    may_short: bool = False
    multiplier: Decimal = Decimal(1)
    fee_per_unit: Decimal = Decimal(0)
    """of what is sold; accrued over the day, and told as deducted from the cash (paper accounts have none)"""
    accrued: Decimal = Decimal(0)
    trading_blocked: bool = False
    account_blocked: bool = False
    trade_suspended_by_user: bool = False
    positions: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    costs: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    """what the position cost, for the average entry price"""
    orders: dict[str, Order] = field(default_factory=dict)
    """by id, in the order of their submission"""
    in_order: list[Order] = field(default_factory=list)
    by_client_id: dict[str, Order] = field(default_factory=dict)
    open: dict[str, Order] = field(default_factory=dict)
    fills: list[tuple[Order, Execution]] = field(default_factory=list)
    activities: list[dict[str, Any]] = field(default_factory=list)
    """as they are told, but for `listed_from`: the moment from which they are"""

    def held_for_sales(self, symbol: str, *, but: Order | None = None) -> Decimal:
        """Units that open sell orders have spoken for."""
        return sum(
            (
                order.remaining
                for order in self.open.values()
                if order.symbol == symbol and order.side == "sell" and order is not but
            ),
            Decimal(0),
        )

    def buying_power(self, market: Market, *, but: Order | None = None) -> Decimal:
        """Cash times the multiplier, less what open buy orders may cost."""
        held = sum(
            (
                order.remaining * market.expected_price(order)
                for order in self.open.values()
                if order.side == "buy" and order is not but
            ),
            Decimal(0),
        )
        return self.cash * self.multiplier - held

    def check_may_trade(self) -> None:
        """Raises Refused when the account takes no orders."""
        if self.trading_blocked or self.account_blocked or self.status != "ACTIVE":
            raise Refused(403, NOT_ALLOWED, "account is not authorized to trade")
        if self.trade_suspended_by_user:
            raise Refused(403, NOT_ALLOWED, "new orders are rejected by user request")

    def check_wash_trade(self, order: Order, *, instead_of: Order | None = None) -> None:
        """Raises Refused beside an open order of the other side, whatever the prices, unless one trails; of two that
        have limits only if they cross. One whose cancel is pending is open."""
        for other in self.open.values():
            opposed = other.symbol == order.symbol and other.side != order.side and other is not instead_of
            if not opposed or "trailing_stop" in (order.type, other.type):
                continue
            if order.limit_price is not None and other.limit_price is not None:
                buy, sell = (order, other) if order.side == "buy" else (other, order)
                if buy.limit_price < sell.limit_price:
                    continue
            kind = "market/stop" if other.limit_price is None else "limit"
            raise Refused(
                403,
                NOT_ALLOWED,
                "potential wash trade detected. use complex orders",
                existing_order_id=other.id,
                reject_reason=f"opposite side {kind} order exists",
            )

    def check_can_afford(self, order: Order, market: Market, *, instead_of: Order | None = None) -> None:
        """Raises Refused with Alpaca's figures when cash or shares do not reach."""
        if order.side == "buy":
            short = max(-self.positions.get(order.symbol, Decimal(0)), Decimal(0))
            cost = max(order.quantity - short, Decimal(0)) * market.expected_price(order)
            power = self.buying_power(market, but=instead_of)
            if cost > power:
                raise Refused(
                    403,
                    NOT_ALLOWED,
                    "insufficient buying power",
                    buying_power=plain(round(power, 2)),
                    cost_basis=plain(round(cost, 2)),
                )
            return
        existing = self.positions.get(order.symbol, Decimal(0))
        if existing <= 0:
            if not self.may_short:
                raise Refused(403, NOT_ALLOWED, "account is not allowed to short")
            return
        held = self.held_for_sales(order.symbol, but=instead_of)
        available = existing - held
        if order.quantity > available:
            raise Refused(
                403,
                NOT_ALLOWED,
                f"insufficient qty available for order (requested: {plain(order.quantity)}, "
                f"available: {plain(available)})",
                available=plain(available),
                existing_qty=plain(existing),
                held_for_orders=plain(held),
                symbol=order.symbol,
            )

    def submitted_after(self, at: int) -> int:
        """The place in `in_order` of the first order submitted after this moment."""
        return bisect_right(self.in_order, at, key=lambda order: order.submitted_at)


def told_account(account: Account, market: Market) -> dict[str, Any]:
    """The answer to GET /v2/account."""
    values = {symbol: held * market.last(symbol) for symbol, held in account.positions.items() if held}
    longs = sum((value for value in values.values() if value > 0), Decimal(0))
    shorts = sum((value for value in values.values() if value < 0), Decimal(0))
    cash = account.cash - account.accrued
    equity = cash + longs + shorts
    power = _cents(max(account.buying_power(market), Decimal(0)))
    return {
        "id": seeded_id("account", account.key),
        "account_number": account.number,
        "status": account.status,
        "crypto_status": "INACTIVE",
        "currency": account.currency,
        "buying_power": power,
        "regt_buying_power": power,
        "daytrading_buying_power": "0",
        "non_marginable_buying_power": power,
        "cash": _cents(cash),
        "accrued_fees": plain(account.accrued),
        "portfolio_value": _cents(equity),
        "pattern_day_trader": False,
        "trading_blocked": account.trading_blocked,
        "transfers_blocked": False,
        "account_blocked": account.account_blocked,
        "created_at": to_text(account.opened_at),
        "trade_suspended_by_user": account.trade_suspended_by_user,
        "multiplier": plain(account.multiplier),
        "shorting_enabled": account.may_short,
        "equity": _cents(equity),
        "last_equity": _cents(equity),
        "long_market_value": _cents(longs),
        "short_market_value": _cents(shorts),
        "initial_margin": "0",
        "maintenance_margin": "0",
        "last_maintenance_margin": "0",
        "sma": "0",
        "daytrade_count": 0,
        "balance_asof": to_text(account.opened_at)[:10],
    }


def told_positions(account: Account, market: Market) -> list[dict[str, Any]]:
    """The answer to GET /v2/positions: what is not zero."""
    return [
        _told_position(account, symbol, market)
        for symbol in sorted(account.positions)
        if account.positions[symbol]
    ]


def _told_position(account: Account, symbol: str, market: Market) -> dict[str, Any]:
    held, cost = account.positions[symbol], account.costs[symbol]
    price = market.last(symbol)
    value = held * price
    profit = value - cost
    share = plain(round(profit / cost, 6)) if cost else "0"
    return {
        "asset_id": asset_id(symbol),
        "symbol": symbol,
        "exchange": "NASDAQ",
        "asset_class": "us_equity",
        "asset_marginable": True,
        "avg_entry_price": plain(round(cost / held, 6)),
        "qty": plain(held),
        "qty_available": plain(held - account.held_for_sales(symbol)) if held > 0 else plain(held),
        "side": "long" if held > 0 else "short",
        "market_value": plain(value),
        "cost_basis": plain(round(cost, 6)),
        "unrealized_pl": plain(round(profit, 6)),
        "unrealized_plpc": share,
        "unrealized_intraday_pl": plain(round(profit, 6)),
        "unrealized_intraday_plpc": share,
        "current_price": plain(price),
        "lastday_price": plain(price),
        "change_today": "0",
    }


def _cents(amount: Decimal) -> str:
    return plain(amount.quantize(CENT))
