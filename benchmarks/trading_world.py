"""A market and portfolios for the benchmarks that trade, made and moved through the product's own services."""

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from foundation.clock import database_now
from foundation.copying import StoredJson
from journal.services.journal import append
from market.core.snapshot import MarketSnapshot
from market.models import Exchange, Instrument
from market.services import snapshots
from portfolios.core.limits import CATALOGUE
from portfolios.models import LimitSet
from portfolios.services.books import open_books
from portfolios.services.limits import set_limits
from portfolios.services.portfolios import create_portfolio, deposit
from sessions.models import TradingSession
from sessions.services.sessions import start_trading_session
from trading.core.kept_findings import kept_text
from trading.core.risk import Approved
from trading.models import AutoTrade, Decision
from trading.services.decisions import Draft, record
from trading.services.facts import MarketView, market_view
from trading.services.fresh_state import FreshState, fresh_states
from trading.services.order_management import Intent, make_trade, store_trades, trade_event
from trading.services.risk_management import OrderWish, validate_trade

FIELDS = ("price", "volume", "relative_volume", "volatility")
OPENING = datetime(2010, 3, 1, tzinfo=UTC)
SECTORS = 8
# A benchmark orders faster than anybody may who is new here; nothing else is wider than in a new installation.
RATES = {
    "max_messages_per_second": 1_000_000, "max_messages_per_minute": 1_000_000, "max_daily_trades": 1_000_000,
    "max_daily_trades_per_rule": 1_000_000, "max_daily_trades_per_symbol": 1_000_000,
    "max_rule_executions": 1_000_000,
}  # fmt: skip
Sessions = Mapping[uuid.UUID, TradingSession]
Orders = Mapping[uuid.UUID, Sequence[OrderWish]]


@dataclass
class Market:
    """Instruments whose prices one process moves. Market time goes on by `minutes` with each snapshot."""

    rng: random.Random
    instruments: list[Instrument]
    closed: frozenset[str] = frozenset()
    wide: frozenset[str] = frozenset()  # their spread is 9 %
    minutes: int = 10
    as_of: datetime = OPENING

    @classmethod
    def make(cls, symbols: Sequence[str], *, seed: int) -> "Market":
        exchange = Exchange.objects.create(code="XBEN", name="Benchmark", timezone="UTC")
        rows = [
            Instrument(
                symbol=symbol, name=symbol, exchange=exchange, sector=f"Sector {place % SECTORS}",
                tick_size=Decimal("0.01"), lot_size=Decimal(1),
            )
            for place, symbol in enumerate(symbols)
        ]  # fmt: skip
        return cls(random.Random(seed), Instrument.objects.bulk_create(rows))

    @classmethod
    def known(cls, *, seed: int) -> "Market":
        """The one that another process made; whoever moves it from now on is the only one."""
        snapshot = snapshots.current()
        return cls(
            random.Random(seed),
            list(Instrument.objects.order_by("id")),
            as_of=snapshot.as_of if snapshot is not None else OPENING,
        )

    def publish(self, prices: Sequence[float] | None = None) -> MarketView:
        """New prices for everybody (those given, or any), fresh quotes around them, and what a worker makes of the
        snapshot."""
        self.as_of += timedelta(minutes=self.minutes)
        symbols = tuple(row.symbol for row in self.instruments)
        count = len(symbols)
        price = np.array(prices or [round(self.rng.uniform(60, 140), 2) for _ in symbols])
        half = np.array([0.045 if symbol in self.wide else 0.0005 for symbol in symbols])
        values = np.array([price, np.full(count, 1e6), np.ones(count), np.full(count, 0.3)])
        day = self.as_of.replace(hour=0, minute=0).timestamp()
        snapshots.publish(
            snapshot=MarketSnapshot(
                version=0, as_of=self.as_of, symbols=symbols, fields=FIELDS, values=values,
                instrument_ids=tuple(row.id for row in self.instruments),
                completed=np.array([values * 0.98, values * 1.01]),
                market_time=np.full(count, self.as_of.timestamp()),
                price_received_at=np.full(count, database_now().timestamp()),
                bid=np.round(price * (1 - half), 2), ask=np.round(price * (1 + half), 2),
                is_open=np.array([symbol not in self.closed for symbol in symbols]),
                opens_at=np.full(count, day), closes_at=np.full(count, day + 86_399), recommendations={},
            )
        )  # fmt: skip
        return current_view()


def current_view() -> MarketView:
    snapshot = snapshots.current()
    assert snapshot is not None, "the market has begun"
    return market_view(snapshot)


def user(name: str) -> AbstractBaseUser:
    """A member of the staff."""
    return get_user_model().objects.get_or_create(username=name, defaults={"is_staff": True})[0]


def widen_rates(**more: int) -> None:
    """The platform's defaults but for the rates."""
    values = {spec.name: spec.default for spec in CATALOGUE}
    values |= {name: Decimal(value) for name, value in {**RATES, **more}.items()}
    set_limits(scope=LimitSet.Scope.PLATFORM, values=values, actor=None)


@transaction.atomic
def open_portfolios(count: int, *, cash: Decimal, owner: AbstractBaseUser) -> Sessions:
    """Portfolios with money and a running session each."""
    made = {}
    for number in range(count):
        portfolio = create_portfolio(name=f"Portfolio {number}", owner=owner)
        deposit(portfolio_id=portfolio.id, amount=cash, actor=owner)
        made[portfolio.id] = start_trading_session(portfolio_id=portfolio.id, config={}, actor=owner)
    return made


def wish(
    view: MarketView, side: str, instrument: Instrument, quantity: int | Decimal, *, rule_id: uuid.UUID | None = None
) -> OrderWish:  # fmt: skip
    """An order at the last price."""
    price = view.snapshot.price(instrument.symbol)
    assert price is not None
    return OrderWish(
        side=side, quantity=Decimal(quantity), instrument=instrument, price=price, rule_id=rule_id
    )


def intent_of(approved: Approved, wanted: OrderWish, *, decision_id: uuid.UUID) -> Intent:
    """A person's order: at its execution no rule is asked whether it is still in force."""
    return Intent(
        decision_id=decision_id, rule_id=wanted.rule_id, rule_version_id=None, approved=approved,
        instrument=wanted.instrument,
        origin=AutoTrade.Origin.MANUAL, actor="user:benchmark",
    )  # fmt: skip


@transaction.atomic
def place(orders: Orders, *, sessions: Sessions, view: MarketView) -> int:
    """As an evaluation does it for what its rules want: fresh state under lock, every control, then decision, trade,
    reservation, journal. Returns how many orders were approved and are pending now."""
    books = open_books(orders)
    states = fresh_states(books, sessions={key: sessions[key] for key in orders}, view=view)
    drafts: list[Draft] = []
    trades: list[AutoTrade] = []
    for portfolio_id in sorted(orders):
        for wanted in orders[portfolio_id]:
            ordered = _order(states[portfolio_id], wanted)
            if ordered is not None:
                drafts.append(ordered[0])
                trades.append(ordered[1])
    recorded = record(drafts, snapshot=view.snapshot, previous_slot=view.snapshot.version - 1)
    store_trades(trades)
    books.save()
    created = [trade_event(trade, "trade.created", at=trade.market_at) for trade in trades]
    append([*recorded.events, *created])
    return len(trades)


def _order(state: FreshState, wanted: OrderWish) -> tuple[Draft, AutoTrade] | None:
    verdict = validate_trade(state, wanted)
    if not isinstance(verdict, Approved):
        return None
    draft = Draft(
        portfolio_id=state.portfolio_id, session_id=state.session.id if state.session else None, rule_id=None,
        rule_version_id=None, instrument_id=wanted.instrument.id, symbol=wanted.instrument.symbol,
        outcome=Decision.Outcome.TRADED, explanation={}, checks=StoredJson(kept_text(verdict.findings)),
    )  # fmt: skip
    return draft, make_trade(state, intent_of(verdict, wanted, decision_id=draft.id))
