"""What no installation may run on, tests included, and what single settings must be.

Eager Celery, an in-memory channel layer and SQLite each hide exactly the
faults that this system is built to survive, so settings with them do not load.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from autotrading_project.environment_files import FALSE, TRUE
from foundation.core.sealing import BadKeys, parse_keys

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
SECRET_KEY_CHARACTERS_MIN = 32


def refuse_toys(settings: Mapping[str, Any]) -> None:
    """Raise ImproperlyConfigured, naming the setting and the cure."""
    if settings.get("CELERY_TASK_ALWAYS_EAGER"):
        raise ImproperlyConfigured(
            "CELERY_TASK_ALWAYS_EAGER is refused: tasks must run in real workers. Unset it."
        )
    for alias, layer in settings.get("CHANNEL_LAYERS", {}).items():
        if "InMemory" in layer.get("BACKEND", ""):
            raise ImproperlyConfigured(
                f"CHANNEL_LAYERS[{alias!r}] is in-memory, which is refused: events would not leave "
                "the process. Use channels_redis.pubsub.RedisPubSubChannelLayer."
            )
    for alias, database in settings.get("DATABASES", {}).items():
        if database.get("ENGINE") != "django.db.backends.postgresql":
            raise ImproperlyConfigured(
                f"DATABASES[{alias!r}] is not PostgreSQL, which is refused: DATABASE_URL must be "
                f"postgres://…, got engine {database.get('ENGINE')!r}."
            )


def flag(name: str, environment: Mapping[str, str], *, default: bool = False) -> bool:
    """Whether a switch is on. A word that is neither of the known ones is refused: what somebody meant to switch on, or
    off, must not be the opposite."""
    if name not in environment:
        return default
    value = environment[name].strip().lower()
    if value not in TRUE | FALSE:
        raise ImproperlyConfigured(f"{name} must be 1 or 0, got {environment[name]!r}.")
    return value in TRUE


def secret_key(value: str) -> str:
    """One that nobody guesses, nor finds in `.env.example`; it is not shown. Who has it signs sessions of his own."""
    if len(value) < SECRET_KEY_CHARACTERS_MIN:
        raise ImproperlyConfigured(
            f"SECRET_KEY has {len(value)} characters, which could be guessed: give 50 random ones (at least "
            f"{SECRET_KEY_CHARACTERS_MIN}), "
            'as of python -c "import secrets; print(secrets.token_urlsafe(50))".'
        )
    return value


def web_url(name: str, value: str) -> str:
    """Empty, or where something is posted to; it is not shown, for it may hold a secret."""
    try:
        parts = urlsplit(value)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if value and not is_good:
        raise ImproperlyConfigured(f"{name} must be a URL that begins with https:// (or http://) and a host.")
    return value


def sealing_keys(texts: Sequence[str]) -> dict[str, bytes]:
    """CREDENTIAL_KEYS by name, the newest first; what is wrong is said without showing a key."""
    try:
        return parse_keys([text for text in texts if text.strip()])
    except BadKeys as error:
        raise ImproperlyConfigured(
            f"CREDENTIAL_KEYS: {error}. Give name:base64 of 32 random bytes, the newest first, separated by commas."
        ) from None


def broker_url(name: str, value: str, *, secure: str = "https", plain: str = "http") -> str:
    """Scheme, host and port, the same text for the same place; a broker's keys go over https only, but to this machine
    (a simulator). `secure` and `plain`: the two schemes."""
    try:
        parts = urlsplit(value.rstrip("/"))
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ImproperlyConfigured(f"{name} is no URL.") from None
    if parts.username is not None or parts.password is not None:
        raise ImproperlyConfigured(f"{name} must not hold a login.")
    if parts.scheme not in {plain, secure} or not host or parts.path or parts.query or parts.fragment:
        raise ImproperlyConfigured(f"{name} must be {secure}://host, without a path, got {value!r}.")
    if parts.scheme != secure and host not in LOOPBACK:
        raise ImproperlyConfigured(
            f"{name} must begin with {secure}:// ({plain} only to this machine), got {value!r}."
        )
    shown = f"[{host}]" if ":" in host else host.removesuffix(".")
    told = "" if port is None or (parts.scheme, port) == (secure, 443) else f":{port}"
    return f"{parts.scheme}://{shown}{told}"
