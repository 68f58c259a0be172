"""From triggered rules to trades for one portfolio, under its lock and on fresh facts.

explain again → what the actions ask for (alerts and stops at once, trades in turn) → conflicts → size → risk →
trade, each step leaving its part of the decision record. What it is to write is returned and reservations stand
in the open books; only a stop is armed here and now.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from journal.core.events import AlertSpec
from market.models import Instrument
from rules.core.actions import ActionRequest, AlertRequest, BlockRequest, HaltRequest
from rules.core.conditions import parse_conditions
from rules.core.conflicts import Block, Candidate, Loss, Rank, rank
from rules.core.explanation import Explanation
from rules.core.fields import CATALOGUE, FieldKind
from rules.core.language import fields_of
from rules.models import RuleVersion
from rules.services.rule_engine import RuleContext, conflict_resolution, evaluate_rule, execute_actions
from sessions.core.config import SessionConfig
from sessions.models import TradingSession
from trading.core.halts import HaltInForce
from trading.core.risk import RefusalCode, Refused, findings_as_rows
from trading.core.support import unsupported
from trading.models import AutoTrade
from trading.services.cooldowns import Cooldowns
from trading.services.decisions import Draft, Outcome
from trading.services.emergency_stop import REASON_CHARACTERS_MAX, arm
from trading.services.facts import facts_of
from trading.services.order_management import Intent, make_trade
from trading.services.position_sizing import size_action
from trading.services.risk_management import FreshState, validate_trade

ENTRY = "entry"


@dataclass(frozen=True)
class Fired:
    """A rule that is true on fresh facts, for a symbol or (None) for the portfolio as a whole."""

    version: RuleVersion
    symbol: str | None
    explanation: Explanation

    @property
    def acts(self) -> bool:
        """A block is no act: it holds while the rule is true, and needs no rest."""
        return any(action["type"] != "block_entries" for action in self.version.actions)

    @property
    def only_tells(self) -> bool:
        """Its alerts are all that it does."""
        return all(action["type"] in ("alert", "block_entries") for action in self.version.actions)


@dataclass
class Wish:
    """One trade that a rule asks for, and why."""

    fired: Fired
    action: ActionRequest
    instrument: Instrument
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
    cooldowns: Cooldowns
    verdicts: Verdicts = field(default_factory=Verdicts)
    wishes: dict[tuple[str, str], Wish] = field(default_factory=dict)
    blocks: dict[Block, Fired] = field(default_factory=dict)

    def decide(self, triggered: Sequence[tuple[RuleVersion, str | None]]) -> Verdicts:
        """`triggered` are (rule version, symbol or None for the whole portfolio), in any order."""
        for version, symbol in sorted(triggered, key=_place):
            explanation, context = self._explain(version, symbol)
            fired = Fired(version, symbol, explanation)
            if explanation.outcome is not True:
                self._draft(fired, Outcome.LAPSED, detail=explanation.sentence)
            else:
                self._ask(fired, context)
        candidates = [_candidate(wish) for wish in self.wishes.values()]
        resolution = conflict_resolution(candidates, self.blocks)
        for loss in resolution.losses:
            self._outranked(self.wishes[loss.candidate.key, loss.candidate.symbol], loss)
        for winner in resolution.winners:
            self._trade(self.wishes[winner.key, winner.symbol])
        return self.verdicts

    def _ask(self, fired: Fired, context: RuleContext) -> None:
        """What the actions of a true rule ask for; of a resting one only its blocks count.

        Stops come before all trades of the evaluation, in whatever order the rules stand.
        """
        requests = execute_actions(fired.version.actions, context)
        until = self.cooldowns.resting_until(fired.version, fired.symbol)
        if until is not None and fired.acts:
            self._rest(fired, until)
            requests = [request for request in requests if isinstance(request, BlockRequest)]
        elif not requests:
            self._draft(fired, Outcome.NO_SIZE, detail="nothing is held that it could sell")
        for request in requests:
            if isinstance(request, AlertRequest):
                self._alert(fired, request)
            elif isinstance(request, HaltRequest):
                self._halt(fired, request)
            elif isinstance(request, BlockRequest):
                self._block(fired, request)
            else:
                self._wish(fired, request)

    def _wish(self, fired: Fired, action: ActionRequest) -> None:
        faults = unsupported(fired.version.actions)
        if faults:
            detail = f"{RefusalCode.NOT_PERMITTED}: {faults[0].message}"
            code = RefusalCode.NOT_PERMITTED.value
            self._draft(fired, Outcome.REFUSED, symbol=action.symbol, code=code, detail=detail)
            return
        instrument = self.state.view.by_symbol[action.symbol]
        wish = Wish(fired, action, instrument, self.state.books.changes)
        self.wishes[str(fired.version.pk), action.symbol] = wish

    def _explain(self, version: RuleVersion, symbol: str | None) -> tuple[Explanation, RuleContext]:
        view = self.state.view
        portfolio = facts_of(self.state.valuation(), universe=self.config.symbols, view=view)
        market = view.facts(self.config.recommendation_sources)
        context = RuleContext(market=market, portfolio=portfolio, symbol=symbol)
        return evaluate_rule(version, context), context

    def _draft(self, fired: Fired, outcome: str, *, symbol: str | None = None, **more: Any) -> Draft:
        """`symbol`: what it is about, where the rule fired for the whole portfolio."""
        symbol = symbol or fired.symbol
        instrument = self.state.view.by_symbol[symbol] if symbol is not None else None
        draft = Draft(
            portfolio_id=self.state.portfolio_id, session_id=self.session.id, rule_id=fired.version.rule_id,
            rule_version_id=fired.version.pk, instrument_id=instrument.id if instrument else None, symbol=symbol,
            outcome=outcome, explanation=fired.explanation.as_dict(), **more,
        )  # fmt: skip
        self.verdicts.drafts.append(draft)
        return draft

    def _rest(self, fired: Fired, until: datetime, *, symbol: str | None = None) -> None:
        detail = f"{fired.version.name} rests until {until:%Y-%m-%d %H:%M} UTC"
        self._draft(fired, Outcome.RESTING, symbol=symbol, detail=detail)

    def _alert(self, fired: Fired, wish: AlertRequest) -> None:
        """An alert starts a rest only where it is all that the rule does: a refused sell is not to wait for it."""
        acts = fired.only_tells and fired.version.cooldown is not None
        if acts:
            self.cooldowns.acted(fired.version, fired.symbol)
        draft = self._draft(fired, Outcome.ALERTED, detail=wish.message, own_row=acts)
        name = fired.version.name
        subject = f"{name} ({wish.symbol})" if wish.symbol else name
        spec = AlertSpec(wish.severity, f"{subject}: {wish.message}")
        self.verdicts.alerts.setdefault(draft.id, []).append(spec)

    def _block(self, fired: Fired, request: BlockRequest) -> None:
        version = fired.version
        block = Block(
            key=str(version.pk), rule_type=version.rule_type, priority=version.priority,
            created_at=version.rule.created_at, symbol=request.symbol,
        )  # fmt: skip
        self.blocks[block] = fired
        what = request.symbol or "anything"
        self._draft(fired, Outcome.BLOCKING, detail=f"no rule buys {what} now. {fired.explanation.sentence}")

    def _halt(self, fired: Fired, request: HaltRequest) -> None:
        """Arm the emergency stop in this transaction, unless the rule's own is in force still."""
        rule_id, sentence = fired.version.rule_id, fired.explanation.sentence
        scope_id = str(self.state.portfolio_id if request.scope == "portfolio" else self.session.id)
        wanted = (rule_id, request.scope, scope_id, request.mode)
        what = f"{request.mode} on the {request.scope}"
        if any((halt.rule_id, halt.scope, halt.scope_id, halt.mode) == wanted for halt in self.state.halts):
            detail = f"{what} is in force until a risk officer releases it"
            self._draft(fired, Outcome.HALTED, detail=detail)
            return
        reason = f'The rule "{fired.version.name}": {sentence}'[:REASON_CHARACTERS_MAX]
        halt = arm(
            scope=request.scope, scope_id=scope_id, mode=request.mode, reason=reason, actor=None, rule_id=rule_id
        )  # fmt: skip
        in_force = HaltInForce(halt.id, halt.scope, halt.scope_id, halt.mode, halt.reason, rule_id)
        self.state.halts = [*self.state.halts, in_force]
        self.cooldowns.acted(fired.version, fired.symbol)
        self._draft(fired, Outcome.HALTED, detail=f"armed {what}. {sentence}", own_row=True)

    def _outranked(self, wish: Wish, loss: Loss) -> None:
        beaten_by = {"rule_version_id": loss.beaten_by.key, "reason": loss.reason}
        if isinstance(loss.beaten_by, Block):
            detail = f"{self.blocks[loss.beaten_by].version.name} blocks entries"
        else:
            beaten_by["side"] = loss.beaten_by.side
            detail = f"another rule won by {loss.reason}"
        self._draft(
            wish.fired, Outcome.OUTRANKED, symbol=wish.action.symbol, detail=detail, outranked_by=beaten_by
        )

    def _trade(self, wish: Wish) -> None:
        """Size and check one winner; on approval its trade reserves at once.

        What an earlier winner did may have made this one's conditions untrue, or let its rule rest, so both are
        asked again.
        """
        fired, symbol = wish.fired, wish.action.symbol
        version = fired.version
        if self.state.books.changes != wish.books_changes:
            explanation, _ = self._explain(version, fired.symbol)
            fired = Fired(version, fired.symbol, explanation)
            if explanation.outcome is not True:
                self._draft(fired, Outcome.LAPSED, symbol=symbol, detail=explanation.sentence)
                return
        until = self.cooldowns.resting_until(version, fired.symbol)
        if until is not None:
            self._rest(fired, until, symbol=symbol)
            return
        sized, price = size_action(self.state, wish.action, instrument=wish.instrument)
        if sized.quantity <= 0 or price is None:
            arithmetic = dict(sized.arithmetic)
            self._draft(fired, Outcome.NO_SIZE, symbol=symbol, detail=sized.reason, sizing=arithmetic)
            return
        verdict = validate_trade(
            self.state, side=wish.action.side, quantity=sized.quantity, instrument=wish.instrument, price=price,
            rule_id=version.rule_id,
        )  # fmt: skip
        proof: dict[str, Any] = {
            "symbol": symbol,
            "sizing": dict(sized.arithmetic),
            "checks": findings_as_rows(verdict.findings),
        }
        if isinstance(verdict, Refused):
            self._draft(fired, Outcome.REFUSED, code=verdict.code.value, detail=verdict.detail, **proof)
            return
        detail = f"{wish.action.side} {sized.quantity.normalize():f} {symbol}. {fired.explanation.sentence}"
        draft = self._draft(fired, Outcome.TRADED, detail=detail, **proof)
        self.cooldowns.acted(version, fired.symbol)
        sources = self.config.recommendation_sources
        intent = Intent(
            decision_id=draft.id, rule_id=version.rule_id, rule_version_id=version.pk, approved=verdict,
            instrument=wish.instrument, origin=AutoTrade.Origin.RULE,
            actor=f"rule:{version.rule_id}:v{version.version}",
            recommendation_id=self.state.view.recommendation_id(sources, symbol) if _uses_advice(version) else None,
        )  # fmt: skip
        self.verdicts.trades.append(make_trade(self.state, intent))


def _place(hit: tuple[RuleVersion, str | None]) -> tuple[Rank, str]:
    """As rules win; so what happens does not hang on the order in which a program tells what is true."""
    version, symbol = hit
    by_rank = rank(version.rule_type, version.priority, version.rule.created_at, str(version.rule_id))
    return by_rank, symbol or ""


def _candidate(wish: Wish) -> Candidate:
    version = wish.fired.version
    return Candidate(
        key=str(version.pk), rule_type=version.rule_type, priority=version.priority,
        created_at=version.rule.created_at, symbol=wish.action.symbol, side=wish.action.side,
    )  # fmt: skip


def _uses_advice(version: RuleVersion) -> bool:
    names = fields_of(parse_conditions(version.conditions))
    return any(CATALOGUE[name].kind is FieldKind.RECOMMENDATION for name in names)
