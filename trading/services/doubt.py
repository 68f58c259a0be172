"""Orders of which nobody knows whether the broker has them: how they become so, when they are asked for, and when a
person must look. Their exposure stays reserved, and their symbol is blocked, all the while."""

from dataclasses import replace
from datetime import datetime, timedelta

from foundation.clock import database_now
from journal.core.events import AlertSpec, Event, Severity
from trading.core.order_states import OrderState
from trading.models import AutoTrade
from trading.services.claims import hand_back
from trading.services.order_management import move, trade_event

S = OrderState
BACKOFF_SECONDS = 0.5
BACKOFF_SECONDS_MAX = 30.0
# So long a broker's word that it is not to be asked earlier is obeyed.
RETRY_AFTER_SECONDS_MAX = 300.0
QUARANTINE_ASK_SECONDS = 60.0


def backoff(tries: int, *, retry_after_seconds: float | None = None) -> timedelta:
    """Until the next try, after so many."""
    seconds = min(BACKOFF_SECONDS * 2 ** min(tries, 16), BACKOFF_SECONDS_MAX)
    return timedelta(seconds=max(seconds, min(retry_after_seconds or 0.0, RETRY_AFTER_SECONDS_MAX)))


def become_unknown(
    trade: AutoTrade, *, reason: str, ask_at: datetime | None = None, retry_after_seconds: float | None = None
) -> list[Event]:
    """From submitting or cancelling, under its portfolio's lock; the caller journals. ask_at: at once, or after the
    first backoff."""
    before = trade.status
    if not move([trade], before, S.UNKNOWN, reason=reason):
        return []
    ask_at = ask_at or database_now() + backoff(0, retry_after_seconds=retry_after_seconds)
    hand_back(trade, ask_at=ask_at, asks=0)
    message = (
        f"Nobody knows whether the broker has order {trade.client_order_id} ({trade}): {reason}. It is asked."
    )
    return [_told(trade, "warning", message, reason)]


def become_quarantined(trade: AutoTrade, *, reason: str) -> list[Event]:
    """From unknown: even the broker cannot say. It is asked on, at a slow pace."""
    if not move([trade], S.UNKNOWN, S.QUARANTINED, reason=reason):
        return []
    hand_back(trade, ask_at=database_now() + timedelta(seconds=QUARANTINE_ASK_SECONDS), asks=trade.asks + 1)
    message = (
        f"Order {trade.client_order_id} ({trade}) is quarantined: {reason}. Look for it at the broker; what is "
        "reserved for it stays reserved until it is found, or a risk officer ends it."
    )
    return [_told(trade, "critical", message, reason)]


def ask_later(trade: AutoTrade, *, retry_after_seconds: float | None = None) -> None:
    """It stays in doubt; asked again with backoff."""
    wait = backoff(trade.asks + 1, retry_after_seconds=retry_after_seconds)
    if trade.status == S.QUARANTINED:
        wait = max(wait, timedelta(seconds=QUARANTINE_ASK_SECONDS))
    hand_back(trade, ask_at=database_now() + wait, asks=trade.asks + 1)


def _told(trade: AutoTrade, severity: Severity, message: str, reason: str) -> Event:
    event = trade_event(trade, f"trade.{trade.status}", at=database_now(), reason=reason)
    return replace(event, alert=AlertSpec(severity, message))
