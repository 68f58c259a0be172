"""Who PostgreSQL runs as, and where that user can reach its files.

PostgreSQL refuses root. As root it runs as an unprivileged user that the system
already has; then neither the virtual environment nor the data directory may lie
below a directory which that user cannot enter (a checkout under /root does).
"""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotrading_project.embedded.errors import EmbeddedServerError

UNPRIVILEGED_UID = 65534


@dataclass(frozen=True)
class RunAs:
    """The user a server runs as; `uid` None means: as we do."""

    uid: int | None = None
    gid: int | None = None

    def popen_options(self) -> dict[str, Any]:
        """Arguments for Popen: user, groups, and a directory that the user can enter."""
        if self.uid is None:
            return {"cwd": "/"}
        return {"user": self.uid, "group": self.gid, "extra_groups": [], "cwd": "/"}

    def can(self, test: str, path: Path) -> bool:
        """Whether this user passes `test -r/-w/-x path`, tried in a process of that user."""
        if self.uid is None:
            modes = {"-r": os.R_OK, "-w": os.W_OK, "-x": os.X_OK}
            return os.access(path, modes[test])
        command = ["/bin/sh", "-c", f'test {test} "$1"', "sh", str(path)]
        try:
            return subprocess.run(command, check=False, **self.popen_options()).returncode == 0
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedServerError(
                f"Root cannot run PostgreSQL as uid {self.uid} here ({error}): run as an ordinary "
                "user, or set DATABASE_URL to a PostgreSQL server."
            ) from error

    def own(self, path: Path) -> None:
        """Give a path to this user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def run_as(existing: Path | None) -> RunAs:
    """The user for PostgreSQL: ourselves, or for root the owner of `existing`, or nobody."""
    if os.geteuid() != 0:
        return RunAs()
    if existing is not None:
        status = existing.stat()
        if status.st_uid != 0:
            return RunAs(status.st_uid, status.st_gid)
    for entry in pwd.getpwall():
        if entry.pw_uid == UNPRIVILEGED_UID or entry.pw_name == "nobody":
            return RunAs(entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        "PostgreSQL refuses to run as root and this system has no user `nobody`: run as an ordinary "
        "user, or set DATABASE_URL to a PostgreSQL server."
    )
