"""A reconciliation that was stopped for longer than its lease: when it goes on, nothing of its old view is written."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from foundation.clock import database_now
from foundation.models import Lease
from tests.harness.scripted_stream import VenueBroker
from tests.harness.trading import Desk
from tests.integration.trading.at_venue import AtVenue
from trading.brokers.protocol import ActivityKind, BadReport, CashActivity
from trading.models import BrokerActivity, Reconciliation, ReconciliationBreak
from trading.services import reconciliation
from trading.services.reconciliation import AlreadyReconciling, ask_for_reconciliation, reconcile

pytestmark = pytest.mark.integration
D = Decimal
TAKEN_OVER = "TakenOver"


@pytest.fixture
def at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AtVenue:
    return AtVenue(desk, monkeypatch)


def succeed(at: AtVenue) -> Reconciliation:
    """The lease runs out, and somebody else reconciles by a connection of his own; then the broker is as before."""
    was = dict(at.venue.held), at.venue.cash, list(at.venue.activities)
    at.venue.held["BBB"] = D(7)
    Lease.objects.filter(name=f"broker.reconcile:{at.account.pk}").update(expires_at=database_now())
    done = reconcile(account_id=at.account.pk, trigger="manual", broker=VenueBroker(lambda: at.venue))
    assert done.failure == ""
    at.venue.held, at.venue.cash, at.venue.activities = was
    return done


def stopped_at(at: AtVenue, question: str, meanwhile: Callable[[], object]) -> None:
    """Whoever waits for the answer to this is stopped, once."""

    def hook() -> None:
        del at.hooks[question]
        meanwhile()

    at.hooks[question] = hook


def test_it_ends_no_break_that_its_successor_has_opened(at: AtVenue) -> None:
    stopped_at(at, "positions", lambda: succeed(at))
    assert at.reconcile().split(":")[0] == TAKEN_OVER
    assert (at.open(), at.halted()) == ([("position", "BBB")], True)


def test_it_ends_no_unbooked_money_that_its_successor_has_found(at: AtVenue) -> None:
    assert at.breaks() == []  # from now on money there is ours to book
    strange = CashActivity("a-1", ActivityKind.FEE, D(-3), "EUR", database_now().date(), "a fee in euros")

    def meanwhile() -> None:
        at.venue.activities.append(strange)
        succeed(at)
        at.venue.activities.clear()

    stopped_at(at, "cash_activities_since", meanwhile)
    assert at.reconcile().split(":")[0] == TAKEN_OVER
    assert at.open() == [("activity", "a-1"), ("position", "BBB")]


def test_it_notes_no_money_as_there_before(at: AtVenue) -> None:
    """It was the first look; by the second one what comes is booked."""

    def meanwhile() -> None:
        succeed(at)
        at.venue.activities.append(
            CashActivity("a-1", ActivityKind.FEE, D(-3), "USD", database_now().date(), "a fee")
        )
        at.venue.cash -= 3

    stopped_at(at, "cash_activities_since", meanwhile)
    assert at.reconcile().split(":")[0] == TAKEN_OVER
    assert not BrokerActivity.objects.exists()
    at.reconcile()
    assert BrokerActivity.objects.get().amount == -3


def test_it_opens_no_break(at: AtVenue) -> None:
    at.venue.held["AAA"] = D(5)
    looks: list[str] = []

    def second_look() -> None:
        looks.append("positions")
        if len(looks) == 2:
            del at.hooks["positions"]
            succeed(at)
            ReconciliationBreak.objects.all().delete()

    at.hooks["positions"] = second_look
    assert at.reconcile().split(":")[0] == TAKEN_OVER
    assert at.open() == []


def test_it_records_no_bad_report(at: AtVenue) -> None:
    def meanwhile() -> None:
        succeed(at)
        at.venue.wrong["positions"] = [BadReport("it holds less than nothing", payload={})]

    stopped_at(at, "positions", meanwhile)
    assert at.reconcile().split(":")[0] == TAKEN_OVER
    assert at.open() == [("position", "BBB")]


def test_it_ends_not_what_somebody_asked_for_and_its_successor_is_at(at: AtVenue) -> None:
    asked = ask_for_reconciliation(portfolio_id=at.account.portfolio_id)
    stopped_at(at, "positions", lambda: succeed(at))
    done = reconcile(account_id=at.account.pk, trigger="manual")
    assert (done.pk, done.failure, done.breaks) == (asked.pk, "", 1)


def test_stopped_just_before_its_end_it_does_not_count_as_a_success(
    at: AtVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stopped_before(at, monkeypatch, "_finish")
    assert at.reconcile().split(":")[0] == TAKEN_OVER
    assert at.open() == [("position", "BBB")]


def test_stopped_before_its_begin_it_leaves_the_account_to_its_successor(
    at: AtVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stopped_before(at, monkeypatch, "_begin")
    with pytest.raises(AlreadyReconciling):
        at.reconcile()
    assert Reconciliation.objects.get().failure == ""


def _stopped_before(at: AtVenue, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    was = getattr(reconciliation, step)

    def late(*args: object) -> object:
        monkeypatch.setattr(reconciliation, step, was)
        succeed(at)
        return was(*args)

    monkeypatch.setattr(reconciliation, step, late)
