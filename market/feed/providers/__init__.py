"""Sources of market data, one module each, behind the `Provider` protocol; chosen by settings.MARKET_FEED."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from market.feed.providers.bars import refuse_unknown_symbols, replayed_bars
from market.feed.providers.base import HasHistory, Provider
from market.feed.providers.replay import ReplayedInstrument, ReplayHistory, ReplayProvider
from market.feed.providers.silent import SilentProvider
from market.services.feed_state import FeedState
from market.services.load import replay_start

__all__ = ["HasHistory", "Provider", "build", "history_source"]


def build(*, state: FeedState) -> Provider:
    """The configured provider for the instruments and calendars of the present state."""
    match settings.MARKET_FEED:
        case "none":
            return SilentProvider()
        case "replay":
            bars = replayed_bars()
            refuse_unknown_symbols(bars)
            return ReplayProvider(
                bars=bars.days,
                moments=bars.moments,
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


def history_source() -> HasHistory | None:
    """Whom to ask for bars of the past; None where the configured provider has none. Needs no running feed."""
    return ReplayHistory(lambda: replayed_bars().days) if settings.MARKET_FEED == "replay" else None
