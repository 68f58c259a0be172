from collections.abc import Iterable

from django.http import Http404, HttpResponse
from django_prometheus.exports import ExportToDjangoView
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView


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

    schema = None
    content_negotiation_class = _AsItIs

    def get(self, request: Request) -> HttpResponse:
        if not request.user.is_staff:
            raise Http404
        page: HttpResponse = ExportToDjangoView(request._request)
        return page
