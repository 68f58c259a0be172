"""What rules said, and whether they were in force, at a moment that is over: by the journal, which forgets nothing."""

from dataclasses import dataclass
from datetime import datetime

from journal.selectors import newest_about
from rules.models import RuleVersion, TradingRule

_SWITCHED = {"rule.activated": True, "rule.deactivated": False, "rule.archived": False}
_TOLD = ("rule.created", "rule.approved")  # they tell themselves whether it is active from now on
_CHANGED = ("rule.updated", *_TOLD, *_SWITCHED)  # each names the version that the rule has from now on


@dataclass(frozen=True)
class RuleThen:
    """version None: the rule was not made yet. `was_active`: in force, if its version may be."""

    version: RuleVersion | None
    was_active: bool


def rule_at(rule: TradingRule, moment: datetime) -> RuleThen:
    """Two queries, or three. `moment` is database time."""
    stream, name, value = rule.portfolio_id, "rule_id", rule.pk
    changed = newest_about(stream, _CHANGED, name, value, until=moment)
    if changed is None:
        return RuleThen(None, False)
    version = RuleVersion.objects.filter(rule=rule, version=changed[1]["version"]).first()
    if version is not None:
        version.rule = rule
    kind, payload = changed
    if (
        kind == "rule.updated" and "is_active" not in payload
    ):  # as they once were: what was told before it counts
        kind, payload = newest_about(stream, (*_TOLD, *_SWITCHED), name, value, until=moment) or ("", {})
    return RuleThen(version, _SWITCHED.get(kind, bool(payload.get("is_active"))))
