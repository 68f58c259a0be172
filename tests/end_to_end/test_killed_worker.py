"""The execution worker's child dies in mid-booking and Valkey forgets everything: no trade, and no part of one, is lost
or doubled."""

import os
import signal
import uuid
from collections import Counter
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
import redis

from journal.models import Stream
from journal.selectors import verify_stream
from market.models import Quote
from tests.harness.processes import is_alive
from tests.harness.stage import Stage
from trading.models import AutoTrade, Execution
from trading.services.verification import book_differences

pytestmark = [pytest.mark.end_to_end, pytest.mark.integration, pytest.mark.timeout(400)]
PORTFOLIOS = 22  # more than whoever decides carries out by himself (`trade_execution.AT_ONCE_MAX`)


def test_a_killed_child_and_an_empty_valkey_lose_and_double_nothing(stage: Stage, tmp_path: Path) -> None:
    reached = tmp_path / "reached"
    stage.start(worker_execution={"PAUSE_POINT": f"execution.before_commit={reached}"})
    for number in range(PORTFOLIOS):
        portfolio_id = stage.open_portfolio(f"Portfolio {number}")
        stage.post(
            "auto-trading/sessions/start",
            {"portfolio_id": portfolio_id, "config": {"recommendation_sources": ["demo"]}},
        )
    stage.advise("IBM", "MSFT")

    stage.processes.wait_for("worker_execution", lambda: reached.exists() and reached.read_text() != "")
    child = int(reached.read_text())
    assert child in stage.processes.pool_children("worker_execution")
    pending = set(AutoTrade.objects.filter(status="pending").values_list("id", flat=True))
    assert pending, "the child was stopped with trades in its hands"
    os.kill(child, signal.SIGKILL)
    with redis.Redis.from_url(stage.processes.environment["REDIS_URL"]) as client:
        client.flushall()

    stage.processes.wait_for("worker_execution", lambda: settled(PORTFOLIOS * 2))
    assert not is_alive(child)
    stage.processes.stop(
        "worker_evaluation"
    )  # nothing more is decided; what was at the close waits for the opening
    stage.processes.wait_for("worker_execution", lambda: settled(PORTFOLIOS * 2))
    stage.processes.stop("feed")
    filled = AutoTrade.objects.filter(status="filled")
    assert pending <= set(filled.values_list("id", flat=True))
    per_trade = Counter(Execution.objects.values_list("trade_id", flat=True))
    assert set(per_trade) == set(filled.values_list("id", flat=True))
    assert set(per_trade.values()) == {1}
    per_slot = Counter(AutoTrade.objects.values_list("session_id", "slot", "instrument_id"))
    assert set(per_slot.values()) == {1}
    assert book_differences() == []
    assert [verify_stream(stream.id)[1] for stream in Stream.objects.all()] == [None] * Stream.objects.count()


# So little of the sample's volumes that an order takes several days: each day's is given once.
PARTS = {
    "fee_bps": "1", "fee_per_unit": "0", "fee_minimum": "0", "slippage_bps": "1", "price_impact_bps": "1000",
    "volume_limit_percentage": "0.0001", "latency_ms": 0, "touch_fill_percentage": "100", "seed": 1,
}  # fmt: skip


def test_a_kill_between_the_parts_of_orders_books_each_part_once(stage: Stage, tmp_path: Path) -> None:
    reached = tmp_path / "reached"
    reached.touch()  # until it is removed nobody stops there
    stage.start(worker_execution={"PAUSE_POINT": f"execution.before_commit={reached}"})
    for number in range(3):
        portfolio_id = stage.open_portfolio(f"Portfolio {number}")
        answer = stage.alice.put(f"/api/portfolios/{portfolio_id}/paper-market", json=PARTS)
        assert answer.status_code == 200, answer.text
        stage.processes.wait_for("worker_execution", partial(is_ordered, stage, portfolio_id))

    in_parts = AutoTrade.objects.filter(status="partially_filled")
    stage.processes.wait_for("worker_execution", in_parts.exists)
    reached.unlink()
    stage.processes.wait_for("worker_execution", lambda: reached.exists() and reached.read_text() != "")
    booked = Execution.objects.count()
    os.kill(int(reached.read_text()), signal.SIGKILL)
    stage.processes.wait_for("worker_execution", lambda: Execution.objects.count() > booked + 3)
    stage.processes.wait_for("worker_execution", lambda: max(parts().values()) > 1)

    for name in ("feed", "worker_evaluation", "worker_execution"):
        stage.processes.stop(name)
    slots = Execution.objects.values_list("trade_id", "market_at")
    assert len(set(slots)) == len(slots), "one part on each snapshot"
    assert book_differences() == []
    assert [verify_stream(stream.id)[1] for stream in Stream.objects.all()] == [None] * Stream.objects.count()


def is_ordered(stage: Stage, portfolio_id: str) -> bool:
    """A limit somewhat above the market, which may be closed just now."""
    quote = Quote.objects.filter(instrument__symbol="IBM").first()
    if quote is None:
        return False
    order = {
        "portfolio_id": portfolio_id, "symbol": "IBM", "trade_type": "buy", "quantity": "60", "order_type": "limit",
        "time_in_force": "gtc", "limit_price": str((quote.last * Decimal("1.03")).quantize(Decimal("0.01"))),
    }  # fmt: skip
    return stage.alice.post("/api/auto-trading/trades", json=order).status_code == 201


def parts() -> Counter[uuid.UUID]:
    """Executions of each trade."""
    return Counter(Execution.objects.values_list("trade_id", flat=True))


def settled(at_least: int) -> bool:
    """So many trades, and every one of them filled."""
    statuses = list(AutoTrade.objects.values_list("status", flat=True))
    return len(statuses) >= at_least and set(statuses) == {"filled"}
