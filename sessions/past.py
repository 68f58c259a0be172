"""Which evaluation looked at a portfolio in which slot, and what its session was then."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from foundation.loading import load_where
from foundation.moments import Moment
from journal.selectors import newest_about
from sessions.models import TradingSession

_STATUS_KINDS = (
    "session.started",
    "session.paused",
    "session.resumed",
    "session.stopping",
    "session.stopped",
)

# Whether run r had a portfolio in its part, as `sessions.core.parts.Arc` says it.
_DECIDED = """(CASE WHEN r.decided_after < r.decided_through
        THEN r.decided_after < %(portfolio)s AND %(portfolio)s <= r.decided_through
        ELSE %(portfolio)s > r.decided_after OR %(portfolio)s <= r.decided_through END)"""


@dataclass(frozen=True)
class Evaluated:
    """`moment` None: that evaluation noted none, for the code that did it is older than this question."""

    session_id: uuid.UUID
    moment: Moment | None


def evaluation_of(portfolio_id: uuid.UUID, *, slot: int) -> Evaluated | None:
    """The evaluation of the portfolio's session on a snapshot; None: it was not evaluated, or is forgotten."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT s.id, r.facts_at, r.facts_seen, r.written_by
            FROM trading_sessions AS s JOIN trading_sessions_evaluationrun AS r ON r.slice_id = s.slice_id
            WHERE s.portfolio_id = %(portfolio)s AND r.slot = %(slot)s AND {_DECIDED}
              AND s.created_at < coalesce(r.facts_at, r.created_at)
              AND (s.end_time IS NULL OR s.end_time > coalesce(r.facts_at, r.created_at))
            ORDER BY s.created_at DESC LIMIT 1
            """,  # noqa: S608 - the text above
            {"portfolio": portfolio_id, "slot": slot},
        )
        found = cursor.fetchone()
    if found is None:
        return None
    session_id, at, seen, own = found
    return Evaluated(session_id, None if at is None else Moment(at, seen, own))


def nearest_slots(session: TradingSession, slot: int) -> tuple[int | None, int | None]:
    """The slots before and after this one on which the session's slice was evaluated."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT max(slot) FILTER (WHERE slot < %(slot)s), min(slot) FILTER (WHERE slot > %(slot)s)
            FROM trading_sessions_evaluationrun AS r
            WHERE slice_id = %(slice)s AND facts_at >= %(since)s AND {_DECIDED}
            """,  # noqa: S608
            {
                "slot": slot,
                "slice": session.slice_id,
                "since": session.created_at,
                "portfolio": session.portfolio_id,
            },
        )
        before, after = cursor.fetchone()
    return before, after


def session_at(portfolio_id: uuid.UUID, moment: datetime) -> TradingSession | None:
    """The one that ran at this database time, as it is now."""
    rows = load_where(
        TradingSession,
        """t.portfolio_id = %s AND t.created_at < %s AND (t.end_time IS NULL OR t.end_time > %s)
        ORDER BY t.created_at DESC LIMIT 1""",
        [portfolio_id, moment, moment],
    )
    return rows[0] if rows else None


def status_at(session: TradingSession, moment: datetime) -> str:
    """By the journal; one whose start is told a moment later than its row was active."""
    told = newest_about(session.portfolio_id, _STATUS_KINDS, "session_id", session.pk, until=moment)
    return str(TradingSession.Status.ACTIVE) if told is None else str(told[1]["status"])
