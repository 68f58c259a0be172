"""The process that follows brokers: a thread for each account whose lease it holds.

Any number of processes share the accounts. Each takes its part, which is the accounts over the processes that show
signs of life; what nobody takes for a second is taken by whoever sees it. Who holds more than his part, because
another process has come, gives one up after a while. A lease is short, so when a process dies the others follow its
accounts within the lease and a second or two.
"""

import math
import time
import uuid
from collections.abc import Callable, Sequence

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from foundation import heartbeats, leases
from market.feed.runner import StopFlag
from trading.selectors.accounts import COMPONENT, Followed, accounts_to_follow
from trading.services.following import Follower
from trading.services.watching import watch_platform

log = structlog.get_logger(__name__)
TICK_SECONDS_MAX = 1.0
IDLE_SECONDS = 2.0  # without any account
UNTAKEN_SECONDS = 1.0
STOP_SECONDS_MAX = 1.5
SLEEP_STEP_SECONDS = 0.1
RETRY_SECONDS_FIRST, RETRY_SECONDS_MAX = 0.5, 2.0


def processes_alive(*, within_seconds: float) -> int:
    """How many `streams` processes have shown a sign of life, this one included."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM foundation_heartbeat WHERE component = %s "
            "AND at > clock_timestamp() - make_interval(secs => %s)",
            [COMPONENT, within_seconds],
        )
        return max(int(cursor.fetchone()[0]), 1)


def fair_part(*, accounts: int, processes: int) -> int:
    return math.ceil(accounts / processes)


class StreamsRunner:
    """Main loop of `manage.py run_streams`: it renews, notices, shares; the threads follow."""

    def __init__(
        self,
        *,
        stop: StopFlag,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._stop, self._monotonic, self._sleep = stop, monotonic, sleep
        self.holder = f"{heartbeats.instance_name()}:{uuid.uuid4().hex[:8]}"
        self.followers: dict[uuid.UUID, Follower] = {}
        self._free_since: dict[uuid.UUID, float] = {}
        self._too_many_since: float | None = None
        self._retry_seconds = RETRY_SECONDS_FIRST

    def run(self) -> None:
        """Until stopped. A lost database is waited for; anything unforeseen ends the process loudly."""
        log.info("streams_started", holder=self.holder)
        try:
            while not self._stop.requested:
                try:
                    followed = self.look()
                    watch_platform()  # nobody has to call this process, so it notices when beat calls nobody
                    self._retry_seconds = RETRY_SECONDS_FIRST
                except (OperationalError, InterfaceError) as error:
                    self._wait_for_database(error)
                else:
                    self._pause(min(TICK_SECONDS_MAX, self._lease_seconds / 4) if followed else IDLE_SECONDS)
        finally:
            self._end_all()
            log.info("streams_stopped", holder=self.holder)

    @property
    def _lease_seconds(self) -> float:
        return float(settings.BROKER_LEASE_SECONDS)

    def look(self) -> int:
        """One round; returns how many accounts there are to follow."""
        heartbeats.beat(component=COMPONENT)
        self._renew()
        rows = accounts_to_follow()
        self._drop_ended()
        fingerprints = {row.account_id: row.fingerprint for row in rows}
        for account_id, follower in self.followers.items():
            if fingerprints.get(account_id) != follower.fingerprint:
                follower.end()
        self._share(rows)
        return len(rows)

    def _renew(self) -> None:
        held = {follower.lease.name: follower for follower in self.followers.values()}
        asked_at = self._monotonic()
        lost = leases.renew_all([one.lease for one in held.values()], seconds=self._lease_seconds)
        for name, follower in held.items():
            if name in lost:
                follower.end()
            else:
                follower.renewed(good_until=asked_at + self._lease_seconds)

    def _drop_ended(self) -> None:
        for account_id, follower in list(self.followers.items()):
            if not follower.is_alive():
                leases.release(follower.lease)
                del self.followers[account_id]

    def _share(self, rows: Sequence[Followed]) -> None:
        processes = processes_alive(within_seconds=max(self._lease_seconds, 2 * IDLE_SECONDS))
        part = fair_part(accounts=len(rows), processes=processes)
        now = self._monotonic()
        free = [row for row in rows if row.is_free and row.account_id not in self.followers]
        self._free_since = {row.account_id: self._free_since.get(row.account_id, now) for row in free}
        for row in free:
            if len(self.followers) < part:
                self._take(row)
        untaken = [row for row in free if row.account_id not in self.followers]
        for row in untaken[:1]:
            if now - self._free_since[row.account_id] >= UNTAKEN_SECONDS:
                self._take(row)
        self._give_up_one(part, now)

    def _take(self, row: Followed) -> None:
        lease = leases.acquire(name=row.lease_name, holder=self.holder, seconds=self._lease_seconds)
        if lease is None:
            return
        follower = Follower(account_id=row.account_id, lease=lease, fingerprint=row.fingerprint)
        self.followers[row.account_id] = follower
        follower.start()

    def _give_up_one(self, part: int, now: float) -> None:
        """Not at once: who has just died is still counted."""
        staying = [one for one in self.followers.values() if not one.ending]
        if len(staying) <= part:
            self._too_many_since = None
        elif self._too_many_since is None:
            self._too_many_since = now
        elif now - self._too_many_since >= 2 * self._lease_seconds:
            self._too_many_since = None
            staying[-1].end()

    def _end_all(self) -> None:
        """The threads get a moment; then the leases are given back, whose fence stops whoever is left."""
        for follower in self.followers.values():
            follower.end()
        deadline = self._monotonic() + STOP_SECONDS_MAX
        for follower in self.followers.values():
            follower.join(max(deadline - self._monotonic(), 0.0))
        try:
            for follower in self.followers.values():
                leases.release(follower.lease)
        except (OperationalError, InterfaceError) as error:
            log.warning("streams_leases_not_released", error=str(error).strip())

    def _wait_for_database(self, error: Exception) -> None:
        log.warning("streams_database_lost", error=str(error).strip(), retry_seconds=self._retry_seconds)
        connection.close()
        self._pause(self._retry_seconds)
        self._retry_seconds = min(self._retry_seconds * 2, RETRY_SECONDS_MAX)

    def _pause(self, seconds: float) -> None:
        """Sleep, but wake up soon after a stop is requested."""
        end = self._monotonic() + seconds
        while not self._stop.requested and (left := end - self._monotonic()) > 0:
            self._sleep(min(left, SLEEP_STEP_SECONDS))
