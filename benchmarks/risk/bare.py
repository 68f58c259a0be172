"""The comparisons of all controls on an order as bare Python with Decimal: the least that any check must do.

Written by hand, it shares nothing with the product's controls. It answers with the first code that refuses, or
None, stops there, and keeps no record of what it compared.
"""

from decimal import ROUND_FLOOR, Decimal
from typing import Any

from trading.core.risk import RiskRequest

FIFTH, HUNDRED = Decimal("0.2"), Decimal(100)
NEEDED = (
    "max_price_age_seconds", "max_recommendation_age_minutes", "max_price_deviation_percentage",
    "max_price_move_percentage", "max_order_value", "max_order_quantity", "max_messages_per_second",
    "max_messages_per_minute", "duplicate_order_seconds", "max_rule_executions", "rule_execution_window_minutes",
    "max_position_percentage", "max_position_value", "max_open_positions", "max_gross_exposure_percentage",
    "max_leverage", "max_sector_exposure_percentage", "max_correlation", "min_effective_holdings", "max_volatility",
    "min_volume", "min_relative_volume", "max_spread_bps", "max_daily_loss_percentage", "max_drawdown_percentage",
    "max_losing_streak", "entry_cooldown_minutes", "max_daily_trades", "max_daily_trades_per_rule",
    "max_daily_trades_per_symbol",
)  # fmt: skip
"""what must be set, so that a buy may be compared with it"""


def objection(r: RiskRequest) -> str | None:
    """For numbers that are known and limits that are not at their open ends; a missing limit is the only fault."""
    limits: Any = r.limits.values
    buys = r.side == "buy"
    if buys:
        for name in NEEDED:
            if limits[name] is None:
                return "NO_LIMIT_SET"
    if r.halt == "halt" or (buys and r.halt is not None):
        return "HALTED"
    if r.actor_objection or r.terms_objection or (buys and r.instrument_objection):
        return "NOT_PERMITTED"
    if not r.market_open:
        return "MARKET_CLOSED"
    if buys and r.time_objection:
        return "TIME_RESTRICTED"
    if r.price_age_seconds > limits["max_price_age_seconds"] and not r.protective:
        return "STALE_DATA"
    age = r.recommendation_age_minutes
    if buys and age is not None and age > limits["max_recommendation_age_minutes"]:
        return "STALE_DATA"
    if abs(r.execution_price - r.price) / r.price * HUNDRED > limits["max_price_deviation_percentage"]:
        return "PRICE_COLLAR"
    moved = abs(r.price - r.bar_close) / r.bar_close * HUNDRED
    if moved > limits["max_price_move_percentage"] and not r.protective:
        return "PRICE_COLLAR"
    return _of_a_buy(r, limits) if buys else _of_a_sell(r, limits)


def _of_a_sell(r: RiskRequest, limits: Any) -> str | None:
    if r.messages_last_second >= limits["max_messages_per_second"]:
        return "MAX_MESSAGES"
    if r.messages_last_minute >= limits["max_messages_per_minute"]:
        return "MAX_MESSAGES"
    if r.twins or r.own_working:
        return "DUPLICATE_ORDER"
    if r.quantity > r.free_quantity:
        return "INSUFFICIENT_POSITION"
    return _last_of_all(r)


def _last_of_all(r: RiskRequest) -> str | None:
    if r.opposite_orders:
        return "WASH_TRADE"
    return "UNKNOWN_OUTSTANDING" if r.unknown_before else None


def _for_entries(messages: Decimal) -> Decimal:
    return messages - (messages * FIFTH).to_integral_value(ROUND_FLOOR)


def _of_a_buy(r: RiskRequest, limits: Any) -> str | None:
    value = r.quantity * r.price
    if value > limits["max_order_value"]:
        return "MAX_ORDER_VALUE"
    if r.quantity > limits["max_order_quantity"]:
        return "MAX_ORDER_QUANTITY"
    if r.messages_last_second >= _for_entries(limits["max_messages_per_second"]):
        return "MAX_MESSAGES"
    if r.messages_last_minute >= _for_entries(limits["max_messages_per_minute"]):
        return "MAX_MESSAGES"
    if r.twins or r.own_working:
        return "DUPLICATE_ORDER"
    if r.of_rule and r.rule_executions >= limits["max_rule_executions"]:
        return "REPEATED_EXECUTION"
    if r.cost > r.free_cash:
        return "INSUFFICIENT_CASH"
    return _of_size(r, limits, value) or _of_what_was_before(r, limits) or _last_of_all(r)


def _of_size(r: RiskRequest, limits: Any, value: Decimal) -> str | None:
    equity, position, gross = r.equity, r.position_value + value, r.gross_exposure + value
    if position / equity * HUNDRED > limits["max_position_percentage"]:
        return "MAX_POSITION_SIZE"
    if position > limits["max_position_value"]:
        return "MAX_POSITION_VALUE"
    if r.open_positions + r.opens_position > limits["max_open_positions"]:
        return "MAX_OPEN_POSITIONS"
    if gross / equity * HUNDRED > limits["max_gross_exposure_percentage"]:
        return "MAX_GROSS_EXPOSURE"
    if gross / equity > limits["max_leverage"]:
        return "MAX_LEVERAGE"
    if r.capital_cap is not None and r.session_invested + value > r.capital_cap:
        return "CAPITAL_CAP"
    if (r.sector_exposure + value) / equity * HUNDRED > limits["max_sector_exposure_percentage"]:
        return "MAX_SECTOR_EXPOSURE"
    if r.correlation > limits["max_correlation"]:
        return "MAX_CORRELATION"
    after = r.effective_holdings_after
    if after < limits["min_effective_holdings"] and after <= r.effective_holdings:
        return "MIN_DIVERSIFICATION"
    return None


def _of_what_was_before(r: RiskRequest, limits: Any) -> str | None:
    if (
        r.volatility > limits["max_volatility"]
        or r.volume < limits["min_volume"]
        or r.relative_volume < limits["min_relative_volume"]
        or r.spread_bps > limits["max_spread_bps"]
    ):
        return "MARKET_CONDITION"
    if -r.daily_pnl_percentage >= limits["max_daily_loss_percentage"]:
        return "MAX_DAILY_LOSS"
    if r.drawdown_percentage >= limits["max_drawdown_percentage"]:
        return "MAX_DRAWDOWN"
    if r.losing_streak >= limits["max_losing_streak"]:
        return "MAX_LOSING_STREAK"
    if r.minutes_since_sold < limits["entry_cooldown_minutes"]:
        return "COOLDOWN"
    if (
        r.daily_trades >= limits["max_daily_trades"]
        or r.daily_trades_of_rule >= limits["max_daily_trades_per_rule"]
        or r.daily_trades_of_symbol >= limits["max_daily_trades_per_symbol"]
    ):
        return "MAX_DAILY_TRADES"
    return None
