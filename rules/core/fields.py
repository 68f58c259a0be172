"""The one catalogue of fields that a rule may speak of.

Validation, the program, explanations, the API, the admin form and the docs all
read it, so a field exists everywhere or nowhere. A field stands here only when
the system really supplies it: a rule is never accepted on a fact that never comes.

Every fact is a float64. Ordered enumerations and weekdays are given as their
rank (`STRONG_SELL` 0 … `STRONG_BUY` 4, `MONDAY` 0 … `SUNDAY` 6), a time of day
as minutes since local midnight. What is not finite is unknown.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from market.core.fields import MARKET_FIELDS
from rules.core.field_types import (
    NUMERIC_TYPES,
    RECOMMENDATIONS,
    WEEKDAYS,
    FieldKind,
    FieldSpec,
    FieldType,
)

__all__ = [
    "CATALOGUE",
    "NUMERIC_TYPES",
    "RECOMMENDATIONS",
    "WEEKDAYS",
    "FieldKind",
    "FieldSpec",
    "FieldType",
]

_NUMBER, _INTEGER, _PERCENTAGE = FieldType.NUMBER, FieldType.INTEGER, FieldType.PERCENTAGE
_CHANGE = "Price change in percent against the close {} before."

# Beside the market's own list, which holds unit and formula: type, meaning, minimum, maximum.
_MARKET: Mapping[str, tuple[FieldType, str, float | None, float | None]] = {
    "price": (_NUMBER, "Last traded price.", 0, None),
    "change_percentage_1d": (_PERCENTAGE, _CHANGE.format("one session"), -100, None),
    "change_percentage_5d": (_PERCENTAGE, _CHANGE.format("five sessions"), -100, None),
    "change_percentage_20d": (_PERCENTAGE, _CHANGE.format("twenty sessions"), -100, None),
    "volume": (_NUMBER, "Shares traded in the last completed bar.", 0, None),
    "relative_volume": (_NUMBER, "Volume against its average over 20 bars; 1 is usual.", 0, None),
    "volatility": (
        _NUMBER,
        "Annualised volatility of 20 daily returns as a fraction; 0.25 is 25 %.",
        0,
        None,
    ),
    "atr": (_NUMBER, "Average true range over 14 bars: how far the price moves in a usual day.", 0, None),
    "rsi": (_NUMBER, "Relative strength index over 14 bars, 0 to 100.", 0, 100),
    "sma_20": (_NUMBER, "Mean of the last 20 closes.", 0, None),
    "sma_50": (_NUMBER, "Mean of the last 50 closes.", 0, None),
    "sma_200": (_NUMBER, "Mean of the last 200 closes.", 0, None),
    "spread_bps": (_NUMBER, "Quoted spread against the middle price.", 0, None),
    "high_52w_distance": (_PERCENTAGE, "Distance from the 52-week high; -20 is a fifth below.", -100, None),
}
_WITHOUT_BARS = frozenset({"spread_bps"})  # a bar carries no quote


def _market_fields() -> Iterator[FieldSpec]:
    for field in MARKET_FIELDS:
        type_, meaning, minimum, maximum = _MARKET[field.name]
        yield FieldSpec(
            field.name, FieldKind.MARKET, type_, field.unit, meaning, "market.core.features", field.formula,
            field.reference, minimum, maximum, completed_bars=field.name not in _WITHOUT_BARS,
        )  # fmt: skip


def _of(kind: FieldKind, source: str) -> Callable[..., FieldSpec]:
    """Makes fields of one kind and source; the last two numbers are the bounds, as many as there are."""

    def make(
        name: str, type_: FieldType, unit: str, meaning: str, formula: str, reference: str, *bounds: float,
        choices: tuple[str, ...] = (), completed_bars: bool = False, where_not_held: float | None = None,
    ) -> FieldSpec:  # fmt: skip
        minimum, maximum = (*bounds, None, None)[:2]
        return FieldSpec(
            name, kind, type_, unit, meaning, source, formula, reference, minimum, maximum, choices,
            completed_bars, where_not_held,
        )  # fmt: skip

    return make


_advice = _of(FieldKind.RECOMMENDATION, "trading.core.market_facts")
_portfolio = _of(FieldKind.PORTFOLIO, "portfolios.core.facts")
_position = _of(FieldKind.POSITION, "portfolios.core.facts")
_diversification = _of(FieldKind.DIVERSIFICATION, "trading.core.diversification")
_time = _of(FieldKind.TIME, "rules.core.clock")

_OWN = "definition of this system"
_STATED = "definition of the source of the recommendation"
_RETURN = "definition of the simple return in percent"
_DRAWDOWN = "Magdon-Ismail and Atiya 2004, Maximum Drawdown, Risk Magazine 17(10)"
_PEARSON = (
    "Pearson 1895, Note on Regression and Inheritance in the Case of Two Parents, Proc. R. Soc. London 58; "
    "as a measure of diversification: Markowitz 1952, Portfolio Selection, Journal of Finance 7(1)"
)
_LOCAL = "ISO 8601; zones of the IANA time zone database"
_HOURS = "definition of this system, by the exchange's calendar"

# fmt: off
_FIELDS = (
    *_market_fields(),
    _advice(
        "ai_recommendation", FieldType.ORDERED_ENUM, "class",
        "The recommendation that counts, unless it has expired: of the first of the session's sources that has "
        "one; where it names no sources, the newest of all. changed_to compares the two that counted when the "
        "last two bars of the symbol completed, and is unknown unless there was one at both.",
        "as stated by the source; rank 0 STRONG_SELL to 4 STRONG_BUY", _STATED, 0, 4,
        choices=RECOMMENDATIONS, completed_bars=True,
    ),
    _advice(
        "confidence_score", _NUMBER, "fraction", "How sure the source is of its recommendation, 0 to 1.",
        "probability of the class, as stated by the source", _STATED, 0, 1,
    ),
    _advice(
        "expected_return_percentage", _PERCENTAGE, "percent",
        "Return that the source expects; unknown where it gives none.", "as stated by the source", _STATED, -100,
    ),
    _advice(
        "recommendation_age_minutes", _NUMBER, "minutes", "Market time since the recommendation was made.",
        "(snapshot as_of - recommendation as_of) / 60 s", _OWN, 0,
    ),
    _advice(
        "source_hit_rate", _NUMBER, "fraction",
        "How often the advice of this source has come true within the last 365 market days, 0 to 1; unknown while "
        "fewer than 30 outcomes are known. HOLD does not count.",
        "advice that went its way until it expired / advice that expired", _OWN, 0, 1,
    ),
    _portfolio(
        "portfolio_cash_percentage", _PERCENTAGE, "percent",
        "Free cash as part of equity; what working buys have reserved counts as spent.",
        "(cash - reserved cash) / equity * 100", _OWN, 0, 100,
    ),
    _portfolio(
        "portfolio_equity", _NUMBER, "base currency", "Cash, reserved or not, and positions at the last price.",
        "cash + sum(quantity * price)", "definition of net asset value, marked to market", 0,
    ),
    _portfolio(
        "daily_pnl_percentage", _PERCENTAGE, "percent",
        "Gain or loss against the market day's first equity; -3 is a loss of 3 %.",
        "(equity / first equity of the market day - 1) * 100", _RETURN, -100,
    ),
    _portfolio(
        "drawdown_percentage", _PERCENTAGE, "percent",
        "How far equity lies below its peak; 10 when a tenth is lost.", "(1 - equity / peak equity) * 100",
        _DRAWDOWN, 0, 100,
    ),
    _portfolio(
        "open_positions", _INTEGER, "positions",
        "Number of symbols held or being bought: a working buy counts as held.",
        "count(quantity > 0 or cash reserved for working buys > 0)", _OWN, 0,
    ),
    _portfolio(
        "gross_exposure_percentage", _PERCENTAGE, "percent",
        "Value of all positions as part of equity; cash reserved for working buys counts as held.",
        "sum(quantity * price + cash reserved for working buys) / equity * 100",
        "definition of gross exposure; positions are long only", 0,
    ),
    _position(
        "position_pnl_percentage", _PERCENTAGE, "percent",
        "Unrealised gain or loss against the average entry price; -5 is a loss of 5 %.",
        "(price / average entry price - 1) * 100", _RETURN, -100,
    ),
    _position(
        "position_weight_percentage", _PERCENTAGE, "percent",
        "Value of the position as part of equity; cash reserved for its working buys counts as held.",
        "(quantity * price + cash reserved for its working buys) / equity * 100", _OWN, 0,
    ),
    _position(
        "holding_days", _INTEGER, "days", "Whole days of market time since the position was opened.",
        "floor((as_of - opened_at) / 1 day)", _OWN, 0,
    ),
    _position(
        "drawdown_from_peak_percentage", _PERCENTAGE, "percent",
        "How far the price lies below its peak since the position was opened (a trailing stop).",
        "(1 - price / peak price since opened) * 100", _DRAWDOWN, 0, 100,
    ),
    _position(
        "position_quantity", _NUMBER, "shares",
        "Shares held: 0 where nothing is held or being bought, unknown while the first shares are being bought.",
        "bought - sold", _OWN, 0, where_not_held=0.0,
    ),
    _diversification(
        "sector_exposure_percentage", _PERCENTAGE, "percent",
        "Part of equity held in the symbol's sector; cash reserved for working buys counts as held.",
        "sum(quantity * price + cash reserved for working buys, over the sector) / equity * 100", _OWN, 0,
    ),
    _diversification(
        "max_correlation", _NUMBER, "correlation",
        "Highest correlation of the symbol's last 60 daily returns with those of each other symbol that is held "
        "or being bought; 0 when there is none, unknown when any of them is.",
        "max over the others of Pearson's r of 60 daily returns", _PEARSON, -1, 1,
    ),
    _diversification(
        "average_correlation", _NUMBER, "correlation",
        "Mean correlation of the symbol's last 60 daily returns with those of each other symbol that is held "
        "or being bought; 0 when there is none, unknown when any of them is.",
        "mean over the others of Pearson's r of 60 daily returns", _PEARSON, -1, 1,
    ),
    _time(
        "time_of_day", FieldType.TIME_OF_DAY, "HH:MM at the exchange",
        "Market time on the clock of the symbol's exchange.", "minutes since local midnight", _LOCAL, 0, 1440,
    ),
    _time(
        "weekday", FieldType.WEEKDAY, "day", "Day of the week at the symbol's exchange.",
        "local date; MONDAY 0 to SUNDAY 6", _LOCAL, 0, 6, choices=WEEKDAYS,
    ),
    _time(
        "minutes_since_open", _NUMBER, "minutes", "Minutes since the exchange opened; unknown while it is closed.",
        "(as_of - opens_at) / 60 s", _HOURS, 0, 1440,
    ),
    _time(
        "minutes_to_close", _NUMBER, "minutes", "Minutes until the exchange closes; unknown while it is closed.",
        "(closes_at - as_of) / 60 s", _HOURS, 0, 1440,
    ),
)
# fmt: on

CATALOGUE: Mapping[str, FieldSpec] = MappingProxyType({spec.name: spec for spec in _FIELDS})
