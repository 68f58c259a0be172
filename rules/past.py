"""What rules said, and whether they were in force, at a moment that is over: by the journal, which forgets nothing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from journal.selectors import newest_about
from rules.models import RuleVersion, TradingRule

_SAYS = ("rule.created", "rule.updated", "rule.approved")
_SWITCHES = {"rule.activated": True, "rule.deactivated": False, "rule.archived": False}
# So many changes back a rule's state is looked for; the newest that says something of it decides.
CHANGES_MAX = 100


@dataclass(frozen=True)
class RuleThen:
    """version None: the rule was not made yet. `was_active`: in force, if its version may be."""

    version: RuleVersion | None
    was_active: bool


def rule_at(rule: TradingRule, moment: datetime) -> RuleThen:
    """Two queries. `moment` is database time."""
    told = newest_about(
        rule.portfolio_id, [*_SAYS, *_SWITCHES], "rule_id", rule.pk, until=moment, limit=CHANGES_MAX
    )
    number = next((payload["version"] for kind, payload in told if kind in _SAYS), None)
    version = None if number is None else RuleVersion.objects.filter(rule=rule, version=number).first()
    if version is not None:
        version.rule = rule
    active = next((state for state in (_switched(*change) for change in told) if state is not None), False)
    return RuleThen(version, active)


def _switched(kind: str, payload: dict[str, Any]) -> bool | None:
    """What a change made of it; None: a change that left it as it was."""
    if kind in _SWITCHES:
        return _SWITCHES[kind]
    active: bool | None = payload.get("is_active")
    return active
