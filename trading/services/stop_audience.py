"""Whom a stop concerns that is wider than a portfolio: running sessions that may trade, or hold, what it stops.

A stop of the platform or of a symbol stands in the platform's journal, which staff alone see. So each portfolio that it
concerns gets a row here, and its own journal is told of the arming and of the release, each once (`stop_notices`). The
rows are made by the draining and by the release, so that who presses the button waits for none of them.
"""

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from foundation.arrays import array_text
from foundation.loading import selected
from market.models import Instrument
from portfolios.models import Position
from sessions.models import TradingSession
from trading.models import Halt, HaltNotice

WIDE = (Halt.Scope.PLATFORM, Halt.Scope.SYMBOL)
_NOTE = """
    INSERT INTO trading_haltnotice (halt_id, portfolio_id, armed_due, released_due)
    SELECT %s, p.id, %s, %s FROM unnest(%s::uuid[]) AS p (id) ON CONFLICT (halt_id, portfolio_id) DO NOTHING
"""


@transaction.atomic
def note_armed(halt: Halt) -> None:
    """Those whom it concerns now are to hear of it; idempotent. The row's lock orders it against the release."""
    if halt.scope not in WIDE:
        return
    rows = Halt.objects.select_for_update(no_key=True).filter(pk=halt.pk, released_at=None)
    if rows.exists():
        _note(halt, armed_due=True, released_due=False)


def note_released(halt: Halt) -> None:
    """Who has heard of it hears that it is over, and so does whoever has begun to trade since. The halt is locked."""
    if halt.scope not in WIDE:
        return
    HaltNotice.objects.filter(halt=halt).update(released_due=True)
    # Before it was drained nobody may have been noted: then they hear of both.
    _note(halt, armed_due=halt.drained_at is None, released_due=True)


def _note(halt: Halt, *, armed_due: bool, released_due: bool) -> None:
    running = TradingSession.objects.filter(status__in=TradingSession.RUNNING)
    if halt.scope == Halt.Scope.SYMBOL:
        running = running.filter(_concerned_by(Instrument.objects.get(symbol=halt.scope_id)))
    ids = array_text(running.values_list("portfolio_id", flat=True).distinct().order_by("portfolio_id"))
    selected(_NOTE, [halt.pk, armed_due, released_due, ids])


def _concerned_by(instrument: Instrument) -> Q:
    """Sessions whose universe has the instrument, as `sessions.core.universe` reads it, or that hold it."""
    may_trade = Q(config__universe__isnull=True) | Q(config__universe=None)
    may_trade |= Q(config__universe__symbols__contains=instrument.symbol)
    may_trade |= Q(config__universe__exchanges__contains=instrument.exchange_id)
    for tag in instrument.tags:
        may_trade |= Q(config__universe__tags__contains=tag)
    held = Position.objects.filter(portfolio=OuterRef("portfolio"), instrument=instrument)
    return may_trade | Q(Exists(held.exclude(quantity=0)))
