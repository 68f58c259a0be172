"""Market data of Alpaca: a stream for what happens now, REST for what was missed.

    reading.py   one message of the stream, in our words
    newest.py    the newest believable quote of each symbol, and what is odd
    stream.py    the thread that keeps the socket
    history.py   daily bars by REST
    provider.py  ticks for the feed

The protocol is that of docs.alpaca.markets (real-time stock data, historical bars).
"""

from market.feed.providers.alpaca.history import AlpacaHistory
from market.feed.providers.alpaca.newest import Newest
from market.feed.providers.alpaca.provider import AlpacaProvider, ListedSymbol
from market.feed.providers.alpaca.stream import DataKeys, DataStream, StreamRefused

__all__ = [
    "AlpacaHistory", "AlpacaProvider", "DataKeys", "DataStream", "ListedSymbol", "Newest", "StreamRefused",
]  # fmt: skip
