"""The second person's decision on a version that waits for one: who may make it, and its one writing."""

import uuid
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet

from foundation.clock import database_now
from foundation.errors import Conflict, Forbidden
from foundation.tokens import is_program
from portfolios.approval import Approval, Decidable
from portfolios.core.access import Action
from portfolios.selectors import visible_portfolio
from portfolios.standing import require_anywhere


def require_second_person(
    *, proposed_by: int | None, actor: AbstractBaseUser, portfolio_id: uuid.UUID | None, approve: bool
) -> None:
    """Whether the actor may decide on what somebody proposed for a portfolio (None: for all of them).

    Risk officers and owners decide in a portfolio, staff on what concerns all. To reject one's own proposal
    is to withdraw it, which anybody may who sees the portfolio. A program is neither the first nor the second person:
    whoever has its token would be his own second. Raises NotFound, Forbidden, Conflict (four eyes).
    """
    own = proposed_by == actor.pk
    if portfolio_id is not None:
        action = Action.APPROVE if approve else Action.REJECT
        visible_portfolio(actor, portfolio_id, action=action, is_author=own)
    else:
        require_anywhere(actor, Action.APPROVE_PLATFORM)
    if approve and is_program(actor.pk):
        raise Forbidden("A person must decide on this; you are a service account.", code="person_required")
    if approve and is_program(proposed_by):
        raise Conflict(
            "A service account proposed it, and whoever holds its token may be you: a person must propose it.",
            code="person_required",
        )
    if own and approve:
        raise Conflict(
            "A change must be approved by another person than the one who proposed it.", code="four_eyes"
        )


def decide(
    *, pending: QuerySet[Any], version: Decidable, what: str, actor: AbstractBaseUser, approve: bool
) -> None:
    """Write the decision, once; the caller has locked what the version belongs to.

    `pending` are the versions that may be approved, `what` names this one. Only the newest version can be
    approved: whoever made a newer one has replaced it. Raises Conflict.
    """
    if version.approval is not Approval.WAITING:
        told = (
            "needs no approval"
            if version.approval is Approval.NOT_NEEDED
            else f"is {version.approval} already"
        )
        raise Conflict(f"{what} {told}.", code="not_waiting")
    if approve and not pending.filter(pk=version.pk).exists():
        raise Conflict(f"{what} was replaced by a newer version: look at that one.", code="superseded")
    version.approved, version.decided_at = approve, database_now()
    version.decided_by_id = actor.pk
    changed = (
        type(version)
        ._default_manager.filter(pk=version.pk, approved__isnull=True)
        .update(approved=approve, decided_by_id=actor.pk, decided_at=version.decided_at)
    )
    assert changed == 1, "the versions' owner is locked"
