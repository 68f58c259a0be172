"""1,000 orders over 200 portfolios with every fact that a control asks for, and what must be answered to each.

Seven in ten are unobjectionable. The others are so but for one fact, which lies one unit beyond its limit; each
control on the way of a buy, and each code, has its turn.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from portfolios.core.limits import CATALOGUE, EffectiveLimits
from trading.core.risk import RiskRequest

D = Decimal
PORTFOLIOS = 200
REQUESTS_OF_EACH = 5
REFUSED_SHARE = 0.3
# What everybody has, times a factor of his own between 1 and 1.5: so all limits differ, and all facts are within.
BASE = {
    "max_order_value": 10_000, "max_order_quantity": 100, "max_position_percentage": 20,
    "max_position_value": 30_000, "max_open_positions": 10, "max_gross_exposure_percentage": 60,
    "max_leverage": "0.95", "max_sector_exposure_percentage": 50, "max_correlation": "0.6",
    "min_effective_holdings": 2, "max_volatility": "0.6", "min_volume": 100_000, "min_relative_volume": "0.3",
    "max_spread_bps": 50, "max_price_deviation_percentage": 2, "max_price_move_percentage": 25,
    "max_price_age_seconds": 30, "max_recommendation_age_minutes": 1_440, "max_messages_per_second": 10,
    "max_messages_per_minute": 100, "duplicate_order_seconds": 30, "max_rule_executions": 10,
    "rule_execution_window_minutes": 60, "max_daily_trades": 20, "max_daily_trades_per_rule": 12,
    "max_daily_trades_per_symbol": 8, "max_daily_loss_percentage": 3, "max_drawdown_percentage": 15,
    "max_losing_streak": 5, "entry_cooldown_minutes": 20,
}  # fmt: skip
COUNTED = ("messages", "executions", "trades", "open_positions", "streak")

Plant = Callable[[RiskRequest], dict[str, Any]]


@dataclass(frozen=True)
class Batch:
    """`codes`: what each request must be refused with; None where it must be approved."""

    requests: list[RiskRequest]
    codes: list[str | None]

    @property
    def approved(self) -> int:
        return self.codes.count(None)


def make_batch(seed: int) -> Batch:
    rng = random.Random(seed)
    requests: list[RiskRequest] = []
    codes: list[str | None] = []
    plants = sorted(PLANTS, key=lambda _: rng.random())
    for _ in range(PORTFOLIOS):
        limits = _limits(rng)
        for _ in range(REQUESTS_OF_EACH):
            refused = rng.random() < REFUSED_SHARE
            code, of_sells, plant = plants[len(requests) % len(plants)]
            sells = of_sells if refused else rng.random() < 0.3
            request = _sell(rng, limits) if sells else _buy(rng, limits)
            requests.append(replace(request, **plant(request)) if refused else request)
            codes.append(code if refused else None)
    return Batch(requests, codes)


def _limits(rng: random.Random) -> EffectiveLimits:
    values: dict[str, Decimal | None] = {spec.name: spec.default for spec in CATALOGUE}
    for name, least in BASE.items():
        value = D(str(least)) * D(rng.randrange(100, 150)) / 100
        counted = any(word in name for word in COUNTED)
        values[name] = value.to_integral_value() if counted else value
    return EffectiveLimits(values=values, versions=f"platform:1 portfolio:{rng.randrange(1, 9)}")


def _between(rng: random.Random, low: float, high: float) -> Decimal:
    return D(str(round(rng.uniform(low, high), 4)))


def _buy(rng: random.Random, limits: EffectiveLimits) -> RiskRequest:
    """Within everybody's limits."""
    quantity, price = D(rng.randrange(5, 60)), D(rng.randrange(5_000, 14_000)) / 100
    return RiskRequest(
        side="buy", quantity=quantity, price=price, execution_price=price * _between(rng, 1, 1.01),
        cost=quantity * price * D("1.03"), protective=False, of_rule=True, limits=limits, halt=None, halt_reason="",
        actor_objection="", instrument_objection="", market_open=True, time_objection="",
        price_age_seconds=_between(rng, 0, 29), recommendation_age_minutes=_between(rng, 0, 1_400),
        bar_close=price * _between(rng, 0.9, 1.1), spread_bps=_between(rng, 1, 49),
        volatility=_between(rng, 0.1, 0.59), volume=D(rng.randrange(150_000, 9_000_000)),
        relative_volume=_between(rng, 0.45, 3), equity=D(rng.randrange(100_000, 120_000)),
        free_cash=D(rng.randrange(40_000, 60_000)), free_quantity=D(0), position_value=D(rng.randrange(0, 9_000)),
        gross_exposure=D(rng.randrange(30_000, 50_000)), sector_exposure=D(rng.randrange(9_000, 20_000)),
        open_positions=rng.randrange(2, 9), opens_position=rng.random() < 0.5, correlation=_between(rng, -0.5, 0.59),
        effective_holdings=_between(rng, 3, 5), effective_holdings_after=_between(rng, 3, 6),
        capital_cap=D(60_000), session_invested=D(rng.randrange(0, 50_000)),
        daily_pnl_percentage=_between(rng, -2.9, 3), drawdown_percentage=_between(rng, 0, 14.9),
        losing_streak=rng.randrange(0, 5), minutes_since_sold=_between(rng, 30, 9_000),
        messages_last_second=rng.randrange(0, 7), messages_last_minute=rng.randrange(7, 70), twins=0,
        rule_executions=rng.randrange(0, 10), daily_trades=rng.randrange(8, 20),
        daily_trades_of_rule=rng.randrange(0, 8), daily_trades_of_symbol=rng.randrange(0, 8), opposite_orders=0,
        unknown_before=0,
    )  # fmt: skip


def _sell(rng: random.Random, limits: EffectiveLimits) -> RiskRequest:
    bought = _buy(rng, limits)
    return replace(
        bought, side="sell", execution_price=bought.price * _between(rng, 0.99, 1), cost=D(0),
        free_quantity=bought.quantity + rng.randrange(0, 3), position_value=bought.value, opens_position=False,
        recommendation_age_minutes=None, correlation=D(0),
    )  # fmt: skip


def _limit(r: RiskRequest, name: str) -> Decimal:
    value = r.limits.get(name)
    assert value is not None
    return value


def _beyond(fact: str, name: str, unit: str = "0.0001") -> Plant:
    """The fact one unit above its limit; below it, for a negative unit."""
    return lambda r: {fact: _limit(r, name) + D(unit)}


def _counted(fact: str, name: str) -> Plant:
    """So many that one more is one too many."""
    return lambda r: {fact: int(_limit(r, name))}


def _without_a_limit(r: RiskRequest) -> dict[str, Any]:
    name = list(BASE)[int(r.equity) % len(BASE)]
    return {"limits": EffectiveLimits({**r.limits.values, name: None}, r.limits.versions)}


def _levered(r: RiskRequest) -> dict[str, Any]:
    """Leverage speaks where more gross exposure is permitted."""
    values = {**r.limits.values, "max_gross_exposure_percentage": D(1_000)}
    gross = _limit(r, "max_leverage") * r.equity - r.value + D("0.01")
    return {"limits": EffectiveLimits(values, r.limits.versions), "gross_exposure": gross}


def _too_large(r: RiskRequest) -> dict[str, Any]:
    return {"position_value": _limit(r, "max_position_percentage") / 100 * r.equity - r.value + D("0.01")}


def _worth_too_much(r: RiskRequest) -> dict[str, Any]:
    return {"position_value": _limit(r, "max_position_value") - r.value + D("0.01"), "equity": D(1_000_000)}


def _of_equity(fact: str, name: str) -> Plant:
    return lambda r: {fact: _limit(r, name) / 100 * r.equity - r.value + D("0.01")}


def _expensive(r: RiskRequest) -> dict[str, Any]:
    price = _limit(r, "max_order_value") / r.quantity + D("0.01")
    return {"price": price, "execution_price": price, "bar_close": price}


def _many(r: RiskRequest) -> dict[str, Any]:
    return {
        "quantity": _limit(r, "max_order_quantity") + 1, "price": D(10), "execution_price": D(10), "bar_close": D(10),
    }  # fmt: skip


def _kept_for_reductions(r: RiskRequest) -> dict[str, Any]:
    """Only the last fifth of the messages is left."""
    return {"messages_last_second": int(_limit(r, "max_messages_per_second") * D("0.8") + 1)}


def _concentrated(r: RiskRequest) -> dict[str, Any]:
    """Fewer effective holdings than there must be, and no more than now."""
    after = _limit(r, "min_effective_holdings") - D("0.0001")
    return {"effective_holdings_after": after, "effective_holdings": after}


def _always(**facts: Any) -> Plant:
    return lambda r: facts


# (code, of sells, the fact that earns it)
PLANTS: list[tuple[str, bool, Plant]] = [
    ("NO_LIMIT_SET", False, _without_a_limit),
    ("HALTED", False, _always(halt="reduce_only", halt_reason="a breaker")),
    ("HALTED", True, _always(halt="halt", halt_reason="by bob")),
    ("NOT_PERMITTED", True, _always(actor_objection="is no trader")),
    ("NOT_PERMITTED", True, _always(terms_objection="it has market")),
    ("NOT_PERMITTED", False, _always(instrument_objection="it is restricted")),
    ("MARKET_CLOSED", True, _always(market_open=False)),
    ("TIME_RESTRICTED", False, _always(time_objection="before the session's hours")),
    ("STALE_DATA", True, _beyond("price_age_seconds", "max_price_age_seconds")),
    ("STALE_DATA", False, _beyond("recommendation_age_minutes", "max_recommendation_age_minutes")),
    ("PRICE_COLLAR", False, lambda r: {"execution_price": r.price * D("1.04")}),
    ("PRICE_COLLAR", True, lambda r: {"bar_close": r.price * D("0.5")}),
    ("MAX_ORDER_VALUE", False, _expensive),
    ("MAX_ORDER_QUANTITY", False, _many),
    ("MAX_MESSAGES", False, _kept_for_reductions),
    ("MAX_MESSAGES", True, _counted("messages_last_minute", "max_messages_per_minute")),
    ("DUPLICATE_ORDER", True, _always(twins=1)),
    ("DUPLICATE_ORDER", True, _always(own_working=1)),
    ("REPEATED_EXECUTION", False, _counted("rule_executions", "max_rule_executions")),
    ("INSUFFICIENT_CASH", False, lambda r: {"free_cash": r.cost - D("0.01")}),
    ("INSUFFICIENT_POSITION", True, lambda r: {"free_quantity": r.quantity - 1}),
    ("MAX_POSITION_SIZE", False, _too_large),
    ("MAX_POSITION_VALUE", False, _worth_too_much),
    ("MAX_OPEN_POSITIONS", False, lambda r: {"open_positions": int(_limit(r, "max_open_positions")) + 1}),
    ("MAX_GROSS_EXPOSURE", False, _of_equity("gross_exposure", "max_gross_exposure_percentage")),
    ("MAX_LEVERAGE", False, _levered),
    ("CAPITAL_CAP", False, lambda r: {"session_invested": D(60_000) - r.value + D("0.01")}),
    ("MAX_SECTOR_EXPOSURE", False, _of_equity("sector_exposure", "max_sector_exposure_percentage")),
    ("MAX_CORRELATION", False, _beyond("correlation", "max_correlation")),
    ("MIN_DIVERSIFICATION", False, _concentrated),
    ("MARKET_CONDITION", False, _beyond("volatility", "max_volatility")),
    ("MARKET_CONDITION", False, _beyond("volume", "min_volume", "-1")),
    ("MARKET_CONDITION", False, _beyond("relative_volume", "min_relative_volume", "-0.0001")),
    ("MARKET_CONDITION", False, _beyond("spread_bps", "max_spread_bps")),
    ("MAX_DAILY_LOSS", False, lambda r: {"daily_pnl_percentage": -_limit(r, "max_daily_loss_percentage")}),
    ("MAX_DRAWDOWN", False, _beyond("drawdown_percentage", "max_drawdown_percentage", "0")),
    ("MAX_LOSING_STREAK", False, _counted("losing_streak", "max_losing_streak")),
    ("COOLDOWN", False, _beyond("minutes_since_sold", "entry_cooldown_minutes", "-0.1")),
    ("MAX_DAILY_TRADES", False, _counted("daily_trades", "max_daily_trades")),
    ("MAX_DAILY_TRADES", False, _counted("daily_trades_of_rule", "max_daily_trades_per_rule")),
    ("MAX_DAILY_TRADES", False, _counted("daily_trades_of_symbol", "max_daily_trades_per_symbol")),
    ("WASH_TRADE", True, _always(opposite_orders=1)),
    ("UNKNOWN_OUTSTANDING", True, _always(unknown_before=1)),
]  # fmt: skip
