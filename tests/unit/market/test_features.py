"""The running state: what moves with a quote and what only with a completed bar."""

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from market import sample_data
from market.core import indicators
from market.core.features import RING, FeatureState, bar_features
from market.core.fields import FIELD_NAMES, MARKET_FIELDS
from market.core.ticks import BarTick, QuoteTick

DAY = 86_400.0


@pytest.fixture(scope="module")
def history():
    """IBM's first 400 days: [T, 5] open, high, low, close, volume."""
    bars = [bar for bar in sample_data.adjusted_bars() if bar.symbol == "IBM"][:400]
    assert bars[0].day == date(2000, 3, 1)
    return np.array([[float(part) for part in (b.open, b.high, b.low, b.close, b.volume)] for b in bars])


def quote(price, symbol="IBM"):
    price = Decimal(str(price))
    return QuoteTick(
        symbol, bid=price - Decimal("0.01"), ask=price + Decimal("0.01"), last=price, volume=Decimal(0)
    )


def bar(row, symbol="IBM"):
    return BarTick(symbol, *(Decimal(repr(float(part))) for part in row))


def loaded(history, count):
    state = FeatureState(["FB", "IBM"])
    state.load_history("IBM", history[:count], at=np.arange(1, count + 1) * DAY)
    return state


def field(values, name, symbol=1):
    return values[FIELD_NAMES.index(name), symbol]


def test_a_state_that_lived_through_the_bars_equals_one_that_was_loaded(history):
    lived = loaded(history, 300)
    for day in range(300, 320):
        lived.complete([bar(history[day])], at=(day + 1) * DAY)
    np.testing.assert_array_equal(lived.completed(), loaded(history, 320).completed())


def test_it_knows_when_the_last_two_bars_completed(history):
    state = loaded(history, 300)
    state.complete([bar(history[300])], at=301 * DAY)
    np.testing.assert_array_equal(state.bar_at, loaded(history, 301).bar_at)
    np.testing.assert_array_equal(state.bar_at, [[np.nan, 300 * DAY], [np.nan, 301 * DAY]])
    state.complete([bar(history[300], "FB")], at=301 * DAY)
    np.testing.assert_array_equal(state.bar_at[:, 0], [np.nan, 301 * DAY])


def test_completed_holds_the_last_two_bars_in_order(history):
    completed = loaded(history, 320).completed()
    assert completed.shape == (2, len(FIELD_NAMES), 2)
    assert field(completed[0], "price") == history[318, 3]
    assert field(completed[1], "price") == history[319, 3]
    np.testing.assert_array_equal(completed[0], loaded(history, 319).completed()[1])


def test_bar_fields_agree_with_the_indicators_on_the_whole_history(history):
    values = loaded(history, 400).completed()[1]
    close, high, low = history[:, 3:4], history[:, 1:2], history[:, 2:3]
    assert field(values, "sma_200") == pytest.approx(history[-200:, 3].mean())
    assert field(values, "rsi") == pytest.approx(indicators.rsi(close)[-1, 0], rel=1e-5)
    assert field(values, "atr") == pytest.approx(indicators.atr(high, low, close)[-1, 0], rel=1e-5)
    assert field(values, "volume") == history[-1, 4]


def test_a_quote_moves_the_quote_fields_and_leaves_the_bar_fields(history):
    state = loaded(history, 300)
    price = round(float(history[299, 3]) * 1.02, 4)
    state.quote([quote(price)], at=300 * DAY + 1, received_at=5.0)
    values, completed = state.values(), state.completed()[1]
    for each in MARKET_FIELDS:
        before, now = field(completed, each.name), field(values, each.name)
        assert (now != before) == (each.basis == "quote"), each.name
    assert field(values, "price") == price
    assert field(values, "spread_bps") == pytest.approx(0.02 / price * 10_000)


def test_the_one_day_change_refers_to_the_session_before_during_and_after_a_bar(history):
    state = loaded(history, 300)
    yesterday = history[299, 3]
    state.quote([quote(50)], at=300 * DAY + 1, received_at=0.0)
    assert field(state.values(), "change_percentage_1d") == pytest.approx((50 / yesterday - 1) * 100)
    assert field(state.values(), "change_percentage_5d") == pytest.approx((50 / history[295, 3] - 1) * 100)
    state.quote([quote(51)], at=301 * DAY, received_at=0.0)
    state.complete([bar(history[300])], at=301 * DAY)
    assert field(state.values(), "change_percentage_1d") == pytest.approx((51 / yesterday - 1) * 100)
    assert field(state.values(), "change_percentage_5d") == pytest.approx((51 / history[295, 3] - 1) * 100)


def test_a_price_above_the_years_high_is_the_high(history):
    state = loaded(history, 300)
    state.quote([quote(500)], at=300 * DAY + 1, received_at=0.0)
    assert field(state.values(), "high_52w_distance") == 0
    state.quote([quote(50)], at=300 * DAY + 2, received_at=0.0)
    assert field(state.values(), "high_52w_distance") == pytest.approx(
        (50 / history[48:300, 1].max() - 1) * 100
    )


def test_a_symbol_without_bars_and_quotes_is_unknown_in_every_field(history):
    state = loaded(history, 300)
    state.quote([quote(50)], at=300 * DAY + 1, received_at=0.0)
    assert np.isnan(state.values()[:, 0]).all()
    assert np.isnan(state.completed()[:, :, 0]).all()


def test_a_newly_listed_symbol_knows_its_price_before_its_indicators(history):
    state = loaded(history, 300)
    for day in range(3):
        state.complete([bar(history[day], "FB")], at=(301 + day) * DAY)
    state.quote([quote(38, "FB")], at=304 * DAY, received_at=0.0)
    values = state.values()
    assert field(values, "price", 0) == 38
    assert np.isfinite(field(values, "change_percentage_1d", 0))
    for unknown in ("change_percentage_5d", "rsi", "atr", "sma_20", "volatility", "high_52w_distance"):
        assert np.isnan(field(values, unknown, 0)), unknown


def test_a_bar_that_is_already_known_is_not_taken_twice(history):
    state = loaded(history, 300)
    before = state.completed().copy()
    state.complete([bar(history[300])], at=300 * DAY)
    np.testing.assert_array_equal(state.completed(), before)


def test_symbols_that_the_state_does_not_carry_are_passed_over(history):
    state = loaded(history, 300)
    before = state.values()
    state.quote([quote(7, "XYZ")], at=300 * DAY + 1, received_at=0.0)
    state.complete([bar(history[300], "XYZ")], at=301 * DAY)
    np.testing.assert_array_equal(state.values(), before)


def test_features_are_vectorised_over_symbols(history):
    window = history[:RING].T[:, :, None]
    both = bar_features(np.concatenate([window, window * 2], axis=2))
    np.testing.assert_allclose(both[FIELD_NAMES.index("rsi")], both[FIELD_NAMES.index("rsi"), 0])
    np.testing.assert_allclose(both[FIELD_NAMES.index("atr"), 1], 2 * both[FIELD_NAMES.index("atr"), 0])
