"""From triggered rules to trades for one portfolio, under its lock and on fresh facts.

explain again → what the actions ask for → conflicts → size → risk → trade, each step leaving its part of
the decision record. Nothing is written here: reservations stand in the open books, the rest is returned.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from journal.core.events import AlertSpec
from market.models import Instrument
from rules.core.actions import ActionRequest, AlertRequest
from rules.core.conditions import parse_conditions
from rules.core.conflicts import Candidate, Loss
from rules.core.explanation import Explanation
from rules.core.fields import CATALOGUE, FieldKind
from rules.core.language import fields_of
from rules.models import RuleVersion
from rules.services.rule_engine import RuleContext, conflict_resolution, evaluate_rule, execute_actions
from sessions.core.config import SessionConfig
from sessions.models import TradingSession
from trading.core.risk import Refused, findings_as_rows
from trading.models import AutoTrade
from trading.services.decisions import Draft, Outcome
from trading.services.facts import facts_of
from trading.services.order_management import Intent, make_trade
from trading.services.position_sizing import size_action
from trading.services.risk_management import FreshState, validate_trade

ENTRY = "entry"


@dataclass
class Wish:
    """One trade that a rule asks for, and why."""

    version: RuleVersion
    action: ActionRequest
    instrument: Instrument
    explanation: Explanation
    fired_for: str | None  # the symbol, or None for the whole portfolio
    books_changes: int  # of the open books when it was explained


@dataclass
class Verdicts:
    """What is to be recorded, ordered and told. Alerts stand by the id of the draft that asks for them."""

    drafts: list[Draft] = field(default_factory=list)
    trades: list[AutoTrade] = field(default_factory=list)
    alerts: dict[uuid.UUID, list[AlertSpec]] = field(default_factory=dict)


@dataclass
class Decider:
    """Decides for one portfolio and its session."""

    state: FreshState
    session: TradingSession
    config: SessionConfig
    verdicts: Verdicts = field(default_factory=Verdicts)

    def decide(self, triggered: Sequence[tuple[RuleVersion, str | None]]) -> Verdicts:
        """`triggered` are (rule version, symbol or None for the whole portfolio)."""
        wishes: dict[tuple[str, str], Wish] = {}
        candidates: list[Candidate] = []
        for version, symbol in triggered:
            explanation, context = self._explain(version, symbol)
            if explanation.outcome is not True:
                self._draft(version, symbol, explanation, Outcome.LAPSED, detail=explanation.sentence)
                continue
            for wish in execute_actions(version.actions, context):
                if isinstance(wish, AlertRequest):
                    self._alert(version, wish, explanation)
                    continue
                instrument = self.state.view.by_symbol[wish.symbol]
                wishes[str(version.pk), wish.symbol] = Wish(
                    version, wish, instrument, explanation, symbol, self.state.books.changes
                )
                candidates.append(_candidate(version, wish))
        resolution = conflict_resolution(candidates)
        for loss in resolution.losses:
            self._outranked(wishes[loss.candidate.key, loss.candidate.symbol], loss)
        for winner in resolution.winners:
            self._trade(wishes[winner.key, winner.symbol])
        return self.verdicts

    def _explain(self, version: RuleVersion, symbol: str | None) -> tuple[Explanation, RuleContext]:
        view = self.state.view
        portfolio = facts_of(self.state.valuation(), universe=self.config.symbols, view=view)
        market = view.facts(self.config.recommendation_sources)
        context = RuleContext(market=market, portfolio=portfolio, symbol=symbol)
        return evaluate_rule(version, context), context

    def _draft(
        self, version: RuleVersion, symbol: str | None, explanation: Explanation, outcome: str, **more: Any
    ) -> Draft:
        instrument = self.state.view.by_symbol[symbol] if symbol is not None else None
        draft = Draft(
            portfolio_id=self.state.portfolio_id, session_id=self.session.id, rule_id=version.rule_id,
            rule_version_id=version.pk, instrument_id=instrument.id if instrument else None, symbol=symbol,
            outcome=outcome, explanation=explanation.as_dict(), **more,
        )  # fmt: skip
        self.verdicts.drafts.append(draft)
        return draft

    def _alert(self, version: RuleVersion, wish: AlertRequest, explanation: Explanation) -> None:
        draft = self._draft(version, wish.symbol, explanation, Outcome.ALERTED, detail=wish.message)
        subject = f"{version.name} ({wish.symbol})" if wish.symbol else version.name
        spec = AlertSpec(wish.severity, f"{subject}: {wish.message}")
        self.verdicts.alerts.setdefault(draft.id, []).append(spec)

    def _outranked(self, wish: Wish, loss: Loss) -> None:
        beaten_by = {
            "rule_version_id": loss.beaten_by.key,
            "side": loss.beaten_by.side,
            "reason": loss.reason,
        }
        detail = f"another rule won by {loss.reason}"
        self._draft(
            wish.version, wish.action.symbol, wish.explanation, Outcome.OUTRANKED, detail=detail,
            outranked_by=beaten_by,
        )  # fmt: skip

    def _trade(self, wish: Wish) -> None:
        """Size and check one winner; on approval its trade reserves at once.

        What an earlier winner reserved may have made this one's conditions untrue, so they are asked again.
        """
        symbol, version = wish.action.symbol, wish.version
        if self.state.books.changes != wish.books_changes:
            wish.explanation, _ = self._explain(version, wish.fired_for)
            if wish.explanation.outcome is not True:
                detail = wish.explanation.sentence
                self._draft(version, symbol, wish.explanation, Outcome.LAPSED, detail=detail)
                return
        sized, price = size_action(self.state, wish.action, instrument=wish.instrument)
        common = (version, symbol, wish.explanation)
        if sized.quantity <= 0 or price is None:
            self._draft(*common, Outcome.NO_SIZE, detail=sized.reason, sizing=dict(sized.arithmetic))
            return
        verdict = validate_trade(
            self.state, side=wish.action.side, quantity=sized.quantity, instrument=wish.instrument, price=price,
            rule_id=version.rule_id,
        )  # fmt: skip
        proof: dict[str, Any] = {
            "sizing": dict(sized.arithmetic),
            "checks": findings_as_rows(verdict.findings),
        }
        if isinstance(verdict, Refused):
            self._draft(*common, Outcome.REFUSED, code=verdict.code.value, detail=verdict.detail, **proof)
            return
        detail = f"{wish.action.side} {sized.quantity.normalize():f} {symbol}. {wish.explanation.sentence}"
        draft = self._draft(*common, Outcome.TRADED, detail=detail, **proof)
        sources = self.config.recommendation_sources
        intent = Intent(
            decision_id=draft.id, rule_id=version.rule_id, rule_version_id=version.pk, approved=verdict,
            instrument=wish.instrument, origin=AutoTrade.Origin.RULE,
            actor=f"rule:{version.rule_id}:v{version.version}",
            recommendation_id=self.state.view.recommendation_id(sources, symbol) if _uses_advice(version) else None,
        )  # fmt: skip
        self.verdicts.trades.append(make_trade(self.state, intent))


def _candidate(version: RuleVersion, action: ActionRequest) -> Candidate:
    return Candidate(
        key=str(version.pk), rule_type=version.rule_type, priority=version.priority,
        created_at=version.rule.created_at, symbol=action.symbol, side=action.side,
    )  # fmt: skip


def _uses_advice(version: RuleVersion) -> bool:
    names = fields_of(parse_conditions(version.conditions))
    return any(CATALOGUE[name].kind is FieldKind.RECOMMENDATION for name in names)
