"""Two workers evaluate, of two versions of the code: only the required one trades, and one word changes which."""

import pytest

from foundation.models import Heartbeat
from journal.models import Alert
from sessions.models import EvaluationRun
from tests.harness.stage import Stage
from trading.models import AutoTrade
from trading.services.fleet import require_code_version

pytestmark = [pytest.mark.end_to_end, pytest.mark.integration, pytest.mark.timeout(600)]


def test_only_workers_of_the_required_version_trade(stage: Stage) -> None:
    processes = stage.processes
    processes.environment["CODE_VERSION"] = "new"
    require_code_version(version="new", actor=None)
    stage.start()
    processes.start("worker_evaluation.2", CODE_VERSION="old")
    processes.wait_ready("worker_evaluation.2")
    portfolio_id = stage.open_portfolio("Fleet")
    stage.post(
        "auto-trading/sessions/start",
        {"portfolio_id": portfolio_id, "config": {"recommendation_sources": ["demo"]}},
    )
    processes.wait_for("worker_evaluation.2", lambda: Heartbeat.objects.filter(code_version="old").exists())
    stage.advise("IBM")
    processes.wait_for(
        "worker_execution", lambda: AutoTrade.objects.filter(status="filled").exists(), seconds=120
    )
    processes.wait_for("worker_execution", lambda: Alert.objects.filter(kind="fleet.mismatch").exists())
    assert set(EvaluationRun.objects.values_list("code_version", flat=True)) == {"new"}

    require_code_version(version="old", actor=None)
    processes.wait_for(
        "worker_evaluation.2", lambda: EvaluationRun.objects.filter(code_version="old").exists(), seconds=60
    )
    first = EvaluationRun.objects.filter(code_version="old").earliest("id")
    assert set(EvaluationRun.objects.filter(id__gt=first.id).values_list("code_version", flat=True)) <= {
        "old"
    }
