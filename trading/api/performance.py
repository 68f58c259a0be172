"""How a session does, and its equity curve."""

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from foundation.api.filters import MomentFilter
from foundation.api.pagination import Orderings
from portfolios.api.access import owned
from portfolios.core.access import Action
from portfolios.models import EquityPoint
from sessions.selectors import visible_sessions
from trading.api.serializers import PerformanceSerializer
from trading.selectors.equity import equity_points_of, last_of_each_day
from trading.services.performance import get_session_performance


class EquityPointSerializer(serializers.ModelSerializer[EquityPoint]):
    """In the portfolio's currency: `equity` is `cash` and `exposure`; `unrealised_pnl` is `exposure` less `cost`,
    of all that the portfolio held then."""

    equity = serializers.DecimalField(max_digits=20, decimal_places=8, read_only=True)
    unrealised_pnl = serializers.DecimalField(max_digits=20, decimal_places=8, read_only=True)

    class Meta:
        model = EquityPoint
        fields = ("at", "equity", "cash", "exposure", "cost", "unrealised_pnl", "paid_in")
        read_only_fields = fields


class _LastOfDays(filters.ChoiceFilter):
    def filter(self, rows: QuerySet[EquityPoint], value: str) -> QuerySet[EquityPoint]:
        return last_of_each_day(rows) if value == "day" else rows


EquityFilters = type(
    "EquityFilters",
    (filters.FilterSet,),
    {
        "from": MomentFilter(field_name="at", lookup_expr="gte", label="at or after, market time"),
        "to": MomentFilter(field_name="at", lookup_expr="lt", label="before, market time"),
        # the last one: it takes one of each day from what the others have left
        "step": _LastOfDays(choices=[("day", "day")], label="`day`: only the last of each UTC day"),
    },
)


class SessionPerformance(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}

    @extend_schema(
        operation_id="getSessionPerformance",
        summary="How a session does",
        responses=PerformanceSerializer,
        filters=False,
        tags=["sessions"],
    )
    def get(self, request: Request, id: UUID) -> Response:
        """Its trades, profit, return, drawdown, Sharpe ratio, exposure, fees and slippage, from when it began until
        now, or until it ended. What is not known is null: docs/performance.md says when. For every member."""
        owned(visible_sessions(self.actor), id, view=self, what="session")
        return Response(PerformanceSerializer(get_session_performance(id)).data)


class SessionEquity(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}
    queryset = EquityPoint.objects.none()
    filterset_class: Any = EquityFilters
    orderings: ClassVar[Orderings] = {"at": ("at", "id"), "-at": ("-at", "-id")}

    @extend_schema(
        operation_id="getSessionEquity",
        summary="A session's equity curve",
        responses=EquityPointSerializer(many=True),
        tags=["sessions"],
    )
    def get(self, request: Request, id: UUID) -> Response:
        """What its portfolio was worth while it ran, oldest first: where it began, then one point in a quarter of an
        hour of market time, and where it ended. Of old days a few points are kept. For every member."""
        trading_session = owned(visible_sessions(self.actor), id, view=self, what="session")
        return self.page(equity_points_of(trading_session), EquityPointSerializer)
