"""What a session has earned is told as of its end, whatever becomes of its orders and its books afterwards."""

from typing import Any

import pytest

from portfolios.models import LedgerTransfer
from sessions.services.sessions import stop_trading_session
from tests.harness.trading import Desk, Market
from tests.harness.working import limit_at, place
from trading.models import AutoTrade
from trading.selectors.equity import equity_points_of
from trading.services.corrections import reverse_ledger_entry
from trading.services.performance import get_session_performance
from trading.services.stopping import finish_stopping
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration


@pytest.fixture
def ended(desk: Desk, market: Market) -> dict[str, Any]:
    """50 were bought at 100; 10 of them wait by hand for 125 when it is stopped at 120. What it told then."""
    market.advise("AAA")
    desk.step()
    del market.advice["AAA"]
    place(desk, limit_at(125, gtc=True), side="sell")
    desk.step(AAA=120)
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    assert finish_stopping() == 1
    return told(desk)


def told(desk: Desk) -> dict[str, Any]:
    return get_session_performance(desk.session.id)


def take_back(desk: Desk, trade: AutoTrade) -> None:
    entry = LedgerTransfer.objects.filter(owner_id=trade.id, kind="fill").latest("id").entry_id
    reverse_ledger_entry(portfolio_id=desk.portfolio.id, entry_id=entry, actor=desk.owner, reason="busted")


def test_what_a_person_sells_afterwards_is_counted_once(
    desk: Desk, market: Market, ended: dict[str, Any]
) -> None:
    """It was in what the session held at its end."""
    market.tick(AAA=126)
    execute_pending()
    bought, sold = desk.trades()
    assert (sold.status, sold.session_id) == ("filled", desk.session.id)
    assert sold.realised_pnl > 0 and told(desk) == ended
    points = list(equity_points_of(desk.refresh().session).order_by("at", "id"))
    grown = (points[-1].equity - points[-1].paid_in) - (points[0].equity - points[0].paid_in)
    assert ended["realised_pnl"] + ended["unrealised_pnl"] == grown > 0
    assert (ended["total_trades"], desk.session.total_trades) == (1, 2), "the columns go on"
    assert ended["fees"] == bought.fees
    assert book_differences() == []


def test_a_fill_that_is_reversed_afterwards_stays_in_it(
    desk: Desk, market: Market, ended: dict[str, Any]
) -> None:
    bought, waiting = desk.trades()
    market.tick(AAA=126)
    execute_pending()
    for trade in (waiting, bought):
        take_back(desk, trade)
    assert desk.held("AAA") == 0 and told(desk) == ended
    assert book_differences() == []
