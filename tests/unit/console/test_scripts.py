"""The console's scripts, run by node where there is one: the stream's heartbeats, dead lines and resuming; and what the
page says of an event."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from autotrading_project.environment_files import BASE_DIR

SCRIPTS = BASE_DIR / "console" / "static" / "console"


def said_by(page: str, script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    node = shutil.which("node")
    if node is None:
        assert "CI" not in os.environ, "node is needed: nobody else runs the page's script"
        pytest.skip("node is not installed")
    for each in SCRIPTS.glob("*.js"):
        shutil.copy(each, directory)
    (directory / "package.json").write_text('{"type": "module"}')  # by which node knows what they are
    return subprocess.run(
        [node, str(Path(__file__).with_name(page)), str(directory / script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("page", "script"), [("events_page.mjs", "events.js"), ("panels_page.mjs", "panels.js")]
)
def test_the_page_does_as_it_says(page: str, script: str, tmp_path: Path) -> None:
    done = said_by(page, script, tmp_path)
    assert (done.returncode, done.stdout) == (0, "all is well\n"), done.stderr
