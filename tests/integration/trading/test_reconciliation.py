"""Broker and books are compared: what is missing is booked once, what cannot be is a break, and nothing is guessed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import F

from foundation import leases
from foundation.clock import database_now
from foundation.errors import Conflict
from foundation.models import Lease
from journal.models import Alert, Entry
from portfolios.models import BrokerAccount
from portfolios.services.books import open_books
from portfolios.services.portfolios import deposit
from tests.harness.at_broker import connect, ordered, report
from tests.harness.scripted_stream import Venue, VenueBroker, foreign
from tests.harness.trading import Desk
from tests.integration.trading.steps import risk_officer
from trading.brokers.protocol import AskFailed, BadReport, ForeignReport, NotConnected, OwnReport
from trading.core.order_states import OrderState
from trading.models import AutoTrade, Execution, Halt, Reconciliation, ReconciliationBreak
from trading.services import reconciliation, reconciling, reconciling_holdings
from trading.services.breaks import explain_break
from trading.services.emergency_stop import release
from trading.services.order_reports import apply_report
from trading.services.reconciliation import (
    AlreadyReconciling,
    ask_for_reconciliation,
    due_accounts,
    prune_reconciliations,
    reconcile,
    reconcile_due,
)
from trading.services.reconciling_window import window
from trading.services.verification import book_differences
from trading.tasks import reconcile_due as reconcile_due_task

pytestmark = pytest.mark.integration
D = Decimal


class Scene:
    """Alice's portfolio at a broker that the test moves by hand."""

    def __init__(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.desk, self.account, self.venue = desk, connect(desk), Venue()
        self.hooks: dict[str, Callable[[], None]] = {}
        self.connections: list[VenueBroker] = []
        monkeypatch.setattr(reconciliation, "broker_of", self.connection)
        monkeypatch.setattr(reconciling_holdings, "SECOND_LOOK_SECONDS", 0.0)

    def connection(self, account: BrokerAccount) -> VenueBroker:
        assert account.pk == self.account.pk
        self.connections.append(VenueBroker(lambda: self.venue, hooks=self.hooks))
        return self.connections[-1]

    def sent(self, **more: Any) -> AutoTrade:
        """An order of ours that the broker has, and we know it."""
        trade = ordered(self.desk, **more)
        AutoTrade.objects.filter(pk=trade.pk).update(sent_at=database_now(), attempt=1, fence=1)
        self.venue.works(trade)
        return report(trade)

    def order(self, trade: AutoTrade) -> Any:
        return self.venue.orders[f"b-{trade.id.hex}"]

    def reconcile(self, trigger: str = "periodic") -> Reconciliation:
        done = reconcile(account_id=self.account.pk, trigger=trigger)
        assert self.connections[-1].asked[-1] == "close"
        return done

    def breaks(self, **of: Any) -> list[tuple[str, str]]:
        rows = ReconciliationBreak.objects.filter(ended_at=None, **of)
        return sorted(rows.values_list("kind", "key"))

    def halted(self, mode: str = "halt") -> bool:
        return Halt.objects.filter(scope="account", mode=mode, released_at=None).exists()


@pytest.fixture
def scene(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(desk, monkeypatch)


def refreshed(trade: AutoTrade) -> AutoTrade:
    trade.refresh_from_db()
    return trade


class TestAgreement:
    def test_when_all_agrees_nothing_happens(self, scene: Scene) -> None:
        scene.sent()
        done = scene.reconcile()
        assert (done.failure, done.orders, done.fills_booked, done.breaks) == ("", 1, 0, 0)
        assert done.finished_at is not None and done.finished_at >= done.started_at
        assert (scene.breaks(), scene.halted(), book_differences()) == ([], False, [])

    def test_the_broker_is_asked_twice_for_nothing(self, scene: Scene) -> None:
        scene.sent()
        scene.reconcile()
        asked = [
            "account",
            "orders_since",
            "executions_since",
            "open_orders",
            "cash_activities_since",
            "account",
            "positions",
            "close",
        ]
        assert scene.connections[-1].asked == asked


class TestOrdersAndFills:
    def test_a_fill_that_the_stream_missed_is_booked_once(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)
        scene.venue.fills(scene.order(trade), 10, tell=False)
        assert [scene.reconcile().fills_booked for _ in range(2)] == [1, 0]
        assert refreshed(trade).status == "filled"
        assert Execution.objects.count() == 1
        assert (scene.breaks(), book_differences()) == ([], [])

    def test_several_are_booked_in_their_order(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)
        for number in (1, 2, 3):
            scene.venue.fills(scene.order(trade), 3, number=number, tell=False)
        assert scene.reconcile().fills_booked == 3
        assert (refreshed(trade).status, trade.filled_quantity) == ("partially_filled", 9)
        assert book_differences() == []

    def test_what_the_stream_has_told_is_not_booked_again(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)
        event = scene.venue.fills(scene.order(trade), 4)
        reconciliation_first = scene.reconcile()
        assert reconciliation_first.fills_booked == 1
        report_again(scene, event)
        assert (Execution.objects.count(), refreshed(trade).filled_quantity) == (1, 4)
        assert (scene.breaks(), book_differences()) == ([], [])

    def test_a_fill_beyond_what_the_broker_counts_is_not_booked(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)
        scene.venue.fills(scene.order(trade), 4, tell=False)
        scene.venue.put(replace(scene.order(trade), filled_quantity=D(3)))
        done = scene.reconcile()
        assert (done.fills_booked, done.failure, Execution.objects.count()) == (0, "", 0)
        (key,) = [execution.execution_id for execution in scene.venue.executions]
        # The position and the cash differ by just that fill, which is no break of their own.
        assert scene.breaks() == [("execution", key)]
        assert scene.halted()
        scene.venue.put(replace(scene.order(trade), filled_quantity=D(4)))
        assert scene.reconcile().fills_booked == 1
        assert (scene.breaks(), book_differences()) == ([], [])

    def test_a_fill_that_could_not_be_booked_is_asked_for_however_old_it_was_when_it_was_found(
        self, scene: Scene
    ) -> None:
        """Nobody was there from Thursday to Sunday; its cause is gone a day later."""
        trade = scene.sent(quantity=10)
        thursday = database_now() - timedelta(days=3)
        scene.reconcile()
        Reconciliation.objects.update(started_at=thursday, finished_at=thursday)
        scene.venue.fills(scene.order(trade), 4, tell=False)
        fill = replace(scene.venue.executions[0], at=thursday + timedelta(hours=6))
        scene.venue.executions[0] = fill
        scene.venue.put(replace(scene.order(trade), filled_quantity=D(3)))
        assert scene.reconcile().fills_booked == 0
        assert scene.breaks() == [("execution", fill.execution_id)]
        scene.venue.put(replace(scene.order(trade), filled_quantity=D(4)))
        assert scene.reconcile().fills_booked == 1
        assert (scene.breaks(), book_differences()) == ([], [])

    def test_a_fill_told_with_other_numbers_is_a_break(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)
        scene.venue.fills(scene.order(trade), 4, tell=False)
        scene.reconcile()
        scene.venue.executions[0] = replace(scene.venue.executions[0], price=D(101))
        scene.reconcile()
        scene.reconcile()
        assert scene.breaks() == [("execution", scene.venue.executions[0].execution_id)]
        assert book_differences() == []

    def test_an_order_that_ended_while_nobody_listened_ends(self, scene: Scene) -> None:
        trade = scene.sent()
        scene.venue.ends(scene.order(trade), OrderState.EXPIRED, tell=False)
        scene.reconcile()
        assert refreshed(trade).status == "expired"
        assert (scene.breaks(), book_differences()) == ([], [])

    def test_a_filled_order_waits_for_its_fills(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)
        scene.venue.fills(scene.order(trade), 10, tell=False)
        held_back = scene.venue.executions.pop()
        scene.venue.held, scene.venue.cash = {}, D(100_000)
        scene.reconcile()
        assert (refreshed(trade).status, Execution.objects.count()) == ("accepted", 0)
        scene.venue.executions.append(held_back)
        scene.venue.held, scene.venue.cash = {"AAA": D(10)}, D("98999.75")
        scene.reconcile()
        assert (refreshed(trade).status, scene.breaks(), book_differences()) == ("filled", [], [])

    def test_a_fill_between_two_questions_is_no_break(self, scene: Scene) -> None:
        """The order is asked for, then it is filled: the fill is newer than the order's word."""
        trade = scene.sent(quantity=10)

        def fill() -> None:
            del scene.hooks["executions_since"]
            scene.venue.fills(scene.order(trade), 10, tell=False)

        scene.hooks["executions_since"] = fill
        scene.reconcile()
        assert (refreshed(trade).status, scene.breaks(), book_differences()) == ("filled", [], [])

    def test_an_order_that_ends_while_it_is_looked_at_is_no_break(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The stream was faster than what the broker had answered before: it is asked once more."""
        trade, now = ordered(scene.desk), database_now()
        claimed = {"claimed_until": now + timedelta(seconds=4), "attempt": 1, "fence": 1}
        AutoTrade.objects.filter(pk=trade.pk).update(status="submitting", sent_at=now, **claimed)
        scene.venue.works(trade)
        apply = reconciling.Run.apply

        def stream_first(run: Any, order: Any, *more: Any) -> AutoTrade:
            if AutoTrade.objects.get(pk=trade.pk).status == "submitting":
                scene.venue.ends(scene.order(trade), OrderState.CANCELLED)
                report(trade, "cancelled")
            return apply(run, order, *more)

        monkeypatch.setattr(reconciling.Run, "apply", stream_first)
        scene.reconcile()
        trade.refresh_from_db()
        assert (trade.status, scene.breaks()) == ("cancelled", [])

    def test_an_order_given_up_that_works_there_is_cancelled(self, scene: Scene) -> None:
        trade = ordered(scene.desk)
        AutoTrade.objects.filter(pk=trade.pk).update(sent_at=database_now(), status="submitting", fence=1)
        scene.venue.works(trade)
        from_us = AutoTrade.objects.get(pk=trade.pk)
        give_up(from_us)
        scene.reconcile()
        assert refreshed(trade).status == "cancelling"
        assert (scene.breaks(), book_differences()) == ([], [])

    def test_an_order_that_the_broker_does_not_know_is_a_break(self, scene: Scene, settings: Any) -> None:
        trade = scene.sent()
        scene.venue.orders.clear()
        scene.reconcile()
        assert scene.breaks() == []  # it may be on its way
        wait = (
            settings.BROKER_LEASE_SECONDS + settings.BROKER_DEADLINE_SECONDS + settings.BROKER_SETTLE_SECONDS
        )
        AutoTrade.objects.update(sent_at=database_now() - timedelta(seconds=wait + 1))
        scene.reconcile()
        assert scene.breaks() == [("order", trade.client_order_id)]
        assert scene.halted()
        scene.venue.works(trade)
        scene.reconcile()
        assert scene.breaks() == []
        assert Entry.objects.filter(kind="reconciliation.break_ended").count() == 1
        assert book_differences() == []

    def test_an_order_filled_less_than_we_have_booked_is_a_break(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)
        scene.venue.fills(scene.order(trade), 6, tell=False)
        scene.reconcile()
        scene.venue.put(replace(scene.order(trade), filled_quantity=D(5)))
        scene.reconcile()
        assert scene.breaks() == [("order", trade.client_order_id)]

    def test_a_report_that_cannot_be_true_halts_and_changes_nothing(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)
        scene.venue.put(replace(scene.order(trade), symbol="BBB", state=OrderState.CANCELLED))
        scene.reconcile()
        assert scene.breaks() == [("bad_report", f"order b-{trade.id.hex}")]
        assert (refreshed(trade).status, scene.halted(), book_differences()) == ("accepted", True, [])

    def test_a_report_that_breaks_its_booking_stops_neither_the_others_nor_the_run(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = scene.sent(quantity=10), scene.sent(quantity=5)
        for trade in (first, second):
            scene.venue.fills(scene.order(trade), 5, tell=False)

        def failing(*, order: Any, **more: Any) -> Any:
            if order.client_order_id == first.client_order_id and more["execution"] is not None:
                raise IntegrityError("a check was violated\nDETAIL: of a row that changes")
            return apply_report(order=order, **more)

        monkeypatch.setattr(reconciling, "apply_report", failing)
        done = scene.reconcile()
        assert (done.failure, done.fills_booked, refreshed(second).status) == ("", 1, "filled")
        assert (scene.breaks(), scene.halted()) == ([("execution", f"e-b-{first.id.hex}-1")], True)
        detail = ReconciliationBreak.objects.get().detail
        assert detail.endswith("it could not be booked: IntegrityError: a check was violated")
        assert book_differences() == []

    def test_a_database_that_is_away_is_no_break(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        scene.venue.fills(scene.order(scene.sent(quantity=10)), 5, tell=False)

        def failing(**more: Any) -> Any:
            raise OperationalError("could not serialize access")

        monkeypatch.setattr(reconciling, "apply_report", failing)
        with pytest.raises(OperationalError):
            reconcile(account_id=scene.account.pk, trigger="periodic")
        assert (scene.breaks(), scene.halted()) == ([], False)


def give_up(trade: AutoTrade) -> None:
    """As recovery would have, believing that it never arrived."""
    AutoTrade.objects.filter(pk=trade.pk).update(status="cancelled")
    with transaction.atomic():
        books = open_books([trade.portfolio_id])
        books.release(trade.pk)
        books.save()


def report_again(scene: Scene, event: Any) -> None:
    apply_report(account_id=scene.account.pk, order=event.order, execution=event.execution, told_by="stream")


class TestForeign:
    def test_an_order_that_is_not_ours_halts_until_it_is_explained(self, scene: Scene) -> None:
        bob = risk_officer(scene.desk)
        scene.venue.put(foreign())
        done = scene.reconcile()
        assert (done.breaks, scene.breaks()) == (1, [("foreign_order", "b-foreign-1")])
        assert scene.halted()
        assert Alert.objects.filter(kind="reconciliation.break", severity="critical").count() == 1
        scene.reconcile()
        explain_break(
            break_id=ReconciliationBreak.objects.get().pk,
            explanation="Made by hand, cancelled now",
            actor=bob,
        )
        release(halt_id=Halt.objects.get(released_at=None).pk, actor=bob)
        scene.venue.ends(scene.venue.orders["b-foreign-1"], OrderState.CANCELLED, tell=False)
        assert scene.reconcile().breaks == 0
        assert (scene.breaks(), scene.halted(), book_differences()) == ([], False, [])

    def test_its_fill_and_what_it_changed_are_breaks(self, scene: Scene) -> None:
        scene.reconcile()
        scene.venue.fills(scene.venue.put(foreign()), 5, tell=False)
        scene.reconcile()
        assert scene.breaks() == [
            ("cash", "USD"),
            ("foreign_execution", "e-b-foreign-1-1"),
            ("foreign_order", "b-foreign-1"),
            ("position", "BBB"),
        ]
        assert sorted(Halt.objects.filter(scope="account").values_list("mode", flat=True)) == [
            "halt", "reduce_only",
        ]  # fmt: skip
        assert Execution.objects.count() == 0

    def test_what_somebody_did_before_us_is_not_ours_to_judge(self, scene: Scene) -> None:
        before = database_now() - timedelta(minutes=2)
        scene.venue.put(foreign(1, submitted_at=before, state=OrderState.CANCELLED))
        scene.venue.put(foreign(2, submitted_at=before - timedelta(days=3), state=OrderState.ACCEPTED))
        scene.reconcile()
        scene.reconcile()
        assert scene.breaks() == [("foreign_order", "b-foreign-2")]  # it still works

    def test_what_was_done_between_two_connections_is_not_ours_to_judge(self, scene: Scene) -> None:
        scene.reconcile()
        done = scene.venue.put(foreign(1, submitted_at=database_now(), state=OrderState.CANCELLED))
        BrokerAccount.objects.update(connected_at=database_now())
        for _ in range(2):
            assert scene.reconcile().breaks == 0
        scene.venue.put(replace(done, broker_order_id="b-foreign-2", submitted_at=database_now()))
        assert scene.reconcile().breaks == 1
        assert scene.breaks() == [("foreign_order", "b-foreign-2")]

    def test_one_that_cannot_be_read_hides_none_of_ours(self, scene: Scene) -> None:
        """Somebody buys for a hundred dollars at the broker's own page: it has no quantity, and nine places."""
        bob = risk_officer(scene.desk)
        trade = scene.sent(quantity=10)
        scene.reconcile()
        scene.venue.fills(scene.order(trade), 4, tell=False)
        scene.venue.unreadable = [odd("in-dollars"), odd("its-fill", is_fill=True)]
        done = scene.reconcile()
        assert (done.failure, done.fills_booked, refreshed(trade).filled_quantity) == ("", 1, 4)
        assert scene.breaks() == [("foreign_execution", "its-fill"), ("foreign_order", "in-dollars")]
        assert scene.halted()
        for found in ReconciliationBreak.objects.all():
            assert found.theirs == {"said": {"notional": "100"}}
            explain_break(break_id=found.pk, explanation="Bought by hand", actor=bob)
        release(halt_id=Halt.objects.get(released_at=None).pk, actor=bob)
        scene.venue.fills(scene.order(trade), 6, number=2, tell=False)
        assert scene.reconcile().fills_booked == 1
        assert (scene.breaks(), scene.halted(), book_differences()) == ([], False, [])

    def test_one_that_cannot_be_read_and_was_there_before_us_is_not_ours_to_judge(self, scene: Scene) -> None:
        before = database_now() - timedelta(days=3)
        scene.venue.unreadable = [odd("old", at=before), odd("its-fill", is_fill=True, at=before)]
        scene.reconcile()
        assert scene.breaks() == []


def odd(key: str, **more: Any) -> ForeignReport:
    return ForeignReport("qty is no number", payload={"notional": "100"}, key=key, **more)


class TestHowFarBack:
    """Alice has traded for days; a reconciliation succeeded at half past, less than a minute ago."""

    NOW = datetime(2026, 5, 6, 14, 30, tzinfo=UTC)

    def since(self, scene: Scene, *, last: timedelta, trigger: str = "periodic") -> timedelta:
        """How far before the last one it asks."""
        times = {"first": self.NOW - timedelta(days=9), "last": self.NOW - last}
        for at in times.values():
            row = Reconciliation.objects.create(account=scene.account, trigger="periodic")
            Reconciliation.objects.filter(pk=row.pk).update(started_at=at, finished_at=at)
        row = Reconciliation.objects.create(account=scene.account, trigger=trigger)
        row.started_at = self.NOW
        return times["last"] - window(scene.account.pk, row)[1]

    @pytest.mark.parametrize("last", [timedelta(seconds=50), timedelta(minutes=29)])
    def test_some_minutes_every_time(self, scene: Scene, last: timedelta) -> None:
        assert self.since(scene, last=last) == timedelta(minutes=10)

    def test_a_day_in_the_first_of_every_hour(self, scene: Scene) -> None:
        assert self.since(scene, last=timedelta(minutes=31)) == timedelta(days=1)

    def test_a_day_at_the_same_time_of_another_day(self, scene: Scene) -> None:
        assert self.since(scene, last=timedelta(days=1)) == timedelta(days=1)

    def test_a_day_where_somebody_asked_for_it(self, scene: Scene) -> None:
        assert self.since(scene, last=timedelta(seconds=50), trigger="manual") == timedelta(days=1)

    def test_a_day_while_anything_differs(self, scene: Scene) -> None:
        scene.venue.held["BBB"] = D(3)
        scene.reconcile()
        assert scene.breaks() == [("position", "BBB")]
        Reconciliation.objects.all().delete()  # only their times matter here
        assert self.since(scene, last=timedelta(seconds=50)) == timedelta(days=1)


class TestHoldings:
    def test_a_position_that_differs_is_a_break_until_it_agrees(self, scene: Scene) -> None:
        scene.venue.held["BBB"] = D(3)
        scene.reconcile()
        (row,) = ReconciliationBreak.objects.all()
        assert (row.kind, row.key, row.ours, row.theirs) == (
            "position", "BBB", {"quantity": "0"}, {"quantity": "3"},
        )  # fmt: skip
        assert scene.halted()
        del scene.venue.held["BBB"]
        scene.reconcile()
        row.refresh_from_db()
        assert (row.ended_at is not None, row.explained_by) == (True, None)
        assert scene.halted()  # until somebody lets go
        assert book_differences() == []

    @pytest.mark.parametrize(("more", "breaks"), [("0.01", []), ("0.02", [("cash", "USD")])])
    def test_cash_may_differ_by_a_cent(self, scene: Scene, more: str, breaks: list[Any]) -> None:
        scene.venue.cash += D(more)
        scene.reconcile()
        assert scene.breaks() == breaks

    def test_a_part_too_small_for_our_books_is_no_break(self, scene: Scene) -> None:
        scene.venue.held["BBB"] = D("0.000000009")
        scene.reconcile()
        assert scene.breaks() == []
        scene.venue.held["BBB"] = D("0.000000011")
        scene.reconcile()
        assert scene.breaks() == [("position", "BBB")]

    def test_cash_that_comes_right_ends_its_break(self, scene: Scene) -> None:
        scene.venue.cash += 500
        scene.reconcile()
        deposit(portfolio_id=scene.desk.portfolio.id, amount=D(500), actor=None)
        scene.reconcile()
        assert (scene.breaks(), book_differences()) == ([], [])

    def test_an_explained_difference_is_no_news_until_it_changes(self, scene: Scene) -> None:
        scene.venue.cash += 500
        scene.reconcile()
        steffi = get_user_model().objects.create(username="steffi", is_staff=True)
        explain_break(break_id=ReconciliationBreak.objects.get().pk, explanation="Interest", actor=steffi)
        release(halt_id=Halt.objects.get().pk, actor=steffi)
        scene.reconcile()
        scene.reconcile()
        assert (scene.breaks(), scene.halted("reduce_only")) == ([], False)
        scene.venue.cash += 1
        scene.reconcile()
        assert (scene.breaks(), scene.halted("reduce_only")) == ([("cash", "USD")], True)

    def test_another_currency_is_a_break(self, scene: Scene) -> None:
        scene.venue.currency = "EUR"
        scene.reconcile()
        assert scene.breaks() == [("cash", "EUR")]

    def test_a_fill_on_its_way_is_no_break(self, scene: Scene) -> None:
        """It is executed after its order was asked for and before the positions are: the second look books it."""
        trade = scene.sent(quantity=10)

        def fill() -> None:
            del scene.hooks["positions"]
            scene.venue.fills(scene.order(trade), 4, tell=False)

        scene.hooks["positions"] = fill
        done = scene.reconcile()
        assert (done.fills_booked, scene.breaks(), book_differences()) == (1, [], [])

    def test_a_fill_that_the_stream_books_meanwhile_is_no_break(self, scene: Scene) -> None:
        trade = scene.sent(quantity=10)

        def fill_and_book() -> None:
            del scene.hooks["account"]
            event = scene.venue.fills(scene.order(trade), 4)
            report_again(scene, event)

        def when_holdings_are_asked_for() -> None:
            del scene.hooks["open_orders"]
            scene.hooks["account"] = fill_and_book

        scene.hooks["open_orders"] = when_holdings_are_asked_for
        done = scene.reconcile()
        assert (done.failure, scene.breaks(), book_differences()) == ("", [], [])

    def test_holdings_that_are_behind_a_fill_are_no_break_for_a_while(
        self, scene: Scene, settings: Any
    ) -> None:
        """The stream has told of both fills; the holdings there are those before the second one."""
        trade = scene.sent(quantity=10)
        report_again(scene, scene.venue.fills(scene.order(trade), 4))
        held, cash = dict(scene.venue.held), scene.venue.cash
        report_again(scene, scene.venue.fills(scene.order(trade), 3, number=2))
        scene.venue.held, scene.venue.cash = held, cash
        scene.reconcile()
        assert scene.breaks() == []
        scene.venue.held = {"AAA": D(5)}
        scene.reconcile()
        assert scene.breaks() == [("position", "AAA")], "they never were so many"
        scene.venue.held = held
        Execution.objects.update(
            created_at=F("created_at") - timedelta(seconds=settings.BROKER_SETTLE_SECONDS)
        )
        scene.reconcile()
        assert scene.breaks() == [("cash", "USD"), ("position", "AAA")]

    def test_while_it_moves_all_the_time_nothing_is_concluded(self, scene: Scene) -> None:
        trade = scene.sent(quantity=90)
        numbers = iter(range(1, 50))

        def fill() -> None:
            scene.venue.fills(scene.order(trade), 1, number=next(numbers), tell=False)

        scene.hooks["positions"] = fill
        done = scene.reconcile()
        assert (done.failure, scene.breaks()) == ("", [])
        scene.hooks.clear()
        scene.reconcile()
        assert (scene.breaks(), book_differences()) == ([], [])

    def test_what_is_explained_stays_so_while_nobody_can_look_closely(self, scene: Scene) -> None:
        steffi = get_user_model().objects.create(username="steffi", is_staff=True)
        trade = scene.sent(quantity=90)
        scene.venue.cash += 500
        scene.reconcile()
        explain_break(break_id=ReconciliationBreak.objects.get().pk, explanation="Interest", actor=steffi)
        release(halt_id=Halt.objects.get().pk, actor=steffi)
        numbers = iter(range(1, 50))

        def fill() -> None:
            scene.venue.fills(scene.order(trade), 1, number=next(numbers), tell=False)

        scene.hooks["positions"] = fill
        assert scene.reconcile().failure == ""
        scene.hooks.clear()
        scene.reconcile()
        assert (scene.breaks(), Halt.objects.filter(released_at=None).count()) == ([], 0)
        scene.venue.cash -= 500
        scene.reconcile()
        scene.venue.cash += 500
        scene.reconcile()
        assert scene.breaks() == [("cash", "USD")], "it was gone in between"


class TestTheBrokerCannotBeAsked:
    @pytest.mark.parametrize(
        "question", ["account", "orders_since", "executions_since", "open_orders", "positions"]
    )
    def test_nothing_is_concluded(self, scene: Scene, question: str) -> None:
        scene.venue.held["BBB"] = D(3)
        scene.reconcile()
        assert scene.breaks() == [("position", "BBB")]
        scene.venue.held.clear()
        scene.venue.wrong[question] = [AskFailed("the broker is away")]
        done = scene.reconcile()
        assert done.failure == "AskFailed: the broker is away" and done.finished_at is not None
        assert scene.breaks() == [("position", "BBB")]

    def test_it_is_told_once_after_five_in_a_row(self, scene: Scene) -> None:
        for attempt in range(1, 8):
            scene.venue.wrong["account"] = [AskFailed("the broker is away")]
            scene.reconcile()
            assert Alert.objects.filter(kind="reconciliation.failing").count() == (attempt >= 5)
        scene.reconcile()
        for _ in range(5):
            scene.venue.wrong["account"] = [AskFailed("the broker is away")]
            scene.reconcile()
        assert Alert.objects.filter(kind="reconciliation.failing").count() == 2

    def test_a_defect_is_a_failure_that_counts(self, scene: Scene) -> None:
        scene.venue.held["BBB"] = D(3)
        scene.reconcile()
        Halt.objects.update(released_at=database_now(), released_by=scene.desk.owner)
        for _ in range(5):
            scene.venue.wrong["positions"] = [ZeroDivisionError("a defect")]
            done = scene.reconcile()
        assert (done.failure, done.finished_at is not None) == ("ZeroDivisionError: a defect", True)
        assert Alert.objects.filter(kind="reconciliation.failing").count() == 1
        assert scene.halted(), "what is open halts, whatever went wrong"

    def test_without_a_connection_it_fails(self, desk: Desk) -> None:
        account = connect(desk)
        done = reconcile(account_id=account.pk, trigger="periodic")
        assert done.failure.startswith("NotConnected: ")

    def test_what_it_says_of_another_account_is_not_believed(self, scene: Scene) -> None:
        scene.venue.account_number = "PA2"
        scene.venue.held["BBB"] = D(3)
        done = scene.reconcile()
        assert "PA2" in done.failure
        assert scene.breaks() == [("bad_report", "account_number")]
        assert scene.connections[-1].asked == ["account", "close"]

    def test_what_it_asked_of_an_account_is_not_said_of_the_one_that_is_connected_meanwhile(
        self, scene: Scene
    ) -> None:
        """Alice connects another one, which has 500 more, while the first one's positions are asked for."""

        def connect_another() -> None:
            del scene.hooks["positions"]
            BrokerAccount.objects.update(account_number="PA2", connected_at=database_now())
            deposit(portfolio_id=scene.desk.portfolio.id, amount=D(500), actor=None)

        scene.hooks["positions"] = connect_another
        done = scene.reconcile()
        assert (done.failure.split(":")[0], scene.breaks(), scene.halted()) == ("TakenOver", [], False)

    def test_nor_are_its_orders(self, scene: Scene) -> None:
        def connect_another() -> None:
            BrokerAccount.objects.update(account_number="PA2")

        scene.venue.put(foreign())
        scene.hooks["open_orders"] = connect_another
        done = scene.reconcile()
        assert (done.failure.split(":")[0], scene.breaks(), scene.halted()) == ("TakenOver", [], False)

    def test_a_bad_answer_is_quarantined_and_halts(self, scene: Scene) -> None:
        scene.venue.wrong["positions"] = [BadReport("a quantity is no number", payload={"qty": float("nan")})]
        done = scene.reconcile()
        assert done.failure == "bad report: a quantity is no number"
        (row,) = ReconciliationBreak.objects.all()
        assert (row.kind, row.theirs) == ("bad_report", {"said": {"qty": "nan"}})
        assert scene.halted()

    def test_an_order_of_ours_that_cannot_be_read_when_it_is_asked_for_stops_nothing_else(
        self, scene: Scene
    ) -> None:
        odd, good = scene.sent(), scene.sent(symbol="BBB")
        del scene.venue.orders[f"b-{odd.id.hex}"]  # in no list, so it is asked for by its id
        scene.venue.fills(scene.order(good), 5, tell=False)
        scene.venue.wrong["order_by_client_id"] = [BadReport("its status is not known", payload={})]
        done = scene.reconcile()
        assert (done.failure, done.fills_booked) == (f"{Reconciliation.UNREAD}its status is not known", 1)
        assert scene.breaks() == [("bad_report", f"order {odd.client_order_id}")]

    def test_orders_of_ours_that_cannot_be_read_by_the_dozen_are_one_break(self, scene: Scene) -> None:
        scene.venue.unreadable = [
            OwnReport("qty is no number", payload={"qty": "NaN"}, key=f"b-{n}", client_order_id=f"at-{n}")
            for n in range(12)
        ]
        assert scene.reconcile().failure == "bad report: qty is no number"
        assert len(scene.breaks()) == 1 and scene.halted()

    def test_an_explanation_reopens_no_account_that_cannot_be_read(self, scene: Scene) -> None:
        """Nobody would learn of its fills."""
        bob = risk_officer(scene.desk)
        scene.venue.wrong["positions"] = [BadReport("no number", payload={"qty": "NaN"}) for _ in range(2)]
        scene.reconcile()
        explain_break(break_id=ReconciliationBreak.objects.get().pk, explanation="Never mind", actor=bob)
        halt = Halt.objects.get(released_at=None)
        with pytest.raises(Conflict) as refusal:
            release(halt_id=halt.pk, actor=bob)
        assert refusal.value.code == "broker_unreadable"
        assert scene.reconcile().failure == "bad report: no number"
        with pytest.raises(Conflict):
            release(halt_id=halt.pk, actor=bob)
        assert scene.reconcile().failure == ""
        release(halt_id=halt.pk, actor=bob)
        assert not scene.halted()

    def test_refused_keys_are_a_failure(self, scene: Scene) -> None:
        scene.venue.wrong["account"] = [NotConnected("the keys were refused")]
        assert scene.reconcile().failure == "NotConnected: the keys were refused"


class TestOneAtATime:
    def test_a_second_one_is_refused(self, scene: Scene) -> None:
        lease = leases.acquire(name=f"broker.reconcile:{scene.account.pk}", holder="another", seconds=30)
        assert lease is not None
        with pytest.raises(AlreadyReconciling):
            reconcile(account_id=scene.account.pk, trigger="periodic")
        assert reconcile_due() == 0
        leases.release(lease)
        assert reconcile_due() == 1

    def test_who_was_taken_over_concludes_nothing(self, scene: Scene) -> None:
        scene.venue.held["BBB"] = D(3)

        def take_over() -> None:
            Lease.objects.filter(name=f"broker.reconcile:{scene.account.pk}").update(
                holder="another", fence=F("fence") + 1
            )

        scene.hooks["open_orders"] = take_over
        done = scene.reconcile()
        assert (done.failure.split(":")[0], scene.breaks()) == ("TakenOver", [])


class TestDue:
    def test_accounts_at_brokers_are_due_after_a_while(self, scene: Scene, settings: Any) -> None:
        assert due_accounts() == [(scene.account.pk, "periodic")]
        reconcile_due_task()
        assert (Reconciliation.objects.count(), due_accounts()) == (1, [])
        later = database_now() - timedelta(seconds=settings.RECONCILE_SECONDS)
        Reconciliation.objects.update(started_at=later, finished_at=later)
        assert due_accounts() == [(scene.account.pk, "periodic")]

    def test_one_whose_process_died_is_begun_anew_at_once(self, scene: Scene) -> None:
        scene.reconcile()
        Reconciliation.objects.create(account_id=scene.account.pk, trigger="start")
        assert due_accounts() == [(scene.account.pk, "periodic")]
        assert (reconcile_due(), due_accounts()) == (1, [])

    def test_paper_accounts_never_are(self, desk: Desk) -> None:
        assert due_accounts() == []
        with pytest.raises(Conflict):
            ask_for_reconciliation(portfolio_id=desk.portfolio.id)

    def test_one_that_was_asked_for_is_done_next(self, scene: Scene) -> None:
        scene.reconcile()
        asked = ask_for_reconciliation(portfolio_id=scene.desk.portfolio.id)
        assert ask_for_reconciliation(portfolio_id=scene.desk.portfolio.id).pk == asked.pk
        assert due_accounts() == [(scene.account.pk, "manual")]
        assert reconcile_due() == 1
        asked.refresh_from_db()
        assert (asked.trigger, asked.failure, asked.finished_at is not None) == ("manual", "", True)
        assert (due_accounts(), Reconciliation.objects.count()) == ([], 2)

    def test_one_accounts_trouble_keeps_the_others_from_nothing(self, scene: Scene, monkeypatch: Any) -> None:
        other = Desk.open(scene.desk.market, owner="dora")
        connect(other, account_number="PA9")
        done: list[Any] = []

        def carry_out(*, account_id: Any, trigger: str) -> None:
            done.append(account_id)
            if len(done) == 1:
                raise RuntimeError("a defect")

        monkeypatch.setattr(reconciliation, "reconcile", carry_out)
        assert (reconcile_due(), len(done)) == (1, 2)

    def test_old_ones_are_forgotten_but_the_first_and_the_last_good_one(self, scene: Scene) -> None:
        for _ in range(4):
            scene.reconcile()
        ids = list(Reconciliation.objects.order_by("id").values_list("id", flat=True))
        for place, pk in enumerate(ids):
            at = database_now() - timedelta(days=30 - place)
            Reconciliation.objects.filter(pk=pk).update(started_at=at, finished_at=at)
        assert prune_reconciliations(days=7) == 2
        assert list(Reconciliation.objects.order_by("id").values_list("id", flat=True)) == [ids[0], ids[-1]]
