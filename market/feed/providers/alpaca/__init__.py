"""Market data of Alpaca: a stream for what happens now, REST for what was missed.

    reading.py   one message of the stream, in our words
    newest.py    the newest believable quote of each symbol, and what is odd
    stream.py    the thread that keeps the socket
    pages.py     an answer by REST, page by page
    history.py   daily bars
    announcements.py  splits and dividends
    provider.py  ticks for the feed

The protocol is that of docs.alpaca.markets (real-time stock data, historical bars, corporate actions).
"""

from market.feed.providers.alpaca.announcements import AlpacaAnnouncements
from market.feed.providers.alpaca.history import AlpacaHistory
from market.feed.providers.alpaca.newest import Newest
from market.feed.providers.alpaca.provider import AlpacaProvider, ListedSymbol
from market.feed.providers.alpaca.reading import is_symbol
from market.feed.providers.alpaca.stream import DataKeys, DataStream, StreamRefused

__all__ = [
    "AlpacaAnnouncements", "AlpacaHistory", "AlpacaProvider", "DataKeys", "DataStream", "ListedSymbol", "Newest",
    "StreamRefused", "is_symbol",
]  # fmt: skip
