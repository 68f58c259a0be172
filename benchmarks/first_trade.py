"""From `git clone` to the first filled trade of the demonstration, with a warm and an empty package cache.

A fresh clone of this checkout's HEAD, `make run` as the README gives it, and the API asked ten times a second
whether a trade is filled. The floor is the goal: 60 s warm, 120 s cold. A warm measurement needs that the
packages were installed on this machine before, which the cold one makes sure of.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
SECONDS_MAX = 300.0
STOP_SECONDS = 60.0
# What would make the run another than a newcomer's.
FOREIGN = (
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "DATA_DIR",
    "PORT",
    "MAKEFLAGS",
    "MAKELEVEL",
)


def measure() -> Iterator[Figure]:
    for name, goal, cold in (
        ("start.first_trade_warm", 60.0, False),
        ("start.first_trade_cold", 120.0, True),
    ):
        seconds, notes = _once(cold=cold)
        yield Figure(name, round(seconds, 1), "s", goal, "the goal, in seconds", n=1, notes=notes)


def _once(*, cold: bool) -> tuple[float, str]:
    with tempfile.TemporaryDirectory(prefix="autotrading-first-trade-") as place:
        Path(place).chmod(0o755)
        clone, caches = Path(place) / "autotrading", Path(place) / "caches"
        environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        environment["PORT"] = str(_free_port())
        if cold:
            environment |= {"UV_CACHE_DIR": str(caches / "uv"), "PIP_CACHE_DIR": str(caches / "pip")}
        begin = time.monotonic()
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        with (Path(place) / "output.txt").open("wb") as output:
            run = subprocess.Popen(["make", "run"], cwd=clone, env=environment, stdout=output, stderr=output)
            try:
                up = _wait(run, lambda: (clone / ".data" / "demo.json").exists() and _demo(clone), begin)
                filled = _wait(run, lambda: _is_filled(clone), begin)
            except BaseException:
                sys.stderr.write((Path(place) / "output.txt").read_text(errors="replace")[-4000:])
                raise
            finally:
                run.send_signal(signal.SIGTERM)
                run.wait(STOP_SECONDS)
        return filled, f"demo loaded after {up:.1f} s"


def _wait(run: subprocess.Popen[bytes], condition: object, begin: float) -> float:
    """Seconds since `begin` when the condition holds; RuntimeError when the run ends or takes too long."""
    assert callable(condition)
    while not condition():
        if run.poll() is not None:
            raise RuntimeError(f"make run ended with code {run.returncode}")
        if time.monotonic() - begin > SECONDS_MAX:
            raise RuntimeError(f"no filled trade within {SECONDS_MAX} s")
        time.sleep(0.1)
    return time.monotonic() - begin


def _demo(clone: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((clone / ".data" / "demo.json").read_text())
    return content


def _is_filled(clone: Path) -> bool:
    demo = _demo(clone)
    users = demo["users"]
    assert isinstance(users, dict)
    url = f"{demo['base_url']}/api/auto-trading/trades/{demo['portfolio_id']}?status=filled"
    request = urllib.request.Request(url, headers={"Authorization": f"Token {users['alice']['token']}"})
    with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5) as answer:
        return bool(json.load(answer)["results"])
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
