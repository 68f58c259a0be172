"""A cursor keeps its place, however many rows are equal in the first column of its order."""

from urllib.parse import parse_qs, urlsplit

import pytest
from rest_framework.pagination import Cursor
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from foundation.api.pagination import CursorPagination


@pytest.mark.parametrize("named", ["", "symbol"])
def test_what_it_is_told_is_what_it_reads(named: str) -> None:
    pages = CursorPagination()
    pages.base_url, pages._named = "https://autotrading.example/api/trades", named
    beyond_all_that_are_equal = Cursor(offset=1_000_050, reverse=False, position="AAPL")
    link = pages.encode_cursor(beyond_all_that_are_equal)
    (encoded,) = parse_qs(urlsplit(link).query)["cursor"]
    request = Request(APIRequestFactory().get("/api/trades", {"cursor": encoded}))
    assert pages.decode_cursor(request) == beyond_all_that_are_equal
