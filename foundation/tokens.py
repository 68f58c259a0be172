"""API tokens: made with a name or by logging in, shown once, kept as a hash (django-rest-knox), gone when revoked.

Every one expires. Nothing here shows a secret, or a part of one: a token's public name is the id of its label.
"""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.module_loading import import_string
from knox.models import AuthToken

from foundation.errors import Conflict, Forbidden, InvalidInput, NotFound
from foundation.models import ServiceAccount, TokenLabel

log = structlog.get_logger(__name__)

TOKENS_PER_USER_MAX = 50  # named ones
LOGINS_MAX = 20


@dataclass(frozen=True)
class NewToken:
    """The only moment at which the secret is known."""

    id: uuid.UUID
    name: str
    expires_at: datetime
    token: str


def login_token(*, user: User) -> NewToken:
    """For one who has just proved who he is; good for TOKEN_LOGIN_HOURS. The oldest of many ends with it."""
    lifetime = timedelta(hours=settings.TOKEN_LOGIN_HOURS)
    made = _made(user, kind=TokenLabel.Kind.LOGIN, name="", lifetime=lifetime, actor=user)
    old = AuthToken.objects.filter(user=user, label__kind=TokenLabel.Kind.LOGIN).order_by("-created")
    AuthToken.objects.filter(pk__in=list(old.values_list("pk", flat=True)[LOGINS_MAX:])).delete()
    return made


@transaction.atomic
def issue_token(*, user: User, name: str, days: int, actor: User) -> NewToken:
    """A named one. Raises InvalidInput (name, days), Conflict (name in use, too many, user is not active)."""
    if not name.strip():
        raise InvalidInput("A token needs a name.", errors=[{"path": "name", "message": "Say what uses it."}])
    if not 1 <= days <= settings.TOKEN_DAYS_MAX:
        told = f"A token is good for 1 to {settings.TOKEN_DAYS_MAX} days, got {days}."
        raise InvalidInput(told, errors=[{"path": "expires_in_days", "message": told}])
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if not user.is_active:
        raise Conflict(f"{user.get_username()} is not active.", code="user_not_active")
    good = tokens_of(user).filter(label__kind=TokenLabel.Kind.NAMED)
    if good.filter(label__name=name).exists():
        raise Conflict(
            f"There is a token {name!r} already: revoke it, or choose another name.", code="name_in_use"
        )
    if good.count() >= TOKENS_PER_USER_MAX:
        raise Conflict(f"There are {TOKENS_PER_USER_MAX} tokens already: revoke one.", code="too_many_tokens")
    return _made(user, kind=TokenLabel.Kind.NAMED, name=name, lifetime=timedelta(days=days), actor=actor)


def tokens_of(user: AbstractBaseUser) -> QuerySet[AuthToken]:
    """Those that are good now, of logins without a label, too (they were made by hand)."""
    tokens: QuerySet[AuthToken] = AuthToken.objects.filter(Q(expiry=None) | Q(expiry__gt=Now()), user=user)
    return tokens.select_related("label")


def revoke_token(*, user: User, token_id: uuid.UUID, actor: User) -> None:
    """It opens nothing from now on, and the sockets that it opened close within seconds. Raises NotFound."""
    deleted, _ = AuthToken.objects.filter(user=user, label__id=token_id).delete()
    if not deleted:
        raise NotFound("There is no such token.")
    log.info("token_revoked", user=user.get_username(), token=str(token_id), actor=actor.get_username())


def revoke_tokens(*, user: User, keep: str | None = None) -> int:
    """All of a user's but the one with the digest `keep`; returns how many."""
    tokens = AuthToken.objects.filter(user=user).exclude(digest=keep)
    count = tokens.count()
    tokens.delete()
    log.info("tokens_revoked", user=user.get_username(), count=count)
    return count


@transaction.atomic
def issue_service_token(*, account: ServiceAccount, name: str, days: int, actor: User) -> NewToken:
    """By staff while it may do nothing yet; once it has a role anywhere, or is staff, by superusers alone: whoever
    makes its token can do what it may. Raises Forbidden, and what issue_token does."""
    user = account.user
    may_see: Callable[[Sequence[User]], Mapping[int, Collection[uuid.UUID]]]
    may_see = import_string(settings.JOURNAL_VISIBLE_STREAMS)
    if not actor.is_superuser and (user.is_staff or user.is_superuser or may_see([user])[user.pk]):
        raise Forbidden(
            "It has roles already: a superuser must make its tokens, who may do all that it may.",
            code="superuser_required",
        )
    return issue_token(user=user, name=name, days=days, actor=actor)


@transaction.atomic
def create_service_account(*, name: str, description: str, actor: User) -> ServiceAccount:
    """A user that a program is: without a password, never of the staff. Raises Conflict (the name is taken)."""
    if User.objects.filter(username=name).exists():
        raise Conflict(f"The name {name} is taken.", code="name_in_use")
    user = User(username=name)
    user.set_unusable_password()
    user.save()
    account = ServiceAccount.objects.create(user=user, description=description, created_by=actor)
    log.info("service_account_created", user=name, actor=actor.get_username())
    account.refresh_from_db()
    return account


@transaction.atomic
def deactivate_service_account(*, account: ServiceAccount, actor: User) -> None:
    """Its tokens are revoked, and it may do nothing; its name stays in the books."""
    User.objects.filter(pk=account.user_id).update(is_active=False)
    account.user.is_active = False
    revoke_tokens(user=account.user)
    log.info("service_account_deactivated", user=str(account.user), actor=actor.get_username())


def is_program(user_id: int | None) -> bool:
    """Whether it is a service account: it may work, but is nobody's second pair of eyes."""
    return user_id is not None and ServiceAccount.objects.filter(user_id=user_id).exists()


def _made(user: User, *, kind: str, name: str, lifetime: timedelta, actor: User) -> NewToken:
    with transaction.atomic():
        row, token = AuthToken.objects.create(user=user, expiry=lifetime)
        label = TokenLabel.objects.create(token=row, kind=kind, name=name, created_by=actor)
    log.info("token_issued", user=user.get_username(), token=str(label.id), actor=actor.get_username())
    return NewToken(label.id, name, row.expiry, token)
