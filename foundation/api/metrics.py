from typing import ClassVar

from django.http import Http404, HttpResponse
from django_prometheus.exports import ExportToDjangoView
from rest_framework.request import Request
from rest_framework.views import APIView

from foundation.api.actions import Actions
from foundation.errors import Forbidden


class Metrics(APIView):
    """What Prometheus scrapes. For staff, by token or session: paths and counts tell outsiders too much."""

    actions: ClassVar[Actions] = {"get": "see_metrics"}
    schema = None

    def check_permissions(self, request: Request) -> None:
        """Whom it is not for, for him it does not exist."""
        try:
            super().check_permissions(request)
        except Forbidden as error:
            raise Http404 from error

    def get(self, request: Request) -> HttpResponse:
        page: HttpResponse = ExportToDjangoView(request._request)
        return page
