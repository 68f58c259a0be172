"""The daily returns behind correlations, as they were known when a snapshot was published.

They are not in the snapshot: it is published many times a minute, they change once a day, and most rules do
not ask for them. Whoever does gets them from the table of bars, once a process and completed bar.
"""

import threading
from collections import OrderedDict

from market.core.indicators import CORRELATION_WINDOW, Floats, daily_returns, standardised
from market.core.snapshot import MarketSnapshot
from market.selectors import closes_on_common_days

CACHE_SIZE = 2
_cache: OrderedDict[tuple[tuple[int, ...], bytes], Floats] = OrderedDict()
_lock = threading.Lock()


def standardised_returns(snapshot: MarketSnapshot) -> Floats:
    """float64[60, S] in the order of the snapshot's symbols, read-only, for `indicators.correlations`.

    Only bars that had completed for the snapshot are used, however many the table has got since.
    """
    last = snapshot.bar_at[1]
    key = (snapshot.instrument_ids, last.tobytes())
    with _lock:
        known = _cache.get(key)
    if known is not None:
        return known
    closes = closes_on_common_days(
        instrument_ids=snapshot.instrument_ids, bar_at=last, count=CORRELATION_WINDOW + 1
    )
    result = standardised(daily_returns(closes)[1:])
    result.setflags(write=False)
    with _lock:
        _cache[key] = result
        while len(_cache) > CACHE_SIZE:
            _cache.popitem(last=False)
    return result
