"""Who is told to end says so, and nobody misses him; who is killed cannot, and is missed."""

import pytest

from foundation.models import Heartbeat
from market.services.load import load_sample_market
from tests.harness.processes import Processes
from trading.services.missing import last_signs

pytestmark = [pytest.mark.end_to_end, pytest.mark.integration, pytest.mark.timeout(400)]
COMPONENTS = {
    "beat": "beat", "feed": "feed", "worker_broker": "worker.broker", "worker_evaluation": "worker.evaluation",
    "worker_execution": "worker.execution", "worker_notification": "worker.notification",
}  # fmt: skip


def test_a_process_that_is_told_to_end_says_goodbye(processes: Processes) -> None:
    load_sample_market()
    processes.start(*COMPONENTS)
    for name, component in COMPONENTS.items():
        processes.wait_for(name, Heartbeat.objects.filter(component=component).exists)
    processes.kill("worker_evaluation")
    told = [name for name in COMPONENTS if name != "worker_evaluation"]
    for name in told:
        assert processes.stop(name) == {name: 0}
    signs = last_signs()
    assert {name: signs[COMPONENTS[name]].ended for name in COMPONENTS} == {
        **dict.fromkeys(told, True), "worker_evaluation": False,
    }  # fmt: skip
