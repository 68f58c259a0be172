"""The emergency stop over REST, and who may pull and release it."""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib.auth.models import User
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from foundation.api.pagination import Orderings
from foundation.errors import NotFound
from portfolios.core.access import Action
from portfolios.selectors import role_of
from portfolios.standing import AnyUser, require, require_anywhere
from trading.api.filters import HaltFilters
from trading.api.serializers import HaltSerializer, NewHaltSerializer
from trading.models import Halt
from trading.selectors import shown_halts, visible_halts
from trading.services import emergency_stop
from trading.services.stop_button import press

TAGS = ["emergency stop"]


def _may_arm(user: AnyUser, *, scope: str, scope_id: str) -> None:
    """Raises NotFound for what is not the user's to see, Forbidden for what is not his to stop."""
    if scope not in emergency_stop.OF_MEMBERS:
        require_anywhere(user, Action.STOP_PLATFORM)
        return
    portfolio_id = emergency_stop.portfolio_of(scope, scope_id)
    assert portfolio_id is not None
    otherwise = f"There is no {scope} {scope_id}."
    require(user, role_of(user, portfolio_id), action=Action.STOP, otherwise=otherwise)


def _shown(user: User, halt_id: UUID) -> dict[str, Any]:
    shown: dict[str, Any] = HaltSerializer(shown_halts(user).get(pk=halt_id), context={"user": user}).data
    return shown


class EmergencyStops(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW, "post": Action.STOP}
    queryset = Halt.objects.none()
    filterset_class = HaltFilters
    orderings: ClassVar[Orderings] = {"-armed_at": ("-armed_at", "-id"), "armed_at": ("armed_at", "id")}
    never_throttled = ("POST",)

    @extend_schema(
        operation_id="getEmergencyStops",
        summary="List emergency stops",
        responses=HaltSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """The stops that cover something of yours, newest first, released ones included."""
        return self.page(shown_halts(self.actor), HaltSerializer, context={"user": self.actor})

    @extend_schema(
        operation_id="armEmergencyStop",
        summary="Stop trading now",
        request=NewHaltSerializer,
        responses={
            201: OpenApiResponse(HaltSerializer, description="Armed."),
            200: OpenApiResponse(
                HaltSerializer, description="You had stopped it already: the stop in force."
            ),
        },
        examples=[
            OpenApiExample(
                "A portfolio",
                value={
                    "scope": "portfolio",
                    "scope_id": "00000000-0000-4000-8000-000000000000",
                    "reason": "Prices look wrong",
                },
                request_only=True,
            )
        ],
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """Armed as soon as you have the answer; `drained_at` says when nothing was in flight any more.

        Traders, risk officers and owners stop their portfolios, sessions and rules; staff stop a symbol, an
        account or the whole platform. What you have stopped in this mode already is not stopped once more: the answer
        is that stop, as it is, with its own reason (200).
        """
        body = self.body(NewHaltSerializer)
        _may_arm(self.actor, scope=body["scope"], scope_id=body["scope_id"])
        halt, is_new = press(actor=self.actor, **body)
        return Response(_shown(self.actor, halt.id), status=201 if is_new else 200)


class ReleaseEmergencyStop(ApiView):
    actions: ClassVar[Actions] = {"post": Action.RELEASE_STOP}

    @extend_schema(
        operation_id="releaseEmergencyStop",
        summary="Release an emergency stop",
        request=None,
        responses=HaltSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, id: UUID) -> Response:
        """Let trading go on. Never by the one who armed it (409); a rule's or breaker's needs a risk officer."""
        if not visible_halts(self.actor).filter(pk=id).exists():
            raise NotFound("There is no such emergency stop, or it is not yours to see.")
        emergency_stop.release(halt_id=id, actor=self.actor)
        return Response(_shown(self.actor, id))
