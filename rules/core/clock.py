"""Time fields: market time on the clock of each symbol's exchange."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from rules.core.facts import Vector


def time_facts(
    *, as_of: datetime, timezones: Sequence[str], opens_at: Vector, closes_at: Vector
) -> dict[str, Vector]:
    """The time fields of the catalogue as float64[S].

    `as_of` is market time and aware; `timezones` names each symbol's exchange
    zone; `opens_at` and `closes_at` are epoch seconds of that exchange day (NaN:
    no session). Like the snapshot's `is_open`, the moment of the close belongs to
    the session, for that is when a daily bar completes. The minutes are unknown
    outside opens_at <= as_of <= closes_at.
    """
    assert as_of.tzinfo is not None, "market time is aware"
    local = {zone: as_of.astimezone(ZoneInfo(zone)) for zone in set(timezones)}
    moment = as_of.timestamp()
    is_open = (opens_at <= moment) & (moment <= closes_at)
    return {
        "time_of_day": np.array([_minutes(local[zone]) for zone in timezones], dtype=np.float64),
        "weekday": np.array([local[zone].weekday() for zone in timezones], dtype=np.float64),
        "minutes_since_open": np.where(is_open, (moment - opens_at) / 60, np.nan),
        "minutes_to_close": np.where(is_open, (closes_at - moment) / 60, np.nan),
    }


def _minutes(moment: datetime) -> float:
    return moment.hour * 60 + moment.minute + moment.second / 60
