"""One portfolio-owned thing by its id, if this user may see it and do this to it."""

import uuid
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from foundation.api.base import ApiView
from foundation.errors import NotFound
from portfolios.standing import asked_role, require

_Owned = TypeVar("_Owned", bound=Model)


def owned(rows: QuerySet[_Owned], key: uuid.UUID, *, view: ApiView, what: str) -> _Owned:
    """The row of `rows` with this key, if the view's action is one that the user may do to it. One query.

    Raises NotFound, which tells nothing of what belongs to others, and Forbidden.
    `what` names the thing in the message; the model has a `portfolio_id`.
    """
    otherwise = f"There is no such {what}, or it is not yours to see."
    row: Any = rows.annotate(role_of_asker=asked_role(view.actor, "portfolio_id")).filter(pk=key).first()
    if row is None:
        raise NotFound(otherwise)
    require(view.actor, row.role_of_asker, action=view.intent, otherwise=otherwise)
    found: _Owned = row
    return found
