"""SCALE starts workers of the Procfile several times, and everything else once."""

import pytest

from autotrading_project.celery import app
from autotrading_project.environment_files import BASE_DIR
from autotrading_project.runner.errors import RunnerError
from autotrading_project.runner.procfile import ProcfileEntry, read_procfile, scaled

LINES = [ProcfileEntry(name, f"exec {name}") for name in ("web", "worker_evaluation", "worker_execution")]


def test_without_scale_every_line_runs_once() -> None:
    assert scaled(LINES, "") == LINES


def test_a_worker_runs_as_often_as_is_said() -> None:
    found = scaled(LINES, "worker_evaluation=3, worker_execution=1")
    assert [entry.name for entry in found] == [
        "web", "worker_evaluation", "worker_evaluation.2", "worker_evaluation.3", "worker_execution",
    ]  # fmt: skip
    assert {entry.command for entry in found[1:4]} == {"exec worker_evaluation"}


@pytest.mark.parametrize("scale", ["web=2", "worker_evaluatoin=2"])
def test_only_workers_of_the_procfile_are_scaled(scale: str) -> None:
    with pytest.raises(RunnerError, match=r"SCALE: there is no worker .*worker_evaluation, worker_execution"):
        scaled(LINES, scale)


@pytest.mark.parametrize("count", ["0", "65", "-1", "two", ""])
def test_how_often_is_a_small_number(count: str) -> None:
    with pytest.raises(RunnerError, match="SCALE: worker_evaluation needs a number between 1 and 64"):
        scaled(LINES, f"worker_evaluation={count}")


def test_several_workers_of_a_line_have_names_of_their_own() -> None:
    """Celery confuses two of one name."""
    workers = [entry for entry in read_procfile(BASE_DIR / "Procfile") if entry.name.startswith("worker_")]
    assert workers and all("-$$@%h" in entry.command for entry in workers)


def test_every_queue_has_one_worker_and_alerts_wait_for_nothing_else() -> None:
    workers = [entry for entry in read_procfile(BASE_DIR / "Procfile") if entry.name.startswith("worker_")]
    queues = {entry.name: entry.command.split(" -Q ")[1].split()[0].split(",") for entry in workers}
    assert sorted(name for names in queues.values() for name in names) == sorted(app.amqp.queues)
    assert queues["worker_notification"] == ["notification"]
