"""Other people's engines, to be measured against. The product never needs them.

They are installed into `.venv/peers`, which is on nobody's path but a benchmark's:
tests and the product still see only their own locked packages. They are added
after those, so where both have a package, the product's own is used.
"""

import hashlib
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

_REQUIREMENTS = Path(__file__).parent / "requirements.txt"
_PLACE = Path(sys.prefix) / "peers"


def peer(module: str) -> Any:
    """The module of a peer; all peers are installed when the first is asked for. RuntimeError when that fails."""
    _install()
    if str(_PLACE) not in sys.path:
        sys.path.append(str(_PLACE))
    return importlib.import_module(module)


def _install() -> None:
    wanted = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()
    stamp = _PLACE / "installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print("==> Installing the peers of benchmarks/requirements.txt.", file=sys.stderr)
    shutil.rmtree(_PLACE, ignore_errors=True)
    options = ["--quiet", "--no-deps", "--require-hashes", "--target", str(_PLACE), "-r", str(_REQUIREMENTS)]
    done = subprocess.run([*_installer(), *options], env=_environment(), check=False)
    if done.returncode:
        raise RuntimeError(
            "The peers could not be installed (see above): check the connection to the package index."
        )
    stamp.write_text(wanted)


def _installer() -> list[str]:
    # deploy/install.sh left one of these two behind.
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.prefix) / "bin"))
    if uv:
        return [uv, "pip", "install", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install"]


def _environment() -> dict[str, str]:
    # uv does not read pip's settings; deploy/install.sh hands on the same.
    environment = dict(os.environ)
    for of_pip, of_uv in (
        ("PIP_CERT", "SSL_CERT_FILE"),
        ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
        ("PIP_EXTRA_INDEX_URL", "UV_INDEX"),
    ):
        if environment.get(of_pip):
            environment.setdefault(of_uv, environment[of_pip])
    return environment
