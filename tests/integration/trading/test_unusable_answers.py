"""A whole answer of the broker that cannot be used is one break for as long as it is answered so."""

from typing import Any

import pytest

from foundation.errors import Conflict
from journal.models import Alert
from tests.harness.trading import Desk
from tests.integration.trading.at_venue import AtVenue
from trading.brokers.protocol import BadReport
from trading.models import ReconciliationBreak

pytestmark = pytest.mark.integration
ODD = "its side and its sign cannot be"


@pytest.fixture
def alice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AtVenue:
    return AtVenue(desk, monkeypatch)


def answers(alice: AtVenue, *, price: str, question: str = "positions", reason: str = ODD) -> str:
    """Reconciled while one row of it is odd: its failure."""
    said: dict[str, Any] = {"symbol": "AAA", "side": "none", "current_price": price}
    alice.venue.wrong[question] = [BadReport(reason, payload=[said])]
    return alice.reconcile()


def test_it_is_one_whatever_the_prices_in_it_are(alice: AtVenue) -> None:
    for price in ("100", "101", "102"):
        assert answers(alice, price=price) == f"bad report: {ODD}"
    (row,) = ReconciliationBreak.objects.all()
    assert (row.key, row.detail) == (f"answer about positions: {ODD}", ODD)
    assert row.theirs["said"][0]["current_price"] == "102", "the last one"
    assert Alert.objects.filter(kind="reconciliation.break").count() == 1


def test_another_question_or_another_reason_is_another_one(alice: AtVenue) -> None:
    answers(alice, price="100")
    answers(alice, price="100", reason="symbol is none")
    answers(alice, price="100", question="account")
    assert len(alice.open()) == 3


def test_its_explanation_lasts_until_the_broker_can_be_read_again(alice: AtVenue) -> None:
    answers(alice, price="100")
    assert len(alice.explain()) == 1
    for price in ("101", "102"):
        assert answers(alice, price=price) and alice.open() == []
    with pytest.raises(Conflict) as refusal:
        alice.release()
    assert refusal.value.code == "broker_unreadable"
    assert alice.breaks() == []
    alice.release()
    answers(alice, price="103")
    assert (len(alice.open()), alice.halted()) == (1, True), "it is news again"
