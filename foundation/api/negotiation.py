"""The API answers in JSON, whatever a client says it would like."""

from collections.abc import Iterable
from typing import Any

from django.http import Http404
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class AlwaysAnswers(DefaultContentNegotiation):
    """What the client asks for where the view has it, else what the view gives first.

    RFC 9110 (section 12.4.1) allows it. A 406 would be one more answer that a client must be ready for, and its body
    would be in the format that the client has just refused.
    """

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, Any]:
        offered = list(renderers)
        try:
            chosen: tuple[BaseRenderer, Any] = super().select_renderer(request, offered, format_suffix)
        except (NotAcceptable, Http404):  # 404: `?format=` names none of them
            return offered[0], offered[0].media_type
        return chosen
