"""The feed's process: one of them holds the lease and publishes, any others stand by.

Everything it knows is rebuilt from PostgreSQL at the start and after every failure, and it goes on behind the
newest snapshot. So it may be killed at any moment: a tick is in the tables with its snapshot, or it was never
there.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction

from foundation import heartbeats, leases
from foundation.wakeups import wake
from journal.core.events import PLATFORM_STREAM, Event
from journal.models import Entry
from journal.services import journal
from market import selectors
from market.feed.providers import Provider, build
from market.services import snapshots
from market.services.feed_state import FeedState, load_state
from market.services.ingest import LeaseLost, apply_tick

log = structlog.get_logger(__name__)

LEASE_NAME = "market.feed"
LEASE_SECONDS = 6.0
BEAT_SECONDS = 2.0
STANDBY_SECONDS = 1.0
SLEEP_STEP_SECONDS = 0.1
RETRY_SECONDS_FIRST, RETRY_SECONDS_MAX = 0.5, 10.0
PRUNE_SECONDS = 300.0
PRUNE_TASK, PRUNE_QUEUE = "market.tasks.prune_snapshots", "market"
BACKFILL_TASK, BACKFILL_QUEUE = "market.tasks.backfill_gaps", "market"
# By name: those who watch live above the market. They are woken by beat, too; the feed makes them notice that
# beat is dead when there is no new snapshot to wake anybody with.
WATCH_SECONDS = 5.0
WATCH_TASK, WATCH_QUEUE = "trading.tasks.watch_breakers", "execution"
REPLAY_FINISHED = "market.replay_finished"


@dataclass
class StopFlag:
    """Set by a signal handler. A plain attribute: an Event's lock could be held by the interrupted code."""

    requested: bool = False

    def request(self) -> None:
        self.requested = True


class FeedRunner:
    """`ticks_max` ends the run after so many published ticks (tests, benchmarks); None runs until stopped."""

    def __init__(
        self,
        *,
        stop: StopFlag,
        ticks_max: int | None = None,
        build_provider: Callable[..., Provider] = build,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._stop = stop
        self._ticks_left = ticks_max
        self._build_provider = build_provider
        self._monotonic = monotonic
        self._sleep = sleep
        self._holder = f"{heartbeats.instance_name()}:{uuid.uuid4().hex[:8]}"
        self._lease: leases.HeldLease | None = None
        self._next_beat = self._next_prune = self._next_watch = 0.0
        self._data_ended = False
        self._retry_seconds = RETRY_SECONDS_FIRST

    def run(self) -> None:
        """Until stopped. A lost database is waited for; anything unforeseen ends the process loudly."""
        log.info("feed_started", holder=self._holder)
        try:
            while not self._stop.requested:
                try:
                    self._serve()
                except LeaseLost as error:
                    log.warning("feed_lease_lost", error=str(error))
                    self._lease = None
                except (OperationalError, InterfaceError) as error:
                    self._wait_for_database(error)
        finally:
            self._release()
            if self._stop.requested:
                heartbeats.end(component=selectors.FEED)
            log.info("feed_stopped", holder=self._holder)

    def _serve(self) -> None:
        """Take the lease, rebuild the state, publish tick by tick; returns to be called again when it is
        outdated.
        """
        if not self._hold_lease():
            return
        state = load_state()
        if not state.instruments:
            log.warning("feed_without_instruments", cure="manage.py load_market_data")
            self._idle_until_changed(state)
            return
        provider = self._build_provider(state=state)
        try:
            self._publish(state, provider)
        finally:
            provider.close()

    def _publish(self, state: FeedState, provider: Provider) -> None:
        """Until stopped, or until the state is outdated."""
        provider.resume(after=selectors.market_now())
        log.info("feed_publishing", provider=provider.name, symbols=len(state.instruments))
        wake(BACKFILL_TASK, queue=BACKFILL_QUEUE)  # it may have been away over a close
        is_first_tick = True
        finish_announced = self._data_ended = False
        units = state.units.passed
        while not self._stop.requested:
            if self._beat() and state.is_outdated():
                log.info("feed_state_outdated")
                return
            assert self._lease is not None
            tick = provider.poll(monotonic_now=self._monotonic())
            if tick is not None:
                apply_tick(
                    state=state,
                    tick=tick,
                    lease=self._lease,
                    lease_seconds=LEASE_SECONDS,
                    provider=provider.name,
                )
                self._retry_seconds = RETRY_SECONDS_FIRST
                self._count_tick()
                if is_first_tick:  # by which alone market time tells that a day is over
                    wake(BACKFILL_TASK, queue=BACKFILL_QUEUE)
                    is_first_tick = False
                if state.units.passed != units:
                    log.info("feed_units_changed")  # the provider, too, is to forget prices in old ones
                    return
            elif provider.finished and not finish_announced:
                self._announce_finish(provider)
                finish_announced = self._data_ended = True
                heartbeats.beat(component=selectors.FEED_FINISHED)
            else:
                self._pause(provider.idle_seconds(monotonic_now=self._monotonic()))

    def _hold_lease(self) -> bool:
        """Wait for the lease, with signs of life; False when stopped meanwhile."""
        while not self._stop.requested:
            if self._lease is None:
                self._lease = leases.acquire(name=LEASE_NAME, holder=self._holder, seconds=LEASE_SECONDS)
            if self._lease is not None:
                return True
            self._beat()
            self._pause(STANDBY_SECONDS)
        return False

    def _idle_until_changed(self, state: FeedState) -> None:
        while not self._stop.requested and not state.is_outdated():
            self._beat()
            self._pause(STANDBY_SECONDS)

    def _beat(self) -> bool:
        """Every few seconds: a heartbeat, the lease prolonged, now and then a wake-up to prune or to watch. True
        when it was time.
        """
        now = self._monotonic()
        if now < self._next_beat:
            return False
        self._next_beat = now + BEAT_SECONDS
        heartbeats.beat(component=selectors.FEED)
        if self._lease is not None and self._data_ended:
            heartbeats.beat(component=selectors.FEED_FINISHED)  # there is nothing to publish: no silence
        if self._lease is not None and not leases.renew(self._lease, seconds=LEASE_SECONDS):
            raise LeaseLost(f"The lease {LEASE_NAME} was taken over.")
        if self._lease is not None and now >= self._next_prune:
            self._next_prune = now + PRUNE_SECONDS
            wake(PRUNE_TASK, queue=PRUNE_QUEUE)
        if self._lease is not None and now >= self._next_watch:
            self._next_watch = now + WATCH_SECONDS
            wake(WATCH_TASK, queue=WATCH_QUEUE)
        return True

    def _count_tick(self) -> None:
        if self._ticks_left is not None:
            self._ticks_left -= 1
            if self._ticks_left <= 0:
                self._stop.request()

    @transaction.atomic
    def _announce_finish(self, provider: Provider) -> None:
        """Journal the end of the data once for ever: the market stands still from here on."""
        assert self._lease is not None
        if not leases.renew(self._lease, seconds=LEASE_SECONDS):
            raise LeaseLost(f"The lease {LEASE_NAME} was taken over.")
        as_of = selectors.market_now()
        if as_of is None:
            log.warning(
                "feed_has_no_data", provider=provider.name, cure="check REPLAY_START and load_market_data"
            )
            return
        if Entry.objects.filter(stream_id=PLATFORM_STREAM, kind=REPLAY_FINISHED).exists():
            return
        payload = {"provider": provider.name, "as_of": as_of, "version": snapshots.current_version()}
        journal.append([Event(stream=PLATFORM_STREAM, kind=REPLAY_FINISHED, at=as_of, payload=payload)])
        log.info("replay_finished", as_of=as_of.isoformat())

    def _wait_for_database(self, error: Exception) -> None:
        log.warning("feed_database_lost", error=str(error).strip(), retry_seconds=self._retry_seconds)
        connection.close()
        self._pause(self._retry_seconds, whole=True)
        self._retry_seconds = min(self._retry_seconds * 2, RETRY_SECONDS_MAX)

    def _release(self) -> None:
        if self._lease is None:
            return
        try:
            leases.release(self._lease)
        except (OperationalError, InterfaceError) as error:
            log.warning("feed_lease_not_released", error=str(error).strip())
        self._lease = None

    def _pause(self, seconds: float, *, whole: bool = False) -> None:
        """Sleep, but not beyond the next heartbeat (unless `whole`), and wake up soon after a stop is
        requested.
        """
        now = self._monotonic()
        end = now + seconds if whole else min(now + seconds, self._next_beat)
        while not self._stop.requested and (left := end - self._monotonic()) > 0:
            self._sleep(min(left, SLEEP_STEP_SECONDS))
