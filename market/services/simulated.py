"""What a simulated market stands on: symbols of its own beside those that are there, and the prices it begins at."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from market.models import Bar, Instrument
from market.sample_data import EXCHANGES

SECTORS = ("Technology", "Health", "Energy", "Finance", "Consumer")
TAG = "simulated"


def simulation_start() -> date:
    """The first day that is simulated; ImproperlyConfigured names the setting when it is no date."""
    try:
        return date.fromisoformat(settings.SIM_START)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"SIM_START must be a date like 2004-01-02, got {settings.SIM_START!r}."
        ) from error


def load_simulated_instruments() -> int:
    """SIM000, SIM001, …, as many as SIM_SYMBOLS says; returns how many are new. None is ever removed."""
    rows = [
        Instrument(
            symbol=f"SIM{number:03}",
            name=f"Simulated {number}",
            exchange_id=EXCHANGES[number % len(EXCHANGES)].code,
            sector=SECTORS[number % len(SECTORS)],
            tick_size=Decimal("0.01"),
            lot_size=Decimal(1),
            tags=[TAG],
        )
        for number in range(settings.SIM_SYMBOLS)
    ]
    known = set(
        Instrument.objects.filter(symbol__in=[row.symbol for row in rows]).values_list("symbol", flat=True)
    )
    fresh = [row for row in rows if row.symbol not in known]
    Instrument.objects.bulk_create(fresh, ignore_conflicts=True)
    return len(fresh)


def closes_before(day: date) -> dict[int, float]:
    """Instrument -> its last close before that day, so that a simulation goes on where its history ends."""
    bars = Bar.objects.filter(
        interval=Bar.Interval.DAY,
        at__lt=datetime.combine(day, time.min, tzinfo=UTC),
        instrument__is_active=True,
    )
    newest = bars.order_by("instrument_id", "-at").distinct("instrument_id")
    return {row: float(close) for row, close in newest.values_list("instrument_id", "close")}
