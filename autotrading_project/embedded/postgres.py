"""The embedded PostgreSQL: made, started, guarded and stopped.

Two logins besides the cluster's superuser: the owner (may create databases and
roles, migrates) is made here; the application's role by `manage.py setup_database`.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import sql

from autotrading_project.embedded.errors import EmbeddedServerError
from autotrading_project.embedded.identity import run_as
from autotrading_project.embedded.network import free_port, is_free
from autotrading_project.embedded.places import PASSING_PLACES, Places
from autotrading_project.embedded.processes import (
    command_line,
    dies_with_parent,
    end_process,
    identify,
    stop_child,
)

SUPERUSER = "postgres"
OWNER = DATABASE = "autotrading"
START_SECONDS = 120  # crash recovery of a large write-ahead log included
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    "jit": "off",
    "track_commit_timestamp": "on",  # tells exactly whether something was committed before or after a stop
}
SETTINGS_OF_A_THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """One PostgreSQL server on a directory of ours, on loopback.

    `durable=False` gives up safety against power loss; for tests only.
    """

    def __init__(self, *, data_dir: Path, durable: bool, say: Callable[[str], None]) -> None:
        self.data_dir = data_dir
        self.durable = durable
        self.say = say
        self.log = data_dir / "logs" / "postgres.log"
        self.port = 0
        self.child: subprocess.Popen[bytes] | None = None
        link = data_dir / "postgres"
        self.user = run_as(link.resolve() if link.exists() else None)
        self.places = Places(link=link, user=self.user, durable=durable, say=say)

    def start(self, *, superuser_password: str, owner_password: str, preferred_port: int | None) -> None:
        """Make the cluster if there is none, start it, and see to the owner and the database.

        Raises EmbeddedServerError with the end of the server's log.
        """
        programs = self.places.programs()
        home = self.places.home()
        if home.exists():
            self._end_orphan(home)
        else:
            self._make(programs, home, superuser_password)
        port = preferred_port if preferred_port and is_free(preferred_port) else free_port()
        for _ in range(5):
            if self._serve(programs, home, port, superuser_password):
                self.port = port
                break
            port = free_port()
        else:
            raise EmbeddedServerError(f"PostgreSQL found no free port.\n{self._end_of_log()}")
        self._make_owner(superuser_password, owner_password)

    def stop(self) -> None:
        """Stop at once but cleanly (SIGINT: sessions are ended, nothing is lost)."""
        if self.child is not None:
            stop_child(self.child, (signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0))

    def _end_orphan(self, home: Path) -> None:
        """End a server that a killed run left on our directory."""
        try:
            pid = int((home / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return
        orphan = identify(pid)
        if orphan is None or "postgres" not in command_line(pid) or str(home) not in command_line(pid):
            return
        self.say(f"Ending the PostgreSQL that an earlier run left behind (pid {pid}).")
        if not end_process(orphan, (signal.SIGINT, 20.0), (signal.SIGQUIT, 10.0)):
            raise EmbeddedServerError(f"A PostgreSQL (pid {pid}) still serves {home}: end it first.")

    def _make(self, programs: Path, home: Path, superuser_password: str) -> None:
        """Run initdb beside the final place and rename: a killed initdb leaves nothing half-made."""
        draft = home.with_name(home.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self.user.own(draft)
        descriptor, name = tempfile.mkstemp(prefix="autotrading-password-", dir=PASSING_PLACES[-1])
        password_file = Path(name)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(superuser_password + "\n")
            self.user.own(password_file)
            command: list[str | Path] = [
                programs / "initdb",
                "-D",
                draft,
                "-U",
                SUPERUSER,
                "-A",
                "scram-sha-256",
            ]
            command += ["--pwfile", password_file, "-E", "UTF8", "--locale-provider=builtin"]
            command += ["--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
            command += [] if self.durable else ["--no-sync"]
            made = subprocess.run(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGKILL),
                **self.user.popen_options(),
            )
        finally:
            password_file.unlink(missing_ok=True)
        if made.returncode != 0:
            raise EmbeddedServerError(f"PostgreSQL could not make its database:\n{made.stdout.strip()}")
        draft.rename(home)

    def _serve(self, programs: Path, home: Path, port: int, password: str) -> bool:
        """Start the server and wait for it; False if somebody was faster at the port."""
        settings = SETTINGS | {"port": str(port)} | ({} if self.durable else SETTINGS_OF_A_THROWAWAY)
        command = [str(programs / "postgres"), "-D", str(home)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGINT),
                **self.user.popen_options(),
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                if "could not bind" in self._end_of_log():
                    return False
                raise EmbeddedServerError(f"PostgreSQL did not start:\n{self._end_of_log()}")
            try:
                self._connect(port, password).close()
                return True
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise EmbeddedServerError(
                        f"{self.data_dir}/secrets.json does not fit the database in {home}: "
                        "restore the file, or remove the data directory to begin anew."
                    ) from error
                time.sleep(0.02)
        raise EmbeddedServerError(f"PostgreSQL was not ready within {START_SECONDS} s:\n{self._end_of_log()}")

    def _connect(self, port: int, password: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1",
            port=port,
            user=SUPERUSER,
            password=password,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        )

    def _make_owner(self, superuser_password: str, owner_password: str) -> None:
        """The owner owns its database and may make roles and databases, but is no superuser.

        `pg_signal_backend` lets it drop a test's database that somebody still uses.
        """
        owner = sql.Identifier(OWNER)
        with contextlib.closing(self._connect(self.port, superuser_password)) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {}").format(owner))
                connection.execute(sql.SQL("GRANT pg_signal_backend TO {}").format(owner))
            connection.execute(
                sql.SQL("ALTER ROLE {} LOGIN CREATEDB CREATEROLE PASSWORD {}").format(
                    owner, sql.Literal(owner_password)
                )
            )
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), owner)
                )

    def _end_of_log(self) -> str:
        return end_of_file(self.log)


def end_of_file(path: Path, lines: int = 12) -> str:
    """The last lines of a log, at most 8 kB, for an error message."""
    try:
        text = path.read_bytes()[-8192:].decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
