"""The simulator of market data as a process of a test; what it can do is in tests/simulator/market_data.py."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from autotrading_project.embedded.network import free_port
from autotrading_project.embedded.processes import dies_with_parent, stop_child

BASE_DIR = Path(__file__).resolve().parents[2]
START_SECONDS, STOP_SECONDS, ANSWER_SECONDS = 30.0, 10.0, 10.0


class MarketDataSource:
    """One process; `do` speaks to it over its port."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.stream_url = f"ws://127.0.0.1:{self.port}"
        self.log_path = directory / "market-data.jsonl"
        self._child: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(base_url=f"{self.base_url}/control", timeout=ANSWER_SECONDS)

    def start(self) -> None:
        """Start it and wait until it answers; it ends when pytest does."""
        self._child = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.simulator.market_data"),
                *("--port", str(self.port), "--log", str(self.log_path)),
            ],
            cwd=BASE_DIR,
            stdin=subprocess.DEVNULL,
            preexec_fn=dies_with_parent(signal.SIGKILL),
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.state()
                return
            except httpx.TransportError:
                assert self._child.poll() is None, "the simulator ended"
                assert time.monotonic() < deadline, f"no answer in {START_SECONDS} s"
                time.sleep(0.02)

    def stop(self) -> None:
        """End it by its pid."""
        self._client.close()
        if self._child is not None:
            stop_child(self._child, (signal.SIGTERM, STOP_SECONDS))

    def kill(self) -> None:
        """As a crash: nothing is closed. It may be started again on the same port."""
        assert self._child is not None
        self._child.kill()
        self._child.wait(STOP_SECONDS)

    def do(self, what: str, **given: Any) -> None:
        self._client.post(what, json=given).raise_for_status()

    def say(self, *messages: dict[str, Any]) -> None:
        self.do("say", messages=list(messages))

    def state(self) -> dict[str, Any]:
        """A Counter where nothing has happened is empty."""
        state = self._client.get("state").json()
        return {"connections": 0, "logins": 0, "pages": 0} | dict(state)

    def said(self) -> list[dict[str, Any]]:
        """What a walk has said until now."""
        if not self.log_path.exists():
            return []
        return [
            json.loads(line)
            for line in self.log_path.read_text().splitlines(keepends=True)
            if line.endswith("\n")
        ]


@pytest.fixture
def market_data(tmp_path: Path) -> Iterator[MarketDataSource]:
    source = MarketDataSource(tmp_path)
    source.start()
    yield source
    source.stop()
