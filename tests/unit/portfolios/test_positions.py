"""Cost and realised profit at average cost, exact in Decimal."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolios.core.positions import (
    Oversold,
    PositionState,
    after_buy,
    after_reversal,
    after_sell,
    after_split,
)

D = Decimal
AT = datetime(2010, 3, 1, tzinfo=UTC)
LATER = datetime(2010, 4, 1, tzinfo=UTC)
FORTY_AT_115 = PositionState(quantity=D(40), cost=D(4600), opened_at=AT)


def test_a_first_buy_opens_the_position() -> None:
    state = after_buy(PositionState(), quantity=D(10), amount=D(1000), at=AT)
    assert state == PositionState(quantity=D(10), cost=D(1000), opened_at=AT)
    assert state.average_cost == 100


def test_more_raises_the_mean_cost_and_keeps_the_opening() -> None:
    state = after_buy(PositionState(), quantity=D(10), amount=D(1000), at=AT)
    state = after_buy(state, quantity=D(30), amount=D(3600), at=LATER)
    assert (state.quantity, state.average_cost, state.opened_at) == (D(40), D(115), AT)


def test_a_sell_realises_against_the_mean_cost() -> None:
    state = after_sell(FORTY_AT_115, quantity=D(10), amount=D(1250))
    assert (state.quantity, state.cost, state.average_cost) == (D(30), D(3450), D(115))
    assert state.realised_pnl == 100


def test_selling_all_closes_it_and_keeps_the_profit() -> None:
    assert after_sell(FORTY_AT_115, quantity=D(40), amount=D(4000)) == PositionState(realised_pnl=D(-600))


def test_the_weighted_average_method_of_the_textbooks() -> None:
    """Perpetual weighted average: 100 at 10, 200 at 13 (average 12), sell 150 at 15, 50 at 16 (average 13)."""
    state = after_buy(PositionState(), quantity=D(100), amount=D(1000), at=AT)
    state = after_buy(state, quantity=D(200), amount=D(2600), at=AT)
    assert state.average_cost == 12
    state = after_sell(state, quantity=D(150), amount=D(2250))
    assert (state.cost, state.realised_pnl) == (D(1800), D(450))
    state = after_buy(state, quantity=D(50), amount=D(800), at=LATER)
    assert (state.quantity, state.average_cost) == (D(200), D(13))


def test_what_an_average_rounds_off_is_not_lost() -> None:
    """3 units for 10: the average is 3.33333333, and yet the three sold one by one took 10."""
    state = after_buy(PositionState(), quantity=D(3), amount=D(10), at=AT)
    assert state.average_cost == D("3.33333333")
    for _ in range(3):
        state = after_sell(state, quantity=D(1), amount=D(4))
    assert state == PositionState(realised_pnl=D(2))


def test_more_than_is_held_cannot_be_sold() -> None:
    held = PositionState(quantity=D(1), cost=D(1))
    with pytest.raises(Oversold):
        after_sell(held, quantity=D("1.00000001"), amount=D(1))
    with pytest.raises(Oversold):
        after_split(held, added=D("-1.00000001"), at=AT)
    with pytest.raises(Oversold):
        after_reversal(held, quantity=D("1.00000001"), cash=D(-1), realised=D(0), at=AT)


@pytest.mark.parametrize(
    ("added", "average"),
    [
        (D(40), D("57.5")),  # 2:1
        (D(20), D("76.66666667")),  # 3:2
        (D(-36), D(1150)),  # 1:10
    ],
)
def test_a_split_spreads_the_same_cost_over_other_units(added: Decimal, average: Decimal) -> None:
    state = after_split(FORTY_AT_115, added=added, at=LATER)
    assert (state.cost, state.realised_pnl, state.opened_at) == (D(4600), D(0), AT)
    assert (state.quantity, state.average_cost) == (40 + added, average)


def test_a_reverse_split_down_to_nothing_is_a_loss() -> None:
    assert after_split(FORTY_AT_115, added=D(-40), at=LATER) == PositionState(realised_pnl=D(-4600))


def test_units_that_a_split_brings_to_an_empty_position_cost_nothing() -> None:
    state = after_split(PositionState(realised_pnl=D(7)), added=D(40), at=LATER)
    assert state == PositionState(quantity=D(40), realised_pnl=D(7), opened_at=LATER)


def test_a_reversed_sell_comes_back_at_the_cost_that_it_took() -> None:
    sold = after_sell(FORTY_AT_115, quantity=D(10), amount=D(1250))
    back = after_reversal(sold, quantity=D(-10), cash=D(1250), realised=D(100), at=LATER)
    assert back == FORTY_AT_115


def test_a_reversed_sell_of_everything_opens_the_position_again() -> None:
    sold = after_sell(FORTY_AT_115, quantity=D(40), amount=D(4000))
    back = after_reversal(sold, quantity=D(-40), cash=D(4000), realised=D(-600), at=LATER)
    assert back == PositionState(quantity=D(40), cost=D(4600), opened_at=LATER)


def test_a_reversed_buy_leaves_with_what_was_paid_for_it() -> None:
    state = after_buy(FORTY_AT_115, quantity=D(10), amount=D(1500), at=LATER)
    assert after_reversal(state, quantity=D(10), cash=D(-1500), realised=D(0), at=LATER) == FORTY_AT_115


def test_what_the_last_units_cannot_carry_is_realised() -> None:
    """10 at 100 and 10 at 200, ten sold at 150: the other ten cost 1500. Reversing the second buy takes 2000."""
    state = PositionState(quantity=D(10), cost=D(1500), opened_at=AT)
    assert after_reversal(state, quantity=D(10), cash=D(-2000), realised=D(0), at=LATER) == PositionState(
        realised_pnl=D(500)
    )


def test_a_cost_is_never_negative() -> None:
    state = PositionState(quantity=D(11), cost=D(1500), opened_at=AT)
    left = after_reversal(state, quantity=D(10), cash=D(-2000), realised=D(0), at=LATER)
    assert left == PositionState(quantity=D(1), cost=D(0), realised_pnl=D(500), opened_at=AT)


prices = st.decimals(min_value="0.01", max_value="1000", places=2)
fills = st.lists(st.tuples(st.booleans(), st.integers(1, 100), prices), max_size=20)


@given(fills=fills)
def test_what_is_realised_and_what_is_held_add_up_to_the_cash(fills: list[tuple[bool, int, Decimal]]) -> None:
    """Σ money out - Σ money in = cost of what is held - realised, to the last place."""
    state, spent = PositionState(), D(0)
    for buys, quantity, price in fills:
        amount = quantity * price
        if buys:
            state = after_buy(state, quantity=D(quantity), amount=amount, at=AT)
            spent += amount
        elif state.quantity >= quantity:
            state = after_sell(state, quantity=D(quantity), amount=amount)
            spent -= amount
    assert spent == state.cost - state.realised_pnl
