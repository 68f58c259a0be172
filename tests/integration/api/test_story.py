"""The whole story of a trade leaves out nothing that happened to it, whichever clock that was told by."""

from datetime import timedelta
from decimal import Decimal

import pytest

from foundation.clock import database_now
from tests.integration.api.conftest import World
from trading.models import AutoTrade
from trading.services.corrections import reverse_ledger_entry
from trading.services.manual import place_trade
from trading.services.order_management import cancel_trade

pytestmark = pytest.mark.integration


def story(world: World, trade: AutoTrade) -> list[str]:
    answer = world.as_("alice").get(f"/api/auto-trading/trades/{trade.id}/details")
    return [event["kind"] for event in answer.json()["events"]]


def test_a_market_whose_clock_is_ahead_hides_nothing(world: World) -> None:
    """By a quote whose stamp is a little in the future: what is told by database time comes before it."""
    world.market.as_of = database_now() + timedelta(minutes=2)
    world.market.tick()
    alice = world.users["alice"]
    trade = place_trade(
        portfolio_id=world.desk.portfolio.id, symbol="BBB", side="buy", quantity=Decimal(1), actor=alice
    )
    cancel_trade(trade_id=trade.id, actor=alice)
    assert trade.market_at > database_now()
    assert story(world, trade) == ["decision.made", "trade.created", "trade.cancelled"]


def test_a_fill_that_was_taken_back_is_told_however_much_later(world: World) -> None:
    before = story(world, world.filled)
    long_ago = world.filled.created_at - timedelta(days=1)
    AutoTrade.objects.filter(pk=world.filled.pk).update(updated_at=long_ago)
    reverse_ledger_entry(
        portfolio_id=world.desk.portfolio.id, entry_id=world.filled_entry, actor=world.users["alice"],
        reason="booked twice",
    )  # fmt: skip
    assert story(world, world.filled) == [*before, "entry.reversed"]
