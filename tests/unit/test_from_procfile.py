"""deploy/from_procfile.sh becomes a process of the Procfile, wherever it is started from."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "from_procfile.sh"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """One with two processes, and a virtual environment that has their program."""
    (tmp_path / "deploy").mkdir()
    shutil.copy(SCRIPT, tmp_path / "deploy")
    (tmp_path / "Procfile").write_text("web: exec serve --port $PORT\nworker: exec env LEVEL=1 serve $$\n")
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "serve").write_text('#!/bin/sh\necho "$(pwd) $*"\n')
    (programs / "serve").chmod(0o755)
    return tmp_path


def start(checkout: Path, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As systemd does: from the root, with a bare environment."""
    return subprocess.run(
        [checkout / "deploy" / "from_procfile.sh", name],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_programs_of_the_virtual_environment_are_found_and_the_port_has_a_default(checkout: Path) -> None:
    assert start(checkout, "web").stdout == f"{checkout} --port 8000\n"
    assert start(checkout, "web", PORT="9000").stdout == f"{checkout} --port 9000\n"


def test_it_becomes_the_process_so_that_signals_reach_it(checkout: Path) -> None:
    (checkout / ".venv" / "bin" / "serve").write_text("#!/bin/sh\necho $(($1 - $$))\n")
    assert start(checkout, "worker").stdout == "0\n"


def test_without_a_virtual_environment_the_path_is_as_it_is(checkout: Path) -> None:
    (checkout / ".venv").rename(checkout / "elsewhere")
    found = start(checkout, "web", PATH=f"{checkout}/elsewhere/bin:/usr/bin:/bin")
    assert found.stdout == f"{checkout} --port 8000\n"


def test_a_process_that_there_is_not_is_named(checkout: Path) -> None:
    found = start(checkout, "wep")
    assert (found.returncode, found.stderr) == (1, "The Procfile has no process called wep.\n")
