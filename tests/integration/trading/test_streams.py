"""An account's executions are followed by one at a time, and nothing falls between, whatever dies."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError

from foundation import leases
from foundation.clock import database_now
from foundation.models import Heartbeat, Lease
from journal.models import Alert
from portfolios.models import BrokerAccount
from tests.harness.at_broker import connect, ordered, report
from tests.harness.processes import Processes
from tests.harness.scripted_stream import Venue, VenueBroker, foreign, store
from tests.harness.trading import Desk
from trading.brokers.protocol import (
    AskFailed,
    BadReport,
    ForeignReport,
    NotConnected,
    OwnReport,
    StreamEvent,
)
from trading.core.order_states import OrderState
from trading.models import AutoTrade, Execution, Halt, Reconciliation, ReconciliationBreak
from trading.services import following, reconciling_holdings, watching
from trading.services.following import Follower
from trading.services.order_reports import apply_report
from trading.services.streams import StreamsRunner, accounts_to_follow, fair_part
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
D = Decimal
SECONDS = 20.0
ENDING_SECONDS = 8.0  # two of them on a machine of its own


def until(condition: Callable[[], Any], seconds: float = SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


class Scene:
    """Alice's account at a broker that the test moves by hand, and followers in threads of this process."""

    def __init__(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.desk, self.account, self.venue = desk, connect(desk), Venue()
        self.hooks: dict[str, Callable[[], None]] = {}
        self.connections: list[VenueBroker] = []
        self.followers: list[Follower] = []
        monkeypatch.setattr(following, "broker_of", self.connection)
        monkeypatch.setattr(following, "RETRY_SECONDS_FIRST", 0.05)
        monkeypatch.setattr(following, "NOT_CONNECTED_SECONDS", 0.05)
        monkeypatch.setattr(reconciling_holdings, "SECOND_LOOK_SECONDS", 0.0)

    def connection(self, account: BrokerAccount) -> VenueBroker:
        self.connections.append(VenueBroker(lambda: self.venue, hooks=self.hooks))
        return self.connections[-1]

    def follow(self, holder: str = "one") -> Follower:
        lease = leases.acquire(name=f"broker.stream:{self.account.pk}", holder=holder, seconds=30)
        assert lease is not None
        follower = Follower(account_id=self.account.pk, lease=lease)
        follower.renewed(good_until=time.monotonic() + 30)
        self.followers.append(follower)
        follower.start()
        return follower

    def following(self, times: int = 1) -> None:
        """Wait until so many reconciliations have succeeded."""
        until(lambda: Reconciliation.objects.filter(failure="", finished_at__isnull=False).count() >= times)

    def sent(self, **more: Any) -> AutoTrade:
        trade = ordered(self.desk, **more)
        AutoTrade.objects.filter(pk=trade.pk).update(sent_at=database_now(), attempt=1, fence=1)
        self.venue.works(trade)
        return report(trade)

    def order(self, trade: AutoTrade) -> Any:
        return self.venue.orders[f"b-{trade.id.hex}"]

    def breaks(self) -> list[tuple[str, str]]:
        rows = ReconciliationBreak.objects.filter(ended_at=None)
        return sorted(rows.values_list("kind", "key"))

    def end(self) -> None:
        for follower in self.followers:
            follower.end()
        for follower in self.followers:
            follower.join(10)
            assert not follower.is_alive()


@pytest.fixture
def scene(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    made = Scene(desk, monkeypatch)
    yield made
    made.end()


def status_of(trade: AutoTrade) -> str:
    return AutoTrade.objects.values_list("status", flat=True).get(pk=trade.pk)


def triggers() -> list[str]:
    return list(Reconciliation.objects.order_by("id").values_list("trigger", flat=True))


class TestFollowing:
    def test_it_listens_first_and_reconciles_then(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)
        scene.venue.fills(scene.order(trade), 3, tell=False)  # while nobody was there

        def between() -> None:
            del scene.hooks["orders_since"]
            scene.venue.fills(scene.order(trade), 3, number=2)  # told while it reconciles

        scene.hooks["orders_since"] = between
        scene.follow()
        until(lambda: Execution.objects.count() == 2)
        scene.venue.fills(scene.order(trade), 4, number=3)  # and then
        until(lambda: status_of(trade) == "filled")
        assert scene.connections[0].asked[:2] == ["stream", "account"]
        assert (triggers(), Execution.objects.count()) == (["start"], 3)
        scene.end()
        assert (scene.breaks(), book_differences()) == ([], [])

    def test_the_same_fill_from_both_sources_is_booked_once(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)
        scene.follow()
        scene.following()
        event = scene.venue.fills(scene.order(trade), 10)
        until(lambda: status_of(trade) == "filled")
        scene.venue.told.append(event)
        scene.venue.drops += 1
        scene.following(2)
        assert (Execution.objects.count(), triggers()) == (1, ["start", "reconnect"])
        assert book_differences() == []

    def test_what_is_known_already_locks_and_changes_nothing(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trade = scene.sent(quantity=10)
        applied: list[str] = []

        def apply(**more: Any) -> AutoTrade:
            applied.append(str(more["order"].state))
            return apply_report(**more)

        monkeypatch.setattr(following, "apply_report", apply)
        scene.follow()
        scene.following()
        scene.venue.told.append(StreamEvent(scene.order(trade), None))
        scene.venue.fills(scene.order(trade), 10)
        until(lambda: status_of(trade) == "filled")
        assert applied == ["filled"]
        scene.end()
        assert (scene.breaks(), book_differences()) == ([], [])

    def test_a_word_that_is_known_and_cannot_be_true_is_told_of(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)
        scene.follow()
        scene.following()
        scene.venue.told.append(StreamEvent(replace(scene.order(trade), symbol="BBB"), None))
        until(lambda: bool(scene.breaks()))
        assert [kind for kind, _ in scene.breaks()] == ["bad_report"]

    def test_what_was_lost_with_the_connection_is_booked(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)
        scene.follow()
        scene.following()
        scene.venue.fills(scene.order(trade), 10, tell=False)
        scene.venue.drops += 1
        until(lambda: status_of(trade) == "filled")
        scene.following(2)
        assert book_differences() == []

    def test_an_event_that_could_not_be_applied_is_not_skipped(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trade = scene.sent(quantity=10)
        scene.follow()
        scene.following()
        real, failures = (
            following.apply_report,
            [OperationalError("the database is away"), InterfaceError("it was away")],
        )

        def failing(**more: Any) -> Any:
            if failures:
                raise failures.pop(0)
            return real(**more)

        monkeypatch.setattr(following, "apply_report", failing)
        scene.venue.fills(scene.order(trade), 4)
        until(lambda: Execution.objects.count() == 1)
        scene.venue.fills(scene.order(trade), 6, number=2)
        until(lambda: status_of(trade) == "filled")
        assert failures == [] or len(failures) == 1
        assert book_differences() == []

    def test_a_defect_in_applying_one_report_is_a_break_and_the_next_is_applied(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trade, other = scene.sent(quantity=10), scene.sent(quantity=5)
        scene.follow()
        scene.following()
        real = following.apply_report

        def failing(*, order: Any, **more: Any) -> Any:
            if order.client_order_id == trade.client_order_id:
                raise IntegrityError("a check was violated")
            return real(order=order, **more)

        monkeypatch.setattr(following, "apply_report", failing)
        scene.venue.fills(scene.order(trade), 4)
        scene.venue.fills(scene.order(other), 5)
        until(lambda: status_of(other) == "filled")
        assert ([kind for kind, _ in scene.breaks()], len(scene.connections)) == (["execution"], 1)
        assert Halt.objects.filter(scope="account", mode="halt", released_at=None).exists()

    def test_a_foreign_order_on_the_stream_halts(self, scene: Scene) -> None:
        scene.follow()
        scene.following()
        scene.venue.fills(scene.venue.put(foreign()), 5)
        until(lambda: len(scene.breaks()) == 2)
        assert scene.breaks() == [
            ("foreign_execution", "e-b-foreign-1-1"), ("foreign_order", "b-foreign-1"),
        ]  # fmt: skip
        assert Halt.objects.filter(scope="account", released_at=None).count() == 1
        assert Execution.objects.count() == 0

    def test_a_foreign_order_that_cannot_be_read_is_one_break_and_ours_go_on(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)
        odd = ForeignReport("qty is no number", payload={"notional": "100"}, key="in-dollars")
        scene.venue.unreadable = [odd]
        scene.follow()
        scene.following()
        scene.venue.told += [odd, odd]
        scene.venue.fills(scene.order(trade), 10)
        until(lambda: status_of(trade) == "filled")
        assert scene.breaks() == [("foreign_order", "in-dollars")]
        assert len(scene.connections) == 1

    def test_an_order_of_ours_that_cannot_be_read_keeps_nobody_from_following_the_others(
        self, scene: Scene
    ) -> None:
        trade, other = scene.sent(quantity=10), scene.sent(quantity=5, symbol="BBB")
        del scene.venue.orders[f"b-{other.id.hex}"]
        scene.venue.unreadable = [
            OwnReport(
                "its status is not known", payload={"status": "odd"}, key=f"b-{other.id.hex}",
                client_order_id=other.client_order_id,
            )
        ]  # fmt: skip
        scene.follow()
        until(lambda: Reconciliation.objects.filter(failure__startswith=Reconciliation.UNREAD).exists())
        scene.venue.fills(scene.order(trade), 10)
        until(lambda: status_of(trade) == "filled")
        assert (len(scene.connections), status_of(other)) == (1, "accepted")
        assert scene.breaks() == [("bad_report", f"order {other.client_order_id}")]

    def test_bad_reports_are_quarantined_and_it_goes_on(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)
        scene.follow()
        scene.following()
        scene.venue.told.append(BadReport("no number", payload={"qty": "NaN"}))
        good = scene.venue.fills(scene.order(trade), 4, tell=False)
        assert good.execution is not None
        wrong = replace(good, execution=replace(good.execution, execution_id="e-wrong", price=D("-1")))
        scene.venue.told += [wrong, good]
        until(lambda: Execution.objects.count() == 1)
        kinds = [kind for kind, _ in scene.breaks()]
        assert (kinds, len(scene.connections)) == (["bad_report", "execution"], 1)
        said = ReconciliationBreak.objects.get(kind="bad_report").theirs
        assert said == {"said": {"qty": "NaN"}}
        assert Halt.objects.filter(scope="account", mode="halt", released_at=None).exists()
        assert book_differences() == []


class TestTrouble:
    def test_a_broker_that_is_away_is_tried_again(self, scene: Scene) -> None:
        scene.venue.wrong["stream"] = [AskFailed("away") for _ in range(5)]
        scene.follow()
        scene.following()
        assert Alert.objects.filter(kind="streams.failing").count() == 1
        assert [broker.asked[-1] for broker in scene.connections[:5]] == ["close"] * 5

    def test_a_failed_reconciliation_begins_again(self, scene: Scene) -> None:
        scene.venue.wrong["open_orders"] = [AskFailed("away")]
        scene.follow()
        scene.following()
        assert triggers() == ["start", "start"]

    def test_an_account_that_cannot_be_used_is_told_of_once(self, scene: Scene) -> None:
        scene.venue.wrong["stream"] = [NotConnected("the keys were refused") for _ in range(3)]
        scene.follow()
        scene.following()
        assert Alert.objects.filter(kind="streams.not_connected", severity="critical").count() == 1

    def test_it_waits_for_another_reconciliation_and_then_does_its_own(self, scene: Scene) -> None:
        lease = leases.acquire(name=f"broker.reconcile:{scene.account.pk}", holder="another", seconds=30)
        assert lease is not None
        scene.follow()
        until(lambda: len(scene.connections) == 1)
        time.sleep(0.5)
        assert Reconciliation.objects.count() == 0
        leases.release(lease)
        scene.following()
        assert len(scene.connections) == 1


class TestTheLease:
    def test_who_has_lost_it_writes_nothing(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)
        follower = scene.follow()
        scene.following()
        Lease.objects.filter(name=follower.lease.name).update(holder="two", fence=follower.lease.fence + 1)
        scene.venue.fills(scene.order(trade), 10)
        until(lambda: not follower.is_alive())
        assert (Execution.objects.count(), status_of(trade)) == (0, "accepted")
        scene.venue.told.clear()
        leases.release(leases.HeldLease(follower.lease.name, "two", follower.lease.fence + 1))
        scene.follow("three")
        until(lambda: status_of(trade) == "filled")
        assert book_differences() == []

    def test_nor_a_break(self, scene: Scene) -> None:
        follower = scene.follow()
        scene.following()
        Lease.objects.filter(name=follower.lease.name).update(holder="two", fence=follower.lease.fence + 1)
        scene.venue.told.append(BadReport("no number", payload={"qty": "NaN"}))
        until(lambda: not follower.is_alive())
        assert scene.breaks() == []

    def test_renewing_many_tells_which_are_lost_and_waits_for_none(self, scene: Scene) -> None:
        held = [leases.acquire(name=f"a.{number}", holder="me", seconds=1) for number in range(3)]
        mine = [lease for lease in held if lease is not None]
        Lease.objects.filter(name="a.1").update(holder="you", fence=9)
        assert leases.renew_all(mine, seconds=60) == {"a.1"}
        left = dict(Lease.objects.values_list("name", "expires_at"))
        assert (left["a.0"] - database_now()).total_seconds() > 50
        assert (left["a.1"] - database_now()).total_seconds() < 2
        assert leases.renew_all([], seconds=60) == set()


class FlagAfter:
    """A stop flag that nobody has raised."""

    requested = False

    def request(self) -> None:
        self.requested = True


class TestSharing:
    @pytest.mark.parametrize(
        ("accounts", "processes", "part"), [(0, 1, 0), (1, 1, 1), (1, 2, 1), (3, 2, 2), (4, 2, 2), (4, 3, 2)]
    )
    def test_a_part_is_the_accounts_over_the_processes(
        self, accounts: int, processes: int, part: int
    ) -> None:
        assert fair_part(accounts=accounts, processes=processes) == part

    def test_two_share_four_accounts_and_one_takes_over(self, scene: Scene, monkeypatch: Any) -> None:
        for number in range(3):
            connect(Desk.open(scene.desk.market, owner=f"owner-{number}"), account_number=f"PB{number}")
        clock = [1000.0]
        monkeypatch.setattr("trading.services.streams.Follower", NoFollower)
        alive = [2]
        monkeypatch.setattr("trading.services.streams.processes_alive", lambda **more: alive[0])
        one, two = (StreamsRunner(stop=FlagAfter(), monotonic=lambda: clock[0]) for _ in range(2))  # type: ignore[arg-type]
        one.look()
        assert len(one.followers) == 2
        two.look()
        assert (len(one.followers), len(two.followers)) == (2, 2)
        assert not set(one.followers) & set(two.followers)
        # Two dies: its leases expire, and it is still counted.
        for follower in two.followers.values():
            Lease.objects.filter(name=follower.lease.name).update(expires_at=database_now())
        one.look()
        assert len(one.followers) == 2
        clock[0] += 1.1
        one.look()
        assert len(one.followers) == 3
        alive[0] = 1
        one.look()
        assert len(one.followers) == 4
        assert all(not row.is_free for row in accounts_to_follow())

    def test_a_newcomer_gets_its_part_and_the_gone_are_let_go(self, scene: Scene, monkeypatch: Any) -> None:
        other = connect(Desk.open(scene.desk.market, owner="dora"), account_number="PB1")
        clock, alive = [1000.0], [1]
        monkeypatch.setattr("trading.services.streams.Follower", NoFollower)
        monkeypatch.setattr("trading.services.streams.processes_alive", lambda **more: alive[0])
        one, two = (StreamsRunner(stop=FlagAfter(), monotonic=lambda: clock[0]) for _ in range(2))  # type: ignore[arg-type]
        one.look()
        assert len(one.followers) == 2
        alive[0] = 2
        one.look()
        clock[0] += 60
        one.look()
        one.look()
        two.look()
        assert (len(one.followers), len(two.followers)) == (1, 1)
        BrokerAccount.objects.filter(pk=other.pk).update(broker="paper")
        for runner in (one, two, one, two):
            runner.look()
        assert sorted(map(len, (one.followers, two.followers))) == [0, 1]


class NoFollower:
    """Holds its lease and follows nobody."""

    def __init__(self, *, account_id: Any, lease: leases.HeldLease, fingerprint: object) -> None:
        self.account_id, self.lease, self.fingerprint, self.ending = account_id, lease, fingerprint, False

    def start(self) -> None: ...

    def renewed(self, *, good_until: float) -> None: ...

    def end(self) -> None:
        self.ending = True

    def is_alive(self) -> bool:
        return not self.ending


class TestWatching:
    def test_an_account_that_nobody_follows_is_told_of_once(self, scene: Scene, monkeypatch: Any) -> None:
        def told() -> int:
            watching.watch_streams()
            return Alert.objects.filter(kind="streams.missing", severity="critical").count()

        assert told() == 0  # just connected
        monkeypatch.setattr(watching, "UNFOLLOWED_SECONDS", 0.0)
        assert [told(), told()] == [1, 1]
        lease = leases.acquire(name=f"broker.stream:{scene.account.pk}", holder="one", seconds=30)
        assert lease is not None and told() == 1
        leases.release(lease)
        assert [told(), told()] == [2, 2]

    def test_paper_accounts_need_nobody(self, desk: Desk, monkeypatch: Any) -> None:
        monkeypatch.setattr(watching, "UNFOLLOWED_SECONDS", 0.0)
        watching.watch_streams()
        assert not Alert.objects.filter(kind="streams.missing").exists()


class TestProcesses:
    def test_one_is_killed_and_another_takes_over(
        self, desk: Desk, processes: Processes, tmp_path: Path, settings: Any
    ) -> None:
        account, file, venue = connect(desk), tmp_path / "venue", Venue()
        trade = ordered(desk, quantity=10)
        AutoTrade.objects.filter(pk=trade.pk).update(sent_at=database_now(), attempt=1, fence=1)
        order = venue.works(trade)
        report(trade)
        store(venue, file)
        command = [sys.executable, "-m", "tests.harness.streams_process", str(file)]
        for name in ("one", "two"):
            processes.start_command(name, command)
        lease = Lease.objects.filter(name=f"broker.stream:{account.pk}")
        until(lambda: Reconciliation.objects.filter(failure="", finished_at__isnull=False).exists(), 60)
        venue.fills(order, 3)
        store(venue, file)
        until(lambda: Execution.objects.count() == 1)
        pids = {name: f":{processes.pid(name)}:" for name in ("one", "two")}
        until(lambda: Heartbeat.objects.filter(component="streams").count() == 2, 60)
        (holds,) = [name for name, pid in pids.items() if pid in lease.get().holder]
        (stands_by,) = set(pids) - {holds}
        processes.kill(holds)
        killed_at = time.monotonic()
        venue.fills(order, 3, number=2)
        store(venue, file)
        until(lambda: Execution.objects.count() == 2)
        assert time.monotonic() - killed_at < settings.BROKER_LEASE_SECONDS + 4
        assert pids[stands_by] in lease.get().holder
        venue.fills(order, 4, number=3)
        store(venue, file)
        until(lambda: status_of(trade) == OrderState.FILLED)
        child = processes.child(stands_by)
        child.send_signal(signal.SIGTERM)
        assert child.wait(ENDING_SECONDS) == 0
        assert lease.get().expires_at <= database_now()
        assert (ReconciliationBreak.objects.count(), book_differences()) == (0, [])

    def test_without_an_account_it_idles_and_ends(self, desk: Desk, processes: Processes) -> None:
        processes.start("streams")
        until(lambda: Heartbeat.objects.filter(component="streams").exists(), 60)
        assert not Lease.objects.filter(name__startswith="broker.stream:").exists()
        child = processes.child("streams")
        child.send_signal(signal.SIGTERM)
        assert child.wait(ENDING_SECONDS) == 0
