"""Answers of Alpaca's REST data, page by page within a deadline."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from foundation.core.decimal_json import parse
from foundation.fetching import Fetched, FetchFailed, fetch
from foundation.sockets import Deadline
from market.feed.providers.alpaca.stream import DataKeys

DEADLINE_SECONDS = 8.0
PAGES_MAX = 50
PAGE_BYTES_MAX = 2 * 1024 * 1024
TOKEN_LENGTH_MAX = 200
URL_LENGTH_MAX = 8_000
"""many symbols are asked for at once; servers take about so much"""


class HistoryUnreadable(Exception):
    """The answer is none that is known."""


class Pages:
    def __init__(self, *, base_url: str, keys: DataKeys, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._base_url = base_url
        self._headers = {"APCA-API-KEY-ID": keys.key_id, "APCA-API-SECRET-KEY": keys.secret}
        self._deadline_seconds = deadline_seconds

    def of(self, path: str, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Each page until there is no further one. Raises FetchFailed, TimeoutError, HistoryUnreadable."""
        deadline = Deadline(self._deadline_seconds)
        token = None
        for _ in range(PAGES_MAX):
            page = self._page(path, dict(query), token, deadline)
            yield page
            token = page.get("next_page_token")
            if not token:
                return
        raise HistoryUnreadable(f"more than {PAGES_MAX} pages")

    def _page(self, path: str, query: dict[str, str], token: object, deadline: Deadline) -> Mapping[str, Any]:
        if token is not None:
            if not isinstance(token, str) or len(token) > TOKEN_LENGTH_MAX:
                raise HistoryUnreadable("its next_page_token is no short text")
            query["page_token"] = token
        answer = fetch(
            f"{self._base_url}{path}?{urlencode(query)}",
            allowed_hosts={urlsplit(self._base_url).hostname or ""},  # the operator's setting
            headers=self._headers,
            deadline_seconds=deadline.left(),
            bytes_max=PAGE_BYTES_MAX,
            url_length_max=URL_LENGTH_MAX,
        )
        if not isinstance(answer, Fetched):
            raise FetchFailed("it says that nothing has changed, which nobody asked")
        try:
            page = parse(answer.body)
        except (ValueError, RecursionError):
            raise HistoryUnreadable("the page is no JSON") from None
        if not isinstance(page, dict):
            raise HistoryUnreadable("the page is no object")
        return page
