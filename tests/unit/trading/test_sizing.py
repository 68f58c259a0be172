"""How much to trade, by worked examples."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.core.actions import PERCENTAGE_OF_EQUITY, PERCENTAGE_OF_POSITION, ActionRequest
from trading.core.sizing import SizingFacts, size

D = Decimal


def action(
    side: str = "buy", method: str = "percentage", value: str | None = "5", **more: Any
) -> ActionRequest:
    return ActionRequest(
        symbol="AAA", side=side, sizing_method=method, size_value=D(value) if value else None,  # type: ignore[arg-type]
        size_unit=more.get("unit"), max_position_size=more.get("ceiling"), order_type="market",
    )  # fmt: skip


def reduce(percentage: str) -> ActionRequest:
    return action("sell", "reduce", percentage, unit=PERCENTAGE_OF_POSITION)


def reduce_to(size_percentage: str) -> ActionRequest:
    return action("sell", "reduce", size_percentage, unit=PERCENTAGE_OF_EQUITY)


def facts(**changes: str) -> SizingFacts:
    values = {"price": "100", "equity": "100000", "held": "0", "reserved": "0", "exposure": "0", "lot": "1"}
    return SizingFacts(**{name: D(text) for name, text in (values | changes).items()})


@pytest.mark.parametrize(
    ("wish", "state", "quantity"),
    [
        (action(), facts(), "50"),  # 5 % of 100,000 at 100
        (action(), facts(price="333.33"), "15"),  # 15.0001 rounds down to whole shares
        (action(), facts(price="333.34"), "14"),  # 14.9997 is not 15
        (action(), facts(price="300", lot="0.001"), "16.666"),  # a finer lot
        (action(method="fixed", value="7", unit="shares"), facts(), "7"),
        (action(method="fixed", value="7.9", unit="shares"), facts(), "7"),
        (action(method="fixed", value="1000", unit="cash"), facts(price="30"), "33"),
        (action(ceiling=D(10)), facts(exposure="5000"), "50"),  # room for 5,000 more
        (action(ceiling=D(10)), facts(exposure="7000"), "30"),  # room for 3,000 only
        (action(ceiling=D(10)), facts(exposure="10000"), "0"),  # at the ceiling
        (action(ceiling=D(10)), facts(exposure="12000"), "0"),  # above it
        (action("sell", "full_position", None), facts(held="42"), "42"),
        (
            action("sell", "full_position", None),
            facts(held="42", reserved="40"),
            "2",
        ),  # 40 are on their way out
        (action("sell", "full_position", None), facts(), "0"),  # nothing to sell
        (action("sell", value="50"), facts(held="20"), "20"),  # half of equity, but only 20 are held
        (reduce("50"), facts(held="42"), "21"),  # half of the position
        (reduce("50"), facts(held="41"), "20"),  # 20.5 rounds down to whole shares
        (reduce("33.3"), facts(held="10", lot="0.001"), "3.33"),  # a finer lot
        (reduce("100"), facts(held="42"), "42"),  # all of it
        (reduce("50"), facts(held="42", reserved="40"), "1"),  # 40 are on their way out: half of the rest
        (reduce("50"), facts(held="100", reserved="60"), "20"),
        (reduce("50"), facts(held="42", reserved="42"), "0"),  # all of it is
        (reduce("1"), facts(held="42"), "0"),  # 0.42 is less than one share
        (reduce_to("10"), facts(held="150"), "50"),  # worth 15,000, to be 10,000
        (reduce_to("10"), facts(held="150", price="99"), "48"),  # 48.99 rounds down
        (reduce_to("10"), facts(held="150", reserved="50"), "0"),  # what is above is being sold already
        (reduce_to("10"), facts(held="150", reserved="20"), "30"),  # 20 of the 50 are
        (reduce_to("10"), facts(held="100"), "0"),  # at its size
        (reduce_to("10"), facts(held="20"), "0"),  # below it
        (reduce_to("10"), facts(held="20", equity="0"), "20"),  # of no equity nothing may be held
    ],
)
def test_worked_examples(wish: ActionRequest, state: SizingFacts, quantity: str) -> None:
    assert size(wish, facts=state).quantity == D(quantity)


def test_a_size_of_nothing_says_why() -> None:
    assert "max_position_size" in size(action(ceiling=D(10)), facts=facts(exposure="10000")).reason
    assert "less than one lot" in size(action(value="0.05"), facts=facts()).reason
    assert "nothing is held" in size(action("sell", "full_position", None), facts=facts()).reason
    assert "nothing is held" in size(reduce_to("10"), facts=facts()).reason
    assert "not above the size" in size(reduce_to("10"), facts=facts(held="100")).reason
    assert "less than one lot" in size(reduce("1"), facts=facts(held="42")).reason


def test_the_arithmetic_is_kept() -> None:
    arithmetic = size(action(ceiling=D(10)), facts=facts(exposure="7000")).arithmetic
    assert arithmetic["target_value"] == 5000 and arithmetic["room"] == 3000 and arithmetic["quantity"] == 30


def test_the_arithmetic_of_a_reduction_is_kept() -> None:
    told = size(reduce_to("10"), facts=facts(held="150", reserved="20")).arithmetic
    assert (told["method"], told["size_unit"], told["size_value"]) == ("reduce", PERCENTAGE_OF_EQUITY, 10)
    assert (told["held"], told["promised_to_open_sells"]) == (150, 20)
    assert (told["remaining_value"], told["target_value"], told["quantity"]) == (13_000, 10_000, 30)
    told = size(reduce("50"), facts=facts(held="42", reserved="40")).arithmetic
    assert (told["held"], told["promised_to_open_sells"], told["quantity"]) == (42, 40, 1)


amounts = st.decimals(min_value="0.01", max_value="1000000", places=2)


@given(
    price=amounts, equity=amounts, exposure=amounts, value=st.integers(1, 100), ceiling=st.integers(1, 100)
)
def test_a_buy_never_exceeds_its_wish_or_its_room(
    price: Decimal, equity: Decimal, exposure: Decimal, value: int, ceiling: int
) -> None:
    state = facts(price=str(price), equity=str(equity), exposure=str(exposure))
    quantity = size(action(value=str(value), ceiling=D(ceiling)), facts=state).quantity
    assert quantity >= 0 and quantity == quantity.to_integral_value()
    assert quantity * price <= equity * value / 100
    assert quantity == 0 or quantity * price <= equity * ceiling / 100 - exposure


@given(held=st.integers(0, 1000), reserved=st.integers(0, 1000), value=st.integers(1, 100))
def test_a_sell_never_exceeds_what_is_free(held: int, reserved: int, value: int) -> None:
    state = facts(held=str(held), reserved=str(min(reserved, held)))
    assert size(action("sell", value=str(value)), facts=state).quantity <= held - min(reserved, held)


@given(
    wish=st.builds(reduce, st.integers(1, 100).map(str)) | st.builds(reduce_to, st.integers(1, 99).map(str)),
    held=st.integers(0, 1000),
    reserved=st.integers(0, 1000),
    price=amounts,
)
def test_a_reduction_asked_for_again_while_it_is_being_sold_never_exceeds_what_is_free(
    wish: ActionRequest, held: int, reserved: int, price: Decimal
) -> None:
    promised = min(reserved, held)
    first = size(wish, facts=facts(held=str(held), reserved=str(promised), price=str(price))).quantity
    assert 0 <= first <= held - promised
    promised += int(first)
    again = size(wish, facts=facts(held=str(held), reserved=str(promised), price=str(price))).quantity
    assert again <= held - promised
    if wish.size_unit == PERCENTAGE_OF_EQUITY:
        assert again == 0, "asking twice for the same size sells once"
