"""Bars that fill a gap are believed when what is known on one side leads to them."""

from datetime import date
from decimal import Decimal

import pytest

from market.core.adjustment import DayBar
from market.core.neighbours import strays


def bars(*prices):
    return [
        DayBar("IBM", date(2004, 1, 5 + place), price, price, price, price, Decimal(1))
        for place, price in enumerate(map(Decimal, prices))
    ]


@pytest.mark.parametrize(
    ("prices", "before", "after", "straying"),
    [
        ((101, 102), 100, 103, []),
        ((101, 10_200), 100, 103, [10_200]),  # a slip of the decimal point
        ((10_100, 10_200), 100, 103, [10_100, 10_200]),  # that agree with each other says nothing
        ((101, 60, 61), 100, 62, []),  # a crash that went on
        ((60, 61), 100, None, [60, 61]),  # nobody knows yet
        ((60, 61), None, 62, []),
        ((101, 50, 51), 100, 51, []),  # a 2:1 split in the middle
        ((60,), None, None, []),
        ((130,), 100, None, []),  # the collar is included
        ((131,), 100, None, [131]),
        ((131,), 100, 120, []),  # on its way
        ((70, 131, 80), 100, 90, [131]),  # what strays is passed over
    ],
)
def test_what_strays(prices, before, after, straying):
    known = {"before": before and Decimal(before), "after": after and Decimal(after)}
    found = strays(bars(*prices)[::-1], **known, collar=Decimal(30))
    assert [bar.close for bar in found] == straying


def test_each_price_of_a_bar_counts():
    (bar,) = bars(100)
    high = DayBar("IBM", bar.day, bar.open, Decimal(140), bar.low, bar.close, bar.volume)
    assert strays([high], before=Decimal(100), after=Decimal(100), collar=Decimal(30)) == [high]


def test_a_crash_within_a_day_is_met_from_both_sides():
    (bar,) = bars(100)
    crash = DayBar("IBM", bar.day, Decimal(105), Decimal(106), Decimal(40), Decimal(45), bar.volume)
    assert strays([crash], before=Decimal(104), after=Decimal(44), collar=Decimal(30)) == []
    assert strays([crash], before=Decimal(104), after=Decimal(100), collar=Decimal(30)) == [crash]
