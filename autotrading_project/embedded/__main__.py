"""`python -m autotrading_project.embedded exec [--durable] -- command …`: temporary servers around a command.

Without `--durable` PostgreSQL forgoes what protects it from power loss: right for tests, wrong for measurements.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from autotrading_project.embedded.errors import EmbeddedServerError
from autotrading_project.embedded.processes import dies_with_parent
from autotrading_project.embedded.servers import EmbeddedServers

USAGE = "usage: python -m autotrading_project.embedded exec [--durable] -- command [argument …]"
DURABLE = "--durable"
PREFIX = "autotrading-temporary-"
COMMAND_STOP_SECONDS = 60.0


class StopRequested(BaseException):
    """A signal asked us to stop; carries its number."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def main(arguments: list[str]) -> int:
    """The command's exit code; 128 + signal if we were stopped; 1 with a sentence if no server starts."""
    durable = DURABLE in arguments[1:2]
    head = ["exec", DURABLE, "--"] if durable else ["exec", "--"]
    command = arguments[len(head) :]
    if arguments[: len(head)] != head or not command:
        print(USAGE, file=sys.stderr)
        return 2
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _request_stop)
    try:
        with temporary_servers(durable=durable) as environment:
            return _run(command, environment)
    except StopRequested as stop:
        return 128 + stop.signum
    except EmbeddedServerError as error:
        print(error, file=sys.stderr)
        return 1


def _request_stop(signum: int, frame: FrameType | None) -> None:
    raise StopRequested(signum)


def _ignore_signals() -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)


@contextlib.contextmanager
def temporary_servers(*, durable: bool = False) -> Iterator[dict[str, str]]:
    """Both servers in a fresh directory, as an environment for the command; all removed at the end."""
    _remove_abandoned()
    data_dir = Path(tempfile.mkdtemp(prefix=PREFIX))
    data_dir.chmod(0o755)
    with (data_dir / "alive.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        servers: EmbeddedServers | None = None
        try:
            servers = EmbeddedServers(data_dir, durable=durable, say=_say)
            servers.start()
            yield {
                "DATABASE_URL": servers.application_url or "",
                "DATABASE_OWNER_URL": servers.owner_url or "",
                "REDIS_URL": servers.redis_url or "",
                "SECRET_KEY": servers.credentials["secret_key"],
                "CREDENTIAL_KEYS": f"run:{servers.credentials['sealing_key']}",
                "ALLOW_HTTP": "1",
                "DATA_DIR": str(data_dir),
                "READ_DOT_ENV": "0",  # a checkout's `.env` is about other servers
            }
        finally:
            _ignore_signals()
            if servers is not None:
                servers.stop()
            _remove(data_dir)


def _run(command: list[str], environment: dict[str, str]) -> int:
    inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_AS_OWNER"}
    try:
        child = subprocess.Popen(
            command, env=inherited | environment, preexec_fn=dies_with_parent(signal.SIGTERM)
        )
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    try:
        return _exit_code(child.wait())
    except StopRequested as stop:
        _ignore_signals()
        if not (stop.signum == signal.SIGINT and _is_foreground()):  # a terminal has told it already
            child.send_signal(stop.signum)
        try:
            child.wait(COMMAND_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        raise


def _exit_code(status: int) -> int:
    return 128 - status if status < 0 else status


def _is_foreground() -> bool:
    """Whether a terminal sends Ctrl-C to our whole process group, the command included."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _remove(data_dir: Path) -> None:
    outside = data_dir / "postgres-outside"
    if outside.is_symlink():
        shutil.rmtree(outside.resolve(), ignore_errors=True)
    shutil.rmtree(data_dir, ignore_errors=True)


def _remove_abandoned() -> None:
    """Remove the directories of runs that were killed: their lock is free."""
    for data_dir in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            if data_dir.stat().st_uid != os.geteuid() or time.time() - data_dir.stat().st_mtime < 60:
                continue
            with (data_dir / "alive.lock").open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(data_dir)


def _say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
