"""A sender is killed at a step: the next one goes on where it stands, and the venue has each order once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.harness.at_broker import connect, ordered
from tests.harness.databases import CommittedDatabase
from tests.harness.scripted_broker import ScriptedBroker, Venue
from tests.harness.trading import Desk
from tests.integration.trading.at_brokers import Scene, clean, pass_time, reserved, state
from trading.models import AutoTrade
from trading.services import held_brokers
from trading.services.order_management import cancel_trade
from trading.services.recovery import recover_due
from trading.services.sending import send_due

pytestmark = pytest.mark.integration
WAIT_SECONDS = 120


@pytest.fixture
def alice(monkeypatch: pytest.MonkeyPatch, desk: Desk, tmp_path: Path) -> Scene:
    """At a venue that other processes reach, too."""
    connect(desk)
    venue = Venue(file=tmp_path / "venue.json")
    venue.write()
    monkeypatch.setattr(held_brokers, "broker_of", lambda account: ScriptedBroker(venue))
    held_brokers.let_all_go()
    return Scene(desk, venue)


def kill_at(point: str, task: str, where: Scene, database: CommittedDatabase, directory: Path) -> None:
    """Start a process that does the task, and kill it when it has reached the point."""
    reached = directory / "reached"
    assert where.venue.file is not None
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.harness.sending_process", str(where.venue.file), task],
        env=database.environment | {"PAUSE_POINT": f"{point}={reached}"},
    )
    try:
        until = time.monotonic() + WAIT_SECONDS
        while not (reached.exists() and reached.read_text()):
            assert child.poll() is None, f"it ended without reaching {point}"
            assert time.monotonic() < until, f"it has not reached {point}"
            time.sleep(0.05)
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.kill()
        child.wait(10)
    where.venue.read()


@pytest.mark.parametrize(
    ("point", "status", "arrived"),
    [
        ("send.before_claim", "pending", 0),
        ("send.after_claim", "submitting", 0),
        ("send.gated", "submitting", 0),
        ("send.sent", "submitting", 1),
        ("send.before_record", "submitting", 1),
    ],
)
def test_a_sender_killed_at_any_step_loses_and_doubles_nothing(
    alice: Scene, committed_db: CommittedDatabase, tmp_path: Path, point: str, status: str, arrived: int
) -> None:
    trade = ordered(alice.desk)
    kill_at(point, "send", alice, committed_db, tmp_path)
    assert (state(trade), len(alice.venue.orders)) == (status, arrived)
    assert reserved(trade)
    pass_time(5)
    recover_due()
    if arrived:
        assert state(trade) == "accepted", "found by its id"
        assert len(alice.venue.submits) == 1
    else:
        assert state(trade) == ("unknown" if status == "submitting" else "pending")
        pass_time(66)
        recover_due()
        if status == "pending":
            AutoTrade.objects.filter(pk=trade.pk).update(created_at="2100-01-01T00:00:00Z")
            send_due()
        assert state(trade) == "accepted"
    assert list(alice.venue.orders) == [trade.client_order_id]
    assert clean()


@pytest.mark.parametrize("point", ["cancel.after_claim", "cancel.before_record"])
def test_a_cancel_whose_worker_was_killed_is_asked_for_again(
    alice: Scene, committed_db: CommittedDatabase, tmp_path: Path, point: str
) -> None:
    trade = ordered(alice.desk)
    send_due()
    cancel_trade(trade_id=trade.id, actor=alice.desk.owner)
    kill_at(point, "send", alice, committed_db, tmp_path)
    assert state(trade) == "cancelling"
    pass_time(5)
    send_due()
    assert alice.venue.cancels == [trade.client_order_id]
    assert clean()


def test_one_who_recovers_and_is_killed_is_recovered_from(
    alice: Scene, committed_db: CommittedDatabase, tmp_path: Path
) -> None:
    trade = ordered(alice.desk)
    kill_at("send.sent", "send", alice, committed_db, tmp_path)
    pass_time(5)
    (tmp_path / "reached").unlink()
    kill_at("recover.before_record", "recover", alice, committed_db, tmp_path)
    assert state(trade) == "unknown"
    pass_time(5)
    recover_due()
    assert state(trade) == "accepted" and len(alice.venue.submits) == 1
    assert clean()
