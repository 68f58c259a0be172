"""Adjusted bars have no jumps of splits, keep the traded value, and stay coherent."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from market import sample_data
from market.core.adjustment import RawBar, adjust

SPLIT = RawBar(
    symbol="AAPL",
    day=date(2005, 2, 25),
    open=Decimal("90"),
    high=Decimal("92"),
    low=Decimal("88"),
    close=Decimal("89"),
    volume=Decimal("1000"),
    adjusted_close=Decimal("44.5"),
)


def test_prices_are_halved_and_the_volume_doubled_before_a_two_for_one_split():
    bar = adjust(SPLIT)
    assert (bar.open, bar.high, bar.low, bar.close) == (45, 46, 44, Decimal("44.5"))
    assert bar.volume == 2000


def test_a_bar_on_its_high_stays_on_its_high_whatever_the_rounding():
    bar = adjust(
        replace(SPLIT, high=Decimal("90"), close=Decimal("90"), adjusted_close=Decimal("3.123456785"))
    )
    assert bar.high == bar.close == bar.open


@pytest.mark.parametrize(
    "change",
    [
        {"close": Decimal(0)},
        {"adjusted_close": Decimal("-1")},
        {"volume": Decimal("-1")},
        {"high": Decimal("89.5")},  # below the open
        {"low": Decimal("89.5")},  # above the close
    ],
)
def test_a_contradictory_bar_is_refused(change):
    with pytest.raises(ValueError, match="AAPL 2005-02-25"):
        adjust(replace(SPLIT, **change))


@pytest.fixture(scope="module")
def days():
    raw, adjusted = {}, {}
    for bar in sample_data.raw_bars():
        raw.setdefault(bar.symbol, []).append(bar)
        adjusted.setdefault(bar.symbol, []).append(adjust(bar))
    return raw, adjusted


@pytest.mark.parametrize(
    ("symbol", "day"),
    [("AAPL", date(2000, 6, 21)), ("AAPL", date(2005, 2, 28)), ("MSFT", date(2003, 2, 18))],
)
def test_the_sample_jumps_on_a_split_day_only_before_adjustment(days, symbol, day):
    raw, adjusted = (rows[symbol] for rows in days)
    position = next(index for index, bar in enumerate(raw) if bar.day == day)
    assert raw[position].close / raw[position - 1].close < Decimal("0.6")
    assert abs(adjusted[position].close / adjusted[position - 1].close - 1) < Decimal("0.12")


def test_traded_value_is_kept(days):
    for symbol, bars in days[0].items():
        for raw, bar in zip(bars[::97], days[1][symbol][::97], strict=True):
            assert float(bar.close * bar.volume) == pytest.approx(float(raw.close * raw.volume), rel=1e-5)


def test_every_adjusted_bar_of_the_sample_is_coherent(days):
    for bars in days[1].values():
        for bar in bars:
            assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
