"""The rule engine's verbs, as the specification names them, over the pure core.

One rule and one symbol at a time, explained; many rules at once are evaluated by
`rules.services.programs`, with the same verdicts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rules.core.actions import Request, asks_for_trade, blocks_entries, requests_of
from rules.core.conflicts import Attempt, Block, Candidate, Resolution, always, rank, resolve
from rules.core.explanation import Explanation, explain, explain_rule
from rules.core.facts import MarketFacts, PortfolioFacts
from rules.core.validation import ValidationResult, check_rule
from rules.models import RuleVersion, TradingRule


@dataclass(frozen=True, slots=True)
class RuleContext:
    """On what a rule is judged: the facts, and the symbol (None: the portfolio as a whole)."""

    market: MarketFacts
    portfolio: PortfolioFacts
    symbol: str | None


def evaluate_rule(rule: TradingRule | RuleVersion, context: RuleContext) -> Explanation:
    """Whether the rule fires, and why: `outcome` is True, False, or None when facts are missing.

    Only True triggers. Equal to what the program over vectors says of this rule and symbol.
    """
    return explain_rule(
        rule_type=rule.rule_type,
        conditions=rule.conditions,
        trades=asks_for_trade(rule.actions),
        market=context.market,
        portfolio=context.portfolio,
        symbol=context.symbol,
        schedule=rule.schedule,
        blocks=blocks_entries(rule.actions),
    )


def evaluate_conditions(conditions: Sequence[Mapping[str, Any]], context: RuleContext) -> bool | None:
    """The three-valued verdict on a list of conditions (all of them), whatever rule they are of."""
    explanation = explain(
        conditions, market=context.market, portfolio=context.portfolio, symbol=context.symbol
    )
    return explanation.outcome


def execute_actions(actions: Sequence[Mapping[str, Any]], context: RuleContext) -> list[Request]:
    """What the actions of a triggered rule ask for; sizing, risk, sending and stopping are others' work.

    Without a symbol, a sell and a reduction ask for every held symbol within the universe.
    """
    universe = context.portfolio.universe
    held = [symbol for symbol in context.portfolio.positions if universe is None or symbol in universe]
    return requests_of(actions, symbol=context.symbol, held=held)


def validate_rule(rule: object) -> ValidationResult:
    """The normalised rule, or every fault in it with path, reason and suggestion."""
    return check_rule(rule)


def conflict_resolution(
    candidates: Iterable[Candidate], blocks: Iterable[Block] = (), attempt: Attempt = always
) -> Resolution:
    """At most one trade for each owner and symbol, no buy that is blocked, and what beat every other.

    `attempt` makes the trade of a winner; where it comes to nothing the next candidate is tried.
    """
    return resolve(candidates, blocks, attempt)


def prioritize_rules(rules: Iterable[TradingRule]) -> list[TradingRule]:
    """Rules in the order in which they win: risk, exit, entry; high priority; old; id."""
    return sorted(rules, key=lambda rule: rank(rule.rule_type, rule.priority, rule.created_at, str(rule.pk)))
