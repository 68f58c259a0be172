"""Every control on an order: what is asked of the fresh state, and the answer.

A batch is checked cumulatively: what one approved order reserves in the open books is spent for the next.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.conf import settings

from foundation.core.money import ZERO
from foundation.core.quick import quick_init
from market.models import Instrument
from portfolios.core.limits import EffectiveLimits
from portfolios.models import BrokerAccount, BrokerCredential
from sessions.models import TradingSession
from trading.brokers.capabilities import terms_objection
from trading.brokers.connections import capabilities_of, rejects_opposites
from trading.core.history import OpenOrder
from trading.core.order_prices import measured_at
from trading.core.orders import MARKET_DAY, OrderTerms
from trading.core.portfolio_risk import effective_holdings
from trading.core.risk import Approved, Refused, RiskRequest, assess
from trading.services.fresh_state import FreshState

NAN = Decimal("NaN")


@quick_init
@dataclass(frozen=True)
class OrderWish:
    """An order that somebody wants, `price` being the last price. `actor_objection`: why he may not have it,
    however good it is.

    `protective`: it flattens, or protects a position. `recommended_at`: market time of the advice it rests on.
    `freed`: units that orders which make way for it would give back.
    """

    side: str
    quantity: Decimal
    instrument: Instrument
    price: Decimal
    rule_id: uuid.UUID | None = None
    protective: bool = False
    recommended_at: datetime | None = None
    actor_objection: str = ""
    terms: OrderTerms = MARKET_DAY
    freed: Decimal = ZERO


def validate_trade(state: FreshState, wish: OrderWish) -> Approved | Refused:
    """Every control on one order, on fresh state. Only an Approved can become a trade."""
    return assess(request_of(state, wish))


def request_of(state: FreshState, wish: OrderWish) -> RiskRequest:
    """The order with every fact that a control asks for."""
    instrument, side, rule_id = wish.instrument, wish.side, wish.rule_id
    portfolio = state.books.portfolios[state.portfolio_id]
    position = state.books.position(state.portfolio_id, instrument.id)
    facts = state.settled().portfolio
    exposures = state.exposures()
    exposure = state.exposure(instrument)
    history, limits = state.history, state.limits_for(instrument)
    halt = state.halt_for(symbol=instrument.symbol, rule_id=rule_id)
    market = state.view.market_of(instrument)
    buys = side == "buy"
    order_value = wish.quantity * measured_at(wish.terms, side=side, last=wish.price)
    objection = wish.actor_objection or account_objection(state.account)
    worst = state.execution_price(instrument, side, terms=wish.terms)
    recommended = wish.recommended_at
    spread_now, spread_after = _spread_out(exposures, instrument, order_value if buys else ZERO, limits)
    return RiskRequest(
        side=side,
        quantity=wish.quantity,
        price=wish.price,
        execution_price=worst,
        cost=state.cash_needed(instrument, wish.quantity, terms=wish.terms) if buys else ZERO,
        protective=wish.protective,
        of_rule=rule_id is not None,
        limits=limits,
        halt=halt.mode if halt else None,
        halt_reason=halt.reason if halt else "",
        actor_objection=objection,
        instrument_objection=_instrument_objection(state, instrument),
        market_open=market.is_open,
        time_objection=_time_objection(state, instrument) if buys else "",
        price_age_seconds=state.price_age_seconds(instrument),
        recommendation_age_minutes=None if recommended is None else market.minutes_since(recommended),
        bar_close=market.bar_close,
        spread_bps=market.spread_bps,
        volatility=market.fact("volatility") if "max_volatility" in limits.asked else NAN,
        volume=market.fact("volume") if "min_volume" in limits.asked else NAN,
        relative_volume=market.fact("relative_volume") if "min_relative_volume" in limits.asked else NAN,
        equity=state.equity(),
        free_cash=portfolio.cash - portfolio.reserved_cash,
        free_quantity=position.quantity - position.reserved_quantity + wish.freed,
        position_value=exposure,
        gross_exposure=sum(exposures.values(), ZERO),
        sector_exposure=_sector_exposure(state, instrument.sector),
        open_positions=len(exposures),
        opens_position=buys and instrument.id not in exposures,
        correlation=_correlation(state, instrument, limits) if buys else ZERO,
        effective_holdings=spread_now,
        effective_holdings_after=spread_after,
        capital_cap=state.capital_cap(),
        session_invested=state.session_invested() if state.config.capital_cap is not None else ZERO,
        daily_pnl_percentage=Decimal(repr(facts["daily_pnl_percentage"])),
        drawdown_percentage=Decimal(repr(facts["drawdown_percentage"])),
        losing_streak=history.losing_streak,
        minutes_since_sold=history.minutes_since_sold(instrument.id),
        messages_last_second=history.messages_last_second,
        messages_last_minute=history.messages_last_minute,
        twins=history.twins(
            instrument_id=instrument.id,
            side=side,
            quantity=wish.quantity,
            rule_id=rule_id,
            limits=limits,
            protective=wish.protective,
        ),
        rule_executions=history.rule_executions(rule_id, limits),
        daily_trades=history.daily_trades,
        daily_trades_of_rule=history.daily_trades_of_rule(rule_id),
        daily_trades_of_symbol=history.daily_trades_of_symbol(instrument.id),
        opposite_orders=len(opposite_orders(state, wish, worst=worst)),
        unknown_before=history.unknown_before(instrument_id=instrument.id, side=side, rule_id=rule_id),
        terms=wish.terms,
        terms_objection="" if objection else _terms_objection(state, wish),
        own_working=history.own_working(instrument_id=instrument.id, side=side, rule_id=rule_id),
    )


def opposite_orders(state: FreshState, wish: OrderWish, *, worst: Decimal | None = None) -> list[OpenOrder]:
    """Own open orders on the other side that it might meet, or beside which its broker rejects it. worst: the price
    that it is expected to get, where the caller knows it."""
    if worst is None:
        worst = state.execution_price(wish.instrument, wish.side, terms=wish.terms)
    return state.history.opposite_orders(
        instrument_id=wish.instrument.id, side=wish.side, price=worst,
        at_strict=wish.terms.order_type if rejects_opposites(state.account) else None,
    )  # fmt: skip


def account_objection(account: BrokerAccount) -> str:
    """Why nothing can be sent for this account; empty when it can."""
    if account.broker == BrokerAccount.Broker.PAPER:
        return ""
    if account.broker not in BrokerAccount.Broker.values:
        return f"there is no connection to the broker {account.broker!r}"
    if account.is_live and not settings.ALLOW_LIVE_TRADING:
        return "its money is real, and this installation does not permit live trading (ALLOW_LIVE_TRADING)"
    if not BrokerCredential.objects.filter(account=account).exists():
        return f"no keys of {account.broker} are stored for it: connect the account first"
    if not account.account_number:
        return f"its number at {account.broker} is not known: connect the account again"
    return ""


def _terms_objection(state: FreshState, wish: OrderWish) -> str:
    return terms_objection(capabilities_of(state.account), wish.terms, quantity=wish.quantity)


def _instrument_objection(state: FreshState, instrument: Instrument) -> str:
    if not instrument.is_active:
        return "it is not active"
    kept_in = state.books.portfolios[state.portfolio_id].base_currency
    if instrument.currency != kept_in:
        return (
            f"it is priced in {instrument.currency}, and the portfolio is kept in {kept_in}: buy it in a portfolio "
            f"that is kept in {instrument.currency}"
        )
    return state.permissions.objection(instrument.id)


def _time_objection(state: FreshState, instrument: Instrument) -> str:
    """A session that stops already makes no entries, and its end is none for those of people."""
    runs = state.session is not None and state.session.status != TradingSession.Status.STOPPING
    ends_at, window = (
        state.session.ends_at if state.session is not None and runs else None,
        state.config.trading_window,
    )
    if ends_at is not None and state.view.snapshot.as_of >= ends_at:
        return f"the session ended at {ends_at:%Y-%m-%d %H:%M} UTC"
    if window is None:
        return ""
    zone = ZoneInfo(instrument.exchange.timezone)
    return window.objection(
        state.view.facts(state.config.recommendation_sources),
        symbol=instrument.symbol,
        local_day=state.view.snapshot.as_of.astimezone(zone).date(),
    )


def _sector_exposure(state: FreshState, sector: str) -> Decimal:
    """Instruments without a sector count as one of their own."""
    instruments = state.view.instruments
    return sum((worth for key, worth in state.exposures().items() if instruments[key].sector == sector), ZERO)


def _spread_out(
    exposures: Mapping[int, Decimal], instrument: Instrument, bought: Decimal, limits: EffectiveLimits
) -> tuple[Decimal, Decimal]:
    """The effective holdings before and after the order; looked at only where a limit asks for them."""
    if "min_effective_holdings" not in limits.asked:
        return NAN, NAN
    after = {**exposures, instrument.id: exposures.get(instrument.id, ZERO) + bought} if bought else exposures
    return effective_holdings(list(exposures.values())), effective_holdings(list(after.values()))


def _correlation(state: FreshState, instrument: Instrument, limits: EffectiveLimits) -> Decimal:
    """Looked up only where a limit asks for it: it needs the returns of everything that is held."""
    if "max_correlation" not in limits.asked:
        return NAN
    neighbourhood = state.view.neighbourhood
    highest, _ = neighbourhood.correlations(state.valuation().held)
    return Decimal(repr(float(highest[neighbourhood.place[instrument.symbol]])))
