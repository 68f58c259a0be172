"""Settings refuse what would hide faults, and name what is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from autotrading_project.settings.validation import refuse_toys

BASE_DIR = Path(__file__).resolve().parents[2]
GOOD = {
    "SECRET_KEY": "0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOP",
    "DATABASE_URL": "postgres://user:password@127.0.0.1:1/name",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "READ_DOT_ENV": "0",
}


def load_settings(tmp_path: Path, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """Load the settings in a process of its own, with exactly this environment."""
    environment = GOOD | {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)} | changes
    return subprocess.run(
        [sys.executable, "-c", "import autotrading_project.settings"],
        cwd=BASE_DIR,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )


def test_good_settings_load(tmp_path):
    loaded = load_settings(tmp_path)
    assert loaded.returncode == 0, loaded.stderr


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"CELERY_TASK_ALWAYS_EAGER": "1"}, "CELERY_TASK_ALWAYS_EAGER is refused"),
        ({"DATABASE_URL": "sqlite:///db.sqlite3"}, "is not PostgreSQL, which is refused"),
        ({"DATABASE_URL": None}, "DATABASE_URL is not set"),
        ({"REDIS_URL": None}, "REDIS_URL is not set"),
        ({"SECRET_KEY": None}, "SECRET_KEY is not set"),
        ({"REPLAY_BARS_PER_SECOND": "fast"}, "REPLAY_BARS_PER_SECOND must be a number, got 'fast'"),
        ({"REPLAY_BARS_PER_SECOND": "0"}, "REPLAY_BARS_PER_SECOND must be between 0.01 and 1000"),
        ({"MARKET_FEED": "guess"}, "MARKET_FEED must be replay or none, got 'guess'"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, got 'LOUD'"),
        # an unsigned webhook could be forged
        ({"ALERT_WEBHOOK_URL": "https://example.com/hook"}, "ALERT_WEBHOOK_SECRET is not set"),
    ],
)
def test_bad_value_stops_the_start_with_its_name(tmp_path, changes, sentence):
    loaded = load_settings(tmp_path, **changes)
    assert loaded.returncode != 0
    assert sentence in loaded.stderr.splitlines()[-1]


def test_in_memory_channel_layer_is_refused():
    layers = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    with pytest.raises(ImproperlyConfigured, match="in-memory, which is refused"):
        refuse_toys({"CHANNEL_LAYERS": layers})


def test_every_database_and_layer_is_looked_at():
    postgres = {"ENGINE": "django.db.backends.postgresql"}
    with pytest.raises(ImproperlyConfigured, match="DATABASES\\['archive'\\]"):
        refuse_toys({"DATABASES": {"default": postgres, "archive": {"ENGINE": "django.db.backends.sqlite3"}}})
    pubsub = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer"}
    toy = {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    with pytest.raises(ImproperlyConfigured, match="CHANNEL_LAYERS\\['second'\\]"):
        refuse_toys({"CHANNEL_LAYERS": {"default": pubsub, "second": toy}})
