"""Sources of market data, one module each, behind the `Provider` protocol; chosen by settings.MARKET_FEED."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from market import sample_data
from market.feed.providers.base import Provider
from market.feed.providers.replay import ReplayedInstrument, ReplayProvider
from market.feed.providers.silent import SilentProvider
from market.services.feed_state import FeedState
from market.services.load import replay_start

__all__ = ["Provider", "build"]


def build(*, state: FeedState) -> Provider:
    """The configured provider for the instruments and calendars of the present state."""
    match settings.MARKET_FEED:
        case "none":
            return SilentProvider()
        case "replay":
            return ReplayProvider(
                bars=sample_data.adjusted_bars(),
                instruments=[
                    ReplayedInstrument(instrument.symbol, instrument.exchange_id, instrument.tick_size)
                    for instrument in state.instruments
                ],
                calendars=state.calendars,
                start=replay_start(),
                days_per_second=settings.REPLAY_BARS_PER_SECOND,
            )
        case unknown:
            raise ImproperlyConfigured(f"MARKET_FEED must be replay or none, got {unknown!r}.")
