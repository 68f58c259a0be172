"""Limits change by new versions only; some of them wait for a second person's approval."""

import uuid
from collections.abc import Mapping
from decimal import Decimal

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, transaction
from django.db.models import Count, Max, Q

from foundation.clock import database_now
from foundation.errors import Conflict, InvalidInput, NotFound
from journal.core.events import PLATFORM_STREAM, AlertSpec, Event
from journal.services.journal import append
from portfolios.approval import MAY_BE_IN_FORCE
from portfolios.core.limits import CATALOGUE, LIMIT_NAMES, LIMIT_RANGE, is_limit, loosened
from portfolios.models import BrokerAccount, LimitSet, Portfolio
from portfolios.selectors import (
    any_needs_four_eyes,
    current_limit_sets,
    limit_values,
    needs_four_eyes,
    pending_limit_sets,
)
from portfolios.services.approvals import decide, require_second_person

# Key of the advisory lock that makes writers of the platform's limits wait for each other.
PLATFORM_KEY = 0x4C696D697473_0001
# What a new installation may do on paper, so that it can trade at all.
PLATFORM_DEFAULTS: dict[str, Decimal] = {spec.name: spec.default for spec in CATALOGUE}


def checked_values(values: Mapping[str, Decimal | None]) -> dict[str, Decimal | None]:
    """Known names, and numbers that the columns hold; raises InvalidInput naming each path."""
    errors = []
    for name, value in values.items():
        if name not in LIMIT_NAMES:
            errors.append({"path": name, "message": f"unknown limit; known are {', '.join(LIMIT_NAMES)}"})
        elif value is not None and not is_limit(value):
            errors.append({"path": name, "message": LIMIT_RANGE})
    if errors:
        raise InvalidInput("; ".join(f"{e['path']}: {e['message']}" for e in errors), errors=errors)
    return dict(values)


@transaction.atomic
def set_limits(
    *, scope: str, scope_id: uuid.UUID | None = None, values: Mapping[str, Decimal | None],
    actor: AbstractBaseUser | None, portfolio_id: uuid.UUID | None = None, instrument_id: int | None = None,
) -> LimitSet:  # fmt: skip
    """Make a new version, as a whole: in force at once, or waiting for a second person's approval.

    It waits where it concerns a portfolio that needs four eyes. A session's never does, for it only tightens what
    the other scopes set; there it may not loosen what the session itself has. `scope_id` names an account, portfolio
    or session, `instrument_id` an instrument. For a session's limits `portfolio_id` says whose they are. Two at once
    on one scope take turns: on the portfolio's lock, or on the platform's key. Raises InvalidInput, Conflict
    (`four_eyes`: nobody proposes what must wait, or it loosens a session's limits).
    """
    values = checked_values(values)
    portfolio_id = _portfolio_of(scope, scope_id) or portfolio_id
    _lock(portfolio_id)
    if scope == LimitSet.Scope.SESSION:
        _refuse_loosening(scope_id, portfolio_id, values)
    waits = _needs_approval(scope, portfolio_id)
    if waits and actor is None:
        raise Conflict(
            "These limits wait for a second person's approval: somebody must propose them.", code="four_eyes"
        )
    row = _add_version(
        scope=scope, scope_id=scope_id, instrument_id=instrument_id, values=values, actor=actor, needs_approval=waits
    )  # fmt: skip
    _record(row, "limits.proposed" if waits else "limits.set", portfolio_id, actor)
    return row


def approve_limits(*, limit_set_id: uuid.UUID, actor: AbstractBaseUser) -> LimitSet:
    """Put a version in force that another person proposed.

    Raises NotFound, Forbidden (a role is missing), Conflict (`four_eyes`: one's own; `not_waiting`; `superseded`:
    there is a newer version).
    """
    return _decide_limits(limit_set_id, actor, approve=True)


def reject_limits(*, limit_set_id: uuid.UUID, actor: AbstractBaseUser) -> LimitSet:
    """Let a version that waits never be in force; one's own is withdrawn so. Raises like `approve_limits`."""
    return _decide_limits(limit_set_id, actor, approve=False)


@transaction.atomic
def _decide_limits(limit_set_id: uuid.UUID, actor: AbstractBaseUser, *, approve: bool) -> LimitSet:
    row = LimitSet.objects.filter(pk=limit_set_id).exclude(scope=LimitSet.Scope.SESSION).first()
    if row is None:  # or a session's, which never wait, and are nobody's to see but its portfolio's
        raise NotFound("There are no such limits, or they are not yours to see.")
    portfolio_id = _portfolio_of(row.scope, row.scope_id)
    require_second_person(
        proposed_by=row.created_by_id, actor=actor, portfolio_id=portfolio_id, approve=approve
    )
    _lock(portfolio_id)
    row.refresh_from_db()
    decide(
        pending=pending_limit_sets(), version=row, what=f"Version {row.version} of the {row.scope}'s limits",
        actor=actor, approve=approve,
    )  # fmt: skip
    _record(row, "limits.approved" if approve else "limits.rejected", portfolio_id, actor)
    return row


def _portfolio_of(scope: str, scope_id: uuid.UUID | None) -> uuid.UUID | None:
    """The portfolio that limits are of; None for a session's, whom only its own room knows, and for everybody's."""
    if scope == LimitSet.Scope.ACCOUNT and scope_id is not None:
        return BrokerAccount.objects.filter(pk=scope_id).values_list("portfolio_id", flat=True).first()
    return scope_id if scope == LimitSet.Scope.PORTFOLIO else None


def _refuse_loosening(
    session_id: uuid.UUID | None, portfolio_id: uuid.UUID | None, values: Mapping[str, Decimal | None]
) -> None:
    """Of a session that has limits, where a second person is needed: one person may only tighten them."""
    if not _second_person_needed(portfolio_id):
        return
    key = (LimitSet.Scope.SESSION, session_id)
    current = current_limit_sets([key]).get(key)
    names = [] if current is None else loosened(limit_values(current), values)
    if names:
        raise Conflict(
            "On a portfolio that needs four eyes a session's limits may only be tightened. These would be looser: "
            f"{', '.join(names)}. Keep what they are, or stop the session and start another.",
            code="four_eyes", limits=names,
        )  # fmt: skip


def _second_person_needed(portfolio_id: uuid.UUID | None) -> bool:
    """In this portfolio; None: in any."""
    return any_needs_four_eyes() if portfolio_id is None else bool(needs_four_eyes([portfolio_id]))


def _needs_approval(scope: str, portfolio_id: uuid.UUID | None) -> bool:
    return scope != LimitSet.Scope.SESSION and _second_person_needed(portfolio_id)


def _add_version(
    *, scope: str, scope_id: uuid.UUID | None, instrument_id: int | None, values: Mapping[str, Decimal | None],
    actor: AbstractBaseUser | None, needs_approval: bool,
) -> LimitSet:  # fmt: skip
    scoped = LimitSet.objects.filter(
        Q(instrument_id=instrument_id) if instrument_id is not None else Q(instrument=None),
        scope=scope, scope_id=scope_id,
    )  # fmt: skip
    version = (scoped.aggregate(top=Max("version"))["top"] or 0) + 1
    return LimitSet.objects.create(
        scope=scope, scope_id=scope_id, instrument_id=instrument_id, version=version,
        created_by_id=actor.pk if actor else None, needs_approval=needs_approval, **values,
    )  # fmt: skip


def _record(row: LimitSet, kind: str, portfolio_id: uuid.UUID | None, actor: AbstractBaseUser | None) -> None:
    """Who must hear of it is alerted: the second person of a proposal, the first one of the decision."""
    name = actor.get_username() if actor else "system"
    values = {limit: value for limit, value in limit_values(row).items() if value is not None}
    payload = {"scope": row.scope, "scope_id": row.scope_id, "instrument_id": row.instrument_id,
               "version": row.version, "values": values, "actor": name}  # fmt: skip
    told = f"Version {row.version} of the {row.scope}'s limits"
    messages = {
        "limits.proposed": f"{told}, proposed by {name}, waits for another person's approval",
        "limits.approved": f"{told} is in force, approved by {name}",
        "limits.rejected": f"{told} was rejected by {name}",
    }
    alert = AlertSpec("info", messages[kind]) if kind in messages else None
    append([Event(portfolio_id or PLATFORM_STREAM, kind, database_now(), payload, alert)])


def _lock(portfolio_id: uuid.UUID | None) -> None:
    if portfolio_id is None:
        lock_platform()
    else:
        Portfolio.objects.select_for_update(no_key=True).get(pk=portfolio_id)


def lock_platform() -> None:
    """To the transaction's end; the platform has no row of its own to lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PLATFORM_KEY])


@transaction.atomic
def ensure_platform_limits() -> None:
    """Idempotent: sane ceilings for paper trading, for every limit that the platform has never had.

    So an installation from before a control was made gets its limit as a new version, and trades on; what
    somebody has taken away since stays away. They need nobody's approval: they change nothing that was in force.
    """
    lock_platform()
    versions = LimitSet.objects.filter(MAY_BE_IN_FORCE, scope=LimitSet.Scope.PLATFORM)
    ever = versions.aggregate(**{f"has_{name}": Count(name) for name in LIMIT_NAMES})
    missing = {name: value for name, value in PLATFORM_DEFAULTS.items() if not ever[f"has_{name}"]}
    if not missing:
        return
    latest = versions.order_by("-version").first()
    kept = {name: getattr(latest, name) for name in LIMIT_NAMES} if latest is not None else {}
    row = _add_version(
        scope=LimitSet.Scope.PLATFORM, scope_id=None, instrument_id=None, values={**kept, **missing}, actor=None,
        needs_approval=False,
    )  # fmt: skip
    _record(row, "limits.set", None, None)
