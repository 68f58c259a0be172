"""The API's documentation as a page: Swagger UI from our own files, which works without any other host."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import add_never_cache_headers
from drf_spectacular.views import SpectacularSwaggerSplitView

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Swagger UI styles its elements itself, hence `unsafe-inline`; a script may only be one of our files."""

_page: Callable[..., HttpResponseBase] = SpectacularSwaggerSplitView.as_view(url_name="schema")


def docs(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
    """The page, and with `?script` the script that starts it, which holds the visitor's CSRF token."""
    response = _page(request, **kwargs)
    response["Content-Security-Policy"] = _POLICY
    add_never_cache_headers(response)
    return response
