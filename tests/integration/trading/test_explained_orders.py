"""An order that is over, and of which the broker counts otherwise than our books, is explained once."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from foundation.clock import database_now
from tests.harness.trading import Desk
from tests.integration.trading.at_brokers import clean, state
from tests.integration.trading.at_venue import AtVenue
from trading.brokers.protocol import AskFailed
from trading.core.order_states import OrderState
from trading.models import AutoTrade

pytestmark = pytest.mark.integration


class Scene(AtVenue):
    def over(self) -> AutoTrade:
        """Of ten six were filled two hours ago, and the rest was cancelled: all agree."""
        trade = self.sent(quantity=10)
        self.venue.fills(self.order(trade), 6, tell=False)
        self.venue.ends(self.order(trade), OrderState.CANCELLED, tell=False)
        assert (self.breaks(), state(trade), trade.filled_quantity) == ([], "cancelled", 6)
        before = database_now() - timedelta(hours=2)
        AutoTrade.objects.filter(pk=trade.pk).update(sent_at=before)
        self.counts(trade, 6, submitted_at=before)
        return trade

    def counts(self, trade: AutoTrade, filled: int, **more: Any) -> None:
        """The broker's own number."""
        self.venue.put(replace(self.order(trade), filled_quantity=Decimal(filled), **more))


@pytest.fixture
def alice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(desk, monkeypatch)


def test_what_is_explained_of_it_is_no_news_in_the_next_look_so_far_back(alice: Scene) -> None:
    trade = alice.over()
    alice.counts(trade, 5)  # one was taken back
    assert alice.breaks("manual") == [("order", trade.client_order_id)]
    alice.explain()
    alice.release()
    for trigger in ("periodic", "manual", "periodic", "manual"):
        assert (alice.breaks(trigger), alice.halted()) == ([], False)
    assert clean()


def test_another_number_of_it_is_news(alice: Scene) -> None:
    trade = alice.over()
    alice.counts(trade, 5)
    alice.breaks("manual")
    alice.explain()
    alice.breaks()
    alice.counts(trade, 4)
    assert alice.breaks("manual") == [("order", trade.client_order_id)]
    alice.counts(trade, 5)
    assert alice.breaks("manual") == [], "it is back at what was explained"


def test_what_is_open_of_it_is_not_gone_where_no_list_goes_back_to_it(alice: Scene) -> None:
    """After a failure a look goes back some minutes only."""
    trade = alice.over()
    alice.counts(trade, 5)
    assert alice.breaks("manual") == [("order", trade.client_order_id)]
    alice.venue.wrong["account"] = [AskFailed("the broker is away")]
    assert alice.reconcile() != ""
    assert alice.breaks() == [("order", trade.client_order_id)]
    alice.venue.wrong["account"] = [AskFailed("the broker is away")]
    assert alice.reconcile() != ""
    alice.counts(trade, 6)
    assert (alice.breaks(), clean()) == ([], True)
