"""Telling conditions one by one on single numbers: fact, threshold, outcome, and a phrase for each.

Plain Python that shares no arithmetic with the program over vectors. Outcomes are True, False or None (unknown).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rules.core.facts import MarketFacts, PortfolioFacts
from rules.core.fields import CATALOGUE, FieldKind
from rules.core.language import (
    BAR_OPERATORS,
    AllOf,
    Choices,
    Comparison,
    Constant,
    FieldReference,
    Interval,
    Node,
    Not,
    Operator,
    shown,
)

Outcome = bool | None

_TESTS: Mapping[Operator, Callable[[float, float], bool]] = {
    Operator.EQUALS: lambda fact, threshold: fact == threshold,
    Operator.NOT_EQUALS: lambda fact, threshold: fact != threshold,
    Operator.GREATER_THAN: lambda fact, threshold: fact > threshold,
    Operator.GREATER_OR_EQUAL: lambda fact, threshold: fact >= threshold,
    Operator.LESS_THAN: lambda fact, threshold: fact < threshold,
    Operator.LESS_OR_EQUAL: lambda fact, threshold: fact <= threshold,
}
_WORDS: Mapping[Operator, str] = {
    Operator.EQUALS: "equal to",
    Operator.NOT_EQUALS: "different from",
    Operator.GREATER_THAN: "above",
    Operator.GREATER_OR_EQUAL: "at least",
    Operator.LESS_THAN: "below",
    Operator.LESS_OR_EQUAL: "at most",
    Operator.BETWEEN: "between",
    Operator.IN: "one of",
    Operator.NOT_IN: "none of",
    Operator.CROSSES_ABOVE: "crossing above",
    Operator.CROSSES_BELOW: "crossing below",
    Operator.CHANGED_TO: "changing to",
}

# What a sentence names at most; the tree has everything.
PHRASES_MAX = 20
CHOICES_TOLD_MAX = 5


@dataclass(frozen=True, slots=True)
class Told:
    """The outcome of a node, its tree as plain JSON, and the phrases that decided."""

    outcome: Outcome
    tree: dict[str, Any]
    phrases: tuple[str, ...]


def joined(outcomes: Sequence[Outcome], *, decisive: bool) -> Outcome:
    """Kleene's *and* (False decides) or *or* (True decides): one unknown leaves open what nobody decided."""
    return decisive if decisive in outcomes else None if None in outcomes else not decisive


class Teller:
    """Looks facts up one at a time."""

    def __init__(self, market: MarketFacts, portfolio: PortfolioFacts, symbol: str | None) -> None:
        self._market = market
        self._portfolio = portfolio
        self._symbol = symbol

    def tell(self, node: Node) -> Told:
        """The node told whole, but with no more phrases than somebody reads."""
        told = self._tell(node)
        more = len(told.phrases) - PHRASES_MAX
        return told if more <= 0 else replace(told, phrases=(*told.phrases[:PHRASES_MAX], f"{more} more"))

    def fact(self, field: str) -> Any:
        """One fact as an explanation shows it; None where it is unknown."""
        number = self._fact(field)
        return None if number is None else shown(field, number)

    def _tell(self, node: Node) -> Told:
        if isinstance(node, Comparison):
            return self._tell_bars(node) if node.operator in BAR_OPERATORS else self._tell_comparison(node)
        if isinstance(node, Not):
            child = self._tell(node.node)
            outcome = None if child.outcome is None else not child.outcome
            return Told(outcome, {"not": child.tree, "outcome": outcome}, child.phrases)
        children = [self._tell(child) for child in node.nodes]
        decisive = not isinstance(node, AllOf)  # one false decides "all", one true decides "any"
        outcome = joined([child.outcome for child in children], decisive=decisive)
        group = "any" if decisive else "all"
        tree = {group: [child.tree for child in children], "outcome": outcome}
        phrases = tuple(phrase for child in children if child.outcome is outcome for phrase in child.phrases)
        return Told(outcome, tree, phrases)

    def _fact(self, field: str) -> float | None:
        kind = CATALOGUE[field].kind
        if kind is FieldKind.PORTFOLIO:
            return _known(self._portfolio.values.get(field))
        if self._symbol is None:
            return None
        if kind is FieldKind.POSITION:
            return self._position_fact(field, self._symbol)
        if kind is FieldKind.DIVERSIFICATION:
            return _known(self._portfolio.symbols.get(self._symbol, {}).get(field))
        place = self._market.index.get(self._symbol)
        if place is None or field not in self._market.values:
            return None
        return _known(float(self._market.values[field][place]))

    def _position_fact(self, field: str, symbol: str) -> float | None:
        position = self._portfolio.positions.get(symbol)
        if position is not None:
            return _known(position.get(field))
        return None if symbol in self._portfolio.awaited else CATALOGUE[field].where_not_held

    def _bars(self, field: str) -> tuple[float | None, float | None]:
        place = self._market.index.get(self._symbol) if self._symbol is not None else None
        if place is None or field not in self._market.completed:
            return None, None
        previous, last = self._market.completed[field]
        return _known(float(previous[place])), _known(float(last[place]))

    def _tell_comparison(self, node: Comparison) -> Told:
        fact = self._fact(node.field)
        value = node.value
        outcome: Outcome
        threshold: Any
        too_large = False
        if isinstance(value, Interval):
            threshold = [shown(node.field, value.low), shown(node.field, value.high)]
            outcome = None if fact is None else value.low <= fact <= value.high
        elif isinstance(value, Choices):
            threshold = [shown(node.field, number) for number in value.numbers]
            outcome = None if fact is None else (fact in value.numbers) is (node.operator is Operator.IN)
        else:
            number, too_large = self._threshold(value)
            threshold = None if number is None else shown(node.field, number)
            outcome = None if fact is None or number is None else _TESTS[node.operator](fact, number)
        shown_fact = None if fact is None else shown(node.field, fact)
        return _told(node, shown_fact, threshold, outcome, too_large=too_large)

    def _threshold(self, value: Constant | FieldReference) -> tuple[float | None, bool]:
        if isinstance(value, Constant):
            return value.number, False
        return _scaled(self._fact(value.field), value.times)

    def _tell_bars(self, node: Comparison) -> Told:
        facts = self._bars(node.field)
        value = node.value
        assert isinstance(value, Constant | FieldReference), "bars are compared with one number or field"
        thresholds: tuple[float | None, float | None]
        too_large = False
        if isinstance(value, Constant):
            thresholds = value.number, value.number
        else:
            bars = self._bars(value.field)
            (before, before_too_large), (after, after_too_large) = (_scaled(bar, value.times) for bar in bars)
            thresholds = before, after
            too_large = None not in bars and (before_too_large or after_too_large)
        return _told(
            node,
            _pair(node.field, facts),
            _pair(node.field, thresholds),
            _crossed(node.operator, facts, thresholds),
            too_large=too_large,
        )


def _crossed(
    operator: Operator,
    facts: tuple[float | None, float | None],
    thresholds: tuple[float | None, float | None],
) -> Outcome:
    previous, last = facts
    before, after = thresholds
    if previous is None or last is None or before is None or after is None:
        return None
    if operator is Operator.CROSSES_ABOVE:
        return previous <= before and last > after
    if operator is Operator.CROSSES_BELOW:
        return previous >= before and last < after
    return previous != before and last == after


def _known(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _scaled(fact: float | None, times: float) -> tuple[float | None, bool]:
    """A fact times a factor, and whether the product of a known fact is beyond any float64."""
    if fact is None:
        return None, False
    product = _known(fact * times)
    return product, product is None


def _pair(field: str, bars: tuple[float | None, float | None]) -> dict[str, Any]:
    previous, last = (None if number is None else shown(field, number) for number in bars)
    return {"previous": previous, "last": last}


def _told(node: Comparison, fact: Any, threshold: Any, outcome: Outcome, *, too_large: bool) -> Told:
    tree: dict[str, Any] = {
        "field": node.field,
        "operator": node.operator.value,
        "fact": fact,
        "threshold": threshold,
        "outcome": outcome,
    }
    if isinstance(node.value, FieldReference):
        tree["compared_with"] = {"field": node.value.field, "times": node.value.times}
    return Told(outcome, tree, (_phrase(node, fact, threshold, outcome, too_large=too_large),))


def _phrase(node: Comparison, fact: Any, threshold: Any, outcome: Outcome, *, too_large: bool) -> str:
    name = _label(node.field)
    other = ""
    if isinstance(node.value, FieldReference):
        times = node.value.times
        other = ("" if times == 1 else f"{_factor(times)} times ") + _label(node.value.field)
    if outcome is None and too_large and not _missing(fact):
        return f"{other} is too large"
    if outcome is None:
        missing = name if _missing(fact) or not other else _label(getattr(node.value, "field", ""))
        return f"{missing} is unknown"
    exactly = _look_alike(fact, threshold)
    limit = _limit(node, threshold, exactly=exactly)
    relation = f"{'' if outcome else 'not '}{_WORDS[node.operator]}"
    if other:
        limit = f"{other} ({limit})"
    return f"{name} is {_fact_text(fact, exactly=exactly)}, {relation} {limit}"


def _look_alike(fact: Any, threshold: Any) -> bool:
    """Whether a fact would read the same, when rounded, as a threshold or a bar that differs from it."""
    return any(
        one != other and _number(one) == _number(other)
        for one in _parts(fact)
        for other in (*_parts(fact), *_parts(threshold))
    )


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else [value]


def _missing(fact: Any) -> bool:
    return fact is None or (isinstance(fact, dict) and None in fact.values())


def _fact_text(fact: Any, *, exactly: bool) -> str:
    if isinstance(fact, dict):
        previous, last = (_number(fact[bar], exactly=exactly) for bar in ("previous", "last"))
        return f"{last} after {previous}"
    return _number(fact, exactly=exactly)


def _limit(node: Comparison, threshold: Any, *, exactly: bool) -> str:
    if isinstance(threshold, dict):
        if isinstance(node.value, FieldReference):
            return _fact_text(threshold, exactly=exactly)
        threshold = threshold["last"]  # a literal is the same at both bars
    texts = [_number(item, exactly=exactly) for item in _parts(threshold)]
    if node.operator is Operator.BETWEEN:
        return " and ".join(texts)
    more = len(texts) - CHOICES_TOLD_MAX
    return ", ".join(texts[:CHOICES_TOLD_MAX]) + (f" … and {more} more" if more > 0 else "")


def _factor(times: float) -> str:
    """The factor to its last digit where rounding would hide some of it: 1.00001 is not 1."""
    text = _number(times)
    return text if float(text.replace(",", "")) == times else repr(times)


def _number(value: float | int | str, *, exactly: bool = False) -> str:
    """A number as people read it: thousands grouped, four decimals at most unless it is tiny."""
    if isinstance(value, str):
        return value
    if exactly:
        return repr(value)
    if value != 0 and not 1e-3 <= abs(value) < 1e15:
        return f"{value:.4g}"
    text = f"{value:,.4f}"
    return text.rstrip("0").rstrip(".")


def _label(field: str) -> str:
    return field.replace("_", " ")
