from collections.abc import Iterable
from typing import ClassVar

from django.http import Http404, HttpResponse
from django_prometheus.exports import ExportToDjangoView
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from foundation.api.actions import Actions
from foundation.errors import Forbidden


class _AsItIs(BaseContentNegotiation):
    """Prometheus asks for its own formats, which no renderer of the API has."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> None:
        return None

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, first.media_type


class Metrics(APIView):
    """What Prometheus scrapes. For staff, by token or session: paths and counts tell outsiders too much."""

    actions: ClassVar[Actions] = {"get": "see_metrics"}
    schema = None
    content_negotiation_class = _AsItIs

    def check_permissions(self, request: Request) -> None:
        """Whom it is not for, for him it does not exist."""
        try:
            super().check_permissions(request)
        except Forbidden as error:
            raise Http404 from error

    def get(self, request: Request) -> HttpResponse:
        page: HttpResponse = ExportToDjangoView(request._request)
        return page
