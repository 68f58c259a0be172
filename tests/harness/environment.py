"""The environment that the settings are loaded with under pytest."""

import atexit
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from autotrading_project.embedded.__main__ import temporary_servers

NO_SERVER = {
    "DATABASE_URL": "postgres://nobody:nothing@127.0.0.1:1/nowhere",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}


FOREIGN = (
    "ALLOWED_HOSTS", "ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET", "DATABASE_AS_OWNER", "HOST", "PORT",
    "ALLOW_LIVE_TRADING", "ALPACA_PAPER_URL", "ALPACA_LIVE_URL",
    "MARKET_FEED", "ALPACA_DATA_KEY_ID", "ALPACA_DATA_SECRET", "ALPACA_DATA_URL", "ALPACA_DATA_STREAM_URL",
)  # fmt: skip
"""What a shell may have set for another run."""

own_servers = contextlib.ExitStack()
"""Closed when a parallel test process ends (see tests/harness/early.py)."""


def prepare_environment() -> None:
    """Fill in what is not set, so that unit tests run without servers.

    One of several parallel test processes (pytest-xdist) starts servers of its own,
    so that a test may flush or stall them without disturbing the others.

    Neither the checkout's `.env` nor the `run.env` of a `make run` is ever read, here or in what a test
    starts: the tests would work on the database that trades.
    """
    os.environ["READ_DOT_ENV"] = "0"
    for name in FOREIGN:
        os.environ.pop(name, None)
    if "PYTEST_XDIST_WORKER" in os.environ and has_servers():
        os.environ |= own_servers.enter_context(temporary_servers())
    for name, value in NO_SERVER.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("SECRET_KEY", "only-for-tests-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFG")
    os.environ.setdefault("ALLOW_HTTP", "1")
    # One user of the tests asks more in a minute than a person would; the tests of the budgets set their own.
    os.environ["RATE_USER_PER_MINUTE"] = os.environ["RATE_TOKEN_PER_MINUTE"] = "0"
    if "DATA_DIR" not in os.environ:
        os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="autotrading-tests-")
        atexit.register(shutil.rmtree, os.environ["DATA_DIR"], ignore_errors=True)
    os.environ["JOURNAL_CHECK_PAYLOADS"] = "tests.harness.event_payloads.check"
    if "EVENT_KINDS_SEEN" not in os.environ:
        seen = Path(tempfile.mkdtemp(prefix="autotrading-kinds-")) / "seen"
        seen.touch()
        os.environ["EVENT_KINDS_SEEN"] = str(seen)
        atexit.register(shutil.rmtree, seen.parent, ignore_errors=True)
    os.environ["DJANGO_SETTINGS_MODULE"] = "autotrading_project.settings"
    os.environ["REDIS_PREFIX"] = f"autotrading-test-{os.getpid()}"
    (Path(os.environ["DATA_DIR"]) / "static").mkdir(parents=True, exist_ok=True)


def has_servers() -> bool:
    """Whether somebody gave us servers (`make test` does)."""
    return bool(os.environ.get("DATABASE_OWNER_URL")) and all(
        os.environ.get(name, value) != value for name, value in NO_SERVER.items()
    )
