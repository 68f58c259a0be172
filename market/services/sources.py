"""Who may advise: sources are made and changed here, by staff, and each change is in the journal."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import transaction

from foundation.clock import database_now
from foundation.errors import Conflict, InvalidInput, NotFound
from journal.core.events import PLATFORM_STREAM, Event
from journal.services.journal import append
from market.models import RecommendationPull, RecommendationSource
from market.services.baseline import SOURCE as BUILT_IN

NAME_LENGTH_MAX = 50
DESCRIPTION_LENGTH_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceContent:
    """What may be said of a source. `pusher` is a username; None: nobody pushes."""

    description: str = ""
    pusher: str | None = None


@transaction.atomic
def create_source(
    *, name: str, content: SourceContent, actor: AbstractBaseUser | None
) -> RecommendationSource:
    """Raises InvalidInput with a path for each error, Conflict (the name is taken)."""
    faults = _name_faults(name)
    pusher = _checked(content, faults)
    row, is_new = RecommendationSource.objects.get_or_create(
        name=name, defaults={"description": content.description, "pusher": pusher}
    )
    if not is_new:
        message = "is taken; change that source, or choose another name"
        raise Conflict(f"The name {name!r} {message}.", errors=[{"path": "name", "message": message}])
    _note("recommendation_source.created", row, actor)
    return row


@transaction.atomic
def change_source(
    *, name: str, content: SourceContent, actor: AbstractBaseUser | None
) -> RecommendationSource:
    """Replace what is said of it. Its advice stays; a new pusher speaks for it from now on.

    Raises NotFound, InvalidInput, Conflict (`built_in`: it is this installation's own model; `is_pulled`: nobody
    pushes beside it).
    """
    row = locked_source(name)
    row.pusher = _checked(content, [])
    if row.pusher is not None and RecommendationPull.objects.filter(pk=row).exists():
        raise Conflict(f"{name!r} is pulled: remove that first.", code="is_pulled")
    row.description = content.description
    row.save(update_fields=["pusher", "description"])
    _note("recommendation_source.changed", row, actor)
    return row


def locked_source(name: str) -> RecommendationSource:
    """A source that people may change, locked to the end of the transaction. Raises NotFound, Conflict."""
    row = RecommendationSource.objects.select_for_update(no_key=True).filter(pk=name).first()
    if row is None:
        raise NotFound(f"There is no recommendation source {name!r}.")
    if name == BUILT_IN:
        raise Conflict(f"{name!r} is built in; make a source of your own.", code="built_in")
    return row


def actor_name(actor: AbstractBaseUser | None) -> str:
    return actor.get_username() if actor else "system"


def _name_faults(name: str) -> list[dict[str, Any]]:
    try:
        validate_slug(name)
    except ValidationError:
        known = False
    else:
        known = len(name) <= NAME_LENGTH_MAX
    if known:
        return []
    message = f"must have 1 to {NAME_LENGTH_MAX} letters, digits, - or _"
    return [{"path": "name", "message": message, "suggestion": "like research-desk"}]


def _checked(content: SourceContent, faults: list[dict[str, Any]]) -> User | None:
    """The pusher. Raises InvalidInput with these faults and those of the content."""
    pusher = None
    if len(content.description) > DESCRIPTION_LENGTH_MAX:
        message = f"must have at most {DESCRIPTION_LENGTH_MAX} characters"
        faults.append({"path": "description", "message": message})
    if content.pusher is not None:
        pusher = User.objects.filter(username=content.pusher, is_active=True).first()
        if pusher is None:
            faults.append({"path": "pusher", "message": f"{content.pusher!r} is no active user's name"})
    if faults:
        raise InvalidInput(f"{len(faults)} errors in the source; nothing was stored.", errors=faults)
    return pusher


def _note(kind: str, row: RecommendationSource, actor: AbstractBaseUser | None) -> None:
    payload = {
        "source": row.name,
        "description": row.description,
        "pusher": row.pusher.get_username() if row.pusher else None,
        "actor": actor_name(actor),
    }
    append([Event(PLATFORM_STREAM, kind, database_now(), payload)])
