"""One comparison in plain English: "the price is up more than 3 % in one session".

A field may have its own words. One that has none is told by its name in the
catalogue, so a new field never breaks a description. Numbers stand in the unit that
people use: a confidence of 0.8 is 80 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from rules.core.fields import CATALOGUE, FieldType
from rules.core.language import Choices, Comparison, Constant, FieldReference, Interval, Operator, shown

_ABOVE: Mapping[Operator, str] = {
    Operator.EQUALS: "is equal to",
    Operator.NOT_EQUALS: "is not equal to",
    Operator.GREATER_THAN: "is above",
    Operator.GREATER_OR_EQUAL: "is at least",
    Operator.LESS_THAN: "is below",
    Operator.LESS_OR_EQUAL: "is at most",
    Operator.BETWEEN: "is between",
    Operator.IN: "is one of",
    Operator.NOT_IN: "is none of",
    Operator.CROSSES_ABOVE: "crosses above",
    Operator.CROSSES_BELOW: "crosses below",
    Operator.CHANGED_TO: "changes to",
}
_MORE: Mapping[Operator, str] = {
    Operator.EQUALS: "exactly",
    Operator.GREATER_THAN: "more than",
    Operator.GREATER_OR_EQUAL: "at least",
    Operator.LESS_THAN: "less than",
    Operator.LESS_OR_EQUAL: "at most",
    Operator.BETWEEN: "between",
}
_LESS = {Operator.GREATER_THAN: "less than", Operator.GREATER_OR_EQUAL: "at most"}
_RISING = {Operator.GREATER_THAN: "more than", Operator.GREATER_OR_EQUAL: "at least"}
_FALLING = {Operator.LESS_THAN: "more than", Operator.LESS_OR_EQUAL: "at least"}
_ADVICE: Mapping[Operator, str] = {
    Operator.EQUALS: "the AI says {}",
    Operator.NOT_EQUALS: "the AI does not say {}",
    Operator.GREATER_THAN: "the AI says better than {}",
    Operator.GREATER_OR_EQUAL: "the AI says {} or better",
    Operator.LESS_THAN: "the AI says worse than {}",
    Operator.LESS_OR_EQUAL: "the AI says {} or worse",
    Operator.BETWEEN: "the AI says between {}",
    Operator.IN: "the AI says {}",
    Operator.NOT_IN: "the AI does not say {}",
    Operator.CHANGED_TO: "the AI changes to {}",
}
_TIME: Mapping[Operator, str] = {
    Operator.GREATER_THAN: "it is after {}",
    Operator.GREATER_OR_EQUAL: "it is {} or later",
    Operator.LESS_THAN: "it is before {}",
    Operator.LESS_OR_EQUAL: "it is {} or earlier",
    Operator.BETWEEN: "it is between {}",
}
_DAY: Mapping[Operator, str] = {
    Operator.EQUALS: "it is {}",
    Operator.NOT_EQUALS: "it is not {}",
    Operator.IN: "it is {}",
    Operator.NOT_IN: "it is not {}",
}


@dataclass(frozen=True, slots=True)
class Phrase:
    """How a field is spoken of.

    `noun` is the fact itself; `amount` takes "more than 10 %" in its braces; `move`
    takes "up more than 3 %" or "down …" of a fact that may be negative; `below`
    takes "more than 20 %" of one whose negative is a distance. `sentences` are whole
    clauses by operator.
    """

    noun: str
    amount: str = ""
    move: str = ""
    below: str = ""
    sentences: Mapping[Operator, str] | None = None


PHRASES: Mapping[str, Phrase] = {
    "price": Phrase("the price"),
    "change_percentage_1d": Phrase("the change in one session", move="the price is {} in one session"),
    "change_percentage_5d": Phrase("the change in five sessions", move="the price is {} in five sessions"),
    "change_percentage_20d": Phrase(
        "the change in twenty sessions", move="the price is {} in twenty sessions"
    ),
    "volume": Phrase("the volume"),
    "relative_volume": Phrase("the volume against its average", "the volume is {} its average"),
    "volatility": Phrase("the volatility"),
    "atr": Phrase("the average true range"),
    "rsi": Phrase("the RSI"),
    "sma_20": Phrase("the 20-day average"),
    "sma_50": Phrase("the 50-day average"),
    "sma_200": Phrase("the 200-day average"),
    "spread_bps": Phrase("the spread"),
    "high_52w_distance": Phrase(
        "the distance from the 52-week high", below="the price is {} below its 52-week high"
    ),
    "ai_recommendation": Phrase("the AI's advice", sentences=_ADVICE),
    "confidence_score": Phrase("the AI's confidence"),
    "expected_return_percentage": Phrase("the expected return"),
    "recommendation_age_minutes": Phrase("the age of the AI's advice", "the AI's advice is {} old"),
    "source_hit_rate": Phrase("the hit rate of the AI's source", "the AI's source was right {} of the time"),
    "portfolio_cash_percentage": Phrase("the portfolio's cash", "{} of the portfolio is cash"),
    "portfolio_equity": Phrase("the portfolio's equity"),
    "daily_pnl_percentage": Phrase("the portfolio's result of the day", move="the portfolio is {} today"),
    "drawdown_percentage": Phrase("the portfolio's drawdown", "the portfolio is {} below its peak"),
    "open_positions": Phrase("the number of open positions"),
    "gross_exposure_percentage": Phrase("the invested part of equity", "{} of equity is invested"),
    "position_pnl_percentage": Phrase("the result of the position", move="the position is {}"),
    "position_weight_percentage": Phrase("the weight of the position", "the position is {} of equity"),
    "holding_days": Phrase("the time the position was held", "the position was held for {}"),
    "drawdown_from_peak_percentage": Phrase(
        "the fall of the position from its peak", "the position is {} below its peak"
    ),
    "position_quantity": Phrase("the size of the position", "the position has {}"),
    "sector_exposure_percentage": Phrase(
        "the exposure to the sector", "{} of equity is in the symbol's sector"
    ),
    "max_correlation": Phrase("the highest correlation with what is held"),
    "average_correlation": Phrase("the average correlation with what is held"),
    "time_of_day": Phrase("the time of day", sentences=_TIME),
    "weekday": Phrase("the weekday", sentences=_DAY),
    "minutes_since_open": Phrase("the time since the open", "the exchange has been open for {}"),
    "minutes_to_close": Phrase("the time to the close", "the close is {} away"),
}

# Unit of the catalogue -> factor, and what stands behind the number.
_UNITS: Mapping[str, tuple[int, str]] = {
    "percent": (1, " %"),
    "fraction": (100, " %"),
    "fraction per year": (100, " % per year"),
    "minutes": (1, " minutes"),
    "days": (1, " days"),
    "shares": (1, " shares"),
    "basis points": (1, " basis points"),
    "ratio": (1, " times"),
}


def clause_of(comparison: Comparison) -> str:
    """The comparison as a clause, without "when" and full stop."""
    comparison = _plain(comparison)
    operator, value = comparison.operator, comparison.value
    phrase = phrase_of(comparison.field)
    if phrase.sentences is not None and operator in phrase.sentences:
        return phrase.sentences[operator].format(_limit(comparison))
    if isinstance(value, Constant):
        told = _signed(phrase, comparison.field, operator, value.number)
        if told is not None:
            return told
    if phrase.amount and operator in _MORE and not isinstance(value, FieldReference):
        return phrase.amount.format(f"{_MORE[operator]} {_limit(comparison)}")
    return f"{phrase.noun} {_ABOVE[operator]} {_limit(comparison)}"


def phrase_of(field: str) -> Phrase:
    """The field's own words, or its name."""
    return PHRASES.get(field) or Phrase("the " + field.replace("_", " "))


def value_of(field: str, number: float) -> str:
    """A literal in the unit that people use: `80 %`, `09:45`, `Monday`, `1 day`."""
    spec = CATALOGUE[field]
    if spec.choices or spec.type is FieldType.TIME_OF_DAY:
        text = str(shown(field, number))
        return text.capitalize() if spec.type is FieldType.WEEKDAY else text
    factor, unit = _UNITS.get(spec.unit, (1, ""))
    text = number_text(number * factor) + unit
    return text[:-1] if text in {"1 minutes", "1 days", "1 shares", "1 basis points", "1 times"} else text


def number_text(number: float | int) -> str:
    """A number as people write it: thousands grouped, and no exponent unless it is tiny."""
    if number and abs(number) < 1e-9:
        return f"{number:.6g}"
    # Fifteen digits hide what multiplying by 100 adds to a float: 7.000000000000001. Adding 0 makes -0 zero.
    text = format(Decimal(f"{number:.15g}") + 0, ",f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def listed(words: Sequence[str], joint: str) -> str:
    """`a, b or c`."""
    return joint.join(filter(None, (", ".join(words[:-1]), words[-1])))


def _plain(node: Comparison) -> Comparison:
    """One of one choice is that choice."""
    if isinstance(node.value, Choices) and len(node.value.numbers) == 1:
        operator = Operator.EQUALS if node.operator is Operator.IN else Operator.NOT_EQUALS
        return replace(node, operator=operator, value=Constant(node.value.numbers[0]))
    return node


def _signed(phrase: Phrase, field: str, operator: Operator, number: float) -> str | None:
    """Up and down, where the sign and the operator say the same; "up less than 3 %" could be a loss."""
    size = value_of(field, abs(number))
    if phrase.move:
        if operator in _RISING and number > 0:
            return phrase.move.format(f"up {_RISING[operator]} {size}")
        if operator in _FALLING and number < 0:
            return phrase.move.format(f"down {_FALLING[operator]} {size}")
        if number == 0 and operator in (Operator.GREATER_THAN, Operator.LESS_THAN):
            return phrase.move.format("up" if operator is Operator.GREATER_THAN else "down")
    distance = (_FALLING | _LESS).get(operator)
    if phrase.below and distance and number < 0:
        return phrase.below.format(f"{distance} {size}")
    return None


def _limit(comparison: Comparison) -> str:
    field, value = comparison.field, comparison.value
    if isinstance(value, Constant):
        return value_of(field, value.number)
    if isinstance(value, Interval):
        return f"{value_of(field, value.low)} and {value_of(field, value.high)}"
    if isinstance(value, Choices):
        return listed([value_of(field, number) for number in value.numbers], " or ")
    other = phrase_of(value.field).noun
    return other if value.times == 1 else f"{number_text(value.times)} × {other}"
