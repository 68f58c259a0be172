"""Limits change by new versions only."""

import uuid
from collections.abc import Mapping
from decimal import Decimal

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, transaction
from django.db.models import Max

from foundation.clock import database_now
from foundation.errors import InvalidInput
from journal.core.events import PLATFORM_STREAM, Event
from journal.services.journal import append
from portfolios.core.limits import LIMIT_NAMES, LIMIT_RANGE, is_limit
from portfolios.models import LimitSet, Portfolio

# Key of the advisory lock that makes writers of the platform's limits wait for each other.
PLATFORM_KEY = 0x4C696D697473_0001
# What a new installation may do on paper, so that it can trade at all.
PLATFORM_DEFAULTS: dict[str, Decimal] = {
    "max_order_value": Decimal(100_000),
    "max_order_quantity": Decimal(100_000),
    "max_position_percentage": Decimal(25),
    "max_open_positions": Decimal(50),
    "max_gross_exposure_percentage": Decimal(100),
    "max_daily_trades": Decimal(200),
    "max_daily_loss_percentage": Decimal(10),
    "max_price_age_seconds": Decimal(60),
}


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
    *, scope: str, scope_id: uuid.UUID | None, values: Mapping[str, Decimal | None],
    actor: AbstractBaseUser | None, portfolio_id: uuid.UUID | None = None,
) -> LimitSet:  # fmt: skip
    """Put a new version in force. For a session's limits `portfolio_id` says whose journal tells of it.

    Two at once on one scope take turns: on the portfolio's lock, or on the platform's key.
    """
    values = checked_values(values)
    stream = portfolio_id or scope_id or PLATFORM_STREAM
    if stream == PLATFORM_STREAM:
        _lock_platform()
    else:
        Portfolio.objects.select_for_update(no_key=True).get(pk=stream)
    scoped = LimitSet.objects.filter(scope=scope, scope_id=scope_id)
    version = (scoped.aggregate(top=Max("version"))["top"] or 0) + 1
    row = LimitSet.objects.create(
        scope=scope, scope_id=scope_id, version=version, created_by_id=actor.pk if actor else None, **values
    )
    payload = {"scope": scope, "scope_id": scope_id, "version": version, "values": values,
               "actor": actor.get_username() if actor else "system"}  # fmt: skip
    append([Event(stream=stream, kind="limits.set", at=database_now(), payload=payload)])
    return row


def _lock_platform() -> None:
    """To the transaction's end; the platform has no row of its own to lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PLATFORM_KEY])


@transaction.atomic
def ensure_platform_limits() -> None:
    """Idempotent: sane ceilings for paper trading, if the platform has none yet."""
    _lock_platform()
    if not LimitSet.objects.filter(scope=LimitSet.Scope.PLATFORM).exists():
        set_limits(scope=LimitSet.Scope.PLATFORM, scope_id=None, values=PLATFORM_DEFAULTS, actor=None)
