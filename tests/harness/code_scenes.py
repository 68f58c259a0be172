"""For each refusal code a portfolio whose rule wants to buy and is refused by exactly that code.

`SCENES` maps a name to a function that prepares it on a desk through the services; what all of them share, and the
market that they trade in, is in tests/integration/trading/test_every_code_by_a_worker.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model

from market.services import snapshots
from portfolios.models import Portfolio, Role
from portfolios.services.marks import EquityMark, note_equity
from portfolios.services.permissions import set_instrument_permissions
from portfolios.services.portfolios import set_member
from rules.models import RuleVersion
from tests.harness import order_steps
from tests.harness.trading import Desk
from trading.core.risk import Approved, Refused
from trading.models import AutoTrade
from trading.services.breakers import trip_on_losses
from trading.services.emergency_stop import arm, release
from trading.services.facts import market_view
from trading.services.trade_execution import execute_pending
from trading.services.worth import read_worth

D = Decimal
UNITS = 10
"""what every rule buys, at a price of 100"""
ADVISED = ({"field": "ai_recommendation", "operator": "equals", "value": "STRONG_BUY"},)
PRICED = ({"field": "price", "operator": "greater_than", "value": 1},)


@dataclass(frozen=True)
class Scene:
    """`before` is done on the first market, while everything may still be executed; `then` stays open.

    `trades`: how many of the rule's symbols are bought all the same, before the limit is reached.
    """

    code: str
    limits: Mapping[str, Any] = field(default_factory=dict)
    symbols: tuple[str, ...] = ("AAA",)
    config: Mapping[str, Any] = field(default_factory=dict)
    cash: int = 100_000
    conditions: tuple[Any, ...] = PRICED
    before: Callable[[Desk], None] = lambda desk: None
    then: Callable[[Desk], None] = lambda desk: None
    trades: int = 0


def ordered(
    desk: Desk, side: str, symbol: str, units: int, *, by_rule: bool = False
) -> tuple[Approved | Refused, AutoTrade | None]:
    """The answer to an order of Alice's, or of her rule, and the pending trade."""
    version = RuleVersion.objects.get(rule__portfolio=desk.portfolio)
    with order_steps.batch(desk.portfolio, desk.session, version) as batch:
        return batch.ask(side, batch.state.view.by_symbol[symbol], D(units), by_rule=by_rule)


def asked(desk: Desk, side: str, symbol: str, units: int) -> Approved | Refused:
    return ordered(desk, side, symbol, units)[0]


def trade(desk: Desk, side: str, symbol: str, units: int, *, by_rule: bool = False) -> AutoTrade:
    """An approved order, pending."""
    verdict, made = ordered(desk, side, symbol, units, by_rule=by_rule)
    assert made is not None, verdict
    return made


def done(*orders: tuple[str, str, int], by_rule: bool = False) -> Callable[[Desk], None]:
    """Orders that were executed before."""

    def prepare(desk: Desk) -> None:
        for side, symbol, units in orders:
            trade(desk, side, symbol, units, by_rule=by_rule)
            assert execute_pending() == 1

    return prepare


def halted(desk: Desk) -> None:
    arm(scope="portfolio", scope_id=str(desk.portfolio.id), reason="a test", actor=desk.owner)


def restricted(desk: Desk) -> None:
    set_instrument_permissions(
        portfolio_id=desk.portfolio.id, permitted=(), restricted={"AAA": "insider list"}, actor=desk.owner
    )


def marked(equity: int, *, days_ago: int) -> Callable[[Desk], None]:
    """The portfolio was worth so much: today at the first evaluation, or at its highest before."""

    def prepare(desk: Desk) -> None:
        day: date = desk.market.as_of.date() - timedelta(days=days_ago)
        cash = Portfolio.objects.get(pk=desk.portfolio.id).cash
        note_equity([EquityMark(desk.portfolio.id, day, D(equity), cash)])

    return prepare


def judged(desk: Desk) -> None:
    """A risk officer has released the breaker that the loss has tripped: the control still refuses entries."""
    bob, _ = get_user_model().objects.get_or_create(username="bob")
    set_member(portfolio=desk.portfolio, user=bob, role=Role.RISK_OFFICER, actor=desk.owner)
    snapshot = snapshots.current()
    assert snapshot is not None
    worth = read_worth([desk.portfolio.id], market_view(snapshot))
    (halt,) = trip_on_losses(
        worth, session_ids={desk.portfolio.id: desk.session.id}, market_day=snapshot.as_of.date()
    )
    release(halt_id=halt.id, actor=bob)


def selling(desk: Desk) -> None:
    """A sell of the symbol waits."""
    trade(desk, "sell", "AAA", 5)


def unknown(desk: Desk) -> None:
    """A buy of the symbol was sent, and nobody knows what became of it."""
    sent = trade(desk, "buy", "AAA", 5)
    order_steps.send(sent.id)
    order_steps.take(sent.id, "submitting", "unknown")


HOLDS_AAA = done(("buy", "AAA", UNITS - 1))
AT_A_LOSS = done(("buy", "BBB", UNITS), ("sell", "BBB", UNITS))
"""bought at the ask and sold at the bid"""
SCENES: Mapping[str, Scene] = {
    "a halt on the portfolio": Scene("HALTED", then=halted),
    "a limit that nobody has set": Scene("NO_LIMIT_SET", {"max_order_quantity": None}),
    "a restricted instrument": Scene("NOT_PERMITTED", then=restricted),
    "a closed exchange": Scene("MARKET_CLOSED", symbols=("SHUT",)),
    "a blackout date": Scene("TIME_RESTRICTED", config={"trading_window": {"blackout_dates": ["2010-03-02"]}}),
    "an old price": Scene("STALE_DATA", {"max_price_age_seconds": 0}),
    "old advice": Scene("STALE_DATA", {"max_recommendation_age_minutes": 60}, conditions=ADVISED),
    "a price far from the last bar's": Scene("PRICE_COLLAR", symbols=("MOVED",)),
    "a quote far from the last price": Scene("PRICE_COLLAR", {"max_spread_bps": 20_000}, symbols=("WIDE",)),
    "an order's value": Scene("MAX_ORDER_VALUE", {"max_order_value": "999.99"}),
    "an order's quantity": Scene("MAX_ORDER_QUANTITY", {"max_order_quantity": UNITS - 1}),
    "messages of a minute": Scene("MAX_MESSAGES", {"max_messages_per_minute": 1}, ("AAA", "BBB"), trades=1),
    "the same order again": Scene(
        "DUPLICATE_ORDER", {"duplicate_order_seconds": 100_000}, before=done(("buy", "AAA", UNITS), by_rule=True)
    ),
    "a rule that fired too often": Scene(
        "REPEATED_EXECUTION", {"max_rule_executions": 1, "rule_execution_window_minutes": 2_000},
        before=done(("buy", "AAA", UNITS - 1), by_rule=True)
    ),
    "too little cash": Scene("INSUFFICIENT_CASH", cash=1_000),
    "a position's share": Scene("MAX_POSITION_SIZE", {"max_position_percentage": "0.99"}),
    "a position's value": Scene("MAX_POSITION_VALUE", {"max_position_value": "999.99"}),
    "a second position": Scene("MAX_OPEN_POSITIONS", {"max_open_positions": 1}, ("AAA", "BBB"), trades=1),
    "what is invested": Scene("MAX_GROSS_EXPOSURE", {"max_gross_exposure_percentage": "0.99"}),
    "leverage": Scene("MAX_LEVERAGE", {"max_leverage": "0.0099"}),
    "the session's part": Scene("CAPITAL_CAP", config={"capital_cap": {"amount": "999.99"}}),
    "a sector": Scene("MAX_SECTOR_EXPOSURE", {"max_sector_exposure_percentage": "0.99"}),
    "a twin of a holding": Scene(
        "MAX_CORRELATION", {"max_correlation": "0.9"}, ("TWIN",), before=done(("buy", "BBB", UNITS))
    ),
    "more of the only holding": Scene("MIN_DIVERSIFICATION", {"min_effective_holdings": 2}, before=HOLDS_AAA),
    "a volatile instrument": Scene("MARKET_CONDITION", {"max_volatility": "0.5"}, ("WILD",)),
    "a quiet instrument": Scene("MARKET_CONDITION", {"min_volume": 1_000_001}),
    "relatively little volume": Scene("MARKET_CONDITION", {"min_relative_volume": "1.01"}),
    "a wide spread": Scene("MARKET_CONDITION", {"max_spread_bps": 19}),
    "the day's loss": Scene("MAX_DAILY_LOSS", before=marked(112_000, days_ago=-1), then=judged),
    "the drawdown": Scene("MAX_DRAWDOWN", before=marked(200_000, days_ago=30), then=judged),
    "a losing streak": Scene("MAX_LOSING_STREAK", {"max_losing_streak": 1}, before=AT_A_LOSS),
    "a symbol that was just sold": Scene(
        "COOLDOWN", {"entry_cooldown_minutes": 10_000}, before=done(("buy", "AAA", 9), ("sell", "AAA", 9))
    ),
    "the portfolio's trades of the day": Scene("MAX_DAILY_TRADES", {"max_daily_trades": 1}, ("AAA", "BBB"), trades=1),
    "the rule's trades of the day": Scene(
        "MAX_DAILY_TRADES", {"max_daily_trades_per_rule": 1}, ("AAA", "BBB"), trades=1
    ),
    "an own sell that waits": Scene("WASH_TRADE", before=HOLDS_AAA, then=selling),
    "an order that nobody knows of": Scene("UNKNOWN_OUTSTANDING", then=unknown),
}  # fmt: skip
