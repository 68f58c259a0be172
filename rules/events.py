"""What the rules' room tells the journal: how each rule came to say what it says, and who wanted it."""

from typing import Any, TypedDict
from uuid import UUID

from journal.core.kinds import EventKind, register
from rules.core.language import RuleType


class Rule(TypedDict):
    """`version` is the one that the event is about, `actor` the username."""

    rule_id: UUID
    version: int
    name: str
    actor: str


class RuleContent(Rule):
    """What the version says, in the language of docs/rule-language.md."""

    rule_type: RuleType
    priority: int
    conditions: list[Any]
    actions: list[dict[str, Any]]
    schedule: dict[str, Any] | None
    cooldown: dict[str, Any] | None


class RuleInForce(RuleContent):
    is_active: bool


register(
    EventKind("rule.created", "A rule was written", RuleInForce),
    EventKind("rule.updated", "A rule says something else from now on", RuleInForce),
    EventKind("rule.proposed", "A version waits for a second person's approval", RuleContent),
    EventKind("rule.approved", "A version that was proposed is in force", RuleInForce),
    EventKind("rule.rejected", "A version that was proposed will not be in force", Rule),
    EventKind("rule.activated", "A rule is evaluated from now on", Rule),
    EventKind("rule.deactivated", "A rule is not evaluated any more", Rule),
    EventKind("rule.archived", "A rule was taken away for good", Rule),
)
