"""What protects a position as a stop order did that is no more."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.core.protections import (
    NONE,
    Kind,
    Percentages,
    in_place_of_stop,
    in_place_of_trail,
    threshold_of,
)

D = Decimal
PRICES = st.decimals(min_value="0.01", max_value="100000", places=2)


@pytest.mark.parametrize(
    ("stop", "own", "peak", "wanted"),
    [
        ("95", NONE, None, Percentages(stop_loss=D(5))),
        ("95", Percentages(stop_loss=D(8)), None, Percentages(stop_loss=D(5))),
        ("95", Percentages(stop_loss=D(5)), None, NONE),  # the same
        ("95", Percentages(trailing_stop=D(10)), "110", NONE),  # at 99
        ("95", Percentages(trailing_stop=D(10)), None, Percentages(stop_loss=D(5))),  # its peak is unknown
        ("108", NONE, "120", Percentages(trailing_stop=D(10))),
        ("100", NONE, "120", Percentages(trailing_stop=D("16.66666666"))),  # a stop loss of 0 % there is none
        ("108", NONE, None, None),
        ("108", NONE, "105", None),
    ],
)
def test_a_stop(stop: str, own: Percentages, peak: str | None, wanted: Percentages | None) -> None:
    known = D(peak) if peak is not None else None
    assert in_place_of_stop(D(stop), own, average_cost=D(100), peak=known) == wanted


@given(stop=PRICES, average_cost=PRICES, peak=PRICES)
def test_it_never_sells_later_than_the_order_would_have(stop: D, average_cost: D, peak: D) -> None:
    wanted = in_place_of_stop(stop, NONE, average_cost=average_cost, peak=peak)
    if wanted is None:
        assert stop >= average_cost and stop >= peak
        return
    (threshold,) = (
        found for kind in Kind if (found := threshold_of(kind, wanted, average_cost=average_cost, peak=peak))
    )
    assert stop <= threshold.price <= stop + D("0.001")


@pytest.mark.parametrize(
    ("own", "peak", "price", "wanted"),
    [
        (NONE, "100", "98", Percentages(trailing_stop=D(7))),
        (Percentages(trailing_stop=D(9)), "100", "98", Percentages(trailing_stop=D(7))),
        (Percentages(trailing_stop=D(7)), "100", "98", NONE),
        (NONE, "100", "93", None),  # it would sell at once
        (NONE, None, None, None),
        (NONE, "100", None, None),
    ],
)
def test_a_trail(own: Percentages, peak: str | None, price: str | None, wanted: Percentages | None) -> None:
    known, now = (D(one) if one is not None else None for one in (peak, price))
    assert in_place_of_trail(D(7), own, peak=known, price=now) == wanted
