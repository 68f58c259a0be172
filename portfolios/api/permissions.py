"""Which instruments may be bought: the lists of a portfolio and of the platform."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from foundation.api.schema import Problems
from portfolios.approval import Approval
from portfolios.core.access import Action
from portfolios.selectors import (
    of_portfolio,
    pending_permissions,
    permission_lists,
    visible_portfolio,
)
from portfolios.services.permissions import (
    REASON_CHARACTERS_MAX,
    SYMBOLS_MAX,
    approve_permissions,
    reject_permissions,
    set_instrument_permissions,
)

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


class ProposedPermissionsSerializer(PermissionListsSerializer):
    """Lists that somebody asked for."""

    id = serializers.UUIDField(help_text="by which it is approved or rejected")
    version = serializers.IntegerField()
    approval = serializers.ChoiceField(choices=Approval.choices)
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(source="created_by.username", allow_null=True, default=None)
    decided_at = serializers.DateTimeField(allow_null=True)
    decided_by = serializers.CharField(
        source="decided_by.username", allow_null=True, default=None, help_text="the second person"
    )


class PlatformPermissionsSerializer(PermissionListsSerializer):
    pending = ProposedPermissionsSerializer(
        allow_null=True, help_text="looser lists, which wait for a second person's approval"
    )


class PortfolioPermissionsSerializer(PlatformPermissionsSerializer):
    platform = PlatformPermissionsSerializer(help_text="of every portfolio; both must agree")


def _shown(portfolio_id: UUID | None) -> dict[str, Any]:
    waiting = pending_permissions().filter(of_portfolio(portfolio_id))
    return {**permission_lists(portfolio_id), "pending": waiting.select_related("created_by").first()}


class PortfolioPermissions(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW, "put": Action.SET_PERMISSIONS}

    @extend_schema(
        operation_id="getPermissions",
        summary="Instruments that may be bought",
        responses=PortfolioPermissionsSerializer,
        tags=TAGS,
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """The portfolio's own lists, and the platform's, which hold besides."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
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
        """Replace both of the portfolio's lists. For risk officers and owners.

        Where the portfolio needs four eyes, and the new lists are looser (a restriction goes, what is permitted grows
        or is no longer named), nothing changes yet: they are shown as `pending`, in place of any that waited before,
        until another risk officer or owner approves them. What only tightens takes effect at once.
        """
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        lists = self.body(PermissionListsSerializer)
        set_instrument_permissions(portfolio_id=portfolio_id, actor=self.actor, **lists)
        return self._answer(portfolio_id)

    def _answer(self, portfolio_id: UUID) -> Response:
        shown = {**_shown(portfolio_id), "platform": _shown(None)}
        return Response(PortfolioPermissionsSerializer(shown).data)


class PlatformPermissions(ApiView):
    actions: ClassVar[Actions] = {"get": Action.PERMIT_PLATFORM, "put": Action.PERMIT_PLATFORM}
    problems: ClassVar[Problems] = {"403": "For staff only."}

    @extend_schema(
        operation_id="getPlatformPermissions",
        summary="Instruments that may be bought anywhere",
        responses=PlatformPermissionsSerializer,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """The lists that hold in every portfolio. For staff; members see them with their portfolio's."""
        return Response(PlatformPermissionsSerializer(_shown(None)).data)

    @extend_schema(
        operation_id="setPlatformPermissions",
        summary="Set the instruments that may be bought anywhere",
        request=PermissionListsSerializer,
        responses=PlatformPermissionsSerializer,
        examples=[_EXAMPLE],
        tags=TAGS,
    )
    def put(self, request: Request) -> Response:
        """Replace both lists, for every portfolio. For staff.

        As soon as any portfolio needs four eyes looser lists wait as `pending` until other staff approve them.
        """
        set_instrument_permissions(
            portfolio_id=None, actor=self.actor, **self.body(PermissionListsSerializer)
        )
        return Response(PlatformPermissionsSerializer(_shown(None)).data)


class ApprovePermissions(ApiView):
    actions: ClassVar[Actions] = {"post": Action.APPROVE}

    @extend_schema(
        operation_id="approvePermissions",
        summary="Approve lists of instruments",
        request=None,
        responses=ProposedPermissionsSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, proposal_id: UUID) -> Response:
        """Put in force exactly the lists that another person proposed. Never for the proposer.

        For risk officers and owners of the portfolio; for staff, of the platform. Refused with 409: `four_eyes` (they
        are your own), `not_waiting`, `superseded` (the lists were changed, or other ones proposed, since).
        """
        row = approve_permissions(proposal_id=proposal_id, actor=self.actor)
        return Response(ProposedPermissionsSerializer(row).data)


class RejectPermissions(ApiView):
    actions: ClassVar[Actions] = {"post": Action.REJECT}

    @extend_schema(
        operation_id="rejectPermissions",
        summary="Reject lists of instruments",
        request=None,
        responses=ProposedPermissionsSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, proposal_id: UUID) -> Response:
        """Let lists that wait never be in force. For whom may approve them; your own you withdraw so."""
        row = reject_permissions(proposal_id=proposal_id, actor=self.actor)
        return Response(ProposedPermissionsSerializer(row).data)
