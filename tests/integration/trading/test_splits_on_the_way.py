"""Between a split in the prices and its booking, prices and positions count in different units: nobody acts on that."""

from datetime import timedelta
from decimal import Decimal

import pytest

from foundation.clock import database_now
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.models import CorporateActionSettlement, LedgerTransfer, PositionMark
from portfolios.selectors import unsettled_splits
from portfolios.services.corporate_actions import book_due_actions
from portfolios.services.corrections import reverse_entry
from portfolios.services.marks import PeakMark, note_peaks
from tests.harness.trading import Desk, Market
from trading.models import Halt
from trading.services.protection_watch import watch_protections
from trading.services.protections import set_protection
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration


@pytest.fixture
def holder(desk: Desk, market: Market) -> Desk:
    """50 of AAA at 100, with a stop loss of the specification's rule at 5 % and a trailing stop at 10 %."""
    market.advise("AAA")
    desk.step()
    del market.advice["AAA"]
    market.tick()
    desk.evaluate()
    set_protection(
        portfolio_id=desk.portfolio.id, symbol="AAA", trailing_stop_percentage=Decimal(10), actor=desk.owner
    )
    return desk


def split(market: Market, *, minutes: int = 1) -> None:
    """Two for one, in the prices from so many minutes on."""
    item = NewCorporateAction(
        external_id="split", symbol="AAA", kind="split", ex_at=market.as_of + timedelta(minutes=minutes),
        new_units=2, old_units=1, cash_in_lieu_price=Decimal(50),
    )  # fmt: skip
    record(item, actor=None)
    market.closes["AAA"] = 50.0


def finish() -> None:
    """An hour later nobody looks for fills on their way any more."""
    book_due_actions()
    CorporateActionSettlement.objects.update(began_at=database_now() - timedelta(hours=2))
    book_due_actions()


def everything(desk: Desk) -> None:
    desk.evaluate()
    watch_protections()
    execute_pending()


def test_the_halved_price_sells_nothing_and_trips_nothing(holder: Desk, market: Market) -> None:
    split(market)
    market.tick(AAA=50.0)
    everything(holder)
    assert unsettled_splits() == {(holder.portfolio.id, market.instruments[0].id)}
    assert [trade.trade_type for trade in holder.trades()] == ["buy"]
    assert not Halt.objects.exists()
    book_due_actions()
    assert (holder.held("AAA"), unsettled_splits()) == (100, frozenset())
    market.tick(AAA=50.0)
    everything(holder)
    assert [trade.trade_type for trade in holder.trades()] == ["buy"]
    assert PositionMark.objects.get().peak_price == 50
    assert book_differences() == []


def test_a_real_loss_sells_the_new_units(holder: Desk, market: Market) -> None:
    split(market)
    market.tick(AAA=50.0)
    book_due_actions()
    market.tick(AAA=46.0)
    everything(holder)
    assert [(trade.trade_type, trade.quantity) for trade in holder.trades()] == [("buy", 50), ("sell", 100)]
    assert holder.held("AAA") == 0 and book_differences() == []


def test_while_its_booking_is_reversed_nothing_is_sold(holder: Desk, market: Market) -> None:
    """50 are held by the books, each worth half of what it was bought for in the old units."""
    split(market)
    market.tick(AAA=50.0)
    finish()
    entry = LedgerTransfer.objects.filter(kind="split").latest("id").entry_id
    reverse_entry(
        portfolio_id=holder.portfolio.id, entry_id=entry, actor=holder.owner, reason="a busted fill"
    )
    finish()
    market.tick(AAA=50.0)
    everything(holder)
    assert unsettled_splits() == {(holder.portfolio.id, market.instruments[0].id)}
    assert [trade.trade_type for trade in holder.trades()] == ["buy"]
    assert not Halt.objects.exists()


def test_an_order_from_before_the_split_is_not_executed_after_it(desk: Desk, market: Market) -> None:
    """It would buy half of what was decided on."""
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    split(market)
    market.tick(AAA=50.0)
    execute_pending()
    (trade,) = desk.trades()
    assert (trade.status, "split" in trade.status_reason) == ("cancelled", True)
    assert book_differences() == []


def test_a_peak_seen_before_the_split_is_not_noted_after_it(holder: Desk, market: Market) -> None:
    """A watcher that was slow: what it saw was of 50 units, and 100 are held now."""
    position = holder.portfolio.positions.get()
    seen = PeakMark(position.pk, position.opened_at, position.quantity, Decimal(101))
    split(market)
    market.tick(AAA=50.0)
    book_due_actions()
    before = PositionMark.objects.get().peak_price
    note_peaks([seen])
    assert PositionMark.objects.get().peak_price == before == 50
