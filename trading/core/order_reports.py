"""What becomes of a trade when its broker tells of its order: every combination of our state, the broker's, and a fill.

The rules, in the order in which they decide (`settle`):

1. What cannot be is a contradiction, and changes nothing.
2. A new fill is always booked, whatever our state. With the last one the trade is filled.
3. The broker says that it is over (cancelled, rejected, expired, filled): so it is, once every fill that the broker
   counts is booked. Until then it is an order that the broker has, and someone must ask for the fills; one that was in
   doubt stays so, for whoever asks for it asks for them.
4. The broker says that it works. Then it does; and is cancelled if somebody has wished for it meanwhile.
5. We had given it up, and it works: it is cancelled at the broker, with its exposure reserved again. If it was the
   broker itself that told of the end, a word without a fill that it works is an old one, and changes nothing.
"""

from dataclasses import dataclass
from decimal import Decimal

from foundation.core.canonical import plain_decimal
from foundation.core.money import ZERO
from trading.core.order_states import DOUBTFUL, FINAL, OrderState

S = OrderState
# What a broker may say of an order; each of the first three: it works there.
WORKS = frozenset({S.ACCEPTED, S.PARTIALLY_FILLED, S.CANCELLING})
TOLD = WORKS | FINAL
# Before we knew that the broker has it.
NOT_KNOWN_THERE = frozenset({S.PENDING, S.SUBMITTING, S.UNKNOWN, S.QUARANTINED})


@dataclass(frozen=True)
class Ours:
    """A trade as we know it. known_there: the broker has told us of it before (we have its id for it)."""

    state: OrderState
    quantity: Decimal
    filled: Decimal
    wishes_cancel: bool = False
    known_there: bool = False


@dataclass(frozen=True)
class Told:
    """The broker's word. filled: as it counts; fill: the quantity of an execution that is not booked yet, 0: none."""

    state: OrderState
    filled: Decimal
    fill: Decimal = ZERO


@dataclass(frozen=True)
class Settlement:
    """path: from our state to the new one, legal in the table; of one state: it stays.

    turned_up: it works at the broker although we had given it up. misses_fills: the broker counts more than we
    have booked, this report's fill included.
    """

    path: tuple[OrderState, ...]
    books_fill: bool = False
    turned_up: bool = False
    misses_fills: bool = False
    contradiction: str = ""

    @property
    def ends(self) -> bool:
        return len(self.path) > 1 and self.path[-1] in FINAL

    @property
    def cancels(self) -> bool:
        """Whether the order is to be cancelled at the broker from now on."""
        return len(self.path) > 1 and self.path[-1] == S.CANCELLING and self.path[0] != S.CANCELLING


def contradiction(ours: Ours, told: Told) -> str:
    """Why this cannot be true; empty when it can."""
    after = ours.filled + told.fill
    if told.state not in TOLD:
        return f"a broker does not know the state {told.state}"
    if told.fill < 0 or told.filled < 0:
        return "a filled quantity is negative"
    if after > ours.quantity or told.filled > ours.quantity:
        return f"{plain_decimal(max(after, told.filled))} is filled of an order of {plain_decimal(ours.quantity)}"
    if told.state == S.REJECTED and max(after, told.filled) > 0:
        return "it is rejected, and has fills"
    if told.state == S.FILLED and told.filled != ours.quantity:
        return f"it is filled with {plain_decimal(told.filled)} of {plain_decimal(ours.quantity)}"
    return ""


def settle(ours: Ours, told: Told) -> Settlement:
    """The one table; see the module's docstring for its rules."""
    wrong = contradiction(ours, told)
    if wrong:
        return Settlement((ours.state,), contradiction=wrong)
    after = ours.filled + told.fill
    ahead = _states_after(ours, told, after)
    turned_up = ours.state in FINAL and ahead[-1:] == (S.CANCELLING,)
    return Settlement(
        path=_path(ours.state, ahead),
        books_fill=told.fill > 0,
        turned_up=turned_up,
        misses_fills=told.filled > after,
    )


def _states_after(ours: Ours, told: Told, after: Decimal) -> tuple[OrderState, ...]:
    """Where it goes from our state; empty: it stays."""
    if after == ours.quantity:
        return (S.FILLED,)
    filling = (S.PARTIALLY_FILLED,) if told.fill > 0 else ()
    if told.state in FINAL:
        return _when_over(ours, told, after, filling)
    if ours.state in FINAL:
        if filling or not ours.known_there:
            return (*filling, S.CANCELLING)
        return ()
    if ours.state == S.CANCELLING:
        return (*filling, S.CANCELLING) if filling else ()
    works = S.PARTIALLY_FILLED if after > 0 else S.ACCEPTED
    return (works, S.CANCELLING) if ours.wishes_cancel else (works,)


def _when_over(
    ours: Ours, told: Told, after: Decimal, filling: tuple[OrderState, ...]
) -> tuple[OrderState, ...]:
    """The broker says that it is over."""
    if ours.state in FINAL:  # a late fill, and it is over again; more of them may come
        over = told.state if told.state != S.FILLED else ours.state
        over = S.CANCELLED if over == S.REJECTED else over
        return (*filling, over) if filling else ()
    if told.filled <= after:
        return (*filling, told.state)
    if ours.state == S.CANCELLING:
        return (*filling, S.CANCELLING) if filling else ()
    if ours.state in DOUBTFUL:
        return (*filling, S.UNKNOWN) if filling else ()
    if after > 0:
        return (S.PARTIALLY_FILLED,)
    return (S.ACCEPTED,)


def _path(state: OrderState, ahead: tuple[OrderState, ...]) -> tuple[OrderState, ...]:
    """From our state, without standing still; what was never sent by our knowledge was sent after all."""
    path = [state]
    if state == S.PENDING and ahead:
        path.append(S.SUBMITTING)
    for new in ahead:
        if new != path[-1]:
            path.append(new)
    return tuple(path)
