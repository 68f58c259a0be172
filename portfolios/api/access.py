"""One portfolio-owned thing by its id, if this user may see it and do this to it."""

import uuid
from collections.abc import Iterable
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from foundation.errors import NotFound
from portfolios.selectors import AnyUser, require_role

_Owned = TypeVar("_Owned", bound=Model)


def owned(
    rows: QuerySet[_Owned], key: uuid.UUID, *, user: AnyUser, what: str, roles: Iterable[str] | None = None
) -> _Owned:
    """The row of `rows` (what the user may see) with this key.

    Raises NotFound, which tells nothing of what belongs to others, and Forbidden without one of the roles.
    `what` names the thing in the message; the model has a `portfolio_id`.
    """
    row: Any = rows.filter(pk=key).first()
    if row is None:
        raise NotFound(f"There is no such {what}, or it is not yours to see.")
    require_role(user, row.portfolio_id, roles=roles)
    found: _Owned = row
    return found
