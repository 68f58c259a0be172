"""The end of outages: a stop that a breaker armed because somebody was not heard is released when he is again.

After a minute without the database or Valkey the last signs of everybody are old, and the first who looks stops the
entries. Nobody would have anything to judge about it, and at night nobody is there. What a person, a rule or another
breaker has stopped stays.
"""

import uuid
from collections.abc import Mapping
from decimal import Decimal

from trading.core.breakers import OF_OUTAGES, Breaker, Silence, is_over
from trading.models import Halt
from trading.selectors.accounts import Compared, last_compared
from trading.selectors.breakers import SignsOfLife, signs_of_life
from trading.services.emergency_stop import release_after_outage


def release_what_is_over() -> list[Halt]:
    """Of the sweep, which comes from beat: while that is dead nothing is released. Returns what was."""
    in_force = list(
        Halt.objects.filter(armed_by_breaker__in=OF_OUTAGES, released_at=None).order_by("armed_at")
    )
    if not in_force:
        return []
    signs, accounts = signs_of_life(), {account.account_id: account for account in last_compared()}
    over = [halt for halt in in_force if _is_over(halt, signs, accounts)]
    released = [release_after_outage(halt_id=halt.pk) for halt in over]
    return [halt for halt in released if halt is not None]


def _is_over(halt: Halt, signs: SignsOfLife, accounts: Mapping[uuid.UUID, Compared]) -> bool:
    if halt.armed_by_breaker == Breaker.UNRECONCILED:
        account = accounts.get(uuid.UUID(halt.scope_id))
        last = account.last if account is not None else None  # None: it is at no real broker any more
    else:
        last = {Breaker.FEED_SILENCE: signs.feed_at, Breaker.BEAT_SILENCE: signs.beat_at}[
            Breaker(halt.armed_by_breaker)
        ]
    silence = Silence(last=last, since=halt.armed_at, now=signs.now)
    return is_over(silence=silence, limit=Decimal(halt.numbers["limit"]))
