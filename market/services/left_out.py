"""Telling people of active instruments that the provider of market data cannot have: nobody prices them."""

from collections.abc import Sequence

from django.db import transaction

from foundation.clock import database_now
from journal.core.events import PLATFORM_STREAM, AlertSpec, Event
from journal.selectors import newest_about
from journal.services.journal import append

LEFT_OUT = "market.symbol_left_out"


@transaction.atomic
def tell_of_left_out(symbols: Sequence[str], *, provider: str) -> None:
    """Once a day (database time) of each, however often the feed starts."""
    now = database_now()
    day = now.date().isoformat()
    events = []
    for symbol in symbols:
        told = newest_about(PLATFORM_STREAM, (LEFT_OUT,), "symbol", symbol, until=now)
        if told is not None and told[1]["day"] == day:
            continue
        message = (
            f"{symbol} has no prices: the provider of market data has no symbol that is written so. No rule and no "
            "stop loss of it fires. Deactivate the instrument, or add it as the provider writes it."
        )
        payload = {"provider": provider, "symbol": symbol, "day": day}
        events.append(Event(PLATFORM_STREAM, LEFT_OUT, now, payload, AlertSpec("warning", message)))
    if events:
        append(events)
