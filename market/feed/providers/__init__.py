"""Sources of market data, one module each, behind the `Provider` protocol; chosen by settings.MARKET_FEED."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from market.core.announced import Announces
from market.core.calendar import ExchangeCalendar
from market.feed.providers.alpaca import (
    AlpacaAnnouncements,
    AlpacaHistory,
    AlpacaProvider,
    DataKeys,
    DataStream,
    ListedSymbol,
    Newest,
    is_symbol,
)
from market.feed.providers.alpaca.provider import is_somebody_open
from market.feed.providers.bars import refuse_unknown_symbols, replayed_bars
from market.feed.providers.base import HasHistory, Provider
from market.feed.providers.replay import ReplayedInstrument, ReplayHistory, ReplayProvider
from market.feed.providers.silent import SilentProvider
from market.feed.providers.simulated import SimulatedInstrument, SimulatedProvider
from market.models import Instrument
from market.selectors import calendars
from market.services.feed_delay import feed_delay
from market.services.feed_state import FeedState, active_instruments
from market.services.left_out import tell_of_left_out
from market.services.load import replay_start
from market.services.simulated import closes_before, simulation_start

__all__ = ["Announces", "HasHistory", "Provider", "announcement_source", "build", "history_source"]


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
        case "alpaca":
            return _alpaca(state)
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
        case "alpaca":
            return _alpaca_history()
        case _:
            return None


def announcement_source() -> Announces | None:
    """Whom to ask for splits and dividends; None where the configured provider knows of none: they are recorded by
    people, or come with the data."""
    if settings.MARKET_FEED != "alpaca":
        return None
    return AlpacaAnnouncements(base_url=settings.ALPACA_DATA_URL, keys=_alpaca_keys())


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
        utcnow=_utcnow,
    )


def _alpaca(state: FeedState) -> AlpacaProvider:
    instruments = [row for row in state.instruments if is_symbol(row.symbol)]
    symbols = [row.symbol for row in instruments]
    tell_of_left_out(
        sorted({row.symbol for row in state.instruments} - set(symbols)), provider=AlpacaProvider.name
    )
    last = {quote.symbol: quote.last for quote in state.last_quotes(at=_told_now()) if quote.last.is_finite()}
    newest = Newest(symbols, utcnow=_told_now, halted=state.checker.halted, last=last)
    return AlpacaProvider(
        instruments=[ListedSymbol(row.symbol, row.exchange_id) for row in instruments],
        calendars=state.calendars,
        stream=DataStream(
            url=f"{settings.ALPACA_DATA_STREAM_URL}/v2/{settings.ALPACA_DATA_FEED}",
            keys=_alpaca_keys(),
            symbols=symbols,
            take=newest.take,
            expects=lambda: is_somebody_open(state.calendars, _told_now()),
        ),
        newest=newest,
        history=_alpaca_history(),
        coalesce_seconds=settings.FEED_COALESCE_MS / 1000,
        idle_tick_seconds=settings.FEED_IDLE_TICK_SECONDS,
        utcnow=_told_now,
    )


def _alpaca_history() -> AlpacaHistory:
    return AlpacaHistory(
        base_url=settings.ALPACA_DATA_URL, feed=settings.ALPACA_DATA_FEED, keys=_alpaca_keys()
    )


def _alpaca_keys() -> DataKeys:
    return DataKeys(settings.ALPACA_DATA_KEY_ID, settings.ALPACA_DATA_SECRET)


def _utcnow() -> datetime:
    return datetime.now(UTC)


def _told_now() -> datetime:
    """Of which moment a stream tells now: that of a delayed one is past."""
    return _utcnow() - feed_delay()
