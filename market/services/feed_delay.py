"""Whether the market is that of now, and how much later than it happened it is told of, by the settings."""

from datetime import timedelta

from django.conf import settings

ALPACA = {"delayed_sip": timedelta(minutes=15)}


def is_real_feed() -> bool:
    """Whether market time is told of the market of now, and not of a replay's or a simulation's."""
    return settings.MARKET_FEED == "alpaca"


def feed_delay() -> timedelta:
    """The market's time is so far behind the clock, all day long: nothing has ended before it was told to its end."""
    if not is_real_feed():
        return timedelta()
    return ALPACA.get(settings.ALPACA_DATA_FEED, timedelta())
