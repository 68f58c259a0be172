"""What the controls look at and what they answer: the words of `trading.core.controls` and `trading.core.risk`."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from foundation.core.quick import quick_init
from portfolios.core.limits import EffectiveLimits
from trading.core.order_prices import measured_at, reference
from trading.core.orders import MARKET_DAY, OrderTerms


class RefusalCode(StrEnum):
    """Stable: frontends, alerts and reports are built on them."""

    HALTED = "HALTED"
    NO_LIMIT_SET = "NO_LIMIT_SET"
    NOT_PERMITTED = "NOT_PERMITTED"
    MARKET_CLOSED = "MARKET_CLOSED"
    TIME_RESTRICTED = "TIME_RESTRICTED"
    STALE_DATA = "STALE_DATA"
    PRICE_COLLAR = "PRICE_COLLAR"
    MAX_ORDER_VALUE = "MAX_ORDER_VALUE"
    MAX_ORDER_QUANTITY = "MAX_ORDER_QUANTITY"
    MAX_MESSAGES = "MAX_MESSAGES"
    DUPLICATE_ORDER = "DUPLICATE_ORDER"
    REPEATED_EXECUTION = "REPEATED_EXECUTION"
    INSUFFICIENT_CASH = "INSUFFICIENT_CASH"
    INSUFFICIENT_POSITION = "INSUFFICIENT_POSITION"
    MAX_POSITION_SIZE = "MAX_POSITION_SIZE"
    MAX_POSITION_VALUE = "MAX_POSITION_VALUE"
    MAX_OPEN_POSITIONS = "MAX_OPEN_POSITIONS"
    MAX_GROSS_EXPOSURE = "MAX_GROSS_EXPOSURE"
    MAX_LEVERAGE = "MAX_LEVERAGE"
    CAPITAL_CAP = "CAPITAL_CAP"
    MAX_SECTOR_EXPOSURE = "MAX_SECTOR_EXPOSURE"
    MAX_CORRELATION = "MAX_CORRELATION"
    MIN_DIVERSIFICATION = "MIN_DIVERSIFICATION"
    MARKET_CONDITION = "MARKET_CONDITION"
    MAX_DAILY_LOSS = "MAX_DAILY_LOSS"
    MAX_DRAWDOWN = "MAX_DRAWDOWN"
    MAX_LOSING_STREAK = "MAX_LOSING_STREAK"
    COOLDOWN = "COOLDOWN"
    MAX_DAILY_TRADES = "MAX_DAILY_TRADES"
    WASH_TRADE = "WASH_TRADE"
    UNKNOWN_OUTSTANDING = "UNKNOWN_OUTSTANDING"


@quick_init
@dataclass(frozen=True)
class RiskRequest:
    """An order that somebody wants, on fresh state under the portfolio's lock.

    Money in the base currency, quantities in units, percentages of equity where nothing else is said. A number
    that is not known is NaN. Working and unknown orders count at full exposure in everything that is held.
    """

    side: str
    quantity: Decimal
    price: Decimal
    """the last price"""
    execution_price: Decimal
    """the worst that it is expected to get by its terms: a market buy the ask and slippage, a limit order its limit"""
    cost: Decimal
    """cash that a buy reserves: what it may really pay, with slippage, fee and a cushion where its price is open"""
    protective: bool
    """a flatten or a position's own protection"""
    of_rule: bool
    limits: EffectiveLimits
    # who, when, whether at all
    halt: str | None
    """"halt" or "reduce_only", with its reason in halt_reason"""
    halt_reason: str
    actor_objection: str
    """why this actor or this portfolio's account may not trade; empty when they may"""
    instrument_objection: str
    """why this instrument may not be bought; empty when it may"""
    market_open: bool
    time_objection: str
    """why the session's own hours say no; empty when they do not"""
    # the market
    price_age_seconds: Decimal
    """database time"""
    recommendation_age_minutes: Decimal | None
    """market time; None when the order rests on no recommendation"""
    bar_close: Decimal
    """close of the last completed bar"""
    spread_bps: Decimal
    volatility: Decimal
    """a year, as a fraction"""
    volume: Decimal
    relative_volume: Decimal
    # the books
    equity: Decimal
    free_cash: Decimal
    free_quantity: Decimal
    position_value: Decimal
    """of this instrument"""
    gross_exposure: Decimal
    sector_exposure: Decimal
    """of this instrument's sector"""
    open_positions: int
    opens_position: bool
    correlation: Decimal
    """highest with anything else that is held; 0 when nothing else is"""
    effective_holdings: Decimal
    """1 / Σ weight² of what is held; 0 when nothing is"""
    effective_holdings_after: Decimal
    """the same with this buy"""
    capital_cap: Decimal | None
    """what the session may have invested; None: everything"""
    session_invested: Decimal
    """worth of what the session has bought and still holds, working buys included"""
    # what was before
    daily_pnl_percentage: Decimal
    drawdown_percentage: Decimal
    losing_streak: int
    minutes_since_sold: Decimal
    """market time since this instrument was last sold; infinite when never, as far as anybody asks"""
    messages_last_second: int
    messages_last_minute: int
    twins: int
    """orders with the same symbol, side, quantity and rule within `trading.core.history.twin_seconds`"""
    rule_executions: int
    """trades of the rule within `rule_execution_window_minutes`"""
    daily_trades: int
    daily_trades_of_rule: int
    daily_trades_of_symbol: int
    opposite_orders: int
    """open orders of the same account on the other side of this instrument that it might meet, or beside which its
    broker rejects it"""
    unknown_before: int
    """orders whose outcome nobody knows on this symbol and, for an entry of a rule, of the same rule"""
    terms: OrderTerms = MARKET_DAY
    terms_objection: str = ""
    """what the account's broker cannot do of it, and what it could; empty when it can"""
    own_working: int = 0
    """orders of the same rule on the same side of this instrument that still work"""

    @cached_property
    def value(self) -> Decimal:
        """By what a unit may cost or bring."""
        return self.quantity * self.order_price

    @property
    def order_price(self) -> Decimal:
        """What the order is measured at: the last price, its limit or its stop price."""
        return measured_at(self.terms, side=self.side, last=self.price)

    @property
    def reference_price(self) -> Decimal:
        """What the price of its execution is compared with."""
        return reference(self.terms, side=self.side, last=self.price)

    @property
    def reduces(self) -> bool:
        """A sell of what is held: nothing that limits size, exposure or loss may block it."""
        return self.side == "sell"


class Finding(NamedTuple):
    """One control's answer. A tuple, because each order makes some forty of them."""

    code: RefusalCode
    passed: bool
    value: Any
    limit: Any
    note: str = ""
    limit_name: str = ""
    """of the catalogue, where the limit is one that somebody sets"""

    def as_dict(self) -> dict[str, Any]:
        row = {"code": self.code.value, "passed": self.passed, "value": self.value, "limit": self.limit}
        more = {"limit_name": self.limit_name, "note": self.note}
        return row | {key: text for key, text in more.items() if text}


@quick_init
@dataclass(frozen=True)
class Approved:
    """The only thing that order management makes a trade from. Names what the order must name."""

    request: RiskRequest
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Refused:
    code: RefusalCode
    detail: str
    findings: tuple[Finding, ...]
