"""Who is at the other end of a WebSocket, and whether that is still so.

Three ways in: `Authorization: Token …` (programs), `?ticket=…` (browsers, bought with a POST), and
the session cookie (our own pages). A browser names the page's origin, which must be ours or trusted:
cookies travel with every page's requests.
"""

from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q
from django.db.models.functions import Now
from django.http.cookie import parse_cookie
from django.http.request import validate_host
from django.utils.crypto import constant_time_compare
from knox.auth import TokenAuthentication
from knox.models import get_token_model
from rest_framework.exceptions import AuthenticationFailed

from journal.services.tickets import Credential, redeem_ticket


class Refused(Exception):
    """The client may not come in."""


class OriginRefused(Refused):
    """A page of another origin tries to use the visitor's login."""


def authenticate(*, headers: dict[str, str], ticket: str | None) -> Credential:
    """The credential of a WebSocket handshake (header names in lower case). Blocks: uses the database.

    Raises OriginRefused or Refused.
    """
    origin = headers.get("origin")
    if origin is not None and not _is_trusted(origin, headers.get("host", "")):
        raise OriginRefused("this origin is not allowed")
    if "authorization" in headers:
        return _by_token(headers["authorization"])
    if ticket is not None:
        return _by_ticket(ticket)
    session_key = parse_cookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME)
    if session_key is None:
        raise Refused("authentication is needed: a token, a ticket or a session")
    if origin is None:
        raise OriginRefused("a session cookie needs an Origin")
    return _by_session(session_key)


def users_of(credentials: Collection[Credential]) -> dict[Credential, AbstractBaseUser]:
    """Those of these credentials that are good now, each with its active user."""
    user_ids = {credential.user_id for credential in credentials}
    users = {user.pk: user for user in get_user_model().objects.filter(pk__in=user_ids, is_active=True)}
    digests = {credential.token_digest for credential in credentials if credential.token_digest}
    alive = set(
        get_token_model()
        .objects.filter(Q(expiry=None) | Q(expiry__gt=Now()), digest__in=digests)
        .values_list("digest", "user_id")
    )
    sessions = _sessions({credential.session_key for credential in credentials if credential.session_key})
    good: dict[Credential, AbstractBaseUser] = {}
    for credential in credentials:
        user = users.get(credential.user_id)
        if user is None:
            continue
        if credential.token_digest:
            valid = (credential.token_digest, credential.user_id) in alive
        else:
            valid = _belongs_to(sessions.get(credential.session_key, {}), user)
        if valid:
            good[credential] = user
    return good


def _is_trusted(origin: str, host: str) -> bool:
    """Our own host, which must be an allowed one (else a rebound name would pass), or a trusted origin."""
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    try:
        parts = urlsplit(origin)
        name = urlsplit(f"//{host}").hostname or ""
        bracketed = f"[{name}]" if ":" in name else name
    except ValueError:
        return False
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.ALLOW_HTTP):
        return False
    return parts.netloc.lower() == host.lower() and validate_host(bracketed, settings.ALLOWED_HOSTS)


def _by_token(header: str) -> Credential:
    scheme, _, token = header.partition(" ")
    authentication = TokenAuthentication()
    if scheme.lower() != authentication.authenticate_header(None).lower() or not token.isascii():
        raise Refused("the Authorization header must be: Token and the token")
    try:
        user, row = authentication.authenticate_credentials(token.strip().encode())
    except AuthenticationFailed as error:
        raise Refused("the token is not valid") from error
    return Credential(user_id=user.pk, token_digest=row.digest)


def _by_ticket(ticket: str) -> Credential:
    credential = redeem_ticket(ticket=ticket)
    if credential is None or credential not in users_of([credential]):
        raise Refused("the ticket is unknown, used or too old")
    return credential


def _by_session(session_key: str) -> Credential:
    stored = _sessions({session_key}).get(session_key, {}).get(SESSION_KEY)
    if stored is not None and stored.isdecimal():
        credential = Credential(user_id=int(stored), session_key=session_key)
        if credential in users_of([credential]):
            return credential
    raise Refused("the session is not valid")


def _sessions(keys: Collection[str]) -> dict[str, dict[str, Any]]:
    """What those of these sessions hold that have not ended."""
    if not keys:
        return {}
    model = import_module(settings.SESSION_ENGINE).SessionStore.get_model_class()
    rows = model.objects.filter(session_key__in=keys, expire_date__gt=Now())
    return {row.session_key: row.get_decoded() for row in rows}


def _belongs_to(session: Mapping[str, Any], user: AbstractBaseUser) -> bool:
    """As Django's own check: the login is this user's and older than no change of the password."""
    return (
        session.get(SESSION_KEY) == str(user.pk)
        and session.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS
        and constant_time_compare(session.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash())
    )
