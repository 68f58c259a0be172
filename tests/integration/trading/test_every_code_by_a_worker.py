"""Every refusal code once through a real Celery worker on real rows: one snapshot, one evaluation, a portfolio each."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.contrib.auth import get_user_model

from autotrading_project.celery import app
from foundation.clock import database_now
from foundation.heartbeats import instance_name
from foundation.wakeups import wake
from market.core.recommendation import RecommendationClass
from market.core.snapshot import MarketSnapshot, RecommendationFrame
from market.models import Bar, CalendarDay, Exchange, Instrument, Recommendation, RecommendationSource
from market.services import snapshots
from portfolios.services.limits import PLATFORM_DEFAULTS, set_limits
from portfolios.services.portfolios import create_portfolio, deposit
from rules.services.rules import create_rule
from sessions.models import EvaluationRun
from sessions.services.sessions import start_trading_session
from tests.harness.code_scenes import HOLDS_AAA, SCENES, UNITS, Scene, asked
from tests.harness.processes import Processes
from tests.harness.trading import OPENING, Desk
from trading.core.risk import RefusalCode, Refused
from trading.models import AutoTrade, Decision
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
D = Decimal
SYMBOLS = ("AAA", "BBB", "MOVED", "SHUT", "TWIN", "WIDE", "WILD")
FIELDS = ("price", "volume", "relative_volume", "volatility")
RETURN_DAYS = 61
# A rule's sell is never larger than what is free: it is cut down to it, and nothing free is no size at all.
NEVER_BY_A_RULE = {RefusalCode.INSUFFICIENT_POSITION}


class ManyMarkets:
    """At 100 everywhere; each symbol but the plain ones has one thing that is wrong with it."""

    def __init__(self) -> None:
        exchange, _ = Exchange.objects.get_or_create(
            code="XTST", defaults={"name": "Test", "timezone": "UTC"}
        )
        common = {"exchange": exchange, "sector": "Testing", "tick_size": D("0.01"), "lot_size": D(1)}
        self.instruments = [Instrument.objects.create(symbol=s, name=s, **common) for s in SYMBOLS]
        self.as_of = OPENING
        self._bars(exchange)
        self._advice()

    def _bars(self, exchange: Exchange) -> None:
        """TWIN's daily returns are BBB's."""
        closes = OPENING.replace(hour=0, minute=0)
        days = [closes - timedelta(days=age) for age in range(RETURN_DAYS)]
        CalendarDay.objects.bulk_create(
            CalendarDay(exchange=exchange, day=at.date(), opens_at=at - timedelta(hours=8), closes_at=at)
            for at in days
        )
        waves = [D(100) + D(number * 7919 % 13) for number in range(RETURN_DAYS)]
        self.bar_at = closes
        Bar.objects.bulk_create(
            Bar(instrument=row, at=at, open=close, high=close, low=close, close=close, volume=1_000_000)
            for row in self.instruments
            if row.symbol in ("BBB", "TWIN")
            for at, close in zip(days, waves, strict=True)
        )

    def _advice(self) -> None:
        """STRONG_BUY for AAA, two hours old at the opening."""
        source, _ = RecommendationSource.objects.get_or_create(name="test")
        self.advice = Recommendation.objects.create(
            source=source, external_id="AAA", instrument=self.instruments[0], recommendation="STRONG_BUY",
            confidence=0.9, as_of=OPENING - timedelta(hours=2), expires_at=OPENING + timedelta(days=30),
        )  # fmt: skip

    def _each(self, usual: float, **others: float) -> Any:
        return np.array([others.get(symbol, usual) for symbol in SYMBOLS])

    def publish(self, *, minutes: int) -> int:
        self.as_of += timedelta(minutes=minutes)
        count, received = len(SYMBOLS), database_now().timestamp()
        values = np.stack(
            [self._each(100), self._each(1_000_000), self._each(1), self._each(0.3, WILD=0.501)]
        )
        completed = np.stack([values, values])
        completed[:, 0] = self._each(100, MOVED=66.66)  # 100 is 50.01 % above
        day = self.as_of.replace(hour=0, minute=0).timestamp()
        return snapshots.publish(
            snapshot=MarketSnapshot(
                version=0, as_of=self.as_of, symbols=SYMBOLS, fields=FIELDS, values=values, completed=completed,
                instrument_ids=tuple(row.id for row in self.instruments),
                market_time=np.full(count, self.as_of.timestamp()), price_received_at=np.full(count, received),
                bid=self._each(99.9), ask=self._each(100.1, WIDE=105), is_open=self._each(1, SHUT=0) == 1,
                opens_at=np.full(count, day), closes_at=np.full(count, day + 86_399),
                recommendations={"test": self._frame()}, bar_at=np.full((2, count), self.bar_at.timestamp()),
            )
        )  # fmt: skip

    def _frame(self) -> RecommendationFrame:
        nothing = np.nan
        return RecommendationFrame(
            codes=self._each(nothing, AAA=RecommendationClass.STRONG_BUY),
            confidence=self._each(nothing, AAA=0.9),
            expected_return=self._each(nothing),
            as_of=self._each(nothing, AAA=self.advice.as_of.timestamp()),
            ids=tuple(str(self.advice.id) if symbol == "AAA" else None for symbol in SYMBOLS),
        )


def open_desk(market: Any, name: str, scene: Scene, *, side: str = "buy") -> Desk:
    """The scene's portfolio, rule and session; its rule buys (or sells) UNITS of each of the session's symbols."""
    alice, _ = get_user_model().objects.get_or_create(username="alice")
    portfolio = create_portfolio(name=name, owner=alice)
    deposit(portfolio_id=portfolio.id, amount=D(scene.cash), actor=alice)
    action = {"type": side, "sizing_method": "fixed", "size_unit": "shares", "size_value": UNITS}
    rule_type = "entry" if side == "buy" else "exit"
    create_rule(
        portfolio_id=portfolio.id, actor=alice,
        rule={"name": name, "rule_type": rule_type, "conditions": list(scene.conditions), "actions": [action]},
    )  # fmt: skip
    config = {"universe": {"symbols": list(scene.symbols)}, **scene.config}
    session = start_trading_session(portfolio_id=portfolio.id, config=config, actor=alice)
    return Desk(market, alice, portfolio, session)


def limit(desk: Desk, scene: Scene, *, others: dict[str, Decimal]) -> None:
    values = others | {name: D(value) if value is not None else None for name, value in scene.limits.items()}
    set_limits(scope="portfolio", scope_id=desk.portfolio.id, values=values, actor=desk.owner)


@dataclass(frozen=True)
class Prepared:
    """`seller`: its rule wants to sell more than it holds."""

    market: ManyMarkets
    desks: dict[str, Desk]
    seller: Desk


@pytest.fixture
def prepared(processes: Processes) -> Prepared:
    """Every scene up to the moment before its rule speaks. The platform sets no largest quantity; portfolios do."""
    quantity = {"max_order_quantity": D(1_000)}
    set_limits(scope="platform", values=PLATFORM_DEFAULTS | {"max_order_quantity": None}, actor=None)
    market = ManyMarkets()
    market.publish(minutes=1)
    desks = {name: open_desk(market, name, scene) for name, scene in SCENES.items()}
    for name, desk in desks.items():
        set_limits(scope="portfolio", scope_id=desk.portfolio.id, values=quantity, actor=desk.owner)
        SCENES[name].before(desk)
    seller = open_desk(market, "sells more than it has", Scene(""), side="sell")
    limit(seller, Scene(""), others=quantity)
    HOLDS_AAA(seller)
    market.publish(minutes=24 * 60)
    assert execute_pending() == 0
    for name, desk in desks.items():
        SCENES[name].then(desk)
        limit(desk, SCENES[name], others=quantity)
    return Prepared(market, desks, seller)


def test_each_code_is_what_a_worker_answers(prepared: Prepared, processes: Processes) -> None:
    market, desks = prepared.market, prepared.desks
    app.control.purge()  # what the preparation has woken
    processes.start("worker_evaluation")
    processes.wait_ready("worker_evaluation")
    slot = market.publish(minutes=0)
    processes.wait_for("worker_evaluation", lambda: evaluated(slot), pause=0.5)

    (run,) = EvaluationRun.objects.all()
    assert (run.slot, run.sessions) == (slot, len(desks) + 1) and run.worker != instance_name()
    answers = {name: answer_of(desk, slot) for name, desk in desks.items()}
    assert answers == {name: ([scene.code], scene.trades) for name, scene in SCENES.items()}
    shown = {scene.code for scene in SCENES.values()}
    assert shown == set(RefusalCode) - NEVER_BY_A_RULE
    for decision in Decision.objects.filter(slot=slot, outcome="refused"):
        assert decision.detail.startswith(f"{decision.code}: value=") and " limit=" in decision.detail
        (first, *_) = [check for check in decision.checks if not check["passed"]]
        assert first["code"] == decision.code and {"value", "limit"} <= set(first)
    the_rules_sell_is_cut_down(prepared.seller, slot)
    assert book_differences() == []


def the_rules_sell_is_cut_down(desk: Desk, slot: int) -> None:
    """So INSUFFICIENT_POSITION is never the answer to a rule; it stands behind every other way to an order."""
    (sold,) = AutoTrade.objects.filter(portfolio=desk.portfolio, slot=slot)
    assert (sold.trade_type, sold.quantity) == ("sell", UNITS - 1)
    assert sold.status in {"pending", "filled"}  # its worker executes it right after its commit
    verdict = asked(desk, "sell", "AAA", 1)
    assert isinstance(verdict, Refused)
    assert verdict.detail == "INSUFFICIENT_POSITION: value=1 limit=0"


def evaluated(slot: int) -> bool:
    """Woken once more where the wake-up of the snapshot was lost: there is no beat here."""
    if EvaluationRun.objects.filter(slot=slot).exists():
        return True
    wake("trading.tasks.evaluate_due", queue="evaluation")
    return False


def answer_of(desk: Desk, slot: int) -> tuple[list[str], int]:
    """(codes of its refusals, number of its trades) in the evaluation of a slot."""
    decisions = Decision.objects.filter(portfolio=desk.portfolio, rule__isnull=False, slot=slot)
    refused = [row.code for row in decisions if row.outcome == "refused"]
    return refused, AutoTrade.objects.filter(portfolio=desk.portfolio, slot=slot).count()
