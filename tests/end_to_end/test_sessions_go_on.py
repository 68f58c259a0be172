"""Everything is killed and started again: sessions go on, on tick and by the clock, and trade once each."""

import os
import signal
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
import redis

from sessions.models import EvaluationRun, TradingSession
from tests.harness.stage import WORKERS, Stage
from trading.models import AutoTrade
from trading.services.verification import book_differences

pytestmark = [pytest.mark.end_to_end, pytest.mark.integration, pytest.mark.timeout(600)]
EVERY_SECONDS = 5
# No whole number of days goes by between two looks: else all of them may fall between a close and the next open. Advice
# of a day is fresh for several of them.
BARS_PER_SECOND = "0.7"


def test_sessions_go_on_after_everything_was_killed(stage: Stage) -> None:
    stage.start(bars_per_second=BARS_PER_SECOND)
    for name, evaluation in (("Each tick", "tick"), ("By the clock", {"every_seconds": EVERY_SECONDS})):
        config = {"recommendation_sources": ["demo"], "evaluation": evaluation}
        portfolio_id = stage.open_portfolio(name)
        stage.post("auto-trading/sessions/start", {"portfolio_id": portfolio_id, "config": config})
    before = running()
    stage.advise("IBM")
    stage.processes.wait_for("worker_execution", lambda: buyers_of("IBM") == before, seconds=120)

    for name in ("web", "feed", "beat", *WORKERS):
        os.killpg(stage.processes.pid(name), signal.SIGKILL)
        stage.processes.kill(name)
    with redis.Redis.from_url(stage.processes.environment["REDIS_URL"]) as client:
        client.flushall()
    seen = EvaluationRun.objects.count()
    stage.start(bars_per_second=BARS_PER_SECOND)
    stage.advise("MSFT")
    stage.processes.wait_for("worker_execution", lambda: buyers_of("MSFT") == before, seconds=120)

    stage.processes.stop("feed")
    assert running() == before and EvaluationRun.objects.count() > seen
    per_slot = Counter(AutoTrade.objects.values_list("session_id", "slot", "instrument_id"))
    assert set(per_slot.values()) == {1}
    runs = EvaluationRun.objects.filter(slice__every_seconds=EVERY_SECONDS).order_by("created_at")
    moments = list(runs.values_list("created_at", flat=True))
    assert len(moments) >= 2
    # A run is written just before its slice's next time is, and within the same transaction.
    assert all(later - earlier > timedelta(seconds=EVERY_SECONDS - 1) for earlier, later in pairwise(moments))
    assert book_differences() == []


def running() -> set[str]:
    return {str(row.id) for row in TradingSession.objects.filter(status="active")}


def buyers_of(symbol: str) -> set[str]:
    """The sessions that have bought it."""
    trades = AutoTrade.objects.filter(status="filled", trade_type="buy", symbol=symbol)
    return {str(session_id) for session_id in trades.values_list("session_id", flat=True)}
