from rest_framework import pagination


class CursorPagination(pagination.CursorPagination):
    """Pages by a cursor over an indexed, stable order: a page costs the same wherever it lies."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
    ordering = ("-created_at", "-id")
