"""The market fields of a snapshot: names (the rule language's), units and what they are computed from.

A field marked *quote* moves with every quote. A field marked *bars* is computed on completed bars only and
changes when a bar completes, so that an indicator is the same however often anybody looks.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MarketField:
    name: str
    basis: str
    unit: str
    formula: str


MARKET_FIELDS: tuple[MarketField, ...] = (
    MarketField("price", "quote", "currency", "last price"),
    MarketField("change_percentage_1d", "quote", "percent", "price against the close 1 session before"),
    MarketField("change_percentage_5d", "quote", "percent", "price against the close 5 sessions before"),
    MarketField("change_percentage_20d", "quote", "percent", "price against the close 20 sessions before"),
    MarketField("volume", "bars", "shares", "volume of the last completed bar"),
    MarketField("relative_volume", "bars", "ratio", "volume over the mean of the 20 bars before it"),
    MarketField(
        "volatility", "bars", "fraction per year", "deviation of 20 daily log returns × √252 (0.25 = 25 %)"
    ),
    MarketField("atr", "bars", "currency", "Wilder's average true range over 14 bars"),
    MarketField("rsi", "bars", "0..100", "Wilder's relative strength index over 14 bars"),
    MarketField("sma_20", "bars", "currency", "mean of the last 20 closes"),
    MarketField("sma_50", "bars", "currency", "mean of the last 50 closes"),
    MarketField("sma_200", "bars", "currency", "mean of the last 200 closes"),
    MarketField("spread_bps", "quote", "basis points", "(ask − bid) over their middle × 10,000"),
    MarketField(
        "high_52w_distance", "quote", "percent", "price against the highest high of 252 bars; 0 is a new high"
    ),
)
FIELD_NAMES: tuple[str, ...] = tuple(field.name for field in MARKET_FIELDS)
