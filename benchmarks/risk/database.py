"""Approvals a second on a database: state read fresh under 200 portfolios' locks, every control, reservations.

A batch is what one evaluation does between triggered rules and stored trades: `open_books`, `fresh_states`, and
for five orders of each portfolio `validate_trade` and, if approved, `make_trade`, which reserves, so that the next
order is checked against what is left. It is rolled back, so that every run finds the same books; prices, and with
them every fact of the market, and the orders are others each time.
"""

import random
import statistics
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from django.db import connection, transaction

from benchmarks.figure import Figure
from benchmarks.timing import seconds_of_each
from benchmarks.trading_world import (
    Market,
    Orders,
    Sessions,
    intent_of,
    open_portfolios,
    place,
    user,
    widen_rates,
    wish,
)  # fmt: skip
from market.models import Instrument
from portfolios.models import InstrumentPermission, Portfolio
from portfolios.services.books import open_books
from portfolios.services.marks import EquityMark, note_equity
from trading.core.risk import Refused
from trading.services.emergency_stop import arm
from trading.services.facts import MarketView
from trading.services.fresh_state import fresh_states
from trading.services.order_management import make_trade
from trading.services.risk_management import OrderWish, validate_trade
from trading.services.trade_execution import execute_pending

PORTFOLIOS = 200
ORDERS_OF_EACH = 5
HELD = 4
RUNS = 7
CASH = Decimal(100_000)
OPEN = tuple(f"S{number:03}" for number in range(96))
HALTED, CLOSED, WIDE, RESTRICTED = "HALT", "SHUT", "WIDE", "BANN"
Faulty = Callable[[MarketView, list[Instrument]], OrderWish]


@dataclass
class Given:
    """One run's batch, and the code that each order must get; None: approved."""

    orders: Orders
    codes: dict[uuid.UUID, list[str | None]]
    view: MarketView


def measure() -> Iterator[Figure]:
    rng = random.Random(20_260_105)
    market, sessions = _make_world()
    rates: list[float] = []
    floors: list[float] = []
    approved: list[int] = []
    refused: Counter[str] = Counter()
    for _ in range(RUNS):
        given = _make_batch(rng, market, sessions)
        assert_answered(given, sessions)
        codes = [code for mine in given.codes.values() for code in mine]
        approved.append(codes.count(None))
        refused.update(code for code in codes if code is not None)
        rates += [
            approved[-1] / taken for taken in seconds_of_each(lambda one: check(one, sessions), [given])
        ]
        floors += [approved[-1] / taken for taken in seconds_of_each(look, [given])]
    orders, typical = PORTFOLIOS * ORDERS_OF_EACH, statistics.median(approved)
    yield Figure(
        "risk.database", round(statistics.median(rates), 1), "approvals/s", round(statistics.median(floors), 1),
        "a bare transaction that locks the same portfolios and reads their positions and reservations", n=RUNS,
        notes=f"batches of {orders} orders in {PORTFOLIOS} portfolios, cumulative, {typical:.0f} of them approved and "
        f"reserved, the others refused with {len(refused)} codes; "
        f"{statistics.median(rates) * orders / typical:.0f} orders/s; PostgreSQL with fsync, rolled back",
    )  # fmt: skip


def check(given: Given, sessions: Sessions) -> dict[uuid.UUID, list[str | None]]:
    """The codes of all orders, in one transaction that is rolled back."""
    told: dict[uuid.UUID, list[str | None]] = {}
    with transaction.atomic():
        books = open_books(given.orders)
        states = fresh_states(books, sessions=sessions, view=given.view)
        for portfolio_id, state in states.items():
            mine = told.setdefault(portfolio_id, [])
            for wanted in given.orders[portfolio_id]:
                verdict = validate_trade(state, wanted)
                if isinstance(verdict, Refused):
                    mine.append(verdict.code.value)
                    continue
                make_trade(state, intent_of(verdict, wanted, decision_id=uuid.uuid4()))
                mine.append(None)
        transaction.set_rollback(True)
    return told


def look(given: Given) -> int:
    """What any check on fresh state must do at least. How many rows it read."""
    wanted = list(given.orders)
    rows = 0
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in (
            "SELECT id, cash, reserved_cash FROM portfolios_portfolio WHERE id = ANY(%s) ORDER BY id"
            " FOR NO KEY UPDATE",
            "SELECT portfolio_id, instrument_id, quantity, reserved_quantity FROM portfolios_position"
            " WHERE portfolio_id = ANY(%s)",
            "SELECT portfolio_id, instrument_id, cash, quantity FROM portfolios_reservation"
            " WHERE portfolio_id = ANY(%s)",
        ):
            cursor.execute(statement, [wanted])
            rows += len(cursor.fetchall())
        transaction.set_rollback(True)
    return rows


def assert_answered(given: Given, sessions: Sessions) -> None:
    told = check(given, sessions)
    for portfolio_id, codes in given.codes.items():
        assert told[portfolio_id] == codes, (
            f"portfolio {portfolio_id}: {told[portfolio_id]}, expected {codes}"
        )
    assert look(given) >= PORTFOLIOS * (1 + HELD + 1), (
        "the floor reads portfolios, positions and reservations"
    )


def _make_world() -> tuple[Market, Sessions]:
    """Everybody holds four instruments, bought on the market, and has one more order working for one of them."""
    market = Market.make([*OPEN, HALTED, CLOSED, WIDE, RESTRICTED], seed=20_260_105)
    market.closed, market.wide = frozenset({CLOSED}), frozenset({WIDE})
    alice = user("alice")
    widen_rates()
    sessions = open_portfolios(PORTFOLIOS, cash=CASH, owner=alice)
    view = market.publish()
    place(
        {key: [wish(view, "buy", row, 40) for row in _held(view, place_)] for place_, key in enumerate(sessions)},
        sessions=sessions, view=view,
    )  # fmt: skip
    assert execute_pending() == PORTFOLIOS * HELD
    working = {key: [wish(view, "buy", _held(view, place_)[0], 10)] for place_, key in enumerate(sessions)}
    assert place(working, sessions=sessions, view=view) == PORTFOLIOS
    InstrumentPermission.objects.create(
        instrument=view.by_symbol[RESTRICTED], kind=InstrumentPermission.Kind.RESTRICTED, reason="a benchmark"
    )
    arm(scope="symbol", scope_id=HALTED, reason="a benchmark", actor=alice)
    day, cash = view.snapshot.as_of.date(), Portfolio.objects.values_list("id", "cash")
    note_equity([EquityMark(key, day, CASH, left) for key, left in cash])
    return market, sessions


def _symbols(number: int) -> list[str]:
    """Those that portfolio `number` meets, each in the same place: it holds the first four."""
    return [OPEN[(number * 7 + step) % len(OPEN)] for step in range(HELD + 4)]


def _held(view: MarketView, number: int) -> list[Instrument]:
    return [view.by_symbol[symbol] for symbol in _symbols(number)[:HELD]]


def _make_batch(rng: random.Random, market: Market, sessions: Sessions) -> Given:
    """Two orders that must pass, one that must not, one more that passes, and one that its predecessors decide."""
    view = market.publish()
    orders: dict[uuid.UUID, list[OrderWish]] = {}
    codes: dict[uuid.UUID, list[str | None]] = {}
    faulty = _faulty_orders()
    for number, key in enumerate(sessions):
        mine = [view.by_symbol[symbol] for symbol in _symbols(number)]
        rule_id = uuid.uuid4()
        first = wish(view, "buy", mine[HELD], rng.randrange(5, 40), rule_id=rule_id)
        second = wish(view, "sell", mine[1], rng.randrange(5, 20), rule_id=rule_id)
        code, make = faulty[rng.randrange(len(faulty))]
        third = make(view, mine)
        fourth = wish(view, "buy", mine[HELD + 1], rng.randrange(5, 40), rule_id=rule_id)
        last, last_code = _last(rng, view, mine, first, second)
        orders[key] = [first, second, third, fourth, last]
        codes[key] = [None, None, code, None, last_code]
    return Given(orders, codes, view)


def _last(
    rng: random.Random, view: MarketView, mine: list[Instrument], first: OrderWish, second: OrderWish
) -> tuple[OrderWish, str | None]:
    """Refused only because of the orders before it in the batch, or passed."""
    chosen = rng.randrange(4)
    if chosen == 0:
        return replace(first), "DUPLICATE_ORDER"
    if chosen == 1:
        return wish(view, "buy", second.instrument, 3), "WASH_TRADE"
    if chosen == 2:
        return wish(view, "sell", second.instrument, 40), "INSUFFICIENT_POSITION"  # it had 40
    return wish(view, "buy", mine[HELD + 2], rng.randrange(5, 40)), None


def _faulty_orders() -> list[tuple[str, Faulty]]:
    """(the code, an order that earns it) on the books as they are."""

    def worth(share: str) -> Faulty:
        """So much of the cash that everybody began with."""
        return lambda view, mine: wish(view, "buy", mine[-1], _units(view, mine[-1], share))

    def of(symbol: str) -> Faulty:
        return lambda view, _: wish(view, "buy", view.by_symbol[symbol], 10)

    return [
        ("HALTED", of(HALTED)), ("MARKET_CLOSED", of(CLOSED)), ("MARKET_CONDITION", of(WIDE)),
        ("NOT_PERMITTED", of(RESTRICTED)),
        ("NOT_PERMITTED", lambda view, mine: replace(wish(view, "buy", mine[-1], 9), actor_objection="is no trader")),
        ("STALE_DATA", lambda view, mine: replace(
            wish(view, "buy", mine[-1], 9), recommended_at=view.snapshot.as_of - timedelta(days=31))),
        ("MAX_ORDER_VALUE", worth("1.2")), ("INSUFFICIENT_CASH", worth("0.95")), ("MAX_POSITION_SIZE", worth("0.4")),
        ("INSUFFICIENT_POSITION", lambda view, mine: wish(view, "sell", mine[2], 41)),
        ("WASH_TRADE", lambda view, mine: wish(view, "sell", mine[0], 9)),
    ]  # fmt: skip


def _units(view: MarketView, instrument: Instrument, share: str) -> int:
    price = view.snapshot.price(instrument.symbol)
    assert price is not None
    return int(Decimal(share) * CASH / price)
