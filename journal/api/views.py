"""The journal over REST: the same events as the WebSocket, alerts, and tickets for the WebSocket."""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from foundation.api.idempotency import Keep
from foundation.api.pagination import CursorPagination, Orderings
from foundation.api.schema import Problems
from foundation.errors import NotFound
from journal.api.serializers import (
    NAMED_BY,
    AlertQuerySerializer,
    AlertSerializer,
    EventSerializer,
    JournalQuerySerializer,
    TicketSerializer,
)
from journal.models import Alert, Entry
from journal.selectors import visible_alerts, visible_entries, visible_streams, with_alerts
from journal.services.alerts import acknowledge_alert
from journal.services.tickets import TICKET_SECONDS, Credential, issue_ticket

_NO_PORTFOLIO: Problems = {"404": "There is no such portfolio, or it is not yours to see."}


def _refuse_foreign(request: Request, portfolio: UUID) -> None:
    if portfolio not in visible_streams(request.user):
        raise NotFound("There is no such portfolio, or it is not yours to see.")


def within(rows: QuerySet[Any], column: str, wanted: Mapping[str, Any]) -> QuerySet[Any]:
    bounds = {f"{column}__gte": wanted.get("from"), f"{column}__lt": wanted.get("to")}
    return rows.filter(**{name: at for name, at in bounds.items() if at is not None})


class EventPagination(CursorPagination):
    """In the order of recording, which within a stream is the order of `seq`."""

    def get_ordering(self, request: Request, queryset: QuerySet[Entry], view: Any) -> tuple[str, ...]:
        """Each has an index that serves it."""
        column = "seq" if "portfolio" in request.query_params else "id"
        return (f"-{column}",) if self._named.startswith("-") else (column,)


class JournalList(ApiView):
    actions: ClassVar[Actions] = {"get": "follow"}
    queryset = Entry.objects.none()
    query_class = JournalQuerySerializer
    pagination_class = EventPagination
    orderings: ClassVar[Orderings] = {"recorded": (), "-recorded": ()}
    problems: ClassVar[Problems] = _NO_PORTFOLIO
    filter_backends = ()

    def _wanted(self, request: Request) -> QuerySet[Entry]:
        wanted = self.asked(request)
        entries = visible_entries(request.user)
        if "portfolio" in wanted:
            _refuse_foreign(request, wanted["portfolio"])
            entries = entries.filter(stream_id=wanted["portfolio"])
        if "since" in wanted:
            entries = entries.filter(seq__gt=wanted["since"])
        if "kind" in wanted:
            entries = entries.filter(kind=wanted["kind"])
        for key in NAMED_BY.keys() & wanted.keys():
            entries = entries.filter(payload__contains=f'"{NAMED_BY[key]}":"{wanted[key]}"')
        return within(entries, "at", wanted)

    @extend_schema(
        operation_id="getEvents",
        summary="List events",
        responses=EventSerializer(many=True),
        tags=["journal"],
    )
    def get(self, request: Request) -> Response:
        """What happened, oldest first if nothing else is said: the events of the streams that you may see."""
        return self.page(with_alerts(self._wanted(request)), EventSerializer)


class AlertList(ApiView):
    actions: ClassVar[Actions] = {"get": "follow"}
    queryset = Alert.objects.none()
    query_class = AlertQuerySerializer
    orderings: ClassVar[Orderings] = {
        "-created_at": ("-created_at", "-id"), "created_at": ("created_at", "id"),
    }  # fmt: skip
    problems: ClassVar[Problems] = _NO_PORTFOLIO
    filter_backends = ()

    def _wanted(self, request: Request) -> QuerySet[Alert]:
        wanted = self.asked(request)
        alerts = visible_alerts(request.user)
        if "portfolio" in wanted:
            _refuse_foreign(request, wanted["portfolio"])
            alerts = alerts.filter(stream_id=wanted["portfolio"])
        if "severity" in wanted:
            alerts = alerts.filter(severity=wanted["severity"])
        if wanted["acknowledged"] is not None:
            alerts = alerts.filter(acknowledged_at__isnull=not wanted["acknowledged"])
        if "kind" in wanted:
            alerts = alerts.filter(kind=wanted["kind"])
        return within(alerts, "created_at", wanted)

    @extend_schema(
        operation_id="getAlerts", summary="List alerts", responses=AlertSerializer(many=True), tags=["alerts"]
    )
    def get(self, request: Request) -> Response:
        """The alerts of the streams that you may see, newest first if nothing else is said."""
        return self.page(self._wanted(request), AlertSerializer)


class AlertAcknowledge(ApiView):
    actions: ClassVar[Actions] = {"post": "acknowledge"}
    problems: ClassVar[Problems] = {"400": None, "409": None}

    @extend_schema(
        operation_id="acknowledgeAlert",
        summary="Acknowledge an alert",
        request=None,
        responses={200: AlertSerializer},
        tags=["alerts"],
    )
    def post(self, request: Request, alert_id: UUID) -> Response:
        """Say that you know. The first to say so is noted; saying it again changes nothing.

        For traders, risk officers and owners of the portfolio; for staff, where it is the platform's.
        """
        alert = acknowledge_alert(alert_id=alert_id, actor=self.actor)
        return Response(AlertSerializer(alert).data)


class StreamTickets(ApiView):
    actions: ClassVar[Actions] = {"post": "self"}
    idempotency = Keep.SEALED
    problems: ClassVar[Problems] = {
        "400": None,
        "403": "The session's CSRF token is missing or wrong.",
        "404": None,
        "409": None,
    }

    @extend_schema(
        operation_id="createStreamTicket",
        summary="Get a WebSocket ticket",
        request=None,
        responses={201: TicketSerializer},
        tags=["journal"],
    )
    def post(self, request: Request) -> Response:
        """A ticket that opens `/ws/events` once, for clients that cannot send an Authorization header."""
        ticket = issue_ticket(credential=_credential(request))
        return Response({"ticket": ticket, "expires_in": TICKET_SECONDS}, status=201)


def _credential(request: Request) -> Credential:
    """What the request was authenticated with; revoking it will close the socket."""
    assert request.user.is_authenticated
    digest = getattr(request.auth, "digest", "")
    session_key = "" if digest else request.session.session_key or ""
    if not digest and not session_key:
        raise NotAuthenticated("A ticket needs a token or a session.")
    return Credential(user_id=request.user.pk, token_digest=digest, session_key=session_key)
