import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from foundation import kill_points


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(kill_points.time, "sleep", seconds.append)
    return seconds


def test_nothing_happens_without_the_setting(monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> None:
    monkeypatch.delenv("PAUSE_POINT", raising=False)
    kill_points.reach("here")
    assert slept == []


def test_the_first_who_reaches_the_point_waits_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch, slept: list[float], tmp_path: Path
) -> None:
    file = tmp_path / "pid"
    monkeypatch.setenv("PAUSE_POINT", f"here={file}")
    kill_points.reach("there")
    assert slept == [] and not file.exists()
    kill_points.reach("here")
    assert slept == [kill_points.PAUSE_SECONDS_MAX] and int(file.read_text()) > 0
    kill_points.reach("here")
    assert len(slept) == 1


CHILD = """
import os
from foundation.kill_points import reach
reach("there", detail="a trade")
reach("here")
reach("here", detail="at-1")
print("went on")
"""


def run(control: Path, **point: object) -> subprocess.CompletedProcess[str]:
    armed = {"name": "here", "token": "1", "mode": "kill", "probability": 1.0, "detail": True} | point
    control.write_text(json.dumps({"seed": 1, "points": [armed]}))
    return subprocess.run(
        [sys.executable, "-c", CHILD], env=os.environ | {"KILL_POINTS": str(control)}, capture_output=True,
        text=True, check=False, timeout=30,
    )  # fmt: skip


def test_an_armed_point_kills_once_and_says_first_what_was_in_hand(tmp_path: Path) -> None:
    control = tmp_path / "points.json"
    died = run(control)
    assert (died.returncode, died.stdout) == (-signal.SIGKILL, "")
    (line,) = (tmp_path / "points.json.log").read_text().splitlines()
    told = json.loads(line)
    assert (told["point"], told["token"], told["mode"], told["detail"]) == ("here", "1", "kill", "at-1")
    assert told["pid"] > 0 and told["at"] > 0
    went_on = run(control)
    assert (went_on.returncode, went_on.stdout) == (0, "went on\n"), "a token is good for one process"
    assert run(control, token="2").returncode == -signal.SIGKILL


def test_a_point_that_no_draw_reaches_or_that_nobody_armed_lets_everybody_pass(tmp_path: Path) -> None:
    control = tmp_path / "points.json"
    assert run(control, probability=0.0).stdout == "went on\n"
    assert run(control, name="elsewhere").stdout == "went on\n"
    control.unlink()
    armed = kill_points.Armed(control)
    armed.reach("here", "at-1")
    assert not (tmp_path / "points.json.log").exists()


def test_a_control_file_that_is_replaced_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(kill_points.os, "kill", lambda pid, signum: sent.append((pid, signum)))
    control = tmp_path / "points.json"
    armed = kill_points.Armed(control)
    for number, mode in enumerate(("stop", "kill")):
        point = {"name": "here", "token": str(number), "mode": mode, "probability": 1.0}
        draft = tmp_path / "draft"
        draft.write_text(json.dumps({"seed": 1, "points": [point]}))
        draft.replace(control)
        armed.reach("here", "")
        armed.reach("here", "")
    assert sent == [(os.getpid(), signal.SIGSTOP), (os.getpid(), signal.SIGKILL)]
