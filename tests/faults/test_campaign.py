"""The short form of the fault campaign: a minute of kills and lies, and then every count is 0.

`make faults` runs the long form. The times of the product are shortened here (see tests/faults/__main__.py), so that
what is unknown is settled within the test.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.end_to_end, pytest.mark.timeout(900)]
BASE_DIR = Path(__file__).resolve().parents[2]
KILLS, SEED = 60, 5
SECONDS_MAX = 840
ZERO = ("lost", "duplicated", "guessed", "breaches", "invariants_broken", "not_recovered")


def test_sixty_kills_lose_double_guess_and_break_nothing(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "autotrading_project.embedded", "exec", "--durable", "--",
        sys.executable, "-m", "tests.faults", "--kills", str(KILLS), "--seed", str(SEED), "--fast",
        "--portfolios", "10", "--paper", "2", "--phase-seconds", "8", "--per-second", "1.5",
        "--logs", str(tmp_path / "logs"),
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_PREFIX"}
    ended = subprocess.run(
        command,
        cwd=BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    print(ended.stderr[-12_000:])
    assert ended.returncode == 0, ended.stdout[-4_000:]
    told = json.loads(ended.stdout.splitlines()[-1])
    print(json.dumps(told, indent=1))
    assert {name: told[name] for name in ZERO} == dict.fromkeys(ZERO, 0)
    assert told["kills"] >= KILLS and told["seed"] == SEED
    assert told["orders"] >= KILLS, "it was no campaign without load"
    assert sum(told["kills_with_trade_by_step"].values()) >= 10
    assert len(told["misbehaviours"]) >= 5


def test_it_says_how_it_is_run_where_there_are_no_servers_to_kill() -> None:
    environment = {"PATH": os.environ["PATH"]}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults"], cwd=BASE_DIR, env=environment, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 2 and "run it by `make faults`" in ended.stderr
