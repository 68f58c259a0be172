"""The API's documentation as a page: Swagger UI from our own files, which works without any other host."""

from typing import Any

from django.utils.cache import add_never_cache_headers
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Swagger UI styles its elements itself, hence `unsafe-inline`; a script may only be one of our files."""


class Docs(SpectacularSwaggerSplitView):
    """The page, and with `?script` the script that starts it, which holds the visitor's CSRF token."""

    url_name = "schema"

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        final: Response = super().finalize_response(request, response, *args, **kwargs)
        final["Content-Security-Policy"] = _POLICY
        add_never_cache_headers(final)
        return final
