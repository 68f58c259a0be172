"""Only workers of the required version of the code trade, and people hear of those that do not."""

import io

import pytest
from django.core.management import CommandError, call_command

from foundation.errors import InvalidInput
from foundation.heartbeats import beat
from foundation.models import Heartbeat, RequiredCodeVersion
from foundation.version import code_version
from journal.models import Alert, Entry
from sessions.models import EvaluationRun
from sessions.services.sessions import stop_trading_session
from tests.harness.trading import Desk, Market
from trading.services.auto_trading import evaluate_next_slice
from trading.services.fleet import require_code_version, watch_fleet
from trading.services.stopping import finish_stopping
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration


def alerts() -> list[str]:
    return list(Alert.objects.filter(kind="fleet.mismatch").values_list("message", flat=True))


def worker_of(version: str, instance: str) -> None:
    """It showed itself just now."""
    beat(component="worker.evaluation")
    row = Heartbeat.objects.order_by("-at")[0]
    Heartbeat.objects.create(
        component="worker.evaluation", instance=instance, code_version=version, at=row.at
    )


def test_a_worker_of_another_version_evaluates_nothing(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.tick()
    require_code_version(version="another", actor=None)
    assert evaluate_next_slice() is None
    assert not EvaluationRun.objects.exists() and desk.trades() == []
    require_code_version(version=code_version(), actor=None)
    assert evaluate_next_slice() is not None
    assert EvaluationRun.objects.get().code_version == code_version()
    assert len(desk.trades()) == 1


def test_a_worker_of_another_version_executes_nothing_and_flattens_nothing(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, config={"on_stop": "flatten"})
    market.advise("AAA")
    desk.step()
    market.advice.clear()
    market.advise("BBB")
    market.tick()
    desk.evaluate()
    require_code_version(version="another", actor=None)
    assert execute_pending() == 0
    assert [(trade.symbol, trade.status) for trade in desk.trades()] == [
        ("AAA", "filled"),
        ("BBB", "pending"),
    ]
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    assert finish_stopping() == 0
    assert [trade.trade_type for trade in desk.trades()] == ["buy", "buy"], "nothing is sold"
    assert desk.trades()[-1].status == "cancelled", "a cancel is never held up"
    require_code_version(version=code_version(), actor=None)
    finish_stopping()
    assert execute_pending() == 1 and finish_stopping() == 1
    assert desk.held("AAA") == 0


def test_without_a_requirement_any_version_trades(desk: Desk, market: Market) -> None:
    require_code_version(version="another", actor=None)
    require_code_version(version=None, actor=None)
    market.tick()
    assert evaluate_next_slice() is not None


def test_each_change_of_the_requirement_is_journalled_and_told(db: None) -> None:
    require_code_version(version="one", actor=None)
    require_code_version(version="two", actor=None)
    require_code_version(version=None, actor=None)
    told = Entry.objects.filter(kind="fleet.version_required").order_by("seq")
    assert ['"version":"one"' in told[0].payload, '"before":"one"' in told[1].payload] == [True, True]
    assert Alert.objects.filter(kind="fleet.version_required").count() == 3


def test_a_version_is_some_text(db: None) -> None:
    for wrong in ("", " one", "x" * 65):
        with pytest.raises(InvalidInput, match="version"):
            require_code_version(version=wrong, actor=None)
    assert not RequiredCodeVersion.objects.exists()


def test_a_live_worker_of_another_version_is_told_once(db: None) -> None:
    worker_of("old", "machine-7:12")
    watch_fleet()
    assert alerts() == []  # nothing is required
    require_code_version(version=code_version(), actor=None)
    for _ in range(2):
        watch_fleet()
    (message,) = alerts()
    assert message.startswith(f"Version old runs, and {code_version()} is required: ")
    assert "worker.evaluation on machine-7:12" in message
    worker_of("older", "machine-8:3")
    watch_fleet()
    assert len(alerts()) == 2
    require_code_version(version=code_version(), actor=None)  # asked for again: told again
    watch_fleet()
    assert len(alerts()) == 4


def test_who_is_gone_is_no_mismatch(db: None) -> None:
    worker_of("old", "machine-7:12")
    Heartbeat.objects.filter(code_version="old").update(at="2004-01-02T00:00:00Z")
    require_code_version(version=code_version(), actor=None)
    watch_fleet()
    assert alerts() == []


def test_the_command_sets_shows_and_forgets(db: None) -> None:
    worker_of("old", "machine-7:12")
    shown = io.StringIO()
    call_command("require_code_version", "--this", stdout=shown)
    assert RequiredCodeVersion.objects.get().version == code_version()
    assert f"required: {code_version()}" in shown.getvalue()
    (line,) = (line for line in shown.getvalue().splitlines() if "machine-7:12" in line)
    assert line.endswith("(trades nothing)")
    call_command("require_code_version", "--none", stdout=shown)
    assert not RequiredCodeVersion.objects.exists()
    with pytest.raises(CommandError, match="version"):
        call_command("require_code_version", "x" * 65)
