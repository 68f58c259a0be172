"""Daily bars of the past by REST, in units of their own day."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from market.core.adjustment import DayBar
from market.feed.providers.alpaca.pages import DEADLINE_SECONDS, HistoryUnreadable, Pages
from market.feed.providers.alpaca.reading import UNREADABLE, is_number, moment
from market.feed.providers.alpaca.stream import DataKeys

PAGE_BARS = 1_000
ZONE = ZoneInfo("America/New_York")
"""all of Alpaca's stocks trade there, and a bar is stamped with the midnight of its day"""


class AlpacaHistory:
    """`market.core.history.HasHistory`."""

    def __init__(
        self, *, base_url: str, feed: str, keys: DataKeys, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._feed = "sip" if feed == "delayed_sip" else feed
        self._pages = Pages(base_url=base_url, keys=keys, deadline_seconds=deadline_seconds)

    def history(self, *, symbol: str, first: date, last: date) -> Iterable[DayBar]:
        """Raises FetchFailed, TimeoutError, HistoryUnreadable."""
        query = {
            "symbols": symbol, "timeframe": "1Day", "start": first.isoformat(), "end": last.isoformat(),
            "adjustment": "raw", "feed": self._feed, "limit": str(PAGE_BARS),
        }  # fmt: skip
        pages = self._pages.of("/v2/stocks/bars", query)
        return [_bar(symbol, row) for page in pages for row in _rows(page, symbol)]


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
