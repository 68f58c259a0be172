"""The end of outages: a stop that a breaker armed because somebody was not heard is released when he is again.

After a minute without the database or Valkey the last signs of everybody are old, and the first who looks stops the
entries. Nobody would have anything to judge about it, and at night nobody is there. What a person, a rule or another
breaker has stopped stays.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from trading.core.breakers import OF_OUTAGES, SETTLED_SECONDS, Breaker, Silence, heard_since, is_heard
from trading.models import Halt
from trading.selectors.accounts import Compared, last_compared
from trading.selectors.breakers import SignsOfLife, signs_of_life
from trading.services.emergency_stop import note_heard, release_after_outage
from trading.services.faults import TRANSIENT

log = structlog.get_logger(__name__)


def release_what_is_over() -> list[Halt]:
    """Of the sweep, which comes from beat: while that is dead nothing is released. Returns what was."""
    in_force = list(
        Halt.objects.filter(armed_by_breaker__in=OF_OUTAGES, released_at=None).order_by("armed_at")
    )
    if not in_force:
        return []
    signs, accounts = signs_of_life(), {account.account_id: account for account in last_compared()}
    released = list[Halt]()
    for halt in in_force:
        try:
            over = release_after_outage(halt_id=halt.pk) if _has_settled(halt, signs, accounts) else None
        except TRANSIENT:
            raise
        except Exception:  # one stop must not keep the others in force
            log.exception("stop_for_outage_not_released", halt_id=str(halt.pk))
            continue
        released += [over] if over is not None else []
    return released


def _has_settled(halt: Halt, signs: SignsOfLife, accounts: Mapping[uuid.UUID, Compared]) -> bool:
    """Whether he who was missed has been heard for long enough; notes since when."""
    silence = Silence(last=_last_sign(halt, signs, accounts), since=halt.armed_at, now=signs.now)
    if not is_heard(silence=silence, limit=Decimal(halt.numbers["limit"])):
        if halt.heard_since is not None:
            note_heard(halt, since=None, at=None)
        return False
    since = heard_since(since=halt.heard_since, at=halt.heard_at, now=signs.now)
    note_heard(halt, since=since, at=signs.now)
    return signs.now - since >= timedelta(seconds=SETTLED_SECONDS)


def _last_sign(halt: Halt, signs: SignsOfLife, accounts: Mapping[uuid.UUID, Compared]) -> datetime | None:
    if halt.armed_by_breaker == Breaker.UNRECONCILED:
        account = accounts.get(uuid.UUID(halt.scope_id))
        return account.last if account is not None else None  # None: it is at no real broker any more
    return signs.feed_at if halt.armed_by_breaker == Breaker.FEED_SILENCE else signs.beat_at
