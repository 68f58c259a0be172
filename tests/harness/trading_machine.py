"""A Hypothesis state machine that trades in two portfolios, and the model beside it (tests/harness/risk_model.py).

Each example runs in a savepoint of the test's transaction and is rolled back. The invariants stand in
tests/harness/invariants.py.
"""

import copy
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any, ClassVar

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import F
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from foundation.errors import Conflict, InvalidInput
from portfolios.models import Role
from portfolios.services.limits import PLATFORM_DEFAULTS, set_limits
from portfolios.services.permissions import set_instrument_permissions
from portfolios.services.portfolios import deposit, set_member, withdraw
from rules.models import RuleVersion
from tests.harness import order_steps as steps
from tests.harness.invariants import Invariants, assert_verdict
from tests.harness.risk_model import (
    FINAL,
    IN_FLIGHT,
    LEGAL,
    MESSAGES_SECONDS,
    TICK,
    BookModel,
    HaltModel,
    Order,
    Quote,
    Wanted,
    World,
    rounded,
)
from tests.harness.trading import SYMBOLS, Desk, Market
from trading.core.order_states import IllegalMove
from trading.models import AutoTrade, Halt, OrderMessage
from trading.services.emergency_stop import arm, drain_all, release
from trading.services.order_management import cancel_trade, move
from trading.services.trade_execution import execute_pending

D = Decimal
CASH = 100_000
NEVER = {
    "name": "Whose orders the test asks for", "rule_type": "entry",
    "conditions": [{"field": "price", "operator": "greater_than", "value": 900_000}],
    "actions": [{"type": "buy", "sizing_method": "fixed", "size_unit": "shares", "size_value": 1}],
}  # fmt: skip
# Of the limits of one example some are near and some far, so that each is reached in some of them.
Limits = Mapping[str, tuple[int, ...]]
LIMITS: Limits = {
    "max_order_value": (8_000, 20_000, 100_000),
    "max_order_quantity": (80, 400),
    "max_position_percentage": (15, 40, 100),
    "max_position_value": (12_000, 30_000, 1_000_000),
    "max_open_positions": (1, 2, 3, 3),
    "max_gross_exposure_percentage": (40, 70, 100),
    "max_daily_trades": (6, 50),
    "max_daily_trades_per_symbol": (3, 50),
    "max_daily_trades_per_rule": (3, 50),
    "max_messages_per_minute": (10, 40),
    "max_price_age_seconds": (100,),
}
FAR: Limits = {name: values[-1:] for name, values in LIMITS.items()}
"""in which nearly every order passes"""
NEAR: Limits = {name: values[:1] for name, values in LIMITS.items()}
PICK = st.integers(0, 999)
BOOK = st.integers(0, 1)
SYMBOL = st.sampled_from(SYMBOLS)
QUANTITY = st.integers(1, 60) | st.sampled_from(["most", "one too many"])
THEN = st.sampled_from(["", "paper", "paper", "broker"])
Wish = tuple[str, str, int | str, str]
WISH = st.tuples(
    st.sampled_from(["buy", "buy", "sell"]), st.sampled_from(SYMBOLS), QUANTITY,
    st.sampled_from(["alice", "rule", "flatten"]),
)  # fmt: skip
CENTS = st.integers(7_000, 14_000) | st.integers(4_000, 16_000)
STOCK = st.dictionaries(SYMBOL, st.integers(5, 60), max_size=2)
# What a broker may answer while an order is in a state; "works": it goes on working.
ANSWERS = {
    "submitting": ("works", "rejected", "expired"),
    "accepted": ("cancelling", "cancelled", "rejected", "expired"),
    "partially_filled": ("cancelling", "cancelled", "expired"),
    "cancelling": ("cancelled", "works", "expired"),
    "unknown": ("works", "submitting", "cancelled", "expired", "quarantined", "cancelling"),
    "quarantined": ("works", "cancelled", "expired"),
}


@dataclass(frozen=True)
class Scene:
    market: Market
    desks: tuple[Desk, Desk]
    versions: tuple[RuleVersion, RuleVersion]
    bob: Any


def set_the_scene() -> Scene:
    """Alice's two portfolios; Bob is her risk officer and of the staff. The platform's ceilings are out of the way."""
    market = Market()
    market.tick()
    one, other = (Desk.open(market, cash=CASH, rules=(NEVER,)) for _ in range(2))
    bob = get_user_model().objects.create(username="bob", is_staff=True)
    for desk in (one, other):
        set_member(portfolio=desk.portfolio, user=bob, role=Role.RISK_OFFICER, actor=desk.owner)
    versions = [RuleVersion.objects.get(rule__portfolio=desk.portfolio) for desk in (one, other)]
    high = dict.fromkeys([*LIMITS, "max_messages_per_second"], D(1_000_000))
    set_limits(scope="platform", values=PLATFORM_DEFAULTS | high, actor=None)
    return Scene(market, (one, other), (versions[0], versions[1]), bob)


class TradingMachine(RuleBasedStateMachine):
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
            with pytest.raises(InvalidInput):
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

    def _orders(self, states: Iterable[str]) -> list[tuple[BookModel, Order]]:
        wanted = set(states)
        return [(book, o) for book in self.books for o in book.orders.values() if o.state in wanted]

    def _pick(self, states: Iterable[str], pick: int) -> tuple[BookModel, Order]:
        found = self._orders(states)
        return found[pick % len(found)]

    @rule()
    def execute(self) -> None:
        execute_pending()
        for book in self.books:
            book.execute(self.world, self.halts)

    @precondition(lambda self: self._orders(["pending"]))
    @rule(pick=PICK)
    def send(self, pick: int) -> None:
        self._send(*self._pick(["pending"], pick))

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

    @precondition(lambda self: self._orders(ANSWERS))
    @rule(pick=PICK, answer=PICK)
    def the_broker_answers(self, pick: int, answer: int) -> None:
        model, order = self._pick(ANSWERS, pick)
        answers = ANSWERS[order.state]
        state = answers[answer % len(answers)]
        if state == "works":
            state = "partially_filled" if order.filled else "accepted"
        if state == "rejected" and order.filled:
            state = "cancelled"
        if state == "submitting":
            if not order.filled and not model.forbidden(order.wanted, self.halts):
                self._send(model, order)  # the same id once more
            return
        self._take(order, state)

    @precondition(lambda self: self._orders(["submitting", "accepted", "partially_filled", "cancelling"]))
    @rule(pick=PICK)
    def nobody_knows(self, pick: int) -> None:
        _, order = self._pick(["submitting", "accepted", "partially_filled", "cancelling"], pick)
        self._take(order, "unknown")

    @precondition(lambda self: self._orders(ANSWERS))
    @rule(pick=PICK, part=st.integers(1, 100), bps=st.integers(-300, 200), times=st.sampled_from([1, 1, 2]))
    def the_broker_fills(self, pick: int, part: int, bps: int, times: int) -> None:
        model, order = self._pick(ANSWERS, pick)
        self._fill(model, order, part, bps, times=times, partly=("partially_filled",))

    @precondition(lambda self: self._gone())
    @rule(pick=PICK, part=st.integers(1, 100), bps=st.integers(-300, 200))
    def the_venue_was_faster(self, pick: int, part: int, bps: int) -> None:
        """A fill of an order that was given up: booked if the account can have done it, and the rest ends."""
        gone = self._gone()
        model, order = gone[pick % len(gone)]
        self._fill(model, order, part, bps, partly=("partially_filled", "cancelled"))

    def _gone(self) -> list[tuple[BookModel, Order]]:
        return self._orders(["cancelled", "rejected", "expired"])

    def _fill(
        self, model: BookModel, order: Order, part: int, bps: int, *, partly: tuple[str, ...], times: int = 1
    ) -> None:
        w = order.wanted
        quantity = max((order.rest * part / 100).to_integral_value(ROUND_FLOOR), D(1))
        price = (order.ask * (1 + D(bps) / 10_000)).quantize(TICK, rounding=ROUND_FLOOR)
        if order.state in FINAL:
            cost = rounded(quantity * price * (1 + D("0.0001"))) + 1
            possible = (
                cost <= model.free_cash() if w.side == "buy" else quantity <= model.free_units(w.symbol)
            )
            if not possible:
                return
            model.late |= {w.symbol} if w.side == "buy" else set()
        ends = ("filled",) if quantity == order.rest else partly
        path = ends if order.state == ends[0] else (order.state, *ends)
        execution_id = f"x-{uuid.uuid4().hex}"
        steps.tell_fill(
            order.id, execution_id=execution_id, quantity=quantity, price=price, path=path, times=times
        )
        model.fill(order, execution_id, quantity, price, path[-1])

    @precondition(lambda self: any(o.executions for book in self.books for o in book.orders.values()))
    @rule(pick=PICK)
    def a_fill_is_told_again(self, pick: int) -> None:
        told = [o for book in self.books for o in book.orders.values() if o.executions]
        order = told[pick % len(told)]
        steps.tell_fill(
            order.id, execution_id=order.executions[pick % len(order.executions)], quantity=D(1), price=D(1),
            path=("accepted", "partially_filled"),
        )  # fmt: skip

    @precondition(lambda self: any(book.orders for book in self.books))
    @rule(pick=PICK)
    def alice_cancels(self, pick: int) -> None:
        model, order = self._pick(LEGAL, pick)
        if order.state != "pending":
            with pytest.raises(Conflict):
                cancel_trade(trade_id=order.id, actor=self.scene.desks[0].owner)
            return
        cancel_trade(trade_id=order.id, actor=self.scene.desks[0].owner)
        model.cancelled_by_hand(order)

    @precondition(lambda self: any(book.orders for book in self.books))
    @rule(
        pick=PICK, old=st.sampled_from(sorted(LEGAL)), new=st.sampled_from(sorted(LEGAL)), stale=st.booleans()
    )
    def somebody_moves_on_old_knowledge(self, pick: int, old: str, new: str, stale: bool) -> None:
        """From a state that it has left, with a fence that is over, or by no move at all: nothing changes."""
        _, order = self._pick(LEGAL, pick)
        trade = AutoTrade.objects.get(pk=order.id)
        if new not in LEGAL[old]:
            with pytest.raises(IllegalMove):
                move([trade], old, new)
            return
        if stale:
            trade.fence -= 1
        if stale or old != order.state:
            assert move([trade], old, new) == []

    # --- halts -----------------------------------------------------------------------------------

    @rule(
        scope=st.sampled_from(["platform", "account", "portfolio", "session", "rule", "symbol", "symbol"]), book=BOOK,
        symbol=SYMBOL, mode=st.sampled_from(["halt", "reduce_only"]), wish=WISH,
        then=st.sampled_from(["", "drained", "released", "released", "released"]),
    )  # fmt: skip
    def alice_arms(self, scope: str, book: int, symbol: str, mode: str, wish: Wish, then: str) -> None:
        """Most stops end soon, so that examples go on; while they last somebody asks, sends and executes."""
        scope_id = {"platform": "", "symbol": symbol}.get(scope) or self.books[book].ids.get(scope, "")
        halt = arm(
            scope=scope, scope_id=scope_id, mode=mode, reason="a test", actor=self.scene.desks[0].owner
        )
        self.halts.append(HaltModel(halt.id, scope, scope_id, mode))
        self._place(book, [wish], "broker")
        if then == "released":
            self.execute()  # armed, not drained: the gate alone keeps what is pending from going out
        if then:
            self.drain()
            self.execute()
        if then == "released":
            self._check()
            self.it_is_released(pick=len(self.halts) - 1, oneself=False)

    @precondition(lambda self: self.halts)
    @rule()
    def drain(self) -> None:
        drain_all()
        for halt in self.halts:
            if halt.sent is None:
                self._drain(halt)
        drained = set(Halt.objects.exclude(drained_at=None).values_list("id", flat=True))
        for halt in self.halts:
            assert (halt.id in drained) == (halt.sent is not None), halt

    def _drain(self, halt: HaltModel) -> None:
        scope = [(book, o) for book in self.books for o in book.orders.values() if book.stopped_by(halt, o)]
        for book, order in scope:
            if order.state == "pending":
                book.end(order, "cancelled")
        if not any(order.state in IN_FLIGHT for _, order in scope):
            halt.sent = self.checker.sent_now()

    @precondition(lambda self: self.halts)
    @rule(pick=PICK, oneself=st.sampled_from([False, False, True]))
    def it_is_released(self, pick: int, oneself: bool) -> None:
        """By Bob; who armed it may not."""
        halt = self.halts[pick % len(self.halts)]
        if oneself:
            with pytest.raises(Conflict):
                release(halt_id=halt.id, actor=self.scene.desks[0].owner)
            return
        release(halt_id=halt.id, actor=self.scene.bob)
        self.halts.remove(halt)

    @invariant()
    def what_must_hold(self) -> None:
        if hasattr(self, "checker"):
            self._check()

    def _check(self) -> None:
        self.checker.check(self.books, self.halts)


def machine_on(scene: Scene, limits: Limits = LIMITS) -> Callable[[], TradingMachine]:
    """The machine on rows that the test has made."""
    return type("TradingMachineOnScene", (TradingMachine,), {"scene": scene, "limits": limits})
