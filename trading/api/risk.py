"""How much risk a portfolio carries, and how much of its limits it uses."""

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from portfolios.core.access import Action
from portfolios.selectors import visible_portfolio
from trading.api.risk_serializers import EXAMPLE, PortfolioRiskSerializer
from trading.services.portfolio_risk import assess_portfolio


class Risk(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}

    @extend_schema(
        operation_id="getPortfolioRisk",
        summary="Assess a portfolio's risk",
        responses=PortfolioRiskSerializer,
        examples=[EXAMPLE],
        filters=False,
        tags=["portfolios"],
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """Concentration, sectors, correlation, volatility, value at risk, drawdown, and the use of each limit.

        At the current snapshot, with working buys counted as held. What cannot be known is null, and named: nothing
        is estimated from a part. Ratios are numbers (fractions, and percent where a name ends in `percentage`); money
        and whatever is compared with a limit is text. For every member.
        """
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        return Response(PortfolioRiskSerializer(assess_portfolio(portfolio_id)).data)
