"""How much to trade, by worked examples."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.core.actions import ActionRequest
from trading.core.sizing import SizingFacts, size

D = Decimal


def action(
    side: str = "buy", method: str = "percentage", value: str | None = "5", **more: Any
) -> ActionRequest:
    return ActionRequest(
        symbol="AAA", side=side, sizing_method=method, size_value=D(value) if value else None,  # type: ignore[arg-type]
        size_unit=more.get("unit"), max_position_size=more.get("ceiling"), order_type="market",
    )  # fmt: skip


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
    ],
)
def test_worked_examples(wish: ActionRequest, state: SizingFacts, quantity: str) -> None:
    assert size(wish, facts=state).quantity == D(quantity)


def test_a_size_of_nothing_says_why() -> None:
    assert "max_position_size" in size(action(ceiling=D(10)), facts=facts(exposure="10000")).reason
    assert "less than one lot" in size(action(value="0.05"), facts=facts()).reason
    assert "nothing is held" in size(action("sell", "full_position", None), facts=facts()).reason


def test_the_arithmetic_is_kept() -> None:
    arithmetic = size(action(ceiling=D(10)), facts=facts(exposure="7000")).arithmetic
    assert arithmetic["target_value"] == 5000 and arithmetic["room"] == 3000 and arithmetic["quantity"] == 30


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
