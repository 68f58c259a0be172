"""What no installation may run on, tests included.

Eager Celery, an in-memory channel layer and SQLite each hide exactly the
faults that this system is built to survive, so settings with them do not load.
"""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured


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
