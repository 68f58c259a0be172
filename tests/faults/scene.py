"""Many portfolios at the simulator, and some on paper, that buy low and sell high: made by the real services.

Every portfolio trades four symbols whose prices go up and down in waves; its limits are tight enough to hold orders
up all the time: a double order, or exposure that was forgotten, would pass a limit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from django.contrib.auth import get_user_model

from market.models import CalendarDay, Exchange, Instrument
from portfolios.models import BrokerAccount, Portfolio, Role
from portfolios.services.limits import PLATFORM_DEFAULTS, set_limits
from portfolios.services.portfolios import create_portfolio, deposit, set_member
from rules.services.rules import create_rule
from sessions.models import TradingSession
from sessions.services.sessions import pause_trading_session, start_trading_session
from tests.faults.market import BASE, BEGINS, SYMBOLS
from tests.harness.simulator import Simulator
from trading.services.connecting import connect_account

CASH = Decimal(12_000)
SHARES = (9, 10, 11)
SYMBOLS_EACH = 4
DAYS = 60
NEVER = Decimal(10**6)
# Of the whole platform: tight where a double order would show, out of the way where a campaign would end.
LIMITS: dict[str, Decimal] = {
    "max_order_value": Decimal(2_000),
    "max_position_percentage": Decimal(100),
    "max_position_value": Decimal(2_600),
    "max_open_positions": Decimal(3),
    "max_daily_trades": Decimal(120),
    "max_daily_trades_per_rule": Decimal(120),
    "max_daily_trades_per_symbol": Decimal(60),
    "max_messages_per_second": Decimal(6),
    "max_messages_per_minute": Decimal(90),
    "max_price_age_seconds": Decimal(8),
    "max_price_move_percentage": NEVER,
    "max_rule_executions": NEVER,
    "duplicate_order_seconds": Decimal(0),
    "max_losing_streak": NEVER,
    "max_daily_loss_percentage": Decimal(100),
    "max_drawdown_percentage": Decimal(100),
    "max_rejections_per_minute": NEVER,
    "max_feed_silence_seconds": NEVER,
    "max_beat_silence_seconds": NEVER,
}


@dataclass(frozen=True)
class Place:
    """One portfolio; `key` of its account at the simulator, "" on paper."""

    portfolio: Portfolio
    account: BrokerAccount
    session: TradingSession
    key: str


@dataclass(frozen=True)
class Scene:
    """alice owns everything and runs it; bob is the risk officer everywhere, and of the staff; carol is staff."""

    places: tuple[Place, ...]
    alice: Any
    bob: Any
    carol: Any

    @property
    def at_broker(self) -> tuple[Place, ...]:
        return tuple(place for place in self.places if place.key)

    def stop_entries(self) -> None:
        for place in self.places:
            if TradingSession.objects.get(pk=place.session.pk).status == TradingSession.Status.ACTIVE:
                pause_trading_session(session_id=place.session.id, actor=self.alice)


def make_market() -> None:
    """An exchange that is open day and night, and its instruments."""
    exchange = Exchange.objects.create(code="XFLT", name="Faults", timezone="UTC")
    for number in range(DAYS):
        opens = datetime.combine(BEGINS.date() + timedelta(days=number), datetime.min.time(), BEGINS.tzinfo)
        CalendarDay.objects.create(
            exchange=exchange, day=opens.date(), opens_at=opens, closes_at=opens + timedelta(seconds=86_399)
        )
    for symbol in SYMBOLS:
        Instrument.objects.create(
            symbol=symbol, name=symbol, exchange=exchange, sector="Testing", tick_size=Decimal("0.01"),
            lot_size=Decimal(1),
        )  # fmt: skip


def set_the_scene(simulator: Simulator, *, portfolios: int, on_paper: int, seed: int) -> Scene:
    make_market()
    users = get_user_model().objects
    alice = users.create(username="alice")
    bob, carol = users.create(username="bob", is_staff=True), users.create(username="carol", is_staff=True)
    set_limits(scope="platform", values=PLATFORM_DEFAULTS | LIMITS, actor=None)
    simulator.quotes(dict.fromkeys(SYMBOLS, (BASE, BASE)))
    places = []
    for number in range(portfolios + on_paper):
        draws = Random(f"{seed}|portfolio|{number}")
        portfolio = create_portfolio(name=f"Portfolio {number}", owner=alice)
        set_member(portfolio=portfolio, user=bob, role=Role.RISK_OFFICER, actor=alice)
        key = f"KEY{number:05d}" if number < portfolios else ""
        account = _fund(portfolio, simulator, key, actor=alice)
        for rule in rules(draws):
            create_rule(portfolio_id=portfolio.id, rule=rule, actor=alice)
        symbols = sorted(draws.sample(SYMBOLS, SYMBOLS_EACH))
        session = start_trading_session(
            portfolio_id=portfolio.id, config={"universe": {"symbols": symbols}}, actor=alice
        )
        places.append(Place(portfolio, account, session, key))
    return Scene(tuple(places), alice, bob, carol)


def secret_of(key: str) -> str:
    return f"secret-of-{key}-0123456789"


def _fund(portfolio: Portfolio, simulator: Simulator, key: str, *, actor: Any) -> BrokerAccount:
    if not key:
        deposit(portfolio_id=portfolio.id, amount=CASH, actor=actor)
        return BrokerAccount.objects.get(portfolio=portfolio)
    simulator.account(key, secret=secret_of(key), cash=CASH)
    return connect_account(
        portfolio_id=portfolio.id,
        broker="alpaca",
        is_live=False,
        key_id=key,
        secret=secret_of(key),
        actor=actor,
    )


def rules(draws: Random) -> Iterator[dict[str, Any]]:
    """Buy below, sell above, at thresholds of the portfolio's own; every second one with protections. Every third one
    goes on into the limit of its positions at every tick; the others stop below it."""
    low, high = (Decimal(draws.randint(15, 50)) / 100 for _ in range(2))
    buy: dict[str, Any] = {
        "type": "buy", "sizing_method": "fixed", "size_unit": "shares", "size_value": draws.choice(SHARES)
    }  # fmt: skip
    if draws.random() < 0.5:
        buy |= {"stop_loss_percentage": 1, "take_profit_percentage": 1}
    if draws.random() < 0.3:
        buy |= {"order_type": "limit", "limit_offset_bps": 10}
    is_low = [{"field": "price", "operator": "less_than", "value": float(BASE - low)}]
    if draws.random() < 2 / 3:
        is_low.append({"field": "open_positions", "operator": "less_than", "value": 3})
    yield {"name": "Buy low", "rule_type": "entry", "actions": [buy], "conditions": is_low}
    yield {
        "name": "Sell high", "rule_type": "exit",
        "conditions": [
            {"field": "position_quantity", "operator": "greater_than", "value": 0},
            {"field": "price", "operator": "greater_than", "value": float(BASE + high)},
        ],
        "actions": [{"type": "sell", "sizing_method": "full_position"}],
    }  # fmt: skip
