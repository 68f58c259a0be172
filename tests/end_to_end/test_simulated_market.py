"""The whole chain on a simulated market: what trades on the replay trades on it, too."""

import json

import pytest

from market.models import QuarantinedQuote, Snapshot
from tests.end_to_end.test_first_trade import until_filled
from tests.harness.stage import Stage
from trading.services.verification import book_differences

pytestmark = [pytest.mark.end_to_end, pytest.mark.integration]
SIMULATED = {
    "MARKET_FEED": "simulated", "SIM_START": "2004-01-05", "SIM_STEP_SECONDS": "600", "SIM_TICKS_PER_SECOND": "4",
}  # fmt: skip


def test_a_session_trades_on_it(stage: Stage) -> None:
    stage.start(feed=SIMULATED)
    portfolio_id = stage.open_portfolio()
    stage.post(
        "auto-trading/sessions/start",
        {
            "portfolio_id": portfolio_id,
            "config": {"universe": {"symbols": ["IBM"]}, "recommendation_sources": ["demo"]},
        },
    )
    stage.advise("IBM")
    with stage.follow(portfolio_id, since=1) as socket:
        fill = until_filled(socket)[-1]["payload"]
    story = stage.get(f"auto-trading/trades/{fill['trade_id']}/details")
    assert (story["trade"]["status"], story["trade"]["symbol"]) == ("filled", "IBM")
    assert "STRONG_BUY" in json.dumps(story)
    assert Snapshot.objects.filter(as_of__minute=40).exists(), (
        "ten minutes after an open, when no replay says anything"
    )
    assert book_differences() == []
    assert not QuarantinedQuote.objects.exists()
