"""The daily returns behind correlations, as they were known when a snapshot was published.

They are not in the snapshot: it is published many times a minute, they change once a day, and most rules do
not ask for them. Whoever does gets them from the table of bars, once a process and completed bar.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from market.core.indicators import CORRELATION_WINDOW, Floats, daily_returns, standardised
from market.core.snapshot import MarketSnapshot
from market.selectors import COMMON_YEAR_REACH, closes_on_common_days, market_revision

CACHE_SIZE = 2
RETURN_DAYS = 250
"""how many daily returns a portfolio's risk is told from, at most: about a year"""
_cache: OrderedDict[tuple[tuple[int, ...], bytes, int], Floats] = OrderedDict()
_lock = threading.Lock()


def standardised_returns(snapshot: MarketSnapshot) -> Floats:
    """float64[60, S] in the order of the snapshot's symbols, read-only, for `indicators.correlations`.

    Only bars that had completed for the snapshot are used, however many the table has got since.
    """
    last = snapshot.bar_at[1]
    key = (snapshot.instrument_ids, last.tobytes(), market_revision())  # a split may be recorded afterwards
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


def returns_of(snapshot: MarketSnapshot, symbols: Sequence[str]) -> dict[str, Floats]:
    """For each symbol float64[250]: its plain daily returns as fractions, oldest first, on the days that the
    exchanges of all of them have in common. One query.

    NaN where a return is unknown: the days before an instrument's first bar, both days around a gap, and everything
    of a symbol that the snapshot does not have. Only bars that had completed for the snapshot are used.
    """
    places = {symbol: snapshot.index(symbol) for symbol in symbols}
    known = [place for place in places.values() if place is not None]
    closes = closes_on_common_days(
        instrument_ids=[snapshot.instrument_ids[place] for place in known],
        bar_at=snapshot.bar_at[1][known],
        count=RETURN_DAYS + 1,
        reach=COMMON_YEAR_REACH,
    )
    columns = dict(zip(known, daily_returns(closes)[1:].T, strict=True))
    nothing = np.full(RETURN_DAYS, np.nan)
    return {
        symbol: nothing if place is None else np.ascontiguousarray(columns[place])
        for symbol, place in places.items()
    }
