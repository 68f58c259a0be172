"""The console's part of the stream, run by node where there is one: heartbeats, dead lines, resuming."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from autotrading_project.environment_files import BASE_DIR

SCRIPT = BASE_DIR / "console" / "static" / "console" / "events.js"


def test_the_page_resumes_whatever_becomes_of_its_line(tmp_path):
    node = shutil.which("node")
    if node is None:
        assert "CI" not in os.environ, "node is needed: nobody else runs the page's script"
        pytest.skip("node is not installed")
    module = tmp_path / "events.mjs"  # by its name node knows that it is a module
    module.write_text(SCRIPT.read_text())
    page = Path(__file__).with_name("events_page.mjs")
    done = subprocess.run(
        [node, str(page), str(module)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "all is well\n"), done.stderr
