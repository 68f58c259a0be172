"""PostgreSQL and Valkey of the campaign, killed and started again on their ports.

`python -m autotrading_project.embedded exec` has made them; here they become children of the campaign at the first
start. PostgreSQL is durable in every way: what was committed must outlive a kill.
"""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from autotrading_project.embedded import EmbeddedServers
from autotrading_project.embedded.network import is_free
from autotrading_project.embedded.processes import wait_until
from tests.faults.processes import children_of

PORT_SECONDS = 20.0


class Servers:
    """Starting blocks until the server answers, usually for about a second."""

    def __init__(self, data_dir: Path, *, say: Callable[[str], None]) -> None:
        self._data_dir = data_dir
        self._say = say
        self._postgres = self._servers(postgres=True)
        self._valkey = self._servers(postgres=False)

    def _servers(self, *, postgres: bool) -> EmbeddedServers:
        return EmbeddedServers(
            self._data_dir, durable=True, say=self._say, postgres=postgres, valkey=not postgres
        )

    def take_over(self) -> None:
        """End those that another process started, and start them anew as our own."""
        self._postgres.start()
        self._valkey.start()

    def stop(self) -> None:
        self._postgres.stop()
        self._valkey.stop()

    def restart_postgres(self, *, kill: bool) -> float:
        """Immediate shutdown, or SIGKILL of every process of it; returns the seconds without it."""
        server = self._postgres.postgres
        assert server is not None and server.child is not None
        began, port = time.monotonic(), server.port
        if kill:
            for pid in (server.child.pid, *children_of(server.child.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        else:
            server.child.send_signal(signal.SIGQUIT)
        server.child.wait(30)
        self._start_again(self._postgres, port)
        assert server.port == port, f"PostgreSQL came back on port {server.port}, not {port}"
        return time.monotonic() - began

    def restart_valkey(self) -> float:
        """SIGKILL, and an empty one afterwards; returns the seconds without it."""
        server = self._valkey.valkey
        assert server is not None and server.child is not None
        began, port = time.monotonic(), server.port
        server.child.kill()
        server.child.wait(10)
        for path in server.home.glob("append*"):
            shutil.rmtree(path, ignore_errors=True)
        self._start_again(self._valkey, port)
        assert server.port == port, f"Valkey came back on port {server.port}, not {port}"
        return time.monotonic() - began

    def _start_again(self, servers: EmbeddedServers, port: int) -> None:
        assert wait_until(lambda: is_free(port), seconds=PORT_SECONDS), f"port {port} stays in use"
        servers.start()
