"""Rules that are true on fresh facts, and what they ask for: the words of `trading.services.deciding`."""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from journal.core.events import AlertSpec, Event
from market.models import Instrument
from rules.core.actions import ActionRequest, asks_for_trade
from rules.core.conditions import parse_conditions
from rules.core.conflicts import Block, Candidate, Loss, Rank, rank
from rules.core.explanation import Explanation
from rules.core.fields import CATALOGUE, FieldKind
from rules.core.language import fields_of
from rules.models import RuleVersion
from trading.models import AutoTrade
from trading.services.decisions import Draft

RISK = "risk"


@dataclass(frozen=True)
class Fired:
    """A rule that is true on fresh facts, for a symbol or (None) for the portfolio as a whole."""

    version: RuleVersion
    symbol: str | None
    explanation: Explanation

    @property
    def key(self) -> tuple[int, str | None]:
        return self.version.pk, self.symbol

    @property
    def trades(self) -> bool:
        """Its trades are its acts; a rule that asks for none acts by alerting and halting."""
        return asks_for_trade(self.version.actions)


@dataclass
class Wish:
    """One trade that a rule asks for, and why."""

    fired: Fired
    action: ActionRequest
    instrument: Instrument
    books_changes: int  # of the open books when it was explained

    def candidate(self) -> Candidate:
        version = self.fired.version
        return Candidate(
            key=str(version.rule_id), rule_type=version.rule_type, priority=version.priority,
            created_at=version.rule.created_at, symbol=self.action.symbol, side=self.action.side,
            version_id=version.pk,
        )  # fmt: skip


@dataclass
class Verdicts:
    """What is to be recorded, ordered and told. Alerts stand by the id of the draft that asks for them; cleared: of
    orders that were in a trade's way."""

    drafts: list[Draft] = field(default_factory=list)
    trades: list[AutoTrade] = field(default_factory=list)
    alerts: dict[uuid.UUID, list[AlertSpec]] = field(default_factory=dict)
    cleared: list[Event] = field(default_factory=list)


def block_of(version: RuleVersion, symbol: str | None) -> Block:
    return Block(
        key=str(version.rule_id), rule_type=version.rule_type, priority=version.priority,
        created_at=version.rule.created_at, symbol=symbol, version_id=version.pk,
    )  # fmt: skip


def told_of(loss: Loss, winner: RuleVersion) -> tuple[str, dict[str, Any]]:
    """A lost conflict in one sentence, and as the decision keeps it."""
    beaten_by: dict[str, Any] = {
        "rule_id": str(winner.rule_id),
        "rule_name": winner.name,
        "rule_version_id": str(winner.pk),
        "version": winner.version,
        "reason": loss.reason,
    }
    if isinstance(loss.beaten_by, Block):
        return f"“{winner.name}” blocks entries", beaten_by
    return f"“{winner.name}” won by {loss.reason}", {**beaten_by, "side": loss.beaten_by.side}


def place(hit: tuple[RuleVersion, str | None]) -> tuple[Rank, str]:
    """As rules win; so what happens does not hang on the order in which a program tells what is true."""
    version, symbol = hit
    by_rank = rank(version.rule_type, version.priority, version.rule.created_at, str(version.rule_id))
    return by_rank, symbol or ""


def uses_advice(version: RuleVersion) -> bool:
    """Whether a recommendation has a say in what the rule does: in its conditions, or in its size."""
    if any(action.get("sizing_method") == "kelly" for action in version.actions):
        return True
    return any(CATALOGUE[name].kind is FieldKind.RECOMMENDATION for name in _fields(version))


def guards(version: RuleVersion) -> bool:
    """Whether it is a rule that may keep buys from going out."""
    return version.rule_type == RISK and any(
        action["type"] in ("block_entries", "halt") for action in version.actions
    )


def guarded(version: RuleVersion, symbol: str, held: Iterable[str]) -> Iterator[str | None]:
    """For what a guard must be looked at before a symbol is bought: the portfolio or the symbol, and since a
    halt covers the whole portfolio, for a guard that halts also what is held."""
    if all(CATALOGUE[name].kind is FieldKind.PORTFOLIO for name in _fields(version)):
        yield None
        return
    yield symbol
    if any(action["type"] == "halt" for action in version.actions):
        yield from sorted(set(held) - {symbol})


def _fields(version: RuleVersion) -> Iterable[str]:
    return fields_of(parse_conditions(version.conditions))
