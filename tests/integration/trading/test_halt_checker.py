"""The emergency stop's benchmark sees what goes out late in a real database, by the time of its commit."""

from collections.abc import Iterator

import psycopg
import pytest
from django.contrib.auth import get_user_model

from benchmarks.halt.checker import (
    came_late,
    filled_in,
    just_before,
    late_trades,
    moved_within,
    read_movements,
)
from portfolios.services.portfolios import set_member
from tests.harness.databases import CommittedDatabase
from tests.harness.trading import Desk, Market
from trading.models import AutoTrade, Halt
from trading.services.draining import drain
from trading.services.emergency_stop import arm, release
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration
FABRICATED = """
    INSERT INTO trading_execution (account_id, execution_id, trade_id, quantity, price, fee, realised_pnl, reversal_pnl,
                                   market_at)
    SELECT account_id, 'fabricated', id, quantity, 100, 0, 0, 0, market_at FROM auto_trades WHERE id = %s
"""


@pytest.fixture
def pending(desk: Desk, market: Market) -> AutoTrade:
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    (trade,) = desk.trades()
    assert trade.status == "pending"
    return trade


@pytest.fixture
def outsider(committed_db: CommittedDatabase) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Somebody who takes no part in the halt's lock."""
    with psycopg.connect(committed_db.owner_url) as connection:
        yield connection


def released(halt: Halt, desk: Desk) -> Halt:
    bob = get_user_model().objects.create(username="bob", is_staff=True)
    set_member(portfolio=desk.portfolio, user=bob, role="risk_officer", actor=desk.owner)
    return release(halt_id=halt.id, actor=bob)


def test_a_fill_that_began_before_the_halt_and_was_committed_after_it_was_drained_is_late(
    desk: Desk, pending: AutoTrade, outsider: psycopg.Connection[tuple[object, ...]]
) -> None:
    outsider.execute(FABRICATED, [pending.id])  # its created_at is earlier than drained_at
    halt = arm(scope="platform", reason="a test", actor=desk.owner)
    assert drain(halt_id=halt.id)
    outsider.commit()
    assert late_trades([released(halt, desk)]) == {pending.id}


def test_a_trade_that_is_sent_after_draining_is_late_and_the_second_look_sees_it(
    desk: Desk, pending: AutoTrade, outsider: psycopg.Connection[tuple[object, ...]]
) -> None:
    halt = arm(scope="symbol", scope_id="AAA", reason="a test", actor=desk.owner)
    assert drain(halt_id=halt.id)
    first = filled_in(halt, trades_since=pending.created_at.replace(year=2000))
    outsider.execute("UPDATE auto_trades SET status = 'submitting' WHERE id = %s", [pending.id])
    outsider.commit()
    second = filled_in(halt, trades_since=pending.created_at.replace(year=2000))
    assert came_late(first, second) == {pending.id}
    assert late_trades([released(halt, desk)]) == {pending.id}


@pytest.mark.parametrize("scope", ["platform", "portfolio", "symbol"])
def test_what_was_filled_before_and_after_is_not_late_but_counts_as_load(
    desk: Desk, market: Market, pending: AutoTrade, scope: str
) -> None:
    assert execute_pending() == 1
    scope_id = {"platform": "", "portfolio": str(desk.portfolio.id), "symbol": "AAA"}[scope]
    halt = arm(scope=scope, scope_id=scope_id, reason="a test", actor=desk.owner)
    assert drain(halt_id=halt.id)
    halt = released(halt, desk)
    desk.step(AAA=90.0)  # the stop-loss sells
    assert [trade.status for trade in desk.trades()] == ["filled", "filled"]
    assert late_trades([halt]) == set()
    Halt.objects.filter(pk=halt.pk).update(armed_at=halt.drained_at, drained_at=pending.created_at)
    halt.refresh_from_db()
    before = just_before(halt)
    assert moved_within([before], read_movements()) == [{pending.id}]
