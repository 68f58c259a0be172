"""Indicators against values worked out by hand, and what they do not know."""

import math

import numpy as np
import pytest

from market.core import indicators

NAN = math.nan


def column(*values):
    return np.array(values, dtype=np.float64)[:, None]


def values(array):
    return array[:, 0].tolist()


def same(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, equal_nan=True)


def test_sma_is_the_mean_of_the_window_and_unknown_before_it_is_full():
    same(values(indicators.sma(column(1, 2, 6, 3), 3)), [NAN, NAN, 3, 11 / 3])


def test_sma_of_less_than_a_window_is_unknown():
    assert np.isnan(indicators.sma(column(1, 2), 3)).all()


def test_a_gap_makes_every_window_that_contains_it_unknown():
    same(values(indicators.sma(column(1, 2, NAN, 4, 6), 2)), [NAN, 1.5, NAN, NAN, 5])


def test_symbols_are_computed_independently():
    both = np.hstack([column(1, 2, 3, 4), column(NAN, NAN, 10, 20)])
    same(indicators.sma(both, 2)[-1], [3.5, 15])


def test_change_percentage_compares_with_n_bars_before():
    same(values(indicators.change_percentage(column(100, 110, 99), 1)), [NAN, 10, -10])
    same(values(indicators.change_percentage(column(100, 110, 99), 2)), [NAN, NAN, -1])
    assert np.isnan(indicators.change_percentage(column(100, 110), 5)).all()


def test_volatility_is_the_sample_deviation_of_log_returns_annualised():
    close = column(100, 110, 99, 108.9)
    returns = [math.log(1.1), math.log(0.9), math.log(1.1)]
    mean = sum(returns) / 3
    deviation = math.sqrt(sum((each - mean) ** 2 for each in returns) / 2)
    same(values(indicators.volatility(close, 3)), [NAN, NAN, NAN, deviation * math.sqrt(252)])


def test_a_price_that_grows_evenly_has_no_volatility():
    close = column(*(100 * 1.01**day for day in range(25)))
    assert indicators.volatility(close)[-1, 0] == pytest.approx(0, abs=1e-12)


def test_relative_volume_compares_with_the_bars_before_not_with_itself():
    same(values(indicators.relative_volume(column(10, 20, 30, 5), 2)), [NAN, NAN, 2, 0.2])


def test_relative_volume_is_unknown_when_nothing_was_traded_before_and_zero_when_nothing_is_now():
    same(values(indicators.relative_volume(column(0, 0, 30), 2)), [NAN, NAN, NAN])
    same(values(indicators.relative_volume(column(10, 10, 0), 2)), [NAN, NAN, 0])


def test_wilders_smoothing_starts_with_a_mean_and_then_moves_by_one_part():
    # seed (1 + 2 + 3) / 3 = 2, then (2 × 2 + 8) / 3 = 4, then (4 × 2 + 1) / 3 = 3
    same(values(indicators.wilder(column(1, 2, 3, 8, 1), 3)), [NAN, NAN, 2, 4, 3])


def test_wilders_smoothing_starts_anew_after_a_gap():
    same(values(indicators.wilder(column(9, 9, NAN, 1, 3, 5), 2)), [NAN, 9, NAN, NAN, 2, 3.5])


def test_rsi_by_hand():
    # changes +2 −1 +3: gains 2, 0, 3 and losses 0, 1, 0; period 2: gains (1, 2), losses (0.5, 0.25)
    same(values(indicators.rsi(column(10, 12, 11, 14), 2)), [NAN, NAN, 100 * 1 / 1.5, 100 * 2 / 2.25])


@pytest.mark.parametrize(("step", "expected"), [(1, 100), (-1, 0), (0, 50)])
def test_rsi_of_only_gains_only_losses_and_no_movement(step, expected):
    close = column(*(100 + step * day for day in range(16)))
    assert indicators.rsi(close)[-1, 0] == expected


def test_rsi_needs_one_change_more_than_its_period():
    rising = [100.0 + day for day in range(15)]
    assert np.isnan(indicators.rsi(column(*rising[:14]))).all()
    assert indicators.rsi(column(*rising))[-1, 0] == 100
    assert np.isnan(indicators.rsi(column(100))).all()


def test_true_range_counts_the_gap_from_the_previous_close():
    high, low, close = column(11, 20, 12), column(9, 19, 8), column(10, 19.5, 9)
    # second: 20 − 10 (gap up); third: |8 − 19.5| (gap down)
    same(values(indicators.true_range(high, low, close)), [NAN, 10, 11.5])
    same(values(indicators.atr(high, low, close, 2)), [NAN, NAN, 10.75])


def test_the_distance_from_the_high_is_zero_at_a_new_high_and_negative_below_it():
    high = indicators.highest(column(10, 12, 11), 2)
    same(values(high), [NAN, 12, 12])
    same(values(indicators.distance_percentage(column(9, 9, 15), high)), [NAN, -25, 0])


def test_nothing_looks_ahead():
    rng = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, (300, 3)), axis=0))
    high, low, volume = close * 1.01, close * 0.99, rng.uniform(1, 9, close.shape)
    computed = {
        "sma": lambda n: indicators.sma(close[:n], 20),
        "rsi": lambda n: indicators.rsi(close[:n]),
        "atr": lambda n: indicators.atr(high[:n], low[:n], close[:n]),
        "volatility": lambda n: indicators.volatility(close[:n]),
        "relative_volume": lambda n: indicators.relative_volume(volume[:n]),
        "highest": lambda n: indicators.highest(high[:n]),
        "change": lambda n: indicators.change_percentage(close[:n], 20),
    }
    for name, function in computed.items():
        np.testing.assert_allclose(
            function(280), function(300)[:280], rtol=1e-9, equal_nan=True, err_msg=name
        )
