"""A decision that is taken again and again is one row: it says why it is so now, and since when."""

from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model

from journal.models import Entry
from tests.harness.trading import Desk, Market
from trading.models import Decision, Halt
from trading.services.emergency_stop import arm, release

pytestmark = pytest.mark.integration


def advised(desk: Desk, confidence: float) -> Decision:
    """The newest decision after another tick, with this advice to buy."""
    desk.market.advise("AAA", "STRONG_BUY", confidence)
    desk.step()
    return desk.decisions()[-1]


def test_it_tells_the_reasons_of_the_last_time_and_the_first_time(desk: Desk, market: Market) -> None:
    arm(scope="platform", reason="the first cause", actor=desk.owner)
    first = advised(desk, 0.85)
    assert "the first cause" in first.detail and "0.85" in str(first.explanation)
    bob = get_user_model().objects.create(username="bob", is_staff=True)
    release(halt_id=Halt.objects.get().id, actor=bob)
    arm(scope="platform", reason="quite another cause", actor=desk.owner)
    now = advised(desk, 0.95)
    assert (now.id, now.code, now.repeated) == (first.id, "HALTED", 1)
    assert "quite another cause" in now.detail
    assert "0.95" in str(now.explanation) and "0.85" not in str(now.explanation)
    assert "quite another cause" in str(now.checks) and "the first cause" not in str(now.checks)
    assert (now.slot, now.market_at, now.created_at) == (first.slot, first.market_at, first.created_at)
    assert now.last_slot > first.slot and now.last_market_at > first.market_at
    assert Entry.objects.filter(kind="decision.made").count() == 1, "it is told once"


def test_each_of_several_gets_its_own(market: Market) -> None:
    market.tick()
    desks = [Desk.open(market, owner=name, cash=cash) for name, cash in (("alice", 100_000), ("bob", 50_000))]
    arm(scope="platform", reason="a test", actor=desks[0].owner)
    market.advise("AAA")
    market.advise("BBB", "STRONG_BUY", 0.95)
    desks[0].step()
    desks[0].step(AAA=50.0, BBB=25.0)
    for desk, equity in zip(desks, (100_000, 50_000), strict=True):
        rows = {row.instrument.symbol: row for row in desk.decisions() if row.instrument}
        assert {symbol: row.repeated for symbol, row in rows.items()} == {"AAA": 1, "BBB": 1}
        assert "0.95" in str(rows["BBB"].explanation) and "0.95" not in str(rows["AAA"].explanation)
        quantities = {symbol: Decimal(row.sizing["quantity"]) for symbol, row in rows.items()}
        assert quantities == {"AAA": equity // 20 // 50, "BBB": equity // 20 // 25}
