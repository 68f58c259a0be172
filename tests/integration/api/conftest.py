"""Alice owns a portfolio that trades, Bob is her risk officer, Victor only looks, Charlie must see nothing."""

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from knox.models import get_token_model
from rest_framework.test import APIClient

from market.models import Recommendation
from portfolios.models import LedgerTransfer, Portfolio
from portfolios.services.portfolios import create_portfolio, set_member
from rules.models import TradingRule
from tests.harness.alpaca_wire import AlpacaWire, account_document, alpaca_wire
from tests.harness.trading import Desk, Market
from trading.models import AutoTrade, Halt
from trading.services import emergency_stop

TEAM = {"bob": "risk_officer", "victor": "viewer", "tara": "trader", "rita": "risk_officer"}


@dataclass
class World:
    """Everything that a route may be asked for; all of it is Alice's."""

    desk: Desk
    market: Market
    users: dict[str, Any]
    rule: TradingRule
    filled: AutoTrade
    pending: AutoTrade
    halt: Halt
    idle: Portfolio
    advice: Recommendation
    waiting: int = 0  # the version that a test has proposed for a second person
    waiting_limits: UUID | None = None
    waiting_lists: UUID | None = None
    waiting_break: UUID | None = None
    plan: UUID | None = None  # the session plan that a test has made
    alert: UUID | None = None  # of her portfolio, which a test has recorded
    token: UUID | None = None  # a named one of hers that a test has made
    service: UUID | None = None  # the service account that a test has made
    service_token: UUID | None = None  # and a token of it
    action: UUID | None = None  # the corporate action that a test has recorded

    @property
    def filled_entry(self) -> UUID:
        """The entry in the ledger of the filled trade."""
        return LedgerTransfer.objects.filter(owner_id=self.filled.id, kind="fill").latest("id").entry_id

    def add(self, user: Any, role: str) -> None:
        """Another member of both portfolios."""
        for portfolio in (self.desk.portfolio, self.idle):
            set_member(portfolio=portfolio, user=user, role=role, actor=self.users["alice"])

    def as_(self, name: str | None) -> APIClient:
        """A client that sends this user's token; None: no token at all."""
        client = APIClient()
        if name is not None:
            _, token = get_token_model().objects.create(user=self.users[name])
            client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        return client


@contextlib.contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def first_world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Made once for a module, in a transaction that is never committed: making it costs more than a test."""
    with django_db_blocker.unblock():
        with rolled_back():
            yield make_world()
        connection.close()


@contextlib.contextmanager
def empty_broker() -> Iterator[AlpacaWire]:
    """A broker whose account is empty."""
    with alpaca_wire() as wire:
        wire.routes |= {
            "/v2/account": (200, account_document()), "/v2/positions": (200, []), "/v2/orders": (200, []),
        }  # fmt: skip
        yield wire


@pytest.fixture(scope="session")
def alpaca() -> Iterator[AlpacaWire]:
    with empty_broker() as wire:
        yield wire


@pytest.fixture
def world(first_world: World, alpaca: AlpacaWire, settings: Any) -> Iterator[World]:
    """The world as it was first, whatever the tests before have done to it."""
    settings.ALPACA_PAPER_URL = alpaca.url
    settings.CREDENTIAL_KEYS = {"test": b"k" * 32}
    with rolled_back():
        yield copy.deepcopy(first_world)


def make_world() -> World:
    """One trade filled, one pending, a stop on another portfolio of hers that has no session."""
    users = {name: get_user_model().objects.create_user(name) for name in ("alice", "charlie", *TEAM)}
    users["steffi"] = get_user_model().objects.create_user("steffi", is_staff=True)
    users["susan"] = get_user_model().objects.create_superuser("susan")
    market = Market()
    market.tick()
    desk = Desk.open(market)
    idle = create_portfolio(name="Idle", owner=users["alice"])
    create_portfolio(name="Charlie's own", owner=users["charlie"])
    for portfolio in (desk.portfolio, idle):
        for name, role in TEAM.items():
            set_member(portfolio=portfolio, user=users[name], role=role, actor=users["alice"])
    market.source.pusher = users["alice"]
    market.source.save()
    advice = market.advise("AAA")
    desk.step()
    market.advise("AAA", "HOLD", 0.5)
    market.advise("BBB")
    market.tick()
    desk.evaluate()
    filled, pending = desk.trades()
    assert (filled.status, pending.status) == ("filled", "pending")
    halt = emergency_stop.arm(
        scope="portfolio", scope_id=str(idle.id), reason="Prices look wrong", actor=users["bob"]
    )
    return World(
        desk=desk,
        market=market,
        users=users,
        rule=TradingRule.objects.get(portfolio=desk.portfolio, name="AI Strong Buy Entry"),
        filled=filled,
        pending=pending,
        halt=halt,
        idle=idle,
        advice=advice,
    )
