"""People protect positions, and take protections away."""

from decimal import Decimal

import pytest
from django.db import transaction

from foundation.errors import Conflict, InvalidInput, NotFound
from journal.models import Entry
from journal.services.journal import append
from portfolios.services.books import open_books
from tests.harness.trading import Desk, Market
from tests.integration.trading.protecting import buying, protected, tick, told
from trading.models import Protection
from trading.services.bookkeeping import ReportedFill, book_fills
from trading.services.protections import remove_protection, set_protection

pytestmark = pytest.mark.integration
D = Decimal


def test_people_set_it_as_a_whole_and_remove_it(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    where = {"portfolio_id": desk.portfolio.id, "symbol": "AAA", "actor": desk.owner}
    set_protection(**where, stop_loss_percentage=D(5), take_profit_percentage=D(10))
    row = set_protection(**where, trailing_stop_percentage=D(8))
    row.refresh_from_db()
    assert (row.stop_loss_percentage, row.take_profit_percentage, row.trailing_stop_percentage) == (
        None,
        None,
        8,
    )
    assert (row.actor, row.trade, row.rule_version) == ("user:alice", None, None)
    assert tick(desk, AAA=92.01) == 0
    remove_protection(**where)
    assert tick(desk, AAA=50.0) == 0
    with pytest.raises(NotFound, match="no protection"):
        remove_protection(**where)
    assert [entry.kind for entry in Entry.objects.filter(kind__startswith="protection.").order_by("seq")] == [
        "protection.set", "protection.set", "protection.removed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({}, ""),
        ({"stop_loss_percentage": D(0)}, "stop_loss_percentage"),
        ({"stop_loss_percentage": D(100)}, "stop_loss_percentage"),
        ({"trailing_stop_percentage": D(100)}, "trailing_stop_percentage"),
        ({"take_profit_percentage": D("1000.01")}, "take_profit_percentage"),
        ({"take_profit_percentage": D("NaN")}, "take_profit_percentage"),
        ({"stop_loss_percentage": D(5), "take_profit_percentage": D(-5)}, "take_profit_percentage"),
    ],
)
def test_what_protects_nothing_is_refused(desk: Desk, given: dict[str, Decimal], path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        set_protection(portfolio_id=desk.portfolio.id, symbol="AAA", actor=desk.owner, **given)
    assert [error["path"] for error in caught.value.errors or []] == [path]
    assert not Protection.objects.exists()


def test_only_what_is_held_is_protected(desk: Desk) -> None:
    where = {"portfolio_id": desk.portfolio.id, "stop_loss_percentage": D(5), "actor": desk.owner}
    with pytest.raises(Conflict, match="Nothing is held of AAA"):
        set_protection(symbol="AAA", **where)
    with pytest.raises(NotFound, match="no instrument XYZ"):
        set_protection(symbol="XYZ", **where)


def test_what_its_position_left_behind_is_removed(market: Market) -> None:
    """A position that was closed by anything but a fill, as a correction of the books may."""
    desk = protected(market, stop_loss_percentage=5)
    Protection.objects.update(opened_at=market.as_of.replace(year=2009))
    assert tick(desk, AAA=50.0) == 0
    assert not Protection.objects.exists()
    assert len(told(desk, "protection.removed")) == 1


def test_a_later_fill_does_not_bring_back_what_was_removed(market: Market) -> None:
    """The first fill attaches; one that opens the position anew does again."""
    market.tick()
    desk = Desk.open(market, rules=(buying(stop_loss_percentage=5),))
    market.advise("AAA")
    market.tick()
    desk.evaluate()

    def fill(number: int, quantity: int, *path: str) -> None:
        (trade,) = desk.trades()
        with transaction.atomic():
            books = open_books([desk.portfolio.id])
            reported = ReportedFill(
                trade=trade, execution_id=str(number), quantity=D(quantity), price=D(100), fee=D(1),
                market_at=market.as_of, path=path,
            )  # fmt: skip
            append(book_fills([reported], books=books))
            books.save()

    fill(1, 20, "pending", "submitting", "partially_filled")
    assert Protection.objects.get().stop_loss_percentage == 5
    remove_protection(portfolio_id=desk.portfolio.id, symbol="AAA", actor=desk.owner)
    fill(2, 30, "partially_filled", "filled")
    assert desk.held("AAA") == 50 and not Protection.objects.exists()
