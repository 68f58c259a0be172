"""beat dies: what the feed wakes notices it, entries stop, and go on by themselves once beat is back for a while."""

from decimal import Decimal

import pytest

from foundation.models import Heartbeat
from portfolios.selectors import current_limit_sets, limit_values
from portfolios.services.limits import set_limits
from tests.harness.stage import Stage
from trading.models import AutoTrade, Decision, Halt

pytestmark = [pytest.mark.end_to_end, pytest.mark.integration, pytest.mark.timeout(400)]
SILENCE_SECONDS = 12  # beat shows itself every 5 seconds
NOTICED_SECONDS = 45.0
BACK_SECONDS = 120.0


def test_without_beat_entries_stop_until_it_is_back(stage: Stage) -> None:
    values = limit_values(current_limit_sets([("platform", None)])["platform", None])
    limits = values | {"max_beat_silence_seconds": Decimal(SILENCE_SECONDS)}
    set_limits(scope="platform", values=limits, actor=None)
    stage.start()
    portfolio_id = stage.open_portfolio()
    session = {"portfolio_id": portfolio_id, "config": {"recommendation_sources": ["demo"]}}
    stage.post("auto-trading/sessions/start", session)
    stage.advise("IBM")
    stage.processes.wait_for("worker_execution", lambda: filled() == ["IBM"])
    signs = Heartbeat.objects.filter(component="beat")
    stage.processes.wait_for("beat", signs.exists)
    assert not Halt.objects.exists(), "a fresh start is no silence"

    stage.processes.kill("beat")
    stage.processes.wait_for("worker_execution", lambda: drained() == 1, seconds=NOTICED_SECONDS)
    halt = Halt.objects.get()
    assert (halt.armed_by_breaker, halt.scope, halt.mode) == ("beat_silence", "platform", "reduce_only")
    assert halt.numbers["last_sign"] is not None
    stage.advise("MSFT")
    stage.processes.wait_for("worker_evaluation", lambda: refused("MSFT") == {"HALTED"})

    stage.processes.stop_all()
    stage.start()
    stage.advise("AAPL")
    stage.processes.wait_for("worker_evaluation", lambda: refused("AAPL") == {"HALTED"})
    halt.refresh_from_db()
    assert halt.released_at is None and halt.drained_at is not None and Halt.objects.count() == 1
    assert filled() == ["IBM"]

    released = Halt.objects.filter(pk=halt.pk, released_at__isnull=False, released_by=None)
    stage.processes.wait_for("worker_execution", released.exists, seconds=BACK_SECONDS)


def filled() -> list[str]:
    trades = AutoTrade.objects.filter(status="filled", trade_type="buy")
    return sorted(set(trades.values_list("symbol", flat=True)))


def drained() -> int:
    return Halt.objects.exclude(drained_at=None).count()


def refused(symbol: str) -> set[str]:
    rows = Decision.objects.filter(outcome="refused", instrument__symbol=symbol)
    return set(rows.values_list("code", flat=True))
