"""An account that was disconnected is never reconciled again: what halted it is explained, released, and on record."""

import json

import pytest

from foundation.clock import database_now
from foundation.errors import Conflict
from journal.models import Entry
from portfolios.models import BrokerAccount
from sessions.services.sessions import stop_trading_session
from tests.harness.trading import Desk
from tests.integration.trading.at_venue import AtVenue
from trading.brokers.protocol import BadReport
from trading.models import Reconciliation
from trading.services.connecting import disconnect_account
from trading.services.stopping import finish_stopping

pytestmark = pytest.mark.integration


@pytest.fixture
def at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AtVenue:
    """Its broker says what cannot be true, which has halted it."""
    at = AtVenue(desk, monkeypatch)
    at.venue.wrong["positions"] = [BadReport("it holds less than nothing", payload={})]
    assert at.reconcile().startswith(Reconciliation.BAD_REPORT)
    assert at.halted()
    return at


def refused(at: AtVenue) -> str:
    with pytest.raises(Conflict) as refusal:
        at.release()
    return refusal.value.code


def disconnect(at: AtVenue) -> None:
    stop_trading_session(session_id=at.desk.session.id, actor=at.desk.owner)
    finish_stopping()
    disconnect_account(portfolio_id=at.desk.portfolio.id, actor=at.desk.owner)


def test_explained_it_is_released_though_the_broker_could_not_be_read_at_last(at: AtVenue) -> None:
    disconnect(at)
    assert refused(at) == "breaks_open"
    assert [kind for kind, _ in at.explain()] == ["bad_report"]
    at.release()
    assert not at.halted()
    told = Entry.objects.filter(kind__in=["reconciliation.break_explained", "halt.released"]).order_by("id")
    assert [(row.kind, json.loads(row.payload)["actor"]) for row in told] == [
        ("reconciliation.break_explained", at.bob.username), ("halt.released", at.bob.username),
    ]  # fmt: skip


def test_as_long_as_it_is_connected_it_must_be_read(at: AtVenue) -> None:
    at.explain()
    assert refused(at) == "broker_unreadable"


def test_what_another_connection_could_not_read_does_not_count_for_this_one(at: AtVenue) -> None:
    at.explain()
    BrokerAccount.objects.filter(pk=at.account.pk).update(connected_at=database_now())
    at.release()
    assert not at.halted()
