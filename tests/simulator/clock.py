"""Time in whole nanoseconds since 1970, never the same twice, written as Go writes it (RFC 3339, zeros cut)."""

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

SECOND = 1_000_000_000
_NEW_YORK = ZoneInfo("America/New_York")


class Clock:
    """The machine's clock, made strictly increasing, so that times order events."""

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> int:
        self._last = max(self._last + 1, time.time_ns())
        return self._last


def to_text(at: int, *, digits: int = 9) -> str:
    """`2026-11-25T17:42:37.123456789Z`; zeros at the end of the fraction are cut, with the point if nothing is left."""
    seconds, nanos = divmod(at, SECOND)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{nanos:09d}"[:digits].rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


def from_text(text: str) -> int:
    """Nanoseconds of a date or an RFC 3339 time; raises ValueError. Without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    micros = moment.microsecond
    nanos = micros * 1000
    digits = text.partition(".")[2]
    if digits:
        fraction = "".join(char for char in _leading_digits(digits))
        nanos = int(fraction[:9].ljust(9, "0"))
    return int(moment.replace(microsecond=0).timestamp()) * SECOND + nanos


def _leading_digits(text: str) -> str:
    for place, char in enumerate(text):
        if not char.isdigit():
            return text[:place]
    return text


def new_york_day(at: int) -> str:
    """`2026-11-25`: what is no trade is told with its day."""
    return datetime.fromtimestamp(at // SECOND, _NEW_YORK).date().isoformat()


def new_york_millis(at: int) -> str:
    """`20261125124237123`: how the id of an activity begins."""
    seconds, nanos = divmod(at, SECOND)
    return datetime.fromtimestamp(seconds, _NEW_YORK).strftime("%Y%m%d%H%M%S") + f"{nanos // 1_000_000:03d}"
