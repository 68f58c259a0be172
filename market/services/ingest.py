"""One tick, one transaction: quotes, completed bars and the snapshot become known together or not at all."""

from datetime import datetime

from django.db import transaction

from foundation import leases
from foundation.clock import database_now
from foundation.wakeups import wake_on_commit
from journal.services import journal
from market.core.ticks import Tick
from market.models import Bar, Quote
from market.services import quarantine, snapshots
from market.services.feed_state import FeedState, build_snapshot

RECOMMEND_TASK, RECOMMEND_QUEUE = "market.tasks.recommend_baseline", "market"
_QUOTE_FIELDS = ["bid", "ask", "last", "volume", "market_time", "received_at", "halted"]


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
    version = (
        snapshots.current_version() if sifted.tick is None else _publish(state, sifted.tick, received_at)
    )
    journal.append(events)
    return version


def _publish(state: FeedState, tick: Tick, received_at: datetime) -> int:
    _store(state, tick, received_at)
    at = tick.at.timestamp()
    state.features.quote(tick.quotes, at=at, received_at=received_at.timestamp())
    state.features.complete(tick.bars, at=at)
    version = snapshots.publish(snapshot=build_snapshot(state, as_of=tick.at))
    if tick.bars:
        wake_on_commit(RECOMMEND_TASK, queue=RECOMMEND_QUEUE)
    return version


def _store(state: FeedState, tick: Tick, received_at: datetime) -> None:
    identities = {instrument.symbol: instrument.pk for instrument in state.instruments}
    halted = state.checker.halted
    Quote.objects.bulk_create(
        [
            Quote(
                instrument_id=identities[quote.symbol],
                bid=quote.bid,
                ask=quote.ask,
                last=quote.last,
                volume=quote.volume,
                market_time=quote.at or tick.at,
                received_at=received_at,
                halted=quote.symbol in halted,
            )
            for quote in tick.quotes
        ],
        update_conflicts=True,
        unique_fields=["instrument"],
        update_fields=_QUOTE_FIELDS,
    )
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
