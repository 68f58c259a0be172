"""An order of ours that stays unreadable: a person ends it and explains its break, and the account goes on."""

from typing import Any

import pytest

from foundation.errors import Conflict
from tests.harness.trading import Desk
from tests.integration.trading.at_brokers import clean, state
from tests.integration.trading.at_venue import AtVenue
from trading.brokers.protocol import OwnReport
from trading.models import AutoTrade, Reconciliation
from trading.services.settling import settle_by_hand

pytestmark = pytest.mark.integration
REASON = "its status is not known"


class Scene(AtVenue):
    def unreadable(self, **more: Any) -> AutoTrade:
        """An order of ours that works, and then has a status for ever that we have no word for."""
        trade = self.sent(**more)
        del self.venue.orders[f"b-{trade.id.hex}"]
        told: dict[str, Any] = {"key": f"b-{trade.id.hex}", "client_order_id": trade.client_order_id}
        self.venue.unreadable.append(OwnReport(REASON, payload={"status": "odd"}, **told))
        return trade

    def end_by_hand(self, trade: AutoTrade) -> None:
        """Its cancel is refused, it is asked for in vain, and Bob looks at the broker's own page."""
        AutoTrade.objects.filter(pk=trade.pk).update(status="quarantined")
        settle_by_hand(trade_id=trade.pk, state="cancelled", explanation="It is over there", actor=self.bob)


@pytest.fixture
def scene(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(desk, monkeypatch)


def test_ended_and_explained_it_keeps_the_account_closed_no_longer(scene: Scene) -> None:
    trade = scene.unreadable()
    assert scene.reconcile() == f"{Reconciliation.UNREAD}{REASON}"
    assert scene.explain() == [("bad_report", f"order {trade.client_order_id}")]
    assert scene.reconcile() == f"{Reconciliation.UNREAD}{REASON}", "it is open in our books"
    with pytest.raises(Conflict) as refusal:
        scene.release()
    assert refusal.value.code == "broker_unreadable" and "end that order by hand" in refusal.value.detail
    scene.end_by_hand(trade)
    assert (scene.reconcile(), scene.open()) == ("", [])
    scene.release()
    assert (scene.reconcile(), scene.open(), state(trade), clean()) == ("", [], "cancelled", True)


def test_ended_and_not_explained_it_keeps_it_closed(scene: Scene) -> None:
    trade = scene.unreadable()
    scene.end_by_hand(trade)
    assert scene.reconcile() == f"{Reconciliation.UNREAD}{REASON}"
    assert scene.explain() == [("bad_report", f"order {trade.client_order_id}")]
    assert scene.reconcile() == ""


def test_what_it_was_filled_with_is_a_difference_that_people_see(scene: Scene) -> None:
    trade = scene.unreadable(quantity=10)
    scene.venue.held, scene.venue.cash = {"AAA": trade.quantity}, scene.venue.cash - 1000
    scene.reconcile()
    scene.end_by_hand(trade)
    assert len(scene.explain()) == 1
    assert scene.reconcile() == ""
    assert scene.open() == [("cash", "USD"), ("position", "AAA")]


def test_what_was_explained_of_it_stays_so_when_something_else_of_it_is_told(scene: Scene) -> None:
    """Its fill is in the list of the last minutes, and the order itself is only in that of the last day."""
    trade = scene.unreadable()
    order = scene.venue.unreadable[0]
    told: dict[str, Any] = {"key": "f-1", "client_order_id": trade.client_order_id, "is_fill": True}
    fill = OwnReport("its order cannot be read", payload={}, **told)
    scene.end_by_hand(trade)
    for unreadable in (order, fill):
        scene.venue.unreadable = [unreadable]
        assert scene.reconcile() != ""
        assert len(scene.explain()) == 1
    for unreadable in (order, fill, order):
        scene.venue.unreadable = [unreadable]
        assert (scene.reconcile(), scene.open()) == ("", [])


def test_of_many_that_are_ended_each_has_its_break(scene: Scene) -> None:
    trades = [scene.unreadable(quantity=quantity) for quantity in range(1, 7)]
    assert scene.reconcile() == f"{Reconciliation.BAD_REPORT}{REASON}", "it is the broker that cannot be read"
    assert len(scene.explain()) == 1
    for trade in trades:
        scene.end_by_hand(trade)
    assert scene.reconcile() == f"{Reconciliation.UNREAD}{REASON}"
    assert scene.explain() == sorted(("bad_report", f"order {trade.client_order_id}") for trade in trades)
    assert (scene.reconcile(), scene.open()) == ("", [])
    scene.release()
    assert clean()
