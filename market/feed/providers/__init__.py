"""Sources of market data, one module each, behind the `Provider` protocol; chosen by settings.MARKET_FEED."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from market.core.calendar import ExchangeCalendar
from market.feed.providers.bars import refuse_unknown_symbols, replayed_bars
from market.feed.providers.base import HasHistory, Provider
from market.feed.providers.replay import ReplayedInstrument, ReplayHistory, ReplayProvider
from market.feed.providers.silent import SilentProvider
from market.feed.providers.simulated import SimulatedInstrument, SimulatedProvider
from market.models import Instrument
from market.selectors import calendars
from market.services.feed_state import FeedState, active_instruments
from market.services.load import replay_start
from market.services.simulated import closes_before, simulation_start

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
        case "simulated":
            return _simulated(state.instruments, state.calendars)
        case unknown:
            raise ImproperlyConfigured(f"MARKET_FEED has no provider {unknown!r}.")


def history_source() -> HasHistory | None:
    """Whom to ask for bars of the past; None where the configured provider has none. Needs no running feed."""
    match settings.MARKET_FEED:
        case "replay":
            return ReplayHistory(lambda: replayed_bars().days)
        case "simulated":
            instruments = active_instruments()
            codes = sorted({instrument.exchange_id for instrument in instruments})
            return _simulated(instruments, calendars(codes=codes))
        case _:
            return None


def _simulated(
    instruments: Sequence[Instrument], calendars: Mapping[str, ExchangeCalendar]
) -> SimulatedProvider:
    start = simulation_start()
    closes = closes_before(start)
    return SimulatedProvider(
        instruments=[
            SimulatedInstrument(
                row.symbol, row.exchange_id, row.sector, row.tick_size, base_price=closes.get(row.pk)
            )
            for row in instruments
        ],
        calendars=calendars,
        start=start,
        seed=settings.SIM_SEED,
        step_seconds=settings.SIM_STEP_SECONDS,
        ticks_per_second=settings.SIM_TICKS_PER_SECOND,
        utcnow=lambda: datetime.now(UTC),
    )
