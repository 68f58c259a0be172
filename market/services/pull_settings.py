"""That a source is pulled: from where, how often, and by which token, sealed at rest.

A token is bound to its source and to the host that it was given for: whoever changes the address by hand sends it
nowhere else. The newest of CREDENTIAL_KEYS seals, all open.
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from foundation.clock import database_now
from foundation.core.sealing import DoesNotOpen, seal, unseal
from foundation.errors import Conflict, InvalidInput, NotFound
from foundation.fetching import UnsafeAddress, checked_url
from journal.core.events import PLATFORM_STREAM, Event
from journal.services.journal import append
from market.models import RecommendationPull
from market.services.sources import actor_name, locked_source

EVERY_SECONDS_MIN, EVERY_SECONDS_MAX = 10, 86_400
TOKEN_LENGTH_MAX = 2_000


@dataclass(frozen=True, kw_only=True)
class PullContent:
    """`token` None: none, or the one that is kept already if the host is the same."""

    url: str
    every_seconds: int = 60
    enabled: bool = True
    token: str | None = field(default=None, repr=False)


@transaction.atomic
def set_pull(*, name: str, content: PullContent, actor: AbstractBaseUser | None) -> RecommendationPull:
    """From now on the source is asked, at once for the first time.

    Raises NotFound, InvalidInput with a path for each error, Conflict (`has_pusher`, `built_in`, `no_sealing_key`).
    """
    source = locked_source(name)
    if source.pusher_id is not None:
        raise Conflict(
            f"{name!r} is pushed by a user: take its pusher away first, or make another source.",
            code="has_pusher",
        )
    _check(content)
    row = RecommendationPull.objects.select_for_update(no_key=True).filter(pk=source).first()
    is_new = row is None
    if row is None:
        row = RecommendationPull(source=source)
    if is_new or row.url != content.url:
        row.etag = row.last_modified = ""
        if is_new or _host(row.url) != _host(content.url):
            row.sealed_token, row.sealing_key = None, ""
    row.url, row.every_seconds, row.enabled = content.url, content.every_seconds, content.enabled
    if content.token is not None:
        _seal(row, content.token)
    row.next_at, row.failures, row.last_error = database_now(), 0, ""
    row.save()
    payload = {
        "source": name, "host": _host(row.url), "every_seconds": row.every_seconds, "enabled": row.enabled,
        "has_token": row.sealed_token is not None, "actor": actor_name(actor),
    }  # fmt: skip
    append([Event(PLATFORM_STREAM, "recommendation_source.pull_set", database_now(), payload)])
    return row


@transaction.atomic
def remove_pull(*, name: str, actor: AbstractBaseUser | None) -> None:
    """The source is not asked any more; its advice stays. Raises NotFound."""
    locked_source(name)
    removed, _ = RecommendationPull.objects.filter(pk=name).delete()
    if not removed:
        raise NotFound(f"{name!r} is not pulled.")
    payload = {"source": name, "actor": actor_name(actor)}
    append([Event(PLATFORM_STREAM, "recommendation_source.pull_removed", database_now(), payload)])


def open_token(row: RecommendationPull) -> str | None:
    """None: it is asked without one. Raises Conflict (`token_sealed`) when no key opens it here."""
    if row.sealed_token is None:
        return None
    try:
        return unseal(
            bytes(row.sealed_token),
            keys=settings.CREDENTIAL_KEYS,
            named=row.sealing_key,
            binding=_binding(row),
        ).decode()
    except DoesNotOpen as error:
        raise Conflict(
            f"The token of {row.source_id!r} does not open: {error}. Give it again.", code="token_sealed"
        ) from None


@dataclass(frozen=True)
class Resealed:
    """`failed`: source -> why its token did not open; it stays as it was."""

    resealed: int
    kept: int
    failed: dict[str, str]


def reseal_tokens() -> Resealed:
    """Seal with the newest key what another one sealed, so that older ones may go; each in a transaction of its own."""
    name, resealed, kept, failed = next(iter(settings.CREDENTIAL_KEYS), ""), 0, 0, {}
    rows = RecommendationPull.objects.exclude(sealed_token=None)
    for source in list(rows.order_by("pk").values_list("pk", flat=True)):
        with transaction.atomic():
            row = rows.select_for_update(no_key=True).filter(pk=source).first()
            if row is None or row.sealing_key == name:
                kept += row is not None
                continue
            try:
                token = open_token(row)
            except Conflict as error:
                failed[source] = error.detail
                continue
            assert token is not None, "rows without a token are left out"
            _seal(row, token)
            row.save(update_fields=["sealed_token", "sealing_key"])
            resealed += 1
    return Resealed(resealed=resealed, kept=kept, failed=failed)


def _check(content: PullContent) -> None:
    faults: list[dict[str, Any]] = []
    try:
        checked_url(content.url, allowed_hosts=settings.PULL_ALLOWED_HOSTS)
    except UnsafeAddress as error:
        cure = "like https://advice.example/today.json; PULL_ALLOWED_HOSTS names hosts of your own"
        faults.append({"path": "url", "message": str(error), "suggestion": cure})
    if not EVERY_SECONDS_MIN <= content.every_seconds <= EVERY_SECONDS_MAX:
        message = f"must be {EVERY_SECONDS_MIN} to {EVERY_SECONDS_MAX} seconds"
        faults.append({"path": "every_seconds", "message": message})
    token = content.token
    if token is not None and not (
        0 < len(token) <= TOKEN_LENGTH_MAX and all("!" <= character <= "~" for character in token)
    ):
        message = f"must have 1 to {TOKEN_LENGTH_MAX} characters of ASCII without spaces"
        faults.append({"path": "token", "message": message, "suggestion": "copy it anew"})
    if faults:
        raise InvalidInput(f"{len(faults)} errors; nothing was stored.", errors=faults)


def _host(url: str) -> str:
    """Scheme, host and port: what a token is given for."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _binding(row: RecommendationPull) -> bytes:
    return f"recommendation-pull/1/{row.source_id}/{_host(row.url)}".encode()


def _seal(row: RecommendationPull, token: str) -> None:
    name = next(iter(settings.CREDENTIAL_KEYS), None)
    if name is None:
        raise Conflict(
            "CREDENTIAL_KEYS is not set, so no token can be kept: set it to name:base64 of 32 random bytes.",
            code="no_sealing_key",
        )
    row.sealed_token = seal(token.encode(), key=settings.CREDENTIAL_KEYS[name], binding=_binding(row))
    row.sealing_key = str(name)
