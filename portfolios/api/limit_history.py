"""Every version of a portfolio's limits, and of its account's: who set it, and what became of it."""

from typing import ClassVar
from uuid import UUID

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from portfolios.api.limits import version_shown
from portfolios.api.serializers import LimitVersionSerializer
from portfolios.core.access import Action
from portfolios.models import LimitSet
from portfolios.selectors import account_of, visible_portfolio


class _Shown(LimitVersionSerializer):
    """Of a row of the table."""

    class Meta:
        ref_name = "LimitVersion"

    def to_representation(self, instance: LimitSet) -> dict[str, object]:
        return dict(super().to_representation(version_shown(instance)))


class LimitHistory(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}
    queryset = LimitSet.objects.none()

    @extend_schema(
        operation_id="getLimitHistory",
        summary="List the versions of a portfolio's limits",
        responses=LimitVersionSerializer(many=True),
        filters=False,
        tags=["limits"],
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """The portfolio's and its account's, newest first, rejected ones and those that wait included."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        scopes = Q(scope=LimitSet.Scope.PORTFOLIO, scope_id=portfolio_id) | Q(
            scope=LimitSet.Scope.ACCOUNT, scope_id=account_of(portfolio_id)
        )
        rows = LimitSet.objects.filter(scopes).select_related("created_by", "decided_by")
        return self.page(rows, _Shown)
