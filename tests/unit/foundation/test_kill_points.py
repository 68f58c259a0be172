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
