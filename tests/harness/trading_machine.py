"""A Hypothesis state machine that trades in two portfolios, and the model beside it (tests/harness/risk_model.py).

Each example runs in a savepoint of the test's transaction and is rolled back. The invariants stand in
tests/harness/invariants.py.
"""

import uuid
from collections.abc import Callable, Iterable
from decimal import ROUND_FLOOR, Decimal

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from foundation.errors import Conflict
from tests.harness import order_steps as steps
from tests.harness.risk_model import (
    FINAL,
    IN_FLIGHT,
    LEGAL,
    TICK,
    BookModel,
    HaltModel,
    Order,
    rounded,
)
from tests.harness.trading_asking import AskingMachine
from tests.harness.trading_scene import ANSWERS, BOOK, LIMITS, PICK, SYMBOL, WISH, Limits, Scene, Wish
from trading.core.order_states import IllegalMove
from trading.models import AutoTrade, Halt
from trading.services.draining import drain_all
from trading.services.emergency_stop import arm, release
from trading.services.order_management import cancel_trade, move

D = Decimal


class TradingMachine(AskingMachine):
    """Brokers answer, halts come and go; after each step the invariants are checked."""

    def _orders(self, states: Iterable[str]) -> list[tuple[BookModel, Order]]:
        wanted = set(states)
        return [(book, o) for book in self.books for o in book.orders.values() if o.state in wanted]

    def _pick(self, states: Iterable[str], pick: int) -> tuple[BookModel, Order]:
        found = self._orders(states)
        return found[pick % len(found)]

    @precondition(lambda self: self._orders(["pending"]))
    @rule(pick=PICK)
    def send(self, pick: int) -> None:
        self._send(*self._pick(["pending"], pick))

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

    @precondition(lambda self: self._orders(["submitting", "partially_filled", "cancelling"]))
    @rule(pick=PICK)
    def nobody_knows(self, pick: int) -> None:
        _, order = self._pick(["submitting", "partially_filled", "cancelling"], pick)
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
        if model.ask_to_cancel(order):
            cancel_trade(trade_id=order.id, actor=self.scene.desks[0].owner)
            return
        with pytest.raises(Conflict):
            cancel_trade(trade_id=order.id, actor=self.scene.desks[0].owner)

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
            book.ask_to_cancel(order)
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
