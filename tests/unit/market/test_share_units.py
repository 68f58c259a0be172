"""Bars of before a split or a dividend, in the units of after it."""

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.core.share_units import ShareAction, in_present_units, units_of

DAY = 86_400.0


def bars(*closes: float, volume: float = 1000.0) -> np.ndarray:
    return np.array([[close, close + 1, close - 1, close, volume] for close in closes])


def days(count: int) -> np.ndarray:
    return np.arange(1, count + 1) * DAY


def test_a_split_halves_prices_and_doubles_volumes_of_before() -> None:
    found = in_present_units(
        bars(100, 102, 51), at=days(3), basis=days(3), actions=[ShareAction(2.5 * DAY, units=2.0)]
    )
    assert found.tolist() == [[50, 50.5, 49.5, 50, 2000], [51, 51.5, 50.5, 51, 2000], [51, 52, 50, 51, 1000]]


def test_a_dividend_takes_its_part_of_the_last_close_before_it() -> None:
    found = in_present_units(
        bars(80, 100, 98), at=days(3), basis=days(3), actions=[ShareAction(2.5 * DAY, cash=2.0)]
    )
    assert found[:, 3] == pytest.approx([78.4, 98.0, 98.0]), "who held lost nothing: 100 was 98 and 2 in cash"
    assert found[:, 4].tolist() == [1000] * 3


def test_what_is_adjusted_already_is_not_adjusted_again() -> None:
    given_in_units_of = np.array([5 * DAY, 5 * DAY, 3 * DAY])
    before = bars(50, 51, 51)
    found = in_present_units(
        before, at=days(3), basis=given_in_units_of, actions=[ShareAction(2.5 * DAY, units=2.0)]
    )
    assert found is before


def test_a_dividend_beyond_the_price_changes_nothing() -> None:
    found = in_present_units(
        bars(10, 10), at=days(2), basis=days(2), actions=[ShareAction(1.5 * DAY, cash=12.0)]
    )
    assert found[:, 3].tolist() == [10, 10]


def test_units_of_a_day_are_those_of_its_end() -> None:
    assert units_of(date(2004, 1, 5)) == datetime(2004, 1, 5, 23, 59, 59, 999_999, tzinfo=UTC)


actions = st.lists(
    st.tuples(
        st.integers(1, 18), st.sampled_from(["split", "dividend"]), st.sampled_from([2.0, 3.0, 0.5, 0.1]),
        st.floats(0.001, 0.2),
    ),
    max_size=4, unique_by=lambda one: one[0],
)  # fmt: skip


@given(actions, st.integers(0, 2**32 - 1))
def test_returns_over_any_history_are_those_of_a_holder(
    told: list[tuple[int, str, float, float]], seed: int
) -> None:
    """The oracle walks forwards with one share, reinvests what is paid and counts the units after a split."""
    rng = np.random.default_rng(seed)
    total = 100 * np.exp(
        np.cumsum(rng.normal(0, 0.02, 20))
    )  # what one share of the start is worth, all kept in it
    raw, units, known = [], 1.0, []
    by_day = {day: (kind, ratio, part) for day, kind, ratio, part in told}
    for day in range(20):
        if day in by_day:
            kind, ratio, part = by_day[day]
            if kind == "split":
                units *= ratio
                known.append(ShareAction((day + 0.5) * DAY, units=ratio))
            else:
                known.append(ShareAction((day + 0.5) * DAY, cash=part * raw[-1]))
                units /= 1 - part  # the cash buys shares at the close before less the cash
        raw.append(total[day] / units)
    found = in_present_units(bars(*raw), at=days(20), basis=days(20), actions=known)
    assert found[:, 3] * units == pytest.approx(total)
