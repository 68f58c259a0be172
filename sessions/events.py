"""What the sessions' room tells the journal: when trading began and ended, and by which plan."""

from datetime import date
from decimal import Decimal
from typing import Any, Literal, NotRequired, TypedDict
from uuid import UUID

from journal.core.kinds import EventKind, register
from sessions.models import TradingSession

Weekday = Literal["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]


class Session(TypedDict):
    """`status` is the one that it has then; `actor` a username, or `system`."""

    session_id: UUID
    status: TradingSession.Status
    actor: str


class SessionStarted(Session):
    """`config` as it was given; with `plan_id` and `plan_day` where a plan started it."""

    config: dict[str, Any]
    session_name: str
    plan_id: NotRequired[UUID]
    plan_day: NotRequired[date]


class SessionReason(Session):
    reason: str


class SessionStopping(SessionReason):
    """`on_stop`: what becomes of what is held; told again when somebody gives up selling it. Older events lack it."""

    on_stop: NotRequired[Literal["keep", "flatten"]]


class SessionStopped(Session):
    total_trades: int
    total_pnl: Decimal


class Plan(TypedDict):
    plan_id: UUID
    plan: str
    actor: str


class PlanContent(Plan):
    name: str
    config: dict[str, Any]
    exchange_id: str
    start_minutes_before_open: int
    stop_minutes_after_close: int
    weekdays: list[Weekday]


class PlanDisabled(Plan):
    """With a `reason` where the system did it."""

    reason: NotRequired[str]


class PlanSkipped(TypedDict):
    plan_id: UUID
    plan: str
    day: date
    reason: str


register(
    EventKind("session.started", "Automatic trading began", SessionStarted),
    EventKind("session.paused", "No new entries; exits and risk rules go on", SessionReason),
    EventKind("session.resumed", "Entries are made again", Session),
    EventKind("session.failing", "The session's rules cannot be evaluated", SessionReason),
    EventKind("session.stopping", "It is being stopped: what is open is closed first", SessionStopping),
    EventKind("session.stopped", "Automatic trading ended", SessionStopped),
    EventKind("session.plan_created", "A plan will start and stop sessions", PlanContent),
    EventKind("session.plan_changed", "A plan was changed", PlanContent),
    EventKind("session.plan_enabled", "A plan starts sessions from now on", Plan),
    EventKind("session.plan_disabled", "A plan starts nothing any more", PlanDisabled),
    EventKind("session.plan_deleted", "A plan was deleted", Plan),
    EventKind("session.plan_skipped", "A plan started no session on that day", PlanSkipped),
)
