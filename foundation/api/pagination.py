from typing import Any

from django.db.models import QuerySet
from rest_framework import pagination
from rest_framework.request import Request


class CursorPagination(pagination.CursorPagination):
    """Pages by a cursor over an indexed, stable order: a page costs the same wherever it lies.

    The order is the view's `page_ordering`.
    """

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
    ordering = ("-created_at", "-id")
    # Rows of one transaction share their time; beyond so many equal ones a cursor would lose its place.
    offset_cutoff = 10_000

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> tuple[str, ...]:
        ordering: tuple[str, ...] = getattr(view, "page_ordering", self.ordering)
        return ordering
