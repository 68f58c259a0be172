"""Load the shipped sample market: exchanges, calendar, instruments, the history before the replay starts."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from market import sample_data
from market.core.share_units import units_of
from market.models import Bar, CalendarDay, Exchange, Instrument
from market.selectors import market_now
from market.services.simulated import load_simulated_instruments, simulation_start

BATCH = 2_000


@dataclass(frozen=True, slots=True)
class LoadResult:
    """How many rows were new; all 0 when everything was there."""

    exchanges: int
    calendar_days: int
    instruments: int
    bars: int


def replay_start() -> date:
    """The first day that the replay plays; ImproperlyConfigured names the setting when it is no date."""
    try:
        return date.fromisoformat(settings.REPLAY_START)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"REPLAY_START must be a date like 2004-01-02, got {settings.REPLAY_START!r}."
        ) from error


@transaction.atomic
def load_sample_market() -> LoadResult:
    """Idempotent, and never overwrites what somebody has changed since (an instrument's tick, its activity).

    Only bars from before the replay's start become rows: the rest of the file is the future, which enters the
    table bar by bar when the feed completes it. On a market that already runs, nothing after its time is
    loaded either. A simulated market gets its own symbols, too.
    """
    simulated = settings.MARKET_FEED == "simulated"
    first = simulation_start() if simulated else replay_start()
    horizon = datetime.combine(first, time.min, tzinfo=UTC)
    now = market_now()
    if now is not None:
        horizon = min(horizon, now)
    return LoadResult(
        exchanges=_load_exchanges(),
        calendar_days=_load_calendar(),
        instruments=_load_instruments() + (load_simulated_instruments() if simulated else 0),
        bars=_load_bars(before=horizon),
    )


def _load_exchanges() -> int:
    created = [
        Exchange.objects.get_or_create(
            code=exchange.code, defaults={"name": exchange.name, "timezone": exchange.timezone}
        )[1]
        for exchange in sample_data.EXCHANGES
    ]
    return sum(created)


def _load_instruments() -> int:
    created = [
        Instrument.objects.get_or_create(
            symbol=instrument.symbol,
            defaults={
                "name": instrument.name,
                "exchange_id": instrument.exchange,
                "sector": instrument.sector,
                "tick_size": instrument.tick_size,
                "lot_size": instrument.lot_size,
            },
        )[1]
        for instrument in sample_data.INSTRUMENTS
    ]
    return sum(created)


def _load_calendar() -> int:
    codes = [exchange.code for exchange in sample_data.EXCHANGES]
    known = set(CalendarDay.objects.filter(exchange__in=codes).values_list("exchange_id", "day"))
    rows = [
        CalendarDay(exchange_id=code, day=day.day, opens_at=day.opens_at, closes_at=day.closes_at)
        for code, day in sample_data.calendar_days()
        if (code, day.day) not in known
    ]
    CalendarDay.objects.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)
    return len(rows)


def _load_bars(*, before: datetime) -> int:
    instruments = {
        instrument.symbol: instrument
        for instrument in Instrument.objects.filter(
            symbol__in=[row.symbol for row in sample_data.INSTRUMENTS]
        )
    }
    closes = {
        (code, day): closes_at
        for code, day, closes_at in CalendarDay.objects.filter(closes_at__lte=before).values_list(
            "exchange_id", "day", "closes_at"
        )
    }
    known = set(
        Bar.objects.filter(instrument__in=instruments.values(), interval=Bar.Interval.DAY).values_list(
            "instrument_id", "at"
        )
    )
    rows = []
    bars = list(sample_data.adjusted_bars())
    basis = units_of(
        max(bar.day for bar in bars)
    )  # they are adjusted for all that happened within the sample
    for bar in bars:
        instrument = instruments[bar.symbol]
        at = closes.get((instrument.exchange_id, bar.day))
        if at is None or (instrument.pk, at) in known:
            continue
        rows.append(
            Bar(
                instrument_id=instrument.pk,
                interval=Bar.Interval.DAY,
                at=at,
                open=bar.open,
                high=bar.high,
                low=bar.low,
                close=bar.close,
                volume=bar.volume,
                basis=basis,
            )
        )
    Bar.objects.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)
    return len(rows)
