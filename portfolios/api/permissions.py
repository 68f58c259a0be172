"""Which instruments may be bought: the lists of a portfolio and of the platform."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.base import ApiView, StrictSerializer
from foundation.api.schema import Problems
from portfolios.api.access import require_staff
from portfolios.selectors import MAY_SET_LIMITS, permission_lists, visible_portfolio
from portfolios.services.permissions import REASON_CHARACTERS_MAX, SYMBOLS_MAX, set_instrument_permissions

TAGS = ["permissions"]
_EXAMPLE = OpenApiExample(
    "Two lists", value={"permitted": ["AAPL", "MSFT"], "restricted": {"XOM": "Compliance"}}, request_only=True
)


def _symbol() -> serializers.CharField:
    return serializers.CharField(max_length=32)


class PermissionListsSerializer(StrictSerializer):
    """Both lists, whole. Only buys are held up by them: what is held may always be sold."""

    permitted = serializers.ListField(
        child=_symbol(),
        max_length=SYMBOLS_MAX,
        help_text="only these may be bought; empty: all that are not restricted",
    )
    restricted = serializers.DictField(
        child=serializers.CharField(max_length=REASON_CHARACTERS_MAX, allow_blank=True),
        help_text="these may not be bought; symbol and reason",
    )


class PortfolioPermissionsSerializer(PermissionListsSerializer):
    platform = PermissionListsSerializer(help_text="of every portfolio; both must agree")


class PortfolioPermissions(ApiView):
    @extend_schema(
        operation_id="getPermissions",
        summary="Instruments that may be bought",
        responses=PortfolioPermissionsSerializer,
        tags=TAGS,
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """The portfolio's own lists, and the platform's, which hold besides."""
        visible_portfolio(self.actor, portfolio_id)
        return self._answer(portfolio_id)

    @extend_schema(
        operation_id="setPermissions",
        summary="Set the instruments that may be bought",
        request=PermissionListsSerializer,
        responses=PortfolioPermissionsSerializer,
        examples=[_EXAMPLE],
        tags=TAGS,
    )
    def put(self, request: Request, portfolio_id: UUID) -> Response:
        """Replace both of the portfolio's lists, at once. For risk officers and owners."""
        visible_portfolio(self.actor, portfolio_id, roles=MAY_SET_LIMITS)
        lists = self.body(PermissionListsSerializer)
        set_instrument_permissions(portfolio_id=portfolio_id, actor=self.actor, **lists)
        return self._answer(portfolio_id)

    def _answer(self, portfolio_id: UUID) -> Response:
        shown: dict[str, Any] = {**permission_lists(portfolio_id), "platform": permission_lists(None)}
        return Response(PortfolioPermissionsSerializer(shown).data)


class PlatformPermissions(ApiView):
    problems: ClassVar[Problems] = {"403": "For staff only."}

    @extend_schema(
        operation_id="getPlatformPermissions",
        summary="Instruments that may be bought anywhere",
        responses=PermissionListsSerializer,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """The lists that hold in every portfolio. For staff; members see them with their portfolio's."""
        require_staff(self.actor)
        return Response(PermissionListsSerializer(permission_lists(None)).data)

    @extend_schema(
        operation_id="setPlatformPermissions",
        summary="Set the instruments that may be bought anywhere",
        request=PermissionListsSerializer,
        responses=PermissionListsSerializer,
        examples=[_EXAMPLE],
        tags=TAGS,
    )
    def put(self, request: Request) -> Response:
        """Replace both lists, at once, for every portfolio. For staff."""
        require_staff(self.actor)
        set_instrument_permissions(
            portfolio_id=None, actor=self.actor, **self.body(PermissionListsSerializer)
        )
        return Response(PermissionListsSerializer(permission_lists(None)).data)
