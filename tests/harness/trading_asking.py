"""The half of the state machine in which money, market and lists change, and orders are asked for and sent."""

import copy
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import ClassVar

import numpy as np
import pytest
from django.db import transaction
from django.db.models import F
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from foundation.errors import Conflict
from portfolios.services.limits import set_limits
from portfolios.services.permissions import set_instrument_permissions
from portfolios.services.portfolios import deposit, withdraw
from tests.harness import order_steps as steps
from tests.harness.invariants import Invariants, assert_verdict
from tests.harness.risk_model import (
    FINAL,
    MESSAGES_SECONDS,
    TICK,
    BookModel,
    HaltModel,
    Order,
    Quote,
    Wanted,
    World,
)
from tests.harness.trading import SYMBOLS
from tests.harness.trading_scene import (
    BOOK,
    CASH,
    CENTS,
    PICK,
    QUANTITY,
    STOCK,
    SYMBOL,
    THEN,
    WISH,
    Limits,
    Scene,
    Wish,
)
from trading.models import AutoTrade, OrderMessage
from trading.services.trade_execution import execute_pending

D = Decimal


class AskingMachine(RuleBasedStateMachine):
    """Two portfolios and the model of each."""

    scene: ClassVar[Scene]
    limits: ClassVar[Limits]

    def __init__(self) -> None:
        super().__init__()
        self._example = transaction.atomic()
        self._example.__enter__()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self._example.__exit__(None, None, None)

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        chosen = {name: D(data.draw(st.sampled_from(values), name)) for name, values in self.limits.items()}
        self.open(chosen, data.draw(st.tuples(STOCK, STOCK), "stock"))

    def open(self, chosen: Mapping[str, Decimal], stock: tuple[dict[str, int], dict[str, int]]) -> None:
        """Both portfolios get these limits, and buy their stock on paper."""
        self.market = copy.deepcopy(self.scene.market)
        self.books: list[BookModel] = []
        for desk in self.scene.desks:
            set_limits(scope="portfolio", scope_id=desk.portfolio.id, values=chosen, actor=desk.owner)
            ids = {
                "portfolio": str(desk.portfolio.id), "account": str(desk.portfolio.broker_account.id),
                "session": str(desk.session.id), "rule": str(desk.portfolio.trading_rules.get().id),
            }  # fmt: skip
            self.books.append(BookModel(ids, chosen, cash=D(CASH)))
        self.halts: list[HaltModel] = []
        self.asked_by_rule: set[tuple[int, str]] = set()  # on this snapshot
        self._publish()
        self.checker = Invariants([desk.portfolio.id for desk in self.scene.desks])
        for book, wishes in enumerate(stock):
            self._place(book, [("buy", symbol, units, "alice") for symbol, units in wishes.items()], "paper")

    # --- money and market ------------------------------------------------------------------------

    @rule(book=BOOK, cents=st.integers(1, 5_000_000))
    def deposit(self, book: int, cents: int) -> None:
        desk, amount = self.scene.desks[book], D(cents) / 100
        deposit(portfolio_id=desk.portfolio.id, amount=amount, actor=desk.owner)
        self.books[book].cash += amount

    @rule(book=BOOK, cents=st.integers(1, 5_000_000) | st.sampled_from(["all", "a cent too many"]))
    def withdraw(self, book: int, cents: int | str) -> None:
        desk, model = self.scene.desks[book], self.books[book]
        free = model.free_cash().quantize(TICK, rounding=ROUND_FLOOR)
        amount = D(cents) / 100 if isinstance(cents, int) else free + (TICK if cents != "all" else 0)
        if amount <= 0:
            return
        if amount > model.free_cash():
            with pytest.raises(Conflict):
                withdraw(portfolio_id=desk.portfolio.id, amount=amount, actor=desk.owner)
            return
        withdraw(portfolio_id=desk.portfolio.id, amount=amount, actor=desk.owner)
        model.cash -= amount

    @rule(
        symbol=SYMBOL, cents=CENTS,
        minutes=st.sampled_from([0.25, 1, 45, 1440]),
        is_open=st.sampled_from([True] * 5 + [False]), stale=st.sampled_from([False] * 5 + [True]),
    )  # fmt: skip
    def the_market_moves(self, symbol: str, cents: int, minutes: float, is_open: bool, stale: bool) -> None:
        self.market.is_open, self.market.price_age_seconds = is_open, 110.0 if stale else 0.0
        self._publish(minutes=minutes, **{symbol: cents / 100})

    def _publish(self, minutes: float = 1, **prices: float) -> None:
        market = self.market
        market.tick(minutes=minutes, **prices)
        self.asked_by_rule.clear()

        def quote(symbol: str) -> Quote:
            price, close = market.prices[symbol], market.closes[symbol]
            numbers = (price, np.round(price * 0.999, 2), np.round(price * 1.001, 2), close)
            return Quote(*(D(repr(float(number))) for number in numbers))

        stale = market.price_age_seconds > 100
        self.world = World({s: quote(s) for s in SYMBOLS}, market.as_of, market.is_open, stale)

    @rule()
    def a_minute_passes(self) -> None:
        """For the limits on messages, which count in database time."""
        OrderMessage.objects.update(at=F("at") - timedelta(seconds=MESSAGES_SECONDS + 10))
        for book in self.books:
            book.messages.clear()

    @rule(book=BOOK, symbol=SYMBOL)
    def a_list_changes(self, book: int, symbol: str) -> None:
        """The symbol is restricted, and no other; or no more so."""
        desk, model = self.scene.desks[book], self.books[book]
        model.restricted = {symbol} - model.restricted
        restricted = dict.fromkeys(sorted(model.restricted), "conflict of interest")
        set_instrument_permissions(
            portfolio_id=desk.portfolio.id, permitted=(), restricted=restricted, actor=desk.owner
        )

    # --- orders ----------------------------------------------------------------------------------

    @rule(book=BOOK, wishes=st.lists(WISH, min_size=2, max_size=4), then=THEN)
    def ask_for_several(self, book: int, wishes: list[Wish], then: str) -> None:
        self._place(book, wishes, then)

    @rule(book=BOOK, symbol=SYMBOL, quantity=QUANTITY, by=st.sampled_from(["alice", "rule"]), then=THEN)
    def buy(self, book: int, symbol: str, quantity: int | str, by: str, then: str) -> None:
        self._place(book, [("buy", symbol, quantity, by)], then)

    @precondition(lambda self: self._held())
    @rule(pick=PICK, quantity=QUANTITY, by=st.sampled_from(["alice", "rule", "flatten"]), then=THEN)
    def sell_what_is_held(self, pick: int, quantity: int | str, by: str, then: str) -> None:
        held = self._held()
        book, symbol = held[pick % len(held)]
        self._place(book, [("sell", symbol, quantity, by)], then)

    def _held(self) -> list[tuple[int, str]]:
        books = enumerate(self.books)
        return [(place, symbol) for place, book in books for symbol, units in book.units.items() if units]

    def _place(self, book: int, wishes: Sequence[Wish], then: str) -> None:
        desk, model = self.scene.desks[book], self.books[book]
        placed: list[Order] = []
        with steps.batch(desk.portfolio, desk.session, self.scene.versions[book]) as batch:
            for side, symbol, quantity, by in wishes:
                by_rule = by == "rule" and (book, symbol) not in self.asked_by_rule
                wanted = Wanted(side, symbol, D(1), by_rule, by == "flatten" and side == "sell")
                wanted = self._sized(model, wanted, quantity)
                instrument = batch.state.view.by_symbol[symbol]
                verdict, trade = batch.ask(
                    side, instrument, wanted.quantity, by_rule=by_rule, protective=wanted.protective
                )
                assert_verdict(verdict, wanted, model, self.world, self.halts)
                if trade is not None:
                    placed.append(model.place(trade.id, wanted, self.world))
                    self.asked_by_rule |= {(book, symbol)} if by_rule else set()
        rows = dict(AutoTrade.objects.filter(id__in=[o.id for o in placed]).values_list("id", "created_at"))
        for order in placed:
            order.made = rows[order.id]
        if then == "paper":
            self.execute()
        elif then == "broker":
            for order in placed:
                self._send(model, order)
                if order.state == "submitting":
                    self._take(order, "accepted")

    def _sized(self, model: BookModel, wanted: Wanted, quantity: int | str) -> Wanted:
        if isinstance(quantity, int):
            units = D(quantity)
        elif wanted.side == "sell":
            units = max(model.free_units(wanted.symbol), D(1)) + (quantity != "most")
        else:
            units = D(model.largest(wanted, self.world, self.halts, most=1_200) + (quantity != "most"))
        return Wanted(wanted.side, wanted.symbol, units, wanted.by_rule, wanted.protective)

    @rule()
    def execute(self) -> None:
        execute_pending()
        for book in self.books:
            book.execute(self.world, self.halts)

    def _send(self, model: BookModel, order: Order) -> None:
        steps.send(order.id)
        if model.forbidden(order.wanted, self.halts):
            model.end(order, "cancelled")
        else:
            order.state = "submitting"

    def _take(self, order: Order, state: str) -> None:
        steps.take(order.id, order.state, state)
        order.state = state
        if state in FINAL:
            order.cash = order.units = D(0)
