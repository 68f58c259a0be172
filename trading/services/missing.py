"""Processes that are heard of no more, and machines whose clocks are not the database's: only a person can start the
ones and set the others, so a person is told.

A component is missed, not a process: there may be fewer of a kind, or others than before. Who ends because he is told
to says so (`foundation.heartbeats.end`), and is not missed. Those who follow brokers are missed account by account
(`watching.watch_streams`).

*Whom nobody calls, nobody hears.* Workers show themselves when beat sends them something, so nothing is concluded about
them while beat is silent, nor until it has been heard for as long again. beat itself is heard through worker_execution:
which of the two is missing nobody can tell.

*Who looks.* The workers when they are called, so not while beat is dead and no market data comes; and the `streams`
process, in its own loop.

*Since when.* As in `watching`, of one's own looks only, and of those that followed each other without a gap: after an
outage of Valkey or the database everybody gets the time to show himself.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import Q

from foundation.clock import OFF_SECONDS, database_now
from foundation.core.money import as_decimal
from foundation.loading import selected
from foundation.tasks import BEAT
from foundation.wakeups import wake
from journal.core.events import PLATFORM_STREAM, AlertSpec, Event
from journal.models import Alert
from journal.services.journal import DELIVER_ALERTS, append
from market.selectors import FEED

log = structlog.get_logger(__name__)
LOOK_SECONDS = 5.0
SILENT = timedelta(seconds=30)
GAP = timedelta(seconds=15)
MISSING, CLOCK_OFF = "process.missing", "process.clock_off"
WORKER_OF_BEAT = "worker.execution"
# What nobody does meanwhile.
LEFT_UNDONE = {
    FEED: "No market data comes: rules and stop losses see old prices.",
    BEAT: "It, or worker_execution, which carries out what it sends: nothing makes up for what was missed.",
    "worker.evaluation": "No rule is evaluated.",
    "worker.notification": "No alert is delivered, not even this one.",
    "worker.broker": "No order goes to a broker, neither entry nor exit, and no cancel.",
}
# So late at most arrives what beat has sent before its end (the expiry of its message).
LAST_MESSAGE = timedelta(seconds=5)
# Whoever tells, one after another.
_TELLING_KEY = 0x6D697373696E67


@dataclass(frozen=True)
class Sign:
    """The last of a component; database time. ended: whoever gave it ended as he was told to."""

    at: datetime
    ended: bool


def last_signs() -> dict[str, Sign]:
    """By component; without those that were forgotten."""
    rows = selected(
        "SELECT component, max(at), max(at) FILTER (WHERE ended) FROM foundation_heartbeat GROUP BY component"
    )
    return {component: Sign(at, _ended(component, at, ended_at)) for component, at, ended_at in rows}


def _ended(component: str, at: datetime, ended_at: datetime | None) -> bool:
    late = LAST_MESSAGE if component == BEAT else timedelta()
    return ended_at is not None and at - ended_at <= late


def clocks_off() -> dict[str, float]:
    """Seconds by which clocks of machines that show signs are ahead of the database's (below 0: behind); those that
    may be right are absent."""
    rows = selected(
        "SELECT instance, clock_ahead_seconds FROM foundation_heartbeat"
        " WHERE at > clock_timestamp() - make_interval(secs => %s) AND abs(clock_ahead_seconds) > %s ORDER BY at",
        [GAP.total_seconds(), OFF_SECONDS],
    )
    return {instance.rpartition(":")[0]: ahead for instance, ahead in rows}


class ProcessWatch:
    """One process's watch over the others. `since`: begin of its looks without a gap; `beat_since`: from then on each
    of them heard beat. Both in database time."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.looked_at: datetime | None = None
        self.since: datetime | None = None
        self.beat_since: datetime | None = None
        self._monotonic = monotonic
        self._next_look = 0.0

    def look_if_due(self) -> None:
        """At most every few seconds. It never raises: who cannot watch must still let exits out."""
        now = self._monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        try:
            self.look()
        except Exception:
            connection.close_if_unusable_or_obsolete()
            log.exception("watching_failed", watch="processes")

    def look(self) -> None:
        now, signs = database_now(), last_signs()
        if self.looked_at is None or now - self.looked_at > GAP:
            self.since, self.beat_since = now, None
        self.looked_at = now
        beat = signs.get(BEAT)
        if beat is None or now - beat.at > GAP:
            self.beat_since = None
        elif self.beat_since is None:
            self.beat_since = now
        missing = list(self._missing(now, signs))
        for component in missing:
            _tell_missing(component, signs[component])
        if BEAT in missing:  # who else would have a delivery tried again that failed?
            wake(DELIVER_ALERTS, queue="notification")
        for host, ahead in clocks_off().items():
            _tell_clock(host, ahead)

    def _missing(self, now: datetime, signs: Mapping[str, Sign]) -> Iterator[str]:
        for component in LEFT_UNDONE:
            sign = signs.get(component)
            begin = self.since if component in (FEED, BEAT) else self.beat_since
            if sign is None or sign.ended or begin is None:
                continue
            if component == BEAT and (its_worker := signs.get(WORKER_OF_BEAT)) and its_worker.ended:
                continue
            if now - max(sign.at, begin) > SILENT:
                yield component


PROCESSES = ProcessWatch()


def _tell_missing(component: str, sign: Sign) -> None:
    """Once a silence."""
    begins = f"No sign of {component} since "
    payload = {"component": component, "last_sign": sign.at}
    message = f"{begins}{sign.at:%Y-%m-%d %H:%M:%S} UTC. {LEFT_UNDONE[component]}"
    _tell(MISSING, payload, message, begins=begins, known=Q(created_at__gt=sign.at))


def _tell_clock(host: str, ahead: float) -> None:
    """Once until somebody has acknowledged it."""
    begins = f"The clock of {host} is "
    seconds = round(as_decimal(abs(ahead)), 1)
    payload = {"host": host, "ahead_seconds": seconds if ahead > 0 else -seconds}
    message = f"{begins}{seconds} s {'ahead of' if ahead > 0 else 'behind'} the database's: set it by NTP."
    _tell(CLOCK_OFF, payload, message, begins=begins, known=Q(acknowledged_at=None))


@transaction.atomic
def _tell(kind: str, payload: dict[str, Any], message: str, *, begins: str, known: Q) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_TELLING_KEY])
    told = Alert.objects.filter(known, stream_id=PLATFORM_STREAM, kind=kind, message__startswith=begins)
    if not told.exists():
        append([Event(PLATFORM_STREAM, kind, database_now(), payload, AlertSpec("critical", message))])
