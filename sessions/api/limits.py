"""A session's own limits, which may only tighten what holds in its portfolio."""

from functools import partial
from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from foundation.api.preconditions import tagged, unchanged
from portfolios.api.access import owned
from portfolios.api.limits import limits_tag, version_shown
from portfolios.api.scoped_limits import LIMITS_EXAMPLE, ScopeLimitsSerializer
from portfolios.api.serializers import LimitValuesSerializer, all_limits
from portfolios.core.access import Action
from portfolios.models import LimitSet
from portfolios.selectors import current_limit_sets
from portfolios.services.limits import set_limits
from portfolios.services.locking import lock_portfolio
from sessions.selectors import visible_sessions


def _current(session_id: UUID) -> LimitSet | None:
    key = (LimitSet.Scope.SESSION, session_id)
    return current_limit_sets([key]).get(key)


def _tag(session_id: UUID) -> str:
    return limits_tag(_current(session_id), None)


class SessionLimits(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW, "put": Action.SET_LIMITS}
    tags_of = "the session's limits"

    @extend_schema(
        operation_id="getSessionLimits",
        summary="A session's limits",
        responses=ScopeLimitsSerializer,
        tags=["limits"],
    )
    def get(self, request: Request, id: UUID) -> Response:
        """What was set for this session alone; its orders pass these and all others."""
        owned(visible_sessions(self.actor), id, view=self, what="session")
        return _answer(id)

    @extend_schema(
        operation_id="setSessionLimits",
        summary="Set a session's limits",
        request=LimitValuesSerializer,
        responses=ScopeLimitsSerializer,
        examples=[LIMITS_EXAMPLE],
        tags=["limits"],
    )
    def put(self, request: Request, id: UUID) -> Response:
        """Put a new version in force at once, as a whole. For risk officers and owners.

        Where the portfolio needs four eyes a session's limits may only be tightened (409 `four_eyes`).
        """
        row = owned(visible_sessions(self.actor), id, view=self, what="session")
        values = all_limits(self.body(LimitValuesSerializer))
        lock = partial(lock_portfolio, row.portfolio_id)
        with unchanged(request, lock=lock, current=lambda: _tag(id)):
            set_limits(
                scope=LimitSet.Scope.SESSION, scope_id=id, values=values, actor=self.actor,
                portfolio_id=row.portfolio_id,
            )  # fmt: skip
        return _answer(id)


def _answer(session_id: UUID) -> Response:
    current = _current(session_id)
    shown = {"current": version_shown(current), "pending": None}
    return tagged(Response(ScopeLimitsSerializer(shown).data), limits_tag(current, None))
