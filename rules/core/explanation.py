"""Why a rule fires, or does not, for one symbol: condition by condition, in words.

This is plain Python on single numbers (`rules.core.telling`) and shares no
arithmetic with the program over vectors: it is both the answer to "why?" and the
second opinion that the program is tested against.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rules.core.conditions import parse_conditions
from rules.core.facts import MarketFacts, PortfolioFacts
from rules.core.fields import CATALOGUE, FieldKind
from rules.core.language import AllOf, fields_of
from rules.core.schedule import schedule_node
from rules.core.source import looks_everywhere
from rules.core.telling import Outcome, Teller, Told, joined


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict with its reasons.

    `tree` has the shape of the conditions; each comparison carries `fact`,
    `threshold` and `outcome`, each group its `outcome`. `schedule` is the same for
    the rule's schedule, None without one. Both are plain JSON: an unknown fact is
    null. `sentence` names the facts that decided.
    """

    outcome: Outcome
    tree: dict[str, Any]
    sentence: str
    schedule: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        told = {"outcome": self.outcome, "sentence": self.sentence, "conditions": self.tree}
        return told if self.schedule is None else {**told, "schedule": self.schedule}


def explain(
    conditions: Sequence[object] | AllOf,
    *,
    market: MarketFacts,
    portfolio: PortfolioFacts,
    symbol: str | None,
) -> Explanation:
    """The verdict on conditions for one symbol (None: for the portfolio as a whole)."""
    return _verdict(Teller(market, portfolio, symbol).tell(_parsed(conditions)), None, symbol)


def explain_rule(
    *,
    rule_type: str,
    conditions: Sequence[object] | AllOf,
    trades: bool,
    market: MarketFacts,
    portfolio: PortfolioFacts,
    symbol: str | None,
    schedule: Mapping[str, Any] | None = None,
    blocks: bool = False,
) -> Explanation:
    """The verdict on a rule: its conditions, its schedule, and whether it looks at the symbol at all.

    An exit or risk rule looks at held symbols only (but for `looks_everywhere`), and
    every rule only at the owner's universe. A risk rule, or a rule that only alerts, whose conditions are
    all about the portfolio is told for the portfolio, whatever the symbol; its
    schedule then holds when it holds for any symbol of the market in the universe.
    """
    node = _parsed(conditions)
    hours = schedule_node(schedule)
    if told_for_portfolio(rule_type, node, trades=trades):
        told = Teller(market, portfolio, None).tell(node)
        return _verdict(told, None if hours is None else _hours_anywhere(hours, market, portfolio), None)
    everywhere = looks_everywhere(rule_type, trades=trades, blocks=blocks)
    obstacle = _obstacle(rule_type, everywhere, market, portfolio, symbol)
    teller = Teller(market, portfolio, symbol)
    explanation = _verdict(teller.tell(node), None if hours is None else teller.tell(hours), symbol)
    if obstacle is None:
        return explanation
    return Explanation(False, explanation.tree, obstacle, explanation.schedule)


def told_for_portfolio(rule_type: str, conditions: Sequence[object] | AllOf, *, trades: bool) -> bool:
    """Whether a rule is one verdict on the portfolio as a whole, and not one for each symbol."""
    about_portfolio = all(
        CATALOGUE[name].kind is FieldKind.PORTFOLIO for name in fields_of(_parsed(conditions))
    )
    return about_portfolio and (rule_type == "risk" or not trades)


def _parsed(conditions: Sequence[object] | AllOf) -> AllOf:
    return conditions if isinstance(conditions, AllOf) else parse_conditions(conditions)


def _verdict(conditions: Told, hours: Told | None, symbol: str | None) -> Explanation:
    parts = [conditions] if hours is None else [conditions, hours]
    outcome = joined([part.outcome for part in parts], decisive=False)
    phrases = [phrase for part in parts if part.outcome is outcome for phrase in part.phrases]
    verdict = {True: "True", False: "Not true", None: "Unknown"}[outcome]
    subject = f"for {symbol}" if symbol is not None else "for the portfolio"
    sentence = f"{verdict} {subject}: {', and '.join(phrases)}."
    return Explanation(outcome, conditions.tree, sentence, None if hours is None else hours.tree)


def _hours_anywhere(hours: AllOf, market: MarketFacts, portfolio: PortfolioFacts) -> Told:
    """A schedule told for the portfolio as a whole: by the first symbol for which it holds, else by one that
    decides. Symbols of one exchange have the same hours and are told once.
    """
    places = [
        place
        for place, symbol in enumerate(market.symbols)
        if portfolio.universe is None or symbol in portfolio.universe
    ]
    known = [market.values[name][places] for name in sorted(fields_of(hours)) if name in market.values]
    if known:
        _, first = np.unique(np.nan_to_num(np.stack(known), nan=-1.0), axis=1, return_index=True)
        places = [places[place] for place in sorted(first.tolist())]
    told: list[Told] = []
    for place in places:
        told.append(Teller(market, portfolio, market.symbols[place]).tell(hours))
        if told[-1].outcome is True:
            return told[-1]
    outcome = joined([each.outcome for each in told], decisive=True)
    nowhere = Told(False, {"any": [], "outcome": False}, ("no symbol of the universe has a market",))
    return next((each for each in told if each.outcome is outcome), nowhere)


def _obstacle(
    rule_type: str, everywhere: bool, market: MarketFacts, portfolio: PortfolioFacts, symbol: str | None
) -> str | None:
    if symbol is None:
        return "Not true for the portfolio: the rule is looked at symbol by symbol."
    if portfolio.universe is not None and symbol not in portfolio.universe:
        return f"Not true for {symbol}: it is outside the universe."
    if everywhere and symbol not in market.index:
        return f"Not true for {symbol}: the market snapshot does not have it."
    if not everywhere and symbol not in portfolio.positions:
        return f"Not true for {symbol}: it is not held, and this is a rule of type {rule_type}."
    return None
