"""Who watches: the platform's breakers on silence, the sweep over all breakers, and whether brokers are followed.

*Silence.* No market data while an exchange is open, or no sign of life of celery-beat, for longer than its limit
stops entries on the whole platform, or in a portfolio that has set a tighter limit. Without a running session
nobody is protected by it, and nothing trips.

The dead-man's switch must not hang on what it watches: the sweep comes from beat, so each evaluation and execution
looks first, too, and these are woken by the feed; and so does the `streams` process, which nobody wakes.

*Since when.* A process counts silence from its own first look at the earliest: when everything starts again after a
night, the last signs are hours old, and beat and feed get the limit's time to show theirs. A process that was there
all the time, and could have heard them, does not wait for that.

When the silence has ended, its stop ends, too (`trading.services.outages`). Where the replay's data has ended, the feed
says so again and again (`market.feed.runner`), which is no silence.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import structlog
from django.conf import settings
from django.db import connection

from foundation.core.money import as_decimal
from market.selectors import trades_within
from market.services import snapshots
from portfolios.selectors import current_limit_sets, effective_limits
from trading.core import breakers as core
from trading.core.breakers import Silence, Tripped
from trading.models import Halt
from trading.selectors.accounts import last_compared, unfollowed_accounts
from trading.selectors.breakers import (
    SignsOfLife,
    held_unattended,
    portfolios_with_own_silence,
    running_portfolios,
    running_sessions,
    signs_of_life,
)
from trading.services.account_alerts import alert_once
from trading.services.breakers import trip_found, trip_on_losses, trip_on_rates, trip_on_streaks
from trading.services.facts import market_view
from trading.services.fleet import watch_fleet
from trading.services.marking import mark_equity
from trading.services.missing import PROCESSES
from trading.services.outages import release_what_is_over
from trading.services.overdue import watch_cancels, watch_draining
from trading.services.worth import read_worth

log = structlog.get_logger(__name__)
LOOK_SECONDS = 1.0
BATCH_PORTFOLIOS = 512
UNFOLLOWED_SECONDS = 15.0
FEED, BEAT = "max_feed_silence_seconds", "max_beat_silence_seconds"
Limits = Mapping[str, Decimal | None]


class PlatformWatch:
    """One process's watch over feed and beat; `since` is its first look, in database time."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.since: datetime | None = None
        self._monotonic = monotonic
        self._next_look = 0.0

    def look_if_due(self) -> None:
        """At most once a second. It never raises: who cannot watch must still let exits out."""
        now = self._monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        try:
            self.look()
        except Exception:
            connection.close_if_unusable_or_obsolete()
            log.exception("watching_failed")

    def look(self) -> list[Halt]:
        """Trip what is due; returns the halts that were armed."""
        signs = signs_of_life()
        if self.since is None:
            self.since = signs.now
        if not signs.sessions_run:
            return []
        platform = current_limit_sets([("platform", None)]).get(("platform", None))
        limits = {name: getattr(platform, name, None) for name in (FEED, BEAT)}
        heard = _Heard.of(signs, since=self.since)
        tripped = heard.judge(limits)
        armed = [trip_found(one, scope=Halt.Scope.PLATFORM, scope_id="") for one in tripped]
        for portfolio_id, own in _tighter(limits):
            armed += [
                trip_found(one, scope=Halt.Scope.PORTFOLIO, scope_id=str(portfolio_id))
                for one in heard.judge(own)
            ]
        return [halt for halt in armed if halt is not None]


@dataclass(frozen=True)
class _Heard:
    """What is judged: the silences by now."""

    feed: Silence
    beat: Silence
    version: int | None

    @classmethod
    def of(cls, signs: SignsOfLife, *, since: datetime) -> "_Heard":
        return cls(
            feed=Silence(last=signs.feed_at, since=since, now=signs.now),
            beat=Silence(last=signs.beat_at, since=since, now=signs.now),
            version=signs.version,
        )

    def judge(self, limits: Limits) -> list[Tripped]:
        found = [core.beat_silence(silence=self.beat, limit=limits[BEAT])]
        if self.version is not None and self.feed.exceeds(limits[FEED]):  # the snapshot is read only then
            found.append(
                core.feed_silence(
                    silence=self.feed, version=self.version, any_open=_any_open(self.feed), limit=limits[FEED]
                )
            )
        return [one for one in found if one is not None]


def _any_open(silence: Silence) -> bool:
    """Whether an exchange was open at the last snapshot, or has opened since: who died at night tells nothing of the
    morning. Since then market time has gone on like database time, as it does wherever a feed is live."""
    snapshot = snapshots.current()
    if snapshot is None or snapshot.is_open.any():
        return snapshot is not None
    now = snapshot.as_of + timedelta(seconds=float(silence.seconds))
    return trades_within(after=snapshot.as_of, until=now)


def _tighter(platform: Limits) -> Iterator[tuple[uuid.UUID, Limits]]:
    """Of portfolios that run, what they themselves bear less of than the platform does."""
    owners = portfolios_with_own_silence()
    if not owners:
        return
    for portfolio_id, effective in sorted(effective_limits(dict(owners)).items()):
        own = {name: effective.values[name] for name in (FEED, BEAT)}
        yield (
            portfolio_id,
            {name: value if value != platform[name] else None for name, value in own.items()},
        )


WATCH = PlatformWatch()


def watch_platform() -> None:
    WATCH.look_if_due()
    PROCESSES.look_if_due()


def watch_breakers() -> None:
    """The sweep over all breakers. What fails keeps the others from nothing."""
    watches = (
        WATCH.look,
        release_what_is_over,
        trip_on_rates,
        _watch_streaks,
        _watch_unattended,
        watch_streams,
        watch_unreconciled,
        watch_cancels,
        watch_draining,
        watch_fleet,
        PROCESSES.look_if_due,
    )
    for watch in watches:
        try:
            watch()
        except Exception:
            connection.close_if_unusable_or_obsolete()
            log.exception("watching_failed", watch=watch.__name__)


def watch_streams() -> None:
    """Tell of each account at a broker whose executions nobody follows, once for each time that they are left."""
    for account_id, since in unfollowed_accounts(seconds=UNFOLLOWED_SECONDS):
        message = f"Nobody follows the executions of a broker account since {since:%Y-%m-%d %H:%M:%S} UTC"
        alert_once(account_id=account_id, kind="streams.missing", since=since, message=message)


def watch_unreconciled() -> None:
    """Stop the entries of accounts whose books could not be compared with the broker for long, by this process's own
    watch. They would go out and be filled, and neither protections nor losses would know."""
    if WATCH.since is None:
        return
    limit = as_decimal(settings.UNRECONCILED_SECONDS)
    for account in last_compared():
        since = max(account.since, WATCH.since)
        found = core.unreconciled(silence=Silence(account.last, since, account.now), limit=limit)
        if found is not None:
            trip_found(found, scope=Halt.Scope.ACCOUNT, scope_id=str(account.account_id))


def _watch_streaks() -> None:
    """Of running sessions: a limit may have been lowered, or a look after the booking been lost."""
    for batch in _batches(running_portfolios()):
        trip_on_streaks(batch)


def _watch_unattended() -> None:
    """Losses of portfolios that hold something and whose rules are not evaluated.

    Nobody else notes what their day began with, so it is done here.
    """
    unattended, snapshot = held_unattended(), snapshots.current()
    if not unattended or snapshot is None:
        return
    view = market_view(snapshot)
    for batch in _batches(unattended):
        worth = read_worth(batch, view)
        trip_on_losses(worth, session_ids=dict(running_sessions(batch)), market_day=snapshot.as_of.date())
        mark_equity(worth)


def _batches(portfolio_ids: Sequence[uuid.UUID]) -> Iterator[Sequence[uuid.UUID]]:
    for start in range(0, len(portfolio_ids), BATCH_PORTFOLIOS):
        yield portfolio_ids[start : start + BATCH_PORTFOLIOS]
