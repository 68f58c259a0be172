"""Which version of the code may trade, and whether all workers have it.

A worker of another version goes on running and trades nothing: it neither evaluates nor orders
(`foundation.version.may_trade`). One of eight machines with old code on it has cost a company 440 million dollars
(Knight Capital, 2012).
"""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, transaction

from foundation.clock import database_now
from foundation.errors import InvalidInput
from foundation.loading import selected
from foundation.models import RequiredCodeVersion
from journal.core.events import PLATFORM_STREAM, AlertSpec, Event
from journal.models import Alert
from journal.services.journal import append

VERSION_CHARACTERS_MAX = 64
ALIVE_SECONDS = 10
MISMATCH = "fleet.mismatch"
_NAMED_MAX = 5


@dataclass(frozen=True)
class Member:
    """A process that showed itself within ALIVE_SECONDS; `at` is database time."""

    component: str
    instance: str
    code_version: str
    at: datetime


def fleet() -> list[Member]:
    """Whoever is alive, by component and instance."""
    return [
        Member(*row)
        for row in selected(
            "SELECT component, instance, code_version, at FROM foundation_heartbeat"
            " WHERE at > clock_timestamp() - make_interval(secs => %s) AND NOT ended ORDER BY component, instance",
            [ALIVE_SECONDS],
        )
    ]


def required_version() -> RequiredCodeVersion | None:
    return RequiredCodeVersion.objects.first()


@transaction.atomic
def require_code_version(
    *, version: str | None, actor: AbstractBaseUser | None
) -> RequiredCodeVersion | None:
    """From the next evaluation and order on only workers of this version trade; None: any. Journalled.

    Raises InvalidInput.
    """
    if version is not None and not (
        version == version.strip() and 1 <= len(version) <= VERSION_CHARACTERS_MAX
    ):
        raise InvalidInput(
            f"version: must be text of 1 to {VERSION_CHARACTERS_MAX} characters without spaces around it, or null."
        )
    now = database_now()
    with connection.cursor() as cursor:  # whoever changes it at the same time waits
        cursor.execute("LOCK TABLE foundation_requiredcodeversion IN SHARE ROW EXCLUSIVE MODE")
    before = required_version()
    if version is None:
        RequiredCodeVersion.objects.all().delete()
    else:
        RequiredCodeVersion.objects.update_or_create(defaults={"version": version, "set_at": now})
    payload = {
        "version": version,
        "before": before.version if before is not None else None,
        "actor": actor.get_username() if actor is not None else "command",
    }
    told = (
        f"Only workers of version {version} trade from now on."
        if version
        else "Workers of any version may trade."
    )
    append([Event(PLATFORM_STREAM, "fleet.version_required", now, payload, AlertSpec("warning", told))])
    return required_version()


def watch_fleet() -> None:
    """Tell once of live workers that do not trade because they are of another version than is required.

    Told again when the requirement changes, or when yet another version turns up.
    """
    required = required_version()
    if required is None:
        return
    others: dict[str, list[str]] = {}
    for member in fleet():
        if member.code_version != required.version:
            others.setdefault(member.code_version, []).append(f"{member.component} on {member.instance}")
    for version, members in sorted(others.items()):
        _tell_once(required, version, members)


@transaction.atomic
def _tell_once(required: RequiredCodeVersion, version: str, members: list[str]) -> None:
    locked = (
        RequiredCodeVersion.objects.select_for_update(no_key=True).filter(version=required.version).first()
    )
    begins = f"Version {version} runs, and {required.version} is required: "
    told = Alert.objects.filter(stream_id=PLATFORM_STREAM, kind=MISMATCH, message__startswith=begins)
    if locked is None or told.filter(created_at__gte=locked.set_at).exists():
        return
    more = f" and {len(members) - _NAMED_MAX} more" if len(members) > _NAMED_MAX else ""
    message = f"{begins}{', '.join(members[:_NAMED_MAX])}{more} trade nothing."
    payload = {"version": version, "required": required.version, "members": members}
    append([Event(PLATFORM_STREAM, MISMATCH, database_now(), payload, AlertSpec("critical", message[:2000]))])
