"""Average cost, exact in Decimal."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolios.core.positions import Oversold, PositionState, after_buy, after_sell

D = Decimal
AT = datetime(2010, 3, 1, tzinfo=UTC)
LATER = datetime(2010, 4, 1, tzinfo=UTC)


def test_a_first_buy_opens_the_position() -> None:
    state = after_buy(PositionState(), quantity=D(10), price=D(100), at=AT)
    assert state == PositionState(quantity=D(10), average_cost=D(100), opened_at=AT)


def test_more_raises_the_mean_cost_and_keeps_the_opening() -> None:
    state = after_buy(PositionState(), quantity=D(10), price=D(100), at=AT)
    state = after_buy(state, quantity=D(30), price=D(120), at=LATER)
    assert (state.quantity, state.average_cost, state.opened_at) == (D(40), D(115), AT)


def test_a_sell_realises_against_the_mean_cost() -> None:
    state = after_sell(
        PositionState(quantity=D(40), average_cost=D(115), opened_at=AT), quantity=D(10), price=D(125)
    )
    assert (state.quantity, state.average_cost, state.realised_pnl) == (D(30), D(115), D(100))


def test_selling_all_closes_it_and_keeps_the_profit() -> None:
    state = after_sell(
        PositionState(quantity=D(40), average_cost=D(115), opened_at=AT), quantity=D(40), price=D(100)
    )
    assert state == PositionState(realised_pnl=D(-600))


def test_more_than_is_held_cannot_be_sold() -> None:
    with pytest.raises(Oversold):
        after_sell(PositionState(quantity=D(1), average_cost=D(1)), quantity=D("1.00000001"), price=D(1))


prices = st.decimals(min_value="0.01", max_value="1000", places=2)
fills = st.lists(st.tuples(st.booleans(), st.integers(1, 100), prices), max_size=20)


@given(fills=fills)
def test_what_is_realised_and_what_is_held_add_up_to_the_cash(fills: list[tuple[bool, int, Decimal]]) -> None:
    """Σ money out - Σ money in = cost of what is held - realised, but for the rounding of the mean cost."""
    state, spent = PositionState(), D(0)
    for buys, quantity, price in fills:
        if buys:
            state = after_buy(state, quantity=D(quantity), price=price, at=AT)
            spent += quantity * price
        elif state.quantity >= quantity:
            state = after_sell(state, quantity=D(quantity), price=price)
            spent -= quantity * price
    held_at_cost = state.quantity * state.average_cost
    assert abs(spent - (held_at_cost - state.realised_pnl)) <= D("0.00001") * (1 + len(fills))
