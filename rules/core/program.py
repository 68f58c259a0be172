"""Many rules of many owners as one program over vectors.

Equal conditions are one node and are evaluated once: market conditions over all
symbols for everybody, portfolio conditions once an owner, conditions on positions
over held symbols only. A rule is then the conjunction of at most three nodes, one
for each space, looked at from the cheapest on.

`rules.core.explanation` tells the same verdicts one by one on separate code; a
property test holds the two equal.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rules.core.conditions import InvalidConditionsError, parse_conditions
from rules.core.facts import MarketFacts, PortfolioFacts
from rules.core.language import AllOf, Comparison, FieldReference, Node, Not
from rules.core.masks import Masks, RowMasks, SharedNode
from rules.core.vectors import (
    BooleanVector,
    Indices,
    Level,
    MarketSpace,
    OwnerSpace,
    RowSpace,
    common_level,
    level_of_field,
)


@dataclass(frozen=True, slots=True)
class RuleSource:
    """One rule of one owner, as stored.

    `key` names it in the verdicts (a rule version's id); `owner` is who the facts
    belong to (a session's id); `conditions` is the validated JSON list; `trades`
    says whether any action is a trade (see `Triggered.symbol`).
    """

    key: Hashable
    owner: Hashable
    rule_type: str
    conditions: Sequence[object]
    trades: bool = True


@dataclass(frozen=True, slots=True)
class Triggered:
    """A rule whose conditions are true for a symbol.

    `symbol` is None when the rule fired for the portfolio as a whole: all its
    conditions are about the portfolio, and it is a risk rule or only alerts.
    """

    key: Hashable
    symbol: str | None
    owner: Hashable


def fires_for_portfolio(rule_type: str, conditions: Node, *, trades: bool) -> bool:
    """Whether a rule fires once for the portfolio instead of once a symbol."""
    return (rule_type == "risk" or not trades) and _level(conditions) is Level.OWNER


def applies_to_held_only(rule_type: str) -> bool:
    """Exit and risk rules look at held symbols; what is not held can be neither sold nor at risk."""
    return rule_type != "entry"


@dataclass(frozen=True, slots=True)
class _Rule:
    source: RuleSource
    held_only: bool
    for_portfolio: bool
    owner_node: int | None
    market_node: int | None
    row_node: int | None


class Program:
    """Compiled rules; immutable, so one program serves any number of evaluations."""

    def __init__(self, nodes: Sequence[SharedNode], rules: Sequence[_Rule]) -> None:
        self._nodes = tuple(nodes)
        self._rules = tuple(rules)

    @property
    def node_count(self) -> int:
        """Distinct nodes after sharing."""
        return len(self._nodes)

    def evaluate(self, market: MarketFacts, owners: Mapping[Hashable, PortfolioFacts]) -> list[Triggered]:
        """Every (rule, symbol) that is true, in the order of the rules, then of the symbols.

        A rule whose owner has no facts here is silent, like any rule without facts.
        """
        return _Evaluation(self._nodes, market, owners).run(self._rules)


def compile_program(rules: Sequence[RuleSource]) -> Program:
    """Share equal nodes of all rules; InvalidConditionsError names the rule that does not parse."""
    compiler = _Compiler()
    compiled = [compiler.compile(source) for source in rules]
    return Program(compiler.nodes, compiled)


def _level(node: Node) -> Level:
    if isinstance(node, Comparison):
        other = [level_of_field(node.value.field)] if isinstance(node.value, FieldReference) else []
        return common_level([level_of_field(node.field), *other])
    if isinstance(node, Not):
        return _level(node.node)
    return common_level([_level(child) for child in node.nodes])


class _Compiler:
    def __init__(self) -> None:
        self.nodes: list[SharedNode] = []
        self._places: dict[Comparison | tuple[str, tuple[int, ...]], int] = {}

    def compile(self, source: RuleSource) -> _Rule:
        try:
            conditions = parse_conditions(source.conditions)
        except InvalidConditionsError as error:
            raise InvalidConditionsError(f"rule {source.key}: {error}") from error
        # Only true triggers, and a conjunction is true when each part is: so it can be split by space.
        parts: dict[Level, list[int]] = {level: [] for level in Level}
        for child in conditions.nodes:
            place = self._intern(child)
            parts[self.nodes[place].level].append(place)
        return _Rule(
            source=source,
            held_only=applies_to_held_only(source.rule_type),
            for_portfolio=fires_for_portfolio(source.rule_type, conditions, trades=source.trades),
            owner_node=self._join(parts[Level.OWNER]),
            market_node=self._join(parts[Level.MARKET]),
            row_node=self._join(parts[Level.ROW]),
        )

    def _join(self, places: list[int]) -> int | None:
        return self._intern_group("all", places) if places else None

    def _intern(self, node: Node) -> int:
        if isinstance(node, Comparison):
            if node not in self._places:
                self._places[node] = len(self.nodes)
                self.nodes.append(SharedNode(_level(node), node, "", ()))
            return self._places[node]
        if isinstance(node, Not):
            return self._intern_group("not", [self._intern(node.node)])
        places = [self._intern(child) for child in node.nodes]
        return self._intern_group("all" if isinstance(node, AllOf) else "any", places)

    def _intern_group(self, group: str, places: list[int]) -> int:
        children = tuple(sorted(set(places)))  # neither order nor repetition changes a verdict
        if len(children) == 1 and group != "not":
            return children[0]
        key = (group, children)
        if key not in self._places:
            self._places[key] = len(self.nodes)
            level = common_level([self.nodes[child].level for child in children])
            self.nodes.append(SharedNode(level, None, group, children))
        return self._places[key]


class _Evaluation:
    """One run: spaces are built when a rule first needs them."""

    def __init__(
        self, nodes: Sequence[SharedNode], market: MarketFacts, owners: Mapping[Hashable, PortfolioFacts]
    ) -> None:
        self._nodes = nodes
        self._market_facts = market
        self._portfolios = list(owners.values())
        self._owner_places = {owner: place for place, owner in enumerate(owners)}
        self._market_space = MarketSpace(market)
        self._owner_space = OwnerSpace(self._portfolios)
        self._market = Masks(nodes, self._market_space)
        self._owners = Masks(nodes, self._owner_space)
        self._universes = [self._universe(portfolio) for portfolio in self._portfolios]
        self._found: dict[int, Indices] = {}
        self._held: RowMasks | None = None
        self._eligible: dict[int, RowMasks] = {}

    def run(self, rules: Sequence[_Rule]) -> list[Triggered]:
        triggered: list[Triggered] = []
        for rule in rules:
            owner = self._owner_places.get(rule.source.owner)
            if owner is None or not self._owner_agrees(rule, owner):
                continue
            source = rule.source
            if rule.for_portfolio:
                triggered.append(Triggered(source.key, None, source.owner))
                continue
            triggered.extend(
                Triggered(source.key, symbol, source.owner) for symbol in self._symbols(rule, owner)
            )
        return triggered

    def _owner_agrees(self, rule: _Rule, owner: int) -> bool:
        return rule.owner_node is None or bool(self._owners.of(rule.owner_node)[0][owner])

    def _symbols(self, rule: _Rule, owner: int) -> list[str]:
        if rule.held_only:
            return self._in_rows(rule, owner, self._held_rows())
        if rule.row_node is not None:
            return self._in_rows(rule, owner, self._eligible_rows(owner))
        names = self._market_facts.symbols
        universe = self._universes[owner]
        if rule.market_node is None:
            everywhere = np.arange(len(names)) if universe is None else np.flatnonzero(universe)
            return [names[place] for place in everywhere.tolist()]
        if rule.market_node not in self._found:
            self._found[rule.market_node] = np.flatnonzero(self._market.of(rule.market_node)[0])
        places = self._found[rule.market_node]
        if universe is not None:
            places = places[universe[places]]
        return [names[place] for place in places.tolist()]

    def _in_rows(self, rule: _Rule, owner: int, rows: RowMasks) -> list[str]:
        bounds = rows.bounds[owner]
        true = np.ones(bounds.stop - bounds.start, dtype=np.bool_)
        for node in (rule.market_node, rule.row_node):
            if node is not None:
                true &= rows.of(node)[0][bounds]
        return [rows.names[bounds.start + place] for place in np.flatnonzero(true).tolist()]

    def _universe(self, portfolio: PortfolioFacts) -> BooleanVector | None:
        if portfolio.universe is None:
            return None
        symbols = self._market_facts.symbols
        return np.fromiter((symbol in portfolio.universe for symbol in symbols), np.bool_, len(symbols))

    def _held_rows(self) -> RowMasks:
        """Rows of every owner's held symbols within the owner's universe, in the market's order."""
        if self._held is None:
            index = self._market_facts.index
            self._held = self._rows(
                {
                    owner: sorted(
                        symbol
                        for symbol in portfolio.positions
                        if portfolio.universe is None or symbol in portfolio.universe
                    )
                    for owner, portfolio in enumerate(self._portfolios)
                },
                index,
            )
        return self._held

    def _eligible_rows(self, owner: int) -> RowMasks:
        """Rows of all the market's symbols in one owner's universe, for entry rules on owned facts."""
        if owner not in self._eligible:
            universe = self._universes[owner]
            symbols = self._market_facts.symbols
            names = [symbol for place, symbol in enumerate(symbols) if universe is None or universe[place]]
            self._eligible[owner] = self._rows({owner: names}, self._market_facts.index)
        return self._eligible[owner]

    def _rows(self, names_by_owner: Mapping[int, list[str]], index: Mapping[str, int]) -> RowMasks:
        unknown = len(index)  # a symbol without market data: the market's last place, where all is unknown
        bounds: dict[int, slice] = {}
        owner_places: list[int] = []
        names: list[str] = []
        for owner, owned in names_by_owner.items():
            owned.sort(key=lambda name: index.get(name, unknown))
            bounds[owner] = slice(len(names), len(names) + len(owned))
            owner_places += [owner] * len(owned)
            names += owned
        space = RowSpace(
            self._market_space,
            self._owner_space,
            self._portfolios,
            owner_places=np.array(owner_places, dtype=np.intp),
            symbol_places=np.array([index.get(name, unknown) for name in names], dtype=np.intp),
            names=names,
        )
        return RowMasks(self._nodes, space, market=self._market, owners=self._owners, bounds=bounds)
