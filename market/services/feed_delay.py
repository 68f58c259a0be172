"""How much later than it happened the provider tells of the market, by the settings."""

from datetime import timedelta

from django.conf import settings

ALPACA = {"delayed_sip": timedelta(minutes=15)}


def feed_delay() -> timedelta:
    """The market's time is so far behind the clock, all day long: nothing has ended before it was told to its end."""
    if settings.MARKET_FEED != "alpaca":
        return timedelta()
    return ALPACA.get(settings.ALPACA_DATA_FEED, timedelta())
