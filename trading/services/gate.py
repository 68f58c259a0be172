"""The last look before an order's first byte: one query, with the connection to the broker open.

What it read must be young when the bytes go: a look that took longer than LOOK_SECONDS_MAX is repeated.
"""

import time
from dataclasses import dataclass, field

import structlog
from django.conf import settings
from django.db import Error, connection

from trading.brokers.protocol import GateClosed
from trading.services.claims import Claim

log = structlog.get_logger(__name__)
LOOK_SECONDS_MAX = 0.05
LOOKS_MAX = 5

_LOOK = """
    SELECT t.fence = %(fence)s AND t.status = 'submitting', t.cancel_requested_at IS NOT NULL,
           t.claimed_until >= clock_timestamp() + make_interval(secs => %(seconds)s),
           h.mode, h.scope, h.scope_id, h.reason
    FROM auto_trades t LEFT JOIN trading_halt h ON h.released_at IS NULL
        AND (h.mode = 'halt' OR t.trade_type = 'buy')
        AND (h.scope, h.scope_id) IN (
            ('platform', ''), ('account', t.account_id::text), ('portfolio', t.portfolio_id::text),
            ('session', t.session_id::text), ('rule', t.rule_id::text), ('symbol', t.symbol))
    WHERE t.id = %(id)s ORDER BY h.mode = 'halt' DESC NULLS LAST LIMIT 1
"""


@dataclass
class Look:
    """Made when the exchange begins, called by the broker's adapter; afterwards it says why it closed.

    lost: the claim is somebody else's; ended: the order must not go out at all any more (a halt, a wish to cancel).
    With neither it may be tried again.
    """

    claim: Claim
    began: float = field(default_factory=time.monotonic)
    lost: bool = False
    ended: str = ""

    def __call__(self) -> None:
        """Raises GateClosed."""
        for _ in range(LOOKS_MAX):
            started = time.monotonic()
            self._look()
            if time.monotonic() - started <= LOOK_SECONDS_MAX:
                return
        raise GateClosed(f"the database took longer than {LOOK_SECONDS_MAX} s, {LOOKS_MAX} times")

    def _look(self) -> None:
        # The whole exchange ends within its deadline: the lease must last at least as long.
        seconds = max(settings.BROKER_DEADLINE_SECONDS - (time.monotonic() - self.began), 0.0)
        trade = self.claim.trade
        try:
            with connection.cursor() as cursor:
                cursor.execute(_LOOK, {"id": trade.id, "fence": self.claim.fence, "seconds": seconds})
                mine, unwanted, lasts, mode, scope, scope_id, reason = cursor.fetchone()
        except Error as error:
            raise GateClosed(f"the database did not answer: {error!r}") from error
        if not mine:
            self.lost = True
            raise GateClosed("somebody else has claimed it")
        if mode is not None:
            self.ended = f"HALTED: {mode} on {scope} {scope_id}: {reason}"
        elif unwanted:
            self.ended = "it was cancelled before it was sent"
        if self.ended:
            raise GateClosed(self.ended)
        if not lasts:
            raise GateClosed("the claim does not last until the exchange must be over")
