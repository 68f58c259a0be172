"""What somebody is, asked of the table of roles: the only place where a user becomes a standing."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import OuterRef, Subquery

from foundation.errors import Forbidden, NotFound
from portfolios.core.access import Standing, acting_role, may, may_see, roles_of, wanted
from portfolios.models import Member

AnyUser = AbstractBaseUser | AnonymousUser


def is_staff(user: AnyUser) -> bool:
    """Superusers are staff, too."""
    return user.is_active and (getattr(user, "is_staff", False) or is_superuser(user))


def is_superuser(user: AnyUser) -> bool:
    return user.is_active and bool(getattr(user, "is_superuser", False))


def standing_anywhere(user: AnyUser) -> Standing:
    """For what is asked in no portfolio."""
    return Standing(is_staff=is_staff(user), is_superuser=is_superuser(user))


def standing_of(user: AnyUser, role: str | None) -> Standing:
    """`role`: his membership's in the portfolio in question."""
    superuser = is_superuser(user)
    return Standing(acting_role(role, is_superuser=superuser), is_staff(user), superuser)


def asked_role(user: AnyUser, portfolio_id: str) -> Subquery:
    """The user's membership's role, for the rows of a query; `portfolio_id` names their column."""
    user_id: Any = user.pk  # None, of whom nobody is: he has no role
    mine = Member.objects.filter(portfolio_id=OuterRef(portfolio_id), user_id=user_id)
    return Subquery(mine.values("role")[:1])


def require(
    user: AnyUser, role: str | None, *, action: str, otherwise: str, is_author: bool | None = None
) -> None:
    """Raise NotFound (with the text `otherwise`) in whose portfolio the user is a stranger, Forbidden unless he may do
    this there. `role`: his membership's.

    is_author: whether he proposed it; None: that is not known here, and left to the service where it matters.
    """
    standing = standing_of(user, role)
    if not (user.is_active and may_see(action, standing)):
        raise NotFound(otherwise)
    if not may(action, standing, is_author=is_author is not False):
        raise refusal(action, standing)


def refusal(action: str, standing: Standing) -> Forbidden:
    """Says what it needs, and what he is."""
    if not roles_of(action):
        return Forbidden(f"This is for {wanted(action)}.", code="staff_required")
    return Forbidden(f"This needs {wanted(action)}; yours is {standing.role}.", code="role_required")


def require_anywhere(user: AnyUser, action: str) -> None:
    """For what is asked in no portfolio. Raises Forbidden."""
    standing = standing_anywhere(user)
    if not may(action, standing):
        raise refusal(action, standing)
