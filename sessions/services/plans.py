"""Making, changing, enabling and deleting session plans: what is written down, not what runs (plan_runs)."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from foundation.clock import database_now
from foundation.errors import Conflict, InvalidInput, NotFound
from foundation.wakeups import wake_on_commit
from journal.core.events import Event
from journal.services.journal import append
from market.models import Exchange
from portfolios.models import Portfolio
from rules.core.fields import WEEKDAYS
from sessions.core.plan import MINUTES_MAX
from sessions.models import SessionPlan
from sessions.services.sessions import checked_config

PLANS_MAX = 20
NAME_LENGTH_MAX = 255
RUN = "sessions.tasks.run_calendar"


@dataclass(frozen=True, kw_only=True)
class PlanContent:
    """What a plan says. Minutes below zero mean after the open, or before the close; no weekdays mean each."""

    name: str
    exchange: str
    config: Any = field(default_factory=dict)
    start_minutes_before_open: int = 0
    stop_minutes_after_close: int = 0
    weekdays: Sequence[str] = ()


@transaction.atomic
def create_plan(*, portfolio_id: uuid.UUID, content: PlanContent, actor: AbstractBaseUser) -> SessionPlan:
    """From now on its sessions start and stop by themselves, in the actor's name; today's at once if its hours are
    on. Raises InvalidInput with the path of each error, Conflict for a name that is taken or one plan too many."""
    portfolio = Portfolio.objects.select_for_update(no_key=True).filter(pk=portfolio_id).first()
    if portfolio is None:
        raise NotFound(f"There is no portfolio {portfolio_id}.")
    columns = _columns(content)
    if SessionPlan.objects.filter(portfolio=portfolio).count() >= PLANS_MAX:
        raise Conflict(f"A portfolio has at most {PLANS_MAX} plans: delete one first.", code="too_many_plans")
    _require_free_name(portfolio_id, content.name)
    plan = SessionPlan.objects.create(portfolio=portfolio, responsible_id=actor.pk, **columns)
    plan.refresh_from_db()
    return _told(plan, "session.plan_created", actor, **columns)


@transaction.atomic
def update_plan(*, plan_id: uuid.UUID, content: PlanContent, actor: AbstractBaseUser) -> SessionPlan:
    """As a whole. A session that runs already keeps its config and its end; the next is as the plan then says."""
    plan = locked_plan(plan_id)
    columns = _columns(content)
    _require_free_name(plan.portfolio_id, content.name, but=plan.pk)
    for name, value in columns.items():
        setattr(plan, name, value)
    plan.responsible_id, plan.undecided_day = actor.pk, None
    plan.save(update_fields=[*columns, "responsible_id", "undecided_day"])
    return _told(plan, "session.plan_changed", actor, **columns)


@transaction.atomic
def enable_plan(*, plan_id: uuid.UUID, actor: AbstractBaseUser) -> SessionPlan:
    """It starts in the actor's name from now on. Enabling an enabled plan takes it over."""
    plan = locked_plan(plan_id)
    plan.is_enabled, plan.responsible_id = True, actor.pk
    plan.save(update_fields=["is_enabled", "responsible_id"])
    return _told(plan, "session.plan_enabled", actor)


@transaction.atomic
def disable_plan(*, plan_id: uuid.UUID, actor: AbstractBaseUser) -> SessionPlan:
    """It starts nothing any more; a session that runs goes on to its end."""
    plan = locked_plan(plan_id)
    plan.is_enabled, plan.undecided_day = False, None
    plan.save(update_fields=["is_enabled", "undecided_day"])
    return _told(plan, "session.plan_disabled", actor)


@transaction.atomic
def delete_plan(*, plan_id: uuid.UUID, actor: AbstractBaseUser) -> None:
    """Its sessions stay; one that runs goes on to its end."""
    plan = locked_plan(plan_id)
    _told(plan, "session.plan_deleted", actor)
    plan.delete()


def locked_plan(plan_id: uuid.UUID) -> SessionPlan:
    """The plan under its portfolio's lock. Raises NotFound."""
    found = SessionPlan.objects.filter(pk=plan_id).values_list("portfolio_id", flat=True).first()
    if found is not None:
        Portfolio.objects.select_for_update(no_key=True).get(pk=found)
    rows = SessionPlan.objects.select_related("responsible").select_for_update(of=("self",), no_key=True)
    plan = rows.filter(pk=plan_id).first()  # it may have been deleted while the lock was waited for
    if plan is None:
        raise NotFound(f"There is no session plan {plan_id}.")
    return plan


def _told(plan: SessionPlan, kind: str, actor: AbstractBaseUser, **payload: Any) -> SessionPlan:
    body = {"plan_id": plan.pk, "plan": plan.name, "actor": actor.get_username(), **payload}
    append([Event(stream=plan.portfolio_id, kind=kind, at=database_now(), payload=body)])
    wake_on_commit(RUN, queue="execution")
    return plan


def _require_free_name(portfolio_id: uuid.UUID, name: str, *, but: uuid.UUID | None = None) -> None:
    bearers = SessionPlan.objects.filter(portfolio_id=portfolio_id, name=name).values_list("id", flat=True)
    if set(bearers) - {but}:
        message = "is the name of another plan of this portfolio"
        raise Conflict(f"name {message}.", code="name_taken", errors=[{"path": "name", "message": message}])


def _columns(content: PlanContent) -> dict[str, Any]:
    """Validated. Raises InvalidInput."""
    errors: list[dict[str, str]] = []
    if not 0 < len(content.name) <= NAME_LENGTH_MAX:
        errors.append({"path": "name", "message": f"must have 1 to {NAME_LENGTH_MAX} characters"})
    codes = set(Exchange.objects.values_list("code", flat=True))
    if content.exchange not in codes:
        errors.append(_unknown("exchange", content.exchange, codes))
    for key in ("start_minutes_before_open", "stop_minutes_after_close"):
        if not -MINUTES_MAX <= getattr(content, key) <= MINUTES_MAX:
            errors.append({"path": key, "message": f"must be from {-MINUTES_MAX} to {MINUTES_MAX} minutes"})
    for index, name in enumerate(content.weekdays):
        if name not in WEEKDAYS:
            errors.append(_unknown(f"weekdays[{index}]", name, WEEKDAYS))
    if isinstance(content.config, dict) and "ends_at" in content.config:
        message = "has no place in a plan: each session ends by stop_minutes_after_close"
        errors.append({"path": "config.ends_at", "message": message})
    try:
        flattens = checked_config(content.config).on_stop == "flatten"
    except InvalidInput as refusal:
        errors += refusal.errors or []
    else:
        if flattens and content.stop_minutes_after_close >= 0:
            message = "must be below zero, like -10: what is held can be sold only while the market is open"
            errors.append({"path": "stop_minutes_after_close", "message": message})
    if errors:
        detail = "; ".join(f"{row['path']}: {row['message']}" for row in errors)
        raise InvalidInput(detail, errors=[dict(row) for row in errors])
    return {
        "name": content.name, "config": content.config, "exchange_id": content.exchange,
        "start_minutes_before_open": content.start_minutes_before_open,
        "stop_minutes_after_close": content.stop_minutes_after_close,
        "weekdays": [name for name in WEEKDAYS if name in set(content.weekdays)],
    }  # fmt: skip


def _unknown(path: str, name: str, known: Any) -> dict[str, str]:
    row = {"path": path, "message": f"unknown: {name[:40]!r}"}
    close = get_close_matches(name[:40], known, n=1)
    return {**row, "suggestion": f"did you mean {close[0]!r}?"} if close else row
