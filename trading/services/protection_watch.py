"""Watching the protections of positions: on each snapshot, with or without a session.

read everything in one query (no locks) → who is reached at fresh prices → open those portfolios' books, look again
on the newest snapshot → decision, trade (pending), reservation → journal → commit → wake the execution

What keeps two watchers, or one that comes again after a crash, from selling twice is what is free of the position:
an order reserves it in the transaction that makes it. Nothing is remembered between two looks but what stands in
rows, so a restart changes nothing. Cost: linear in the protections, a handful of queries for those reached.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, connection, transaction

from foundation.clock import database_now
from foundation.kill_points import reach
from foundation.version import may_trade
from journal.core.events import AlertSpec, Event
from journal.models import Alert
from journal.services.journal import append
from market.core.snapshot import MarketSnapshot
from market.services import snapshots
from portfolios.selectors import unsettled_splits
from portfolios.services.books import open_books
from portfolios.services.marks import PeakMark, note_peaks
from trading.core.market_facts import fresh_prices
from trading.core.protections import Percentages, triggered
from trading.services.order_management import wake_execution
from trading.services.protecting import Protector
from trading.services.protections import forget, store_refusals
from trading.services.reducing import store

log = structlog.get_logger(__name__)
BATCH_PORTFOLIOS_MAX = 50


def watch_protections() -> int:
    """Sell what has reached its stop or target; returns how many trades were made."""
    snapshot = snapshots.current()
    if snapshot is None or not may_trade():
        return 0
    seen = _look(snapshot)
    wanted = sorted(seen.portfolios)
    made = sum(
        _act_isolated(wanted[start : start + BATCH_PORTFOLIOS_MAX])
        for start in range(0, len(wanted), BATCH_PORTFOLIOS_MAX)
    )
    note_peaks(seen.peaks)
    return made


@dataclass
class Seen:
    """Portfolios in which something is to be done, and peaks that have risen.

    `unsettled`: (portfolio, instrument) whose price and position count in different units.
    """

    unsettled: frozenset[tuple[uuid.UUID, int]] = frozenset()
    portfolios: set[uuid.UUID] = field(default_factory=set)
    peaks: list[PeakMark] = field(default_factory=list)


def _look(snapshot: MarketSnapshot) -> Seen:
    """One pass over all protections, without locks."""
    prices = fresh_prices(snapshot, now_epoch=database_now().timestamp())
    seen = Seen(unsettled=unsettled_splits())
    with connection.cursor() as cursor:
        cursor.execute(_WATCHED)
        for values in cursor:
            _see(Watched(*values), prices, seen)
    return seen


# A protection with its position and the highest price noted of it; nothing is left out.
_WATCHED = """
    SELECT p.portfolio_id, p.instrument_id, p.opened_at, p.stop_loss_percentage, p.take_profit_percentage,
           p.trailing_stop_percentage, p.refusal, o.id, o.quantity, o.reserved_quantity, o.average_cost, o.opened_at,
           m.opened_at, m.peak_price,
           o.reserved_quantity > 0 AND EXISTS (
               SELECT FROM auto_trades t
               WHERE t.portfolio_id = p.portfolio_id AND t.instrument_id = p.instrument_id AND t.trade_type = 'sell'
                   AND t.order_type <> 'market' AND t.cancel_requested_at IS NULL
                   AND t.status NOT IN ('filled', 'cancelled', 'rejected', 'expired'))
    FROM trading_protection p
    LEFT JOIN portfolios_position o ON o.portfolio_id = p.portfolio_id AND o.instrument_id = p.instrument_id
    LEFT JOIN portfolios_positionmark m ON m.position_id = o.id
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """A row of `_WATCHED`; of a protection without a position all that is the position's is None."""

    portfolio_id: uuid.UUID
    instrument_id: int
    opened_at: datetime
    stop_loss: Decimal | None
    take_profit: Decimal | None
    trailing_stop: Decimal | None
    refusal: str
    position_id: int | None
    quantity: Decimal | None
    reserved_quantity: Decimal | None
    average_cost: Decimal | None
    position_opened_at: datetime | None
    mark_opened_at: datetime | None
    peak_price: Decimal | None
    waits: bool | None
    """part of it is promised to a sale that waits for its price"""


def _see(row: Watched, prices: Mapping[int, Decimal], seen: Seen) -> None:
    if row.position_opened_at != row.opened_at or row.position_id is None or not row.quantity:
        seen.portfolios.add(row.portfolio_id)  # to be forgotten
        return
    price = prices.get(row.instrument_id)
    if price is None or (row.portfolio_id, row.instrument_id) in seen.unsettled:
        return
    noted = row.peak_price if row.mark_opened_at == row.opened_at else None
    if noted is None or price > noted:
        seen.peaks.append(PeakMark(row.position_id, row.opened_at, row.quantity, price))
    assert row.average_cost is not None and row.reserved_quantity is not None
    protected = Percentages(row.stop_loss, row.take_profit, row.trailing_stop)
    threshold = triggered(protected, average_cost=row.average_cost, noted_peak=noted, price=price)
    is_free = row.quantity > row.reserved_quantity or row.waits
    if (threshold is not None and is_free) or (threshold is None and row.refusal):
        seen.portfolios.add(row.portfolio_id)


def _act_isolated(portfolio_ids: Sequence[uuid.UUID]) -> int:
    """Act in all of them; if that fails, in each by itself, so that no portfolio keeps another from its stop."""
    try:
        return _act(portfolio_ids)
    except (SoftTimeLimitExceeded, InterfaceError):
        raise  # the worker's time is up, or the database is gone: the sweep comes again
    except Exception as error:
        log.exception("protections_failed", portfolios=len(portfolio_ids), first=str(portfolio_ids[0]))
        connection.close_if_unusable_or_obsolete()
        if len(portfolio_ids) == 1:
            if not isinstance(error, OperationalError):  # busy: the next look is seconds away
                _alert_failed(portfolio_ids[0], error)
            return 0
    return sum(_act_isolated([portfolio_id]) for portfolio_id in portfolio_ids)


@transaction.atomic
def _alert_failed(portfolio_id: uuid.UUID, error: Exception) -> None:
    """Its positions are not protected: somebody must look, and is told once until he has."""
    waiting = Alert.objects.filter(stream=portfolio_id, kind="protection.failing", acknowledged_at=None)
    if not waiting.exists():
        alert = AlertSpec("critical", "Protections of this portfolio cannot be carried out; see the log.")
        payload = {"reason": type(error).__name__}
        append([Event(portfolio_id, "protection.failing", database_now(), payload, alert)])


@transaction.atomic
def _act(portfolio_ids: Sequence[uuid.UUID]) -> int:
    """Under the portfolios' locks, on the newest snapshot; returns how many trades were made."""
    books = open_books(portfolio_ids)
    snapshot = snapshots.current()
    assert snapshot is not None, "there was one before"
    protector = Protector.of(books, snapshot)
    protector.decide()
    recorded, created = store(protector.drafts, protector.trades, snapshot=snapshot)
    store_refusals(protector.changed)
    books.save()
    symbols = {key: row.symbol for key, row in protector.view.instruments.items()}
    events = forget(protector.gone, symbols=symbols, at=snapshot.as_of)
    append(protector.cleared + events + recorded.events + protector.events + created)
    if protector.trades:
        wake_execution(protector.trades)
        reach("protections.before_commit", detail=protector.trades[0].client_order_id)
    return len(protector.trades)
