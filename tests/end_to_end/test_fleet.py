"""Two workers evaluate: of two versions of the code only the required one trades, and one word changes which; of one
version they share the work."""

import pytest

from foundation.models import Heartbeat
from journal.models import Alert
from sessions.models import EvaluationRun, EvaluationSlice, TradingSession
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


def test_two_workers_of_one_version_share_the_slices_and_do_none_twice(stage: Stage) -> None:
    processes = stage.processes
    workers = ("worker_evaluation", "worker_evaluation.2")
    stage.start()
    processes.start(workers[1])
    processes.wait_ready(workers[1])
    for name in ("First", "Second"):
        body = {"portfolio_id": stage.open_portfolio(name), "config": {"recommendation_sources": ["demo"]}}
        stage.post("auto-trading/sessions/start", body)
    second = TradingSession.objects.get(portfolio__name="Second")
    TradingSession.objects.filter(pk=second.pk).update(slice=EvaluationSlice.objects.create())
    both = {second.slice_id, TradingSession.objects.get(pk=second.pk).slice_id}
    (one,), (other,) = (processes.pool_children(name) for name in workers)

    def at_work() -> bool:
        done = EvaluationRun.objects.values_list("worker", "slice_id").distinct()
        at = {(int(worker.rsplit(":", 1)[1]), slice_id) for worker, slice_id in done}
        return {pid for pid, _ in at} == {one, other} and {slice_id for _, slice_id in at} == both

    processes.wait_for(workers[1], at_work, seconds=120)
    runs = list(EvaluationRun.objects.values_list("slice_id", "slot"))
    assert len(runs) == len(set(runs)) and {slice_id for slice_id, _ in runs} == both
    stage.advise("IBM")
    processes.wait_for(
        "worker_execution",
        lambda: AutoTrade.objects.filter(status="filled").values("portfolio").distinct().count() == 2,
        seconds=120,
    )
