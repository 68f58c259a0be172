"""One tick, one transaction: quotes, completed bars and the snapshot become known together or not at all."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from foundation import leases
from foundation.arrays import array_text
from foundation.clock import database_now
from foundation.wakeups import wake_on_commit
from journal.services import journal
from market.core.ticks import Tick
from market.models import Bar, Quote
from market.services import quarantine, snapshots
from market.services.feed_state import FeedState, build_snapshot

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
RECOMMEND_TASK, RECOMMEND_QUEUE = "market.tasks.recommend_baseline", "market"


class LeaseLost(Exception):
    """Somebody else publishes the market by now."""


@transaction.atomic
def apply_tick(
    *, state: FeedState, tick: Tick, lease: leases.HeldLease, lease_seconds: float, provider: str = ""
) -> int:
    """Take a tick in and publish the market after it; returns the snapshot's version.

    What cannot be true goes to the quarantine, the rest is published; a tick that leaves nothing new is not (the
    newest version is returned). The lease's fence is checked in this same transaction, and its row stays locked to
    the end: a feed that was stopped for a while and wakes up cannot publish behind its successor's back. Raises
    LeaseLost.

    `state` is changed. When this raises, or the commit fails, it no longer tells what the tables hold and
    must be loaded again.
    """
    if not leases.renew(lease, seconds=lease_seconds):
        raise LeaseLost(f"The lease {lease.name} (fence {lease.fence}) is no longer held by {lease.holder}.")
    received_at = database_now()
    sifted = state.checker.sift(tick, received_at=received_at)
    events = quarantine.keep(
        sifted.rejected, known=state.features.symbols, provider=provider, received_at=received_at
    )
    if sifted.tick is None:
        version = snapshots.current_version()
    else:
        version = _publish(state, sifted.tick, received_at)
        events += state.silence.ended_by(
            at=sifted.tick.at, received_at=received_at, calendars=state.calendars.values(), provider=provider
        )
    journal.append(events)
    return version


def _publish(state: FeedState, tick: Tick, received_at: datetime) -> int:
    _store(state, tick, received_at)
    state.take(tick, received_at=received_at)
    version = snapshots.publish(snapshot=build_snapshot(state, as_of=tick.at))
    if tick.bars:
        wake_on_commit(RECOMMEND_TASK, queue=RECOMMEND_QUEUE)
    return version


def _store(state: FeedState, tick: Tick, received_at: datetime) -> None:
    identities = state.identities
    halted = state.checker.halted
    _store_quotes(tick, identities, halted, received_at)
    if tick.halted is not None:
        now_halted = [identities[symbol] for symbol in halted]
        Quote.objects.filter(instrument__in=now_halted, halted=False).update(halted=True)
        Quote.objects.filter(halted=True).exclude(instrument__in=now_halted).update(halted=False)
    # A bar that is there already (imported history) stays as it is: completed bars are never rewritten here.
    Bar.objects.bulk_create(
        [
            Bar(
                instrument_id=identities[bar.symbol],
                interval=Bar.Interval.DAY,
                at=bar.at or tick.at,
                open=bar.open,
                high=bar.high,
                low=bar.low,
                close=bar.close,
                volume=bar.volume,
            )
            for bar in tick.bars
        ],
        ignore_conflicts=True,
    )


def _store_quotes(
    tick: Tick, identities: Mapping[str, int], halted: Collection[str], received_at: datetime
) -> None:
    """A statement of seven arrays, whatever their number: of a `bulk_create` most of the time went into instances and
    one long text."""
    if not tick.quotes:
        return
    quotes = tick.quotes
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO market_quote (instrument_id, bid, ask, last, volume, market_time, received_at, halted)
            SELECT instrument_id, bid, ask, last, volume, timestamptz 'epoch' + microseconds * interval '1 microsecond',
                   %s, halted
            FROM unnest(%s::bigint[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::bigint[],
                        %s::boolean[])
                 AS fresh (instrument_id, bid, ask, last, volume, microseconds, halted)
            ON CONFLICT (instrument_id) DO UPDATE SET
                bid = excluded.bid, ask = excluded.ask, last = excluded.last, volume = excluded.volume,
                market_time = excluded.market_time, received_at = excluded.received_at, halted = excluded.halted
            """,
            [
                received_at,
                array_text(identities[quote.symbol] for quote in quotes),
                array_text(quote.bid for quote in quotes),
                array_text(quote.ask for quote in quotes),
                array_text(quote.last for quote in quotes),
                array_text(quote.volume for quote in quotes),
                array_text(((quote.at or tick.at) - EPOCH) // MICROSECOND for quote in quotes),
                array_text(quote.symbol in halted for quote in quotes),
            ],
        )
