"""An ordinary buy and sell for the pure controls, and limits that let them pass."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from portfolios.core.limits import CATALOGUE, EffectiveLimits
from trading.core.risk import Refused, RiskRequest, assess

D = Decimal
LIMITS: Mapping[str, Decimal | None] = {spec.name: spec.default for spec in CATALOGUE} | {
    "max_order_value": D(10_000),
    "max_order_quantity": D(100),
    "max_position_percentage": D(20),
    "max_position_value": D(30_000),
    "max_open_positions": D(5),
    "max_gross_exposure_percentage": D(80),
    "max_leverage": D("0.8"),
    "max_sector_exposure_percentage": D(40),
    "max_correlation": D("0.9"),
    "min_effective_holdings": D(3),
    "max_volatility": D("0.6"),
    "min_volume": D(1_000_000),
    "min_relative_volume": D("0.5"),
    "max_spread_bps": D(50),
    "max_price_deviation_percentage": D(2),
    "max_price_move_percentage": D(25),
    "max_price_age_seconds": D(30),
    "max_recommendation_age_minutes": D(1_440),
    "max_messages_per_second": D(10),
    "max_messages_per_minute": D(100),
    "duplicate_order_seconds": D(30),
    "max_rule_executions": D(7),
    "rule_execution_window_minutes": D(60),
    "max_daily_trades": D(10),
    "max_daily_trades_per_rule": D(6),
    "max_daily_trades_per_symbol": D(4),
    "max_daily_loss_percentage": D(3),
    "max_drawdown_percentage": D(15),
    "max_losing_streak": D(5),
    "entry_cooldown_minutes": D(20),
}
# Nobody is stopped by these.
WIDE: Mapping[str, Decimal | None] = {
    spec.name: spec.open_end if spec.higher_is_tighter else D(1_000_000) for spec in CATALOGUE
}
BUY = RiskRequest(
    side="buy", quantity=D(50), price=D(100), execution_price=D("100.1"), cost=D(5_010), protective=False,
    of_rule=True, limits=EffectiveLimits(values=LIMITS, versions="platform:1"), halt=None, halt_reason="",
    actor_objection="", instrument_objection="", market_open=True, time_objection="", price_age_seconds=D(1),
    recommendation_age_minutes=D(60), bar_close=D(101), spread_bps=D(10), volatility=D("0.3"), volume=D(5_000_000),
    relative_volume=D(1), equity=D(100_000), free_cash=D(50_000), free_quantity=D(0), position_value=D(0),
    gross_exposure=D(50_000), sector_exposure=D(20_000), open_positions=2, opens_position=True,
    correlation=D("0.4"), effective_holdings=D(4), effective_holdings_after=D(5), capital_cap=D(40_000),
    session_invested=D(20_000), daily_pnl_percentage=D(0), drawdown_percentage=D(1), losing_streak=0,
    minutes_since_sold=D("Infinity"), messages_last_second=0, messages_last_minute=0, twins=0, rule_executions=3,
    daily_trades=3, daily_trades_of_rule=2, daily_trades_of_symbol=1, opposite_orders=0, unknown_before=0,
)  # fmt: skip
SELL = replace(
    BUY, side="sell", execution_price=D("99.9"), cost=D(0), free_quantity=D(50), position_value=D(5_000),
    opens_position=False, recommendation_age_minutes=None, correlation=D(0),
)  # fmt: skip


def code_of(request: RiskRequest) -> str | None:
    verdict = assess(request)
    return verdict.code.value if isinstance(verdict, Refused) else None
