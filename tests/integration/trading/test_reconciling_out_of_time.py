"""A reconciliation for which a worker had no time has failed as any other: it counts, and waits for its turn."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection

from journal.models import Alert
from tests.harness.at_broker import connect
from tests.harness.scripted_stream import Venue, VenueBroker
from tests.harness.trading import Desk
from trading.models import Reconciliation
from trading.services import reconciliation
from trading.services.reconciliation import due_accounts, reconcile, reconcile_due

pytestmark = pytest.mark.integration


class Scene:
    """Alice's portfolio at a broker that the test moves by hand."""

    def __init__(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.account, self.venue = connect(desk), Venue()
        self.hooks: dict[str, Any] = {}
        monkeypatch.setattr(
            reconciliation, "broker_of", lambda _: VenueBroker(lambda: self.venue, hooks=self.hooks)
        )


@pytest.fixture
def scene(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """As in one of Celery's workers, which are told by this signal that their time is up."""

    def time_is_up(*_: Any) -> None:
        raise SoftTimeLimitExceeded

    before = signal.signal(signal.SIGUSR1, time_is_up)
    yield Scene(desk, monkeypatch)
    signal.signal(signal.SIGUSR1, before)


def _sleep_beyond_the_limit() -> None:
    """In the middle of a statement, as it mostly is."""
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(20)")


def test_one_whose_time_is_up_has_failed_and_waits_for_its_turn(scene: Scene) -> None:
    scene.hooks["positions"] = _sleep_beyond_the_limit
    assert reconcile_due() == 1
    (row,) = Reconciliation.objects.all()
    assert row.finished_at is not None and row.failure.startswith("SoftTimeLimitExceeded: ")
    assert due_accounts() == []


def test_who_is_never_done_in_time_is_told_of(scene: Scene) -> None:
    for _ in range(5):
        scene.venue.wrong["positions"] = [SoftTimeLimitExceeded()]
        assert reconcile(account_id=scene.account.pk, trigger="periodic").finished_at is not None
    assert Alert.objects.filter(kind="reconciliation.failing").count() == 1
