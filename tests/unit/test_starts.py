"""What a process needs to start is compiled before, whatever the environment says: it would take half of a start, for
which the work of one that died waits."""

import importlib.util
import re
from pathlib import Path

import celery
import django
import numpy
import pytest

ROOT = Path(__file__).parents[2]
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


@pytest.mark.parametrize("package", [django, celery, numpy], ids=lambda package: package.__name__)
def test_the_installed_packages_are_compiled(package: object) -> None:
    compiled = importlib.util.cache_from_source(package.__file__)  # type: ignore[attr-defined]
    assert Path(compiled).is_file()
    assert "pip sync --quiet --compile-bytecode" in (ROOT / "deploy/install.sh").read_text()


def test_make_lets_python_keep_what_it_compiles() -> None:
    assert re.search(rf"^export {NO_BYTECODE} :=$", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_image_holds_compiled_code() -> None:
    text = (ROOT / "deploy/Dockerfile").read_text()
    assert NO_BYTECODE not in text
    assert text.index("COPY . .") < text.index("python -m compileall -q .") < text.index("USER ")
