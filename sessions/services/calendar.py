"""What market time does to sessions by itself: it ends them."""

import structlog

from foundation.errors import Conflict
from foundation.wakeups import wake
from market.selectors import market_now
from sessions.selectors import ended_sessions
from sessions.services.sessions import stop_trading_session

log = structlog.get_logger(__name__)
END_REACHED = "its end time is reached"
# A run ends after so many and wakes a successor, so that no worker is held for long.
SESSIONS_MAX = 200


def run_calendar() -> int:
    """Stop the sessions whose end time is reached; returns how many.

    Each in a transaction of its own: one that cannot be stopped now must not keep the others running. Late or not at
    all, it lets nothing in: entries are refused by the end time itself.
    """
    now = market_now()
    if now is None:
        return 0
    due = ended_sessions(now=now, count_max=SESSIONS_MAX)
    stopped = 0
    for session_id in due:
        try:
            stop_trading_session(session_id=session_id, actor=None, reason=END_REACHED)
            stopped += 1
        except Conflict:
            log.info("stopped_by_somebody_else", session_id=str(session_id))
        except Exception:
            log.exception("ending_failed", session_id=str(session_id))
    if stopped == SESSIONS_MAX:
        wake("sessions.tasks.run_calendar", queue="execution")
    return stopped
