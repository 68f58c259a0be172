"""A real worker watches the protections: killed in the middle of its sale, it is started again and sells once."""

import os
import signal
from pathlib import Path

import pytest

from sessions.services.sessions import stop_trading_session
from tests.harness.processes import Processes, is_alive, wait_until
from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from trading.models import AutoTrade, Protection
from trading.services.stopping import finish_stopping
from trading.services.verification import book_differences

pytestmark = [pytest.mark.end_to_end, pytest.mark.integration]


def test_a_stop_survives_a_killed_worker_and_a_restart(processes: Processes, tmp_path: Path) -> None:
    market = Market()
    market.tick()
    (action,) = STRONG_BUY_ENTRY["actions"]
    rule = {**STRONG_BUY_ENTRY, "actions": [{**action, "trailing_stop_percentage": 10}]}
    desk = Desk.open(market, rules=(rule,))
    market.advise("AAA")
    desk.step()
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    assert finish_stopping() == 1

    reached = tmp_path / "reached"
    processes.start("worker_execution", PAUSE_POINT=f"protections.before_commit={reached}")
    processes.wait_ready("worker_execution")
    market.tick(AAA=120.0)
    processes.wait_for("worker_execution", lambda: peak(desk) == 120)
    market.tick(AAA=108.0)
    processes.wait_for("worker_execution", lambda: reached.exists() and reached.read_text() != "")
    child = int(reached.read_text())
    assert child in processes.pool_children("worker_execution")
    os.killpg(processes.pid("worker_execution"), signal.SIGKILL)
    processes.kill("worker_execution")
    assert wait_until(lambda: not is_alive(child), seconds=10)
    assert not sales(desk), "nothing of the sale was committed"

    processes.start("worker_execution")
    processes.wait_ready("worker_execution")
    market.tick(AAA=107.0)
    processes.wait_for("worker_execution", lambda: desk.held("AAA") == 0)
    market.tick(AAA=106.0)
    processes.stop("worker_execution")
    assert [(trade.origin, trade.status, trade.session) for trade in sales(desk)] == [
        ("protection", "filled", None)
    ]
    assert not Protection.objects.exists() and book_differences() == []


def sales(desk: Desk) -> list[AutoTrade]:
    return [trade for trade in desk.trades() if trade.trade_type == "sell"]


def peak(desk: Desk) -> float:
    position = desk.portfolio.positions.select_related("mark").get(instrument__symbol="AAA")
    return float(position.mark.peak_price)
