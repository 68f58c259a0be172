"""A market that a test moves by hand, and portfolios that trade in it, all through the real services."""

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from django.contrib.auth import get_user_model

from foundation.api.parsers import parse_strict
from foundation.clock import database_now
from market.core.recommendation import RecommendationClass
from market.core.snapshot import MarketSnapshot, RecommendationFrame
from market.models import Exchange, Instrument, Recommendation, RecommendationSource
from market.services import snapshots
from portfolios.models import Portfolio
from portfolios.services.portfolios import create_portfolio, deposit
from rules.examples import EXAMPLES
from rules.models import TradingRule
from rules.services.rules import create_rule
from sessions.models import EvaluationRun, TradingSession
from sessions.services.sessions import start_trading_session
from trading.models import AutoTrade, Decision
from trading.services.auto_trading import FailedSlice, evaluate_next_slice
from trading.services.trade_execution import execute_pending

SYMBOLS = ("AAA", "BBB", "CCC")
FIELDS = ("price", "volume", "rsi", "volatility")
OPENING = datetime(2010, 3, 1, 14, 30, tzinfo=UTC)
STRONG_BUY_ENTRY, STOP_LOSS = (parse_strict(text) for text in EXAMPLES)
_portfolios = itertools.count(1)


@dataclass
class Market:
    """Prices and advice stand until changed; `tick` publishes them a minute later. Each completes a bar
    at the price before it, where `closes` says nothing else."""

    prices: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SYMBOLS, 100.0))
    closes: dict[str, float] = field(default_factory=dict)
    advice: dict[str, Recommendation] = field(default_factory=dict)
    is_open: bool = True
    price_age_seconds: float = 0.0
    as_of: datetime = OPENING
    volatilities: dict[str, float] = field(default_factory=dict)  # a fraction a year; unknown where absent
    volumes: dict[str, float] = field(default_factory=dict)  # of the last completed bar; unknown where absent
    bar_at: datetime | None = None  # when the last bar completed; None: just now
    quoted_at: dict[str, datetime] = field(default_factory=dict)  # where that is not the tick's time

    def __post_init__(self) -> None:
        exchange, _ = Exchange.objects.get_or_create(
            code="XTST", defaults={"name": "Test", "timezone": "UTC"}
        )
        self.instruments = [
            Instrument.objects.get_or_create(
                symbol=symbol,
                defaults={
                    "name": symbol, "exchange": exchange, "sector": "Testing",
                    "tick_size": Decimal("0.01"), "lot_size": Decimal(1),
                },
            )[0]
            for symbol in SYMBOLS
        ]  # fmt: skip
        self.source, _ = RecommendationSource.objects.get_or_create(name="test")

    def advise(
        self, symbol: str, name: str = "STRONG_BUY", confidence: float = 0.9, **more: Any
    ) -> Recommendation:
        """Advice that holds from the next tick on; `more`: its target_price, its stop_price."""
        self.advice[symbol] = Recommendation.objects.create(
            source=self.source, external_id=f"{symbol}-{Recommendation.objects.count()}",
            instrument=Instrument.objects.get(symbol=symbol), recommendation=name, confidence=confidence,
            as_of=self.as_of, expires_at=self.as_of + timedelta(days=1000), **more,
        )  # fmt: skip
        return self.advice[symbol]

    def tick(self, *, minutes: float = 1, **prices: float) -> int:
        """Move prices and time and publish; returns the snapshot's version."""
        self.as_of += timedelta(minutes=minutes)
        closes = self.prices | self.closes
        self.prices |= prices
        count = len(SYMBOLS)
        price = np.array([self.prices[symbol] for symbol in SYMBOLS])
        values = np.full((len(FIELDS), count), np.nan)
        values[0] = price
        values[FIELDS.index("volatility")] = [self.volatilities.get(symbol, np.nan) for symbol in SYMBOLS]
        values[FIELDS.index("volume")] = [self.volumes.get(symbol, np.nan) for symbol in SYMBOLS]
        received = database_now().timestamp() - self.price_age_seconds
        completed = np.full((2, len(FIELDS), count), np.nan)
        completed[:, 0] = [closes[symbol] for symbol in SYMBOLS]
        day = self.as_of.replace(hour=0, minute=0, second=0).timestamp()
        return snapshots.publish(
            snapshot=MarketSnapshot(
                version=0, as_of=self.as_of, symbols=SYMBOLS, fields=FIELDS, values=values,
                instrument_ids=tuple(row.id for row in self.instruments),
                completed=completed, bar_at=np.full((2, count), (self.bar_at or self.as_of).timestamp()),
                market_time=np.array([self.quoted_at.get(s, self.as_of).timestamp() for s in SYMBOLS]),
                price_received_at=np.full(count, received),
                bid=np.round(price * 0.999, 2), ask=np.round(price * 1.001, 2),
                is_open=np.full(count, self.is_open), opens_at=np.full(count, day),
                closes_at=np.full(count, day + 86_399), recommendations=self._frames(),
            )
        )  # fmt: skip

    def _frames(self) -> dict[str, RecommendationFrame]:
        rows = [self.advice.get(symbol) for symbol in SYMBOLS]
        return {
            "test": RecommendationFrame(
                codes=np.array([RecommendationClass[r.recommendation] if r else np.nan for r in rows]),
                confidence=np.array([r.confidence if r else np.nan for r in rows]),
                expected_return=np.full(len(rows), np.nan),
                as_of=np.array([r.as_of.timestamp() if r else np.nan for r in rows]),
                ids=tuple(str(r.id) if r else None for r in rows),
            )
        }


@dataclass
class Desk:
    """One portfolio with its owner and session, and the steps that workers would take for it."""

    market: Market
    owner: Any
    portfolio: Portfolio
    session: TradingSession

    @classmethod
    def open(
        cls, market: Market, *, owner: str = "alice", cash: int = 100_000, config: dict[str, Any] | None = None,
        rules: tuple[Any, ...] = (STRONG_BUY_ENTRY, STOP_LOSS),
    ) -> "Desk":  # fmt: skip
        user, _ = get_user_model().objects.get_or_create(username=owner)
        portfolio = create_portfolio(name=f"Portfolio {next(_portfolios)}", owner=user)
        deposit(portfolio_id=portfolio.id, amount=Decimal(cash), actor=user)
        for rule in rules:
            create_rule(portfolio_id=portfolio.id, rule=rule, actor=user)
        session = start_trading_session(portfolio_id=portfolio.id, config=config or {}, actor=user)
        return cls(market, user, portfolio, session)

    def add_rule(self, **rule: Any) -> TradingRule:
        content = {"name": "A rule", "rule_type": "entry", **rule}
        return create_rule(portfolio_id=self.portfolio.id, rule=content, actor=self.owner)

    def evaluate(self) -> EvaluationRun | FailedSlice | None:
        return evaluate_next_slice()

    def step(self, **prices: float) -> None:
        """One tick, evaluated and executed to the end."""
        self.market.tick(**prices)
        while evaluate_next_slice() is not None:
            pass
        execute_pending()

    def refresh(self) -> "Desk":
        self.portfolio.refresh_from_db()
        self.session.refresh_from_db()
        return self

    def trades(self) -> list[AutoTrade]:
        return list(AutoTrade.objects.filter(portfolio=self.portfolio).order_by("created_at", "id"))

    def decisions(self) -> list[Decision]:
        return list(Decision.objects.filter(portfolio=self.portfolio).order_by("created_at", "id"))

    def held(self, symbol: str) -> Decimal:
        row = self.portfolio.positions.filter(instrument__symbol=symbol).first()
        return row.quantity if row else Decimal(0)
