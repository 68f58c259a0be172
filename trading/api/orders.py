"""Orders by hand over REST: placed, or looked at only."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from foundation.api.problems import CONTENT_TYPE
from foundation.api.schema import Problem, Problems
from portfolios.core.access import Action
from portfolios.selectors import visible_portfolio
from trading.api.serializers import TradeSerializer
from trading.core.orders import OrderTerms, OrderType, TimeInForce
from trading.core.verdicts import RefusalCode
from trading.models import AutoTrade, Side
from trading.services.manual import place_trade, preview_trade

TAGS = ["trades"]
_EXAMPLE = OpenApiExample(
    "Ten shares",
    value={
        "portfolio_id": "00000000-0000-4000-8000-000000000000",
        "symbol": "AAPL",
        "trade_type": "buy",
        "quantity": "10",
    },
    request_only=True,
)
_LIMIT_EXAMPLE = OpenApiExample(
    "Ten shares at 150 or better, until cancelled",
    value={
        "portfolio_id": "00000000-0000-4000-8000-000000000000",
        "symbol": "AAPL",
        "trade_type": "buy",
        "quantity": "10",
        "order_type": "limit",
        "time_in_force": "gtc",
        "limit_price": "150",
    },
    request_only=True,
)
_EXAMPLES = [_EXAMPLE, _LIMIT_EXAMPLE]
_CHECKS = "each risk control with its value and limit, in the order in which they are asked"


def _price(help_text: str) -> serializers.DecimalField:
    return serializers.DecimalField(
        max_digits=20, decimal_places=8, allow_null=True, default=None, help_text=help_text
    )


class OrderSerializer(StrictSerializer):
    portfolio_id = serializers.UUIDField()
    symbol = serializers.CharField(max_length=32)
    trade_type = serializers.ChoiceField(choices=Side.choices)
    quantity = serializers.DecimalField(
        max_digits=20, decimal_places=8, help_text="in units, positive, a multiple of the instrument's lot"
    )
    order_type = serializers.ChoiceField(
        choices=[(each.value, each.value) for each in OrderType],
        default=OrderType.MARKET.value,
        help_text="`stop` becomes a market order, and `stop_limit` a limit order, once the stop price is reached; "
        "`trailing_stop` follows the best price",
    )
    time_in_force = serializers.ChoiceField(
        choices=[(each.value, each.value) for each in TimeInForce],
        default=TimeInForce.DAY.value,
        help_text="`day`: until the exchange's close; `gtc`: until it is filled or cancelled",
    )
    limit_price = _price(
        "of `limit` and `stop_limit`: not paid more, not sold for less; a multiple of the tick"
    )
    stop_price = _price("of `stop` and `stop_limit`: what triggers it; a multiple of the tick")
    trail_percentage = _price("of `trailing_stop`: percent behind the best price, above 0 and below 100")


class PreviewSerializer(serializers.Serializer[Any]):
    """What the controls say now; the order itself is asked again."""

    approved = serializers.BooleanField()
    code = serializers.ChoiceField(
        choices=[(code.value, code.value) for code in RefusalCode],
        allow_null=True,
        help_text="of the first control that refuses; null when approved",
    )
    detail = serializers.CharField(allow_blank=True, help_text="code, value and limit; empty when approved")
    checks = serializers.ListField(child=serializers.DictField(), help_text=_CHECKS)


class RefusedOrderSerializer(Problem):
    """`code` is the refusal's, as MAX_ORDER_VALUE. Without `decision_id`, the idempotency key was used before."""

    checks = serializers.ListField(child=serializers.DictField(), required=False, help_text=_CHECKS)
    decision_id = serializers.UUIDField(required=False, help_text="the record of the refusal")


class PlaceTrade(ApiView):
    actions: ClassVar[Actions] = {"post": Action.TRADE}
    problems: ClassVar[Problems] = {"409": None}

    @extend_schema(
        operation_id="placeTrade",
        summary="Place an order by hand",
        request=OrderSerializer,
        responses={201: TradeSerializer, (422, CONTENT_TYPE): RefusedOrderSerializer},
        examples=_EXAMPLES,
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """An order that passes every risk control, as a rule's does; at market for the day, if nothing else is said.
        For traders and owners.

        The controls measure it by what it may really pay: a limit order by its limit price, a stop by its stop price.
        What the account's broker cannot do is refused as NOT_PERMITTED, and says what it can.
        A running session's limits, stops, hours and capital cap hold for it, too. What a control refuses is
        recorded as a decision and answered with 422: `code` is the control's, `detail` has its value and limit. The
        same Idempotency-Key gives the same refusal again.
        """
        body = self.body(OrderSerializer)
        visible_portfolio(self.actor, body["portfolio_id"], action=self.intent)
        trade = place_trade(actor=self.actor, **_order(body))
        shown = AutoTrade.objects.select_related("rule").get(pk=trade.pk)
        return Response(TradeSerializer(shown).data, status=201)


class ValidateTrade(ApiView):
    actions: ClassVar[Actions] = {"post": Action.TRADE}
    problems: ClassVar[Problems] = {"409": None}

    @extend_schema(
        operation_id="validateTrade",
        summary="Would an order pass now?",
        request=OrderSerializer,
        responses=PreviewSerializer,
        examples=_EXAMPLES,
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """Ask every risk control about an order, and write nothing. For traders and owners."""
        body = self.body(OrderSerializer)
        visible_portfolio(self.actor, body["portfolio_id"], action=self.intent)
        return Response(PreviewSerializer(preview_trade(actor=self.actor, **_order(body))).data)


def _order(body: dict[str, Any]) -> dict[str, Any]:
    """In the words of the service."""
    return {
        "portfolio_id": body["portfolio_id"], "symbol": body["symbol"], "side": body["trade_type"],
        "quantity": body["quantity"],
        "terms": OrderTerms(
            order_type=OrderType(body["order_type"]), time_in_force=TimeInForce(body["time_in_force"]),
            limit_price=body["limit_price"], stop_price=body["stop_price"],
            trail_percentage=body["trail_percentage"],
        ),
    }  # fmt: skip
