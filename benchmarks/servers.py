"""Benchmarks that need PostgreSQL and Valkey: temporary ones, with fsync, that nobody else uses.

Three processes: the benchmark's, the wrapper that starts the servers and removes them whatever happens, and inside
it `python -m benchmarks.servers measure module`, which migrates, loads Django and prints what `module` measures.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import django

from autotrading_project.embedded.processes import dies_with_parent
from benchmarks.figure import Figure
from foundation.collecting import spare_what_is_loaded

ROOT = Path(__file__).resolve().parents[1]
STOP_SECONDS = 60.0


def figures_on_servers(module: str) -> Iterator[Figure]:
    """What `module.measure()` yields in a process that has servers. RuntimeError when it fails."""
    command = [sys.executable, "-m", "autotrading_project.embedded", "exec", "--durable", "--"]
    measuring = subprocess.Popen(
        [*command, sys.executable, "-m", "benchmarks.servers", "measure", module],
        cwd=ROOT,
        env=os.environ | {"LOG_LEVEL": "ERROR"},  # a lost wake-up, wanted here, is a warning
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert measuring.stdout is not None
        for line in measuring.stdout:
            yield Figure(**json.loads(line))
        if measuring.wait() != 0:
            raise RuntimeError(f"{module} ended with code {measuring.returncode}; see above")
    finally:
        if measuring.poll() is None:
            measuring.terminate()
            measuring.wait(STOP_SECONDS)


def start_beside(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """`module.work(*arguments)` in a process of its own on the same servers; it ends with this one."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.servers", "work", module, *arguments],
        cwd=ROOT,
        preexec_fn=dies_with_parent(signal.SIGKILL),
    )


def main(arguments: list[str]) -> None:
    what, module, *more = arguments
    if what == "measure":
        subprocess.run([sys.executable, "-m", "autotrading_project.runner.prepare"], cwd=ROOT, check=True)
    os.environ["DJANGO_SETTINGS_MODULE"] = "autotrading_project.settings"
    django.setup()
    chosen = importlib.import_module(module)
    spare_what_is_loaded()  # as a worker's process does
    if what == "measure":
        for figure in chosen.measure():
            print(json.dumps(asdict(figure)), flush=True)
    else:
        chosen.work(*more)


if __name__ == "__main__":
    main(sys.argv[1:])
