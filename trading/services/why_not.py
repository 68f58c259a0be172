"""Why a rule did not trade at a moment that is over — or why it did: its evaluation, done again.

The snapshot of the market is still there, the portfolio is rebuilt as that evaluation saw it (`trading.services.then`),
the rule says what it said then, and the same `explain` runs over the same facts. Nothing of the answer is read back
from what was told then, so another content, or another threshold, may be asked on the very same facts.

What is replayed are the conditions. Conflicts, sizes and risk controls of then are not: where the rule was true, the
decision that was recorded tells them.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from foundation.errors import InvalidInput, NotFound
from foundation.moments import Moment
from market.core.snapshot import MarketSnapshot
from market.services import snapshots
from portfolios.models import Portfolio
from rules.core.actions import asks_for_trade
from rules.core.explanation import told_for_portfolio
from rules.core.fields import CATALOGUE, FieldKind
from rules.core.telling import Teller
from rules.models import RuleVersion, TradingRule
from rules.past import RuleThen, rule_at
from rules.services.rule_engine import RuleContext, evaluate_rule
from rules.services.unsaved import unsaved_version
from sessions.core.config import SessionConfig, read_config
from sessions.models import TradingSession
from sessions.past import evaluation_of, nearest_slots, session_at, status_at
from trading.models import Decision
from trading.services.deciding import ENTRY
from trading.services.facts import MarketView, facts_of, market_view, valuation_of
from trading.services.then import owned_at

Status = TradingSession.Status
DECISIONS_MAX = 50


@dataclass(frozen=True)
class Question:
    """slot or at (market time, of which the newest snapshot counts) says when. symbol None: a rule that is told for
    the portfolio as a whole. content: what is asked about instead of what the rule said then."""

    portfolio: Portfolio
    slot: int | None = None
    at: datetime | None = None
    symbol: str | None = None
    rule: TradingRule | None = None
    content: object = None


@dataclass(frozen=True)
class Reason:
    """Why nothing came of it, or what did. `decision_id`: the record that says so."""

    code: str
    detail: str
    decision_id: uuid.UUID | None = None


@dataclass(frozen=True)
class Answer:
    """explanation None: there was no rule to explain. facts: field -> what was known, None for unknown."""

    snapshot: MarketSnapshot
    moment: Moment
    evaluated: bool
    session: TradingSession | None
    session_status: str | None
    version: RuleVersion | None
    was_active: bool
    symbol: str | None
    explanation: Mapping[str, Any] | None
    facts: Mapping[str, Any]
    reasons: Sequence[Reason]

    @property
    def outcome(self) -> bool | None:
        return None if self.explanation is None else self.explanation["outcome"]


@dataclass(frozen=True)
class _Scene:
    """Who looked, when, and at what."""

    snapshot: MarketSnapshot
    moment: Moment
    evaluated: bool
    session: TradingSession | None
    status: str | None


def why_not(question: Question) -> Answer:
    """What the rule, or the content, came to at that moment, and why. It writes nothing and locks nothing.

    Raises InvalidInput (with the path of each fault) and NotFound (`snapshot_not_kept`: it is too long ago).
    """
    scene = _scene(question.portfolio, _version_asked(question))
    then, version = _asked_version(question, scene)
    view = market_view(scene.snapshot, looked_at=scene.moment.at)
    symbol = _symbol(question.symbol, version, view)
    config = SessionConfig() if scene.session is None else read_config(scene.session.config)
    owned = owned_at(question.portfolio, scene.moment, snapshot=scene.snapshot)
    context = RuleContext(
        market=view.facts(config.recommendation_sources),
        portfolio=facts_of(
            valuation_of(owned, question.portfolio.id, view),
            universe=view.universe_of(config.universe),
            view=view,
        ),
        symbol=symbol,
    )
    explanation = None if version is None else evaluate_rule(version, context).as_dict()
    return Answer(
        snapshot=scene.snapshot,
        moment=scene.moment,
        evaluated=scene.evaluated,
        session=scene.session,
        session_status=scene.status,
        version=version,
        was_active=then is not None and then.was_active,
        symbol=symbol,
        explanation=explanation,
        facts=_facts(context),
        reasons=_reasons(scene, then, version, explanation, symbol),
    )


def _version_asked(question: Question) -> int:
    version = question.slot
    if version is None:
        assert question.at is not None, "the question says when"
        version = snapshots.version_at(question.at)
    if version is None or snapshots.published_at(version) is None:
        raise _not_kept()
    return version


def _not_kept() -> NotFound:
    oldest = snapshots.oldest_kept()
    if oldest is None:
        return NotFound("There is no market data yet.", code="snapshot_not_kept")
    version, as_of = oldest
    return NotFound(
        f"The market of then is not kept, or never was. The oldest that is kept is slot {version}, of "
        f"{as_of.isoformat()}.",
        code="snapshot_not_kept", oldest_slot=version, oldest_as_of=as_of.isoformat(),
    )  # fmt: skip


def _scene(portfolio: Portfolio, version: int) -> _Scene:
    snapshot, published = snapshots.at_version(version), snapshots.published_at(version)
    if snapshot is None or published is None:
        raise _not_kept()
    found = evaluation_of(portfolio.id, slot=version)
    if found is None:
        moment = Moment(published)
        trading_session = session_at(portfolio.id, published)
    elif found.moment is None:  # by code that is older than this question
        raise _not_kept()
    else:
        moment = found.moment
        trading_session = TradingSession.objects.get(pk=found.session_id)
    status = None if trading_session is None else status_at(trading_session, moment.at)
    return _Scene(snapshot, moment, found is not None, trading_session, status)


def _asked_version(question: Question, scene: _Scene) -> tuple[RuleThen | None, RuleVersion | None]:
    """What the rule was then, and what is explained: this, or the content that was given instead."""
    then = None if question.rule is None else rule_at(question.rule, scene.moment.at)
    if question.content is not None:
        return then, unsaved_version(question.content, path="rule", rule=question.rule)
    assert then is not None, "the question has a rule or a content"
    return then, then.version


def _symbol(symbol: str | None, version: RuleVersion | None, view: MarketView) -> str | None:
    """None for a rule that is told for the portfolio as a whole, whatever was asked. Raises InvalidInput."""
    if version is not None and told_for_portfolio(
        version.rule_type, version.conditions, trades=asks_for_trade(version.actions)
    ):
        return None
    if symbol is None and version is None:
        return None
    if symbol is None:
        message, cure = "The rule is told symbol by symbol.", "Name the one that you ask about."
    elif symbol not in view.by_symbol:
        near = get_close_matches(symbol, view.by_symbol, n=1)
        message = f"There is no instrument {symbol[:40]!r}."
        cure = (
            f"Did you mean {near[0]}?" if near else "GET /api/market/instruments lists those that there are."
        )
    else:
        return symbol
    raise InvalidInput(
        f"symbol: {message}", errors=[{"path": "symbol", "message": message, "suggestion": cure}]
    )


def _facts(context: RuleContext) -> dict[str, Any]:
    """Every field but the correlations and the like, which are dear: an explanation has those that it asked for."""
    teller = Teller(context.market, context.portfolio, context.symbol)
    return {
        name: teller.fact(name)
        for name, spec in CATALOGUE.items()
        if spec.kind is not FieldKind.DIVERSIFICATION
    }


def _reasons(
    scene: _Scene,
    then: RuleThen | None,
    version: RuleVersion | None,
    explanation: Mapping[str, Any] | None,
    symbol: str | None,
) -> list[Reason]:
    """Everything that stood in the way, the widest first; where nothing did, what was recorded."""
    found = [*_of_session(scene, version), *_of_rule(then)]
    if explanation is not None and explanation["outcome"] is not True:
        code = "unknown" if explanation["outcome"] is None else "not_true"
        found.append(Reason(code, explanation["sentence"]))
    if found or then is None or version is None or version is not then.version:
        return found
    return _recorded(scene, version, symbol)


def _of_session(scene: _Scene, version: RuleVersion | None) -> list[Reason]:
    if scene.session is None:
        return [Reason("no_session", "No session ran.")]
    found = []
    if not scene.evaluated:
        before, after = nearest_slots(scene.session, scene.snapshot.version)
        near = " and ".join(f"slot {slot}" for slot in (before, after) if slot is not None)
        told = f" It was on {near}." if near else ""
        found.append(Reason("not_evaluated", f"The session's rules were not evaluated on this slot.{told}"))
    if scene.status == Status.STOPPING:
        found.append(Reason("session_stopping", "The session was stopping: no rule is evaluated."))
    if scene.status == Status.PAUSED and version is not None and version.rule_type == ENTRY:
        found.append(Reason("session_paused", "The session was paused: it makes no entries."))
    return found


def _of_rule(then: RuleThen | None) -> list[Reason]:
    if then is None:
        return []
    if then.version is None:
        return [Reason("rule_not_made", "The rule was not made yet.")]
    if not then.was_active:
        return [
            Reason("rule_not_active", f"The rule was not active. It was at version {then.version.version}.")
        ]
    return []


def _recorded(scene: _Scene, version: RuleVersion, symbol: str | None) -> list[Reason]:
    """What became of a rule that was true: it did trade, or a record says why not."""
    slot = scene.snapshot.version
    rows = Decision.objects.filter(
        rule_version=version, session=scene.session, slot__lte=slot, last_slot__gte=slot
    )
    if symbol is not None:
        rows = rows.filter(instrument__symbol=symbol)
    found = [
        Reason(row.outcome, row.detail, row.id) for row in rows.order_by("created_at", "id")[:DECISIONS_MAX]
    ]
    if found:
        return found
    return [
        Reason(
            "nothing_recorded",
            "It was true on these facts, and nothing is recorded of it: what was committed in the same milliseconds "
            "may have been seen otherwise, or the session's evaluation failed.",
        )
    ]
