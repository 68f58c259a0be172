"""Alice's portfolio at a scripted broker, and time that a test lets pass."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from journal.models import Alert, Entry
from portfolios.models import Reservation
from tests.harness.at_broker import connect
from tests.harness.scripted_broker import ScriptedBroker, Venue
from tests.harness.trading import Desk
from trading.models import AutoTrade, BrokerMessage
from trading.services import held_brokers
from trading.services.verification import book_differences

TIMES = ("claimed_until", "sent_at", "ask_at", "created_at")


class Scene:
    """One portfolio at one venue."""

    def __init__(self, desk: Desk, venue: Venue) -> None:
        self.desk, self.venue = desk, venue

    def kinds(self) -> list[str]:
        rows = Entry.objects.filter(stream_id=self.desk.portfolio.id, kind__startswith="trade.")
        return list(rows.order_by("seq").values_list("kind", flat=True))

    def alerts(self) -> list[tuple[str, str]]:
        return list(Alert.objects.order_by("id").values_list("kind", "severity"))


def install(monkeypatch: pytest.MonkeyPatch, venues: dict[Any, Venue]) -> None:
    """Accounts are connected to these venues, by account id."""
    monkeypatch.setattr(held_brokers, "broker_of", lambda account: ScriptedBroker(venues[account.id]))
    held_brokers.let_all_go()


def scene(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> Scene:
    account, venue = connect(desk), Venue()
    install(monkeypatch, {account.id: venue})
    return Scene(desk, venue)


def pass_time(seconds: float) -> None:
    """For every trade and every word about it; the pauses of accounts are over, too."""
    span = timedelta(seconds=seconds)
    AutoTrade.objects.update(**{name: F(name) - span for name in TIMES})
    BrokerMessage.objects.update(answered_at=F("answered_at") - span)
    held_brokers.pauses.clear()


def state(trade: AutoTrade) -> str:
    trade.refresh_from_db()
    return trade.status


def reserved(trade: AutoTrade) -> bool:
    return Reservation.objects.filter(owner_id=trade.id).exists()


def clean() -> bool:
    return book_differences() == []
