"""What market time does to sessions by itself: it ends them, and starts those that are planned."""

import math
import time
import uuid
from datetime import datetime

import structlog
from celery.exceptions import SoftTimeLimitExceeded

from foundation.errors import Conflict
from foundation.wakeups import wake
from market.selectors import market_now
from sessions.selectors import ended_sessions
from sessions.services.plan_runs import start_planned, tell_missed
from sessions.services.sessions import stop_trading_session

log = structlog.get_logger(__name__)
END_REACHED = "its end time is reached"
# A run ends after so many of each, or after so long, and wakes a successor, so that no worker is held for long.
COUNT_MAX = 200
RUN_SECONDS = 4.0


def run_calendar() -> None:
    """Stop the sessions whose end time is reached, tell of plans that could not start, then start what plans say.

    Late or not at all, it lets nothing in: entries are refused by the end time itself.
    """
    now = market_now()
    if now is None:
        return
    until = time.monotonic() + RUN_SECONDS
    stopped = stop_ended(now=now, until=until)
    missed = tell_missed(now=now, count_max=COUNT_MAX, until=until)
    decided = start_planned(now=now, count_max=COUNT_MAX, until=until)
    if COUNT_MAX in (stopped, missed, decided) or time.monotonic() > until:
        wake("sessions.tasks.run_calendar", queue="execution")


def stop_ended(*, now: datetime, until: float = math.inf) -> int:
    """How many were stopped at this market time, each in a transaction of its own: one that cannot be stopped now
    must not keep the others running. until: monotonic seconds, after which no further one is."""
    ended = ended_sessions(now=now, count_max=COUNT_MAX)
    return sum(_stop(session_id) for session_id in ended if time.monotonic() < until)


def _stop(session_id: uuid.UUID) -> bool:
    try:
        stop_trading_session(session_id=session_id, actor=None, reason=END_REACHED)
    except SoftTimeLimitExceeded:
        raise
    except Conflict:
        log.info("stopped_by_somebody_else", session_id=str(session_id))
    except Exception:
        log.exception("ending_failed", session_id=str(session_id))
    else:
        return True
    return False
