"""`make run`: everything, in order, on one machine; stops everything in the opposite order."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import IO

from autotrading_project.embedded import EmbeddedServerError, EmbeddedServers
from autotrading_project.embedded.processes import (
    dies_with_parent,
    end_with_parent,
    stop_child,
    write_private,
)
from autotrading_project.embedded.servers import prepare_directory
from autotrading_project.environment_files import BASE_DIR, SWITCH, fill_environment
from autotrading_project.runner.announcement import Announcer
from autotrading_project.runner.configuration import (
    Configuration,
    application_url,
    command_path,
    read_configuration,
    run_environment,
)
from autotrading_project.runner.console import say
from autotrading_project.runner.errors import RunnerError, StopRequested
from autotrading_project.runner.leftovers import ProcessRecord
from autotrading_project.runner.procfile import ProcfileEntry, read_procfile, scaled
from autotrading_project.runner.supervisor import Supervisor


class StopSignals:
    """Ctrl-C, SIGTERM and a closed terminal. While starting they interrupt, later they are counted."""

    def __init__(self) -> None:
        self.count = 0
        self.interrupting = True
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, self._receive)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.interrupting:
            self.interrupting = False
            raise StopRequested
        say("Stopping…" if self.count == 1 else "Killing what still runs…")


def main() -> int:
    """0 after a requested stop, 1 with a sentence if something cannot be started."""
    signals = StopSignals()
    parent = os.getppid()
    if "MAKELEVEL" in os.environ:  # if `make` is killed, nobody is left to press Ctrl-C
        end_with_parent(signal.SIGTERM)
        if os.getppid() != parent:
            return 0
    try:
        fill_environment(os.environ, run_env=False)
        configuration = _configure()
        prepare_directory(configuration.data_dir)
        with _alone(configuration.data_dir):
            _run(configuration, signals)
    except StopRequested:
        say("Stopped.")
    except (RunnerError, EmbeddedServerError) as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1
    return 0


def _configure() -> Configuration:
    configuration = read_configuration(os.environ)
    for note in (configuration.port_note, configuration.host_note):
        if note:
            say(note)
    return configuration


@contextlib.contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Hold the data directory's lock; the kernel releases it however we end."""
    with (data_dir / "runner.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunnerError(
                f"Another `make run` (pid {_pid_in(lock)}) works in {data_dir}: stop it first, or give "
                "this one another DATA_DIR and PORT."
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _pid_in(lock: IO[str]) -> str:
    lock.seek(0)
    return lock.read().strip() or "unknown"


def _run(configuration: Configuration, signals: StopSignals) -> None:
    data_dir = configuration.data_dir
    record = ProcessRecord(data_dir)
    record.end_leftovers(say)
    entries = read_procfile(BASE_DIR / "Procfile")
    if configuration.demo:
        entries += read_procfile(BASE_DIR / "Procfile.demo")
    entries = scaled(entries, configuration.scale)
    servers = EmbeddedServers(
        data_dir,
        durable=True,
        say=say,
        postgres=not configuration.database_url,
        valkey=not configuration.redis_url,
    )
    run_env = data_dir / "run.env"
    try:
        say(f"Starting the servers; data is in {data_dir}.")
        servers.start()
        values = _values(configuration, servers)
        write_private(run_env, run_environment(values))
        environment = os.environ | values | record.environment() | process_environment(configuration)
        _prepare(configuration, environment)
        _supervise(configuration, entries, environment, record, signals)
    finally:
        signals.interrupting = False
        run_env.unlink(missing_ok=True)
        servers.stop()
    say("Stopped; the data is kept.")


def _values(configuration: Configuration, servers: EmbeddedServers) -> dict[str, str]:
    """What `run.env` holds: all that `manage.py` needs in another terminal."""
    owner_url = servers.owner_url or configuration.database_owner_url
    database_url = servers.application_url or configuration.database_url
    if not owner_url:  # DATABASE_URL alone is the owner's
        owner_url = configuration.database_url
        database_url = application_url(owner_url, servers.credentials["application_password"])
    return {
        "DATABASE_URL": database_url,
        "DATABASE_OWNER_URL": owner_url,
        "REDIS_URL": servers.redis_url or configuration.redis_url,
        "SECRET_KEY": os.environ.get("SECRET_KEY") or servers.credentials["secret_key"],
        "CREDENTIAL_KEYS": os.environ.get("CREDENTIAL_KEYS") or f"run:{servers.credentials['sealing_key']}",
        "ALLOW_HTTP": os.environ.get("ALLOW_HTTP", "1"),
        "DEMO": "1" if configuration.demo else "0",
    }


def process_environment(configuration: Configuration) -> dict[str, str]:
    """What every process gets of this run, beside the URLs."""
    return {
        "DATA_DIR": str(configuration.data_dir),
        "HOST": configuration.host,
        "PORT": str(configuration.port),
        "ALLOWED_HOSTS": ",".join(configuration.allowed_hosts),
        SWITCH: "0",  # all they need is here; from `run.env` they would learn the owner's password
        "PATH": command_path(),
        "PYTHONUNBUFFERED": "1",
    }


def _prepare(configuration: Configuration, environment: Mapping[str, str]) -> None:
    say("Bringing the database up to date" + (" and loading the demo." if configuration.demo else "."))
    command = [sys.executable, "-m", "autotrading_project.runner.prepare"]
    if configuration.demo:
        command += ["--demo", "--base-url", configuration.base_url]
    child = subprocess.Popen(
        command,
        cwd=BASE_DIR,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=dies_with_parent(signal.SIGKILL),
    )
    try:
        code = child.wait()
    except StopRequested:
        stop_child(child, (signal.SIGTERM, 5.0))
        raise
    if code != 0:
        raise RunnerError(f"The database could not be brought up to date (code {code}, see above).")


def _supervise(
    configuration: Configuration,
    entries: list[ProcfileEntry],
    environment: Mapping[str, str],
    record: ProcessRecord,
    signals: StopSignals,
) -> None:
    # Nobody but `prepare` needs the owner; `run.env` has it for `manage.py migrate`.
    own = {name: value for name, value in environment.items() if name != "DATABASE_OWNER_URL"}
    say("Starting " + ", ".join(entry.name for entry in entries) + ".")
    supervisor = Supervisor(
        entries,
        environment=own,
        directory=BASE_DIR,
        log_dir=configuration.data_dir / "logs",
        record=record,
    )
    signals.interrupting = False
    announcer = Announcer(configuration, run_id=record.run_id)
    try:
        supervisor.run(
            stop_requests=lambda: signals.count, each_turn=announcer.each_turn, on_exit=announcer.on_exit
        )
    finally:
        record.clear()


if __name__ == "__main__":
    raise SystemExit(main())
