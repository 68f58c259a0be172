"""One real trade through real processes: HTTP in, PostgreSQL, Valkey, Celery, WebSocket out."""

import json
import signal
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from tests.harness.following import next_event
from tests.harness.processes import is_alive
from tests.harness.stage import WORKERS, Stage
from trading.services.verification import book_differences

pytestmark = [pytest.mark.end_to_end, pytest.mark.integration]
EVENT_SECONDS = 60
NAMES = ("web", "feed", "beat", *WORKERS)


def until_filled(socket: ClientConnection, *, at_most: int = 500) -> list[dict[str, Any]]:
    """Events up to and with the first fill."""
    events: list[dict[str, Any]] = []
    for _ in range(at_most):
        events.append(next_event(socket, timeout=EVENT_SECONDS))
        if events[-1]["kind"] == "trade.filled":
            return events
    pytest.fail(f"no fill in {at_most} events")


def test_a_session_started_over_http_trades_and_the_socket_tells_everything(stage: Stage) -> None:
    stage.start()
    portfolio_id = stage.open_portfolio()
    with stage.follow(portfolio_id, since=0) as socket:
        first = next_event(socket, timeout=EVENT_SECONDS)
    assert (first["stream"], first["seq"], first["kind"]) == (portfolio_id, 1, "portfolio.created")

    # nobody listens now: what happens meanwhile is replayed
    session = stage.post(
        "auto-trading/sessions/start",
        {
            "portfolio_id": portfolio_id,
            "config": {"universe": {"symbols": ["IBM"]}, "recommendation_sources": ["demo"]},
        },
    )
    stage.advise("IBM")
    with stage.follow(portfolio_id, since=first["seq"]) as socket:
        events = until_filled(socket)
    assert [event["seq"] for event in events] == list(range(2, len(events) + 2))
    kinds = [event["kind"] for event in events]
    assert kinds.index("session.started") < kinds.index("decision.made") < kinds.index("trade.created")

    fill = events[-1]["payload"]
    story = stage.get(f"auto-trading/trades/{fill['trade_id']}/details")
    assert (story["trade"]["status"], story["trade"]["symbol"]) == ("filled", "IBM")
    assert "STRONG_BUY" in json.dumps(story)
    status = stage.get(f"auto-trading/sessions/{session['id']}/status")
    assert status["session"]["total_trades"] >= 1
    assert book_differences() == []

    told = [stage.processes.log(name) for name in ("worker_evaluation", "worker_execution")]
    assert any('"event": "trade_filled"' in log for log in told)  # the operator sees it, too

    pids = every_pid(stage)
    assert len(pids) == len(set(pids)) >= len(NAMES) + len(WORKERS)
    codes = stage.processes.stop_all()
    assert set(codes.values()) <= {0, -signal.SIGTERM}, codes
    assert [pid for pid in pids if is_alive(pid)] == []


def every_pid(stage: Stage) -> list[int]:
    """Leaders and the pool children that run the tasks."""
    leaders = [stage.processes.pid(name) for name in NAMES]
    return leaders + [child for worker in WORKERS for child in stage.processes.pool_children(worker)]
