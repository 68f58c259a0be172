"""A stop order that rests at the broker and ends without having sold: people are told, and its position is watched by
ourselves from then on."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from journal.models import Alert
from market.models import CalendarDay
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.services.corporate_actions import book_due_actions
from tests.harness.at_simulator import AtSimulator
from tests.harness.simulator import Simulator
from tests.harness.trading import Desk, Market
from tests.harness.working import limit_at, place, stop_at
from tests.integration.trading.at_brokers import state
from tests.integration.trading.protecting import buying, sells, told
from trading.core.orders import OrderTerms, OrderType, TimeInForce
from trading.models import AutoTrade, Protection
from trading.services.order_management import cancel_trade
from trading.services.protection_watch import watch_protections
from trading.services.protections import set_protection
from trading.services.sending import send_due
from trading.services.split_orders import cancel_split_orders
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
CLOSE = datetime(2010, 3, 5, 21, tzinfo=UTC)  # a Friday
OPEN = datetime(2010, 3, 8, 14, 30, tzinfo=UTC)
DAY_STOP = OrderTerms(order_type=OrderType.STOP, stop_price=Decimal(95))
ANEW = "Nobody here has asked for that: place it anew if it is still wanted."


def trailing(percentage: int) -> OrderTerms:
    return OrderTerms(
        order_type=OrderType.TRAILING_STOP, time_in_force=TimeInForce.GTC, trail_percentage=Decimal(percentage)
    )  # fmt: skip


@pytest.fixture
def desk(market: Market) -> Desk:
    market.tick()
    return Desk.open(market, rules=(buying(),))


@pytest.fixture
def holding(at_simulator: AtSimulator) -> AtSimulator:
    """50 of AAA, bought there at 100; nothing protects them."""
    at = at_simulator
    at.desk.market.advise("AAA")
    at.desk.market.tick()
    at.desk.evaluate()
    send_due()
    (buy,) = at.desk.trades()
    at.simulator.fill(buy.client_order_id)
    at.reconcile()
    at.desk.market.advise("AAA", "HOLD", 0.5)
    assert (at.desk.held("AAA"), Protection.objects.count()) == (50, 0)
    return at


def rests(at: AtSimulator, terms: OrderTerms, *, quantity: int = 50) -> AutoTrade:
    at.desk.market.tick()  # an equal order in the same minute would be refused
    trade = place(at.desk, terms, side="sell", quantity=quantity)
    send_due()
    assert state(trade) == "accepted"
    return trade


def ends(at: AtSimulator, trade: AutoTrade, how: Callable[[Simulator, str], None] = Simulator.cancel) -> None:
    how(at.simulator, trade.client_order_id)
    at.reconcile()
    at.reconcile()


def alerts() -> list[tuple[str, str, str]]:
    rows = Alert.objects.filter(kind__startswith="trade.").order_by("created_at")
    return list(rows.values_list("kind", "severity", "message"))


def watched() -> tuple[Decimal | None, Decimal | None]:
    """Stop loss and trailing stop of our own."""
    row = Protection.objects.first()
    return (row.stop_loss_percentage, row.trailing_stop_percentage) if row is not None else (None, None)


def sells_at(at: AtSimulator, price: float) -> bool:
    at.desk.market.tick(AAA=price)
    return watch_protections() == 1


@pytest.mark.parametrize(
    ("how", "ended"),
    [(Simulator.cancel, "cancelled"), (Simulator.expire, "expired"), (Simulator.reject, "rejected")],
)
def test_it_is_told_and_our_own_watch_sells_where_it_would_have(
    holding: AtSimulator, how: Callable[[Simulator, str], None], ended: str
) -> None:
    at = holding
    stop = rests(at, stop_at(95))
    ends(at, stop, how)
    assert state(stop) == ended
    ((kind, severity, message),) = alerts()
    assert (kind, severity) == (f"trade.{ended}", "warning")
    assert message.startswith(
        "The broker has ended an order that was to work until it is cancelled (stop, sell 50 AAA)"
    )
    assert message.endswith("From now on a stop loss of 5 % of our own watches in its place.")
    assert (watched(), len(told(at.desk, "protection.set"))) == ((5, None), 1)
    assert not sells_at(at, 95.01) and sells_at(at, 95)
    send_due()
    at.simulator.fill(sells(at.desk)[-1].client_order_id, price=95)
    at.reconcile()
    assert (at.desk.held("AAA"), at.breaks(), book_differences()) == (0, [], [])


def test_one_whose_price_was_reached_meanwhile_sells_at_once(holding: AtSimulator) -> None:
    stop = rests(holding, stop_at(95))
    holding.desk.market.tick(AAA=90)
    ends(holding, stop, Simulator.reject)
    assert watch_protections() == 1


def test_one_above_the_cost_becomes_a_trailing_stop_that_begins_there(holding: AtSimulator) -> None:
    at = holding
    at.desk.market.tick(AAA=120)
    ends(at, rests(at, stop_at(108)))
    assert watched() == (None, 10)
    assert not sells_at(at, 120) and not sells_at(at, 108.01) and sells_at(at, 108)


def test_a_trailing_stop_trails_on_unless_it_would_sell_at_once(holding: AtSimulator) -> None:
    at = holding
    ends(at, rests(at, trailing(7)))
    assert watched() == (None, 7)
    Protection.objects.all().delete()
    at.desk.market.tick(AAA=92)
    ends(at, rests(at, trailing(7)))
    assert watched() == (None, None) and alerts()[-1][1] == "critical" and alerts()[-1][2].endswith(ANEW)


@pytest.mark.parametrize(
    ("own", "left", "words"),
    [
        ("3", 3, "The position's own protection, which sells no later, watches on."),
        ("8", 5, "From now on a stop loss of 5 % of our own watches in its place."),
    ],
)
def test_beside_a_protection_the_one_that_sells_first_stays(
    holding: AtSimulator, own: str, left: int, words: str
) -> None:
    set_protection(
        portfolio_id=holding.desk.portfolio.id, symbol="AAA", stop_loss_percentage=Decimal(own),
        take_profit_percentage=Decimal(20), actor=holding.desk.owner,
    )  # fmt: skip
    ends(holding, rests(holding, stop_at(95)))
    assert (watched(), alerts()[0][1], alerts()[0][2].endswith(words)) == ((left, None), "warning", True)
    assert Protection.objects.get().take_profit_percentage == 20


def test_what_protected_a_part_is_left_to_people(holding: AtSimulator) -> None:
    """A protection sells all that is held."""
    ends(holding, rests(holding, stop_at(95), quantity=20))
    ((_, severity, message),) = alerts()
    assert (watched(), severity, message.endswith(ANEW)) == ((None, None), "critical", True)


def test_a_stop_of_the_day_may_expire_with_it_and_must_not_end_otherwise(holding: AtSimulator) -> None:
    ends(holding, rests(holding, DAY_STOP), Simulator.expire)
    assert (alerts(), watched()) == ([], (None, None))
    ends(holding, rests(holding, DAY_STOP))
    ((_, severity, message),) = alerts()
    assert (severity, watched()) == ("warning", (5, None))
    assert message.startswith("The broker has ended an order that protects (stop, sell 50 AAA)")


def test_what_a_person_cancels_or_what_protects_nothing_is_not_watched(holding: AtSimulator) -> None:
    mine = rests(holding, stop_at(95))
    cancel_trade(trade_id=mine.id, actor=holding.desk.owner)
    send_due()
    holding.reconcile()
    assert (state(mine), alerts()) == ("cancelled", [])
    ends(holding, rests(holding, limit_at(110, gtc=True)), Simulator.reject)
    ((kind, severity, _),) = alerts()
    assert (kind, severity, watched()) == ("trade.rejected", "warning", (None, None))


def test_before_a_split_it_is_told_once_and_watched_in_the_new_units(holding: AtSimulator) -> None:
    at, market = holding, holding.desk.market
    stop = rests(at, stop_at(95))
    CalendarDay.objects.bulk_create(
        CalendarDay(
            exchange=market.instruments[0].exchange, day=opens_at.date(), opens_at=opens_at,
            closes_at=opens_at + timedelta(hours=6.5),
        )
        for opens_at in (CLOSE - timedelta(hours=6.5), OPEN)
    )  # fmt: skip
    item = NewCorporateAction(
        external_id="split", symbol="AAA", kind="split", ex_at=OPEN, new_units=2, old_units=1,
        cash_in_lieu_price=Decimal(50),
    )  # fmt: skip
    record(item, actor=None)
    market.is_open = False
    market.tick(minutes=(CLOSE + timedelta(minutes=1) - market.as_of).total_seconds() / 60)
    for _ in range(2):
        cancel_split_orders()
        send_due()
        at.reconcile()
    assert state(stop) == "cancelled"
    ((kind, severity, message),) = alerts()
    assert (kind, severity) == ("trade.cancelling", "warning")
    assert message == (
        "An order (stop, sell 50 AAA) is cancelled for a split. "
        "From now on a stop loss of 5 % of our own watches in its place."
    )
    market.is_open = True
    market.tick(minutes=(OPEN + timedelta(minutes=1) - market.as_of).total_seconds() / 60, AAA=50)
    assert watch_protections() == 0, "its position is in old units still"
    book_due_actions()
    assert at.desk.held("AAA") == 100
    assert not sells_at(at, 47.51) and sells_at(at, 47.5)
    assert sells(at.desk)[-1].quantity == 100 and book_differences() == []
