"""The one catalogue of fields that a rule may speak of.

Validation, the program, explanations, the API, the admin form and the docs all
read it, so a field exists everywhere or nowhere. A field stands here only when
the system really supplies it: a rule is never accepted on a fact that never comes.

Every fact is a float64. Ordered enumerations and weekdays are given as their
rank (`STRONG_SELL` 0 … `STRONG_BUY` 4, `MONDAY` 0 … `SUNDAY` 6), a time of day
as minutes since local midnight. What is not finite is unknown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from market.core.fields import MARKET_FIELDS


class FieldKind(StrEnum):
    """Whose fact it is: that decides where it is looked up."""

    MARKET = "market"
    RECOMMENDATION = "recommendation"
    PORTFOLIO = "portfolio"
    POSITION = "position"
    DIVERSIFICATION = "diversification"
    TIME = "time"


class FieldType(StrEnum):
    """How a literal is written and which operators suit it."""

    NUMBER = "number"
    INTEGER = "integer"
    PERCENTAGE = "percentage"
    ORDERED_ENUM = "ordered_enum"
    TIME_OF_DAY = "time_of_day"
    WEEKDAY = "weekday"


RECOMMENDATIONS = ("STRONG_SELL", "SELL", "HOLD", "BUY", "STRONG_BUY")
WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")

NUMERIC_TYPES = frozenset({FieldType.NUMBER, FieldType.INTEGER, FieldType.PERCENTAGE})


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field: what it means, in which unit, where it comes from.

    `minimum` and `maximum` bound what the fact can ever be (None: no bound), so
    that a comparison outside is refused as a mistake. `completed_bars` says that
    the value is also kept for the last two completed bars, which the operators
    `crosses_above`, `crosses_below` and `changed_to` need.
    """

    name: str
    kind: FieldKind
    type: FieldType
    unit: str
    meaning: str
    source: str
    formula: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    completed_bars: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON for the API's catalogue and the admin form."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "type": self.type.value,
            "unit": self.unit,
            "meaning": self.meaning,
            "source": self.source,
            "formula": self.formula,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "choices": list(self.choices),
            "completed_bars": self.completed_bars,
        }


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
    "volatility": (_NUMBER, "Annualised volatility of 20 daily returns as a fraction; 0.25 is 25 %.", 0, 10),
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
            field.name,
            FieldKind.MARKET,
            type_,
            field.unit,
            meaning,
            "market.core.features",
            field.formula,
            minimum,
            maximum,
            completed_bars=field.name not in _WITHOUT_BARS,
        )


def _recommendation(
    name: str,
    type_: FieldType,
    unit: str,
    meaning: str,
    formula: str,
    *bounds: float,
    choices: tuple[str, ...] = (),
) -> FieldSpec:
    minimum, maximum = (*bounds, None)[:2]
    source = "trading.core.market_facts"
    kind = FieldKind.RECOMMENDATION
    return FieldSpec(name, kind, type_, unit, meaning, source, formula, minimum, maximum, choices)


def _owned(
    kind: FieldKind, name: str, type_: FieldType, unit: str, meaning: str, formula: str, *bounds: float
) -> FieldSpec:
    minimum, maximum = (*bounds, None)[:2]
    return FieldSpec(name, kind, type_, unit, meaning, "portfolios.core.facts", formula, minimum, maximum)


def _time(
    name: str,
    type_: FieldType,
    unit: str,
    meaning: str,
    formula: str,
    maximum: float,
    choices: tuple[str, ...] = (),
) -> FieldSpec:
    source = "rules.core.clock"
    return FieldSpec(name, FieldKind.TIME, type_, unit, meaning, source, formula, 0, maximum, choices)


_PORTFOLIO, _POSITION = FieldKind.PORTFOLIO, FieldKind.POSITION

_FIELDS = (
    *_market_fields(),
    _recommendation(
        "ai_recommendation",
        FieldType.ORDERED_ENUM,
        "class",
        "The recommendation that counts, unless it has expired: of the first of the session's sources that has "
        "one; where it names no sources, the newest of all.",
        "as stated by the source; rank 0 STRONG_SELL to 4 STRONG_BUY",
        0,
        4,
        choices=RECOMMENDATIONS,
    ),
    _recommendation(
        "confidence_score",
        _NUMBER,
        "fraction",
        "How sure the source is of its recommendation, 0 to 1.",
        "probability of the class, as stated by the source",
        0,
        1,
    ),
    _recommendation(
        "expected_return_percentage",
        _PERCENTAGE,
        "percent",
        "Return that the source expects; unknown where it gives none.",
        "as stated by the source",
        -100,
    ),
    _recommendation(
        "recommendation_age_minutes",
        _NUMBER,
        "minutes",
        "Market time since the recommendation was made.",
        "(snapshot as_of - recommendation as_of) / 60 s",
        0,
    ),
    _owned(
        _PORTFOLIO,
        "portfolio_cash_percentage",
        _PERCENTAGE,
        "percent",
        "Free cash as part of equity; what working buys have reserved counts as spent.",
        "(cash - reserved cash) / equity * 100",
        0,
        100,
    ),
    _owned(
        _PORTFOLIO,
        "portfolio_equity",
        _NUMBER,
        "base currency",
        "Cash, reserved or not, and positions at the last price.",
        "cash + sum(quantity * price)",
        0,
    ),
    _owned(
        _PORTFOLIO,
        "daily_pnl_percentage",
        _PERCENTAGE,
        "percent",
        "Gain or loss against the market day's first equity; -3 is a loss of 3 %.",
        "(equity / first equity of the market day - 1) * 100",
        -100,
    ),
    _owned(
        _PORTFOLIO,
        "drawdown_percentage",
        _PERCENTAGE,
        "percent",
        "How far equity lies below its peak; 10 when a tenth is lost.",
        "(1 - equity / peak equity) * 100",
        0,
        100,
    ),
    _owned(
        _PORTFOLIO,
        "open_positions",
        _INTEGER,
        "positions",
        "Number of symbols held or being bought: a working buy counts as held.",
        "count(quantity > 0 or cash reserved for working buys > 0)",
        0,
    ),
    _owned(
        _PORTFOLIO,
        "gross_exposure_percentage",
        _PERCENTAGE,
        "percent",
        "Value of all positions as part of equity; cash reserved for working buys counts as held.",
        "sum(quantity * price + cash reserved for working buys) / equity * 100",
        0,
    ),
    _owned(
        _POSITION,
        "position_pnl_percentage",
        _PERCENTAGE,
        "percent",
        "Unrealised gain or loss against the average entry price; -5 is a loss of 5 %.",
        "(price / average entry price - 1) * 100",
        -100,
    ),
    _owned(
        _POSITION,
        "position_weight_percentage",
        _PERCENTAGE,
        "percent",
        "Value of the position as part of equity; cash reserved for its working buys counts as held.",
        "(quantity * price + cash reserved for its working buys) / equity * 100",
        0,
    ),
    _owned(
        _POSITION,
        "holding_days",
        _INTEGER,
        "days",
        "Whole days of market time since the position was opened.",
        "floor((as_of - opened_at) / 1 day)",
        0,
    ),
    _owned(
        _POSITION,
        "drawdown_from_peak_percentage",
        _PERCENTAGE,
        "percent",
        "How far the price lies below its peak since the position was opened (a trailing stop).",
        "(1 - price / peak price since opened) * 100",
        0,
        100,
    ),
    _owned(_POSITION, "position_quantity", _NUMBER, "shares", "Shares held.", "bought - sold", 0),
    _owned(
        FieldKind.DIVERSIFICATION,
        "sector_exposure_percentage",
        _PERCENTAGE,
        "percent",
        "Part of equity held in the symbol's sector; cash reserved for working buys counts as held.",
        "sum(quantity * price + cash reserved for working buys, over the sector) / equity * 100",
        0,
    ),
    _time(
        "time_of_day",
        FieldType.TIME_OF_DAY,
        "HH:MM at the exchange",
        "Market time on the clock of the symbol's exchange.",
        "minutes since local midnight",
        1440,
    ),
    _time(
        "weekday",
        FieldType.WEEKDAY,
        "day",
        "Day of the week at the symbol's exchange.",
        "local date; MONDAY 0 to SUNDAY 6",
        6,
        WEEKDAYS,
    ),
    _time(
        "minutes_since_open",
        _NUMBER,
        "minutes",
        "Minutes since the exchange opened; unknown while it is closed.",
        "(as_of - opens_at) / 60 s",
        1440,
    ),
    _time(
        "minutes_to_close",
        _NUMBER,
        "minutes",
        "Minutes until the exchange closes; unknown while it is closed.",
        "(closes_at - as_of) / 60 s",
        1440,
    ),
)

CATALOGUE: Mapping[str, FieldSpec] = MappingProxyType({spec.name: spec for spec in _FIELDS})
