"""Dora runs the admin; one row of everything that it shows, made by services where there is one."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask
from knox.models import get_token_model

from foundation.clock import database_now
from foundation.models import Heartbeat, Lease, RequiredCodeVersion
from foundation.tokens import create_service_account
from journal.core.events import AlertSpec, Event
from journal.services.journal import append
from market.models import (
    Bar,
    CalendarDay,
    Exchange,
    Instrument,
    MarketGap,
    QuarantinedQuote,
    QuarantineTotal,
    Quote,
    Recommendation,
    RecommendationOutcome,
    RecommendationSource,
    RecommenderModel,
    Snapshot,
)
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.models import CorporateActionBooking, EquityPoint, Position, Reservation
from portfolios.services.limits import set_limits
from portfolios.services.permissions import set_instrument_permissions
from portfolios.services.portfolios import create_portfolio, deposit, set_member
from rules.services.rules import create_rule
from sessions.models import EvaluationRun
from sessions.services.plans import PlanContent, create_plan
from sessions.services.sessions import start_trading_session
from trading.models import AutoTrade, Decision, Execution, Reconciliation, RuleAct
from trading.services.breaks import record_break
from trading.services.emergency_stop import arm
from trading.services.protections import set_protection

MARKET_TIME = datetime(2004, 1, 5, 21, tzinfo=UTC)
RULE = {
    "name": "Buy strength",
    "rule_type": "entry",
    "conditions": [{"field": "rsi", "operator": "greater_than", "value": 60}],
    "actions": [{"type": "buy", "sizing_method": "percentage", "size_value": 5}],
}
EXPLANATION = {
    "outcome": True,
    "sentence": "True for AAPL: rsi is 71, above 60.",
    "conditions": {
        "all": [
            {"field": "rsi", "operator": "greater_than", "fact": 71.25, "threshold": 60, "outcome": True},
            {"not": {"field": "atr", "operator": "less_than", "fact": None, "threshold": 1, "outcome": None},
             "outcome": None},
            {"field": "price", "operator": "crosses_above", "fact": {"previous": 9, "last": 11},
             "threshold": {"previous": 10, "last": 10}, "outcome": True,
             "compared_with": {"field": "sma_50", "times": 1.02}},
        ],
        "outcome": True,
    },
}  # fmt: skip
_numbers = itertools.count(1)


def make_user(name, **fields):
    return get_user_model().objects.create_user(
        name, **fields
    )  # no password: hashing one takes half a second


@pytest.fixture
def dora(db):
    return make_user("dora", is_staff=True, is_superuser=True)


@pytest.fixture
def admin_page(client, dora):
    """The test client, logged in as Dora."""
    client.force_login(dora)
    return client


@pytest.fixture
def cast(dora):
    """Alice owns the portfolio, Bob is her risk officer, Charlie must see nothing."""
    alice, bob, charlie = (make_user(name) for name in ("alice", "bob", "charlie"))
    portfolio = create_portfolio(name="Growth", owner=alice)
    set_member(portfolio=portfolio, user=bob, role="risk_officer", actor=alice)
    return SimpleNamespace(dora=dora, alice=alice, bob=bob, charlie=charlie, portfolio=portfolio)


@pytest.fixture
def rule(cast):
    return create_rule(portfolio_id=cast.portfolio.pk, rule=RULE, actor=cast.alice)


@pytest.fixture
def trading_session(cast):
    return start_trading_session(
        portfolio_id=cast.portfolio.pk, config={}, actor=cast.alice, session_name="Autumn"
    )


def make_instrument(symbol):
    exchange, _ = Exchange.objects.get_or_create(
        code="XTST", defaults={"name": "Test", "timezone": "America/New_York"}
    )
    return Instrument.objects.create(
        symbol=symbol, name=symbol, exchange=exchange, tick_size=Decimal("0.01"), lot_size=Decimal(1)
    )


def make_decision(trading_session, rule, instrument, **fields):
    values = {
        "portfolio_id": trading_session.portfolio_id, "session": trading_session, "rule": rule,
        "rule_version": rule.versions.get(version=rule.version), "instrument": instrument, "slot": 1,
        "market_at": MARKET_TIME, "last_slot": 1, "last_market_at": MARKET_TIME, "outcome": "traded",
        "detail": "buy 3 of it", "explanation": EXPLANATION,
        "sizing": {"method": "percentage", "quantity": "3"},
        "checks": [{"code": "MAX_ORDER_VALUE", "passed": False, "value": "12500", "limit": "10000"}],
    }  # fmt: skip
    return Decision.objects.create(**values | fields)


def make_trade(decision, **fields):
    number = next(_numbers)
    return AutoTrade.objects.create(
        **{
            "portfolio_id": decision.portfolio_id, "account": decision.portfolio.broker_account,
            "session": decision.session, "rule": decision.rule, "rule_version": decision.rule_version,
            "decision": decision, "actor": "rule", "slot": number, "instrument": decision.instrument,
            "symbol": decision.instrument.symbol, "trade_type": "buy", "quantity": Decimal(3),
            "trigger_price": Decimal("10.5"), "client_order_id": f"at-{number}",
            "limits_version": "platform:1", "price_age_ms": 20, "market_at": MARKET_TIME,
            "market_day": MARKET_TIME.date(),
        } | fields
    )  # fmt: skip


def make_market(instrument, source, number):
    at = MARKET_TIME + timedelta(days=number)
    numbers = {"open": 10, "high": 12, "low": 9, "close": 11, "volume": 1000}
    Bar.objects.create(instrument=instrument, at=at, **numbers)
    Quote.objects.create(
        instrument=instrument, bid=10, ask=11, last=10, volume=5, market_time=at, received_at=at
    )
    CalendarDay.objects.create(
        exchange=instrument.exchange, day=at.date(), opens_at=at, closes_at=at + timedelta(hours=6)
    )
    QuarantinedQuote.objects.create(
        symbol=instrument.symbol, reason="zero", received_at=at, payload={"bid": "0"}
    )
    QuarantineTotal.objects.create(reason=f"reason-{number}", total=1, minute=at, in_minute=1)
    MarketGap.objects.create(instrument=instrument, first_day=at.date(), last_day=at.date())
    top = Snapshot.objects.order_by("-version").first()
    Snapshot.objects.create(version=top.version + 1 if top else 1, as_of=at, payload=b"secret")
    advice = Recommendation.objects.create(
        source=source, external_id=f"x{number}", instrument=instrument, recommendation="BUY", confidence=0.7,
        as_of=at, expires_at=at + timedelta(days=2), expected_return_percentage=1.5,
    )  # fmt: skip
    RecommendationOutcome.objects.create(
        recommendation=advice, reference_price=10, reference_at=at, due_at=advice.expires_at
    )
    RecommenderModel.objects.create(
        version=f"model-{number}", trained_through=at, metrics={"skill": -0.01}, in_use=False
    )
    return advice


def make_everything(dora):
    """One more row of everything, under a new owner and a new portfolio."""
    number = next(_numbers)
    owner = make_user(f"owner-{number}")
    portfolio = create_portfolio(name=f"Portfolio {number}", owner=owner)
    deposit(portfolio_id=portfolio.pk, amount=Decimal(1000), actor=owner)
    rule = create_rule(portfolio_id=portfolio.pk, rule=RULE, actor=owner)
    row = start_trading_session(
        portfolio_id=portfolio.pk, config={}, actor=owner
    )  # its name is its portfolio's
    set_limits(scope="portfolio", scope_id=portfolio.pk, values={"max_daily_trades": Decimal(3)}, actor=owner)
    instrument = make_instrument(f"T{number}")
    daily = PlanContent(name="Every day", exchange=instrument.exchange_id)
    create_plan(portfolio_id=portfolio.pk, content=daily, actor=owner)
    of_instrument = {"instrument_id": instrument.pk, "values": {"max_daily_trades": Decimal(2)}}
    set_limits(scope="instrument", actor=owner, **of_instrument)
    set_instrument_permissions(
        portfolio_id=portfolio.pk, permitted=[instrument.symbol], restricted={}, actor=owner
    )
    source = RecommendationSource.objects.create(name=f"source-{number}", pusher=owner)
    make_market(instrument, source, number)
    trade = make_trade(make_decision(row, rule, instrument))
    RuleAct.objects.create(rule=rule, instrument=instrument, acted_at=MARKET_TIME)
    Execution.objects.create(
        account=trade.account, execution_id=f"e{number}", trade=trade, quantity=1, price=10, fee=0,
        market_at=MARKET_TIME,
    )  # fmt: skip
    Position.objects.create(
        portfolio=portfolio,
        instrument=instrument,
        quantity=3,
        average_cost=10,
        cost=30,
        opened_at=MARKET_TIME,
    )
    set_protection(
        portfolio_id=portfolio.pk, symbol=instrument.symbol, stop_loss_percentage=Decimal(5), actor=owner
    )
    action, _ = record(
        NewCorporateAction(
            external_id=f"action-{number}", symbol=instrument.symbol, kind="dividend", ex_at=MARKET_TIME,
            amount=Decimal("0.25"),
        ),
        actor=owner,
    )  # fmt: skip
    CorporateActionBooking.objects.create(action=action, portfolio=portfolio, waiting_for="an order")
    for cash in (990, 1010):
        EquityPoint.objects.create(
            portfolio=portfolio, at=MARKET_TIME, cash=cash, exposure=33, cost=30, paid_in=1000
        )
    Reservation.objects.create(owner_id=uuid.uuid4(), portfolio=portfolio, instrument=instrument, cash=5)
    EvaluationRun.objects.create(
        slice=row.slice,
        slot=number,
        as_of=MARKET_TIME,
        sessions=1,
        rules=1,
        triggered=1,
        trades=1,
        worker="w",
    )
    arm(scope="portfolio", scope_id=str(portfolio.pk), reason=f"test {number}", actor=owner)
    account = portfolio.broker_account
    Reconciliation.objects.create(account=account, trigger="periodic", failure="away")
    record_break(
        account_id=account.pk, kind="position", key=instrument.symbol, ours={"quantity": 1}, theirs={"quantity": 2},
        detail="one more there",
    )  # fmt: skip
    alert = AlertSpec("warning", f"Look at {number}")
    append([Event(portfolio.pk, "test.alerted", database_now(), {"number": number}, alert)])
    now = database_now()
    Heartbeat.objects.create(component="web", instance=f"h:{number}", code_version="1", at=now)
    Lease.objects.create(name=f"lease-{number}", holder="h", expires_at=now)
    Group.objects.create(name=f"group-{number}")
    get_token_model().objects.create(user=owner)
    create_service_account(name=f"svc-{number}", description="A program", actor=owner)
    AccessAttempt.objects.create(
        username=f"guessed-{number}", ip_address="10.0.0.1", failures_since_start=number
    )
    interval = IntervalSchedule.objects.create(every=number, period="days")
    CrontabSchedule.objects.create(minute=str(number % 60))
    ClockedSchedule.objects.create(clocked_time=now)
    PeriodicTask.objects.create(name=f"task-{number}", task="t", interval=interval)
    RequiredCodeVersion.objects.get_or_create(singleton=True, defaults={"version": "1"})
    return SimpleNamespace(portfolio=portfolio, rule=rule, session=row, trade=trade, instrument=instrument)


@pytest.fixture
def everything(dora):
    return make_everything(dora)
