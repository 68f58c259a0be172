"""The running state behind a snapshot: the last bars and the last quote of every symbol.

Each symbol has a ring of its own last `RING` completed bars, aligned at the newest, so symbols of exchanges
with different holidays need no common grid. Features are always computed on exactly `WINDOW` bars, hence the
same after a restart as without one. What is computed from what is listed in `market.core.fields`.
"""

from collections.abc import Sequence

import numpy as np

from foundation.core.percentages import as_written
from market.core import indicators
from market.core.fields import FIELD_NAMES
from market.core.indicators import Floats
from market.core.ticks import BarTick, QuoteTick

WINDOW = 260
"""enough for 52 weeks of highs and for Wilder's smoothing to forget its start (the rest weighs under 1e-7)"""
RING = WINDOW + 1
"""one more, so that the last two completed bars both have a full window"""

_OPEN, _HIGH, _LOW, _CLOSE, _VOLUME = range(5)
_ROW = {name: position for position, name in enumerate(FIELD_NAMES)}
_CHANGES = {"change_percentage_1d": 1, "change_percentage_5d": 5, "change_percentage_20d": 20}
_PERCENTAGES = [_ROW[name] for name in (*_CHANGES, "high_52w_distance", "spread_bps")]


def bar_features(bars: Floats) -> Floats:
    """Fields at the last of the given completed bars: float64[5, N, S] (open, high, low, close, volume) → [F,
    S].

    The spread is unknown: a bar carries no quote.
    """
    _, high, low, close, volume = bars
    result = np.full((len(FIELD_NAMES), bars.shape[2]), np.nan)
    result[_ROW["price"]] = close[-1]
    for name, periods in _CHANGES.items():
        result[_ROW[name]] = indicators.change_percentage(close[-periods - 1 :], periods)[-1]
    result[_ROW["volume"]] = volume[-1]
    result[_ROW["relative_volume"]] = indicators.relative_volume(volume[-21:])[-1]
    result[_ROW["volatility"]] = indicators.volatility(close[-21:])[-1]
    result[_ROW["atr"]] = indicators.atr(high, low, close)[-1]
    result[_ROW["rsi"]] = indicators.rsi(close)[-1]
    for window in (20, 50, 200):
        result[_ROW[f"sma_{window}"]] = indicators.sma(close[-window:], window)[-1]
    year = indicators.highest(high[-indicators.TRADING_DAYS_A_YEAR :])[-1]
    result[_ROW["high_52w_distance"]] = indicators.distance_percentage(close[-1], year)
    result[_PERCENTAGES] = as_written(result[_PERCENTAGES])
    return result


class FeatureState:
    """Mutable and owned by one feed; rebuilt from the tables at its start and after any failure."""

    def __init__(self, symbols: Sequence[str]) -> None:
        count = len(symbols)
        self.symbols = tuple(symbols)
        self._index = {symbol: position for position, symbol in enumerate(self.symbols)}
        self._bars: Floats = np.full((5, RING, count), np.nan)
        self.bar_at: Floats = np.full((2, count), np.nan)
        """when the last two bars (previous, last) completed: epoch seconds, market time"""
        self._completed: Floats | None = None
        self.bid, self.ask, self._last = (np.full(count, np.nan) for _ in range(3))
        self.market_time, self.received_at = (np.full(count, np.nan) for _ in range(2))

    def load_history(self, symbol: str, bars: Floats, *, at: Floats) -> None:
        """Set a symbol's completed bars, oldest first: float64[T, 5] open, high, low, close, volume.

        `at` is float64[T]: the epoch seconds at which they completed.
        """
        kept, last = bars[-RING:], at[-2:]
        self._bars[:, RING - len(kept) :, self._index[symbol]] = kept.T
        self.bar_at[2 - len(last) :, self._index[symbol]] = last
        self._completed = None

    def complete(self, bars: Sequence[BarTick], *, at: float) -> None:
        """Append bars that completed at their own times, or at `at` (epoch seconds, market time).

        Unknown symbols are passed over, and bars not newer than the last one: history that is already known.
        """
        for bar in bars:
            position = self._index.get(bar.symbol)
            completed_at = at if bar.at is None else bar.at.timestamp()
            if position is None or completed_at <= self.bar_at[1, position]:
                continue
            column = self._bars[:, :, position]
            column[:, :-1] = column[:, 1:].copy()
            column[:, -1] = [float(part) for part in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
            self.bar_at[:, position] = self.bar_at[1, position], completed_at
            self._completed = None

    def quote(self, quotes: Sequence[QuoteTick], *, at: float, received_at: float) -> None:
        """Take the newest quotes, of their own times or of `at`. Unknown symbols are passed over."""
        for quote in quotes:
            position = self._index.get(quote.symbol)
            if position is None:
                continue
            self.bid[position], self.ask[position] = float(quote.bid), float(quote.ask)
            self._last[position] = float(quote.last)
            self.market_time[position] = at if quote.at is None else quote.at.timestamp()
            self.received_at[position] = received_at

    def revalue(self, quotes: Sequence[QuoteTick]) -> None:
        """The quotes that are known already, in other units (NaN: unknown); their times stay."""
        for quote in quotes:
            position = self._index[quote.symbol]
            self.bid[position], self.ask[position] = float(quote.bid), float(quote.ask)
            self._last[position] = float(quote.last)

    def completed(self) -> Floats:
        """[2, F, S] at the last two completed bars (previous, last); computed once for each completed bar."""
        if self._completed is None:
            both = np.concatenate([self._bars[:, :-1], self._bars[:, 1:]], axis=2)
            features = bar_features(both)
            self._completed = np.stack(np.split(features, 2, axis=1))
        return self._completed

    def values(self) -> Floats:
        """[F, S] now: bar fields of the last completed bar, quote fields from the last quote."""
        result = self.completed()[1].copy()
        price, close = self._last, self._bars[_CLOSE]
        result[_ROW["price"]] = price
        # Before a session's bar is complete, "1 session before" is the last completed bar; after it, the one
        # before.
        running = ~(self.bar_at[1] >= self.market_time)
        for name, periods in _CHANGES.items():
            base = np.where(running, close[-periods], close[-periods - 1])
            result[_ROW[name]] = (price / base - 1.0) * 100.0
        result[_ROW["spread_bps"]] = (self.ask - self.bid) / ((self.ask + self.bid) / 2.0) * 10_000.0
        year = indicators.highest(self._bars[_HIGH, -indicators.TRADING_DAYS_A_YEAR :])[-1]
        result[_ROW["high_52w_distance"]] = indicators.distance_percentage(price, year)
        result[_PERCENTAGES] = as_written(result[_PERCENTAGES])
        return result
