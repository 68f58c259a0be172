"""The paper market never flatters: slippage, impact, fees, and what is set aside for them."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.paper import Paid, PaperModel, cost_to_reserve, fee_of, market_price

D = Decimal
FREE = PaperModel()
DEAR = PaperModel(fee_bps=D(10), fee_minimum=D(1), slippage_bps=D(5))
prices = st.decimals(min_value="0.02", max_value="10000", places=2)
bps = st.decimals(min_value=0, max_value=1000, places=2)
models = st.builds(
    PaperModel, fee_bps=bps, fee_per_unit=st.decimals(min_value=0, max_value=1, places=4),
    fee_minimum=st.decimals(min_value=0, max_value=10, places=2), slippage_bps=bps, price_impact_bps=bps,
    volume_limit_percentage=st.decimals(min_value=0, max_value=100, places=2),
)  # fmt: skip


def price(
    side: str, touch: str, *, quantity: str = "10", volume: str | None = "1000", model: PaperModel
) -> D:
    return market_price(
        side=side, quantity=D(quantity), touch=D(touch), volume=D(volume) if volume else None,
        tick=D("0.01"), model=model,
    )  # fmt: skip


def test_it_costs_the_touch_where_nothing_is_set() -> None:
    assert price("buy", "100.10", model=FREE) == D("100.10")
    assert price("sell", "99.90", model=FREE) == D("99.90")


def test_slippage_and_rounding_go_against_the_order() -> None:
    assert price("buy", "100", model=DEAR) == D("100.05")
    assert price("sell", "100", model=DEAR) == D("99.95")
    assert price("buy", "100.01", model=DEAR) == D("100.07")  # 100.060005
    assert price("sell", "100.01", model=DEAR) == D("99.95")  # 99.959995
    assert price("sell", "0.01", model=PaperModel(slippage_bps=D(5000))) == D("0.01")  # never free


def test_what_is_bid_below_a_tick_is_not_sold_at_a_tick() -> None:
    assert price("sell", "0.004", model=FREE) == price("sell", "0.004", model=DEAR) == D("0.004")
    assert price("sell", "0.014", model=DEAR) == D("0.01")


@pytest.mark.parametrize(
    ("quantity", "volume", "expected"),
    [
        ("100", "1000", "100.10"),  # a tenth of the volume: 1,000 bps × 0.01
        ("500", "1000", "102.50"),
        ("1000", "1000", "110.00"),
        ("2000", "1000", "110.00"),  # more than the volume counts as all of it
        ("1", None, "110.00"),  # and so does an unknown volume
        ("1", "0", "110.00"),
    ],
)
def test_impact_grows_with_the_square_of_the_share(quantity: str, volume: str | None, expected: str) -> None:
    model = PaperModel(price_impact_bps=D(1000))
    assert price("buy", "100", quantity=quantity, volume=volume, model=model) == D(expected)


def test_fees_are_of_the_value_and_of_each_unit_and_have_a_minimum() -> None:
    assert fee_of(quantity=D(1), price=D("99.95"), model=DEAR) == 1
    assert fee_of(quantity=D(100), price=D("99.95"), model=DEAR) == D("9.995")
    per_unit = PaperModel(fee_per_unit=D("0.005"), fee_minimum=D(1))
    assert fee_of(quantity=D(199), price=D(50), model=per_unit) == 1
    assert fee_of(quantity=D(200), price=D(50), model=per_unit) == 1
    assert fee_of(quantity=D(201), price=D(50), model=per_unit) == D("1.005")


def test_an_order_in_parts_pays_what_it_would_pay_at_once() -> None:
    """The minimum with its first part; then nothing until its share is more; then the rest of its share."""
    model, before, fees = PaperModel(fee_bps=D(10), fee_minimum=D(5)), Paid(), []
    for quantity in (D(10), D(20), D(30), D(40)):
        fee = fee_of(quantity=quantity, price=D(100), model=model, before=before)
        fees.append(fee)
        before = Paid(before.quantity + quantity, before.value + quantity * 100, before.fees + fee)
    assert fees == [5, 0, 1, 4]
    assert sum(fees) == fee_of(quantity=D(100), price=D(100), model=model)


@settings(max_examples=200)
@given(mid=prices, half_spread=st.decimals(min_value=0, max_value=1, places=2), quantity=st.integers(1, 1000))
def test_buying_and_selling_at_once_never_earns(mid: Decimal, half_spread: Decimal, quantity: int) -> None:
    bid, ask = max(mid - half_spread, D("0.01")), mid + half_spread
    paid, got = (
        market_price(
            side=side, quantity=D(quantity), touch=touch, volume=None, tick=D("0.01"), model=DEAR
        )
        for side, touch in (("buy", ask), ("sell", bid))
    )  # fmt: skip
    fees = [fee_of(quantity=D(quantity), price=each, model=DEAR) for each in (paid, got)]
    assert got * quantity - fees[1] < paid * quantity + fees[0]


@settings(max_examples=300)
@given(
    ask=prices, quantity=st.integers(1, 1000), model=models, volume=st.one_of(st.none(), st.integers(0, 10**6))
)  # fmt: skip
def test_what_is_reserved_covers_the_whole_fill(
    ask: Decimal, quantity: int, model: PaperModel, volume: int | None
) -> None:
    """At the ask that it was reserved at; the cushion is for the ask's move, and pays the rounding to the tick."""
    limit = model.volume_limit_percentage
    if limit and (volume is None or quantity * 100 > volume * limit):
        return  # never filled at once
    reserved = cost_to_reserve(quantity=D(quantity), ask=ask, costs=model, cushion_bps=D(200))
    paid = market_price(
        side="buy", quantity=D(quantity), touch=ask, volume=D(volume) if volume is not None else None,
        tick=D("0.0001"), model=model,
    )  # fmt: skip
    assert paid * quantity + fee_of(quantity=D(quantity), price=paid, model=model) <= reserved
