"""The console's red button, run by node where there is one: it stops the portfolio that it names."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from autotrading_project.environment_files import BASE_DIR

PAGE = BASE_DIR / "console" / "static" / "console"


def test_the_red_button_stops_the_portfolio_that_it_names(tmp_path):
    node = shutil.which("node")
    if node is None:
        assert "CI" not in os.environ, "node is needed: nobody else runs the page's script"
        pytest.skip("node is not installed")
    shutil.copytree(PAGE, tmp_path / "page")
    (tmp_path / "page" / "package.json").write_text('{"type": "module"}')
    script = Path(__file__).with_name("stop_page.mjs")
    done = subprocess.run(
        [node, str(script), str(tmp_path / "page" / "console.js")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "all is well\n"), done.stderr
