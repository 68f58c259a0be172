"""Ids that sort in the order in which a process made them, so that rows that are stored at one moment keep it.

UUID version 7 of RFC 9562: milliseconds since 1970, twelve bits of their fraction, which count on where the clock
stands still or goes back, and 62 random bits.
"""

import secrets
import threading
import time
import uuid

_MOMENTS_PER_MS = 1 << 12
_lock = threading.Lock()
_last = 0


def id_in_order() -> uuid.UUID:
    """Greater than every id that this process has made before."""
    global _last
    moment = time.time_ns() * _MOMENTS_PER_MS // 1_000_000
    with _lock:
        _last = moment = max(moment, _last + 1)
    milliseconds, fraction = divmod(moment, _MOMENTS_PER_MS)
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | secrets.randbits(62))
