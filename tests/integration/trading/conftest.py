"""A market of three symbols that a test moves by hand, and Alice's portfolio in it."""

from collections.abc import Callable

import pytest

from tests.harness.trading import Desk, Market
from trading.services import missing, watching


@pytest.fixture(autouse=True)
def has_just_begun_to_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that is new: else the dead man's switch goes off in the one that runs all these tests."""
    monkeypatch.setattr(watching.WATCH, "since", None)
    monkeypatch.setattr(missing.PROCESSES, "looked_at", None)


@pytest.fixture
def market(committed_db: object) -> Market:
    return Market()


@pytest.fixture
def desk(market: Market) -> Desk:
    """Alice's portfolio with 100,000 of cash and a running session; the market is open at 100."""
    market.tick()
    return Desk.open(market)


@pytest.fixture
def desks(market: Market) -> Callable[[int], list[Desk]]:
    market.tick()
    return lambda count: [Desk.open(market, owner=f"owner-{number}") for number in range(count)]
