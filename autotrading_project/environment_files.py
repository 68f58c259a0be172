"""What fills in the environment: `run.env` of a running `make run`, then `.env` beside manage.py.

The real environment is above both. `READ_DOT_ENV=0` there means that neither is
read: tests and the processes of `make run` get all they need in their environment,
and a checkout's `.env` must not send a test to the database that trades.
"""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parents[1]
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
SWITCH = "READ_DOT_ENV"
TRUE = {"1", "true", "yes", "on", "y", "ok"}
FALSE = {"0", "false", "no", "off", "n", ""}
OFF = FALSE - {""}


def fill_environment(
    environment: MutableMapping[str, str], *, directory: Path = BASE_DIR, run_env: bool = True
) -> None:
    """Set in `environment` what is not set and what the files of `directory` and of DATA_DIR give.

    `run.env` wins over `.env`: a `.env` for `make run` may hold the owner's DATABASE_URL, `run.env` has the
    application's role. `run_env=False` leaves it out (`make run` itself: one may be left by a killed run).
    An owner's URL is not taken from a file when DATABASE_URL is already set: the two would name two databases.
    """
    if environment.get(SWITCH, "1").strip().lower() in OFF:
        return
    values: dict[str, str] = {}
    dot_env = _read(directory / ".env")
    if run_env:
        values |= _read(data_dir(dot_env | dict(environment), directory=directory) / "run.env")
    values = dot_env | values
    if environment.get("DATABASE_URL"):
        values.pop("DATABASE_OWNER_URL", None)
    for name, value in values.items():
        environment.setdefault(name, value)


def data_dir(environment: Mapping[str, str], *, directory: Path = BASE_DIR) -> Path:
    """DATA_DIR, or `.data` in the checkout."""
    return Path(environment.get("DATA_DIR") or directory / ".data").expanduser().resolve()


def _read(path: Path) -> dict[str, str]:
    """The assignments of a file; none if there is no such file."""
    values: dict[str, str] = {}

    class Reader(environ.Env):
        ENVIRON = values

    if path.is_file() and os.access(path, os.R_OK):
        Reader.read_env(path)
    return values
