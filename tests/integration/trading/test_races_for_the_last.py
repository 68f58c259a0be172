"""Two workers decide at the same moment for the last of something: exactly one gets it, and nobody deadlocks.

What the winner took is given back before the next round. Other numbers of rounds: RACE_ROUNDS, over all races.
"""

import os
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pytest

from foundation.clock import database_now
from portfolios.models import Portfolio, Position, Reservation
from portfolios.services.books import Books, open_books
from portfolios.services.limits import PLATFORM_DEFAULTS, set_limits
from portfolios.services.portfolios import deposit
from rules.models import RuleVersion
from tests.harness import order_steps
from tests.harness.racing import racing
from tests.harness.trading import Desk, Market
from tests.harness.trading_scene import NEVER
from trading.core.risk import Refused
from trading.models import AutoTrade, OrderMessage
from trading.services.draining import drain_all
from trading.services.order_management import cancel_trade
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
D = Decimal
RACES = 8
ROUNDS = int(os.environ.get("RACE_ROUNDS", "1000")) // RACES
TICK_ROUNDS = 50  # so that no price grows stale in a slow run
APPROVED = "approved"
NO_MATTER = dict.fromkeys(
    ("max_messages_per_second", "max_messages_per_minute", "max_daily_trades", "max_daily_trades_per_symbol",
     "max_order_value", "max_position_value", "max_daily_trades_per_rule"), D(10**6),
) | {"max_position_percentage": D(100), "duplicate_order_seconds": D(0)}  # fmt: skip


@dataclass(frozen=True)
class Order:
    desk: Desk
    version: RuleVersion
    side: str
    symbol: str
    quantity: int


def open_desk(market: Market, owner: str = "alice", *, cash: int = 100_000) -> Desk:
    """A portfolio in which no limit matters until a test sets one."""
    set_limits(scope="platform", values=PLATFORM_DEFAULTS | NO_MATTER, actor=None)
    return Desk.open(market, owner=owner, cash=cash, rules=(NEVER,))


def limit(desk: Desk, **limits: int) -> None:
    values = {name: D(value) for name, value in limits.items()}
    set_limits(scope="portfolio", scope_id=desk.portfolio.id, values=values, actor=desk.owner)


def order(desk: Desk, symbol: str, quantity: int, side: str = "buy") -> Order:
    return Order(desk, RuleVersion.objects.get(rule__portfolio=desk.portfolio), side, symbol, quantity)


def worker(*orders: Order) -> Callable[[], list[str]]:
    """Asks for all of them in one transaction, in the order given; answers with the codes."""

    def work() -> list[str]:
        portfolios = list(dict.fromkeys(each.desk.portfolio for each in orders))
        sessions = {each.desk.portfolio.id: each.desk.session for each in orders}
        versions = {each.desk.portfolio.id: each.version for each in orders}
        answers = []
        with order_steps.batches(portfolios, sessions, versions) as opened:
            for each in orders:
                batch = opened[each.desk.portfolio.id]
                instrument = batch.state.view.by_symbol[each.symbol]
                verdict, _ = batch.ask(each.side, instrument, D(each.quantity))
                answers.append(verdict.code.value if isinstance(verdict, Refused) else APPROVED)
        return answers

    return work


def give_back() -> None:
    """Cancel what was promised, and forget the messages."""
    for trade_id in AutoTrade.objects.filter(status="pending").values_list("id", flat=True):
        cancel_trade(trade_id=trade_id, actor=None)
    OrderMessage.objects.all().delete()


def race_for_the_last(
    market: Market, *works: Callable[[], list[str]], code: str, before: Callable[[], None] = give_back
) -> None:
    """In every round one is approved and the other refused with the code."""
    with racing(*works) as racers:
        for number in range(ROUNDS):
            if number % TICK_ROUNDS == 0:
                market.tick()
            before()
            answers = racers.race()
            assert racers.errors == []
            won, lost = sorted(answers, key=lambda answer: APPROVED not in answer)
            assert set(won) == {APPROVED} and set(lost) == {code}, (number, won, lost)
    assert racers.errors == [] and racers.deadlocks() == 0
    give_back()
    assert set(Portfolio.objects.values_list("reserved_cash", flat=True)) == {D(0)}
    assert book_differences() == []


def test_the_last_cash(market: Market) -> None:
    desk = open_desk(market, cash=10_000)
    works = [worker(order(desk, symbol, 60)) for symbol in ("AAA", "BBB")]
    race_for_the_last(market, *works, code="INSUFFICIENT_CASH")


def test_the_last_position_slot(market: Market) -> None:
    desk = open_desk(market)
    limit(desk, max_open_positions=1)
    works = [worker(order(desk, symbol, 10)) for symbol in ("AAA", "BBB")]
    race_for_the_last(market, *works, code="MAX_OPEN_POSITIONS")


def test_the_last_message_slot(market: Market) -> None:
    desk = open_desk(market)
    limit(desk, max_messages_per_minute=1)
    works = [worker(order(desk, symbol, 10)) for symbol in ("AAA", "BBB")]
    race_for_the_last(market, *works, code="MAX_MESSAGES")


def test_the_last_message_slot_of_reductions(market: Market) -> None:
    """Of five slots one is kept for what reduces: two sells race for that one."""
    desk = bought(market, "AAA", "BBB")
    limit(desk, max_messages_per_minute=5)

    def before() -> None:
        give_back()
        sent = {"portfolio": desk.portfolio, "account": desk.portfolio.broker_account, "kind": "submit"}
        now = database_now()
        OrderMessage.objects.bulk_create(OrderMessage(at=now, **sent) for _ in range(4))

    works = [worker(order(desk, symbol, 10, "sell")) for symbol in ("AAA", "BBB")]
    race_for_the_last(market, *works, code="MAX_MESSAGES", before=before)


def test_the_last_trade_of_the_day(market: Market) -> None:
    desk = open_desk(market)

    def before() -> None:
        give_back()
        limit(desk, max_daily_trades=AutoTrade.objects.count() + 1)

    works = [worker(order(desk, symbol, 10)) for symbol in ("AAA", "BBB")]
    race_for_the_last(market, *works, code="MAX_DAILY_TRADES", before=before)


def bought(market: Market, *symbols: str) -> Desk:
    """A desk that holds 10 of each."""
    desk = open_desk(market)
    market.tick()
    worker(*(order(desk, symbol, 10) for symbol in symbols))()
    assert execute_pending() == len(symbols)
    return desk


def test_the_last_shares(market: Market) -> None:
    desk = bought(market, "AAA")
    works = [worker(order(desk, "AAA", quantity, "sell")) for quantity in (10, 6)]
    race_for_the_last(market, *works, code="INSUFFICIENT_POSITION")


def two_desks(market: Market) -> tuple[Desk, Desk]:
    one, other = open_desk(market), open_desk(market, "charlie")
    for desk in (one, other):
        limit(desk, max_open_positions=1)
    return one, other


def crossing(one: Desk, other: Desk) -> tuple[Callable[[], list[str]], Callable[[], list[str]]]:
    """Two batches over the same two portfolios, named in opposite orders."""
    return (
        worker(order(one, "AAA", 10), order(other, "AAA", 10)),
        worker(order(other, "BBB", 10), order(one, "BBB", 10)),
    )


def test_batches_that_name_their_portfolios_in_opposite_orders(market: Market) -> None:
    """Who has the first lock has both, so one wins in both."""
    race_for_the_last(market, *crossing(*two_desks(market)), code="MAX_OPEN_POSITIONS")


def test_ordering_depositing_executing_and_draining_at_once(market: Market) -> None:
    """Everybody who locks portfolios, at the same time and in every order: nobody fails, and the books are right."""
    one, other = two_desks(market)

    def pay_in() -> None:
        for desk in sorted((one, other), key=lambda each: each.portfolio.id, reverse=True):
            deposit(portfolio_id=desk.portfolio.id, amount=D(1), actor=None)

    with racing(*crossing(one, other), pay_in, execute_pending, drain_all) as racers:
        for number in range(ROUNDS):
            if number % TICK_ROUNDS == 0:
                market.tick()
            racers.race()
    assert racers.errors == [] and racers.deadlocks() == 0
    for desk in (one, other):
        assert desk.portfolio.positions.filter(quantity__gt=0).count() <= 1
    assert book_differences() == []


# --- a race that cannot fail is a defect -------------------------------------------------------------


def unlocked(portfolio_ids: Collection[uuid.UUID]) -> Books:
    return Books(
        portfolios=Portfolio.objects.in_bulk(list(portfolio_ids)),
        positions={(p.portfolio_id, p.instrument_id): p for p in Position.objects.all()},
        reservations={r.owner_id: r for r in Reservation.objects.all()},
    )


def locked_as_named(portfolio_ids: Sequence[uuid.UUID]) -> Books:
    for portfolio_id in portfolio_ids:
        Portfolio.objects.select_for_update(no_key=True).get(pk=portfolio_id)
    return open_books(portfolio_ids)


def test_without_the_lock_both_pass(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_steps, "open_books", unlocked)
    desk = open_desk(market, cash=10_000)
    works = [worker(order(desk, symbol, 60)) for symbol in ("AAA", "BBB")]
    with pytest.raises(AssertionError):
        race_for_the_last(market, *works, code="INSUFFICIENT_CASH")


def test_without_the_order_of_locks_there_are_deadlocks(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_steps, "open_books", locked_as_named)
    market.tick()
    with racing(*crossing(*two_desks(market))) as racers:
        for _ in range(20):
            give_back()
            racers.race()
            if racers.deadlocks():
                break
    assert racers.deadlocks() > 0
