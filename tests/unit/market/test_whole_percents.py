"""A change or a distance that a person would write is exactly that number, so that a rule may ask for it."""

from decimal import Decimal

import numpy as np
import pytest

from market.core.features import RING, FeatureState
from market.core.fields import FIELD_NAMES
from market.core.ticks import QuoteTick

DAY = 86_400.0
CHANGES = ("change_percentage_1d", "change_percentage_5d", "change_percentage_20d")
WHOLE = [k for k in range(-99, 100) if k]


def state_of(close: Decimal, last: Decimal) -> FeatureState:
    """All its bars closed at `close`, the last one at `last`."""
    state = FeatureState(["AAA"])
    bars = np.full((RING, 5), float(close))
    bars[-1] = float(last)
    state.load_history("AAA", bars, at=np.arange(1, RING + 1) * DAY)
    return state


def told(values: np.ndarray, *names: str) -> list[float]:
    return [float(values[FIELD_NAMES.index(name), 0]) for name in names]


@pytest.mark.parametrize("close", ["100", "10", "12.50"])
def test_a_change_of_whole_percents_is_exactly_that(close: str) -> None:
    for percent in WHOLE:
        before = Decimal(close)
        price = before * (100 + percent) / 100
        of_bars = state_of(before, price).completed()[1]
        assert told(of_bars, *CHANGES) == [percent] * 3
        assert told(of_bars, "high_52w_distance") == [min(percent, 0)]

        quoted = state_of(before, before)
        quoted.quote(
            [QuoteTick("AAA", price, price, price, Decimal(0))], at=(RING + 0.5) * DAY, received_at=0.0
        )
        assert told(quoted.values(), *CHANGES) == [percent] * 3
        assert told(quoted.values(), "high_52w_distance") == [min(percent, 0)]


def test_a_spread_of_whole_basis_points_is_exactly_that() -> None:
    for bps in range(1, 200):
        half = Decimal(bps) / 200
        state = state_of(Decimal(100), Decimal(100))
        quote = QuoteTick("AAA", 100 - half, 100 + half, Decimal(100), Decimal(0))
        state.quote([quote], at=(RING + 0.5) * DAY, received_at=0.0)
        assert told(state.values(), "spread_bps") == [bps]
