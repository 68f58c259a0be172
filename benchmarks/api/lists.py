"""The trades of a portfolio, 50 a page: the API as the Procfile serves it, beside a bare DRF view, in turn.

Both are uvicorn processes; the same clients ask, each on a connection that is kept. The API's answer has been through
authentication by token, both budgets of requests in Valkey, the table of roles, the filters and the logs.
"""

import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from knox.models import get_token_model

from autotrading_project.embedded.network import free_port
from autotrading_project.embedded.processes import dies_with_parent, wait_until
from autotrading_project.runner.procfile import read_procfile
from benchmarks.figure import Figure
from benchmarks.orders.flow import BATCH, Flow
from benchmarks.trading_world import user
from trading.models import AutoTrade

ROOT = Path(__file__).resolve().parents[2]
TRADES = 4_000
CLIENTS = 8
RUNS = 5
SECONDS = 4.0
START_SECONDS = 60.0
NOBODY_IS_THROTTLED = {"RATE_USER_PER_MINUTE": "1000000", "RATE_TOKEN_PER_MINUTE": "1000000"}


def measure() -> Iterator[Figure]:
    flow = Flow.make()
    flow.run(TRADES // BATCH)
    (portfolio_id,) = AutoTrade.objects.values_list("portfolio_id", flat=True)[:1]
    AutoTrade.objects.update(portfolio_id=portfolio_id)  # all of them are one portfolio's now
    _, token = get_token_model().objects.create(user=user("alice"))
    web = read_procfile(ROOT / "Procfile")
    ours_port, bare_port = str(free_port()), str(free_port())
    (line,) = (entry for entry in web if entry.name == "web")
    served = [argument.replace("$PORT", ours_port) for argument in line.arguments()]
    floor = [
        argument.replace("$PORT", bare_port).replace(
            "autotrading_project.asgi:application", "benchmarks.api.bare:application"
        )
        for argument in line.arguments()
    ]
    processes = [_start(served, PORT=ours_port), _start(floor, PORT=bare_port)]
    try:
        ours = f"http://127.0.0.1:{ours_port}/api/auto-trading/trades/{portfolio_id}"
        bare = f"http://127.0.0.1:{bare_port}/trades/{portfolio_id}"
        headers = {"Authorization": f"Token {token}"}
        assert _ids(ours, headers) == _ids(bare, {})
        _rate(ours, headers), _rate(bare, {})
        rates, floors = [], []
        for _ in range(RUNS):
            rates.append(_rate(ours, headers))
            floors.append(_rate(bare, {}))
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(30)
    yield Figure(
        "api.list", round(statistics.median(rates), 1), "requests/s", round(statistics.median(floors), 1),
        "a bare DRF list view of the same rows and columns: no authentication, middleware or filters", n=RUNS,
        notes=f"{TRADES} trades of one portfolio, 50 a page, {CLIENTS} clients on kept connections, one uvicorn each",
    )  # fmt: skip


def _start(arguments: list[str], **environment: str) -> "subprocess.Popen[bytes]":
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return subprocess.Popen(
        arguments, cwd=ROOT, env=os.environ | NOBODY_IS_THROTTLED | {"PATH": path} | environment, stdout=sys.stderr,
        preexec_fn=dies_with_parent(signal.SIGKILL),
    )  # fmt: skip


def _ids(url: str, headers: dict[str, str]) -> list[Any]:
    """What a page shows, once the server is there."""

    def answers() -> bool:
        try:
            return httpx.get(url, headers=headers).status_code == 200
        except httpx.TransportError:
            return False

    assert wait_until(answers, seconds=START_SECONDS), f"{url} does not answer"
    rows = httpx.get(url, headers=headers).json()["results"]
    assert len(rows) == 50
    return [row["id"] for row in rows]


def _rate(url: str, headers: dict[str, str]) -> float:
    """Answers a second to all clients together."""
    counts: list[int] = []
    until = time.perf_counter() + SECONDS

    def ask() -> None:
        count = 0
        with httpx.Client(headers=headers) as client:
            while time.perf_counter() < until:
                answer = client.get(url)
                assert answer.status_code == 200, answer.text
                count += 1
        counts.append(count)

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == CLIENTS
    return sum(counts) / (time.perf_counter() - begun)
