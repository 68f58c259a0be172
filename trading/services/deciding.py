"""From triggered rules to trades for one portfolio, under its lock and on fresh facts.

explain again → what the actions ask for (stops at once, trades in turn, alerts last) → conflicts → size → risk →
trade, each step leaving its part of the decision record. Before each buy the guards, which block and halt, are
looked at again: on what the trades before it left, and before the first one on what was done while the evaluation
waited for the lock. What it is to write is returned and reservations stand in the
open books; only a stop is armed here and now.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from foundation.copying import StoredJson
from journal.core.events import AlertSpec
from rules.core.actions import ActionRequest, AlertRequest, BlockRequest, HaltRequest
from rules.core.conflicts import Block, Candidate, Loss
from rules.core.explanation import Explanation
from rules.models import RuleVersion
from rules.services.rule_engine import RuleContext, conflict_resolution, evaluate_rule, execute_actions
from sessions.core.config import SessionConfig
from sessions.models import TradingSession
from trading.core.breakers import repeated_execution
from trading.core.halts import HaltInForce, Halts
from trading.core.kept_findings import kept_text
from trading.core.orders import MARKET_DAY
from trading.core.protections import percentages
from trading.core.risk import RefusalCode, Refused
from trading.core.rule_orders import terms_of
from trading.core.support import unsupported
from trading.models import AutoTrade, Halt
from trading.selectors.breakers import releases_of_rules
from trading.services.breakers import trip_found
from trading.services.cooldowns import Cooldowns
from trading.services.decisions import Draft, Outcome
from trading.services.emergency_stop import REASON_CHARACTERS_MAX, arm
from trading.services.facts import facts_of
from trading.services.firings import (
    Fired,
    Verdicts,
    Wish,
    block_of,
    guarded,
    guards,
    place,
    told_of,
    uses_advice,
)  # fmt: skip
from trading.services.fresh_state import FreshState
from trading.services.order_management import Intent, make_trade
from trading.services.position_sizing import size_action
from trading.services.reducing import free_what_waits, without_buys_in_its_way
from trading.services.risk_management import OrderWish, validate_trade

ENTRY = "entry"


@dataclass
class Decider:
    """Decides for one portfolio and its session; `in_force` are the portfolio's rules."""

    state: FreshState
    session: TradingSession
    config: SessionConfig
    cooldowns: Cooldowns
    in_force: Sequence[RuleVersion] = ()
    verdicts: Verdicts = field(default_factory=Verdicts)
    wishes: dict[tuple[str, str], Wish] = field(default_factory=dict)
    versions: dict[str, RuleVersion] = field(default_factory=dict)
    blocks: dict[str | None, Block] = field(default_factory=dict)  # the first of each symbol
    fired: set[tuple[int, str | None]] = field(default_factory=set)
    made: set[tuple[int, str | None]] = field(default_factory=set)  # firings of which a trade was made
    alerts: list[tuple[Fired, AlertRequest]] = field(default_factory=list)  # of rules that ask for a trade
    looked_at: dict[tuple[int, str | None], int] = field(default_factory=dict)  # guards: the books' changes

    def decide(self, triggered: Sequence[tuple[RuleVersion, str | None]]) -> Verdicts:
        """`triggered` are (rule version, symbol or None for the whole portfolio), in any order."""
        for version, symbol in sorted(triggered, key=place):
            explanation, context = self._explain(version, symbol)
            fired = Fired(version, symbol, explanation)
            if explanation.outcome is not True:
                self._draft(fired, Outcome.LAPSED, detail=explanation.sentence)
            else:
                self._ask(fired, context)
        candidates = [wish.candidate() for wish in self.wishes.values()]
        resolution = conflict_resolution(candidates, tuple(self.blocks.values()), self._attempt)
        for loss in resolution.losses:
            self._outranked(self.wishes[loss.candidate.key, loss.candidate.symbol], loss)
        for fired, request in self.alerts:
            if fired.key in self.made:
                self._alert(fired, request)
        return self.verdicts

    def _ask(self, fired: Fired, context: RuleContext) -> None:
        """What the actions of a true rule ask for; of a resting one only its blocks count.

        Stops come before all trades of the evaluation, in whatever order the rules stand. Whether a trade must
        rest is asked symbol by symbol when its turn comes.
        """
        self.fired.add(fired.key)
        self.versions[str(fired.version.rule_id)] = fired.version
        requests = execute_actions(fired.version.actions, context)
        until = self.cooldowns.resting_until(fired.version, firing=fired.symbol, target=fired.symbol)
        if not requests:
            self._draft(fired, Outcome.NO_SIZE, detail="nothing is held that it could sell")
        if until is not None and not fired.trades:
            self._rest(fired, until)
        for request in requests:
            if isinstance(request, BlockRequest):
                self._block(fired, request)
            elif isinstance(request, ActionRequest):
                self._wish(fired, request)
            elif isinstance(request, AlertRequest) and fired.trades:
                self.alerts.append((fired, request))
            elif until is None and isinstance(request, AlertRequest):
                self._alert(fired, request)
            elif until is None and isinstance(request, HaltRequest):
                self._halt(fired, request)

    def _wish(self, fired: Fired, request: ActionRequest) -> None:
        instrument = self.state.view.by_symbol[request.symbol]
        wish = Wish(fired, request, instrument, self.state.books.changes)
        self.wishes[str(fired.version.rule_id), request.symbol] = wish

    def _attempt(self, candidate: Candidate) -> bool | Block:
        """Try one trade: whether it was made, or the block that has come up since the conflict was seen."""
        if candidate.side == "buy":
            self._look_at_guards(candidate.symbol)
            block = self.blocks.get(None) or self.blocks.get(candidate.symbol)
            if block is not None:
                return block
        return self._trade(self.wishes[candidate.key, candidate.symbol])

    def _look_at_guards(self, symbol: str) -> None:
        """Let what blocks or halts speak, once on each state of the books: what was true without the lock is old.

        What such a rule wants to sell was no candidate when conflicts began, and waits for the next evaluation.
        """
        books = self.state.books
        mine = books.positions_of(self.state.portfolio_id)
        held = [self.state.view.instruments[row.instrument_id].symbol for row in mine if row.quantity > 0]
        for version in filter(guards, self.in_force):
            for target in guarded(version, symbol, held):
                key = version.pk, target
                if key in self.fired or self.looked_at.get(key) == books.changes:
                    continue
                self.looked_at[key] = books.changes
                explanation, context = self._explain(version, target)
                if explanation.outcome is True:
                    self._ask(Fired(version, target, explanation), context)

    def _explain(self, version: RuleVersion, symbol: str | None) -> tuple[Explanation, RuleContext]:
        view = self.state.view
        portfolio = facts_of(
            self.state.valuation(), universe=view.universe_of(self.config.universe), view=view
        )
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
        """An alert starts a rest only where the rule asks for no trade: a refused sell is not to wait for it.

        Beside a trade it tells of that one, so it repeats no alert before it.
        """
        acts = not fired.trades and fired.version.cooldown is not None
        if acts:
            self.cooldowns.acted(fired.version, firing=fired.symbol, target=fired.symbol)
        draft = self._draft(fired, Outcome.ALERTED, detail=wish.message, own_row=acts or fired.trades)
        name = fired.version.name
        subject = f"{name} ({wish.symbol})" if wish.symbol else name
        spec = AlertSpec(wish.severity, f"{subject}: {wish.message}")
        self.verdicts.alerts.setdefault(draft.id, []).append(spec)

    def _block(self, fired: Fired, request: BlockRequest) -> None:
        self.blocks.setdefault(request.symbol, block_of(fired.version, request.symbol))
        what = request.symbol or "anything"
        self._draft(fired, Outcome.BLOCKING, detail=f"no rule buys {what} now. {fired.explanation.sentence}")

    def _halt(self, fired: Fired, request: HaltRequest) -> None:
        """Arm the portfolio's emergency stop in this transaction, unless the rule's own is in force still.

        As an alert it starts a rest only where the rule asks for no trade.
        """
        rule_id, sentence = fired.version.rule_id, fired.explanation.sentence
        scope, scope_id = "portfolio", str(self.state.portfolio_id)
        wanted = (rule_id, scope, scope_id, request.mode)
        what = f"{request.mode} on the {scope}"
        if any((halt.rule_id, halt.scope, halt.scope_id, halt.mode) == wanted for halt in self.state.halts):
            detail = f"{what} is in force until a risk officer releases it"
            self._draft(fired, Outcome.HALTED, detail=detail)
            return
        reason = f'The rule "{fired.version.name}": {sentence}'[:REASON_CHARACTERS_MAX]
        halt = arm(
            scope=scope, scope_id=scope_id, mode=request.mode, reason=reason, actor=None, rule_id=rule_id
        )  # fmt: skip
        self._stopped_by(halt)
        if not fired.trades:
            self.cooldowns.acted(fired.version, firing=fired.symbol, target=fired.symbol)
        self._draft(fired, Outcome.HALTED, detail=f"armed {what}. {sentence}", own_row=True)

    def _disable(self, version: RuleVersion, verdict: Refused) -> None:
        """A rule that fires too often makes no entries any more until a risk officer releases it."""
        finding = next(each for each in verdict.findings if not each.passed)
        released_at = releases_of_rules([self.state.portfolio_id]).get(version.rule_id)
        found = repeated_execution(
            version=version.version, released_at=released_at, executions=finding.value, limit=finding.limit,
            detail=verdict.detail,
        )  # fmt: skip
        halt = trip_found(found, scope=Halt.Scope.RULE, scope_id=str(version.rule_id))
        if halt is not None:
            self._stopped_by(halt)

    def _stopped_by(self, halt: Halt) -> None:
        """What was armed just now covers the rest of this evaluation, too."""
        in_force = HaltInForce(
            halt.id, halt.scope, halt.scope_id, halt.mode, halt.reason, halt.armed_by_rule_id
        )
        self.state.halts = Halts([*self.state.halts, in_force])

    def _outranked(self, wish: Wish, loss: Loss) -> None:
        detail, beaten_by = told_of(loss, self.versions[loss.beaten_by.key])
        self._draft(
            wish.fired, Outcome.OUTRANKED, symbol=wish.action.symbol, detail=detail, outranked_by=beaten_by
        )

    def _free_what_waits(self, wish: Wish) -> bool:
        """Where it sells all at market, nothing of it waits for another price any more. Whether something did."""
        action, price = wish.action, self.state.price(wish.instrument)
        if action.sizing_method != "full_position" or price is None:
            return False
        if terms_of(action, price=price, tick=wish.instrument.tick_size) != MARKET_DAY:
            return False
        events = free_what_waits(self.state, wish.instrument, price=price, rule_id=wish.fired.version.rule_id)
        self.verdicts.cleared += events
        return bool(events)

    def _trade(self, wish: Wish) -> bool:
        """Size and check one winner; on approval its trade reserves at once. Whether there is a trade.

        What an earlier winner did may have made this one's conditions untrue, or let its rule rest, so both are
        asked now.
        """
        fired, symbol = wish.fired, wish.action.symbol
        version = fired.version
        faults = unsupported(version.actions)
        if faults:
            detail = f"{RefusalCode.NOT_PERMITTED}: {faults[0].message}"
            code = RefusalCode.NOT_PERMITTED.value
            self._draft(fired, Outcome.REFUSED, symbol=symbol, code=code, detail=detail)
            return False
        if self.state.books.changes != wish.books_changes:
            explanation, _ = self._explain(version, fired.symbol)
            fired = Fired(version, fired.symbol, explanation)
            if explanation.outcome is not True:
                self._draft(fired, Outcome.LAPSED, symbol=symbol, detail=explanation.sentence)
                return False
        until = self.cooldowns.resting_until(version, firing=fired.symbol, target=symbol)
        if until is not None:
            self._rest(fired, until, symbol=symbol)
            return False
        is_freed = self._free_what_waits(wish)
        sources = self.config.recommendation_sources
        sized, price = size_action(
            self.state, wish.action, instrument=wish.instrument, rule_id=version.rule_id, sources=sources
        )
        if sized.quantity <= 0 or price is None:
            arithmetic = dict(sized.arithmetic)
            detail = "what waits to sell it is cancelled first" if is_freed else sized.reason
            self._draft(fired, Outcome.NO_SIZE, symbol=symbol, detail=detail, sizing=arithmetic)
            return False
        advised = uses_advice(version) and wish.action.side == "buy"
        wanted = OrderWish(
            side=wish.action.side, quantity=sized.quantity, instrument=wish.instrument, price=price,
            rule_id=version.rule_id, terms=terms_of(wish.action, price=price, tick=wish.instrument.tick_size),
            recommended_at=self.state.view.recommended_at(sources, symbol) if advised else None,
        )  # fmt: skip
        verdict, cleared = without_buys_in_its_way(self.state, wanted, validate_trade(self.state, wanted))
        self.verdicts.cleared += cleared
        proof: dict[str, Any] = {
            "symbol": symbol,
            "sizing": dict(sized.arithmetic),
            "checks": StoredJson(kept_text(verdict.findings)),
        }
        if isinstance(verdict, Refused):
            self._draft(fired, Outcome.REFUSED, code=verdict.code.value, detail=verdict.detail, **proof)
            if verdict.code is RefusalCode.REPEATED_EXECUTION:
                self._disable(version, verdict)
            return False
        detail = f"{wish.action.side} {sized.quantity.normalize():f} {symbol}. {fired.explanation.sentence}"
        draft = self._draft(fired, Outcome.TRADED, detail=detail, **proof)
        self.cooldowns.acted(version, firing=fired.symbol, target=symbol)
        self.made.add(fired.key)
        intent = Intent(
            decision_id=draft.id, rule_id=version.rule_id, rule_version_id=version.pk, approved=verdict,
            instrument=wish.instrument, origin=AutoTrade.Origin.RULE,
            actor=f"rule:{version.rule_id}:v{version.version}",
            recommendation_id=self.state.view.recommendation_id(sources, symbol) if uses_advice(version) else None,
            protected=percentages(
                stop_loss=wish.action.stop_loss_percentage, take_profit=wish.action.take_profit_percentage,
                trailing_stop=wish.action.trailing_stop_percentage,
            ),
        )  # fmt: skip
        self.verdicts.trades.append(make_trade(self.state, intent))
        return True
