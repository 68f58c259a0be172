"""The runner with the real Procfile: one at a time, killed without a trace, stopped in order, data kept."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from autotrading_project.embedded.network import free_port
from autotrading_project.embedded.processes import start_moment, wait_until
from autotrading_project.environment_files import BASE_DIR
from autotrading_project.runner.procfile import read_procfile

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
START_SECONDS = 90


class Run:
    """One runner as a process, without the demo, on servers of its own."""

    def __init__(self, data_dir: Path, port: int) -> None:
        assert os.environ["READ_DOT_ENV"] == "0"  # or the checkout's `.env` would say which database
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in {"DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "REDIS_PREFIX", "MAKELEVEL"}
        }
        self.data_dir = data_dir
        self.output = data_dir.with_name("output.txt")
        self.base_url = f"http://127.0.0.1:{port}"
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "autotrading_project.runner"],
                cwd=BASE_DIR,
                env=inherited | {"DATA_DIR": str(data_dir), "PORT": str(port), "DEMO": "0"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_up(self) -> None:
        def up() -> bool:
            assert self.process.poll() is None, self.text()
            return f"running at {self.base_url}" in self.text()

        self.output.write_bytes(b"")
        assert wait_until(up, seconds=START_SECONDS, pause=0.1), self.text()

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def environment(self) -> dict[str, str]:
        lines = (self.data_dir / "run.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if not line.startswith("#"))

    def leaders(self) -> dict[str, int]:
        recorded = json.loads((self.data_dir / "processes.json").read_text())["processes"]
        return {process["name"]: process["pid"] for process in recorded}

    def everybody(self) -> list[int]:
        """Pids of all that the runner started, their children included."""
        rows = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
        parents = {int(pid): int(parent) for pid, parent in map(str.split, rows.stdout.splitlines())}
        family = {self.process.pid}
        for _ in range(4):
            family |= {pid for pid, parent in parents.items() if parent in family}
        return sorted(family)


def all_gone(pids: list[int]) -> bool:
    return not any(start_moment(pid) for pid in pids)


@pytest.fixture
def place(open_path):
    runs: list[Run] = []

    def start(port: int) -> Run:
        runs.append(Run(open_path / "data", port))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGTERM)
            run.process.wait(60)


def test_runs_alone_is_killed_without_a_trace_starts_again_and_stops_in_order(place):
    port = free_port()
    first = place(port)
    first.wait_up()
    assert httpx.get(f"{first.base_url}/health").status_code == 200
    leaders = first.leaders()
    assert set(leaders) == {entry.name for entry in read_procfile(BASE_DIR / "Procfile")}
    assert len(set(leaders.values())) == len(leaders)
    assert (first.data_dir / "run.env").stat().st_mode & 0o777 == 0o600
    with psycopg.connect(first.environment()["DATABASE_OWNER_URL"]) as owner:
        owner.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    second = place(free_port())
    assert second.process.wait(30) == 1
    assert f"Another `make run` (pid {first.process.pid}) works in" in second.text()

    everybody = first.everybody()
    assert len(everybody) > len(leaders)
    first.process.kill()
    first.process.wait()
    assert wait_until(lambda: all_gone(everybody), seconds=15)

    third = place(free_port())
    third.wait_up()
    with psycopg.connect(third.environment()["DATABASE_OWNER_URL"]) as owner:
        assert owner.execute("SELECT answer FROM kept").fetchone() == (42,)
    everybody = third.everybody()
    third.process.send_signal(signal.SIGTERM)
    assert third.process.wait(60) == 0
    assert all_gone(everybody)
    assert not (third.data_dir / "run.env").exists()
    assert not (third.data_dir / "processes.json").exists()


def test_a_stop_while_starting_leaves_nothing(place):
    run = place(free_port())
    assert wait_until(lambda: "Bringing the database up" in run.text(), seconds=30)
    everybody = run.everybody()
    time.sleep(0.3)
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(60) == 0
    assert wait_until(lambda: all_gone(everybody), seconds=5)


def test_a_taken_port_is_refused_with_a_sentence(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        run = place(port)
        assert run.process.wait(30) == 1
    assert f"PORT={port} is in use" in run.text()


def test_a_port_that_somebody_takes_while_we_start_stops_everything_with_a_sentence(place):
    port = free_port()
    run = place(port)
    assert wait_until(lambda: "Bringing the database up" in run.text(), seconds=60, pause=0.01), run.text()
    with socket.socket() as taken:  # `web` listens only when the database is ready
        taken.bind(("127.0.0.1", port))
        taken.listen(64)
        assert run.process.wait(90) == 1, run.text()
    assert f"make run: PORT={port} is in use" in run.text()
    assert "running at" not in run.text()
    assert not (run.data_dir / "run.env").exists()
    assert not (run.data_dir / "processes.json").exists()
