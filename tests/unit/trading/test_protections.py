"""Where a position is sold by itself: boundaries to the tick, their order, and what moves the thresholds."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.protections import (
    NONE,
    Kind,
    Percentages,
    peak_of,
    percentages,
    threshold_of,
    triggered,
)

D = Decimal
COST, PEAK = D("100"), D("120")
LOSS, GAIN, TRAIL = Kind.STOP_LOSS, Kind.TAKE_PROFIT, Kind.TRAILING_STOP


def which(
    protected: Percentages, price: str | None, *, cost: Decimal = COST, peak: Decimal | None = PEAK
) -> Kind | None:
    found = triggered(
        protected, average_cost=cost, noted_peak=peak, price=None if price is None else D(price)
    )
    return found.kind if found is not None else None


@pytest.mark.parametrize(
    ("protected", "price", "kind"),
    [
        # 5 % below the average cost of 100, a tick before, at and behind the threshold
        (Percentages(stop_loss=D(5)), "95.01", None),
        (Percentages(stop_loss=D(5)), "95.00", LOSS),
        (Percentages(stop_loss=D(5)), "94.99", LOSS),
        # 20 % above it
        (Percentages(take_profit=D(20)), "119.99", None),
        (Percentages(take_profit=D(20)), "120.00", GAIN),
        (Percentages(take_profit=D(20)), "120.01", GAIN),
        # 10 % below the peak of 120
        (Percentages(trailing_stop=D(10)), "108.01", None),
        (Percentages(trailing_stop=D(10)), "108.00", TRAIL),
        (Percentages(trailing_stop=D(10)), "107.99", TRAIL),
        # the price itself is the peak where it is the highest
        (Percentages(trailing_stop=D(10)), "500", None),
        # a loss and a fall at once: the loss is told
        (Percentages(stop_loss=D(5), trailing_stop=D(5)), "90", LOSS),
        # a gain and a fall at once: the fall is told
        (Percentages(take_profit=D(5), trailing_stop=D(5)), "110", TRAIL),
        (NONE, "1", None),
    ],
)
def test_boundaries_belong_to_the_threshold(protected: Percentages, price: str, kind: Kind | None) -> None:
    assert which(protected, price) == kind


@pytest.mark.parametrize("price", [None, "NaN", "Infinity", "0", "-1"])
def test_an_unknown_price_reaches_nothing(price: str | None) -> None:
    everything = Percentages(stop_loss=D(5), take_profit=D(5), trailing_stop=D(5))
    assert which(everything, price) is None


def test_without_a_noted_peak_the_price_is_the_peak() -> None:
    assert which(Percentages(trailing_stop=D(10)), "50", peak=None) is None
    assert peak_of(None, None) is None


def test_an_average_cost_of_nothing_is_no_reference() -> None:
    assert which(Percentages(stop_loss=D(5), take_profit=D(5)), "0.01", cost=D(0)) is None


def test_a_threshold_tells_what_it_follows_from_and_how_far_it_is() -> None:
    target = threshold_of(GAIN, Percentages(take_profit=D(20)), average_cost=COST, peak=None)
    stop = threshold_of(LOSS, Percentages(stop_loss=D(5)), average_cost=COST, peak=None)
    assert target is not None and stop is not None
    assert (target.reference, target.price, target.distance(D(100))) == (COST, D(120), D(20))
    assert (stop.reference, stop.price, stop.distance(D(100)), stop.distance(D(95))) == (COST, D(95), D(5), 0)


def test_the_newer_percentages_replace_those_that_they_name() -> None:
    older = Percentages(stop_loss=D(5), take_profit=D(20))
    assert older.replaced_by(Percentages(stop_loss=D(8), trailing_stop=D(3))) == Percentages(
        D(8), D(20), D(3)
    )
    assert older.replaced_by(NONE) == older


@pytest.mark.parametrize(
    ("given", "stored"), [("0.000000001", "0.00000001"), ("99.999999999", "99.99999999"), ("5", "5")]
)
def test_what_is_finer_than_a_column_still_protects(given: str, stored: str) -> None:
    made = percentages(stop_loss=D(given), take_profit=None, trailing_stop=D(given))
    assert (made.stop_loss, made.trailing_stop, made.take_profit) == (D(stored), D(stored), None)
    assert percentages(stop_loss=None, take_profit=D("1000"), trailing_stop=None).take_profit == 1000


amounts = st.decimals("0.01", "100000", places=2)
stops = st.decimals("0.01", "99.99", places=2)


@settings(max_examples=200)
@given(prices=st.lists(amounts, min_size=1, max_size=12), trailing=stops)
def test_a_trailing_threshold_never_falls_while_the_position_is_open(
    prices: list[Decimal], trailing: Decimal
) -> None:
    protected, noted, before = Percentages(trailing_stop=trailing), None, D(0)
    for price in prices:
        peak = peak_of(noted, price)
        threshold = threshold_of(TRAIL, protected, average_cost=COST, peak=peak)
        assert threshold is not None and threshold.price >= before
        assert threshold.price < max(prices)
        noted, before = peak, threshold.price


@settings(max_examples=200)
@given(
    cost=amounts,
    peak=amounts,
    price=amounts,
    loss=stops,
    gain=amounts,
    trailing=stops,
    split=st.integers(2, 20),
)
def test_a_split_that_scales_price_cost_and_peak_changes_nothing(
    cost: Decimal, peak: Decimal, price: Decimal, loss: Decimal, gain: Decimal, trailing: Decimal, split: int
) -> None:
    protected = Percentages(stop_loss=loss, take_profit=gain, trailing_stop=trailing)
    before = triggered(protected, average_cost=cost * split, noted_peak=peak * split, price=price * split)
    after = triggered(protected, average_cost=cost, noted_peak=peak, price=price)
    assert (before and before.kind) == (after and after.kind)


@settings(max_examples=200)
@given(cost=amounts, price=amounts, loss=stops, gain=amounts)
def test_it_is_told_exactly_when_a_threshold_is_reached(
    cost: Decimal, price: Decimal, loss: Decimal, gain: Decimal
) -> None:
    found = triggered(
        Percentages(stop_loss=loss, take_profit=gain), average_cost=cost, noted_peak=None, price=price
    )
    lost, gained = price * 100 <= cost * (100 - loss), price * 100 >= cost * (100 + gain)
    assert (found and found.kind) == (LOSS if lost else GAIN if gained else None)
