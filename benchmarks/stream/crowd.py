"""Servers and clients of the stream's benchmark, each a process of its own, and how they are told what to do."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotrading_project.embedded.network import free_port
from autotrading_project.embedded.processes import dies_with_parent, wait_until
from autotrading_project.runner.procfile import read_procfile

ROOT = Path(__file__).resolve().parents[2]
APPLICATION = "autotrading_project.asgi:application"
START_SECONDS = 60.0
HOST = "127.0.0.1"
QUIET = {"UVICORN_LOG_LEVEL": "warning"}  # a line for each client would be measured, too
Received = tuple[str, int, float]


def allow_sockets(count: int) -> None:
    """For this process and those that it starts. OSError where the system does not permit so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count if hard < 0 else min(count, hard), hard))


class Server:
    """The Procfile's `web`, or the same server with another application; answers when it is made."""

    def __init__(self, application: str = APPLICATION, **environment: str) -> None:
        self.port = free_port()
        lines = {entry.name: entry for entry in read_procfile(ROOT / "Procfile")}
        arguments = [part.replace(APPLICATION, application) for part in lines["web"].arguments()]
        self._child = _start(
            arguments, {**os.environ, **QUIET, "HOST": HOST, "PORT": str(self.port), **environment}
        )
        assert wait_until(self._answers, seconds=START_SECONDS), f"{application} does not start"

    def stop(self) -> None:
        self._child.send_signal(signal.SIGTERM)
        self._child.wait(30)

    def _answers(self) -> bool:
        assert self._child.poll() is None, "the server ended"
        with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
            return True
        return False


@dataclass
class Got:
    """What the clients of all processes got since they were last asked."""

    received: list[Received] = field(default_factory=list)
    reconnects: int = 0
    closes: Counter[str] = field(default_factory=Counter)


class Crowd:
    """Clients in some processes. RuntimeError when one of them missed an event, or got one twice."""

    def __init__(self, *, processes: int) -> None:
        command = [sys.executable, "-m", "benchmarks.stream.clients"]
        self._children = [
            subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                preexec_fn=dies_with_parent(signal.SIGKILL),
            )
            for _ in range(processes)
        ]  # fmt: skip

    def connect(self, plans: Sequence[Mapping[str, Any]]) -> None:
        count = len(self._children)
        self._ask([{"connect": plans[number::count]} for number in range(count)])

    def until(self, heads: Mapping[str, int], *, seconds: float) -> Got:
        """Wait until every client has what it must have by then: `seq` of its stream, or for those of a bare server so
        many events."""
        answers = self._ask([{"until": heads, "seconds": seconds}] * len(self._children))
        got = Got()
        for answer in answers:
            if answer["faults"] or not answer["complete"]:
                raise RuntimeError(
                    f"clients missed events: {answer['faults'] or answer['behind'] or 'some are lost'}"
                )
            got.received += [tuple(each) for each in answer["received"]]
            got.reconnects += answer["reconnects"]
            got.closes.update(answer["closes"])
        return got

    def be_restless(self, seconds: float) -> None:
        """Each client is cut after so many seconds on average; 0: no more."""
        self._ask([{"restless": seconds}] * len(self._children))

    def cut_all(self) -> None:
        self._ask([{"cut": True}] * len(self._children))

    def stop(self) -> None:
        for child in self._children:
            assert child.stdin is not None
            child.stdin.close()
        for child in self._children:
            child.wait(30)
            assert child.stdout is not None
            child.stdout.close()

    def _ask(self, orders: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        for child, order in zip(self._children, orders, strict=True):
            assert child.stdin is not None
            print(json.dumps(order), file=child.stdin, flush=True)
        answers = []
        for child in self._children:
            assert child.stdout is not None
            line = child.stdout.readline()
            if not line:
                raise RuntimeError("a process of clients ended")
            answers.append(json.loads(line))
        return answers


def plan(server: Server, *, path: str, stream: str, since: int | None, token: str = "") -> dict[str, Any]:
    """Of one client; see benchmarks/stream/clients.py."""
    headers = {"Authorization": f"Token {token}"} if token else {}
    return {
        "host": HOST, "port": server.port, "path": path, "headers": headers, "stream": stream, "since": since,
    }  # fmt: skip


def _start(arguments: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    return subprocess.Popen(
        arguments, cwd=ROOT, env=environment | {"PATH": path}, stdout=subprocess.DEVNULL,
        preexec_fn=dies_with_parent(signal.SIGKILL),
    )  # fmt: skip


def pause(until: float) -> None:
    """Sleep to this moment of the monotonic clock; not at all where it is past."""
    time.sleep(max(0.0, until - time.monotonic()))
