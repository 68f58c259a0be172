"""What writing rules needs: validation, the locks in their order, versions, and the journal's events."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Max
from django.utils.module_loading import import_string

from foundation.clock import database_now
from foundation.errors import Conflict, InvalidInput, NotFound
from journal.core.events import AlertSpec, Event
from portfolios.services.locking import lock_portfolio
from rules.core.faults import Fault
from rules.core.validation import NormalizedRule
from rules.models import RuleVersion, TradingRule
from rules.services.rule_engine import validate_rule


def validated(rule: Mapping[str, Any]) -> NormalizedRule:
    """The normalised rule; raises InvalidInput with every fault."""
    result = validate_rule(rule)
    if result.rule is None:
        count = len(result.errors)
        raise InvalidInput(
            f"The rule has {count} {'fault' if count == 1 else 'faults'}.", errors=result.error_dicts()
        )
    return result.rule


def not_carried_out(actions: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """What of valid actions this version does not carry out: a rule with any of it cannot be in force."""
    unsupported: Callable[[Sequence[Mapping[str, Any]]], list[Fault]] = import_string(settings.RULE_SUPPORT)
    return unsupported(actions)


def require_support(actions: Sequence[Mapping[str, Any]]) -> None:
    """Only what the machine carries out is in force: nobody is to rely on a stop that is not watched."""
    faults = not_carried_out(actions)
    if faults:
        raise InvalidInput(
            "The rule cannot be in force: " + " ".join(fault.message for fault in faults),
            errors=[fault.as_dict() for fault in faults],
            code="not_carried_out",
        )


def lock_rule(rule_id: UUID) -> TradingRule:
    """The rule, locked after its portfolio (a rule never changes its portfolio)."""
    portfolio_id = TradingRule.objects.filter(pk=rule_id).values_list("portfolio_id", flat=True).first()
    if portfolio_id is None:
        raise NotFound("There is no such rule.")
    lock_portfolio(portfolio_id)
    return TradingRule.objects.select_for_update(no_key=True).get(pk=rule_id)


def refuse_archived(rule: TradingRule) -> None:
    if rule.archived_at is not None:
        raise Conflict("The rule is archived: make a new one.", code="rule_archived")


def next_number(rule: TradingRule) -> int:
    """Of the rule's next version; a rejected one keeps its number."""
    return (RuleVersion.objects.filter(rule=rule).aggregate(top=Max("version"))["top"] or rule.version) + 1


def add_version(
    rule: TradingRule, actor: AbstractBaseUser, *, version: int, content: Mapping[str, Any], waits: bool = False
) -> RuleVersion:  # fmt: skip
    return RuleVersion.objects.create(
        rule=rule, version=version, created_by_id=actor.pk, needs_approval=waits, **content
    )


def event(rule: TradingRule, kind: str, actor: AbstractBaseUser, *, alert: str = "", **details: Any) -> Event:
    """On the portfolio's stream; `alert` tells somebody, without alarm."""
    payload = {
        "rule_id": rule.id,
        "version": rule.version,
        "name": rule.name,
        "actor": actor.get_username(),
        **details,
    }
    spec = AlertSpec("info", alert) if alert else None
    return Event(stream=rule.portfolio_id, kind=kind, at=database_now(), payload=payload, alert=spec)


def proposal(rule: TradingRule, version: RuleVersion, actor: AbstractBaseUser) -> Event:
    """By which the second person hears of what waits for him."""
    alert = (
        f"Version {version.version} of rule “{version.name}”, proposed by {actor.get_username()}, waits for "
        "another person's approval"
    )
    return event(
        rule, "rule.proposed", actor, alert=alert, **{**version.content(), "version": version.version}
    )
