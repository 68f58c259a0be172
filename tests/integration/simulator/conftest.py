"""Alice's account at the simulated broker, spoken to as any client would."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.simulator import Simulator
from tests.integration.simulator.talking import KEY, SECRET, Alpaca


@pytest.fixture
def alice(simulator: Simulator) -> Iterator[Alpaca]:
    """With 100,000 in cash, and AAPL at 99.99 to 100.01."""
    simulator.account(KEY, secret=SECRET, cash="100000")
    simulator.quotes(AAPL=("99.99", "100.01"), MSFT="50")
    client = Alpaca(simulator)
    yield client
    client.http.close()


@pytest.fixture
def simulator_of(tmp_path: Path) -> Iterator[Callable[[int], Simulator]]:
    """simulator_of(seed): one more process; all are ended with the test."""
    started: list[Simulator] = []

    def start(seed: int) -> Simulator:
        simulator = Simulator(tmp_path / f"simulator-{len(started)}", seed=seed)
        started.append(simulator)
        simulator.start()
        return simulator

    yield start
    for simulator in started:
        simulator.stop()
