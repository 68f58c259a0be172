"""Pages by a cursor, in one of the orders that a list has."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import QuerySet
from rest_framework import pagination
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from foundation.errors import InvalidInput

ORDERING = "ordering"
Orderings = Mapping[str, tuple[str, ...]]


def ordering_of(view: Any, request: Request) -> str:
    """The name of the order that was asked for: the first of the view's is the usual one. Raises InvalidInput."""
    orderings: Orderings = getattr(view, "orderings", {})
    wanted = request.query_params.get(ORDERING)
    if not orderings:
        return ""
    if wanted is None:
        return next(iter(orderings))
    if wanted not in orderings:
        told = f"must be one of {', '.join(orderings)}"
        raise InvalidInput(f"{ORDERING} {told}.", errors=[{"path": ORDERING, "message": told}])
    return wanted


class CursorPagination(pagination.CursorPagination):
    """Pages by a cursor over a stable order: a page costs the same wherever it lies, if an index has that order
    and few rows are equal in its first column.

    The order is one of the view's `orderings`, or its `page_ordering`. A cursor belongs to the order it was made for:
    it holds a value of that order's first column.
    """

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
    ordering = ("-created_at", "-id")
    # Equal ones are passed by an offset. Cut off, it would lead to the same page again and again, as through the trades
    # of one symbol. An invented one reads no more than what its asker may see; PostgreSQL refuses an absurd one.
    offset_cutoff = None  # type: ignore[assignment]  # DRF knows that
    _named = ""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        self._named = ordering_of(view, request)
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValidationError, ValueError, DataError) as error:
            if self.cursor_query_param not in request.query_params:
                raise  # what else a query can get wrong, its filters have refused before
            # a cursor that was not made here
            raise NotFound(self.invalid_cursor_message) from error

    def get_page_size(self, request: Request) -> int | None:
        """Raises InvalidInput for what is no number of rows; what is more than the most is the most."""
        name = self.page_size_query_param
        given = request.query_params.get(name, "")
        if given and not (given.isascii() and given.isdecimal() and given.strip("0")):
            told = f"must be a number from 1 to {self.max_page_size}"
            raise InvalidInput(f"{name} {told}.", errors=[{"path": name, "message": told}])
        size: int | None = super().get_page_size(request)
        return size

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> tuple[str, ...]:
        if self._named:
            return tuple(view.orderings[self._named])
        ordering: tuple[str, ...] = getattr(view, "page_ordering", self.ordering)
        return ordering

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """DRF's says `nullable`, which is no word of OpenAPI 3.1, and leaves open whether the links are there."""
        link = {"type": ["string", "null"], "format": "uri", "description": "null: there is no such page"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def encode_cursor(self, cursor: Any) -> str:
        """With the name of its order before it, if the list has several."""
        link: str = super().encode_cursor(cursor)
        if not self._named:
            return link
        encoded = parse_qs(urlsplit(link).query)[self.cursor_query_param][0]
        return str(replace_query_param(link, self.cursor_query_param, f"{self._named}.{encoded}"))

    def decode_cursor(self, request: Request) -> Any:
        encoded = request.query_params.get(self.cursor_query_param)
        if encoded is None or not self._named:
            return super().decode_cursor(request)
        named, _, bare = encoded.partition(".")
        if named != self._named:
            raise NotFound(self.invalid_cursor_message)
        return super().decode_cursor(_Bare(bare, self.cursor_query_param))  # type: ignore[arg-type]


class _Bare:
    """As much of a request as the decoder looks at."""

    def __init__(self, cursor: str, name: str) -> None:
        self.query_params = {name: cursor}
