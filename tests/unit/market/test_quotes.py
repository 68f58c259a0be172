"""Synthetic quotes are tradable and never narrower than two basis points on either side."""

from decimal import Decimal

import pytest

from market.core.quotes import HALF_SPREAD, synthetic_quote

TICK = Decimal("0.0001")


@pytest.mark.parametrize("price", ["3.80911312", "0.51", "812.3", "25.00005", "0.00012"])
@pytest.mark.parametrize("tick", [TICK, Decimal("0.01")])
def test_bid_and_ask_surround_the_price_on_ticks(price, tick):
    quote = synthetic_quote(Decimal(price), tick_size=tick)
    assert 0 < quote.bid <= quote.last <= quote.ask
    assert all(value % tick == 0 for value in (quote.bid, quote.last, quote.ask))
    assert quote.ask >= quote.last * (1 + HALF_SPREAD)
    assert quote.bid <= quote.last * (1 - HALF_SPREAD) or quote.bid == tick


def test_the_same_price_always_gives_the_same_quote():
    quote = synthetic_quote(Decimal("100"), tick_size=TICK)
    assert (quote.bid, quote.last, quote.ask) == (Decimal("99.98"), Decimal("100"), Decimal("100.02"))
