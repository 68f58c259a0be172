"""Limits change by new versions only."""

import uuid
from collections.abc import Mapping
from decimal import Decimal

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, transaction
from django.db.models import Count, Max, Q

from foundation.clock import database_now
from foundation.errors import InvalidInput
from journal.core.events import PLATFORM_STREAM, Event
from journal.services.journal import append
from portfolios.core.limits import CATALOGUE, LIMIT_NAMES, LIMIT_RANGE, is_limit
from portfolios.models import LimitSet, Portfolio

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
    """Put a new version in force, as a whole.

    `scope_id` names an account, portfolio or session, `instrument_id` an instrument. For an account's and a
    session's limits `portfolio_id` says whose journal tells of it. Two at once on one scope take turns: on the
    portfolio's lock, or on the platform's key.
    """
    values = checked_values(values)
    stream = portfolio_id or (scope_id if scope == LimitSet.Scope.PORTFOLIO else None) or PLATFORM_STREAM
    if stream == PLATFORM_STREAM:
        _lock_platform()
    else:
        Portfolio.objects.select_for_update(no_key=True).get(pk=stream)
    scoped = LimitSet.objects.filter(
        Q(instrument_id=instrument_id) if instrument_id is not None else Q(instrument=None),
        scope=scope, scope_id=scope_id,
    )  # fmt: skip
    version = (scoped.aggregate(top=Max("version"))["top"] or 0) + 1
    row = LimitSet.objects.create(
        scope=scope, scope_id=scope_id, instrument_id=instrument_id, version=version,
        created_by_id=actor.pk if actor else None, **values,
    )  # fmt: skip
    payload = {"scope": scope, "scope_id": scope_id, "instrument_id": instrument_id, "version": version,
               "values": values, "actor": actor.get_username() if actor else "system"}  # fmt: skip
    append([Event(stream=stream, kind="limits.set", at=database_now(), payload=payload)])
    return row


def _lock_platform() -> None:
    """To the transaction's end; the platform has no row of its own to lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PLATFORM_KEY])


@transaction.atomic
def ensure_platform_limits() -> None:
    """Idempotent: sane ceilings for paper trading, for every limit that the platform has never had.

    So an installation from before a control was made gets its limit as a new version, and trades on; what
    somebody has taken away since stays away.
    """
    _lock_platform()
    versions = LimitSet.objects.filter(scope=LimitSet.Scope.PLATFORM)
    ever = versions.aggregate(**{f"has_{name}": Count(name) for name in LIMIT_NAMES})
    missing = {name: value for name, value in PLATFORM_DEFAULTS.items() if not ever[f"has_{name}"]}
    if not missing:
        return
    latest = versions.order_by("-version").first()
    kept = {name: getattr(latest, name) for name in LIMIT_NAMES} if latest is not None else {}
    set_limits(scope=LimitSet.Scope.PLATFORM, values={**kept, **missing}, actor=None)
