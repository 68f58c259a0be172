"""The fills of a portfolio: what was really bought and sold, at which price, for which fee."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from foundation.api.pagination import Orderings
from portfolios.core.access import Action
from portfolios.selectors import visible_portfolio
from trading.api.filters import ExecutionFilters
from trading.models import Execution, Side


class ExecutionListSerializer(serializers.ModelSerializer[Execution]):
    """A fill as it was booked. A reversed one stays in the list."""

    symbol = serializers.CharField(source="trade.symbol")
    side = serializers.ChoiceField(source="trade.trade_type", choices=Side.choices)

    class Meta:
        model = Execution
        fields: Any = (
            "id", "trade_id", "execution_id", "symbol", "side", "quantity", "price", "fee", "realised_pnl",
            "reversed_at", "reversal_pnl", "market_at", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class Executions(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}
    queryset = Execution.objects.none()
    filterset_class = ExecutionFilters
    orderings: ClassVar[Orderings] = {"-booked": ("-id",), "booked": ("id",)}

    @extend_schema(
        operation_id="getExecutions",
        summary="List a portfolio's fills",
        responses=ExecutionListSerializer(many=True),
        tags=["trades"],
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """Every fill, newest first if nothing else is said, with profit before fees and what was taken back."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        rows = Execution.objects.filter(account__portfolio_id=portfolio_id).select_related("trade")
        return self.page(rows, ExecutionListSerializer)
