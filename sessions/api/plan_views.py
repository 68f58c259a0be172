"""Session plans: sessions that start and stop by an exchange's calendar."""

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from foundation.api.schema import Problems
from portfolios.api.access import owned
from portfolios.core.access import Action
from portfolios.selectors import visible_portfolio
from sessions.api.filters import PlanFilters
from sessions.api.plan_serializers import (
    NewPlanSerializer,
    PlanContentSerializer,
    PlanSerializer,
    content_of,
)
from sessions.models import SessionPlan
from sessions.selectors import visible_plans
from sessions.services import plans as service

TAGS = ["session plans"]
_CONTENT: dict[str, Any] = {
    "name": "Every trading day",
    "exchange": "XNYS",
    "start_minutes_before_open": 5,
    "stop_minutes_after_close": -10,
    "weekdays": ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY"],
    "config": {"universe": {"exchanges": ["XNYS"]}, "on_stop": "flatten"},
}
_NEW = {"portfolio_id": "00000000-0000-4000-8000-000000000000", **_CONTENT}


class SessionPlans(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW, "post": Action.RUN_SESSION}
    queryset = SessionPlan.objects.none()
    filterset_class = PlanFilters

    @extend_schema(
        operation_id="getSessionPlans",
        summary="List session plans",
        responses=PlanSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """Of all portfolios that you may see, newest first."""
        return self.page(visible_plans(self.actor), PlanSerializer)

    @extend_schema(
        operation_id="createSessionPlan",
        summary="Create a session plan",
        request=NewPlanSerializer,
        responses={201: PlanSerializer},
        examples=[OpenApiExample("Out ten minutes before the close", value=_NEW, request_only=True)],
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """Start a session on each trading day, and stop it, in your name. For traders and owners.

        Today's starts at once if its hours are on. A day on which another session of the portfolio runs is skipped
        and alerted; a session that somebody stops is not started again on its day. Whether you may trade here is asked
        at each start: who may not any more has his plans disabled. 409: `name_taken`, `too_many_plans`.
        """
        body = self.body(NewPlanSerializer)
        visible_portfolio(self.actor, body["portfolio_id"], action=self.intent)
        made = service.create_plan(
            portfolio_id=body["portfolio_id"], content=content_of(body), actor=self.actor
        )
        return Response(PlanSerializer(made).data, status=201)


class PlanView(ApiView):
    problems: ClassVar[Problems] = {"404": "There is no such plan, or it is not yours to see."}

    def its_trader(self, id: UUID) -> UUID:
        """The plan's id, for who may change it."""
        owned(visible_plans(self.actor), id, view=self, what="session plan")
        return id

    def shown(self, id: UUID) -> Response:
        found = owned(visible_plans(self.actor), id, view=self, what="session plan")
        return Response(PlanSerializer(found).data)

    def carried_out(self, id: UUID, verb: Callable[..., SessionPlan], **more: Any) -> Response:
        verb(plan_id=self.its_trader(id), actor=self.actor, **more)
        return self.shown(id)


class OneSessionPlan(PlanView):
    actions: ClassVar[Actions] = {"get": Action.VIEW, "put": Action.RUN_SESSION, "delete": Action.RUN_SESSION}

    @extend_schema(
        operation_id="getSessionPlan", summary="One session plan", responses=PlanSerializer, tags=TAGS
    )
    def get(self, request: Request, id: UUID) -> Response:
        """What it says, and what became of its newest day."""
        return self.shown(id)

    @extend_schema(
        operation_id="updateSessionPlan",
        summary="Change a session plan",
        request=PlanContentSerializer,
        responses=PlanSerializer,
        examples=[OpenApiExample("As a whole", value=_CONTENT, request_only=True)],
        tags=TAGS,
    )
    def put(self, request: Request, id: UUID) -> Response:
        """As a whole; from then on it starts in your name. For traders and owners.

        A session of it that runs already keeps its config and its end.
        """
        content = content_of(self.body(PlanContentSerializer))
        return self.carried_out(id, service.update_plan, content=content)

    @extend_schema(
        operation_id="deleteSessionPlan", summary="Delete a session plan", responses={204: None}, tags=TAGS
    )
    def delete(self, request: Request, id: UUID) -> Response:
        """Its sessions stay; one that runs goes on to its end. For traders and owners."""
        service.delete_plan(plan_id=self.its_trader(id), actor=self.actor)
        return Response(status=204)


class EnableSessionPlan(PlanView):
    actions: ClassVar[Actions] = {"post": Action.RUN_SESSION}

    @extend_schema(
        operation_id="enableSessionPlan",
        summary="Enable a session plan",
        request=None,
        responses=PlanSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, id: UUID) -> Response:
        """From then on it starts in your name, even if it was enabled before. For traders and owners."""
        return self.carried_out(id, service.enable_plan)


class DisableSessionPlan(PlanView):
    actions: ClassVar[Actions] = {"post": Action.RUN_SESSION}

    @extend_schema(
        operation_id="disableSessionPlan",
        summary="Disable a session plan",
        request=None,
        responses=PlanSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, id: UUID) -> Response:
        """It starts nothing any more; a session that runs goes on to its end. For traders and owners."""
        return self.carried_out(id, service.disable_plan)
