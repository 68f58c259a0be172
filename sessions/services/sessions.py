"""Starting, pausing, resuming and stopping: the only writer of a session's status.

active ⇄ paused        exits go on while paused
active, paused → stopping → stopped
"""

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from foundation.clock import database_now
from foundation.errors import Conflict, InvalidInput, NotFound
from foundation.wakeups import wake_on_commit
from journal.core.events import AlertSpec, Event
from journal.models import Alert
from journal.services.journal import append
from market.models import Exchange, Instrument, RecommendationSource
from market.selectors import market_now, tags
from portfolios.core.limits import LIMIT_NAMES
from portfolios.models import BrokerAccount, LimitSet, Portfolio
from portfolios.services.equity import note_boundary
from portfolios.services.limits import set_limits
from sessions.core.config import Known, SessionConfig, parse_config
from sessions.models import TradingSession
from sessions.services.slices import slice_with_room

Status = TradingSession.Status


def _actor_name(actor: AbstractBaseUser | None) -> str:
    return actor.get_username() if actor is not None else "system"


def known_names() -> Known:
    """What configs may name at this moment."""
    return Known(
        symbols=set(Instrument.objects.filter(is_active=True).values_list("symbol", flat=True)),
        exchanges=set(Exchange.objects.values_list("code", flat=True)),
        tags=tags(),
        sources=set(RecommendationSource.objects.values_list("name", flat=True)),
        limits=LIMIT_NAMES,
    )


def checked_config(config: Any, *, known: Known | None = None) -> SessionConfig:
    """Raises InvalidInput with the path of each error. known: read just before, by who checks many."""
    parsed, errors = parse_config(config, known=known if known is not None else known_names())
    if parsed is None:
        detail = "; ".join(f"{row['path']}: {row['message']}" for row in errors)
        raise InvalidInput(detail, errors=[dict(row) for row in errors])
    return parsed


def _require_mode(portfolio: Portfolio, mode: str) -> None:
    """A config says whose money it is for; the account has the last word. Connecting one asks for no running session,
    so that this cannot change while the session runs."""
    is_live = BrokerAccount.objects.filter(portfolio=portfolio, is_live=True).exists()
    if is_live and mode != "live":
        raise Conflict(
            'The money of this portfolio\'s account is real: say "mode": "live" in the config if that is meant.',
            code="mode_mismatch", mode="live",
        )  # fmt: skip
    if not is_live and mode == "live":
        raise Conflict(
            "The money of this portfolio's account is not real: connect a live account first, or leave mode out.",
            code="mode_mismatch", mode="paper",
        )  # fmt: skip


def _require_future(ends_at: datetime | None) -> None:
    now = market_now()
    if ends_at is not None and now is not None and ends_at <= now:
        message = f"must be later than the market's present time, {now.isoformat()}"
        raise InvalidInput(
            f"config.ends_at {message}.", errors=[{"path": "config.ends_at", "message": message}]
        )


@dataclass(frozen=True)
class Planned:
    """The plan that starts a session, when the session is to end, in market time, and the names that its config may
    use, where they were read for many."""

    plan_id: uuid.UUID
    day: date
    ends_at: datetime
    known: Known | None = None


@transaction.atomic
def start_trading_session(
    *, portfolio_id: uuid.UUID, config: Any, actor: AbstractBaseUser | None, session_name: str = "",
    planned: Planned | None = None,
) -> TradingSession:  # fmt: skip
    """Begin to trade automatically. Conflict (409) names the session that already runs.

    A plan starts it in the name of `actor`, and at most once a day.
    """
    parsed = checked_config(config, known=planned.known if planned else None)
    _require_future(parsed.ends_at)
    portfolio = Portfolio.objects.select_for_update(no_key=True).filter(pk=portfolio_id).first()
    if portfolio is None:
        raise NotFound(f"There is no portfolio {portfolio_id}.")
    running = TradingSession.objects.filter(portfolio=portfolio).exclude(status=Status.STOPPED).first()
    if running is not None:
        raise Conflict(
            f"Session {running.id} ({running.status}) already runs for this portfolio; stop it first.",
            code="session_running", session_id=str(running.id),
        )  # fmt: skip
    _require_mode(portfolio, parsed.mode)
    try:
        with transaction.atomic():
            row = TradingSession.objects.create(
                portfolio=portfolio, session_name=session_name, config=config,
                ends_at=planned.ends_at if planned else parsed.ends_at,
                plan_id=planned.plan_id if planned else None, plan_day=planned.day if planned else None,
                slice_id=slice_with_room(every_seconds=parsed.every_seconds),
                started_by_id=actor.pk if actor is not None else None,
            )  # fmt: skip
    except IntegrityError as error:  # the portfolio's lock rules this out; the constraint has the last word
        raise Conflict("Another session was started at this moment.", code="session_running") from error
    row.refresh_from_db()
    note_boundary(portfolio.id)  # what it does is measured from here
    by_plan = {"plan_id": planned.plan_id, "plan_day": planned.day.isoformat()} if planned else {}
    _journal(row, "session.started", actor, config=config, session_name=session_name, **by_plan)
    if parsed.limits:
        set_limits(
            scope=LimitSet.Scope.SESSION, scope_id=row.id, values=dict(parsed.limits), actor=actor,
            portfolio_id=portfolio.id,
        )  # fmt: skip
    wake_on_commit("trading.tasks.evaluate_due", queue="evaluation")
    return row


def _locked(session_id: uuid.UUID) -> TradingSession:
    """The session under its portfolio's lock, as the house order wants it."""
    found = TradingSession.objects.filter(pk=session_id).values_list("portfolio_id", flat=True).first()
    if found is None:
        raise NotFound(f"There is no session {session_id}.")
    Portfolio.objects.select_for_update(no_key=True).get(pk=found)
    return TradingSession.objects.select_for_update(no_key=True).get(pk=session_id)


def _move(row: TradingSession, *, old: tuple[str, ...], new: str, **columns: Any) -> None:
    """Compare-and-swap of the status; Conflict when it is not one of `old`."""
    if row.status not in old:
        raise Conflict(
            f"The session is {row.status}; this needs it to be {' or '.join(old)}.",
            code="session_state", status_now=row.status,
        )  # fmt: skip
    changed = TradingSession.objects.filter(pk=row.pk, status=row.status).update(status=new, **columns)
    assert changed == 1, "the session is locked"
    row.refresh_from_db()


def _journal(row: TradingSession, kind: str, actor: AbstractBaseUser | None, **payload: Any) -> None:
    alert: AlertSpec | None = payload.pop("alert", None)
    body = {"session_id": row.id, "status": row.status, "actor": _actor_name(actor), **payload}
    append([Event(stream=row.portfolio_id, kind=kind, at=database_now(), payload=body, alert=alert)])


@transaction.atomic
def pause_trading_session(
    *, session_id: uuid.UUID, actor: AbstractBaseUser | None, reason: str = ""
) -> TradingSession:
    """No new entries from now on; exits and risk rules go on. Entries not yet sent are cancelled, however soon it
    goes on.

    By who would send them: on paper the execution, at real brokers the broker's queue.
    """
    row = _locked(session_id)
    _pause(row)
    _journal(row, "session.paused", actor, reason=reason)
    wake_on_commit("trading.tasks.execute_due", queue="execution")
    wake_on_commit("trading.tasks.send_due", queue="broker")
    return row


def _pause(row: TradingSession) -> None:
    """The time is taken under the portfolio's lock, as that of every trade is: what was made before is told by it."""
    _move(row, old=(Status.ACTIVE,), new=Status.PAUSED, paused_at=database_now())


@transaction.atomic
def report_failure(*, session_id: uuid.UUID, reason: str) -> None:
    """A session's evaluation broke: an active one is paused, and somebody is told, once until he has seen it.

    The pause itself is always journalled, for the log is the only record of what happened.
    """
    row = _locked(session_id)
    if row.status == Status.ACTIVE:
        _pause(row)
        _journal(row, "session.paused", None, reason=reason)
    waiting = Alert.objects.filter(stream=row.portfolio_id, kind="session.failing", acknowledged_at=None)
    if not waiting.exists():
        message = f"Session {row} is {row.status}, and its rules, exits included, are not evaluated: {reason}"
        _journal(row, "session.failing", None, reason=reason, alert=AlertSpec("critical", message))


@transaction.atomic
def resume_trading_session(*, session_id: uuid.UUID, actor: AbstractBaseUser | None) -> TradingSession:
    row = _locked(session_id)
    _move(row, old=(Status.PAUSED,), new=Status.ACTIVE)
    _journal(row, "session.resumed", actor)
    wake_on_commit("trading.tasks.evaluate_due", queue="evaluation")
    return row


@transaction.atomic
def stop_trading_session(
    *, session_id: uuid.UUID, actor: AbstractBaseUser | None, reason: str = "", keep: bool = False
) -> TradingSession:
    """Only marks it `stopping`; trading closes what is open and calls `finish_stop`.

    keep: what is held stays, whatever the config says. Permitted of one that flattens already, too: what it holds may
    be such that nobody can ever sell it, and until a session has ended no other one can begin.
    """
    row = _locked(session_id)
    old: tuple[str, ...] = (Status.ACTIVE, Status.PAUSED)
    if keep and row.flattens:
        old += (Status.STOPPING,)
    _move(
        row, old=old, new=Status.STOPPING, stop_reason=reason or row.stop_reason,
        keeps_at_stop=keep or row.keeps_at_stop, finish_at=None,
    )  # fmt: skip
    on_stop = "flatten" if row.flattens else "keep"
    _journal(row, "session.stopping", actor, reason=reason, on_stop=on_stop)
    wake_on_commit("trading.tasks.finish_stopping", queue="execution")
    return row


def finish_later(*, session_id: uuid.UUID, seconds: float) -> None:
    """Called by trading when a stopping session cannot end yet: it is looked at again behind those due before."""
    rows = TradingSession.objects.filter(pk=session_id, status=Status.STOPPING)
    rows.update(finish_at=Now() + timedelta(seconds=seconds))


@transaction.atomic
def finish_stop(*, session_id: uuid.UUID) -> TradingSession:
    """Called by trading when nothing of the session is open any more."""
    row = _locked(session_id)
    note_boundary(row.portfolio_id)  # and until here
    _move(row, old=(Status.STOPPING,), new=Status.STOPPED, end_time=database_now())
    _journal(row, "session.stopped", None, total_trades=row.total_trades, total_pnl=row.total_pnl)
    return row
