"""The only writer of rules: making, changing, switching and archiving them.

Each change locks the portfolio before the rule, like every change to a portfolio,
makes an immutable version when it changes what the rule says, and is journalled
on the portfolio's stream. Who may do it is asked by the caller
(`portfolios.selectors.require_role`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.utils.module_loading import import_string

from foundation.clock import database_now
from foundation.errors import Conflict, InvalidInput, NotFound
from journal.core.events import Event
from journal.services.journal import append
from portfolios.models import Portfolio
from rules.core.faults import Fault
from rules.core.validation import NormalizedRule
from rules.models import RuleVersion, TradingRule
from rules.services.rule_engine import validate_rule

RULES_MAX = 500


@transaction.atomic
def create_rule(
    *, portfolio_id: UUID, rule: Mapping[str, Any], actor: AbstractBaseUser, is_active: bool = True
) -> TradingRule:
    """Validate and store a rule with its first version.

    `rule` has the rule's own keys only. Raises InvalidInput with every fault (of an
    active rule also what would not be carried out), NotFound for the portfolio,
    Conflict when it already has RULES_MAX rules.
    """
    content = _validated(rule)
    if is_active:
        _require_support(content["actions"])
    _lock_portfolio(portfolio_id)
    if TradingRule.objects.filter(portfolio_id=portfolio_id, archived_at__isnull=True).count() >= RULES_MAX:
        raise Conflict(
            f"A portfolio has at most {RULES_MAX} rules: archive one first.", code="too_many_rules"
        )
    created = TradingRule.objects.create(
        portfolio_id=portfolio_id, is_active=is_active, version=1, created_by_id=actor.pk, **content
    )
    _add_version(created, actor)
    _record(created, "rule.created", actor, **content, is_active=is_active)
    return created


@transaction.atomic
def update_rule(
    *,
    rule_id: UUID,
    rule: Mapping[str, Any],
    actor: AbstractBaseUser,
    expected_version: int | None = None,
) -> TradingRule:
    """Replace what a rule says by a whole new content; it stays active or inactive.

    The same content again changes nothing and makes no version, so a repeated
    request is harmless. `expected_version` refuses to overwrite a change that the
    actor has not seen. Raises InvalidInput (also when the rule is active and would
    not be carried out), NotFound, Conflict (archived, or changed meanwhile).
    """
    content = _validated(rule)
    stored = _lock_rule(rule_id)
    _refuse_archived(stored)
    if expected_version is not None and expected_version != stored.version:
        raise Conflict(
            f"The rule is at version {stored.version}, not {expected_version}: look at it again.",
            code="version_conflict",
            version=stored.version,
        )
    if stored.content() == content:
        return stored
    if stored.is_active:
        _require_support(content["actions"])
    for name, value in content.items():
        setattr(stored, name, value)
    stored.version += 1
    _save(stored, *content, "version")
    _add_version(stored, actor)
    _record(stored, "rule.updated", actor, **content)
    return stored


@transaction.atomic
def activate_rule(*, rule_id: UUID, actor: AbstractBaseUser) -> TradingRule:
    """Put a rule in force. What it says must still be valid in this version of the language.

    Nothing happens to an active rule. Raises NotFound, Conflict when it is archived,
    InvalidInput when this version would not carry it out.
    """
    rule = _lock_rule(rule_id)
    _refuse_archived(rule)
    if not rule.is_active:
        _require_support(_validated(rule.content())["actions"])
        rule.is_active = True
        _save(rule, "is_active")
        _record(rule, "rule.activated", actor)
    return rule


@transaction.atomic
def deactivate_rule(*, rule_id: UUID, actor: AbstractBaseUser) -> TradingRule:
    """Take a rule out of force; nothing happens to an inactive one. Raises NotFound."""
    rule = _lock_rule(rule_id)
    if rule.is_active:
        rule.is_active = False
        _save(rule, "is_active")
        _record(rule, "rule.deactivated", actor)
    return rule


@transaction.atomic
def archive_rule(*, rule_id: UUID, actor: AbstractBaseUser) -> TradingRule:
    """Delete for the users, keep for the books: out of force for good, its history stays.

    Nothing happens to an archived rule. Raises NotFound.
    """
    rule = _lock_rule(rule_id)
    if rule.archived_at is None:
        rule.is_active = False
        rule.archived_at = database_now()
        _save(rule, "is_active", "archived_at")
        _record(rule, "rule.archived", actor)
    return rule


def _validated(rule: Mapping[str, Any]) -> NormalizedRule:
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


def _require_support(actions: Sequence[Mapping[str, Any]]) -> None:
    """Only what the machine carries out is in force: nobody is to rely on a stop that is not watched."""
    faults = not_carried_out(actions)
    if faults:
        raise InvalidInput(
            "The rule cannot be in force: " + " ".join(fault.message for fault in faults),
            errors=[fault.as_dict() for fault in faults],
            code="not_carried_out",
        )


def _lock_portfolio(portfolio_id: UUID) -> None:
    if not Portfolio.objects.select_for_update(no_key=True).filter(pk=portfolio_id).exists():
        raise NotFound("There is no such portfolio.")


def _lock_rule(rule_id: UUID) -> TradingRule:
    """The rule, locked after its portfolio (a rule never changes its portfolio)."""
    portfolio_id = TradingRule.objects.filter(pk=rule_id).values_list("portfolio_id", flat=True).first()
    if portfolio_id is None:
        raise NotFound("There is no such rule.")
    _lock_portfolio(portfolio_id)
    return TradingRule.objects.select_for_update(no_key=True).get(pk=rule_id)


def _refuse_archived(rule: TradingRule) -> None:
    if rule.archived_at is not None:
        raise Conflict("The rule is archived: make a new one.", code="rule_archived")


def _save(rule: TradingRule, *columns: str) -> None:
    rule.updated_at = database_now()
    rule.save(update_fields=[*columns, "updated_at"])


def _add_version(rule: TradingRule, actor: AbstractBaseUser) -> None:
    RuleVersion.objects.create(rule=rule, version=rule.version, created_by_id=actor.pk, **rule.content())


def _record(rule: TradingRule, kind: str, actor: AbstractBaseUser, **details: Any) -> None:
    payload = {
        "rule_id": rule.id,
        "version": rule.version,
        "name": rule.name,
        "actor": actor.get_username(),
        **details,
    }
    append([Event(stream=rule.portfolio_id, kind=kind, at=database_now(), payload=payload)])
