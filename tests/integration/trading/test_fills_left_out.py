"""A fill that the stream leaves out while it goes on as ever: found by asking, booked once, no news when it comes."""

import time
from collections.abc import Callable, Iterator

import pytest

from foundation import leases
from tests.harness.at_simulator import AtSimulator
from tests.harness.simulator import Simulator
from tests.harness.working import place
from trading.core.orders import MARKET_DAY
from trading.models import AutoTrade, Execution, Halt, Reconciliation
from trading.services import following
from trading.services.following import Follower
from trading.services.sending import send_due
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
SECONDS, NEVER = 20.0, 3600


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


class Scene:
    """Alice's account, followed by a thread of this process."""

    def __init__(self, at: AtSimulator, simulator: Simulator) -> None:
        self.at, self.simulator, self.others = at, simulator, 0

    def sent(self, symbol: str = "AAA", quantity: int = 10) -> AutoTrade:
        trade = place(self.at.desk, MARKET_DAY, symbol=symbol, quantity=quantity)
        assert send_due() == 1
        return trade

    def fill(self, trade: AutoTrade, quantity: int) -> None:
        self.simulator.fill(trade.client_order_id, quantity=quantity)

    def told(self, trade: AutoTrade, *, filled: int) -> None:
        until(lambda: AutoTrade.objects.get(pk=trade.pk).filled_quantity == filled)

    def goes_on(self) -> None:
        """The stream tells of another order by and by, so all that was told before is dealt with."""
        self.others += 1  # none is like another
        trade = self.sent("BBB", self.others)
        self.fill(trade, self.others)
        self.told(trade, filled=self.others)

    def is_clean(self, trade: AutoTrade, *, fills: int) -> bool:
        """Filled and booked so often, nothing differs, and nobody has connected anew for it."""
        assert self.at.reconcile().failure == ""
        booked = AutoTrade.objects.get(pk=trade.pk).status, Execution.objects.filter(trade=trade).count()
        triggers = set(Reconciliation.objects.values_list("trigger", flat=True))
        return (
            booked == ("filled", fills)
            and (self.at.breaks(), book_differences()) == ([], [])
            and triggers == {"start", "periodic"}
            and not Halt.objects.exists()
        )


@pytest.fixture
def scene(
    at_simulator: AtSimulator, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    monkeypatch.setattr(following, "broker_of", at_simulator.broker)
    lease = leases.acquire(name=f"broker.stream:{at_simulator.account.pk}", holder="one", seconds=600)
    assert lease is not None
    follower = Follower(account_id=at_simulator.account.pk, lease=lease)
    follower.renewed(good_until=time.monotonic() + 600)
    follower.start()
    until(lambda: Reconciliation.objects.filter(failure="", finished_at__isnull=False).exists())
    yield Scene(at_simulator, simulator)
    follower.end()
    follower.join(10)
    assert not follower.is_alive()


def test_the_last_fill_is_found_by_the_next_reconciliation(scene: Scene) -> None:
    trade = scene.sent()
    scene.simulator.misbehave("stream_drop", events=["fill"], count=1)
    scene.fill(trade, 10)
    scene.goes_on()
    assert AutoTrade.objects.get(pk=trade.pk).filled_quantity == 0
    assert scene.at.reconcile().fills_booked == 1
    assert scene.is_clean(trade, fills=1)


def test_an_earlier_one_keeps_its_order_from_ending_until_it_is_found(scene: Scene) -> None:
    """The broker tells with the last one that all is filled; that is not believed before all of it is booked."""
    trade = scene.sent()
    scene.simulator.misbehave("stream_drop", events=["partial_fill"], count=1)
    scene.fill(trade, 3)
    scene.fill(trade, 7)
    scene.told(trade, filled=7)
    assert AutoTrade.objects.get(pk=trade.pk).status == "partially_filled"
    assert scene.at.reconcile().fills_booked == 1
    assert scene.is_clean(trade, fills=2)


@pytest.mark.parametrize("asked", [True, False])  # or it is told of before anybody asked
def test_told_late_after_all_it_is_no_news(scene: Scene, asked: bool) -> None:
    """By the stream behind the next one, with what the order was like before that."""
    trade = scene.sent()
    scene.simulator.misbehave("stream_reorder", events=["partial_fill"], count=1, seconds=NEVER)
    scene.fill(trade, 3)
    scene.goes_on()
    if asked:
        assert scene.at.reconcile().fills_booked == 1
    scene.fill(trade, 4)
    scene.told(trade, filled=7)
    scene.fill(trade, 3)
    scene.told(trade, filled=10)
    scene.goes_on()
    assert scene.is_clean(trade, fills=3)


def test_told_late_after_its_order_has_ended_it_is_no_news(scene: Scene) -> None:
    trade = scene.sent()
    scene.simulator.misbehave("stream_reorder", events=["partial_fill"], count=1, seconds=NEVER)
    scene.fill(trade, 3)
    scene.at.reconcile()
    scene.fill(trade, 7)
    scene.told(trade, filled=10)
    scene.goes_on()
    assert scene.is_clean(trade, fills=2)
