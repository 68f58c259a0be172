"""Trading sessions: start, pause, resume, stop, list. A session's performance is shown by trading."""

from contextlib import AbstractContextManager
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from foundation.api.pagination import Orderings
from foundation.api.preconditions import tagged, unchanged
from portfolios.api.access import owned
from portfolios.core.access import Action
from portfolios.selectors import visible_portfolio
from portfolios.services.locking import lock_portfolio
from sessions.api.filters import SessionFilters
from sessions.api.serializers import (
    ReasonSerializer,
    SessionSerializer,
    StartSessionSerializer,
    StopSerializer,
    session_tag,
)
from sessions.models import TradingSession
from sessions.selectors import visible_sessions
from sessions.services import sessions as service

TAGS = ["sessions"]
_START: dict[str, Any] = {
    "portfolio_id": "00000000-0000-4000-8000-000000000000",
    "session_name": "Autumn",
    "config": {
        "universe": {"symbols": ["AAPL", "IBM"], "tags": ["dividend"]},
        "evaluation": {"every_seconds": 60},
        "limits": {"max_order_value": "5000"},
        "on_stop": "keep",
    },
}


def _sessions() -> QuerySet[TradingSession]:
    return TradingSession.objects.select_related("started_by")


def _shown(session_id: UUID, *, status: int = 200) -> Response:
    row = _sessions().get(pk=session_id)
    return tagged(Response(SessionSerializer(row).data, status=status), session_tag(row))


def _unchanged(request: Request, row: TradingSession) -> AbstractContextManager[None]:
    """Raises PreconditionFailed when the client names the tag of another state."""
    lock = partial(lock_portfolio, row.portfolio_id)
    return unchanged(request, lock=lock, current=lambda: session_tag(TradingSession.objects.get(pk=row.pk)))


class StartSession(ApiView):
    actions: ClassVar[Actions] = {"post": Action.RUN_SESSION}

    @extend_schema(
        operation_id="startTradingSession",
        summary="Start a session",
        request=StartSessionSerializer,
        responses={201: SessionSerializer},
        examples=[OpenApiExample("Two symbols and a tag, a tighter limit", value=_START, request_only=True)],
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """Let the portfolio's rules trade. For traders and owners.

        One session at a time: while one runs the answer is 409 `session_running`, which names it in `session_id`.
        409 `mode_mismatch`: the config says `paper` and the account's money is real, or the other way round.
        """
        body = self.body(StartSessionSerializer)
        visible_portfolio(self.actor, body["portfolio_id"], action=self.intent)
        started = service.start_trading_session(actor=self.actor, **body)
        return _shown(started.pk, status=201)


class StopSession(ApiView):
    tags_of = "the session"
    actions: ClassVar[Actions] = {"post": Action.RUN_SESSION}

    @extend_schema(
        operation_id="stopTradingSession",
        summary="Stop a session",
        request=StopSerializer,
        responses=SessionSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, id: UUID) -> Response:
        """For ever. It is `stopping` until what is open is closed, then `stopped`. For traders and owners.

        With `"on_stop": "keep"` what is held stays, whatever the config says. So a session that is `stopping` already
        and waits for the sale of what cannot be sold is stopped once more; every other one that stops is 409
        `session_state`.

        To stop at once and everything, use the emergency stop.
        """
        row = owned(visible_sessions(self.actor), id, view=self, what="session")
        with _unchanged(request, row):
            body = self.body(StopSerializer)
            service.stop_trading_session(
                session_id=id, actor=self.actor, reason=body["reason"], keep="on_stop" in body
            )
        return _shown(id)


class PauseSession(ApiView):
    tags_of = "the session"
    actions: ClassVar[Actions] = {"post": Action.RUN_SESSION}

    @extend_schema(
        operation_id="pauseTradingSession",
        summary="Pause a session",
        request=ReasonSerializer,
        responses=SessionSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, id: UUID) -> Response:
        """No new entries; exits and risk rules go on. For traders and owners."""
        row = owned(visible_sessions(self.actor), id, view=self, what="session")
        with _unchanged(request, row):
            service.pause_trading_session(session_id=id, actor=self.actor, **self.body(ReasonSerializer))
        return _shown(id)


class ResumeSession(ApiView):
    tags_of = "the session"
    actions: ClassVar[Actions] = {"post": Action.RUN_SESSION}

    @extend_schema(
        operation_id="resumeTradingSession",
        summary="Resume a session",
        request=None,
        responses=SessionSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, id: UUID) -> Response:
        """End a pause. For traders and owners."""
        row = owned(visible_sessions(self.actor), id, view=self, what="session")
        with _unchanged(request, row):
            service.resume_trading_session(session_id=id, actor=self.actor)
        return _shown(id)


class Sessions(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}
    queryset = TradingSession.objects.none()
    filterset_class = SessionFilters
    orderings: ClassVar[Orderings] = {
        "-created_at": ("-created_at", "-id"), "created_at": ("created_at", "id"),
    }  # fmt: skip

    @extend_schema(
        operation_id="getTradingSessions",
        summary="List a portfolio's sessions",
        responses=SessionSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """The portfolio's sessions, newest first."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        return self.page(_sessions().filter(portfolio_id=portfolio_id), SessionSerializer)
