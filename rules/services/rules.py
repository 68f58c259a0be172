"""The only writer of rules: making, changing, switching, archiving them, and approving what was proposed.

Each change locks the portfolio before the rule, like every change to a portfolio,
makes an immutable version when it changes what the rule says, and is journalled
on the portfolio's stream. Who may do it is asked by the caller
(`portfolios.core.access`), but of approvals here.

Where the portfolio needs four eyes, what is made or changed waits: the rule stays as it
is until a second person approves that version. What only stops (deactivating, archiving)
takes effect at once; an exit rule may be stopped, too: halting and flattening remain.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from foundation.clock import database_now
from foundation.errors import Conflict, NotFound
from journal.services.journal import append
from portfolios.selectors import needs_four_eyes
from portfolios.services.approvals import decide, require_second_person
from rules.models import RuleVersion, TradingRule
from rules.selectors import latest_version, pending_versions
from rules.services import writing

RULES_MAX = 500


@transaction.atomic
def create_rule(
    *, portfolio_id: UUID, rule: Mapping[str, Any], actor: AbstractBaseUser, is_active: bool = True
) -> TradingRule:
    """Validate and store a rule with its first version.

    Where four eyes are needed it is inactive until that version is approved, and then becomes what `is_active`
    asks for. `rule` has the rule's own keys only. Raises InvalidInput with every fault (of an active rule also
    what would not be carried out), NotFound for the portfolio, Conflict when it already has RULES_MAX rules.
    """
    content = writing.validated(rule)
    if is_active:
        writing.require_support(content["actions"])
    writing.lock_portfolio(portfolio_id)
    if TradingRule.objects.filter(portfolio_id=portfolio_id, archived_at__isnull=True).count() >= RULES_MAX:
        raise Conflict(
            f"A portfolio has at most {RULES_MAX} rules: archive one first.", code="too_many_rules"
        )
    waits = bool(needs_four_eyes([portfolio_id]))
    created = TradingRule.objects.create(
        portfolio_id=portfolio_id, is_active=is_active and not waits, activate_when_approved=is_active and waits,
        version=1, created_by_id=actor.pk, **content,
    )  # fmt: skip
    version = writing.add_version(created, actor, version=1, content=content, waits=waits)
    made = writing.event(created, "rule.created", actor, **content, is_active=created.is_active)
    append([made, writing.proposal(created, version, actor)] if waits else [made])
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

    Where four eyes are needed the new version waits, in place of one that waited before, and the rule is returned
    as it still is. The same content again changes nothing and makes no version, so a repeated
    request is harmless. `expected_version` refuses to overwrite a change that the
    actor has not seen, waiting ones included. Raises InvalidInput (also when the rule is active and would
    not be carried out), NotFound, Conflict (archived, or changed meanwhile).
    """
    content = writing.validated(rule)
    stored = writing.lock_rule(rule_id)
    writing.refuse_archived(stored)
    latest = latest_version(rule_id)
    number = stored.version if latest is None else latest.version
    if expected_version is not None and expected_version != number:
        raise Conflict(
            f"The rule is at version {number}, not {expected_version}: look at it again.",
            code="version_conflict",
            version=number,
        )
    waits = bool(needs_four_eyes([stored.portfolio_id]))
    if _says_already(latest, content, waits=waits):
        return stored
    if waits:
        _propose(stored, content, actor)
        return stored
    number = writing.next_number(stored)
    _put_in_force(stored, content, version=number)
    writing.add_version(stored, actor, version=number, content=content)
    append([writing.event(stored, "rule.updated", actor, is_active=stored.is_active, **content)])
    return stored


def _says_already(latest: RuleVersion | None, content: Mapping[str, Any], *, waits: bool) -> bool:
    """What waits only says it where it must wait: since that is over, the same content takes effect."""
    return latest is not None and latest.content() == content and (waits or latest.may_be_in_force)


def _propose(rule: TradingRule, content: Mapping[str, Any], actor: AbstractBaseUser) -> None:
    if rule.is_active or rule.activate_when_approved:
        writing.require_support(content["actions"])
    version = writing.add_version(rule, actor, version=writing.next_number(rule), content=content, waits=True)
    append([writing.proposal(rule, version, actor)])


@transaction.atomic
def activate_rule(*, rule_id: UUID, actor: AbstractBaseUser) -> TradingRule:
    """Put a rule in force. What it says must still be valid in this version of the language.

    Where four eyes are needed and nobody ever approved what it says (it was made before they were asked for), the
    same content is proposed as a new version, with which the rule becomes active, and the rule is returned inactive.
    Nothing happens to an active rule. Raises NotFound, Conflict when it is archived or (`approval_required`) waits
    for a second person, InvalidInput when this version would not carry it out.
    """
    rule = writing.lock_rule(rule_id)
    writing.refuse_archived(rule)
    if rule.is_active:
        return rule
    current = RuleVersion.objects.filter(rule=rule, version=rule.version).first()
    approved = current is not None and current.approved is True
    waits = not approved and bool(needs_four_eyes([rule.portfolio_id]))
    pending = pending_versions().filter(rule=rule).first() if waits else None
    missing = current if current is not None and not current.may_be_in_force else pending
    if missing is not None:
        raise Conflict(
            f"Version {missing.version} of the rule needs the approval of a second person first.",
            code="approval_required",
        )
    content = writing.validated(rule.content())
    writing.require_support(content["actions"])
    if waits:
        rule.activate_when_approved = True
        _save(rule, "activate_when_approved")
        _propose(rule, content, actor)
        return rule
    rule.is_active = True
    _save(rule, "is_active")
    append([writing.event(rule, "rule.activated", actor)])
    return rule


@transaction.atomic
def deactivate_rule(*, rule_id: UUID, actor: AbstractBaseUser) -> TradingRule:
    """Take a rule out of force, or keep it out when it is approved; else nothing happens to an inactive one.

    Needs nobody's approval. Raises NotFound.
    """
    rule = writing.lock_rule(rule_id)
    if rule.is_active or rule.activate_when_approved:
        rule.is_active = rule.activate_when_approved = False
        _save(rule, "is_active", "activate_when_approved")
        append([writing.event(rule, "rule.deactivated", actor)])
    return rule


@transaction.atomic
def archive_rule(*, rule_id: UUID, actor: AbstractBaseUser) -> TradingRule:
    """Delete for the users, keep for the books: out of force for good, its history stays.

    Nothing happens to an archived rule. Needs nobody's approval. Raises NotFound.
    """
    rule = writing.lock_rule(rule_id)
    if rule.archived_at is None:
        rule.is_active = rule.activate_when_approved = False
        rule.archived_at = database_now()
        _save(rule, "is_active", "activate_when_approved", "archived_at")
        append([writing.event(rule, "rule.archived", actor)])
    return rule


@transaction.atomic
def approve_rule_version(*, rule_id: UUID, version: int, actor: AbstractBaseUser) -> TradingRule:
    """Put in force exactly what this version says; the rule becomes active where it was made to be.

    For risk officers and owners, never for the version's author. Raises NotFound, Forbidden, Conflict (`four_eyes`;
    `not_waiting`; `superseded`: there is a newer version; `rule_archived`), InvalidInput when the rule would be
    active and what it says is no longer valid or not carried out.
    """
    rule, row = _locked(rule_id, version, actor, approve=True)
    writing.refuse_archived(rule)
    _decide(row, actor, approve=True)
    content = row.content()
    if rule.is_active or rule.activate_when_approved:
        writing.validated(content)
    _put_in_force(rule, content, version=row.version)
    alert = f"Version {row.version} of rule “{row.name}” is in force, approved by {actor.get_username()}"
    if not rule.is_active:
        alert = f"Version {row.version} of rule “{row.name}”, which is inactive, was approved by {actor.get_username()}"
    append([
        writing.event(rule, "rule.approved", actor, alert=alert, **{**content, "is_active": rule.is_active})
    ])  # fmt: skip
    return rule


@transaction.atomic
def reject_rule_version(*, rule_id: UUID, version: int, actor: AbstractBaseUser) -> TradingRule:
    """Let this version never be in force; its author withdraws it so. Raises like `approve_rule_version`."""
    rule, row = _locked(rule_id, version, actor, approve=False)
    newest = pending_versions().filter(pk=row.pk).exists()
    _decide(row, actor, approve=False)
    if newest and rule.activate_when_approved:
        rule.activate_when_approved = False
        _save(rule, "activate_when_approved")
    alert = f"Version {row.version} of rule “{row.name}” was rejected by {actor.get_username()}"
    append([writing.event(rule, "rule.rejected", actor, alert=alert, version=row.version)])
    return rule


def _locked(
    rule_id: UUID, version: int, actor: AbstractBaseUser, *, approve: bool
) -> tuple[TradingRule, RuleVersion]:
    """The rule, locked, and its version, if the actor may decide on it."""
    rule = writing.lock_rule(rule_id)
    row = RuleVersion.objects.filter(rule=rule, version=version).first()
    if row is None:
        raise NotFound(f"The rule has no version {version}.")
    require_second_person(
        proposed_by=row.created_by_id, actor=actor, portfolio_id=rule.portfolio_id, approve=approve
    )
    return rule, row


def _decide(row: RuleVersion, actor: AbstractBaseUser, *, approve: bool) -> None:
    what = f"Version {row.version} of the rule"
    decide(pending=pending_versions(), version=row, what=what, actor=actor, approve=approve)


def _put_in_force(rule: TradingRule, content: Mapping[str, Any], *, version: int) -> None:
    """Let the rule say what this version says: active where it was, or where it was made to be.

    Raises InvalidInput when it would be active and is not carried out.
    """
    active = rule.is_active or rule.activate_when_approved
    if active:
        writing.require_support(content["actions"])
    for name, value in content.items():
        setattr(rule, name, value)
    rule.version, rule.is_active, rule.activate_when_approved = version, active, False
    _save(rule, *content, "version", "is_active", "activate_when_approved")


def _save(rule: TradingRule, *columns: str) -> None:
    rule.updated_at = database_now()
    rule.save(update_fields=[*columns, "updated_at"])
