import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A temporary directory that every user can enter, as PostgreSQL's must; pytest's tmp_path is closed."""
    path = Path(tempfile.mkdtemp(prefix="autotrading-open-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)
