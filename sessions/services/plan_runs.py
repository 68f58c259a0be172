"""Starting what session plans say, by the market's own time. Their sessions end by their `ends_at`, as any other does.

A day is decided once: started, or skipped and said so. Only what will end by itself is waited for, and not beyond the
plan's hours: a day on which it waited, or its start broke, until they were over is skipped, too.
"""

import time
import uuid
from datetime import datetime

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, transaction

from foundation.clock import database_now
from foundation.errors import DomainError, NotFound
from journal.core.events import AlertSpec, Event
from journal.services.journal import append
from market.core.calendar import TradingDay
from portfolios.core.access import Action, roles_of
from portfolios.selectors import role_of
from sessions.core.config import Known
from sessions.models import SessionPlan, TradingSession
from sessions.selectors import due_plans, missed_plans
from sessions.services.plans import locked_plan
from sessions.services.sessions import Planned, known_names, start_trading_session

log = structlog.get_logger(__name__)


def start_planned(*, now: datetime, count_max: int, until: float) -> int:
    """Decide every plan that is due at this market time, each in a transaction of its own; returns how many were.
    One that waits or breaks is looked at again, and keeps no other from starting. until: monotonic seconds, after
    which no further one is."""
    decided = 0
    due = due_plans(now=now, count_max=count_max)
    known = known_names() if due else None  # of thousands of symbols: read once for all of them
    for plan_id, day in due:
        if time.monotonic() > until:
            break
        try:
            decided += _decide(plan_id, day, now, known)
        except SoftTimeLimitExceeded:
            raise
        except NotFound:
            log.info("plan_is_gone", plan_id=str(plan_id))
        except Exception:
            log.exception("plan_failed", plan_id=str(plan_id))
            _note_broken(plan_id, day)
    return decided


def tell_missed(*, now: datetime, count_max: int, until: float) -> int:
    """Skip the day of each plan whose hours are over at this market time without it having started; returns how many.
    until: monotonic seconds, after which no further one is."""
    told = 0
    for plan_id, day in missed_plans(now=now, count_max=count_max):
        if time.monotonic() > until:
            break
        try:
            told += _miss(plan_id, day, now)
        except SoftTimeLimitExceeded:
            raise
        except NotFound:
            log.info("plan_is_gone", plan_id=str(plan_id))
        except Exception:
            log.exception("plan_failed", plan_id=str(plan_id))
    return told


@transaction.atomic
def _miss(plan_id: uuid.UUID, day: TradingDay, now: datetime) -> bool:
    plan = locked_plan(plan_id)
    hours = plan.hours_on(day)
    if not plan.is_enabled or plan.undecided_day != day.day or (hours is not None and now < hours.ends_at):
        return False  # somebody else was faster, or it was changed meanwhile
    _skip(plan, day, f"its hours ended before it could start: {plan.last_outcome}")
    return True


def _note_broken(plan_id: uuid.UUID, day: TradingDay) -> None:
    """That it was due. What broke may be that the database is gone, and then this cannot be noted either."""
    try:
        with transaction.atomic():
            _wait(locked_plan(plan_id), day, "a fault of the platform keeps it from starting")
    except DomainError:
        log.info("plan_is_gone", plan_id=str(plan_id))
    except DatabaseError:
        log.exception("plan_not_noted", plan_id=str(plan_id))


@transaction.atomic
def _decide(plan_id: uuid.UUID, day: TradingDay, now: datetime, known: Known | None) -> bool:
    """Whether there is nothing left to do for it on this day."""
    plan = locked_plan(plan_id)
    hours = plan.hours_on(day)
    decided = plan.last_day is not None and plan.last_day >= day.day
    if not plan.is_enabled or decided or hours is None or not hours.are_on(now):
        return True  # somebody else was faster, or it was changed meanwhile
    responsible = plan.responsible
    if not responsible.is_active or role_of(responsible, plan.portfolio_id) not in roles_of(
        Action.RUN_SESSION
    ):
        _disable(plan)
        return True
    running = TradingSession.objects.filter(portfolio_id=plan.portfolio_id).exclude(
        status=TradingSession.Status.STOPPED
    )
    in_the_way = running.first()
    if in_the_way is not None:
        ends = in_the_way.ends_at is not None and in_the_way.ends_at <= now
        if ends or in_the_way.plan_id == plan.pk or in_the_way.status == TradingSession.Status.STOPPING:
            _wait(plan, day, f"waits for session {in_the_way.id} to end")
            return False
        _skip(plan, day, f"session {in_the_way.id} runs already")
        return True
    try:
        with transaction.atomic():
            start_trading_session(
                portfolio_id=plan.portfolio_id, config=plan.config, actor=responsible,
                session_name=f"{plan.name} {day.day}"[:255], planned=Planned(plan.pk, day.day, hours.ends_at, known),
            )  # fmt: skip
    except DomainError as refusal:
        _skip(plan, day, refusal.detail)
    else:
        _note(plan, "started", day)
    return True


def _wait(plan: SessionPlan, day: TradingDay, why: str) -> None:
    """It is looked at again, until the day is decided or its hours are over."""
    if (plan.undecided_day, plan.last_outcome) != (day.day, why):
        plan.undecided_day, plan.last_outcome = day.day, why
        plan.save(update_fields=["undecided_day", "last_outcome"])


def _note(plan: SessionPlan, outcome: str, day: TradingDay) -> None:
    """What became of it: this day is decided."""
    plan.last_day, plan.undecided_day, plan.last_outcome = day.day, None, outcome[:255]
    plan.save(update_fields=["last_day", "undecided_day", "last_outcome"])


def _skip(plan: SessionPlan, day: TradingDay, reason: str) -> None:
    _note(plan, f"skipped: {reason}", day)
    message = f"The plan {plan.name} started no session on {day.day}: {reason}"
    payload = {"plan_id": plan.pk, "plan": plan.name, "day": day.day.isoformat(), "reason": reason}
    _tell(plan, "session.plan_skipped", payload, AlertSpec("warning", message))


def _disable(plan: SessionPlan) -> None:
    """Who may not start a session may not have one started for him. It is told once, for it is done once."""
    name = plan.responsible.get_username()
    plan.is_enabled, plan.undecided_day = False, None
    plan.last_outcome = f"disabled: {name} may not trade here any more"
    plan.save(update_fields=["is_enabled", "undecided_day", "last_outcome"])
    message = (
        f"The plan {plan.name} is disabled: {name} may not trade in this portfolio any more. Enable it anew."
    )
    payload = {"plan_id": plan.pk, "plan": plan.name, "actor": "system", "reason": plan.last_outcome}
    _tell(plan, "session.plan_disabled", payload, AlertSpec("warning", message))


def _tell(plan: SessionPlan, kind: str, payload: dict[str, object], alert: AlertSpec) -> None:
    append([Event(stream=plan.portfolio_id, kind=kind, at=database_now(), payload=payload, alert=alert)])
