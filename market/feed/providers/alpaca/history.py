"""Daily bars of the past by REST, in units of their own day, page by page within a deadline."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from foundation.core.decimal_json import parse
from foundation.fetching import Fetched, FetchFailed, fetch
from foundation.sockets import Deadline
from market.core.adjustment import DayBar
from market.feed.providers.alpaca.reading import UNREADABLE, is_number, moment
from market.feed.providers.alpaca.stream import DataKeys

DEADLINE_SECONDS = 8.0
PAGE_BARS, PAGES_MAX = 1_000, 50
PAGE_BYTES_MAX = 2 * 1024 * 1024
TOKEN_LENGTH_MAX = 200
ZONE = ZoneInfo("America/New_York")
"""all of Alpaca's stocks trade there, and a bar is stamped with the midnight of its day"""


class HistoryUnreadable(Exception):
    """The answer is none that is known."""


class AlpacaHistory:
    """`market.core.history.HasHistory`."""

    def __init__(
        self, *, base_url: str, feed: str, keys: DataKeys, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._base_url = base_url
        self._feed = "sip" if feed == "delayed_sip" else feed
        self._headers = {"APCA-API-KEY-ID": keys.key_id, "APCA-API-SECRET-KEY": keys.secret}
        self._deadline_seconds = deadline_seconds

    def history(self, *, symbol: str, first: date, last: date) -> Iterable[DayBar]:
        """Raises FetchFailed, TimeoutError, HistoryUnreadable."""
        deadline = Deadline(self._deadline_seconds)
        bars: list[DayBar] = []
        token = None
        for _ in range(PAGES_MAX):
            page = self._page(symbol, first, last, token, deadline)
            bars += [_bar(symbol, row) for row in _rows(page, symbol)]
            token = page.get("next_page_token")
            if not token:
                return bars
        raise HistoryUnreadable(f"more than {PAGES_MAX} pages")

    def _page(
        self, symbol: str, first: date, last: date, token: object, deadline: Deadline
    ) -> Mapping[str, Any]:
        query = {
            "symbols": symbol, "timeframe": "1Day", "start": first.isoformat(), "end": last.isoformat(),
            "adjustment": "raw", "feed": self._feed, "limit": str(PAGE_BARS),
        }  # fmt: skip
        if token is not None:
            if not isinstance(token, str) or len(token) > TOKEN_LENGTH_MAX:
                raise HistoryUnreadable("its next_page_token is no short text")
            query["page_token"] = token
        answer = fetch(
            f"{self._base_url}/v2/stocks/bars?{urlencode(query)}",
            allowed_hosts={urlsplit(self._base_url).hostname or ""},  # the operator's setting
            headers=self._headers,
            deadline_seconds=deadline.left(),
            bytes_max=PAGE_BYTES_MAX,
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


def _rows(page: Mapping[str, Any], symbol: str) -> list[Any]:
    of_symbols = page.get("bars")
    if of_symbols is None:
        return []
    if not isinstance(of_symbols, dict):
        raise HistoryUnreadable("its bars are no object")
    rows = of_symbols.get(symbol, [])
    if not isinstance(rows, list) or len(rows) > PAGE_BARS:
        raise HistoryUnreadable("the symbol's bars are no list, or too many")
    return rows


def _bar(symbol: str, row: Any) -> DayBar:
    at = moment(row.get("t")) if isinstance(row, dict) else UNREADABLE
    if at is UNREADABLE or not all(is_number(row.get(name)) for name in "ohlcv"):
        raise HistoryUnreadable("a bar has no time, or a price that is no number")
    return DayBar(symbol, at.astimezone(ZONE).date(), *(row[name] for name in "ohlcv"))
