"""What a rule would do now: the evaluation itself on the present snapshot, and then everything is taken back.

The same program, the same fresh state under the portfolio's lock, the same decider, beside all other rules in force,
so that "outranked by" and "resting" are true. It runs in a savepoint that is rolled back whatever happens: a stop that
a rule or a breaker arms in it never was, and nobody is told of it.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from django.db import OperationalError, transaction

from foundation.copying import StoredJson
from foundation.core.canonical import canonical_json
from foundation.errors import InvalidInput, NotFound, Unavailable, Unprocessable
from market.core.snapshot import MarketSnapshot
from market.services import snapshots
from portfolios.models import Portfolio
from portfolios.services.books import open_books
from rules.core.actions import asks_for_trade
from rules.core.explanation import told_for_portfolio
from rules.core.facts import MarketFacts, PortfolioFacts
from rules.core.program import TooManyTriggered, compile_program
from rules.models import RuleVersion, TradingRule
from rules.selectors import active_rule_versions
from rules.services.programs import source_of
from rules.services.rule_engine import RuleContext, evaluate_rule
from rules.services.unsaved import UNSAVED_ID, unsaved_version
from sessions.core.config import SessionConfig, read_config
from sessions.models import TradingSession
from trading.core.kept_findings import full_rows
from trading.models import AutoTrade
from trading.services.auto_trading import SESSION_HITS_MAX
from trading.services.breakers import trip_on_losses
from trading.services.cooldowns import read_cooldowns
from trading.services.deciding import ENTRY, Decider
from trading.services.decisions import Draft
from trading.services.facts import MarketView, facts_of, market_view, read_owned, valuation_of
from trading.services.firings import Verdicts
from trading.services.fresh_state import fresh_states
from trading.services.worth import read_worth

SYMBOLS_MAX = 50
HITS_MAX = 300  # each is sized and checked under the portfolio's lock
Status = TradingSession.Status


@dataclass(frozen=True)
class Obstacle:
    """Why the rule would not really do it; the preview goes on as if this were not so."""

    code: str
    detail: str


@dataclass(frozen=True)
class Would:
    """One thing that it would do, or why it would not: the decision that would be recorded, and its order."""

    symbol: str | None
    outcome: str
    code: str
    detail: str
    sizing: Any
    checks: Any
    outranked_by: Mapping[str, Any] | None
    order: AutoTrade | None


@dataclass(frozen=True)
class Previewed:
    """One symbol (None: the portfolio as a whole), explained condition by condition."""

    symbol: str | None
    explanation: Mapping[str, Any]
    would: Sequence[Would]


@dataclass(frozen=True)
class Preview:
    """true_for: for so many symbols it is true; left_out: so many of these are not among `symbols`."""

    snapshot: MarketSnapshot
    version: RuleVersion
    session: TradingSession | None
    obstacles: Sequence[Obstacle]
    true_for: int
    left_out: int
    symbols: Sequence[Previewed]

    @property
    def stored_version(self) -> int | None:
        return None if self.version.pk == UNSAVED_ID else self.version.version


def preview_rule(
    *, rule_id: uuid.UUID, content: object = None, version: int | None = None, symbols: Sequence[str] = ()
) -> Preview:
    """What the rule would do on the present snapshot; nothing is written.

    `content`: what it would say instead of what is stored, `version`: one of its versions, which may wait for its
    approval; neither: what it says now. `symbols`: those to explain, at most SYMBOLS_MAX; none given: those for which
    it is true, then what is held, then others of the universe. Raises InvalidInput, NotFound, Unprocessable (it would
    be true for more symbols than an evaluation accepts), Unavailable (no market data; the portfolio is busy).
    """
    rule = TradingRule.objects.filter(pk=rule_id).first()
    if rule is None:
        raise NotFound("There is no such rule.")
    previewed = _previewed_version(rule, content, version)
    snapshot = snapshots.current()
    if snapshot is None:
        raise Unavailable("There is no market data yet.")
    view = market_view(snapshot)
    _check_symbols(symbols, view)
    rehearsal = _Rehearsal.of(previewed, view)
    with transaction.atomic():
        _lock_or_refuse(rule.portfolio_id)
        rehearsed = rehearsal.run()
        transaction.set_rollback(True)
    return rehearsal.told(rehearsed, symbols)


def _lock_or_refuse(portfolio_id: uuid.UUID) -> None:
    """First of all, and never waiting: who really trades goes before, and one preview at a time is enough."""
    try:
        Portfolio.objects.select_for_update(no_key=True, nowait=True).get(pk=portfolio_id)
    except OperationalError as error:
        raise Unavailable("The portfolio is being changed at this moment; ask again.") from error


def _previewed_version(rule: TradingRule, content: object, version: int | None) -> RuleVersion:
    if content is not None:
        return unsaved_version(content, path="rule", rule=rule)
    wanted = rule.version if version is None else version
    found = RuleVersion.objects.filter(rule=rule, version=wanted).first()
    if found is None:
        raise NotFound(f"The rule has no version {wanted}.")
    found.rule = rule
    return found


def _check_symbols(symbols: Sequence[str], view: MarketView) -> None:
    errors = []
    for place, symbol in enumerate(symbols):
        if symbol in view.by_symbol:
            continue
        near = get_close_matches(symbol, view.by_symbol, n=1)
        cure = (
            f"Did you mean {near[0]}?" if near else "GET /api/market/instruments lists those that there are."
        )
        message = f"There is no instrument {symbol[:40]!r}."
        errors.append({"path": f"symbols[{place}]", "message": message, "suggestion": cure})
    if errors:
        raise InvalidInput("; ".join(f"{row['path']}: {row['message']}" for row in errors), errors=errors)


@dataclass(frozen=True)
class _Rehearsed:
    """What an evaluation found and decided. hits: what is true of which symbol."""

    hits: Sequence[tuple[RuleVersion, str | None]]
    verdicts: Verdicts
    facts: PortfolioFacts
    market: MarketFacts
    in_force: Sequence[RuleVersion]


@dataclass(frozen=True)
class _Rehearsal:
    """One evaluation of one portfolio with the rule in it, as if it were in force."""

    previewed: RuleVersion
    view: MarketView
    portfolio_id: uuid.UUID
    session: TradingSession | None
    config: SessionConfig

    @classmethod
    def of(cls, previewed: RuleVersion, view: MarketView) -> "_Rehearsal":
        portfolio_id = previewed.rule.portfolio_id
        running = TradingSession.objects.filter(portfolio_id=portfolio_id, status__in=TradingSession.RUNNING)
        session = running.first()
        config = SessionConfig() if session is None else read_config(session.config)
        return cls(previewed, view, portfolio_id, session, config)

    def run(self) -> "_Rehearsed":
        """What must be done under the portfolio's lock, within what is rolled back."""
        worth = read_worth([self.portfolio_id], self.view)
        trip_on_losses(
            worth, session_ids={self.portfolio_id: self.session.id if self.session else None},
            market_day=self.view.snapshot.as_of.date(),
        )  # fmt: skip
        owned = read_owned([self.portfolio_id])
        facts = facts_of(
            valuation_of(owned, self.portfolio_id, self.view), universe=self.view.universe_of(self.config.universe),
            view=self.view,
        )  # fmt: skip
        market = self.view.facts(self.config.recommendation_sources)
        in_force = active_rule_versions([self.portfolio_id])
        others = [version for version in in_force if version.rule_id != self.previewed.rule_id]
        hits = self._hits([*filter(self._runs, others), self.previewed], market, facts)
        return _Rehearsed(hits, self._decide(hits, [*others, self.previewed]), facts, market, in_force)

    def told(self, rehearsed: "_Rehearsed", symbols: Sequence[str]) -> Preview:
        facts, market = rehearsed.facts, rehearsed.market
        true_for = [symbol for version, symbol in rehearsed.hits if version is self.previewed]
        chosen = self._chosen(symbols, true_for, facts)
        return Preview(
            snapshot=self.view.snapshot,
            version=self.previewed,
            session=self.session,
            obstacles=self._obstacles(rehearsed.in_force),
            true_for=len(true_for),
            left_out=len(set(true_for) - set(chosen)),
            symbols=[self._told(symbol, rehearsed.verdicts, market, facts) for symbol in chosen],
        )

    def _runs(self, version: RuleVersion) -> bool:
        """As in an evaluation: a paused session makes no entries."""
        paused = self.session is not None and self.session.status == Status.PAUSED
        return not (paused and version.rule_type == ENTRY)

    def _hits(
        self, versions: Sequence[RuleVersion], market: MarketFacts, facts: PortfolioFacts
    ) -> list[tuple[RuleVersion, str | None]]:
        program = compile_program([source_of(self.portfolio_id, version) for version in versions])
        by_id = {version.pk: version for version in versions}
        try:
            found = program.evaluate(market, {self.portfolio_id: facts}, triggered_max=HITS_MAX)
        except TooManyTriggered as error:
            raise Unprocessable(
                f"A preview looks at no more than {HITS_MAX} symbols for which rules are true, and an evaluation "
                f"at no more than {SESSION_HITS_MAX}: {error}.",
                code="too_many_triggered",
            ) from error
        return [(by_id[key], symbol) for key, symbol, _ in found]  # type: ignore[index]

    def _decide(
        self, hits: Sequence[tuple[RuleVersion, str | None]], in_force: Sequence[RuleVersion]
    ) -> Verdicts:
        books = open_books([self.portfolio_id])
        states = fresh_states(books, sessions={self.portfolio_id: self.session}, view=self.view)
        cooldowns = read_cooldowns(in_force, as_of=self.view.snapshot.as_of)
        decider = Decider(
            states[self.portfolio_id], self.session or TradingSession(portfolio_id=self.portfolio_id),
            self.config, cooldowns, in_force,
        )  # fmt: skip
        return decider.decide(hits)

    def _chosen(
        self, named: Sequence[str], true_for: Sequence[str | None], facts: PortfolioFacts
    ) -> list[str | None]:
        version = self.previewed
        trades = asks_for_trade(version.actions)
        if told_for_portfolio(version.rule_type, version.conditions, trades=trades):
            return [None]
        if named:
            return list(dict.fromkeys(named))
        universe = [
            symbol
            for symbol in self.view.snapshot.symbols
            if facts.universe is None or symbol in facts.universe
        ]
        return list(dict.fromkeys([*true_for, *sorted(facts.positions), *universe]))[:SYMBOLS_MAX]

    def _told(
        self, symbol: str | None, verdicts: Verdicts, market: MarketFacts, facts: PortfolioFacts
    ) -> Previewed:
        """With what was found under the lock, where that is what the rule would act on."""
        mine = [draft for draft in verdicts.drafts if draft.rule_version_id == self.previewed.pk]
        about = mine if symbol is None else [draft for draft in mine if draft.symbol == symbol]
        context = RuleContext(market=market, portfolio=facts, symbol=symbol)
        explanation = about[0].explanation if about else evaluate_rule(self.previewed, context).as_dict()
        orders = {trade.decision_id: trade for trade in verdicts.trades}
        return Previewed(symbol, explanation, [_would(draft, orders.get(draft.id)) for draft in about])

    def _obstacles(self, in_force: Sequence[RuleVersion]) -> list[Obstacle]:
        found = []
        status = self.session.status if self.session is not None else None
        if status is None:
            found.append(Obstacle("no_session", "No session runs: shown as if one ran with an empty config."))
        elif status == Status.STOPPING:
            found.append(Obstacle("session_stopping", "The session is stopping: no rule is evaluated."))
        elif status == Status.PAUSED and self.previewed.rule_type == ENTRY:
            found.append(Obstacle("session_paused", "The session is paused: it makes no entries."))
        if self.previewed.pk == UNSAVED_ID:
            found.append(Obstacle("not_stored", "Nobody has stored this content."))
        elif self.previewed.pk not in {version.pk for version in in_force}:
            found.append(Obstacle("not_in_force", _out_of_force(self.previewed)))
        return found


def _out_of_force(version: RuleVersion) -> str:
    rule = version.rule
    if rule.archived_at is not None:
        return "The rule is deleted."
    if not version.may_be_in_force:
        return f"Version {version.version} is not approved."
    if version.version != rule.version:
        return f"The rule is at version {rule.version}, not {version.version}."
    return "The rule is not active."


def _would(draft: Draft, order: AutoTrade | None) -> Would:
    return Would(
        symbol=draft.symbol, outcome=str(draft.outcome), code=draft.code, detail=draft.detail,
        sizing=_as_stored(draft.sizing), checks=full_rows(_as_stored(draft.checks)),
        outranked_by=draft.outranked_by, order=order,
    )  # fmt: skip


def _as_stored(value: Any) -> Any:
    """As a decision keeps it: exact numbers as text."""
    return json.loads(value if isinstance(value, StoredJson) else canonical_json(value))
