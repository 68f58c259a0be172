"""The version of the code that this process runs, for the fleet check."""

import hashlib
import os
from functools import cache
from pathlib import Path

from foundation.loading import selected

ROOT = Path(__file__).resolve().parents[1]
TRADING_APPS = ("foundation", "journal", "market", "portfolios", "rules", "sessions", "trading")


@cache
def code_version() -> str:
    """CODE_VERSION from the environment, else a hash over the source files that decide and trade."""
    given = os.environ.get("CODE_VERSION")
    if given:
        return given[:64]
    digest = hashlib.sha256()
    for app in TRADING_APPS:
        for file in sorted((ROOT / app).rglob("*.py")):
            digest.update(str(file.relative_to(ROOT)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def may_trade() -> bool:
    """Whether the database requires this very version, or none."""
    required = selected("SELECT version FROM foundation_requiredcodeversion LIMIT 1")
    return not required or required[0][0] == code_version()
