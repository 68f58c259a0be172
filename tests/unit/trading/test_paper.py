"""The paper market never flatters."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from trading.core.paper import Costs, cost_to_reserve, match_market

D = Decimal
FREE = Costs(fee_bps=D(0), fee_minimum=D(0), slippage_bps=D(0))
DEAR = Costs(fee_bps=D(10), fee_minimum=D(1), slippage_bps=D(5))
prices = st.decimals(min_value="0.02", max_value="10000", places=2)


def test_a_buy_pays_the_ask_and_a_sell_gets_the_bid() -> None:
    quote = {"bid": D("99.90"), "ask": D("100.10"), "tick": D("0.01"), "costs": FREE}
    assert match_market(side="buy", quantity=D(10), **quote).price == D("100.10")  # type: ignore[arg-type]
    assert match_market(side="sell", quantity=D(10), **quote).price == D("99.90")  # type: ignore[arg-type]


def test_slippage_and_rounding_go_against_the_order() -> None:
    quote = {"bid": D("100"), "ask": D("100"), "tick": D("0.01"), "costs": DEAR}
    assert match_market(side="buy", quantity=D(1), **quote).price == D("100.05")  # type: ignore[arg-type]
    assert match_market(side="sell", quantity=D(1), **quote).price == D("99.95")  # type: ignore[arg-type]


def test_the_fee_has_a_minimum() -> None:
    quote = {"bid": D("100"), "ask": D("100"), "tick": D("0.01"), "costs": DEAR}
    assert match_market(side="sell", quantity=D(1), **quote).fee == D(1)  # type: ignore[arg-type]
    assert match_market(side="sell", quantity=D(100), **quote).fee == D("9.995")  # type: ignore[arg-type]


@given(mid=prices, half_spread=st.decimals(min_value=0, max_value=1, places=2), quantity=st.integers(1, 1000))
def test_buying_and_selling_at_once_never_earns(mid: Decimal, half_spread: Decimal, quantity: int) -> None:
    bid, ask = max(mid - half_spread, D("0.01")), mid + half_spread
    buy = match_market(side="buy", quantity=D(quantity), bid=bid, ask=ask, tick=D("0.01"), costs=DEAR)
    sell = match_market(side="sell", quantity=D(quantity), bid=bid, ask=ask, tick=D("0.01"), costs=DEAR)
    assert sell.price * quantity - sell.fee < buy.price * quantity + buy.fee


@given(ask=prices, quantity=st.integers(1, 1000))
def test_what_is_reserved_covers_the_fill(ask: Decimal, quantity: int) -> None:
    reserved = cost_to_reserve(quantity=D(quantity), ask=ask, costs=DEAR, cushion_bps=D(200))
    fill = match_market(side="buy", quantity=D(quantity), bid=ask, ask=ask, tick=D("0.0001"), costs=DEAR)
    assert fill.price * quantity + fill.fee <= reserved
