"""Whatever happens to a portfolio, what it owned at each moment is told afterwards exactly as it was read then."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundation.errors import DomainError
from foundation.moments import Moment, present_moment
from market.core.snapshot import MarketSnapshot
from market.services import snapshots
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.models import LedgerTransfer, Portfolio
from portfolios.services.corporate_actions import book_due_actions
from portfolios.services.portfolios import deposit, withdraw
from tests.harness.trading import Desk, Market
from trading.core.orders import OrderTerms, OrderType
from trading.models import AutoTrade
from trading.services.corrections import reverse_ledger_entry
from trading.services.facts import OwnedRows, market_view, read_owned, valuation_of
from trading.services.manual import place_trade
from trading.services.order_management import cancel_trade
from trading.services.then import owned_at
from trading.services.trade_execution import execute_pending

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.timeout(900)]
SYMBOL = st.sampled_from(["AAA", "BBB"])
UNITS = st.integers(1, 60)
STEP = st.one_of(
    st.tuples(st.just("tick"), SYMBOL, st.sampled_from([60, 90, 100, 101, 140])),
    st.tuples(st.just("order"), st.sampled_from(["buy", "buy", "sell"]), SYMBOL, UNITS),
    st.tuples(st.just("rest"), SYMBOL, UNITS),
    st.tuples(st.sampled_from(["execute", "execute", "cancel", "book", "take_back_money", "take_back_fill"])),
    st.tuples(st.just("split"), SYMBOL),
    st.tuples(st.sampled_from(["deposit", "withdraw"]), st.integers(1, 90_000)),
)


def rows_of(owned: OwnedRows, portfolio: Portfolio, snapshot: MarketSnapshot) -> dict[str, Any]:
    """Everything that facts are made of, and the facts."""
    mine, key = owned.portfolios[portfolio.id], portfolio.id
    positions = [row for row in owned.positions.get(key, []) if row.quantity > 0]
    ids = [row.id for row in positions]
    mark = owned.marks.get(key)
    columns = (
        "id", "instrument_id", "quantity", "reserved_quantity", "cost", "average_cost", "opened_at"
    )  # fmt: skip
    valuation = valuation_of(owned, key, market_view(snapshot, looked_at=snapshot.as_of))
    return {
        "money": (mine.cash, mine.reserved_cash),
        "positions": sorted(tuple(getattr(row, name) for name in columns) for row in positions),
        "reservations": sorted(
            (str(row.owner_id), row.instrument_id, row.cash, row.quantity) for row in owned.reservations.get(key, [])
        ),
        "mark": mark and (mark.day, mark.day_open_equity, mark.peak_equity),
        "peaks": sorted((p.position_id, p.opened_at, p.peak_price) for k, p in owned.peaks.items() if k in ids),
        "unsettled": {pair for pair in owned.unsettled if pair[0] == key},
        "facts": repr((valuation.portfolio, valuation.positions)),
    }  # fmt: skip


@dataclass
class Story:
    """What happens, and what was read after each of it."""

    desk: Desk
    market: Market
    read: list[tuple[Moment, MarketSnapshot, dict[str, Any]]] = field(default_factory=list)

    def happens(self, name: str, *args: Any) -> None:
        """What the services refuse does not happen."""
        with contextlib.suppress(DomainError), transaction.atomic():
            getattr(self, f"_{name}")(*args)
        self._read()

    def _read(self) -> None:
        snapshot = snapshots.current()
        assert snapshot is not None
        at, seen = present_moment()
        with connection.cursor() as cursor:
            cursor.execute("SELECT (pg_current_xact_id()::text)::bigint")
            (own,) = cursor.fetchone()
        owned = read_owned([self.desk.portfolio.id])
        self.read.append((Moment(at, seen, own), snapshot, rows_of(owned, self.desk.portfolio, snapshot)))

    def _tick(self, symbol: str, price: int) -> None:
        self.market.tick(**{symbol: float(price)})
        self.desk.evaluate()

    def _order(self, side: str, symbol: str, units: int, terms: OrderTerms | None = None) -> None:
        self.market.tick()
        more = {} if terms is None else {"terms": terms}
        place_trade(
            portfolio_id=self.desk.portfolio.id, symbol=symbol, side=side, quantity=Decimal(units),
            actor=self.desk.owner, **more,
        )  # fmt: skip

    def _rest(self, symbol: str, units: int) -> None:
        terms = OrderTerms(order_type=OrderType.LIMIT, limit_price=Decimal(55))
        self._order("buy", symbol, units, terms)

    def _execute(self) -> None:
        execute_pending()

    def _cancel(self) -> None:
        for trade in AutoTrade.objects.filter(status__in=["pending", "accepted"]).order_by("created_at")[:1]:
            cancel_trade(trade_id=trade.id, actor=self.desk.owner)

    def _deposit(self, amount: int) -> None:
        deposit(portfolio_id=self.desk.portfolio.id, amount=Decimal(amount), actor=self.desk.owner)

    def _withdraw(self, amount: int) -> None:
        withdraw(portfolio_id=self.desk.portfolio.id, amount=Decimal(amount), actor=self.desk.owner)

    def _split(self, symbol: str) -> None:
        """Three for two, in the prices from the next tick on; it is booked when somebody books it."""
        self.market.tick()
        item = NewCorporateAction(
            external_id=f"split-{len(self.read)}", symbol=symbol, kind="split",
            ex_at=self.market.as_of + timedelta(seconds=30), new_units=3, old_units=2,
            cash_in_lieu_price=Decimal(50),
        )  # fmt: skip
        record(item, actor=None)
        self.market.tick()

    def _book(self) -> None:
        book_due_actions()

    def _take_back_money(self) -> None:
        self._reverse_last("deposit")

    def _take_back_fill(self) -> None:
        self._reverse_last("fill")

    def _reverse_last(self, kind: str) -> None:
        rows = LedgerTransfer.objects.filter(portfolio=self.desk.portfolio, kind=kind, reversed_by=None)
        row = rows.order_by("id").last()
        if row is not None:
            reverse_ledger_entry(
                portfolio_id=row.portfolio_id, entry_id=row.entry_id, actor=self.desk.owner, reason="a typo"
            )

    def check(self) -> None:
        for moment, snapshot, told in self.read:
            rebuilt = owned_at(self.desk.portfolio, moment, snapshot=snapshot)
            assert rows_of(rebuilt, self.desk.portfolio, snapshot) == told


@contextlib.contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def opened(db: object) -> tuple[Desk, Market]:
    market = Market()
    market.tick()
    return Desk.open(market, rules=()), market


@settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEP, min_size=4, max_size=12))
def test_the_past_is_told_as_it_was_read(opened: tuple[Desk, Market], steps: list[tuple[Any, ...]]) -> None:
    desk, market = opened
    with undone():
        story = Story(desk, Market(as_of=market.as_of))
        for name, *args in steps:
            story.happens(name, *args)
        story.check()


def test_everything_at_least_once(opened: tuple[Desk, Market]) -> None:
    """One story in which each step does something, whatever examples are drawn."""
    desk, market = opened
    story = Story(desk, Market(as_of=market.as_of))
    for name, *args in (
        ("tick", "AAA", 100), ("order", "buy", "AAA", 30), ("order", "buy", "BBB", 9), ("execute",),
        ("tick", "AAA", 140),
        ("rest", "BBB", 5), ("order", "sell", "AAA", 10), ("deposit", 500), ("execute",), ("split", "AAA"), ("book",),
        ("tick", "AAA", 90), ("cancel",), ("take_back_money",), ("order", "sell", "BBB", 9), ("execute",),
        ("tick", "BBB", 60), ("take_back_fill",), ("withdraw", 700), ("tick", "BBB", 101),
    ):  # fmt: skip
        before = len(story.read) and story.read[-1][2]
        story.happens(name, *args)
        assert name == "tick" or story.read[-1][2] != before, (name, args)
    story.check()
