"""The market fields of a snapshot: names (the rule language's), units and what they are computed from.

A field marked *quote* moves with every quote. A field marked *bars* is computed on completed bars only and
changes when a bar completes, so that an indicator is the same however often anybody looks.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MarketField:
    """`reference` says where the formula is from: a book, a paper, or the usual definition."""

    name: str
    basis: str
    unit: str
    formula: str
    reference: str


_RETURN = "definition of the simple return in percent"
_WILDER = "Wilder 1978, New Concepts in Technical Trading Systems"
_AVERAGE = "Murphy 1999, Technical Analysis of the Financial Markets (simple moving average)"
_HULL = "Hull, Options, Futures, and Other Derivatives (estimating volatility from historical data)"
_SPREAD = "Harris 2003, Trading and Exchanges (quoted spread relative to the middle)"
_HIGH = "George and Hwang 2004, The 52-Week High and Momentum Investing, Journal of Finance 59(5)"

# fmt: off
MARKET_FIELDS: tuple[MarketField, ...] = (
    MarketField("price", "quote", "currency", "last price", "definition: the last trade reported by the feed"),
    MarketField("change_percentage_1d", "quote", "percent", "price against the close 1 session before", _RETURN),
    MarketField("change_percentage_5d", "quote", "percent", "price against the close 5 sessions before", _RETURN),
    MarketField("change_percentage_20d", "quote", "percent", "price against the close 20 sessions before", _RETURN),
    MarketField(
        "volume", "bars", "shares", "volume of the last completed bar", "definition: as reported by the feed"
    ),
    MarketField(
        "relative_volume", "bars", "ratio", "volume over the mean of the 20 bars before it",
        "definition of relative volume, the bar itself not in the mean",
    ),
    MarketField(
        "volatility", "bars", "fraction per year", "deviation of 20 daily log returns × √252 (0.25 = 25 %)", _HULL
    ),
    MarketField("atr", "bars", "currency", "Wilder's average true range over 14 bars", _WILDER),
    MarketField("rsi", "bars", "0..100", "Wilder's relative strength index over 14 bars", _WILDER),
    MarketField("sma_20", "bars", "currency", "mean of the last 20 closes", _AVERAGE),
    MarketField("sma_50", "bars", "currency", "mean of the last 50 closes", _AVERAGE),
    MarketField("sma_200", "bars", "currency", "mean of the last 200 closes", _AVERAGE),
    MarketField("spread_bps", "quote", "basis points", "(ask − bid) over their middle × 10,000", _SPREAD),
    MarketField(
        "high_52w_distance", "quote", "percent", "price against the highest high of 252 bars; 0 is a new high", _HIGH
    ),
)
# fmt: on
FIELD_NAMES: tuple[str, ...] = tuple(field.name for field in MARKET_FIELDS)
