"""Around a split the broker counts in new units before or after our books: that is no difference, all else is."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import F

from market.models import CalendarDay
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.services.corporate_actions import book_due_actions
from tests.harness.connected_to_simulator import KEY, connect_to_simulator, open_account
from tests.harness.simulator import Simulator
from tests.harness.trading import Desk
from tests.harness.working import place
from tests.integration.trading.steps import risk_officer
from trading.core.orders import MARKET_DAY
from trading.models import Execution, ReconciliationBreak
from trading.services import held_brokers
from trading.services.breaks import explain_break
from trading.services.reconciliation import reconcile
from trading.services.sending import send_due
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
HELD = 105


class Scene:
    """Alice holds 105 of AAA at the broker; it is three in the afternoon."""

    def __init__(self, desk: Desk, simulator: Simulator, settings: Any) -> None:
        open_account(simulator)
        self.desk, self.simulator = desk, simulator
        self.account = connect_to_simulator(desk, simulator, settings)
        simulator.quotes(AAA=100)
        trade = place(desk, MARKET_DAY, quantity=HELD)
        held_brokers.let_all_go()
        assert send_due() == 1
        simulator.fill(trade.client_order_id)
        self.opens_at: datetime = desk.market.as_of + timedelta(hours=18)
        for opens_at in (self.opens_at - timedelta(days=1), self.opens_at, self.opens_at + timedelta(days=1)):
            CalendarDay.objects.create(
                exchange=desk.market.instruments[0].exchange, day=opens_at.date(), opens_at=opens_at,
                closes_at=opens_at + timedelta(hours=7),
            )  # fmt: skip
        assert (self.breaks(), desk.held("AAA")) == ([], HELD)
        Execution.objects.update(
            created_at=F("created_at") - timedelta(hours=1)
        )  # no fill is on its way any more

    def split(self, new_units: int, old_units: int) -> None:
        """Announced for the next opening."""
        item = NewCorporateAction(
            external_id="split", symbol="AAA", kind="split", ex_at=self.opens_at, new_units=new_units,
            old_units=old_units, cash_in_lieu_price=Decimal(1000),
        )  # fmt: skip
        record(item, actor=None)

    def at(self, moment: datetime, price: float) -> None:
        minutes = (moment - self.desk.market.as_of).total_seconds() / 60
        self.desk.market.tick(minutes=minutes, AAA=price)

    def broker_changes(self, units: int | str) -> None:
        self.simulator.foreign_position(KEY, symbol="AAA", qty=units)

    def breaks(self) -> list[tuple[str, str]]:
        assert reconcile(account_id=self.account.pk, trigger="periodic").failure == ""
        open_now = ReconciliationBreak.objects.filter(ended_at=None)
        return sorted(open_now.values_list("kind", "key"))


@pytest.fixture
def scene(desk: Desk, simulator: Simulator, settings: Any) -> Iterator[Scene]:
    yield Scene(desk, simulator, settings)
    held_brokers.let_all_go()


def test_a_broker_that_splits_in_the_night_differs_from_nobody(scene: Scene) -> None:
    scene.split(2, 1)
    scene.at(scene.opens_at - timedelta(hours=16), 100)
    scene.broker_changes(HELD)
    assert scene.breaks() == []
    scene.at(scene.opens_at, 50)
    assert scene.breaks() == []
    book_due_actions()
    assert (scene.desk.held("AAA"), scene.breaks(), book_differences()) == (2 * HELD, [], [])


def test_a_broker_that_splits_after_us_has_a_day_for_it(scene: Scene) -> None:
    scene.split(2, 1)
    scene.at(scene.opens_at, 50)
    book_due_actions()
    scene.at(scene.opens_at + timedelta(hours=23), 50)
    assert scene.breaks() == []
    scene.at(scene.opens_at + timedelta(hours=24), 50)
    assert scene.breaks() == [("position", "AAA")]
    scene.broker_changes(HELD)
    assert scene.breaks() == []


def test_while_our_booking_waits_the_broker_may_have_split_for_a_week(scene: Scene) -> None:
    scene.split(2, 1)
    scene.broker_changes(HELD)
    scene.at(scene.opens_at + timedelta(days=6), 50)
    assert scene.breaks() == []
    scene.at(scene.opens_at + timedelta(days=7), 50)
    assert scene.breaks() == [("position", "AAA")]


def test_before_the_last_close_nobody_has_split_yet(scene: Scene) -> None:
    scene.split(2, 1)
    scene.broker_changes(HELD)
    assert scene.breaks() == [("position", "AAA")]


@pytest.mark.parametrize("units", [1, HELD - 1, -HELD])
def test_any_other_number_is_a_difference(scene: Scene, units: int) -> None:
    scene.split(2, 1)
    scene.at(scene.opens_at - timedelta(hours=16), 100)
    scene.broker_changes(units)
    assert scene.breaks() == [("position", "AAA")]


@pytest.mark.parametrize("kept", ["0.5", "0"])
def test_of_a_reverse_split_the_broker_may_keep_a_part_of_a_share(scene: Scene, kept: str) -> None:
    """105 become 10.5; our books, which count whole ones, have sold the half."""
    scene.split(1, 10)
    scene.at(scene.opens_at - timedelta(hours=16), 100)
    scene.broker_changes(f"{Decimal(10) + Decimal(kept) - HELD}")
    assert scene.breaks() == []
    scene.at(scene.opens_at, 1000)
    book_due_actions()
    assert scene.desk.held("AAA") == 10
    scene.simulator.foreign_cash(KEY, 500)  # in lieu
    assert scene.breaks() == []


def test_what_is_explained_beside_the_position_is_split_with_it(scene: Scene) -> None:
    """Five more at the broker, which are not Alice's."""
    bob = risk_officer(scene.desk)
    scene.broker_changes(5)
    assert scene.breaks() == [("position", "AAA")]
    explain_break(break_id=ReconciliationBreak.objects.get().pk, explanation="Somebody else's", actor=bob)
    scene.split(2, 1)
    scene.at(scene.opens_at, 50)
    book_due_actions()
    assert (scene.desk.held("AAA"), scene.breaks()) == (2 * HELD, []), "the broker has not split yet"
    scene.broker_changes(HELD + 5)
    assert scene.breaks() == []
    scene.broker_changes(1)
    assert scene.breaks() == [("position", "AAA")]
