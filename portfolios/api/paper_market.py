"""How the paper market treats a portfolio's account: fees, slippage, volume, latency, chance."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from foundation.api.schema import Problems
from portfolios.api.views import TAGS
from portfolios.core.access import Action
from portfolios.core.paper_market import SETTINGS, Setting
from portfolios.models import BrokerAccount
from portfolios.selectors import visible_portfolio
from portfolios.services.paper_market import set_paper_market


def _field(setting: Setting) -> serializers.Field[Any, Any, Any, Any]:
    """The service judges the range, so that it says the same everywhere."""
    help_text = f"{setting.meaning}; {setting.unit}, 0 to {setting.maximum:f}"
    if setting.places == 0:
        return serializers.IntegerField(min_value=0, max_value=int(setting.maximum), help_text=help_text)
    digits = len(f"{setting.maximum:f}") + setting.places
    return serializers.DecimalField(
        max_digits=digits, decimal_places=setting.places, min_value=0, max_value=setting.maximum, help_text=help_text,
    )  # fmt: skip


class PaperMarketSerializer(StrictSerializer):
    """All that can be set of a paper account's market."""

    fee_bps = _field(SETTINGS[0])
    fee_per_unit = _field(SETTINGS[1])
    fee_minimum = _field(SETTINGS[2])
    slippage_bps = _field(SETTINGS[3])
    price_impact_bps = _field(SETTINGS[4])
    volume_limit_percentage = _field(SETTINGS[5])
    latency_ms = _field(SETTINGS[6])
    touch_fill_percentage = _field(SETTINGS[7])
    seed = _field(SETTINGS[8])


_EXAMPLE = OpenApiExample(
    "A tenth of the volume",
    value={
        "fee_bps": "0", "fee_per_unit": "0.005", "fee_minimum": "1", "slippage_bps": "1", "price_impact_bps": "1000",
        "volume_limit_percentage": "10", "latency_ms": 250, "touch_fill_percentage": "50", "seed": 7,
    },
    request_only=True,
)  # fmt: skip


class PaperMarket(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW, "put": Action.SET_PAPER_MARKET}
    problems: ClassVar[Problems] = {"409": "The portfolio trades at a real broker (`real_broker`)."}

    @extend_schema(
        operation_id="getPaperMarket",
        summary="How the paper market treats the account",
        responses=PaperMarketSerializer,
        tags=TAGS,
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """Fees, slippage, volume limit, latency and chance. At a real broker they mean nothing."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        return _answer(BrokerAccount.objects.get(portfolio_id=portfolio_id))

    @extend_schema(
        operation_id="setPaperMarket",
        summary="Set how the paper market treats the account",
        request=PaperMarketSerializer,
        responses=PaperMarketSerializer,
        examples=[_EXAMPLE],
        tags=TAGS,
    )
    def put(self, request: Request, portfolio_id: UUID) -> Response:
        """Replace all of it, from the next fill on. For owners, and paper accounts only."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        values = self.body(PaperMarketSerializer)
        return _answer(set_paper_market(portfolio_id=portfolio_id, values=values, actor=self.actor))


def _answer(account: BrokerAccount) -> Response:
    return Response(PaperMarketSerializer(account).data)
