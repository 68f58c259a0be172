"""Within which limits a portfolio trades, and whether their changes wait for a second person."""

from contextlib import AbstractContextManager
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from foundation.api.preconditions import etag, tagged, unchanged
from foundation.errors import NotFound
from portfolios.api import serializers as shapes
from portfolios.api.views import TAGS, shown_portfolios
from portfolios.core.access import Action
from portfolios.models import LimitSet
from portfolios.selectors import (
    account_of,
    current_limit_sets,
    effective_limits,
    limit_values,
    pending_limits,
    visible_portfolio,
)
from portfolios.services.limits import approve_limits, reject_limits, set_limits
from portfolios.services.locking import lock_portfolio
from portfolios.services.portfolios import set_four_eyes

Unchanged = AbstractContextManager[None]


def version_shown(row: LimitSet | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "id": row.id,
        "scope": row.scope,
        "version": row.version,
        "values": limit_values(row),
        "approval": row.approval,
        "created_at": row.created_at,
        "created_by": row.created_by.get_username() if row.created_by is not None else None,
        "decided_at": row.decided_at,
        "decided_by": row.decided_by.get_username() if row.decided_by is not None else None,
    }


def limits_tag(current: LimitSet | None, pending: LimitSet | None) -> str:
    """Of one scope's limits: which version is in force, and which waits."""
    return etag(
        "limits",
        *(None if row is None else (row.scope, row.scope_id, row.version) for row in (current, pending)),
    )


def scope_tag(scope: str, scope_id: UUID | None) -> str:
    key = (scope, scope_id)
    return limits_tag(current_limit_sets([key]).get(key), pending_limits([key]).get(key))


def limits_unchanged(request: Request, scope: str, scope_id: UUID | None, portfolio_id: UUID) -> Unchanged:
    """Of a scope within a portfolio. Raises PreconditionFailed when the client names the tag of another state."""
    lock = partial(lock_portfolio, portfolio_id)
    return unchanged(request, lock=lock, current=lambda: scope_tag(scope, scope_id))


def limits_answer(portfolio_id: UUID, *, of: str = "portfolio") -> Response:
    """`of`: whose tag it has, the portfolio's or the account's."""
    account_id = account_of(portfolio_id)
    scopes = [("platform", None), ("account", account_id), ("portfolio", portfolio_id)]
    found, pending = current_limit_sets(scopes), pending_limits(scopes)
    effective = effective_limits({portfolio_id: None})[portfolio_id]
    limits = {
        "platform": version_shown(found.get(("platform", None))),
        "account": version_shown(found.get(("account", account_id))),
        "portfolio": version_shown(found.get(("portfolio", portfolio_id))),
        "pending": version_shown(pending.get(("portfolio", portfolio_id))),
        "account_pending": version_shown(pending.get(("account", account_id))),
        "platform_pending": version_shown(pending.get(("platform", None))),
        "effective": dict(effective.values),
        "versions": effective.versions,
    }
    key = (of, account_id if of == "account" else portfolio_id)
    return tagged(
        Response(shapes.LimitsSerializer(limits).data), limits_tag(found.get(key), pending.get(key))
    )


class Limits(ApiView):
    tags_of = "the portfolio's limits"
    actions: ClassVar[Actions] = {"get": Action.VIEW, "put": Action.SET_LIMITS}

    @extend_schema(
        operation_id="getLimits", summary="Limits in force", responses=shapes.LimitsSerializer, tags=TAGS
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """What platform, account and portfolio set, and what holds: the tightest of them.

        A session and an instrument may tighten it further for their orders.

        `pending`, `account_pending` and `platform_pending` are not in force: they wait for a second person.
        """
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        return limits_answer(portfolio_id)

    @extend_schema(
        operation_id="setLimits",
        summary="Set the portfolio's limits",
        request=shapes.LimitValuesSerializer,
        responses=shapes.LimitsSerializer,
        examples=[
            OpenApiExample(
                "Two limits", value={"max_order_value": "5000", "max_daily_trades": "20"}, request_only=True
            )
        ],
        tags=TAGS,
    )
    def put(self, request: Request, portfolio_id: UUID) -> Response:
        """Put a new version in force, as a whole: what is left out is no longer set by the portfolio.

        Where the portfolio needs four eyes, nothing changes yet: the version is shown as `pending`, in place of one
        that waited before, until another risk officer or owner approves it. For risk officers and owners. The
        platform's limits hold all the same.
        """
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        values = shapes.all_limits(self.body(shapes.LimitValuesSerializer))
        scope = LimitSet.Scope.PORTFOLIO
        with limits_unchanged(request, scope, portfolio_id, portfolio_id):
            set_limits(scope=scope, scope_id=portfolio_id, values=values, actor=self.actor)
        return limits_answer(portfolio_id)


class _Decision(ApiView):
    """On one version of a portfolio's limits."""

    tags_of = "the portfolio's limits"

    def limit_set_id(self, portfolio_id: UUID, version: int) -> UUID:
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        rows = LimitSet.objects.filter(scope=LimitSet.Scope.PORTFOLIO, scope_id=portfolio_id, version=version)
        found = rows.values_list("id", flat=True).first()
        if found is None:
            raise NotFound(f"The portfolio's limits have no version {version}.")
        return found


class ApproveLimits(_Decision):
    actions: ClassVar[Actions] = {"post": Action.APPROVE}

    @extend_schema(
        operation_id="approveLimits",
        summary="Approve a version of the limits",
        request=None,
        responses=shapes.LimitsSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, portfolio_id: UUID, version: int) -> Response:
        """Put in force what another person proposed. For risk officers and owners, never the proposer.

        Refused with 409: `four_eyes` (it is your own), `not_waiting`, `superseded` (there is a newer version).
        """
        wanted = self.limit_set_id(portfolio_id, version)
        with limits_unchanged(request, LimitSet.Scope.PORTFOLIO, portfolio_id, portfolio_id):
            approve_limits(limit_set_id=wanted, actor=self.actor)
        return limits_answer(portfolio_id)


class RejectLimits(_Decision):
    actions: ClassVar[Actions] = {"post": Action.REJECT}

    @extend_schema(
        operation_id="rejectLimits",
        summary="Reject a version of the limits",
        request=None,
        responses=shapes.LimitsSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, portfolio_id: UUID, version: int) -> Response:
        """Let a version that waits never be in force. For risk officers and owners; your own you withdraw so."""
        wanted = self.limit_set_id(portfolio_id, version)
        with limits_unchanged(request, LimitSet.Scope.PORTFOLIO, portfolio_id, portfolio_id):
            reject_limits(limit_set_id=wanted, actor=self.actor)
        return limits_answer(portfolio_id)


class ApproveLimitSet(ApiView):
    actions: ClassVar[Actions] = {"post": Action.APPROVE}

    @extend_schema(
        operation_id="approveLimitSet",
        summary="Approve limits of any scope",
        request=None,
        responses=shapes.LimitVersionSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, limit_set_id: UUID) -> Response:
        """Put in force what another person proposed. Never for the proposer.

        For risk officers and owners, of a portfolio and its account; for staff, of the platform and of instruments.
        Refused with 409: `four_eyes` (it is your own), `not_waiting`, `superseded` (there is a newer version).
        """
        row = approve_limits(limit_set_id=limit_set_id, actor=self.actor)
        return Response(shapes.LimitVersionSerializer(version_shown(row)).data)


class RejectLimitSet(ApiView):
    actions: ClassVar[Actions] = {"post": Action.REJECT}

    @extend_schema(
        operation_id="rejectLimitSet",
        summary="Reject limits of any scope",
        request=None,
        responses=shapes.LimitVersionSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, limit_set_id: UUID) -> Response:
        """Let a version that waits never be in force. For whom may approve it; your own you withdraw so."""
        row = reject_limits(limit_set_id=limit_set_id, actor=self.actor)
        return Response(shapes.LimitVersionSerializer(version_shown(row)).data)


class FourEyes(ApiView):
    actions: ClassVar[Actions] = {"post": Action.SET_FOUR_EYES}

    @extend_schema(
        operation_id="setFourEyes",
        summary="Ask for a second person",
        request=shapes.FourEyesSerializer,
        responses=shapes.PortfolioSerializer,
        examples=[OpenApiExample("Ask for it", value={"enabled": True}, request_only=True)],
        tags=TAGS,
    )
    def post(self, request: Request, portfolio_id: UUID) -> Response:
        """From now on changes of rules and limits wait for a second person; what is in force stays. For owners.

        A portfolio with a live account needs one in any case. Only a superuser turns it off again (403
        `staff_required`), and nobody with a live account (409 `live_account`).
        """
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        set_four_eyes(portfolio_id=portfolio_id, actor=self.actor, **self.body(shapes.FourEyesSerializer))
        return Response(shapes.PortfolioSerializer(shown_portfolios(self.actor).get(pk=portfolio_id)).data)
