"""A fill in old units that is told of after its split was booked, or while it is: held is what the broker holds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from threading import Event, Thread

import pytest
from django.db import connection, connections, transaction

from foundation.clock import database_now
from journal.models import Entry
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.models import CorporateActionBooking, Position
from portfolios.services.corporate_actions import book_due_actions
from tests.harness.at_broker import connect, execution_of, order_of, ordered, report
from tests.harness.trading import Desk, Market
from trading.brokers.protocol import BadReport
from trading.models import AutoTrade, Execution
from trading.services.order_reports import apply_report
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
D = Decimal
HELD = 50


@dataclass
class Scene:
    """Alice holds 50 of AAA at 100 at a real broker; another order ended there, and a fill of it is on its way."""

    desk: Desk
    ex_at: datetime

    @property
    def position(self) -> Position:
        return self.desk.portfolio.positions.get()

    def order(self, side: str, quantity: int = 20) -> AutoTrade:
        """Cancelled at the broker before the split."""
        trade = ordered(self.desk, side=side, quantity=quantity)
        AutoTrade.objects.filter(pk=trade.pk).update(sent_at=database_now(), attempt=1, fence=1)
        report(trade)
        return report(trade, "cancelled")

    def split(self, new_units: int, old_units: int) -> None:
        """Market time reaches it, and the price is of new units."""
        item = NewCorporateAction(
            external_id="split", symbol="AAA", kind="split", ex_at=self.ex_at, new_units=new_units,
            old_units=old_units, cash_in_lieu_price=D(100) * old_units / new_units,
        )  # fmt: skip
        record(item, actor=None)
        price = 100.0 * old_units / new_units
        self.desk.market.closes["AAA"] = price
        self.desk.market.tick(minutes=2, AAA=price)

    def tell(self, trade: AutoTrade, units: int, *, number: int = 1) -> None:
        """Executed a minute before the split, and told of now."""
        filled = AutoTrade.objects.get(pk=trade.pk).filled_quantity + units
        apply_report(
            account_id=trade.account_id, order=order_of(trade, "cancelled", filled), told_by="stream",
            execution=execution_of(trade, units, number, at=self.ex_at - timedelta(minutes=1)),
        )  # fmt: skip

    def holds(self, quantity: int, cost: int, *, reserved: int = 0) -> bool:
        row = self.position
        return (row.quantity, row.cost, row.reserved_quantity) == (quantity, cost, reserved)


@pytest.fixture
def scene(market: Market) -> Scene:
    market.as_of = database_now() - timedelta(minutes=10)  # live: a broker's times count as they are told
    market.tick()
    desk = Desk.open(market)
    connect(desk)
    bought = ordered(desk, quantity=HELD)
    AutoTrade.objects.filter(pk=bought.pk).update(sent_at=database_now(), attempt=1, fence=1)
    apply_report(
        account_id=bought.account_id, order=order_of(bought, "filled", HELD), told_by="stream",
        execution=execution_of(bought, HELD, at=market.as_of),
    )  # fmt: skip
    return Scene(desk, market.as_of + timedelta(minutes=2))


@pytest.mark.parametrize("terms", [(2, 1), (1, 10)])  # 50 become 100, or 5
@pytest.mark.parametrize(
    ("side", "old_units", "old_cost"),
    [("buy", 60, 6000), ("sell", 40, 4000)],  # ten more, or ten fewer, in the units of their day
)
def test_told_after_the_booking_it_is_split_as_if_it_had_been_told_before(
    scene: Scene, terms: tuple[int, int], side: str, old_units: int, old_cost: int
) -> None:
    new, old = terms
    trade = scene.order(side)
    scene.split(new, old)
    book_due_actions()
    assert scene.holds(HELD * new // old, 5000)
    scene.tell(trade, 10)
    assert scene.holds(old_units * new // old, old_cost)
    assert (scene.position.realised_pnl, Execution.objects.filter(trade=trade).get().realised_pnl) == (0, 0)
    assert book_due_actions() == 0 and book_differences() == []


def test_before_the_booking_it_is_split_with_the_rest(scene: Scene) -> None:
    trade = scene.order("buy")
    scene.split(2, 1)
    scene.tell(trade, 10)
    assert scene.holds(60, 6000)
    book_due_actions()
    assert scene.holds(120, 6000) and book_differences() == []


def test_told_twice_and_in_parts_each_is_split_once(scene: Scene) -> None:
    trade = scene.order("buy")
    scene.split(2, 1)
    scene.tell(trade, 5)
    book_due_actions()
    for number in (2, 2, 3):
        with transaction.atomic():
            filled = 10 if number == 2 else 15
            apply_report(
                account_id=trade.account_id, order=order_of(trade, "cancelled", filled), told_by="stream",
                execution=execution_of(trade, 5, number, at=scene.ex_at - timedelta(minutes=1)),
            )  # fmt: skip
    assert scene.holds(130, 6500) and book_differences() == []


def test_two_splits_since_are_both_put_right(scene: Scene) -> None:
    trade = scene.order("buy")
    scene.split(2, 1)
    book_due_actions()
    item = NewCorporateAction(
        external_id="again", symbol="AAA", kind="split", ex_at=scene.ex_at + timedelta(minutes=1), new_units=3,
        old_units=1,
    )  # fmt: skip
    record(item, actor=None)
    scene.desk.market.tick(minutes=2, AAA=100 / 6)
    book_due_actions()
    assert scene.holds(300, 5000)
    scene.tell(trade, 10)
    assert scene.holds(360, 6000) and book_differences() == []


def test_what_is_promised_to_an_order_in_new_units_stays_so(scene: Scene) -> None:
    trade = scene.order("buy")
    scene.split(2, 1)
    book_due_actions()
    ordered(scene.desk, side="sell", quantity=100)
    assert scene.holds(100, 5000, reserved=100)
    scene.tell(trade, 10)
    assert scene.holds(120, 6000, reserved=100) and book_differences() == []


def test_units_that_are_promised_or_gone_are_not_sold_by_it(scene: Scene) -> None:
    """Ten old units are twenty of now, and of those five are free: nothing is booked, and people must decide."""
    trade = scene.order("sell")
    scene.split(2, 1)
    book_due_actions()
    ordered(scene.desk, side="sell", quantity=95)
    with pytest.raises(BadReport, match="can be sold"):
        scene.tell(trade, 10)
    assert scene.holds(100, 5000, reserved=95) and book_differences() == []


def test_the_journal_tells_what_was_done(scene: Scene) -> None:
    trade = scene.order("buy")
    scene.split(2, 1)
    book_due_actions()
    before = Entry.objects.latest("id").id
    scene.tell(trade, 10)
    kinds = list(Entry.objects.filter(id__gt=before).order_by("id").values_list("kind", flat=True))
    assert [kind for kind in kinds if kind in ("entry.reversed", "position.changed", "position.split")] == [
        "entry.reversed", "position.changed", "position.split",
    ]  # fmt: skip
    rows = CorporateActionBooking.objects.order_by("id")
    assert [(row.quantity, row.reversed_at is None) for row in rows] == [(50, False), (60, True)]


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """In another transaction, which waits for the one of this block, and goes on after it."""
    errors: list[Exception] = []
    begun = Event()

    def run() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('application_name', 'beside', false)")
            begun.set()
            work()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    other = Thread(target=run)
    with transaction.atomic():
        yield
        other.start()
        assert begun.wait(10)
        while other.is_alive() and not _waits():
            pass
    other.join(30)
    assert errors == []


def _waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.01)")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'beside' AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def test_booked_while_the_fill_is_being_booked(scene: Scene) -> None:
    trade = scene.order("buy")
    scene.split(2, 1)
    with beside(book_due_actions):
        scene.tell(trade, 10)
    book_due_actions()
    assert scene.holds(120, 6000) and book_differences() == []


def test_told_while_the_split_is_being_booked(scene: Scene) -> None:
    trade = scene.order("buy")
    scene.split(2, 1)
    with beside(lambda: scene.tell(trade, 10)):
        book_due_actions()
    assert scene.holds(120, 6000) and book_differences() == []
