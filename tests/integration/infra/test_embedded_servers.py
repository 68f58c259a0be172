"""The embedded servers: fresh ones around a command, and what a killed run leaves behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from autotrading_project.embedded import EmbeddedServers
from autotrading_project.embedded.__main__ import main
from autotrading_project.embedded.processes import identify, runs, start_moment, wait_until

pytestmark = pytest.mark.integration
BASE_DIR = Path(__file__).resolve().parents[3]
EXEC = [sys.executable, "-m", "autotrading_project.embedded", "exec", "--"]


def run_exec(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EXEC, *command],
        cwd=BASE_DIR,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def server_pids(data_dir: Path) -> list[int]:
    """Pids of the servers that name this directory in their command line or own it as their home."""
    postmaster = int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    valkey = int((data_dir / "valkey" / "process.json").read_text().split('"pid": ')[1].split(",")[0])
    return [postmaster, valkey]


def test_exec_gives_servers_and_the_commands_exit_code_and_leaves_nothing(open_path):
    script = (
        "import os, psycopg, redis\n"
        "assert psycopg.connect(os.environ['DATABASE_OWNER_URL']).execute('SELECT 1').fetchone() == (1,)\n"
        "assert redis.Redis.from_url(os.environ['REDIS_URL']).ping()\n"
        "print(os.environ['DATA_DIR'])\n"
        "raise SystemExit(7)"
    )
    done = run_exec(sys.executable, "-c", script, TMPDIR=str(open_path))
    assert done.returncode == 7, done.stderr
    assert Path(done.stdout.strip()).parent == open_path
    assert list(open_path.iterdir()) == []


@pytest.mark.parametrize(("option", "fsync"), [([], "off"), (["--durable"], "on")])
def test_exec_gives_up_fsync_unless_asked_for_durability(open_path, option, fsync):
    script = (
        "import os, psycopg\n"
        "owner = psycopg.connect(os.environ['DATABASE_OWNER_URL'])\n"
        "print([owner.execute(f'SHOW {name}').fetchone()[0] for name in ('fsync', 'track_commit_timestamp')])"
    )
    done = subprocess.run(
        [*EXEC[:-1], *option, "--", sys.executable, "-c", script],
        cwd=BASE_DIR,
        env=os.environ | {"TMPDIR": str(open_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == str([fsync, "on"]), done.stderr


@pytest.mark.parametrize(
    "arguments", [["exec"], ["exec", "--"], ["exec", "--durable", "true"], ["exec", "--fast", "--", "true"]]
)
def test_a_call_that_is_not_understood_starts_no_server(arguments, capsys):
    assert main(arguments) == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_exec_ends_command_and_servers_however_it_is_ended(open_path, signum):
    script = "import os, time; print(os.getpid(), os.environ['DATA_DIR'], flush=True); time.sleep(60)"
    with subprocess.Popen(
        [*EXEC, sys.executable, "-c", script],
        cwd=BASE_DIR,
        env=os.environ | {"TMPDIR": str(open_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as run:
        assert run.stdout is not None
        pid, data_dir = run.stdout.readline().split()
        pids = [int(pid), *server_pids(Path(data_dir))]
        assert all(start_moment(pid) for pid in pids)
        run.send_signal(signum)
        run.wait(30)
        assert wait_until(lambda: not any(start_moment(pid) for pid in pids), seconds=15)
    if signum != signal.SIGKILL:
        assert run.returncode == 128 + signum
    else:  # the next one tidies up, once it is old enough not to be one that is just starting
        os.utime(data_dir, (0, 0))
        assert run_exec("true", TMPDIR=str(open_path)).returncode == 0
    assert list(open_path.iterdir()) == []


@pytest.fixture
def data_dir(open_path):
    directory = open_path / "data"
    directory.mkdir()
    return directory


def test_a_second_start_ends_orphans_and_keeps_the_data(data_dir):
    said: list[str] = []
    first = EmbeddedServers(data_dir, durable=False, say=said.append)
    second = EmbeddedServers(data_dir, durable=False, say=said.append)
    try:
        first.start()
        orphans = [identify(pid) for pid in server_pids(data_dir)]
        with psycopg.connect(first.owner_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        with redis.Redis.from_url(first.redis_url) as client:
            client.set("kept", "42")
        second.start()  # as if the first had been killed with nobody to end its servers
        assert not any(runs(orphan) for orphan in orphans)
        assert [sentence.split(" that ")[0] for sentence in said] == [
            "Ending the Valkey",
            "Ending the PostgreSQL",
        ]
        with psycopg.connect(second.owner_url) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        with redis.Redis.from_url(second.redis_url) as client:
            assert client.get("kept") == b"42"
    finally:
        second.stop()
        first.stop()


def test_servers_listen_on_loopback_with_passwords(data_dir):
    servers = EmbeddedServers(data_dir, durable=False, say=print)
    try:
        servers.start()
        with psycopg.connect(servers.owner_url) as connection:
            show = "SELECT current_setting('listen_addresses'), current_setting('max_connections')"
            assert connection.execute(show).fetchone() == ("127.0.0.1", "200")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(servers.owner_url, password="guessed")
        with redis.Redis.from_url(servers.redis_url) as client:
            wanted = {"bind": "127.0.0.1", "appendonly": "yes", "maxmemory-policy": "noeviction"}
            assert {name: client.config_get(name)[name] for name in wanted} == wanted
        without_password = f"redis://127.0.0.1:{servers.valkey.port}/0"
        with (
            redis.Redis.from_url(without_password) as client,
            pytest.raises(redis.exceptions.AuthenticationError),
        ):
            client.ping()
        assert (data_dir / "secrets.json").stat().st_mode & 0o777 == 0o600
    finally:
        servers.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give PostgreSQL to another user")
def test_root_with_an_unreachable_data_directory_keeps_the_database_elsewhere(open_path):
    closed = open_path / "closed"
    closed.mkdir(mode=0o700)
    said: list[str] = []
    servers = EmbeddedServers(closed / "data", durable=False, say=said.append)
    place = None
    try:
        servers.start()
        link = closed / "data" / "postgres"
        place = link.resolve()
        assert link.is_symlink()
        assert not place.is_relative_to(open_path)
        assert f"the database is kept in {place.parent}" in said[-1]
        with psycopg.connect(servers.owner_url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        servers.stop()
        if place is not None:
            subprocess.run(["rm", "-rf", str(place.parent)], check=True)
