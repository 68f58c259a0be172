"""The supervisor on tiny processes: restarts, one signal to each leader, nothing left."""

import os
import signal
import subprocess
import sys
import time

import pytest

from autotrading_project.embedded.processes import ProcessIdentity, identify, runs, start_moment, wait_until
from autotrading_project.runner.errors import RunnerError
from autotrading_project.runner.leftovers import ProcessRecord
from autotrading_project.runner.procfile import ProcfileEntry, read_procfile
from autotrading_project.runner.supervisor import Supervisor

pytestmark = pytest.mark.integration
TURNS_SECONDS_MAX = 20


@pytest.fixture
def supervise(tmp_path):
    """supervise(stop_when, name=python source, …): run until `stop_when()` is true or time is up."""

    ended: list[str] = []

    def run(stop_when, **sources):
        logs = tmp_path / "logs"
        logs.mkdir(exist_ok=True)
        entries = []
        for name, source in sources.items():
            script = tmp_path / f"{name}.py"
            script.write_text(source)
            entries.append(ProcfileEntry(name, f"exec {sys.executable} -u {script}"))
        record = ProcessRecord(tmp_path)
        supervisor = Supervisor(
            entries,
            environment=os.environ | record.environment(),
            directory=tmp_path,
            log_dir=logs,
            record=record,
        )
        deadline = time.monotonic() + TURNS_SECONDS_MAX
        requests = 0

        def stop_requests():
            nonlocal requests
            requests = requests or int(stop_when() or time.monotonic() > deadline)
            return requests

        supervisor.run(stop_requests=stop_requests, each_turn=lambda: None, on_exit=ended.append)
        assert time.monotonic() < deadline, "the condition never came true"
        return {name: (logs / f"{name}.log").read_text() for name in sources}

    run.ended = ended  # names of what ended by itself
    return run


def test_what_exits_is_started_again_with_a_growing_pause(supervise, tmp_path, capsys):
    starts = tmp_path / "starts"
    source = f"open({str(starts)!r}, 'a').write('x'); print('hello'); raise SystemExit(3)"
    logs = supervise(lambda: starts.exists() and len(starts.read_text()) == 3, short=source)
    assert logs["short"].count("hello") == 3
    assert supervise.ended[:2] == ["short", "short"]
    console = capsys.readouterr().out
    assert "short | hello" in console
    assert "short ended with code 3; starting it again in 0.5 s." in console
    assert "short ended with code 3; starting it again in 1 s." in console


PARENT = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-u", "-c", '''
import signal, time
def told(*a):
    print("child was told", flush=True)
signal.signal(signal.SIGTERM, told)
print("child ready", flush=True)
time.sleep(60)
'''])
def end(*a):
    time.sleep(0.3)  # time for a signal to the whole group to show
    print("leader was told", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open("child.pid", "w").write(str(child.pid))
time.sleep(60)
"""


def test_stopping_tells_the_leader_alone_and_ends_what_it_leaves(supervise, tmp_path, capsys):
    seen: list[str] = []

    def ready():
        seen.append(capsys.readouterr().out)
        return "child ready" in "".join(seen)

    logs = supervise(ready, parent=PARENT)
    assert "leader was told" in logs["parent"]
    assert "child was told" not in logs["parent"]
    child = int((tmp_path / "child.pid").read_text())
    assert wait_until(lambda: start_moment(child) is None, seconds=5)


def test_two_runs_of_a_process_keep_the_earlier_log(supervise, tmp_path):
    marker = tmp_path / "ran"
    source = f"import time; print('ran'); open({str(marker)!r}, 'w').close(); time.sleep(60)"
    supervise(marker.exists, one=source)
    marker.unlink()
    supervise(marker.exists, one=source)
    assert (tmp_path / "logs" / "one.log.1").read_text() == "ran\n"


def test_leftovers_are_ended_and_strangers_are_not(tmp_path):
    record = ProcessRecord(tmp_path)
    left = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env=os.environ | record.environment(),
        start_new_session=True,
    )
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        record.add("left", left.pid)
        identity = identify(stranger.pid)
        # the number of a recorded process that has long ended and now belongs to somebody else
        record._leaders["ended"] = ProcessIdentity(stranger.pid, "another moment")
        record._write()
        said: list[str] = []
        ProcessRecord(tmp_path).end_leftovers(said.append)
        assert left.wait(5) == -signal.SIGTERM
        assert said == [f"Ending left (pid {left.pid}), left behind by an earlier run."]
        assert identity is not None
        assert runs(identity)
        assert not record.path.exists()
    finally:
        for process in (left, stranger):
            process.kill()
            process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_children_of_a_dead_leader_are_found_by_their_marker(tmp_path):
    record = ProcessRecord(tmp_path)
    source = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", source],
        env=os.environ | record.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as leader:
        assert leader.stdout is not None
        child = int(leader.stdout.readline())
        record.add("leader", leader.pid)
        leader.kill()
    assert start_moment(child) is not None
    ProcessRecord(tmp_path).end_leftovers(print)
    assert wait_until(lambda: start_moment(child) is None, seconds=5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("web: uvicorn app", "the command of web must begin with `exec`"),  # a shell would get the signals
        ("web exec uvicorn", "line 1: expected `name: exec command`"),
        ("a: exec true\n\na: exec true", "line 3: a is there twice"),
    ],
)
def test_a_bad_procfile_is_refused_with_its_line(tmp_path, text, sentence):
    path = tmp_path / "Procfile"
    path.write_text(text)
    with pytest.raises(RunnerError, match=sentence):
        read_procfile(path)
